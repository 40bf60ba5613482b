"""nbgrader's own autograder in a released course, with what we put in it."""

import json
import os
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from classes import NAME
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from submissions import all_right, answered, as_data, graded, lesson, shown
from traitlets.config import Config

from pgcourse.exercises import EXERCISES
from pgcourse.grading import configure, execute
from pgcourse.grading.jail.outside import JailUnavailable
from pgcourse.grading.submission import label

SCRIPT = "<script>alert('LEAK')</script>"


@pytest.fixture(scope="module")
def course(ready_course, tmp_path_factory):
    """The folder of a course of one lesson, for all tests of a file."""
    return shutil.copytree(ready_course, tmp_path_factory.mktemp("class") / "course")


@pytest.fixture(autouse=True)
def _with_programs_of_this_python(monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture(scope="module")
def shared(warm):
    """nbgrader's autograder uses the tests' warm."""
    patch = pytest.MonkeyPatch()
    patch.setattr(execute, "warm_process", lambda **_: warm)
    yield
    patch.undo()


def settings(**more):
    config = Config()
    configure(config)
    config.merge(Config(more))
    return config


def hand_in(course, student, data):
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.ipynb").write_bytes(data)


def autograde(course, student="*", converter=Autograde, **more):
    config = settings(**more)
    directory = CourseDirectory(config=config, root=str(course), assignment_id=NAME, student_id=student)
    converter(coursedir=directory, config=config, force=True).start()


def entered(course, student):
    """(score, result) in the gradebook and in the autograded notebook."""
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        score = gradebook.find_submission(NAME, student).score
    notebook = nbformat.read(course / "autograded" / student / NAME / f"{NAME}.ipynb", 4)
    return score, notebook


def test_nbgrader_enters_what_the_jail_finds(course, shared, canary_free, monkeypatch):
    exercise = "log_likelihood_change"
    monkeypatch.setitem(EXERCISES, exercise, replace(EXERCISES[exercise], time_limit=2))
    origin = lesson(NAME)
    hand_in(course, "right", as_data(all_right(origin)))
    hand_in(course, "half", as_data(answered(origin, predicted_change=True)))
    loop = {exercise: f"def {exercise}(*a):\n    while True: pass", "predicted_change": True}
    hand_in(course, "loop", as_data(answered(origin, **loop)))
    damaged = all_right(origin)
    damaged.cells = [cell for cell in damaged.cells[::-1] if not str(label(cell).get("grade_id")).startswith("check-l")]
    for cell in damaged.cells:
        if label(cell):
            cell.metadata.nbgrader |= {"points": 99, "solution": True, "grade": True, "locked": False}
    hand_in(course, "damaged", as_data(damaged))
    hand_in(course, "other", as_data(lesson("02_trajectories").source))
    autograde(course)
    scores = {student: entered(course, student)[0] for student in ("right", "half", "loop", "damaged", "other")}
    assert scores == {"right": 5, "half": 2, "loop": 2, "damaged": 5, "other": 0}
    about = entered(course, "loop")[1].metadata.pgcourse
    assert (about.status, about.exercises[0].status) == ("timed out", "timed out")


@pytest.fixture
def canary_free(course):
    before = sorted(path.name for path in course.iterdir() if path.name not in ("submitted", "autograded"))
    yield
    assert sorted(path.name for path in course.iterdir() if path.name not in ("submitted", "autograded")) == before


def test_a_regrade_repeats_the_hidden_cases(course, shared):
    hand_in(course, "again", as_data(answered(lesson(NAME), predicted_change=True)))
    seeds = []
    for _ in range(2):
        autograde(course, "again")
        seeds.append(entered(course, "again")[1].metadata.pgcourse.seed)
    assert seeds[0] == seeds[1]
    hand_in(course, "again", as_data(all_right(lesson(NAME))))
    autograde(course, "again")
    assert entered(course, "again")[1].metadata.pgcourse.seed != seeds[0]


def test_a_result_found_elsewhere_is_entered_and_nothing_runs(course, warm, monkeypatch):
    monkeypatch.setattr(execute, "warm_process", None)
    origin = lesson(NAME)
    hand_in(course, "elsewhere", as_data(all_right(origin)))
    result = json.loads(json.dumps(graded(origin, all_right(origin), warm)))
    autograde(course, "elsewhere", JailedExecute={"result": result})
    score, notebook = entered(course, "elsewhere")
    assert score == 5
    assert "✓" in shown({"notebook": notebook})


def test_nbgraders_own_engine_grades_as_ours(course):
    """For those who have a jail of their own."""
    origin = lesson(NAME)
    hand_in(course, "plain-right", as_data(all_right(origin)))
    hand_in(course, "plain-half", as_data(answered(origin, predicted_change=True)))
    engine = {"autograde_preprocessors": Autograde.autograde_preprocessors.default()}
    autograde(course, "plain-*", Autograde=engine)
    assert {student: entered(course, student)[0] for student in ("plain-right", "plain-half")} == {
        "plain-right": 5,
        "plain-half": 2,
    }


def test_without_a_jail_nothing_is_graded(course, monkeypatch):
    def refuse(**_):
        raise JailUnavailable("No jail can be made on this machine")

    monkeypatch.setattr(execute, "warm_process", refuse)
    hand_in(course, "unlucky", as_data(all_right(lesson(NAME))))
    with pytest.raises(NbGraderException):
        autograde(course, "unlucky")
    assert not (course / "autograded" / "unlucky" / NAME / f"{NAME}.ipynb").exists()


def test_scripts_do_not_reach_the_browser(course, shared):
    notebook = all_right(lesson(NAME))
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and label(cell):
            cell.source = f"My answer $x<y$ {SCRIPT} <img src=x onerror=alert('LEAK')> [a](javascript:alert('LEAK'))"
            cell.source += "[b](java&#115;cript:x) ![c](https://evil.example/pixel) $\\href{javascript:x}{d}$ "
            cell.source += "<iframe src='https://evil.example'>\n\n<div onclick=LEAK()>"
        elif label(cell).get("grade_id") == "predicted_change":
            shows = f'display(HTML("{SCRIPT}"), Markdown("{SCRIPT}"))'
            cell.source += f"\nfrom IPython.display import HTML, Markdown, display\n{shows}"
    notebook.cells.insert(2, nbformat.v4.new_markdown_cell(SCRIPT))
    notebook.cells.insert(2, nbformat.v4.new_raw_cell(SCRIPT, metadata={"format": "text/html"}))
    hand_in(course, "script", as_data(notebook))
    autograde(course, "script")
    autograde(course, "script", GenerateFeedback)
    page = (course / "feedback" / "script" / NAME / f"{NAME}.html").read_text()
    assert "My answer" in page
    assert "$x&lt;y$" in page
    assert "\\href{" not in page
    elements = Elements()
    elements.feed(page)
    harmful = ("LEAK", "evil.example", "href', 'javascript:")
    assert not [found for found in elements.found if any(part in found for part in harmful)]


class Elements(HTMLParser):
    """All tags of a page with their attributes, and what stands in scripts."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(f"{tag} {attrs}")

    def handle_data(self, data):
        if self.cdata_elem:
            self.found.append(data)
