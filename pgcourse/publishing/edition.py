"""The student edition, made from the source notebooks by nbgrader's own preprocessors."""

import ast
import logging
import re
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbconvert.exporters import NotebookExporter
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import SaveCells
from traitlets.config import Config

from pgcourse.exercises import EXERCISES
from pgcourse.publishing import manifest
from pgcourse.publishing.settings import ReleaseError, configure_edition

_MARKS = re.compile(r"\b(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)\b")
_TRACES = re.compile(r"\b(BEGIN|END)[\W_]{1,3}(SOLUTION|HIDDEN|MARK[\W_]?SCHEME)", re.IGNORECASE)
_SOLUTION = re.compile(r"^.*BEGIN SOLUTION.*\n((?:.*\n)*?).*END SOLUTION.*$", re.MULTILINE)
_LINK = re.compile(r"(\]\(|href=[\"'])(?:\.\./(\w+)/)?(\w+)\.ipynb\b")
TELLING = 20  # characters: what is shorter, as `return x`, may stand anywhere without giving a solution away


# Source


def read_sources(folder=None):
    """{lesson: notebook} of a folder of source notebooks, in order."""
    paths = sorted(Path(folder or manifest.source_folder()).glob("*.ipynb"))
    if not paths:
        raise ReleaseError(f"{folder} holds no notebook")
    return {path.stem: read_notebook(path) for path in paths}


def read_notebook(path):
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise ReleaseError(f"{path} is not a notebook: {str(error).splitlines()[0]}") from None
    return notebook


def relink(notebook, layout):
    """A copy whose links to other lessons fit a "flat" folder, or nbgrader's "nested" ones."""
    notebook = nbformat.from_dict(notebook)
    target = r"\1\3.ipynb" if layout == "flat" else r"\1../\3/\3.ipynb"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(target, cell.source)
    return notebook


def flat_links(text):
    """A text as it stands in a flat folder: what differs in nothing but where its links lead is the same then."""
    return _LINK.sub(r"\1\3.ipynb", text) if ".ipynb" in text else text


def as_bytes(notebook):
    return (nbformat.writes(notebook) + "\n").encode()


# Edition


def edition(lessons, settings=None):
    """{lesson: student's notebook} from {lesson: source notebook}, with nbgrader's settings (ours unless given).

    Raises ReleaseError, which names all that is wrong.
    """
    problems = [problem for stem, notebook in lessons.items() for problem in _source_problems(stem, notebook)]
    if problems:
        raise ReleaseError("\n".join(problems))
    students = {
        stem: _student_version(stem, notebook, settings or _edition_settings()) for stem, notebook in lessons.items()
    }
    solutions = [solution for notebook in lessons.values() for solution in _solutions(notebook)]
    for stem, notebook in students.items():
        problems += _student_problems(stem, notebook, solutions)
    if problems:
        raise ReleaseError("\n".join(problems))
    return students


def _edition_settings():
    settings = Config()
    configure_edition(settings)
    return settings


def _student_version(stem, notebook, settings):
    """What nbgrader's `generate_assignment` makes of a notebook, without its database."""
    exporter = NotebookExporter(config=settings, default_preprocessors=[], log=logging.Logger("pgcourse.release"))
    for preprocessor in GenerateAssignment.preprocessors.default():
        if preprocessor is not SaveCells:
            exporter.register_preprocessor(preprocessor)
    try:
        text, _ = exporter.from_notebook_node(notebook)
    except Exception as error:  # nbgrader raises many kinds
        raise ReleaseError(f"{stem}: nbgrader refuses it: {error}") from error
    student = nbformat.reads(text, as_version=4)
    student.metadata.language_info = {"name": "python"}  # else the Python that executed the source shows in the bytes
    return student


def _lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def _solutions(notebook):
    """The lines of each solution that are long enough to be recognised."""
    bodies = (_lines(body) for cell in notebook.cells for body in _SOLUTION.findall(cell.source))
    return [body for body in bodies if sum(map(len, body)) >= TELLING]


def _place(stem, cell):
    return f"{stem}, cell {cell.metadata.get('nbgrader', {}).get('grade_id') or cell.id}"


def _source_problems(stem, notebook):
    ids = grade_ids(notebook)
    for grade_id in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"{stem}, cell {grade_id}: {ids.count(grade_id)} cells have this grade_id, expected each its own"
    for cell in notebook.cells:
        place, graded = _place(stem, cell), cell.metadata.get("nbgrader", {})
        marks = [" ".join(mark) for mark in _MARKS.findall(cell.source)]
        pairs = list(zip(marks[::2], marks[1::2], strict=False))
        if len(marks) % 2 or any(b[:6] != "BEGIN " or e != "END " + b[6:] for b, e in pairs):
            yield f"{place}: its markers are {', '.join(marks)}, expected BEGIN and END in turn"
        if "BEGIN SOLUTION" in marks and not graded.get("solution"):
            yield f"{place}: a solution stands in a cell that is not marked as one (nbgrader's metadata)"
        if "BEGIN HIDDEN TESTS" in marks and not graded.get("grade"):
            yield f"{place}: hidden tests stand in a cell that is not graded (nbgrader's metadata)"
        if graded.get("solution") and graded["grade_id"] in EXERCISES and "BEGIN SOLUTION" not in marks:
            yield f"{place}: no solution is marked in it, so nbgrader would blank the whole cell"
        prefix, _, name = graded.get("grade_id", "").partition("check-")
        exercise = None if prefix else EXERCISES.get(name)
        if exercise and graded.get("points") != exercise.points:
            yield f"{place}: {graded.get('points')} points, expected {exercise.points} as in pgcourse.exercises"


def grade_ids(notebook):
    return [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]


def _student_problems(stem, notebook, solutions):
    for cell in notebook.cells:
        place, lines = _place(stem, cell), _lines(cell.source)
        trace = _TRACES.search(cell.source)
        if trace:
            yield f"{place}: {trace.group()!r} is left over: is a marker misspelt?"
        for body in solutions:
            if any(lines[i : i + len(body)] == body for i in range(len(lines) - len(body) + 1)):
                yield f"{place}: says word for word a solution, {body[0]!r} …: expected it nowhere in the edition"
        if cell.cell_type == "code":
            try:
                ast.parse(TransformerManager().transform_cell(cell.source))
            except SyntaxError as error:
                yield f"{place}: does not parse without its solution: {error.msg}, line {error.lineno}"
