"""The student edition, made from the source notebooks by nbgrader's own preprocessors, and the instructor's course.

A course folder is nbgrader's: source/LESSON/LESSON.ipynb, release/ likewise, the gradebook, nbgrader_config.py. The
edition is flat: LESSON.ipynb beside each other. Both come out of the same source, and the same source gives the same
bytes. All that could be wrong with a source is found before anything is written.
"""

import ast
import logging
import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbconvert.exporters import NotebookExporter
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveCells
from traitlets.config import Config, PyFileConfigLoader

import pgcourse
from pgcourse import workcopy
from pgcourse.exercises import EXERCISES
from pgcourse.grading import configure, configure_edition

CONFIG_NAME = "nbgrader_config.py"
COURSE_MANIFEST = ".pgcourse-course.json"
CONFIG = """# nbgrader's settings for this course: what pgcourse needs, then your own.
from pgcourse.grading import configure

c = get_config()  # noqa: F821
configure(c)
"""
README = """# Policy gradients: your copy of the course

Open `00_start_here.ipynb` in JupyterLab, or run `pgcourse lab` with the name of this folder. The lessons are numbered.

What you write here is yours: `pgcourse lab --update` brings newer versions of the lessons that you have not changed and
leaves all other files alone. The file `.pgcourse` tells them apart, and `.pgcourse-progress.json` remembers what you
have passed: keep both with the lessons when you move the folder.
"""

_MARKS = re.compile(r"\b(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)\b")
_TRACES = re.compile(r"\b(BEGIN|END)[\W_]{1,3}(SOLUTION|HIDDEN|MARK[\W_]?SCHEME)", re.IGNORECASE)
_SOLUTION = re.compile(r"^.*BEGIN SOLUTION.*\n((?:.*\n)*?).*END SOLUTION.*$", re.MULTILINE)
_LINK = re.compile(r"(\]\(|href=[\"'])(?:\.\./(\w+)/)?(\w+)\.ipynb\b")
TELLING = 20  # characters: what is shorter, as `return x`, may stand anywhere without giving a solution away


class ReleaseError(ValueError):
    """No edition is made of this source, or not in this place; str() lists the reasons, one a line."""


def release(out, course=None, update=False, source=None):
    """Writes the student edition to the folder `out`, flat, and nothing else; returns the `workcopy.Update`.

    course   the instructor's folder, made or renewed too: its source/ is then what the edition is made of
    update   whether folders that are not empty may be written to; what was changed in them is kept
    source   a folder of source notebooks, instead of the package's own
    Raises ReleaseError.
    """
    out = Path(out).absolute()
    if course is not None and _inside(Path(course), out):
        raise ReleaseError(f"{course} is inside {out}: the edition would give the course's solutions away")
    if _inside(out, Path(source or workcopy.source_folder())) or out.resolve() == workcopy.checkout():
        raise ReleaseError(f"{out} is where the source notebooks are: choose another folder for the edition")
    _refuse_to_write(out, update)
    lessons, settings, identity = read_sources(source), None, _identity(source)
    if course is not None:
        lessons, settings = make_course(course, update, source)
    students = edition(lessons, settings)
    files = {f"{stem}.ipynb": as_bytes(relink(notebook, "flat")) for stem, notebook in students.items()}
    return workcopy.place(out, {"README.md": README.encode(), **files}, identity)


def _identity(source):
    return {"version": pgcourse.__version__, "source": workcopy.source_digest(source)}


def _inside(inner, outer):
    return inner.resolve().is_relative_to(outer.resolve())


def _refuse_to_write(folder, update):
    if os.path.lexists(folder) and not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder")
    if not update and folder.is_dir() and any(folder.iterdir()):
        raise ReleaseError(
            f"{folder} is not empty: add --update to renew what is unchanged in it, or name another folder"
        )


# Source


def read_sources(folder=None):
    """{lesson: notebook} of a folder of source notebooks, in order."""
    paths = sorted(Path(folder or workcopy.source_folder()).glob("*.ipynb"))
    if not paths:
        raise ReleaseError(f"{folder} holds no notebook")
    return {path.stem: _read(path) for path in paths}


