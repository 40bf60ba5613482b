"""check(answer): tries an answer, says what became of it, and remembers what passed.

Judging is in `judging`; here is what a learner meets: the line with a tick, the message in text and HTML, the notice
that an answer calls the package's own function, and the progress, kept in a file of the learner's working copy (the
folder with the marker) or in memory anywhere else.
"""

import html
import json
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from pgcourse import SITE, exercises
from pgcourse.judging import judge, run
from pgcourse.probes import Problem
from pgcourse.workcopy import MARKER, PROGRESS

FORMAT = "pgcourse progress 1"
PATIENCE = 5  # attempts that fail before a check offers the worked solution


class CheckFailed(AssertionError):  # noqa: N818 (the contract's name)
    """An answer is not right; str() is the whole message, `verdict` what it was made from."""

    def __init__(self, message, verdict=None, shown=False):
        super().__init__(message)
        self.verdict, self._shown = verdict, shown

    def _render_traceback_(self):
        """What IPython prints in place of a traceback: one line where the message is shown as HTML already."""
        if self._shown:
            return [f"CheckFailed: {self.verdict.exercise.name} is not right yet, see above."]
        return ["CheckFailed: " + str(self)]


def check(answer, name=None, *, seed=0):
    """Tries `answer` as the exercise `name` (the function's own name unless given) on the cases of that seed.

    Right: prints a line. Not attempted (NotImplementedError): says so, and fails only where nbgrader runs it.
    Raises CheckFailed if it is wrong, ValueError for a name that is no exercise.
    """
    exercise = _exercise(answer, name)
    verdict = judge(exercise, _caller(exercise, answer), seed)
    if verdict.status == "not attempted":
        if "NBGRADER_EXECUTION" in os.environ:  # nbgrader validates or grades: a cell that passes counts as done
            raise CheckFailed(f"{verdict.sentence}.", verdict)
        _print(f"○ {verdict.sentence}.")
        return
    attempts = _record(exercise.name, verdict.status == "passed")
    if verdict.status == "passed":
        points = f"{exercise.points} point{'s' if exercise.points != 1 else ''}"
        _print(f"✓ {verdict.sentence}. {points}.")
        return
    link = solution_link(exercise) if attempts >= PATIENCE else ""
    raise CheckFailed(as_text(verdict, link), verdict, shown=_display(as_html(verdict, link))) from None


