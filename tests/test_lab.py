"""The learner's copy, and JupyterLab's settings for it; JupyterLab itself is opened in test_browser.py."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyterlab_server.config import get_page_config
from jupyterlab_server.workspaces_handler import WorkspacesManager

import pgcourse
from pgcourse import exercises
from pgcourse.publishing import manifest
from pgcourse.workspace import lab

ROOT = Path(pgcourse.__file__).parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return lab.prepare(tmp_path_factory.mktemp("lab") / "copy")


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_a_copy_is_made_once(copy, capsys):
    (copy / "01_log_gradient_trick.ipynb").write_text("mine")
    before = {path: path.read_bytes() for path in copy.iterdir()}
    assert lab.prepare(copy) == copy
    assert capsys.readouterr().out == f"Your copy of the course: {copy}\n"
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


def test_a_copy_remembers_progress_and_holds_no_solution(copy):
    assert (copy / manifest.MARKER).is_file()
    assert "BEGIN SOLUTION" not in "".join(path.read_text() for path in copy.glob("*.ipynb"))


@pytest.mark.parametrize(("version", "said"), [("0.0.9", "(0.0.9, now "), (pgcourse.__version__, "was made. ")])
def test_a_newer_course_is_told_and_renewed_on_request(copy, capsys, version, said):
    marker = json.loads((copy / manifest.MARKER).read_text())
    lesson, mine = copy / "02_trajectories.ipynb", copy / "03_sampled_gradients.ipynb"
    lesson.write_text("an older text")
    marker |= {"source": "older", "version": version}
    marker["files"][lesson.name] = manifest.fingerprint(lesson.name, lesson.read_bytes())
    (copy / manifest.MARKER).write_text(json.dumps(marker))
    mine.write_text("mine")

    lab.prepare(copy)
    out = capsys.readouterr().out
    assert "The course has changed since this copy was made" in out
    assert said in out
    assert lesson.read_text() == "an older text"

    lab.prepare(copy, update=True)
    out = capsys.readouterr().out
    assert f"Renewed: {lesson.name}" in out
    assert f"Kept, with your changes: {mine.name}" in out
    assert mine.read_text() == "mine"
    assert "cells" in json.loads(lesson.read_text())
    lab.prepare(copy)
    assert "has changed" not in capsys.readouterr().out


def test_a_folder_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        lab.prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_marker_that_cannot_be_read_costs_nothing(copy):
    (copy / manifest.MARKER).write_bytes(b"\xff{")
    (copy / "01_log_gradient_trick.ipynb").write_text("mine")
    lab.prepare(copy, update=True)
    assert (copy / "01_log_gradient_trick.ipynb").read_text() == "mine"
    assert len(manifest.read(copy)["files"]) == len(list(copy.glob("*.ipynb")))  # README, and all lessons but one


def test_where_the_copy_goes(monkeypatch, tmp_path):
    assert lab.default_folder() == ROOT / "work"
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "work/x"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
    monkeypatch.setattr(pgcourse, "__file__", str(tmp_path / "site-packages/pgcourse/__init__.py"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert lab.default_folder() == tmp_path / "pgcourse-work"


def test_settings_are_found_by_jupyterlab_and_stay_in_the_copy(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "mine"))
    variables = lab.environment(copy)
    home = copy / lab.SETTINGS_FOLDER
    assert variables["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(home / "config"), str(tmp_path / "mine")]
    code = "import json, jupyterlab_server.settings_utils as s; print(json.dumps(s._get_overrides('/')[0]))"
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, check=True)
    settings = json.loads(run.stdout)
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    disabled = get_page_config([], app_settings_dir=None)["disabledExtensions"]
    assert "@jupyter/nbgrader:formgrader" in disabled
    assert "@jupyter/nbgrader:validate-assignment" not in disabled
    layout = WorkspacesManager(home / "workspaces").load("default")["data"]["layout-restorer:data"]
    assert layout["left"]["current"] == lab.TABLE_OF_CONTENTS
    assert not (tmp_path / "home").exists()


def test_a_layout_that_the_learner_chose_is_kept(copy):
    home = Path(lab.environment(copy)["JUPYTERLAB_WORKSPACES_DIR"])
    (layout,) = home.iterdir()
    layout.write_text("mine")
    lab.environment(copy)
    assert layout.read_text() == "mine"


def test_pages_of_worked_solutions_are_named_as_the_lessons():
    stems = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert stems <= set(exercises.LESSONS)
    assert [stem[:2] for stem in exercises.LESSONS] == [f"{n:02}" for n in range(len(exercises.LESSONS))]


@pytest.mark.parametrize("chatty", [[], ["--debug"], ["--log-level=INFO"]])
def test_jupyterlab_prints_little_unless_asked(copy, monkeypatch, chatty):
    called = []
    monkeypatch.setattr("jupyterlab.labapp.main", called.extend)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert lab.open_in_jupyterlab(copy, 9000, ["--no-browser", *chatty]) == 0
    assert ("--ServerApp.log_level=WARN" in called) is not bool(chatty)
    assert {"--ServerApp.port=9000", "--no-browser", *chatty} <= set(called)


def test_of_nbgraders_server_there_is_what_a_learner_needs(copy):
    code = (
        "import jupyter_core.paths as p; from jupyter_server.extension.config import ExtensionConfigManager as Manager;"
        "extensions = Manager(read_config_path=p.jupyter_config_path()).get_jpserver_extensions();"
        "print(*(name for name, enabled in extensions.items() if enabled))"
    )
    variables = os.environ | lab.environment(copy)
    run = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    nbgraders = [name for name in run.stdout.split() if "nbgrader" in name]
    assert nbgraders == ["nbgrader.server_extensions.validate_assignment"]
    assert "jupyterlab" in run.stdout.split()


@pytest.mark.parametrize(("given", "used"), [(None, "1"), ("4", "4")])
def test_a_kernel_has_one_thread_unless_the_user_says_otherwise(copy, monkeypatch, given, used):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert lab.environment(copy)["OMP_NUM_THREADS"] == used
