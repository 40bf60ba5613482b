"""Follows CONTRIBUTING.md to the letter, in a copy of the repository: an exercise is added as it says."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from pgcourse.exercises import EXERCISES
from pgcourse.judging.__main__ import matrix, problems

ROOT = Path(__file__).parents[1]
COPIED = ("notebooks", "pgcourse", "tests", "tools", "conftest.py", "pyproject.toml")
EXERCISE = "pgcourse/exercises/lesson_0/spread.py"
BLOCK = re.compile(r"^(?P<fence>`{3,4})(?P<language>\w+)\n(?P<body>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)


def blocks():
    """The blocks of the section on exercises, (language, text), in order."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Add an exercise")[2].partition("\n## ")[0]
    return [(block["language"], block["body"]) for block in BLOCK.finditer(section)]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The copy after all steps, and what the commands printed."""
    folder = tmp_path_factory.mktemp("contributing")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_*"))
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    variables["PYTHONPATH"] = str(folder)  # before the checkout that the virtual environment knows
    printed = ""
    for language, body in blocks():
        if language == "python":
            (folder / EXERCISE).write_text(body, encoding="utf-8")
        elif language == "markdown":
            (folder / "spread.md").write_text(body, encoding="utf-8")
        else:
            done = subprocess.run(
                ["bash", "-euc", body], cwd=folder, env=variables, capture_output=True, text=True, encoding="utf-8"
            )
            printed += done.stdout
            assert done.returncode == 0, done.stdout + done.stderr
    return folder, printed


def test_there_are_the_steps_that_we_follow():
    assert [language for language, _ in blocks()] == ["python", "markdown", "sh", "sh"]


def test_its_mistakes_are_told_apart(followed):
    _, printed = followed
    assert "spread: 5 mistakes told apart, 4 right answers pass; added to 00_start_here.ipynb and executed" in printed


def test_mistakes_that_are_not_told_apart_are_named():
    exercise = EXERCISES["average"]
    first, *others = exercise.misconceptions
    twice = replace(exercise, misconceptions=(first, replace(first, name="the same again"), *others))
    mistaken, failing = problems(replace(twice, accepts=(first.wrong, *exercise.accepts)))
    assert [*mistaken] == [first.name, "the same again"]
    assert [*failing] == [1]
    assert "  not told apart: the same again (" in matrix([twice])


def test_the_tests_see_the_new_exercise(followed):
    _, printed = followed
    [passed] = re.findall(r"^(\d+) passed", printed, re.MULTILINE)
    assert int(passed) > 5 + 4  # misconceptions, right answers, and what holds of the lesson


def test_the_edition_has_it_without_its_solution(followed):
    folder, _ = followed
    notebook = nbformat.read(folder / "scratch-edition" / "00_start_here.ipynb", 4)
    sources = {cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if "nbgrader" in cell.metadata}
    assert "raise NotImplementedError" in sources["spread"]
    assert "rewards.min()" not in sources["spread"]
    assert sources["check-spread"].strip() == 'check(spread, "spread")'


def test_the_new_files_are_in_our_style(followed):
    folder, _ = followed
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", EXERCISE], cwd=folder, check=True)
    subprocess.run([*ruff, "format", "--check", EXERCISE], cwd=folder, check=True)
