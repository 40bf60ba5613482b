"""Attacks from end to end: in a small class one student is hostile, and the others' rows are as they are without.

Each attack is a file that is handed in, with the score that is due for it and the status that its row has.
"""

import base64
import csv
import json
import re
import struct
import time
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from textwrap import indent

import nbformat
import pytest
from classes import NAME, RIGHT_CHANGE, TURNED, write
from nbgrader.api import Gradebook
from submissions import all_right, answered, as_data, graded, lesson

from pgcourse.exercises import EXERCISES
from pgcourse.grading import classroom, collect
from pgcourse.judging import verdicts

CHANGE, PREDICTION, WRITTEN = "log_likelihood_change", "predicted_change", "written-gradient-step"
NEIGHBOURS = ("ada", "zoe")  # one is graded before and one after, in the same warm process
HARMLESS = {"title", "alt", "width", "height", "open", "align", "scope", "href", "src"}


@pytest.fixture
def grade(course, tmp_path, in_this_process):
    """Grades a folder or a zip in this process; returns {student: row of grades.csv}."""

    def grade(place):
        classroom.grade_class([place], tmp_path / "out", course, export=True)
        with open(tmp_path / "out/grades.csv", encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert all(line["reason"] for line in lines)
        assert len({line["student"] for line in lines}) == len(lines)
        return {line.pop("student"): {**line, "seconds": ""} for line in lines}

    return grade


def hand_in_neighbours(folder):
    write(folder, "ada", all_right(lesson(NAME)))
    write(folder, "zoe", answered(lesson(NAME), **{CHANGE: TURNED, PREDICTION: True}))


@pytest.fixture(scope="module")
def alone():
    """The rows of the neighbours, as they are due."""
    common = {"lesson": NAME, "max_score": "7", "seconds": ""}
    return {
        "ada": {"score": "5", "status": "passed", "reason": "every check passed", **common},
        "zoe": {"score": "2", "status": "wrong", "reason": f"{CHANGE}: wrong", **common},
    }


def cell(notebook, name):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def wrong():
    return answered(lesson(NAME), **{CHANGE: TURNED, PREDICTION: f"def {PREDICTION}(*a): return 17"})


def with_cells(notebook, *sources, at=None):
    notebook.cells[at or len(notebook.cells) : 0] = [nbformat.v4.new_code_cell(source) for source in sources]
    return notebook


def forged_metadata():
    """What our engine and nbgrader write into a notebook, and what would be worth points."""
    notebook = wrong()
    notebook.metadata["pgcourse"] = {"status": "passed", "score": 5.0, "key": "x", "refusal": None, "remarks": [[]]}
    for one in notebook.cells:
        one.metadata.setdefault("nbgrader", {}).update(points=1000, checksum="0" * 32, locked=False, task=False)
        one.metadata["pgcourse"] = {"score": 1000}
        if one.cell_type == "code":
            one.outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": "1000"}, execution_count=1)]
    return as_data(notebook)


def checks_of_ones_own():
    """Cells that call themselves the checks, and are worth much."""
    notebook = wrong()
    for name in (f"check-{CHANGE}", f"check-{PREDICTION}", WRITTEN, f"\u0441heck-{CHANGE}"):
        own = nbformat.v4.new_code_cell("pass")
        own.metadata["nbgrader"] = {"grade_id": name, "grade": True, "points": 99, "solution": False, "locked": True}
        notebook.cells.append(own)
    notebook.cells = [c for c in notebook.cells if c.metadata.get("nbgrader") != {"grade_id": f"check-{CHANGE}"}]
    notebook.cells[3].metadata["nbgrader"] = [["grade_id", f"check-{CHANGE}"]]
    return as_data(notebook)


def odd_json():
    """Two lists of cells, numbers without end, no numbers, halves of characters, an id of a megabyte."""
    text = as_data(all_right(lesson(NAME))).decode()
    odd = f'{{"cells": [], "x": [{"9" * 4000}, NaN, -Infinity, 1e999, "\\ud800"], '
    odd += text.lstrip()[1:].replace('"id": "', f'"attachments": {{"\\udfff": 1}}, "id": "{"x" * 10**6}', 1)
    return odd.encode()


def version_3():
    """The answers in a file as IPython wrote them in 2013."""
    cells = [
        {"cell_type": "code", "input": c.source, "outputs": [], "language": "python", "metadata": {**c.metadata}}
        if c.cell_type == "code"
        else {"cell_type": c.cell_type, "source": c.source, "metadata": {**c.metadata}}
        for c in all_right(lesson(NAME)).cells
    ]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}).encode()


