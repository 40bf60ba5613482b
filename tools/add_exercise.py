"""Puts an exercise into its lesson: text, solution and check as the cells that nbgrader needs, executed.

    .venv/bin/python -m tools.add_exercise NAME TEXT.md CELL

TEXT.md says what to write, with three folded hints, and ends in the solution as a block of Python, between the markers.
The cells come after those of the cell whose id, or whose exercise, is CELL. Nothing is written while a mistake of the
exercise is not told apart, or a right answer fails.
"""

import os
import re
import sys
from pathlib import Path

import nbformat

from pgcourse.exercises import EXERCISES
from pgcourse.judging.__main__ import matrix, problems
from tools.execute_notebooks import KERNEL_ENVIRONMENT, execute

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TEXT = re.compile(r"(?P<statement>.*)^```python\n(?P<solution>.*)^```\s*\Z", re.DOTALL | re.MULTILINE)
CHECK = """\
check({name}, "{name}")
### BEGIN HIDDEN TESTS
from pgcourse.checking import grading_seed

check({name}, "{name}", seed=grading_seed())
### END HIDDEN TESTS"""


def cells(exercise, text):
    """The three cells of an exercise. Raises ValueError where the text lacks something."""
    parts = TEXT.match(text)
    if parts is None or "### BEGIN SOLUTION" not in parts["solution"]:
        raise ValueError(
            "the text ends otherwise, expected a block of Python with ### BEGIN SOLUTION and ### END SOLUTION"
        )
    name, points = exercise.name, f"{exercise.points} point{'s' * (exercise.points != 1)}"
    dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    head = f"### Exercise · `{name}`\n\n*{dots} · {points} · {exercise.minutes} minutes*\n\n"
    common = {"schema_version": 3, "task": False}
    solution = {"grade": False, "grade_id": name, "locked": False, "solution": True, **common}
    check = {"grade": True, "grade_id": f"check-{name}", "locked": True, "solution": False, "points": exercise.points}
    slug = name.replace("_", "-")
    return [
        nbformat.v4.new_markdown_cell(head + parts["statement"].strip(), id=f"exercise-{slug}"),
        nbformat.v4.new_code_cell(parts["solution"].strip(), id=slug, metadata={"nbgrader": solution}),
        nbformat.v4.new_code_cell(CHECK.format(name=name), id=f"check-{slug}", metadata={"nbgrader": check | common}),
    ]


def add(name, text, after):
    """Writes the exercise into its notebook, and returns the notebook's path. Raises ValueError before it writes."""
    exercise = EXERCISES[name]
    if any(problems(exercise)):
        raise ValueError(f"its mistakes are not told apart yet\n{matrix([exercise])}")
    [path] = NOTEBOOKS.glob(f"{exercise.lesson:02}_*.ipynb")
    notebook = nbformat.read(path, 4)
    names = [(cell.id, cell.metadata.get("nbgrader", {}).get("grade_id")) for cell in notebook.cells]
    places = [place for place, known in enumerate(names, 1) if after in known or f"check-{after}" in known]
    if not places:
        raise ValueError(f"CELL is {after!r}, expected one of {', '.join(known[0] for known in names)}")
    notebook.cells[places[-1] : places[-1]] = cells(exercise, text)
    nbformat.write(notebook, path)
    return path


if __name__ == "__main__":
    name, text, after = sys.argv[1:]
    try:
        path = add(name, Path(text).read_text(encoding="utf-8"), after)
    except ValueError as error:
        sys.exit(f"{name}: {error}")
    os.environ.update(KERNEL_ENVIRONMENT)
    for changed in sorted({path, *NOTEBOOKS.glob("00_*.ipynb")}):  # lesson 0 counts the exercises of all
        execute(changed)
    mistakes, right = len(EXERCISES[name].misconceptions), len(EXERCISES[name].accepts)
    print(f"{name}: {mistakes} mistakes told apart, {right} right answers pass; added to {path.name} and executed")
