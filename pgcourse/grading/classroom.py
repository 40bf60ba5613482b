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
from pgcourse.grading.submission import label
from pgcourse.judging.statuses import Status
from pgcourse.publishing.course import make_course
from pgcourse.publishing.settings import CONFIG_NAME, ReleaseError

__getattr__ = renamed.attributes(__name__)

LOST = "its result is gone from results/: grade it again"
BAR = "{desc} {n_fmt} of {total_fmt} |{bar:30}| {rate_noinv_fmt}, {remaining} left"


@dataclass
class Outcome:
    """What a run did: rows as in grades.csv, and what became of the submissions that were collected.

    Each of these is one of: graded now, known already, refused (nothing in it could be graded, and it counts),
    unchanged (a lesson as it was given out, which does not count), unusable (of no lesson of the course: somebody must
    look), or failed (by the grader's own fault).
    unusable: {(student, lesson): why}; not_entered: the same of those that nbgrader did not take into the gradebook.
    left_out: how many were of other lessons than was asked for. kept: {(student, lesson): why} of those of which an
    earlier one still counts, because there is nothing to grade in the later; fell: {(student, lesson): (points before,
    points now)} where another file took the place of a better one.
    """

    rows: list = field(default_factory=list)
    collected: int = 0
    graded: int = 0
    known: int = 0
    refused: int = 0
    unchanged: int = 0
    failed: int = 0
    left_out: int = 0
    unusable: dict = field(default_factory=dict)
    not_entered: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    fell: dict = field(default_factory=dict)

    def sentence(self):
        """How many there were of each, those of which there were none left out but for the first two."""
        kinds = {"graded now": self.graded, "known already": self.known}
        others = {
            "refused": self.refused,
            "unchanged": self.unchanged,
            "unusable": len(self.unusable),
            "not graded": self.failed,
        }
        kinds |= {name: count for name, count in others.items() if count}
        return f"{self.collected} submissions: {', '.join(f'{count} {name}' for name, count in kinds.items())}"