def by_heart():
    """Knows the visible cases and answers them rightly, counts the calls, and looks for what was expected."""
    known = {}
    for inputs in EXERCISES[CHANGE].cases(0):
        key = b"".join(value.tobytes() for value in inputs.values())
        known[key] = float(verdicts.expected(EXERCISES[CHANGE], inputs)["result"])
    source = f"""KNOWN, seen = {known!r}, []
def {CHANGE}(*arguments):
    seen.append(arguments)
    return KNOWN.get(b''.join(value.tobytes() for value in arguments), len(seen))
"""
    return as_data(answered(lesson(NAME), **{CHANGE: source, PREDICTION: True}))


def a_larger_scale():
    """A tolerance grows with the largest number in sight: this one shows large ones, in its results and its inputs."""
    source = f"""def {CHANGE}(theta, new_theta, states, actions):
    theta.base if theta.base is None else theta.base.fill(1e300)
    return np.float32(1e30) if len(states) == 2 else np.float32(0)
"""
    return as_data(answered(lesson(NAME), **{CHANGE: source, PREDICTION: True}))


def a_gift():
    """Leaves a process, a file, a socket and memory for whoever comes next."""
    source = f"""import os, socket, time
open('/tmp/gift', 'w').write('answers')
open('/tmp/home/numpy.py', 'w').write('raise SystemExit')
if os.fork() == 0:
    os.setsid()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind('\\0gift')
    listening.listen()
    time.sleep(60)
    os._exit(0)
{RIGHT_CHANGE}"""
    return as_data(answered(lesson(NAME), **{CHANGE: source, PREDICTION: True}))


def memory_that_nobody_has():
    source = "import os\nkept = [os.memfd_create(str(number)) for number in range(20)]\n"
    source += "for fd in kept:\n    for _ in range(32): os.write(fd, bytes(2**20))\n"
    source = f"if True:\n{indent(source + RIGHT_CHANGE, '    ')}"  # of one piece: what stands below is else taken
    return as_data(answered(lesson(NAME), **{CHANGE: source, PREDICTION: True}))


def many_axes():
    return as_data(answered(lesson(NAME), **{CHANGE: f"def {CHANGE}(*a): return np.zeros((6,) * 7)", PREDICTION: True}))


def a_formula_without_end():
    notebook = all_right(lesson(NAME))
    cell(notebook, WRITTEN).source = "$" + r"\hat" * 490 + "x$ and $" + r"\frac" * 390 + "$"
    return as_data(notebook)


def another_encoding():
    return "\ufeff{}".encode("utf-16-le")


def depth():
    return b'{"a":' * 100_000


ATTACKS = {  # how the file is made, the score that is due, the statuses that it may have
    forged_metadata: (0, {"wrong"}),
    checks_of_ones_own: (0, {"wrong"}),
    odd_json: (5, {"passed"}),
    version_3: (5, {"passed"}),
    by_heart: (2, {"wrong"}),
    a_larger_scale: (2, {"wrong"}),
    a_gift: (5, {"passed"}),
    memory_that_nobody_has: (2, {"raised", "out of memory", "not defined", "not attempted"}),
    many_axes: (2, {"shape", "wrong"}),
    a_formula_without_end: (5, {"passed"}),
    another_encoding: (0, {"empty", "not a notebook"}),
    depth: (0, {"not a notebook"}),
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_gains_nothing_and_the_neighbours_have_what_is_due(grade, alone, tmp_path, attack):
    submitted = tmp_path / "submitted"
    hand_in_neighbours(submitted)
    write(submitted, "mallory", attack())
    score, statuses = ATTACKS[attack]
    rows = grade(submitted)
    assert {name: rows[name] for name in NEIGHBOURS} == alone
    assert set(rows) == {*NEIGHBOURS, "mallory"}
    assert float(rows["mallory"]["score"]) == score, rows["mallory"]
    assert rows["mallory"]["status"] in statuses
    with Gradebook(f"sqlite:///{tmp_path}/course/gradebook.db") as gradebook:
        entered = {s.student.id: (s.score, s.max_score) for s in gradebook.assignment_submissions(NAME)}
    assert entered == {"ada": (5, 7), "mallory": (score, 7), "zoe": (2, 7)}
    page = (tmp_path / f"out/feedback/mallory/{NAME}.html").read_bytes()
    assert len(page) < 2**20
    assert b"HIDDEN" not in page


class _Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


PAINT = """</div></section></main><h1 id="score" class="score">7 of 7 points</h1><style>*{display:none}</style>
<script>alert(1)</script><svg onload=alert(1)><math><mtext></math><img src=x onerror=alert(1)></svg>
<img title='a class="' alt="b" height="' style=position:fixed;inset:0;background:red z='"> it's
<a href="javascript:alert(1)" onclick=alert(1)>x</a> [y](javascript:alert(1)) <iframe src=//evil></iframe>
$\\href{javascript:alert(1)}{x}$ $\\style{color:red}{x}$ $\\text{</span><script>alert(1)</script>}$ <base href=//evil>
<form action=//evil><input name=q></form><meta http-equiv=refresh content=0> ![z](http://evil/z.png) <!-- -->"""


def test_what_a_student_writes_draws_and_says_is_only_shown(grade, alone, tmp_path):
    """A page is the one place where what a stranger wrote meets the browser of somebody else."""
    submitted, notebook = tmp_path / "submitted", wrong()
    hand_in_neighbours(submitted)
    cell(notebook, WRITTEN).source = PAINT
    giant = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60_000, 60_000) + b"<script>alert(1)</script>"
    picture = base64.b64encode(giant).decode()
    draw = f"from IPython.display import display, Image\ndisplay({{'image/png': {picture!r}}}, raw=True)\n"
    with_cells(notebook, f"{draw}raise ValueError('<script>alert(1)</script>')", "print('</pre><script>alert(1)')")
    write(submitted, "mallory", notebook)
    rows = grade(submitted)
    assert {name: rows[name] for name in NEIGHBOURS} == alone
    for path in (tmp_path / f"out/feedback/mallory/{NAME}.html", tmp_path / "out/report.html"):
        tags = _Tags(path.read_text("utf-8")).found
        assert not {tag for tag, _ in tags} & {"script", "iframe", "form", "input", "base", "svg", "object", "link"} - (
            {"svg"} if path.name == "report.html" else set()  # its own histograms
        )
        assert sum(tag == "style" for tag, _ in tags) == 1
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
        assert all(re.match(r"https?:|#|mailto:|feedback/|\w", a.get("href", "#")) for _, a in tags)
        assert not any("javascript:" in str(value) for _, a in tags for value in a.values())
        assert all(a.get("src", "data:image/png;").startswith("data:image/") for _, a in tags)
        assert not any(picture in str(a.get("src")) for _, a in tags)
    page = (tmp_path / f"out/feedback/mallory/{NAME}.html").read_text("utf-8")
    theirs = page[page.index('class="cell written"') :]
    theirs = _Tags(theirs[theirs.index('<div class="text">') + 18 : theirs.index("Not read yet")]).found
    assert {name for _, attributes in theirs for name in attributes} <= HARMLESS | {"class", "stretchy"}
    assert not any(attributes.get("id") or "style" in attributes for _, attributes in theirs)


