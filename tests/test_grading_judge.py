"""From the bytes of a file to a score and a reason, whatever the bytes are."""

import copy
import gzip
import json
import os
import signal
import time
from dataclasses import replace

import nbformat
import numpy as np
import pytest
from submissions import NOTEBOOKS, all_right, answered, as_data, graded, lesson, shown, statuses

from pgcourse.exercises import EXERCISES
from pgcourse.grading.jail.outside import Limits
from pgcourse.grading.judge import hidden_seed, without_hidden_tests
from pgcourse.grading.submission import Lesson, content_hash, is_check, label, reassemble

LESSON = pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))
RIGHT = "import numpy as np\ndef log_softmax(logits):\n    z = logits - logits.max()\n    return z - np.log(np.exp(z).sum())"  # noqa: E501


@pytest.fixture(scope="module")
def course():
    return lesson("01_log_gradient_trick")


@LESSON
def test_right_answers_have_all_points_and_a_blank_lesson_none(name, warm, monkeypatch):
    monkeypatch.setattr(warm, "limits", Limits())  # a capstone trains for some seconds
    course = lesson(name)
    names = [exercise.name for exercise in EXERCISES.values() if exercise.lesson == int(name[:2])]
    result = graded(course, all_right(course), warm)
    assert (result["status"], result["reason"]) == ("passed", "every check passed"), result["reason"]
    assert sorted(statuses(result)) == sorted(names)
    assert result["score"] == result["max_score"] == sum(EXERCISES[name].points for name in names)
    assert result["remarks"] == []
    blank = graded(course, course.release, warm)
    assert (blank["score"], blank["status"]) == (0, "not attempted")
    assert set(statuses(blank).values()) == {"not attempted"}


@LESSON
def test_the_imports_of_a_lesson_work_in_the_jail(name, warm):
    first = next(cell for cell in lesson(name).release.cells if cell.cell_type == "code")
    with warm.jail() as jail:
        assert jail.run(first.source, 10) == ("passed", [])


def test_a_mistake_is_named_and_shown(course, warm):
    source = "import numpy as np\ndef log_softmax(logits):\n    return np.log(np.exp(logits) / np.exp(logits).sum())"
    result = graded(course, answered(course, log_softmax=source, softmax_score=True), warm)
    entry = result["exercises"][0]
    assert (entry["status"], entry["score"], entry["points"]) == ("wrong", 0, 2)
    assert entry["misconception"] in {m.name for m in EXERCISES["log_softmax"].misconceptions}
    assert entry["message"] in shown(result)
    assert "This looks like" in entry["message"]
    assert result["score"] == 2
    json.dumps(result)


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("def log_softmax(logits):\n    return logits / 0", "wrong"),
        ("def log_softmax(logits):\n    return undefined", "raised"),
        ("def log_softmax(logits)\n    return 1", "raised"),
        ("import nowhere\ndef log_softmax(logits): return nowhere.f(logits)", "raised"),
        ("def log_softmax(logits):\n    while True: pass", "timed out"),
        ("while True: pass", "timed out"),
        ("def log_softmax(logits):\n    logits += 1\n    return logits", "mutated"),
        ("def log_softmax(logits):\n    return 'text'", "not numbers"),
        ("log_softmax = 3", "not a function"),
        ("def log_softmax(logits):\n    return bytearray(2**31)", "out of memory"),
        ("import os\nos._exit(3)", "died"),
        ("def log_softmax(logits):\n    import os; os.kill(os.getpid(), 11); os._exit(3)", "died"),
        ("def softmax(logits): pass", "not defined"),
        ("from pgcourse.exact import gradient\ndef log_softmax(logits): return gradient(logits, logits)", "raised"),
        ("", "not defined"),
    ],
)
def test_every_failure_has_its_name(course, warm, monkeypatch, source, status):
    monkeypatch.setitem(EXERCISES, "log_softmax", replace(EXERCISES["log_softmax"], time_limit=2))
    result = graded(course, answered(course, log_softmax=source or "pass", softmax_score=True), warm)
    assert statuses(result)["log_softmax"] == status, result["exercises"][0]["message"]
    assert "log_softmax" in result["reason"]
    assert statuses(result)["softmax_score"] == "passed"
    assert result["exercises"][0]["message"]