def grade_class(
    places,
    out,
    course=None,
    *,
    system=None,
    lessons=(),
    count=None,
    scheduler=None,
    db=None,
    unsafe=False,
    again=False,
    export=False,
):
    """Grades the submissions in these folders and zips into the folder `out`; returns the Outcome.

    course     the instructor's folder; without it that in `out`, which is made once, and then stays as it is
    system     a learning system that made the places, a key of `systems.SYSTEMS`, where their names do not say it
    lessons    only these, by their names; all if empty
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
            if not (course / CONFIG_NAME).is_file():
                make_course(course, update=True, db=db)
        course = Course(course, db)
        with journal.locked(course.folder, "name another --course"):
            if strangers := set(lessons) - set(course.lessons):
                raise ValueError(f"no lesson {', '.join(strangers)}, expected one of {', '.join(course.lessons)}")
            apart = out, course.folder
            found = collect.collect(places, course.lessons, scratch, course.settings, apart, system, course.look)
            submissions = [one for one in found if not lessons or one.lesson in lessons]
            run = _Run(course, book, out, unsafe, again)
            run.outcome.left_out = len(found) - len(submissions)
            run.grade(submissions, count, scheduler)
            run.publish(export)
    return run.outcome


class _Run:
    """One run of `pgcourse grade`, between the gradebook of a course and the journal of what has been graded."""

    def __init__(self, course, book, out, unsafe, again):
        self.course, self.book, self.out, self.unsafe, self.again = course, book, out, unsafe, again
        self.outcome, self.marks = Outcome(), course.marks()

    def grade(self, submissions, count, scheduler):
        """Grades what has no result yet, and enters all that has one."""
        self.outcome.collected = len(submissions)
        self.known = self.course.prepare(
            sorted({one.lesson for one in submissions if one.lesson in self.course.lessons})
        )
        todo = dict(filter(None, map(self._sort, submissions)))
        if not todo:
            return
        tasks = ((key, partial(self._task, one)) for key, one in todo.items())
        with (
            workers.cluster(count, len(todo), scheduler) as client,
            tqdm(total=len(todo), desc="Grading", unit=" submissions", bar_format=BAR, smoothing=0.05) as bar,
        ):
            for key, result in workers.graded(client, tasks):
                if isinstance(result, str):
                    self.outcome.failed += 1
                    result = _nothing(Status.NOT_GRADED, f"the grader failed, run it again ({result})")
                    self._enter(todo[key], f"{key}-failed", result)
                else:
                    if result["status"] == Status.ANOTHER_NOTEBOOK and (of := self.course.look(todo[key])):
                        result["reason"] += f", and all it has is of {', '.join(of)}: hand it in as that"
                    self._count(result, "graded")
                    self._enter(todo[key], key, result, anew=self.again)
                bar.update()

    def _sort(self, one):
        """(key, submission) of what is to be graded; None for what has a result, or will have none."""
        one, data = _read(one)
        key, result = self._find(one, data)
        if one.path and not (result and self._takes_nothing_away(one, result)):
            one = replace(one, path=self.course.file_away(one.student, one.lesson, data, one.time), inode=None)
        if one.lesson not in self.known:
            self.outcome.unusable[one.student, one.lesson] = one.refusal[1]
            self._enter(one, key, _nothing(*one.refusal, one.remarks))
        elif self.again or result is None:
            return key, one
        else:
            self._count(result, "known")
            self._enter(one, key, result)
        return None

    def _takes_nothing_away(self, one, result):
        """Whether there is nothing to grade in it, from somebody whose earlier one was graded, and still counts."""
        older = self.book.load(self.book.latest.get((one.student, one.lesson), ""))
        is_empty = Status(result["status"]).outcome == "refused" and result["status"] != Status.NOT_GRADED
        return is_empty and bool(older and older["notebook"]) and Status(older["status"]).outcome != "refused"

    def _count(self, result, otherwise):
        status = Status(result["status"])
        kind = "unchanged" if status == Status.UNCHANGED else "refused" if status.outcome == "refused" else otherwise
        setattr(self.outcome, kind, getattr(self.outcome, kind) + 1)

    def _find(self, one, data):
        """The key of a submission's result, and the result, None if there is none; by what 0.1.0 called it, too."""
        files = [[name, hashlib.sha256(content).hexdigest()] for name, content in one.beside]
        about, against = json.dumps([one.refusal, one.time, *files]), self.known.get(one.lesson)
        made_of = (against.texts, against.marks) if against else ((),)
        for held_against in made_of:
            key = journal.key_of(one.student, one.lesson, data, about, *held_against)
            if (result := self.book.load(key)) is not None:
                break
        return key, result

    def _task(self, one):
        against = self.known[one.lesson]
        one, data = _read(one)
        notebooks = one.lesson, against.source, against.release
        given = one.student, data, against.secret, one.remarks, one.refusal, self.unsafe, one.beside
        return workers.Task(*notebooks, *given)

    def _enter(self, one, key, result, anew=False):
        """Into the journal, then into the gradebook, whichever of the two does not have it."""
        place, older = (one.student, one.lesson), self.book.latest.get((one.student, one.lesson))
        if result["status"] == Status.UNCHANGED and result["notebook"]:
            result = {**result, "max_score": _points(result["notebook"]), "exercises": [], "notebook": None}
        row = _row(*place, result)
        if self._takes_nothing_away(one, result):
            self.outcome.kept[place] = result["reason"]
            if self.book.load(key) is None:
                self.book.save(key, result)
                self.book.note("left aside", row, key)
                self.course.take_back(*place)
            return
        if anew or self.book.load(key) is None:
            self.book.save(key, result)
        if anew or older != key:
            if older and place in self.marks:
                replaced = self.book.load(older) or _nothing(Status.LOST, LOST)
                self.book.note("replaced", _row(*place, replaced, self.marks[place]), older)
                if replaced["score"] > result["score"] and older != key:
                    self.outcome.fell[place] = replaced["score"], result["score"]
            self.book.note("graded", row, key)
        if result["notebook"] and (anew or place not in self.marks or self.course.entered(*place) != key):
            try:
                self.course.enter(*place, key, result, one.time)
            except ReleaseError as error:  # the others are entered; the next run tries this one again
                self.outcome.not_entered[place] = f"graded, but not in the gradebook, run it again ({error})"

    def publish(self, export):
        """Writes grades.csv, the feedback pages and the report of everything that was ever graded."""
        marks, rows, made = self.course.marks(), [], _Made(self.out / "feedback")
        lessons = {
            lesson: self.course.lesson(lesson) for _, lesson in self.book.latest if lesson in self.course.releases
        }
        for (student, lesson), key in tqdm(
            sorted(self.book.latest.items()), desc="Writing", unit=" pages", bar_format=BAR, leave=False
        ):
            result = self.book.load(key) or _nothing(Status.LOST, LOST)
            if (student, lesson) in self.outcome.not_entered:
                result |= {"status": Status.NOT_GRADED, "reason": self.outcome.not_entered[student, lesson]}
            if why := self.outcome.kept.get((student, lesson)):
                result |= {"remarks": [*result["remarks"], f"a later file was left aside: {why}"]}
            mark = marks.get((student, lesson))
            has_page = bool(result["notebook"]) and lesson in lessons
            rows.append({**_row(student, lesson, result, mark), "has_page": has_page})
            if has_page:
                cells = mark and mark["cells"]
                make = partial(feedback.page, student, lessons[lesson], result, cells)
                made.page(f"{student}/{lesson}.html", [key, cells], make)
        made.remember()
        journal.write_grades(self.out / "grades.csv", rows)
        known = frozenset().union(*map(known_answers, lessons.values()))
        write_atomically(self.out / "report.html", report.page(rows, known=known).encode())
        if export:
            exports.write(self.out / "export", rows, self.course)
        self.outcome.rows = rows


def _read(one):
    """A submission and its bytes; one that can no longer be read is refused."""
    try:
        return one, one.read()
    except OSError as error:
        why = f"the file cannot be read: {error.strerror or error}"
        return replace(one, path=None, refusal=(Status.NO_ACCESS, why)), b""


def _nothing(status, reason, remarks=()):
    """A result without a notebook."""
    zero = {"score": 0.0, "max_score": 0.0, "seconds": 0.0, "cpu": 0.0}
    return {"status": status, "reason": reason, **zero, "remarks": list(remarks), "exercises": [], "notebook": None}


def _points(notebook):
    """All that a result's notebook can bring, by hand or by running it."""
    labels = [label(cell) for cell in (notebook or {"cells": []})["cells"]]
    return float(sum(one.get("points") or 0 for one in labels if one.get("grade")))


def _row(student, lesson, result, mark=None):
    """A row of grades.csv, with what the report wants besides; mark: what the gradebook says of it."""
    told = ("status", "reason", "seconds", "cpu", "remarks", "exercises")
    scores = {name: float((mark or result)[name]) for name in ("score", "max_score")}
    return {"student": student, "lesson": lesson, **scores, **{name: result[name] for name in told}}


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
