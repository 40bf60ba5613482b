"""Grades one submission: its cells run in a jail, the checks run here, and what crosses is arrays.

In the course's grade cells the learner's function is a `StandIn`, which has a name and no code. `check` draws the
cases, sends the inputs of each into the jail, and judges what comes back as it does in a notebook; so cases, oracles,
verdicts and the hidden tests themselves never leave this process.
"""

import builtins
import contextlib
import copy
import hashlib
import io
import os
import re
import time
from base64 import b64encode

import nbformat
from nbgrader.preprocessors import ClearHiddenTests

from pgcourse import checking, renamed
from pgcourse.exercises import EXERCISES
from pgcourse.grading.jail.outside import JailDied, JailUnavailable
from pgcourse.grading.jail.stripped import KEPT
from pgcourse.grading.limited import OverLimit, limited
from pgcourse.grading.plan import Plan, imports
from pgcourse.grading.similarity import fingerprint
from pgcourse.grading.submission import content_hash, is_blank, is_check, label, reassemble
from pgcourse.judging import messages, verdicts
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status

__getattr__ = renamed.attributes(__name__)

MAX_SHOWN = 2**24  # bytes that all cells of a notebook may show and keep
_MODULE = re.compile(r"No module named '([\w.]{1,50})'")
UNCHANGED = Status.UNCHANGED, "it is as it was given out, which counts as not handed in"
ATTEMPTS = 3  # of what they checked as an exercise, the last ones first
MAX_SOURCE = 4000  # characters of an answer that are kept for the report


