"""Submissions for the grading's tests: a lesson with some answers in it, as the bytes of a file."""

from pathlib import Path

import nbformat

from pgcourse.grading.judge import grade_notebook
from pgcourse.grading.submission import Lesson, label, reassemble

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def lesson(name):
    return Lesson.of(name, nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4))


def answered(course, **answers):
    """The student's notebook with these answers by the exercise's name; True stands for the right one."""
    notebook = nbformat.from_dict(course.release)
    for cell, source in zip(notebook.cells, course.source.cells, strict=True):
        answer = answers.get(label(cell).get("grade_id"))
        if answer:
            cell.source = source.source if answer is True else answer
    return notebook


def all_right(course):
    return answered(course, **{label(cell).get("grade_id", ""): True for cell in course.source.cells})


def as_data(notebook):
    return nbformat.writes(notebook).encode()


def graded(course, notebook, warm, seed=7):
    """The result of `grade` for a notebook or the bytes of a file."""
    restored, remarks, refusal = reassemble(course, notebook if isinstance(notebook, bytes) else as_data(notebook))
    return grade_notebook(course, restored, seed, warm, remarks, refusal)


def statuses(result):
    return {exercise["name"]: exercise["status"] for exercise in result["exercises"]}


def shown(result):
    """All text that the notebook of a result shows, in one."""
    parts = []
    for cell in result["notebook"].cells:
        for output in cell.get("outputs", []):
            parts += [
                output.get("text", ""),
                output.get("data", {}).get("text/plain", ""),
                *output.get("traceback", []),
            ]
    return "\n".join(parts)


def a_picture(end=b"", width=1, height=1):
    """The beginning of a PNG."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4) + height.to_bytes(4) + end
