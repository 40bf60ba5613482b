"""The notebooks as a learner gets them: exercises that agree with `pgcourse.exercises`, and blanks that run."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from pgcourse.exercises import EXERCISES
from tools.execute_notebooks import KERNEL_ENVIRONMENT

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
LESSON = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, 4)


def graded(notebook):
    """grade_id → (position, cell) of the notebook's nbgrader cells."""
    cells = enumerate(notebook.cells)
    return {cell.metadata.nbgrader.grade_id: (i, cell) for i, cell in cells if "nbgrader" in cell.metadata}


def exercises_of(path):
    return [exercise for exercise in EXERCISES.values() if exercise.lesson == int(path.name[:2])]


@pytest.fixture(scope="module")
def kernel():
    """One for all that runs here: it is emptied before each."""
    manager, client = start_new_kernel(cwd=str(NOTEBOOKS), env=os.environ | KERNEL_ENVIRONMENT)
    yield manager
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(notebook, kernel):
    """Executes the notebook in place; a cell that fails without being meant to raises."""
    notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    NotebookClient(notebook, km=kernel, timeout=120).execute()
    return notebook


def printed(cell):
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(texts)


def test_every_lesson_with_exercises_has_its_notebook():
    assert {exercise.lesson for exercise in EXERCISES.values()} <= {int(path.name[:2]) for path in PATHS}


@LESSON
def test_exercises_are_listed_as_the_lesson_asks_them(path):
    asked = [name for name in graded(read(path)) if name in EXERCISES]
    assert asked == [exercise.name for exercise in exercises_of(path)]
    assert len({exercise.place for exercise in exercises_of(path)}) == len(asked)


@LESSON
def test_exercises_stand_in_the_notebook_as_they_are_registered(path):
    notebook = read(path)
    cells = graded(notebook)
    names = {name.removeprefix("check-") for name in cells if name.startswith("check-")}
    assert names == {exercise.name for exercise in exercises_of(path)}
    for exercise in exercises_of(path):
        position, solution = cells[exercise.name]
        _, check = cells[f"check-{exercise.name}"]
        assert solution.metadata.nbgrader.solution
        assert not solution.metadata.nbgrader.grade
        assert (check.metadata.nbgrader.grade, check.metadata.nbgrader.locked) == (True, True)
        assert check.metadata.nbgrader.points == exercise.points
        assert check.source.startswith(f'check({exercise.name}, "{exercise.name}")\n### BEGIN HIDDEN TESTS\n')
        assert f'check({exercise.name}, "{exercise.name}", seed=grading_seed())' in check.source
        header = next(c.source for c in reversed(notebook.cells[:position]) if f"· `{exercise.name}`" in c.source)
        dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        points = "1 point" if exercise.points == 1 else f"{exercise.points} points"
        assert f"*{dots} · {points} · {exercise.minutes} minutes*" in header
        assert header.count("<details>") == 3, "an exercise has three folded hints"


@LESSON
def test_each_lesson_asks_one_written_question(path):
    by_hand = [cell for _, cell in graded(read(path)).values() if cell.cell_type == "markdown"]
    assert len(by_hand) == 1
    for cell in by_hand:
        assert cell.metadata.nbgrader.solution
        assert cell.metadata.nbgrader.grade
        assert cell.metadata.nbgrader.points > 0


@LESSON
def test_blank_notebook_runs_top_to_bottom(path, kernel):
    notebook = read(path)
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    assert "SOLUTION" not in "".join(cell.source for cell in notebook.cells)
    cells = graded(run(notebook, kernel))
    for exercise in exercises_of(path):
        assert re.search("not attempted yet", printed(cells[f"check-{exercise.name}"][1]))


@LESSON
def test_exercises_need_only_the_imports_and_earlier_exercises(path, kernel):
    notebook = read(path)
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert re.match(r"(import|from) ", imports.source)
    notebook.cells = [imports, *(cell for _, cell in graded(notebook).values() if cell.cell_type == "code")]
    cells = graded(run(notebook, kernel))
    for exercise in exercises_of(path):
        assert exercise.name in printed(cells[f"check-{exercise.name}"][1])