def _read(path):
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
    ids = _grade_ids(notebook)
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


def _grade_ids(notebook):
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


# Course


def make_course(folder, update=False, source=None, db=None):
    """Makes or renews nbgrader's folder; returns the source that is now in it, {lesson: notebook}, and its settings.

    update, source: as for `release`. db: the gradebook's address, instead of the one in the folder's settings.
    Raises ReleaseError.
    """
    folder, lessons = Path(folder).absolute(), read_sources(source)
    _refuse_to_write(folder, update)
    files = {f"source/{stem}/{stem}.ipynb": as_bytes(relink(notebook, "nested")) for stem, notebook in lessons.items()}
    lessons = lessons | _instructors_own(folder, files)
    settings = settings_of(folder, db)
    edition(lessons, settings)  # refuses before anything is written
    with nbgrader_at(folder):
        if folder.is_dir():
            _refuse_what_submissions_forbid(folder, settings, lessons)
        workcopy.place(folder, files, _identity(source), COURSE_MANIFEST)
        if not (folder / CONFIG_NAME).exists():
            workcopy.write(folder / CONFIG_NAME, CONFIG.encode())
    generate(folder, settings, lessons)
    return dict(sorted(lessons.items())), settings


def generate(folder, settings, lessons):
    """Has nbgrader make the release of lessons, and enter them in the gradebook. Raises ReleaseError."""
    with nbgrader_at(folder) as log:
        for stem in lessons:
            directory = CourseDirectory(config=settings, root=str(folder), assignment_id=stem)
            GenerateAssignment(coursedir=directory, config=settings, force=True, log=log).start()


def _instructors_own(folder, files):
    """{lesson: notebook} for what an instructor changed in, or added to, the source/ of a course."""
    names = {
        f"source/{path.stem}/{path.name}" for path in folder.glob("source/*/*.ipynb") if path.parent.name == path.stem
    }
    kept = workcopy.compare(folder, files, COURSE_MANIFEST).kept
    return {Path(name).stem: _read(folder / name) for name in names if name in kept or name not in files}


def settings_of(folder, db=None):
    """nbgrader's settings of a course folder, ours where it has none yet; db: another gradebook's address."""
    settings = Config()
    if not (folder / CONFIG_NAME).is_file():
        configure(settings)
    else:
        try:
            settings = PyFileConfigLoader(CONFIG_NAME, path=str(folder)).load_config()
        except Exception as error:  # whatever an instructor's own lines raise
            raise ReleaseError(f"{folder / CONFIG_NAME} does not run: {error!r}") from error
    if db:
        settings.CourseDirectory.db_url = db
    return settings


def _refuse_what_submissions_forbid(folder, settings, lessons):
    """nbgrader cannot add or remove cells of a lesson that somebody has handed in, and would stop half-way."""
    directory, problems = CourseDirectory(config=settings, root=str(folder)), []
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        for stem, notebook in lessons.items():
            try:
                known = gradebook.find_notebook(stem, stem)
            except MissingEntry:
                continue
            changed = {cell.name for cell in known.source_cells} ^ {*_grade_ids(notebook)}
            if known.submissions and changed:
                problems.append(
                    f"{stem}: {', '.join(sorted(changed))} came or went, but {len(known.submissions)} submissions "
                    "of it are in the gradebook: release to another --course"
                )
    if problems:
        raise ReleaseError("\n".join(problems))


@contextmanager
def nbgrader_at(folder):
    """What nbgrader needs around it: alembic on the path, and a log, whose errors come out in a ReleaseError."""
    errors = _Errors()
    log = logging.Logger("pgcourse.release")
    log.addHandler(errors)
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])
    try:
        yield log
    except NbGraderException as error:
        raise ReleaseError(f"nbgrader refuses {folder}: {errors.said or error}") from error
    finally:
        os.environ["PATH"] = path


class _Errors(logging.Handler):
    said = ""

    def __init__(self):
        super().__init__(logging.ERROR)

    def emit(self, record):
        if "Traceback" in record.getMessage():
            *_, self.said = (line for line in record.getMessage().splitlines() if line[:1] not in (" ", "\t", "(", ""))
