"""nbgrader's course folder and gradebook, written by one process: a result goes in through nbgrader's own autograder.

The gradebook is the database that nbgrader's settings name (SQLite in the course folder, unless told otherwise), so
Formgrader, late penalties, feedback and export find there what they expect.
"""

import copy
import glob
import os
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from pgcourse.files import read_json, write_atomically
from pgcourse.grading.limited import OverLimit, limited
from pgcourse.grading.submission import Lesson, bare, lessons_in
from pgcourse.publishing import manifest
from pgcourse.publishing.course import generate
from pgcourse.publishing.settings import CONFIG_NAME, nbgrader_at, settings_of

STAGE = ".pgcourse-entering"  # in the course: what nbgrader is shown as submitted while a result is entered
REPLACED = "replaced"  # in the course: submissions that a newer one took the place of


class GradebookError(RuntimeError):
    """The course's gradebook cannot be used; str() says why. What has been graded is kept."""


@dataclass(frozen=True)
class HeldAgainst:
    """What a lesson's submissions are held against: its source and release without outputs, as text, and a secret.

    marks: what a result's key is made of besides the submission; it stays the same where somebody only runs the
    course's notebooks, or saves them with another program. texts: what 0.1.0 made it of.
    """

    source: str
    release: str
    secret: str
    marks: tuple[str, ...]
    texts: tuple[str, ...]


