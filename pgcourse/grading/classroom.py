"""`pgcourse grade`: a class's submissions in, grades, feedback and a report out; what is known already is kept.

    collect → (for each that is new) grade in a jail, on some worker → journal → gradebook → pages

Everything after the workers is done by this process alone, and every step may be the last one before a power cut: what
has a result is not graded again, what has not is. A submission ends in exactly one row of grades.csv, see `journal`.
"""

import hashlib
import json
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

import pgcourse
from pgcourse import renamed
from pgcourse.files import read_json, write_atomically
from pgcourse.grading import collect, exports, journal, workers
from pgcourse.grading.gradebook import Course
from pgcourse.grading.pages import feedback, report
from pgcourse.grading.similarity import known_answers
from pgcourse.publishing.course import make_course
from pgcourse.publishing.settings import ReleaseError

__getattr__ = renamed.attributes(__name__)

LOST = "its result is gone from results/: grade it again"
NOT_GRADED = "not graded"  # the grader failed, not the submission: the next run tries again
BAR = "{desc} {n_fmt} of {total_fmt} |{bar:30}| {rate_noinv_fmt}, {remaining} left"


@dataclass
class Outcome:
    """What a run did: rows as in grades.csv, and how many submissions were collected, graded anew, and not graded.

    refused: {(student, lesson): why} of those that nbgrader did not take into the gradebook.
    """

    rows: list = field(default_factory=list)
    collected: int = 0
    graded: int = 0
    failed: int = 0
    refused: dict = field(default_factory=dict)


def grade_class(
    places, out, course=None, *, count=None, scheduler=None, db=None, unsafe=False, again=False, export=False
):
    """Grades the submissions in these folders and zips into the folder `out`; returns the Outcome.

    course     the instructor's folder; one is made in `out` unless given
    count      of processes on this machine; scheduler: the address of a Dask cluster instead
    db         the gradebook's address, instead of that in the course's settings
    unsafe     without a jail
    again      grades also what has a result
    export     also writes export/, for nbgrader, Moodle and Canvas
    Raises ValueError or RuntimeError where nothing can be graded; what has been is kept.
    """
    out = Path(out).absolute()
    with journal.opened(out) as book, tempfile.TemporaryDirectory(prefix="pgcourse-collected-") as scratch:
        if course is None:
            course = out / "course"
            make_course(course, update=True, db=db)
        course = Course(course, db)
        with journal.locked(course.folder, "name another --course"):
            submissions = collect.collect(places, course.lessons, scratch, course.settings, (out, course.folder))
            outcome = Outcome(collected=len(submissions))
            _grade(course, book, submissions, outcome, count, scheduler, unsafe, again)
            outcome.rows = _publish(course, book, out, outcome.refused, export)
    return outcome


def _grade(course, book, submissions, outcome, count, scheduler, unsafe, again):
    known = course.prepare(sorted({one.lesson for one in submissions if one.lesson in course.lessons}))
    marks = course.marks()
    todo = {}
    for one in submissions:
        one, data = _read(one)
        about = json.dumps([one.refusal, one.time])
        key = journal.key_of(one.student, one.lesson, data, about, *known.get(one.lesson, ()))
        if one.path:
            filed = course.file_away(one.student, one.lesson, data, one.time)
            one = replace(one, path=filed, inode=None)
        if one.lesson not in known:
            _enter(outcome, course, book, one, key, _nothing(*one.refusal, one.remarks), marks)
        elif again or (result := book.load(key)) is None:
            todo[key] = one
        else:
            _enter(outcome, course, book, one, key, result, marks)
    if not todo:
        return
    tasks = ((key, partial(_task, one, known[one.lesson], unsafe)) for key, one in todo.items())
    with (
        workers.cluster(count, len(todo), scheduler) as client,
        tqdm(total=len(todo), desc="Grading", unit=" submissions", bar_format=BAR, smoothing=0.05) as bar,
    ):
        for key, result in workers.graded(client, tasks):
            if isinstance(result, str):
                sentence = f"the grader failed, run it again ({result})"
                outcome.failed += 1
                _enter(outcome, course, book, todo[key], f"{key}-failed", _nothing(NOT_GRADED, sentence), marks)
            else:
                outcome.graded += 1
                _enter(outcome, course, book, todo[key], key, result, marks, again)
            bar.update()