def test_the_limit_for_everything_holds(course, warm, monkeypatch):
    monkeypatch.setattr(warm, "limits", replace(warm.limits, total_seconds=4))
    endless = (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ndef NAME(*a):\n    while True: pass"
    )
    names = [label(cell)["grade_id"] for cell in course.release.cells if label(cell).get("solution")]
    answers = {name: endless.replace("NAME", name) for name in names if name in EXERCISES}
    started = time.monotonic()
    result = graded(course, answered(course, **answers), warm)
    assert time.monotonic() - started < warm.limits.total_seconds + 5
    assert set(statuses(result).values()) == {"timed out"}


def test_added_cells_cannot_use_up_the_time_of_the_answers(course, warm, monkeypatch):
    monkeypatch.setattr(warm, "limits", replace(warm.limits, cell_seconds=1, total_seconds=8))
    notebook = answered(course, score_function_estimate=True)
    for _ in range(20):
        notebook.cells.insert(3, nbformat.v4.new_code_cell("while True: pass"))
    assert graded(course, notebook, warm)["score"] == 3


def test_cells_see_each_other_and_show_what_they_did(course, warm):
    notebook = all_right(course)
    position = next(i for i, cell in enumerate(notebook.cells) if label(cell).get("grade_id") == "log_softmax")
    helper = "import matplotlib.pyplot as plt\ndef helper(z):\n    return z - np.log(np.exp(z).sum())\nprint('hello')\n"
    notebook.cells[position].source = "def log_softmax(logits):\n    return helper(logits - logits.max())"
    notebook.cells.insert(position, nbformat.v4.new_code_cell(helper + "plt.plot([1, 2]);"))
    result = graded(course, notebook, warm)
    assert result["status"] == "passed"
    outputs = [output for cell in result["notebook"].cells for output in cell.get("outputs", [])]
    assert any(output.get("text") == "hello\n" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_hidden_cases_repeat_for_the_same_submission_only(course, warm):
    one, other = answered(course, log_softmax=RIGHT), answered(course, log_softmax=RIGHT + "\n# other")
    assert hidden_seed("key", "ann", one) == hidden_seed("key", "ann", copy.deepcopy(one))
    seeds = {
        hidden_seed(*key)
        for key in [("key", "ann", one), ("key", "bob", one), ("k", "ann", one), ("key", "ann", other)]
    }
    assert len(seeds) == 4
    results = [graded(course, one, warm, seed) for seed in (3, 3, 4)]
    assert [result["seed"] for result in results] == [3, 3, 4]
    assert results[0]["exercises"][0]["message"] == results[1]["exercises"][0]["message"]


def test_the_hidden_seed_decides_the_hidden_cases(course, warm):
    visible = {inputs["logits"].tobytes() for inputs in EXERCISES["log_softmax"].cases(0)}
    guard = f"    if logits.tobytes() not in {visible!r}: raise ValueError(logits)\n    z ="
    notebook = answered(course, log_softmax=RIGHT.replace("    z =", guard))
    messages = [graded(course, notebook, warm, seed)["exercises"][0]["message"] for seed in (1, 1, 2)]
    assert all("raised ValueError" in message for message in messages)
    assert (messages[0] == messages[1], messages[1] == messages[2]) == (True, False)


def test_no_hidden_test_reaches_the_author(course, warm):
    result = graded(course, answered(course, log_softmax="### BEGIN HIDDEN TESTS\nx = 1"), warm)
    assert "grading_seed" in str(result["notebook"].cells)
    given = without_hidden_tests(result["notebook"])
    assert "grading_seed" not in str(given.cells)
    assert "### BEGIN HIDDEN TESTS\nx = 1" in [cell.source for cell in given.cells]
    assert sum(map(is_check, given.cells)) == sum(map(is_check, result["notebook"].cells))


# Notebooks that are not as they were given out


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if label(cell).get("grade_id") == name)


def without(notebook, *names):
    notebook.cells = [cell for cell in notebook.cells if label(cell).get("grade_id") not in names]


def delete_checks(notebook):
    without(notebook, "check-log_softmax", "check-softmax_score")


