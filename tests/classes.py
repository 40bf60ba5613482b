"""Classes for the grading's tests and benchmark: many submissions of one lesson, right, wrong, broken and hostile.

`hand_in(folder, count)` writes nbgrader's layout and returns {student: score that is due}; `scores(out)` is what a run
found.
"""

import csv

import nbformat
from submissions import answered, as_data, lesson

from pgcourse.grading.journal import COLUMNS

NAME = "05_gradient_step"

RIGHT_CHANGE, TURNED, AVERAGED, UNDEFINED = (
    f"""def log_likelihood_change(theta, new_theta, states, actions):
    def log_probs(table):
        z = table - table.max(axis=1, keepdims=True)
        return (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))[states, actions]

    return {result}
"""
    for result in (
        "(log_probs(new_theta) - log_probs(theta)).sum()",
        "(log_probs(theta) - log_probs(new_theta)).sum()",
        "(log_probs(new_theta) - log_probs(theta)).mean()",
        "undefined",
    )
)
RIGHT_PREDICTION, WITHOUT_RATE, NOT_SUMMED, NEGATIVE = (
    f"def predicted_change(score, gradient, learning_rate):\n    return {result}\n"
    for result in (
        "learning_rate * score.dot(gradient)",
        "score @ gradient",
        "learning_rate * (score * gradient)",
        "-learning_rate * score @ gradient",
    )
)
NO_SYNTAX = "def log_likelihood_change(theta, new_theta, states, actions)\n    return 0"
FIGURE = "import matplotlib.pyplot as plt\n\nplt.plot([1, 2, 3])\nprint('a figure')\n"
NOT_BEGUN = "def log_likelihood_change(theta, new_theta, states, actions):\n    raise NotImplementedError  # later"
ANSWERS = [  # (log_likelihood_change, predicted_change, score due of 3 + 2)
    (True, True, 5),
    (RIGHT_CHANGE, RIGHT_PREDICTION, 5),
    (TURNED, True, 2),
    (AVERAGED, WITHOUT_RATE, 0),
    (True, NOT_SUMMED, 3),
    (None, True, 2),
    (NOT_BEGUN, None, 0),
    (NO_SYNTAX, True, 2),
    (UNDEFINED, NEGATIVE, 0),
    (True, FIGURE + RIGHT_PREDICTION, 5),
]
LOOP = "def log_likelihood_change(*a):\n    while True: pass"
HOSTILE = """
import os, signal, glob
def log_likelihood_change(*a):
    os.kill(os.getppid(), signal.SIGKILL)
    for path in glob.glob('/**/gradebook.db', recursive=True): open(path, 'w')
    os._exit(0)
"""
BROKEN = [b"", b"{ not json", b'{"cells": 3, "nbformat": 4}']
SPECIAL = {"hostile": 2, "endless": 2, "broken-0": 0, "broken-1": 0, "broken-2": 0}


def hand_in(folder, count, special=True, name=NAME):
    """Writes STUDENT/LESSON/LESSON.ipynb of a class of that size, special ones (hostile, endless, broken) included."""
    course, due = lesson(name), {}
    ready = [(as_data(answered(course, log_likelihood_change=a, predicted_change=b)), s) for a, b, s in ANSWERS]
    for number in range(count - (len(SPECIAL) if special else 0)):
        data, due[f"student-{number:03}"] = ready[number % len(ready)]
        write(folder, f"student-{number:03}", data, name)
    if special:
        due |= SPECIAL
        write(folder, "hostile", as_data(answered(course, log_likelihood_change=HOSTILE, predicted_change=True)), name)
        write(folder, "endless", as_data(answered(course, log_likelihood_change=LOOP, predicted_change=True)), name)
        for number, data in enumerate(BROKEN):
            write(folder, f"broken-{number}", data, name)
    return due


def write(folder, student, data, name=NAME):
    place = folder / student / name
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{name}.ipynb"
    path.write_bytes(data if isinstance(data, bytes) else nbformat.writes(data).encode())
    return path


def rows(out, columns=COLUMNS):
    """{student: its row of grades.csv}; a second row of somebody is an error."""
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len({(line["student"], line["lesson"]) for line in lines}) == len(lines)
    return {line["student"]: {name: line[name] for name in columns} for line in lines}


def scores(out):
    return {student: float(row["score"]) for student, row in rows(out).items()}
