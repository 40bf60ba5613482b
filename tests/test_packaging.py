"""What the project's own files promise each other: versions, pins, and a package that says its version once."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pgcourse

ROOT = Path(__file__).parents[1]
CONSTRAINTS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
PINS = {name.lower(): version for name, version in CONSTRAINTS.items()}


def environment():
    return (ROOT / "environment.yml").read_text()


def test_environment_pins_what_the_constraints_pin():
    pinned = re.findall(r"^ +- ([\w-]+)(?:\[[\w-]+\])?==(\S+)$", environment(), re.MULTILINE)
    assert {"torch", "numpy", "gymnasium", "jupyterlab", "ipywidgets", "matplotlib", "nbval"} <= {n for n, _ in pinned}
    assert {(name, PINS[name]) for name, _ in pinned} == set(pinned)


def test_environment_has_the_python_that_the_tests_run_on():
    assert re.search(r"^  - python=3\.11$", environment(), re.MULTILINE)
    assert sys.version_info >= (3, 11)


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.match(r"[\w-]+", line).group().lower() for group in groups for line in group}
    assert not {name for name in names if name not in PINS and name.replace("-", "_") not in PINS}


def test_make_installs_the_torch_that_is_pinned():
    assert f"TORCH = torch=={PINS['torch']}\n" in (ROOT / "Makefile").read_text()


def test_make_leaves_the_package_editable_and_installs_once(tmp_path):
    def printed():
        command = ["make", "--dry-run", "--no-print-directory", "bench", f"VENV={tmp_path}", "ARGS="]
        alone = {
            name: value for name, value in os.environ.items() if "MAKE" not in name
        }  # not as a part of `make test`
        done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    own = [line for line in printed() if "pip install" in line and ".[" in line]
    assert len(own) == 3
    assert all("--editable" in line for line in own)
    for stamp in ("bin/python", *(f"stamps/{name}" for name in ("torch", "lab", "everything", "bench"))):
        (tmp_path / stamp).parent.mkdir(exist_ok=True)
        (tmp_path / stamp).touch()
    assert printed() == [f"{tmp_path}/bin/python -m benchmarks "]


def test_version_comes_from_one_place():
    out = subprocess.run([sys.executable, "-m", "pip", "show", "pgcourse"], capture_output=True, text=True, check=True)
    assert f"Version: {pgcourse.__version__}\n" in out.stdout