def _read(one):
    """A submission and its bytes; one that can no longer be read is refused."""
    try:
        return one, one.read()
    except OSError as error:
        why = f"the file cannot be read: {error.strerror or error}"
        return replace(one, path=None, refusal=("no access", why)), b""


def _task(one, against, unsafe):
    source, given_out, secret = against
    one, data = _read(one)
    return workers.Task(one.lesson, source, given_out, one.student, data, secret, one.remarks, one.refusal, unsafe)


def _nothing(status, reason, remarks=()):
    """A result without a notebook."""
    zero = {"score": 0.0, "max_score": 0.0, "seconds": 0.0, "cpu": 0.0}
    return {"status": status, "reason": reason, **zero, "remarks": list(remarks), "exercises": [], "notebook": None}


def _enter(outcome, course, book, one, key, result, marks, again=False):
    """Into the journal, then into the gradebook, whichever of the two does not have it."""
    place, row = (one.student, one.lesson), _row(one.student, one.lesson, result)
    older = book.latest.get(place)
    if book.load(key) is None or again:
        book.save(key, result)
    if older != key or again:
        if older and place in marks:
            book.note("replaced", _row(*place, book.load(older) or _nothing("lost", LOST), marks[place]), older)
        book.note("graded", row, key)
    if result["notebook"] and (again or place not in marks or course.entered(*place) != key):
        try:
            course.enter(*place, key, result, one.time)
        except ReleaseError as error:  # the others are entered; the next run tries this one again
            outcome.refused[place] = f"graded, but not in the gradebook, run it again ({error})"


# What is written


def _row(student, lesson, result, mark=None):
    """A row of grades.csv, with what the report wants besides; mark: what the gradebook says of it."""
    told = ("status", "reason", "seconds", "cpu", "remarks", "exercises")
    scores = {name: float((mark or result)[name]) for name in ("score", "max_score")}
    return {"student": student, "lesson": lesson, **scores, **{name: result[name] for name in told}}


def _publish(course, book, out, refused, export):
    """Writes grades.csv, the feedback pages and the report of everything that was ever graded; returns the rows."""
    marks, rows, made = course.marks(), [], _Made(out / "feedback")
    lessons = {lesson: course.lesson(lesson) for _, lesson in book.latest if lesson in course.releases}
    for (student, lesson), key in tqdm(
        sorted(book.latest.items()), desc="Writing", unit=" pages", bar_format=BAR, leave=False
    ):
        result = book.load(key) or _nothing("lost", LOST)
        if (student, lesson) in refused:
            result |= {"status": NOT_GRADED, "reason": refused[student, lesson]}
        mark = marks.get((student, lesson))
        has_page = bool(result["notebook"]) and lesson in lessons
        rows.append({**_row(student, lesson, result, mark), "has_page": has_page})
        if has_page:
            cells = mark and mark["cells"]
            made.page(
                f"{student}/{lesson}.html",
                [key, cells],
                partial(feedback.page, student, lessons[lesson], result, cells),
            )
    made.remember()
    journal.write_grades(out / "grades.csv", rows)
    known = frozenset().union(*map(known_answers, lessons.values()))
    write_atomically(out / "report.html", report.page(rows, known=known).encode())
    if export:
        exports.write(out / "export", rows, course)
    return rows


class _Made:
    """Pages in a folder that are made only where what they were made from has changed."""

    def __init__(self, folder):
        self.folder, self._memory = folder, folder / ".made.json"
        self._known = read_json(self._memory) or {}

    def page(self, name, made_from, make):
        mark = hashlib.sha256(json.dumps([pgcourse.__version__, made_from]).encode()).hexdigest()
        if self._known.get(name) != mark or not (self.folder / name).exists():
            write_atomically(self.folder / name, make().encode())
            self._known[name] = mark

    def remember(self):
        write_atomically(self._memory, json.dumps(self._known).encode())