def test_names_that_mean_something_elsewhere_are_names(grade, tmp_path):
    names = ["Eve [x]", "{0}", "Ada  L", "Ada L", "学" * 90, "=1+1"]
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(f"{name}/{NAME}/{NAME}.ipynb", as_data(all_right(lesson(NAME)) if number % 2 else wrong()))
    rows = grade(tmp_path / "class.zip")
    assert sorted(float(row["score"]) for row in rows.values()) == [0] * 3 + [5] * 3
    assert rows["Ada L"]["score"] == "5"
    assert grade(tmp_path / "class.zip") == rows
    assert len((tmp_path / "out/log.csv").read_bytes().splitlines()) == len(names) + 1
    for path in (tmp_path / "out/grades.csv", *(tmp_path / "out/export").iterdir()):
        with open(path, encoding="utf-8", newline="") as file:
            assert not any(cell.startswith(("=", "-", "+", "@")) for line in csv.reader(file) for cell in line)


def test_a_link_that_is_put_in_after_the_scan_is_not_followed(grade, alone, tmp_path, monkeypatch):
    submitted, whole = tmp_path / "submitted", collect.collect
    hand_in_neighbours(submitted)
    path = write(submitted, "mallory", wrong())

    def swapped(*arguments):
        found = whole(*arguments)
        path.unlink()
        path.symlink_to(submitted / f"ada/{NAME}/{NAME}.ipynb")
        return found

    monkeypatch.setattr(classroom.collect, "collect", swapped)
    rows = grade(submitted)
    assert {name: rows[name] for name in NEIGHBOURS} == alone
    assert (rows["mallory"]["score"], rows["mallory"]["status"]) == ("0", "no access")


def test_cells_that_hang_when_they_run_again_do_not_outlive_the_deadline(warm, monkeypatch):
    """They pass at first, because a cell before them, which is not run again, left something behind. Then it was 2 s
    and more for each of up to 1000 cells, after the deadline: half an hour for one submission."""
    monkeypatch.setattr(warm, "limits", replace(warm.limits, cell_seconds=0.5, total_seconds=2))
    hang = "if 'x' not in globals():\n    import signal\n    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    sources = [f"{hang}    while True: pass\n# {number}" for number in range(8)]
    notebook = answered(lesson(NAME), **{CHANGE: f"import os\ndef {CHANGE}(*a): os._exit(0)", PREDICTION: True})
    with_cells(notebook, "from pgcourse.judging.calling import TimedOut\nx = 1\nraise TimedOut", *sources, at=1)
    started = time.monotonic()
    result = graded(lesson(NAME), notebook, warm)
    assert time.monotonic() - started < 2 + 5
    assert result["score"] == 0
