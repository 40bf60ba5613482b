"""What the project's own files promise each other: versions, pins, and a package that says its version once."""

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


def test_version_comes_from_one_place():
    out = subprocess.run([sys.executable, "-m", "pip", "show", "pgcourse"], capture_output=True, text=True, check=True)
    assert f"Version: {pgcourse.__version__}\n" in out.stdout
