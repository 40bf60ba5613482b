"""Makes tests/data/0.1.0.tar.xz: what learners and instructors of 0.1.0 have on their disks, for tests/test_upgrade.py.

In a checkout of 0.1.0 (commit b67f9e0) after `make install`, with HERE for this checkout:

    .venv/bin/python HERE/tools/pack_0_1_0.py HERE/tests/data/0.1.0.tar.xz

edition/    the lessons as `pgcourse release` gives them out
solved/     the same with the course's own answers
half/       the same half done: answers right, wrong and left out in turn, with notes, cells and edits of the learner's;
            said.json is what `check` said of each, {exercise: status}
work/       a copy that `pgcourse lab` made, with lesson 5 half done, a file of the learner's, and the progress of half/
saved.zip   of that copy, by `backup.save`
submitted/  a class of one lesson, and a stray
graded/     by `pgcourse grade submitted --out graded`, run three times: before the second somebody hands in again,
            before the third somebody is given points by hand

Nothing but ids, times and seconds differs from run to run. Of the course's source only lesson 5 keeps its outputs: the
results are named by its bytes, and nobody handed in another one.
"""

import ast
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import nbformat

CHECKOUT = Path.cwd()
MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
EDITED = "05_gradient_step"
NOTE = "*My note:* come back to this one, and ask about the sign."
OWN = """\
# my own, to try things
import pgcourse.backup
from pgcourse import checking, estimators as est, exact as e

checking.progress()
levers, coin = pgcourse.mdp.two_armed(), pgcourse.policies.SoftmaxTable(2, 2)
print(e.expectation(lambda batch: est.scores(coin, batch).sum(1), levers, coin))
print(est.standardised(np.array([[1.0, 2.0]]), np.array([[True, True]])))"""


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def said(notebook):
    """{exercise: status} as `check` sees the answers in a notebook; what the learner added runs too."""
    imports, *others = (cell for cell in notebook.cells if cell.cell_type == "code")
    names, statuses = {}, {}
    for cell in [imports, *(cell for cell in others if grade_id(cell) or cell.id == "my-own")]:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                exec(cell.source, names)
                status = "passed" if printed.getvalue().startswith("✓") else "not attempted"
            except AssertionError as failed:
                status = failed.verdict.status
        if grade_id(cell).startswith("check-"):
            statuses[grade_id(cell).removeprefix("check-")] = status
    return statuses


def turned(source):
    """An answer that returns minus what it should."""
    tree = ast.parse(source)
    *_, last = (node for node in ast.walk(tree) if isinstance(node, ast.Return))
    last.value = ast.UnaryOp(ast.USub(), last.value)
    return ast.unparse(ast.fix_missing_locations(tree))


def filled(blank, answers, half=None):
    """The notebook with answers {grade_id: source}; half: the number of the lesson, of which every third is right."""
    notebook = nbformat.from_dict(blank)
    open_cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    for place, cell in enumerate(open_cells):
        if cell.cell_type == "markdown":
            cell.source = "In my own words: the mean stays, the noise goes."
        elif half is None or (place + half) % 3 == 0:
            cell.source = answers[grade_id(cell)]
        elif (place + half) % 3 == 1:
            cell.source = turned(answers[grade_id(cell)])
    if half is not None:
        plain = [cell for cell in notebook.cells if cell.cell_type == "code" and not grade_id(cell)]
        plain[-1].source += "\n# what if I change this?"
        notebook.cells.insert(2, nbformat.v4.new_markdown_cell(NOTE, id="a-note"))
        notebook.cells.append(nbformat.v4.new_code_cell(OWN, id="my-own"))
    return notebook


def write_notebook(path, notebook):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def pgcourse(*words):
    subprocess.run([Path(sys.executable).with_name("pgcourse"), *words], check=True)


def editions():
    for path in sorted(Path("edition").glob("*.ipynb")):
        blank, source = nbformat.read(path, 4), nbformat.read(CHECKOUT / "notebooks" / path.name, 4)
        answers = {grade_id(cell): MARKERS.sub("", cell.source) for cell in source.cells}
        write_notebook(Path("solved") / path.name, filled(blank, answers))
        write_notebook(Path("half") / path.name, filled(blank, answers, int(path.name[:2])))


def working_copy():
    from pgcourse import backup, lab

    home, statuses = Path.cwd(), {}
    os.chdir(lab.prepare("work"))
    for path in sorted((home / "half").glob("*.ipynb")):
        statuses |= said(nbformat.read(path, 4))
    Path(f"{EDITED}.ipynb").write_bytes((home / f"half/{EDITED}.ipynb").read_bytes())
    Path("thoughts.md").write_text("# What I do not see yet\n")
    backup.save(home / "saved.zip")
    os.chdir(home)
    Path("half/said.json").write_text(json.dumps(statuses, indent=1) + "\n")


def graded_class():
    sys.path.insert(0, str(CHECKOUT / "tests"))
    from classes import AVERAGED, NAME, NO_SYNTAX, RIGHT_CHANGE, RIGHT_PREDICTION, TURNED, WITHOUT_RATE, write
    from submissions import answered, lesson

    def hand_in(student, change, prediction, words=None):
        notebook = answered(lesson(NAME), log_likelihood_change=change, predicted_change=prediction)
        if words:
            notebook.cells[[grade_id(cell)[:7] for cell in notebook.cells].index("written")].source = words
        return write(Path("submitted"), student, notebook)

    def grade():
        pgcourse("grade", "submitted", "--out", "graded")

    hand_in("right", True, True, "The offset cancels.").with_name("timestamp.txt").write_text("2026-10-01 12:00:00 UTC")
    hand_in("twice", TURNED, True)
    hand_in("wrong", AVERAGED, WITHOUT_RATE)
    hand_in("blank", None, None)
    hand_in("broken", NO_SYNTAX, True)
    write(Path("submitted"), "torn", b"{ not json")
    write(Path("submitted"), "stray", b"{}", "99_other")
    grade()
    hand_in("twice", RIGHT_CHANGE, RIGHT_PREDICTION)
    grade()
    give("right", NAME, 1.5, "well said")
    grade()
    for path in Path("graded/course/source").glob("*/*.ipynb"):
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells if path.stem != NAME else ():
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        write_notebook(path, notebook)


def give(student, lesson, points, comment):
    """What an instructor does in Formgrader."""
    from nbgrader.api import Gradebook

    with Gradebook("sqlite:///graded/course/gradebook.db") as gradebook:
        grade = gradebook.find_grade("written-gradient-step", lesson, lesson, student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_comment("written-gradient-step", lesson, lesson, student).manual_comment = comment
        gradebook.db.commit()


def packed(path, members):
    def plain(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(path, "w:xz", preset=9) as archive:
        for member in members:
            archive.add(member, filter=plain)


def main(out):
    out = Path(out).absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pgcourse("release", "edition")
        editions()
        working_copy()
        graded_class()
        here = [str(place).encode() for place in (folder, CHECKOUT, Path.home())]
        for path in Path().rglob("*"):
            if path.is_file() and any(place in path.read_bytes() for place in here):
                raise SystemExit(f"{path} names a folder of this machine")
        packed(out, sorted(map(str, Path().iterdir())))
        os.chdir(CHECKOUT)


if __name__ == "__main__":
    main(sys.argv[1])