def hidden_seed(secret, student, notebook):
    """The seed of a submission's hidden cases: the same whenever this very submission is graded again."""
    key = "/".join([secret, student, content_hash(notebook)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big")


def grade_submission(lesson, student, data, secret, warm, remarks=(), refusal=None, beside=()):
    """The result of one submission, from the bytes of its file: the one way in which anything is graded.

    lesson: a `submission.Lesson`. secret: what only the gradebook knows, such as nbgrader's id of the assignment.
    warm: a WarmProcess of this very process. remarks, refusal: what is known of the file already; a refusal is
    (status, sentence), and then nothing in it is graded. beside: (name, bytes) of files that its code may read.

    What `grade_notebook` gives; each exercise also has "fingerprint" and "size" of its answer.
    """
    started = time.monotonic()
    try:
        notebook, found, unusable = limited(reassemble, lesson, b"" if refusal else data)
    except OverLimit as error:
        notebook, found, unusable = *reassemble(lesson, b"")[:2], (Status.TOO_LARGE, f"the file {error}")
    notebook, reading = nbformat.from_dict(notebook), time.monotonic() - started
    if not refusal:
        remarks, refusal = [*remarks, *found], unusable and (Status(unusable[0]), unusable[1])
        refusal = refusal or (UNCHANGED if is_blank(lesson, notebook) else None)
    result = grade_notebook(lesson, notebook, hidden_seed(secret, student, notebook), warm, remarks, refusal, beside)
    result["seconds"] = round(result["seconds"] + reading, 3)
    for exercise in result["exercises"]:
        exercise["fingerprint"], exercise["size"] = fingerprint(exercise["source"])
        exercise["source"] = exercise["source"][:MAX_SOURCE]
    return result


def grade_notebook(lesson, notebook, seed, warm, remarks=(), refusal=None, beside=()):
    """The result of a notebook from `submission.reassemble`, a dictionary that JSON can hold:

    status     a `Status`: "passed", or what was worst
    reason     the same in a sentence, never empty
    score, max_score   of the checks; what is graded by hand comes later
    seconds, cpu       of the clock, and of the processors by the submission
    seed, content      of the hidden cases; the hash of what was graded
    remarks    sentences about what had been changed in the notebook, and about jails that had to be ended
    exercises  [{"name", "status", "points", "score", "message", "misconception", "seconds", "source"}]
    notebook   with outputs, and the hidden tests still in it: see `without_hidden_tests`

    Raises JailUnavailable if no jail can be made here any more.
    """
    try:
        return _graded(lesson, notebook, seed, warm, remarks, refusal, beside)
    except JailUnavailable:
        warm.restart()
    try:
        return _graded(lesson, notebook, seed, warm, [*remarks, "the warm process was lost once"], refusal, beside)
    except JailUnavailable:
        warm.restart()  # if there is one for others, it is the submission's doing
        refusal = (Status.DIED, "its jail was lost twice, and all warm processes with it")
        return _graded(lesson, notebook, seed, warm, remarks, refusal, beside)


def _graded(lesson, notebook, seed, warm, remarks, refusal, beside):
    started, notebook, execution = time.monotonic(), copy.deepcopy(notebook), Execution(warm)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    plan, exercises, missing = Plan(lesson, cells), {}, set()
    with execution:
        if refusal is None:
            _run_imports(lesson, execution)
            for name, content in beside:
                execution.run(f"open({name!r}, 'wb').write({content!r})", "files")
        for number, cell in enumerate(cells):
            if is_check(cell):
                exercises[number] = _judge(cell, seed, execution, refusal)
            elif refusal is None and number in plan.runs:
                _, shown = execution.run(cell.source, plan.exercise(number))
                cell.outputs = [_as_output(output) for output in shown]
                missing |= {
                    m
                    for output in shown
                    if output.get("error") == "ModuleNotFoundError"
                    for m in _MODULE.findall(output["text"])
                }
                if number in plan.leaned_on:
                    cell.metadata["pgcourse"] = {"leaned_on": True}
        for number, entry in exercises.items() if refusal is None else ():
            if entry["status"] != Status.PASSED:
                exercises[number] = _judged_again(plan, number, entry, seed, execution)
    exercises = [{**entry, "source": plan.source(entry["name"])} for entry in exercises.values()]
    status, reason = refusal or _summary(exercises)
    return {
        "status": status,
        "reason": reason,
        "score": sum(exercise["score"] for exercise in exercises),
        "max_score": sum(exercise["points"] for exercise in exercises),
        "seconds": round(time.monotonic() - started, 3),
        "cpu": round(execution.cpu, 3),
        "seed": seed,
        "content": content_hash(notebook),
        "remarks": [
            *remarks,
            *plan.remarks,
            *[f"it imports what is not installed here: {', '.join(sorted(missing))}"] * bool(missing),
            *execution.remarks,
        ],
        "exercises": exercises,
        "notebook": notebook,
    }


def without_hidden_tests(notebook):
    """A copy to show to its author: no hidden test in it."""
    notebook, clear = copy.deepcopy(notebook), ClearHiddenTests()
    for number, cell in enumerate(notebook.cells):
        if is_check(cell):  # not in a learner's cell, which may hold half a marker
            clear.preprocess_cell(cell, {}, number)
    return notebook


def _run_imports(lesson, execution):
    """The lesson's first code cell, as it was given out."""
    if first := imports(lesson):
        execution.run(first.source, "imports")


def _judged_again(plan, number, entry, seed, execution):
    """The entry of an exercise that has failed, once all cells have run: its function, or what it calls, may stand
    further down, or it was something else that they checked as this exercise."""
    cell, shown = plan.cell(number), plan.cell(number).outputs
    for attempt in range(0 if plan.may_pass_later(number, entry["name"]) else 1, ATTEMPTS + 1):
        again = _judge(cell, seed, execution, None, attempt)
        if again["status"] == Status.PASSED:
            return again
        if attempt and again["status"] == Status.NOT_DEFINED:
            break
    cell.outputs = shown
    return entry


def _summary(exercises):
    failed = [exercise for exercise in exercises if exercise["status"] != Status.PASSED]
    if not failed:
        return Status.PASSED, "every check passed"
    worst = max((Status(exercise["status"]) for exercise in failed), key=lambda status: status.gravity)
    return worst, "; ".join(f"{exercise['name']}: {exercise['status']}" for exercise in failed)


class Execution:
    """The cells and calls of one submission, in a jail, or in one after another: where one dies, the next runs again
    all cells but those that ended badly. Everything together stops at a deadline; use it in a `with`.
    """

    def __init__(self, warm):
        self.warm, self.limits = warm, warm.limits
        self.deadline = time.monotonic() + self.limits.total_seconds
        self.spare = self.limits.total_seconds / 2  # of that, for cells that are no answers
        self.jail, self.cpu, self.remarks, self.fates, self._ran = None, 0, [], {}, []
        self.room = MAX_SHOWN

    def run(self, source, name=None):
        """(status, what it showed) of a cell; name: its answer's, if it is one."""
        started = time.monotonic()
        seconds = min(self.limits.cell_seconds, self.deadline - started, *([] if name else [self.spare]))
        try:
            status, shown = self._open(seconds).run(source, seconds)
        except JailDied as death:
            self._bury(death)
            status, shown = death.kind, [{"error": death.kind, "text": f"This cell {death}."}]
        if name is None:
            self.spare -= time.monotonic() - started
        if status in (Status.PASSED, Status.RAISED):
            self._ran.append(source)
        self.fates[name] = status
        return status, self._kept(shown)

    def _kept(self, shown):
        """As many outputs as there is room for."""
        for number, output in enumerate(shown):
            self.room -= sum(map(len, output.values()))
            if self.room < 0:
                return [*shown[:number], {"show": "… (this notebook shows more than is kept)"}]
        return shown

    def call(self, name, inputs, kind, seconds, references=(), attempt=0):
        """The named arrays or the Problem that the function of that name gave, or what they checked as it: 1 is the
        last, 2 the last but one."""
        seconds = min(seconds, self.deadline - time.monotonic())
        try:
            outcome = self._open(seconds).call(name, inputs, kind, seconds, references, attempt)
        except JailDied as death:
            self._bury(death)
            return Problem(death.kind, str(death))
        if isinstance(outcome, Problem) and outcome.kind == Status.NOT_DEFINED:
            fate = self.fates.get(name, Status.PASSED)
            why = "" if fate == Status.PASSED else f": its cell {'ended the jail' if fate == Status.DIED else fate}"
            return Problem(outcome.kind if fate == Status.PASSED else fate, f"is not defined{why}")
        return outcome

    def _open(self, seconds):
        if seconds <= 0:
            raise self._over()
        while self.jail is None:
            self.jail = self.warm.jail()
            for source in list(self._ran):
                left = self.deadline - time.monotonic()
                if left <= 0:
                    self._leave()
                    raise self._over()
                try:
                    self.jail.run(source, min(self.limits.cell_seconds, left))
                except JailDied as death:
                    self._bury(death)
                    self._ran.remove(source)
                    break
        return self.jail

    def _over(self):
        return JailDied(
            Status.TIMED_OUT, f"had no time left: the limit is {self.limits.total_seconds:g} s for everything"
        )

    def _bury(self, death):
        if self.jail is not None and self.jail.end:
            self.remarks.append(f"a jail had to be ended: something in it {death}")
            self._leave()

    def _leave(self):
        if self.jail is not None:
            self.jail.close()
            self.cpu += self.jail.cpu
            self.jail = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._leave()


class StandIn:
    """What a grade cell has in the place of the learner's function."""

    def __init__(self, name, execution, attempt=0):
        self.__name__, self._execution, self.attempt = name, execution, attempt

    def __call__(self, *arguments):
        """For a grade cell of one's own that calls the function itself: plain arguments in, its array out."""
        inputs = {f"argument {number}": value for number, value in enumerate(arguments)}
        seconds = self._execution.limits.cell_seconds
        outcome = self._execution.call(self.__name__, inputs, "function", seconds, attempt=self.attempt)
        if isinstance(outcome, Problem):
            raise outcome
        return outcome["result"]


class _Names(dict):
    """The variables of a grade cell: `check`, what it assigns, and a StandIn for every other name."""

    def __init__(self, execution, check, attempt):
        super().__init__(check=check)
        self._execution, self._attempt = execution, attempt

    def __missing__(self, name):
        if hasattr(builtins, name):
            raise KeyError(name)
        return StandIn(name, self._execution, self._attempt)


def _judge(cell, seed, execution, refusal, attempt=0):
    """Runs a grade cell, here; leaves its outputs in it and returns its entry in `exercises`."""
    started, printed, verdicts = time.monotonic(), io.StringIO(), []

    def check(answer, name=None, *, seed=0):
        verdict = _verdict(EXERCISES[name or answer.__name__], answer, seed, execution)
        verdicts.append(verdict)
        if verdict.status != Status.PASSED:
            raise checking.CheckFailed(messages.as_text(verdict), verdict)
        print(f"✓ {verdict.sentence}.")

    message = ""
    try:
        if refusal:
            raise checking.CheckFailed(refusal[1])
        with contextlib.redirect_stdout(printed), _seeded(seed):
            exec(compile(cell.source, "<grade cell>", "exec"), {}, _Names(execution, check, attempt))
    except Exception as error:  # a grade cell may assert what it likes
        message = str(error) or type(error).__name__
        failure = nbformat.v4.new_output("error", ename=type(error).__name__, evalue=message, traceback=[message])
    cell.outputs = [nbformat.v4.new_output("stream", text=printed.getvalue())] if printed.getvalue() else []
    if message:
        cell.outputs.append(failure)
    verdict = verdicts[-1] if verdicts else None
    status = Status.PASSED if not message else verdict.status if verdict else Status.WRONG
    points = float(label(cell).get("points", 0))
    return {
        "name": label(cell)["grade_id"].removeprefix("check-"),
        "status": refusal[0] if refusal else Status.WRONG if message and status == Status.PASSED else status,
        "points": points,
        "score": 0.0 if message else points,
        "message": message,
        "misconception": verdict.misconception.name if verdict and verdict.misconception else None,
        "seconds": round(time.monotonic() - started, 3),
    }


@contextlib.contextmanager
def _seeded(seed):
    before = os.environ.get("PGCOURSE_GRADING_SEED")
    os.environ["PGCOURSE_GRADING_SEED"] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PGCOURSE_GRADING_SEED"]
        else:
            os.environ["PGCOURSE_GRADING_SEED"] = before


def _verdict(exercise, answer, seed, execution):
    """As `verdicts.judge` finds it. A result that it cannot even read, of other names say, is a failure."""
    watched = [reference for reference in exercise.references if reference in KEPT]  # the others are not there

    def call(inputs, seconds):
        return execution.call(answer.__name__, inputs, exercise.probe, seconds, watched, getattr(answer, "attempt", 0))

    try:
        return verdicts.judge(exercise, call, seed)
    except (Problem, LookupError, TypeError, ValueError, ArithmeticError) as error:
        sentence = f"{exercise.name} gave what cannot be judged ({type(error).__name__}: {error})"
        return verdicts.Verdict(exercise, Status.UNREADABLE, sentence)


def _as_output(shown):
    """An nbformat output."""
    if "png" in shown:
        data = {"image/png": b64encode(shown["png"]).decode(), "text/plain": "<figure>"}
        return nbformat.v4.new_output("display_data", data=data)
    if "show" in shown:
        return nbformat.v4.new_output("display_data", data={"text/plain": shown["show"]})
    if "error" in shown:
        lines = shown["text"].splitlines()
        return nbformat.v4.new_output("error", ename=shown["error"], evalue=lines[-1] if lines else "", traceback=lines)
    return nbformat.v4.new_output("stream", name=shown["stream"], text=shown["text"])
