"""What a learner has passed and tried, and the course map that shows it.

It is kept in a file of the working copy (the folder with the marker), or in memory anywhere else: so nothing is left
behind where the lessons are tested or graded.
"""

import contextlib
import json
import os
import secrets
from pathlib import Path

from pgcourse import exercises
from pgcourse.files import read_json, write_atomically
from pgcourse.judging.messages import CELL, CODE, display, html_table, say
from pgcourse.publishing.manifest import MARKER

PROGRESS = ".pgcourse-progress.json"
FORMAT = "pgcourse progress 1"
DRAW = ".pgcourse-draw"

_memory = {}  # working copy, or None → name of an exercise → {"passed": bool, "attempts": int}


def progress():
    """Shows the course map: lessons, exercises, points, minutes, and what is done."""
    entries = _entries(working_copy())
    rows = []
    for exercise in exercises.EXERCISES.values():
        entry = entries.get(exercise.name, {"passed": False, "attempts": 0})
        tried = f" ({entry['attempts']} tried)" if entry["attempts"] and not entry["passed"] else ""
        status = "✓ done" if entry["passed"] else "○ open" + tried
        level = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        rows.append((exercise, entry["passed"], (exercise.name, level, exercise.points, exercise.minutes, status)))
    done, total = sum(e.points for e, passed, _ in rows if passed), sum(e.points for e, _, _ in rows)
    summary = f"{sum(passed for _, passed, _ in rows)} of {len(rows)} exercises done, {done} of {total} points"
    columns = ("exercise", "level", "points", "minutes", "status")
    if not display(_html_map(rows, summary, columns)):
        say(_text_map(rows, summary, columns))


def _lessons(rows):
    """Each lesson that has exercises, and their cells."""
    for number, title in enumerate(exercises.LESSONS.values()):
        cells = [cells for exercise, _, cells in rows if exercise.lesson == number]
        if cells:
            yield f"{number} {title}", cells


def _text_map(rows, summary, columns):
    lines = ["  {:<30} {:<6} {:>6} {:>8}  {}".format(*columns)]
    for lesson, cells in _lessons(rows):
        lines += [lesson, *("  {:<30} {:<6} {:>6} {:>8}  {}".format(*row) for row in cells)]
    return "\n".join([*lines, summary])


def _html_map(rows, summary, columns):
    body = ""
    for lesson, cells in _lessons(rows):
        body += f"<tr><th scope='rowgroup' colspan='{len(columns)}' style='{CELL}'>{lesson}</th></tr>"
        for name, *others in cells:
            body += f"<tr><th scope='row' style='{CELL} font-weight: normal'><code style='{CODE}'>{name}</code></th>"
            body += "".join(f"<td style='{CELL}'>{cell}</td>" for cell in others) + "</tr>"
    return html_table(f"Course map: {summary}", columns, body)


def working_copy():
    """The folder at or above the current one that holds the marker, or None."""
    try:
        here = Path.cwd()
        return next((folder for folder in (here, *here.parents) if (folder / MARKER).is_file()), None)
    except OSError:
        return None


def own_draw():
    """The number by which this working copy draws what others draw otherwise; made once, and 0 outside of one."""
    folder = working_copy()
    if folder is None:
        return 0
    draw = read_json(folder / DRAW)
    if type(draw) is not int or not 0 <= draw < 2**32:
        draw = 1 + secrets.randbits(31)
        try:
            write_atomically(folder / DRAW, json.dumps(draw).encode())
        except OSError:
            return 0
    return draw


def record(name, passed):
    """Remembers an attempt; returns how many there were until the exercise was passed, this one included."""
    folder = working_copy()
    entries = _entries(folder)
    entry = entries.get(name, {"passed": False, "attempts": 0})
    if not entry["passed"]:
        entries[name] = entry | {"passed": passed, "attempts": entry["attempts"] + 1}
    if folder is not None:
        _write(folder / PROGRESS, entries)
    return entries[name]["attempts"]


def _entries(folder):
    """What is remembered for a working copy: its file, together with what this session knows (never less)."""
    return _merge(_memory.setdefault(folder, {}), {} if folder is None else _read(folder / PROGRESS))


def remember(folder, entries):
    """Adds what is known from elsewhere to the progress of a working copy; what was passed stays so."""
    _write(folder / PROGRESS, _merge(_entries(folder), entries))


def _merge(known, entries):
    for name, stored in entries.items():
        mine = known.get(name, stored)
        known[name] = stored | {
            "passed": stored["passed"] or mine["passed"],
            "attempts": max(stored["attempts"], mine["attempts"]),
        }
    return known


def _read(path):
    """The valid entries of a progress file; a file with anything else in it is set aside, nothing is thrown away."""
    stored = read_json(path)
    valid = entries_of(stored)
    if not path.exists() or valid == _exercises(stored):
        return valid
    aside = next(a for n in range(1, 10**6) if not (a := path.with_name(f"{path.name}.broken-{n}")).exists())
    try:
        os.replace(path, aside)
    except OSError:
        return valid
    say(f"The progress file could not be read; it is kept as {aside.name}, and a new one begins.")
    return valid


def entries_of(document):
    """The valid entries of what a progress file holds; {} where it is none."""
    return {name: entry for name, entry in (_exercises(document) or {}).items() if is_entry(entry)}


def _exercises(document):
    """Whatever a progress file has about exercises, a dictionary; None where it is no progress file."""
    stored = document.get("exercises") if isinstance(document, dict) and document.get("format") == FORMAT else None
    return stored if isinstance(stored, dict) else None


def is_entry(entry):
    return isinstance(entry, dict) and type(entry.get("passed")) is bool and type(entry.get("attempts")) is int


def _write(path, entries):
    """Replaces the file in one step; where that is not possible, the session's memory has to do."""
    document = {"format": FORMAT, "exercises": entries}
    with contextlib.suppress(OSError):
        write_atomically(path, json.dumps(document, indent=1, sort_keys=True).encode())
