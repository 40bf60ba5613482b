"""What a run of `pgcourse grade` remembers, so that it can be cut off anywhere and go on: one file for each result,
and a log to which lines are only added.

A result is named by its key, a hash of all that it depends on. The log says which result a submission had when; the
last one counts, and the older ones stay readable.
"""

import csv
import fcntl
import hashlib
import io
import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pgcourse.files import read_json, write_atomically

LOGGED = ("student", "lesson", "score", "max_score", "status", "reason", "seconds")  # never changed: a log only grows
COLUMNS = (*LOGGED,)  # of grades.csv, where a new one comes after these
_FORMULA = r"(?=[\s\"']*[=+\-@＝＋－＠﹢﹣﹦﹫−])"  # what begins one, as spreadsheets read it
_LIVE, _INERT = (re.compile(f"(^|[,;|]){mark}{_FORMULA}") for mark in ("", "'"))  # at the start of what may be a cell
LOG_COLUMNS = ("time", "event", *LOGGED, "result")


class Busy(RuntimeError):
    """Another run is writing to this folder."""


def key_of(student, lesson, data, *held_against):
    """The name of a result: of these bytes, from this student, held against these texts, or what stands for them."""
    head = json.dumps([student, lesson, [hashlib.sha256(text.encode()).hexdigest() for text in held_against]])
    return hashlib.sha256(head.encode() + b"\n" + data).hexdigest()[:32]


class Journal:
    """The results and the log in a folder; use `opened`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._results, self._log = self.folder / "results", self.folder / "log.csv"
        self._results.mkdir(parents=True, exist_ok=True)
        self.latest = {}  # (student, lesson) → key
        if self._log.exists():
            whole = self._log.read_bytes()
            if not whole.endswith(b"\n"):  # cut off in the middle of a line
                whole = whole[: whole.rfind(b"\n") + 1]
                write_atomically(self._log, whole)
            for line in csv.DictReader(io.StringIO(whole.decode("utf-8"), newline="")):
                if line["event"] == "graded":
                    self.latest[_as_it_was(line["student"]), _as_it_was(line["lesson"])] = line["result"]
        else:
            write_atomically(self._log, _line(LOG_COLUMNS))

    def load(self, key):
        """A result, or None; a file that is not whole counts as none."""
        return read_json(self._results / f"{key}.json")

    def save(self, key, result):
        write_atomically(self._results / f"{key}.json", json.dumps(result).encode())

    def note(self, event, row, key):
        """Adds a line, on the disk before this returns; "graded" makes the result the submission's latest."""
        line = _line([datetime.now(UTC).isoformat(timespec="seconds"), event, *(inert(row[c]) for c in LOGGED), key])
        with open(self._log, "ab", buffering=0) as file:
            file.write(line)
            os.fsync(file.fileno())
        if event == "graded":
            self.latest[row["student"], row["lesson"]] = key


@contextmanager
def opened(folder):
    """The Journal of a folder, for one process at a time. Raises Busy."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with locked(folder, "name another --out"):
        yield Journal(folder)


@contextmanager
def locked(folder, otherwise):
    """Keeps other runs out of a folder. Raises Busy, which says to wait, or what else helps."""
    with open(Path(folder, ".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"another pgcourse grade is writing to {folder}: wait for it, or {otherwise}") from None
        yield


def write_grades(path, rows):
    """grades.csv, in one step."""
    write_atomically(path, b"".join([_line(COLUMNS), *(_line([inert(row[c]) for c in COLUMNS]) for row in rows)]))


def inert(value):
    """What a spreadsheet shows and does not compute, whatever a student is or calls a file, and whatever ends cells."""
    return _LIVE.sub(r"\1'", re.sub(r"[^\S ]+", " ", value)) if isinstance(value, str) else value


def _as_it_was(text):
    """What `inert` was given."""
    return _INERT.sub(r"\1", text)


def _line(values):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow([_plain(value) for value in values])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _plain(value):
    """Numbers as short as they can be, texts on one line."""
    return f"{value:.10g}" if isinstance(value, float) else " ".join(value.split()) if isinstance(value, str) else value
