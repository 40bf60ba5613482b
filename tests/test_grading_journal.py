"""What names a result: a submission, and what of the course it is held against."""

import json
import shutil

import nbformat
import pytest
from classes import NAME, hand_in
from submissions import NOTEBOOKS, all_right, as_data, lesson

from pgcourse.grading import classroom, journal, workers
from pgcourse.grading.gradebook import Course
from pgcourse.grading.submission import reassemble


def executed(notebook):
    """As JupyterLab leaves it after *Run all* and one Shift + Enter too many."""
    for number, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = number + 1
        cell.outputs = [nbformat.v4.new_output("stream", text="ran in the instructor's kernel")]
        cell.metadata["execution"] = {"shell.execute_reply": "2026-11-26T12:00:00Z"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13.1"}
    notebook.cells.append(nbformat.v4.new_code_cell())
    return notebook


def change(path, how):
    nbformat.write(how(nbformat.read(path, 4)), path)


def with_another_check(notebook):
    cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade"))
    cell.source += "\nassert True"
    return notebook


@pytest.mark.parametrize("folder", ["source", "release"])
@pytest.mark.parametrize(("how", "graded"), [(executed, 0), (with_another_check, 2)])
def test_running_the_courses_notebooks_regrades_nobody(
    submitted, course, tmp_path, in_this_process, folder, how, graded
):
    hand_in(submitted, 2, special=False)
    first = classroom.grade_class([submitted], tmp_path / "out", course)
    change(course / folder / NAME / f"{NAME}.ipynb", how)
    second = classroom.grade_class([submitted], tmp_path / "out", course)
    assert (first.graded, second.graded) == (2, graded)
    assert [row["score"] for row in second.rows] == [row["score"] for row in first.rows]


def test_outputs_do_not_travel_to_workers(submitted, course, tmp_path, in_this_process, monkeypatch):
    hand_in(submitted, 1, special=False)
    change(course / "source" / NAME / f"{NAME}.ipynb", executed)
    tasks, whole = [], workers.graded
    monkeypatch.setattr(workers, "graded", lambda client, given: whole(client, tasks.extend(given) or tasks))
    classroom.grade_class([submitted], tmp_path / "out", course)
    [(_, make)] = tasks
    assert "predicted_change" in make().source
    assert "ran in the instructor's kernel" not in make().source


def test_a_result_under_the_name_that_0_1_0_gave_it_is_known(submitted, course, tmp_path, in_this_process):
    hand_in(submitted, 1, special=False)
    out = tmp_path / "out"
    classroom.grade_class([submitted], out, course)
    [path] = (out / "results").iterdir()
    [(student, data)] = [(p.parents[1].name, p.read_bytes()) for p in submitted.glob(f"*/{NAME}/*.ipynb")]
    against = Course(course).prepare([NAME])[NAME]
    texts = [(course / folder / NAME / f"{NAME}.ipynb").read_text() for folder in ("source", "release")]
    old = journal.key_of(student, NAME, data, json.dumps([None, ""]), *texts, against.secret)
    assert old != path.stem
    path.rename(path.with_stem(old))
    log = out / "log.csv"
    log.write_text(log.read_text().replace(path.stem, old))
    before = log.read_bytes()
    assert classroom.grade_class([submitted], out, course).graded == 0
    assert log.read_bytes() == before


def test_a_course_that_was_made_on_the_way_stays_as_it_is(submitted, course, tmp_path, in_this_process):
    hand_in(submitted, 1, special=False)
    shutil.copytree(course, tmp_path / "out/course")
    source = tmp_path / "out/course/source" / NAME / f"{NAME}.ipynb"
    change(source, with_another_check)
    before = source.read_bytes()
    for graded in (1, 0):
        assert classroom.grade_class([submitted], tmp_path / "out").graded == graded
    assert source.read_bytes() == before


def test_a_new_column_of_the_table_leaves_the_log_as_it_was(submitted, course, tmp_path, in_this_process, monkeypatch):
    hand_in(submitted, 1, special=False)
    classroom.grade_class([submitted], tmp_path / "out", course)
    log = (tmp_path / "out/log.csv").read_bytes()
    monkeypatch.setattr(journal, "COLUMNS", (*journal.COLUMNS, "cpu"))
    assert classroom.grade_class([submitted], tmp_path / "out", course, again=True).graded == 1
    assert (tmp_path / "out/grades.csv").read_text().splitlines()[0].endswith("seconds,cpu")
    header, *lines = (tmp_path / "out/log.csv").read_text().splitlines()
    assert (tmp_path / "out/log.csv").read_bytes().startswith(log)
    assert {line.count(",") for line in lines} == {header.count(",")}
    assert classroom.grade_class([submitted], tmp_path / "out", course).graded == 0


@pytest.mark.parametrize("name", [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_what_is_in_shape_already_stays_so(name):
    """nbgrader's own commands have it put in shape twice; the hidden cases depend on every letter of it."""
    course = lesson(name)
    notebook = all_right(course)
    twice_there = nbformat.from_dict({**notebook.cells[-1], "id": "pasted"})
    notebook.cells[2:2] = [nbformat.v4.new_markdown_cell("a note"), nbformat.v4.new_code_cell("1"), twice_there]
    del notebook.cells[-2]
    once, _, refusal = reassemble(course, as_data(notebook))
    twice, remarks, _ = reassemble(course, as_data(once))
    assert refusal is None
    assert twice == once
    assert remarks == []