def _exercise(answer, name):
    known = exercises.EXERCISES
    if name is None:
        name = getattr(answer, "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise ValueError('name is missing, expected that of an exercise: check(answer, "rewards_to_go") for example')
    if name not in known:
        close = get_close_matches(name, known, n=3, cutoff=0.5)
        raise ValueError(f"name is {name!r}, expected an exercise: {', '.join(close or known)}")
    return known[name]


def _caller(exercise, answer):
    """call(inputs) for `judge`: watched, and within the exercise's time for all cases together."""
    deadline = time.monotonic() + exercise.time_limit

    def call(inputs):
        with _watch(exercise.references) as called:
            outcome = run(answer, inputs, exercise.probe, max(deadline - time.monotonic(), 0.01))
        if called:
            return Problem("reference", f"calls pgcourse.{called[0]}, which is the answer: try to write it yourself")
        if isinstance(outcome, Problem) and outcome.kind == "timed out":
            limit = f"{exercise.time_limit:g} s"
            return Problem("timed out", f"took longer than {limit} and was stopped: is there a loop that never ends?")
        return outcome

    return call


@contextmanager
def _watch(references):
    """Collects which of the package's functions, named "module.function", are called in this thread meanwhile."""
    watched = {("pgcourse." + module, function) for module, _, function in (r.rpartition(".") for r in references)}
    called = []

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and (frame.f_globals.get("__name__"), code.co_qualname) in watched:
            called.append(f"{frame.f_globals['__name__'].removeprefix('pgcourse.')}.{code.co_qualname}")

    before = sys.getprofile()
    sys.setprofile(note if watched else before)
    try:
        yield called
    finally:
        sys.setprofile(before)


# What is shown

STUCK = "Stuck? That happens. Here is one way to write it; look, close the page, and then write your own:"


def solution_link(exercise):
    """Where the course's pages show how an exercise may be solved."""
    return f"{SITE}{exercises.STEMS[exercise.lesson]}.html#{exercise.name}"


def as_text(verdict, link=""):
    """The message of a Verdict that did not pass; link: to a worked solution, where one is to be offered."""
    parts = [verdict.sentence + ("" if verdict.sentence[-1] in ".?!" else ".")]
    if verdict.rows:
        parts.append(f"The smallest case that fails ({verdict.place}):\n{_text_table(verdict.rows)}")
    if verdict.misconception:
        parts.append(f"This looks like: {verdict.misconception.name}.")
    if verdict.hint:
        parts.append(verdict.hint)
    if link:
        parts.append(f"{STUCK} {link}")
    return "\n\n".join(parts)


def _text_table(rows):
    width = max(len(name) for _, name, _ in rows)
    lines = []
    for what, name, text in rows:
        head = f"  {what:<10} {name:<{width}}  "
        lines.append(head + text.replace("\n", "\n" + " " * len(head)))
    return "\n".join(lines)


_BOX = (
    "border: 1px solid var(--jp-border-color1, #999); border-left: 5px solid var(--jp-warn-color1, #d55e00); "
    "padding: 0.6em 1em; margin: 0.3em 0; color: var(--jp-content-font-color1, inherit); max-width: 60em;"
)
_CELL = (
    "text-align: left; vertical-align: top; padding: 0.15em 1.2em 0.15em 0; background: transparent; color: inherit;"
)
_TABLE = "border-collapse: collapse; margin: 0; color: inherit;"
_CAPTION = "text-align: left; caption-side: top; color: inherit; padding: 0.3em 0; white-space: nowrap;"
_CODE = "margin: 0; background: transparent; color: inherit; font-family: var(--jp-code-font-family, monospace);"


def as_html(verdict, link=""):
    """The same for a notebook; colours are JupyterLab's own, so that it reads in its dark theme too."""
    parts = [f"<p style='margin: 0 0 0.4em'><strong>Not right yet.</strong> {html.escape(verdict.sentence)}</p>"]
    if verdict.rows:
        body = "".join(
            f"<tr><th scope='row' style='{_CELL}'>{what}</th><td style='{_CELL}'>{html.escape(name)}</td>"
            f"<td style='{_CELL}'><pre style='{_CODE}'>{html.escape(text)}</pre></td></tr>"
            for what, name, text in verdict.rows
        )
        parts.append(_html_table(f"The smallest case that fails ({verdict.place})", ("", "name", "value"), body))
    if verdict.misconception:
        parts.append(
            "<p style='margin: 0.6em 0 0'><strong>This looks like:</strong> "
            f"{html.escape(verdict.misconception.name)}.</p>"
        )
    if verdict.hint:
        parts.append(f"<p style='margin: 0.2em 0 0'>{hint_as_html(verdict.hint)}</p>")
    if link:
        anchor = f"<a href='{link}' target='_blank' rel='noopener'>{link}</a>"
        parts.append(f"<p style='margin: 0.6em 0 0'>{STUCK} {anchor}</p>")
    label = f"The check of {verdict.exercise.name}: not right yet"
    return f"<div role='group' aria-label='{label}' style='{_BOX}'>{''.join(parts)}</div>"


def hint_as_html(hint):
    """*Stressed* words and `code` of a hint, as a notebook shows them."""
    stressed = re.sub(r"(?<![\w*])\*(\w(?:[^*\n]*\w)?)\*(?![\w*])", r"<em>\1</em>", html.escape(hint))
    return re.sub(r"`([^`\n]+)`", rf"<code style='{_CODE}'>\1</code>", stressed)


def _html_table(caption, columns, body):
    head = "".join(f"<th scope='col' style='{_CELL}'>{column or 'what'}</th>" for column in columns)
    return (
        f"<table style='{_TABLE}'><caption style='{_CAPTION}'>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _display(markup):
    """Shows HTML where there is a notebook, and says whether there is."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return False
    from IPython.display import HTML, display  # here, because a plain Python does without

    display(HTML(markup))
    return True


def _print(line):
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding))


# Progress

_memory = {}  # working copy, or None → name of an exercise → {"passed": bool, "attempts": int}


def progress():
    """Shows the course map: lessons, exercises, points, minutes, and what is done."""
    entries = _entries(working_copy())
    rows = []
    for exercise in sorted(exercises.EXERCISES.values(), key=lambda exercise: exercise.lesson):
        entry = entries.get(exercise.name, {"passed": False, "attempts": 0})
        tried = f" ({entry['attempts']} tried)" if entry["attempts"] and not entry["passed"] else ""
        status = "✓ done" if entry["passed"] else "○ open" + tried
        level = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        rows.append((exercise, entry["passed"], (exercise.name, level, exercise.points, exercise.minutes, status)))
    done, total = sum(e.points for e, passed, _ in rows if passed), sum(e.points for e, _, _ in rows)
    summary = f"{sum(passed for _, passed, _ in rows)} of {len(rows)} exercises done, {done} of {total} points"
    columns = ("exercise", "level", "points", "minutes", "status")
    if not _display(_html_map(rows, summary, columns)):
        _print(_text_map(rows, summary, columns))


def _lessons(rows):
    """Each lesson that has exercises, and their cells."""
    for number, title in enumerate(exercises.LESSONS):
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
        body += f"<tr><th scope='rowgroup' colspan='{len(columns)}' style='{_CELL}'>{lesson}</th></tr>"
        for name, *others in cells:
            body += f"<tr><th scope='row' style='{_CELL} font-weight: normal'><code style='{_CODE}'>{name}</code></th>"
            body += "".join(f"<td style='{_CELL}'>{cell}</td>" for cell in others) + "</tr>"
    return _html_table(f"Course map: {summary}", columns, body)


def working_copy():
    """The folder at or above the current one that holds the marker, or None."""
    try:
        here = Path.cwd()
        return next((folder for folder in (here, *here.parents) if (folder / MARKER).is_file()), None)
    except OSError:
        return None


def _record(name, passed):
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
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        entries = stored["exercises"].items() if stored["format"] == FORMAT else None
        valid = {name: entry for name, entry in entries if is_entry(entry)}
        if len(valid) == len(entries):
            return valid
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        valid = {}
    aside = next(a for n in range(1, 10**6) if not (a := path.with_name(f"{path.name}.broken-{n}")).exists())
    try:
        os.replace(path, aside)
    except OSError:
        return valid
    _print(f"The progress file could not be read; it is kept as {aside.name}, and a new one begins.")
    return valid


def is_entry(entry):
    return isinstance(entry, dict) and type(entry.get("passed")) is bool and type(entry.get("attempts")) is int


def _write(path, entries):
    """Replaces the file in one step; where that is not possible, the session's memory has to do."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = file.name
            json.dump({"format": FORMAT, "exercises": entries}, file, indent=1, sort_keys=True)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def grading_seed():
    """The seed of a grade cell's hidden cases: the submission's own where a grader set one, else a fixed one."""
    return int(os.environ.get("PGCOURSE_GRADING_SEED", "1"))