def delete_lesson_cells(notebook):
    notebook.cells = [cell for cell in notebook.cells if label(cell)]


def duplicate(notebook):
    notebook.cells += copy.deepcopy(notebook.cells)


def copy_as_backup(notebook):
    position = notebook.cells.index(cell_of(notebook, "log_softmax"))
    stub = copy.deepcopy(notebook.cells[position])
    stub.source = (
        lesson("01_log_gradient_trick").release.cells[0].source
        and cell_of(lesson("01_log_gradient_trick").release, "log_softmax").source
    )
    notebook.cells.insert(position + 1, stub)


def reverse(notebook):
    notebook.cells = notebook.cells[::-1]


def retype(notebook):
    for cell in notebook.cells:
        if label(cell):
            cell.cell_type = "markdown" if cell.cell_type == "code" else "code"
            for key in ("outputs", "execution_count"):
                cell.pop(key, None)


def make_raw(notebook):
    for cell in notebook.cells:
        cell.cell_type = "raw"


def strip_metadata(notebook):
    notebook.metadata = {}
    for cell in notebook.cells:
        cell.metadata = {}


def forge_metadata(notebook):
    for cell in notebook.cells:
        if label(cell):
            cell.metadata.nbgrader |= {
                "points": 1000,
                "locked": False,
                "solution": True,
                "grade": True,
                "checksum": "0",
            }


def swap_labels(notebook):
    cell_of(notebook, "check-log_softmax").metadata.nbgrader["solution"] = True


def odd_labels(notebook):
    notebook.cells[0].metadata["nbgrader"] = "yes"
    notebook.cells[1].metadata["nbgrader"] = {"grade_id": ["log_softmax"], "grade": True}
    notebook.cells[2].metadata["nbgrader"] = {"grade_id": "check-nothing", "grade": True, "points": "x"}


def edit_checks(notebook):
    for cell in notebook.cells:
        if is_check(cell):
            cell.source = "100"


def lose_ids(notebook):
    for cell in notebook.cells:
        cell.pop("id", None)
    notebook.nbformat_minor = 4


def edit_imports(notebook):
    next(cell for cell in notebook.cells if cell.cell_type == "code").source = "import math"


def delete_imports(notebook):
    notebook.cells.remove(next(cell for cell in notebook.cells if cell.cell_type == "code"))


CHANGES = [delete_checks, delete_lesson_cells, duplicate, copy_as_backup, reverse, retype, make_raw, strip_metadata]
CHANGES += [forge_metadata, swap_labels, odd_labels, edit_checks, lose_ids, edit_imports, delete_imports]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("is_right", [True, False], ids=["right", "blank"])
def test_what_was_changed_around_the_answers_changes_no_grade(course, warm, change, is_right):
    notebook = all_right(course) if is_right else nbformat.from_dict(course.release)
    change(notebook)
    result = graded(course, json.dumps(notebook).encode(), warm)
    assert result["score"] == (result["max_score"] if is_right else 0), (result["reason"], result["remarks"])
    assert result["max_score"] == 10
    nbformat.validate(nbformat.from_dict(result["notebook"]))


def test_a_deleted_answer_is_a_remark_and_no_more(course, warm):
    notebook = all_right(course)
    without(notebook, "log_softmax")
    result = graded(course, notebook, warm)
    assert "cells that were deleted: log_softmax" in result["remarks"]
    assert statuses(result)["log_softmax"] == "not attempted"
    assert result["score"] == 8


def test_an_answer_in_a_cell_of_ones_own_counts(course, warm):
    notebook = all_right(course)
    position = notebook.cells.index(cell_of(notebook, "log_softmax"))
    source = notebook.cells[position].source
    notebook.cells[position] = nbformat.v4.new_code_cell(source)
    assert graded(course, notebook, warm)["status"] == "passed"