class Course:
    """An instructor's course folder. db: its gradebook's address, instead of that in its settings."""

    def __init__(self, folder, db=None):
        self.folder = Path(folder).absolute()
        if not (self.folder / CONFIG_NAME).is_file():
            raise GradebookError(
                f"{folder} is no course folder (it has no {CONFIG_NAME}): pgcourse release OUT --course "
                f"{folder} makes one"
            )
        self.settings = settings_of(self.folder, db)
        self.directory = CourseDirectory(config=self.settings, root=str(self.folder))
        folders = (self._notebook(step, ".", "*") for step in ("source", "release"))
        self.sources, self.releases = ({Path(name).stem: Path(name) for name in glob.glob(str(f))} for f in folders)

    def _notebook(self, step, student, lesson):
        step = getattr(self.directory, f"{step}_directory")
        return Path(self.directory.format_path(step, student, lesson), f"{lesson}.ipynb")

    @property
    def lessons(self):
        return sorted(name for name, path in self.sources.items() if path.parent.name == name)

    def lesson(self, name):
        """The submission.Lesson of that name."""
        return Lesson.of(name, *(nbformat.read(paths[name], 4) for paths in (self.sources, self.releases)))

    def look(self, submission):
        """{lesson: number of answers} for what a Submission is of, by what is in it; {} where it cannot be read."""
        try:
            return limited(lessons_in, self._all_lessons, submission.read())
        except (OSError, OverLimit):
            return {}

    @cached_property
    def _all_lessons(self):
        return [Lesson.of(name, nbformat.read(self.sources[name], 4)) for name in self.lessons]

    @contextmanager
    def gradebook(self):
        try:
            with (
                nbgrader_at(self.folder),
                Gradebook(self.directory.db_url, self.directory.course_id) as gradebook,
            ):
                yield gradebook
        except SQLAlchemyError as error:
            raise GradebookError(f"The gradebook does not answer: {str(error).splitlines()[0]}") from None

    def prepare(self, lessons):
        """Sees that lessons are in the gradebook and have a release; returns {lesson: HeldAgainst}."""
        with self.gradebook() as gradebook:
            known = {notebook.name for assignment in gradebook.assignments for notebook in assignment.notebooks}
        for lesson in lessons:
            if lesson not in known or lesson not in self.releases:
                generate(self.folder, self.settings, [lesson])
                self.releases[lesson] = self._notebook("release", ".", lesson)
        with self.gradebook() as gradebook:
            secrets = {lesson: gradebook.find_assignment(lesson).id for lesson in lessons}
        return {lesson: self._held_against(lesson, secrets[lesson]) for lesson in lessons}

    def _held_against(self, lesson, secret):
        texts = [paths[lesson].read_text("utf-8") for paths in (self.sources, self.releases)]
        marks = [manifest.fingerprint(f"{lesson}.ipynb", text.encode()) for text in texts]
        source, release = (nbformat.writes(bare(nbformat.reads(text, 4))) for text in texts)
        return HeldAgainst(source, release, secret, (*marks, secret), (*texts, secret))

    def file_away(self, student, lesson, data, time):
        """Puts what was handed in where nbgrader looks for it, and says where; what lay there is kept in `replaced`."""
        path = self._notebook("submitted", student, lesson)
        if path.is_symlink() or (path.exists() and path.read_bytes() != data):
            older = self._replaced(student, lesson, 1)
            older.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, older)
        if not path.exists():
            write_atomically(path, data)
        stamp = path.with_name("timestamp.txt")
        if time and not (stamp.exists() and stamp.read_bytes()[:100] == time.encode()):
            write_atomically(stamp, time.encode())
        return path

    def take_back(self, student, lesson):
        """Has what was handed in last, and what it replaced, change places."""
        path, older = self._notebook("submitted", student, lesson), self._replaced(student, lesson)
        if path.exists() and older.exists():
            newest = path.read_bytes()
            write_atomically(path, older.read_bytes())
            write_atomically(older, newest)

    def _replaced(self, student, lesson, more=0):
        """Where the last of the replaced ones is, or as many after it."""
        number = len(list(self.folder.glob(f"{REPLACED}/{glob.escape(student)}/{lesson}-*.ipynb"))) + more
        return self.folder / REPLACED / student / f"{lesson}-{number}.ipynb"

    def enter(self, student, lesson, key, result, time=""):
        """Enters a result, from anywhere, into the gradebook, and writes the autograded notebook."""
        settings = copy.deepcopy(self.settings)
        settings.JailedExecute.result = {**result, "key": key}
        settings.CourseDirectory.submitted_directory = STAGE
        directory = CourseDirectory(config=settings, root=str(self.folder), assignment_id=lesson, student_id=student)
        stage = Path(directory.format_path(STAGE, student, lesson))
        shutil.rmtree(self.folder / STAGE, ignore_errors=True)
        write_atomically(stage / f"{lesson}.ipynb", self.releases[lesson].read_bytes())
        if time:
            write_atomically(stage / "timestamp.txt", time.encode())
        with nbgrader_at(self.folder) as log, warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of nbgrader's own doing
            _Enter(coursedir=directory, config=settings, force=True, log=log).start()
        shutil.rmtree(self.folder / STAGE)

    def entered(self, student, lesson):
        """The key of the result that was entered last, or None."""
        try:
            return read_json(self._notebook("autograded", student, lesson))["metadata"]["pgcourse"]["key"]
        except (KeyError, TypeError):  # nothing that could be read, or entered by nbgrader itself
            return None

    def marks(self):
        """{(student, lesson): {"score", "max_score", "cells"}} of everything in the gradebook.

        cells: {grade_id: {"score", "max_score", "comment"}}; the score is None where somebody has yet to give it.
        """
        with self.gradebook() as gradebook:
            return {
                (submission.student.id, assignment.name): {
                    "score": submission.score,
                    "max_score": assignment.max_score,
                    "cells": _cells(submission),
                }
                for assignment in gradebook.assignments
                for submission in assignment.submissions
            }

    def table(self):
        """The rows of nbgrader's CSV export, under their names; of lessons that somebody has handed in."""
        with self.gradebook() as gradebook:
            for assignment in gradebook.assignments:
                for submission in assignment.submissions:
                    student, penalty = submission.student, submission.late_submission_penalty
                    yield {
                        "assignment": assignment.name,
                        "duedate": assignment.duedate,
                        "timestamp": submission.timestamp,
                        "student_id": student.id,
                        "last_name": student.last_name,
                        "first_name": student.first_name,
                        "email": student.email,
                        "raw_score": submission.score,
                        "late_submission_penalty": penalty,
                        "score": max(0.0, submission.score - penalty),
                        "max_score": assignment.max_score,
                    }


class _Enter(Autograde):
    """nbgrader's autograder of what is staged; its own search takes brackets in a name for a pattern."""

    def init_notebooks(self):
        folder = self._format_source(self.coursedir.assignment_id, self.coursedir.student_id)
        self.assignments, self.notebooks = {folder: [str(Path(folder, f"{self.coursedir.assignment_id}.ipynb"))]}, []


def _cells(submission):
    cells = {}
    for notebook in submission.notebooks:
        comments = {comment.name: comment.comment for comment in notebook.comments}
        for grade in notebook.grades:
            score = None if grade.needs_manual_grade and grade.manual_score is None else grade.score
            cells[grade.name] = {
                "score": score,
                "max_score": grade.max_score,
                "comment": comments.get(grade.name),
            }
    return cells
