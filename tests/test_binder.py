"""What Binder does with the repository: repo2docker renders it, and `postBuild` runs here, in a prefix of its own."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from repo2docker.app import Repo2Docker

ROOT = Path(__file__).parents[1]
LAUNCH = re.compile(r"https://mybinder\.org/v2/gh/pgcourse/pgcourse/HEAD\?urlpath=lab/tree/([\w./]+)")
SHIPPED = ("binder", "notebooks", "pgcourse", "LICENSE", "README.md", "environment.yml", "pyproject.toml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what Binder uses of the repository."""
    folder = tmp_path_factory.mktemp("binder") / "repository"
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_*"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def buildpack(checkout):
    """The first of repo2docker's buildpacks that takes the checkout, as repo2docker itself chooses."""
    app = Repo2Docker()
    with contextlib.chdir(checkout):
        packs = (kind(app.base_image) for kind in app.buildpacks)
        pack = next(pack for pack in packs if pack.detect())
        pack.platform = "linux/amd64"
        yield pack


def test_binder_has_the_environment_that_everybody_else_has():
    # repo2docker ignores the one at the top where binder/ exists; a symlink would break on Windows
    copy = ROOT / "binder" / "environment.yml"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (ROOT / "environment.yml").read_bytes()


def test_repo2docker_finds_what_we_mean(buildpack):
    assert type(buildpack).__name__ == "CondaBuildPack"
    assert buildpack.binder_dir == "binder"
    assert buildpack.python_version == "3.11"
    assert buildpack.get_post_build_scripts() == ["binder/postBuild"]


def test_repo2docker_renders_a_dockerfile(buildpack):
    dockerfile = buildpack.render({"NB_USER": "jovyan", "NB_UID": "1000"})
    assert '--file "binder/environment.yml"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory):
    """(environment variables, Python) of a prefix, with our packages in sight, in which `postBuild` has run."""
    prefix, home = tmp_path_factory.mktemp("prefix"), tmp_path_factory.mktemp("home")
    subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
    python = prefix / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    (Path(packages) / "ours.pth").write_text(sysconfig.get_path("purelib"))
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTEST"))}
    path = f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"
    variables |= {
        "HOME": str(home),
        "NB_PYTHON_PREFIX": str(prefix),
        "PATH": path,
        "XDG_CACHE_HOME": str(home / ".cache"),
    }
    variables.pop("MPLCONFIGDIR", None)
    done = subprocess.run(["bash", "binder/postBuild"], cwd=checkout, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return variables, python


def run(built, checkout, *arguments):
    variables, python = built
    return subprocess.run(
        [python, *arguments], cwd=checkout / "work", env=variables, capture_output=True, text=True, check=True
    ).stdout


def test_the_launch_link_opens_lesson_0_of_the_student_edition(built, checkout):
    [target] = set(LAUNCH.findall((ROOT / "README.md").read_text()))
    notebook = nbformat.read(checkout / target, 4)
    assert "Start here" in notebook.cells[0].source
    assert "BEGIN SOLUTION" not in str(notebook)
    assert {path.name for path in checkout.glob("work/*.ipynb")} == {
        path.name for path in ROOT.glob("notebooks/*.ipynb")
    }


def test_the_package_is_installed_not_linked(built, checkout):
    place = run(built, checkout, "-c", "import pgcourse; print(pgcourse.__file__)")
    assert Path(place.strip()).is_relative_to(built[0]["NB_PYTHON_PREFIX"])


def test_lesson_0_runs_there(built, checkout):
    command = ["-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", "00_start_here.ipynb"]
    cells = json.loads(run(built, checkout, *command))["cells"]
    printed = "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ()))
    assert "average: not attempted yet" in printed
    assert "✗" not in printed


def test_jupyterlab_there_has_our_settings(built, checkout):
    code = (
        "import json, jupyter_core.paths as p; from jupyterlab_server.config import get_page_config;"
        "print(json.dumps(get_page_config(p.jupyter_config_path())))"
    )
    page = json.loads(run(built, checkout, "-c", code))
    assert "@jupyter/nbgrader:formgrader" in page["disabledExtensions"]
    code = (
        "import jupyter_core.paths as p; from jupyter_server.extension.config import ExtensionConfigManager as Manager;"
        "print(Manager(read_config_path=p.jupyter_config_path()).get_jpserver_extensions())"
    )
    assert "'nbgrader.server_extensions.formgrader': False" in run(built, checkout, "-c", code)


def test_the_list_of_fonts_is_there(built, checkout):
    cache = run(built, checkout, "-c", "import matplotlib; print(matplotlib.get_cachedir())").strip()
    assert list(Path(cache).glob("fontlist-*.json"))
    assert Path(cache).is_relative_to(built[0]["HOME"])
