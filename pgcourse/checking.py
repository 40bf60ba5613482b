"""check(answer): tries an answer, says what became of it, and remembers what passed.

What is right is decided in `judging.verdicts`, what is said in `judging.messages`; here is what the two need around
them in a notebook: the exercise found by its name, a time limit, and what is remembered.
"""

import os
from difflib import get_close_matches

from pgcourse import exercises, renamed
from pgcourse.judging.messages import as_html, as_text, display, say, solution_link
from pgcourse.judging.statuses import Status
from pgcourse.judging.verdicts import judge, run
from pgcourse.workspace.progress import own_draw, record

__getattr__ = renamed.attributes(__name__)

PATIENCE = 5  # attempts that fail before a check offers the worked solution


class CheckFailed(AssertionError):
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
    seed = own_draw() if exercise.line_up and not seed else seed
    verdict = judge(exercise, _caller(exercise, answer), seed)
    if verdict.status == Status.NOT_ATTEMPTED:
        if "NBGRADER_EXECUTION" in os.environ:  # nbgrader validates or grades: a cell that passes counts as done
            raise CheckFailed(f"{verdict.sentence}.", verdict)
        say(f"○ {verdict.sentence}.")
        return
    attempts = record(exercise.name, verdict.status == Status.PASSED)
    if verdict.status == Status.PASSED:
        points = f"{exercise.points} point{'s' if exercise.points != 1 else ''}"
        say(f"✓ {verdict.sentence}. {points}.")
        return
    link = solution_link(exercise) if attempts >= PATIENCE else ""
    raise CheckFailed(as_text(verdict, link), verdict, shown=display(as_html(verdict, link))) from None


def line_up(name, number=1):
    """ask(*question) → what the suspects A to F of one line-up of an exercise say, drawn for this working copy."""
    exercise = _exercise(None, name)
    if exercise.line_up is None:
        raise ValueError(f"name is {name!r}, expected an exercise with suspects: convict or acquit_or_convict")
    return exercise.line_up(own_draw(), number)


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
    """call(inputs, seconds) for `judge`: here, watched for what it calls."""
    return lambda inputs, seconds: run(answer, inputs, exercise.probe, seconds, exercise.references)


def grading_seed():
    """The seed of a grade cell's hidden cases: the submission's own where a grader set one, else a fixed one."""
    return int(os.environ.get("PGCOURSE_GRADING_SEED", "1"))