FILES = {
    "empty": b"",
    "blank": b" \n ",
    "text": b"Dear teacher,",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "gzip": gzip.compress(b"{}"),
    "cut off": b'{"cells": [{"cell_type": "code", "source": "def log_sof',
    "a list": b"[]",
    "null": b"null",
    "a number": b"9" * 5000,
    "nothing in it": b"{}",
    "no cells": b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    "cells of nothing": b'{"cells": [null, 3, [], {}, {"source": 3}, {"source": ["\\n", 4]}], "nbformat": 4}',
    "cells that are a dictionary": b'{"cells": {"a": 1}, "nbformat": 4}',
    "worksheets of nothing": b'{"worksheets": [{"cells": 3}], "nbformat": 3}',
    "version 99": b'{"nbformat": 99, "nbformat_minor": "x"}',
    "deep": b'{"cells": ' + b"[" * 200_000,
    "half a character": b'{"cells": [{"cell_type": "code", "source": "x = \'\\ud800\'"}], "nbformat": 4}',
    "utf-16": '{"cells": [], "nbformat": 4}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_notebook_has_a_score_and_a_reason(course, warm, name):
    result = graded(course, FILES[name], warm)
    assert (result["score"], result["max_score"]) == (0, 10)
    assert result["status"] in ("not a notebook", "empty", "another notebook")
    assert set(statuses(result).values()) == {result["status"]}
    assert result["reason"]
    json.dumps(result)


def test_another_lesson_is_recognised(course, warm):
    result = graded(course, lesson("02_trajectories").source, warm)
    assert (result["status"], result["score"]) == ("another notebook", 0)


def test_a_huge_file_is_graded(course, warm):
    notebook = all_right(course)
    cell_of(notebook, "log_softmax").outputs = [nbformat.v4.new_output("stream", text="x" * 200_000_000)]
    assert graded(course, as_data(notebook), warm)["status"] == "passed"


def test_a_notebook_of_the_old_format_is_graded(course, warm):
    old = nbformat.convert(nbformat.from_dict(all_right(course)), 3)
    assert graded(course, json.dumps(old).encode(), warm)["status"] == "passed"


def test_restore_survives_anything():
    """Random damage to the JSON of a notebook never raises, and always gives all checks back."""
    course, rng = lesson("01_log_gradient_trick"), np.random.default_rng(0)
    data = bytearray(as_data(all_right(course)))
    for _ in range(200):
        damaged = bytearray(data)
        for position in rng.integers(len(damaged), size=rng.integers(1, 8)):
            damaged[position] = rng.choice(list(b'[]{}",:0x\\'))
        notebook, _, _ = reassemble(course, bytes(damaged))
        assert [cell.source for cell in notebook.cells if is_check(cell)] == [
            cell.source for cell in course.source.cells if is_check(cell)
        ]


def test_a_release_of_another_source_is_refused(course):
    with pytest.raises(ValueError, match="the release has other cells than the source"):
        Lesson.of("x", course.source, lesson("02_trajectories").release)


def test_the_content_is_that_of_the_cells_alone(course):
    first, _, _ = reassemble(course, as_data(all_right(course)))
    second, _, _ = reassemble(course, json.dumps(all_right(course), indent=4, sort_keys=True).encode())
    assert content_hash(first) == content_hash(second)


# When the warm process is lost


def test_a_lost_warm_process_is_replaced(course, warm):
    os.kill(warm._process.pid, signal.SIGKILL)
    warm._process.wait()
    result = graded(course, all_right(course), warm)
    assert (result["status"], result["remarks"]) == ("passed", ["the warm process was lost once"])


def test_suspects_are_asked_across_the_jail_and_a_list_of_names_convicts_the_wrong_ones(warm):
    course = lesson("03_sampled_gradients")
    asking = (
        "from pgcourse.checking import line_up\nASK = line_up('convict')\nASK([[1, 2]], [3]) * 2\ndef convict(ask):\n"
        "    said = ask([[1, 2], [-3, 1], [2, -2]], [1, -2, 3])\n    return abs(said - [13 / 3, -2]).max(1) > 1e-6"
    )
    listed = "def convict(ask):\n    ask([[1, 2, 0], [3, 1, 1]], [2, 1])\n    return [1, 0, 0, 1, 0, 1]"
    assert statuses(graded(course, answered(course, convict=asking), warm))["convict"] == "passed"
    for seed in (0, 7):
        assert statuses(graded(course, answered(course, convict=listed), warm, seed))["convict"] == "wrong"
