"""Grades as CSV for other systems: nbgrader's columns (its exporter does not quote), Canvas's and Moodle's."""

import csv
import re
from pathlib import Path

from pgcourse.exercises import LESSONS
from pgcourse.grading.journal import inert
from pgcourse.judging.statuses import Status

NUMBERED = re.compile(r"(.+)_(\d+)$")  # Canvas's and Moodle's names of students in the zips that they give


def write(folder, rows, course):
    """Writes nbgrader.csv, canvas.csv and moodle.csv; rows as in grades.csv, the course to ask for nbgrader's."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = sorted(course.table(), key=lambda line: (line["assignment"], line["student_id"]))
    _write(folder / "nbgrader.csv", [table[0], *(line.values() for line in table)] if table else [])
    rows = [row for row in rows if row["lesson"] in course.lessons and row["status"] != Status.UNCHANGED]
    lessons = sorted({row["lesson"] for row in rows})
    maxima = {lesson: max(row["max_score"] for row in rows if row["lesson"] == lesson) for lesson in lessons}
    scores = {(row["student"], row["lesson"]): row["score"] for row in rows}
    students = sorted({row["student"] for row in rows})
    table = {student: [scores.get((student, lesson), "") for lesson in lessons] for student in students}
    titles = [title(lesson) for lesson in lessons]
    most = [maxima[lesson] for lesson in lessons]
    _write(folder / "canvas.csv", _canvas(titles, most, table))
    _write(folder / "moodle.csv", _moodle(titles, table))


def title(lesson):
    """A lesson's number and name; a file's name that is none of ours as it is."""
    return f"{[*LESSONS].index(lesson)} {LESSONS[lesson]}" if lesson in LESSONS else lesson


def _canvas(titles, most, table):
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *titles]
    yield ["    Points Possible", "", "", "", "", *most]
    for student, scores in table.items():
        numbered = NUMBERED.match(student)
        who = [numbered[1], numbered[2], "", "", ""] if numbered else [student, "", "", student, ""]
        yield [*who, *scores]


def _moodle(titles, table):
    yield ["Identifier", "Username", "Full name", *titles]
    for student, scores in table.items():
        numbered = NUMBERED.match(student)
        who = [f"Participant {numbered[2]}", "", numbered[1]] if numbered else ["", student, student]
        yield [*who, *scores]


def _write(path, lines):
    with open(path, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        csv.writer(file).writerows([inert(value) for value in line] for line in lines)
