"""Whether an answer is right, and if not, which mistake it looks like: pure functions, in the notebook and the grader.

Nothing here calls an answer. Somebody hands in `call(inputs, seconds)`, which returns named arrays or a
`calling.Problem`; the misconceptions, which are ours, are run right here.

When numbers are equal. A right answer differs from the oracle by roundings, each of at most ε times the quantity
rounded, and no honest intermediate quantity is much larger than the largest number in sight (inputs, padding too, and
result). Its error is therefore within `roundings` · ε · that number, where `roundings` = 256 is what sums of some
hundred terms may gather. ε is that of the answer's own type. Where float64 arrays hold only float32 numbers in every
case, they came from float32: numbers computed in float64 have 29 more random bits.

A mistake that is right to seven digits would hide in float32's ε. Where an exercise knows one, it says how large the
numbers are that make up each entry (`Exercise.scale`), and brings a case in which some entries are made of far smaller
ones than others: float32 keeps their seven digits, and such a mistake does not.
"""

import time
from dataclasses import dataclass

import numpy as np

from pgcourse.exercises import Exercise, Misconception
from pgcourse.judging import calling
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import FINAL, Status

PRECISE, SINGLE = (float(np.finfo(kind).eps) for kind in (np.float64, np.float32))
SINGLE_HINT = (
    "It agrees to about seven digits and no further. Something in it works in float32 (torch.Tensor and .float() do) "
    "or approximates, or adds a small number for safety: keep float64, and the bare formula."
)
CASELESS = (Status.REFERENCE, Status.NOT_A_FUNCTION, Status.NOT_DEFINED)  # then no case would explain anything
MAX_SHOWN_AXES = 4  # a result of eight axes, abridged, is still a million numbers
ALSO_SIGN = "Besides, the sign is turned round."
SIGN_HINT = "In every case this is the expected result with the opposite sign."
SCALE_HINT = (
    "In every case this is the expected result times some number: the terms look right, what they are multiplied with "
    "or divided by does not."
)
ONE_NUMBER_HINT = "One number came out where an array is expected: some sum or mean runs over an axis too many."
EXTRA_AXIS_HINT = "There is an axis too many: a sum or a mean is missing, or a keepdims or [:, None] is left over."


@dataclass(frozen=True)
class Verdict:
    """What became of an answer.

    status         a `statuses.Status`
    sentence       what is wrong, with the exercise's name
    rows           the smallest failing case as (what, name, value): its inputs, what it got, what was expected
    place          which case that is, and of how many
    misconception  the one that gives the same on every case, if there is exactly one
    hint           that one's, or what all failing cases have in common (sign, scale, axes, precision), or ""
    """

    exercise: Exercise
    status: str
    sentence: str
    rows: tuple = ()
    place: str = ""
    misconception: Misconception | None = None
    hint: str = ""


def judge(exercise, call, seed=0):
    """The Verdict on `call(inputs, seconds)` → named arrays or a Problem, over the cases of that seed.

    seconds: what is left of the exercise's time for all cases together.
    """
    call = _in_time(call, exercise.time_limit)
    if exercise.trial:
        return _try_out(exercise, call, seed)
    cases = exercise.cases(seed)
    outcomes = []
    for inputs in cases:
        outcomes.append(call(inputs))
        kind = _kind(outcomes[-1])
        if kind == Status.NOT_ATTEMPTED and len(outcomes) == 1:
            return _not_attempted(exercise)
        if kind in FINAL:
            break
    eps = _epsilons(outcomes, exercise.scale is not None)
    failures = []
    for number, (inputs, outcome) in enumerate(zip(cases, outcomes, strict=False), 1):
        wrong = disagreement(expected(exercise, inputs), outcome, inputs, exercise.roundings, eps, exercise.scale)
        if wrong:
            size = sum(np.size(value) for value in inputs.values())
            failures.append((size, number, _after_the_first(_kind(outcome)), f"{exercise.name} {wrong}"))
    if not failures:
        return Verdict(exercise, Status.PASSED, f"{exercise.name}: right in all {len(cases)} cases")
    _, number, kind, sentence = min(failures) if len(outcomes) == len(cases) else failures[-1]
    rows = () if kind in CASELESS else _rows(exercise, cases[number - 1], outcomes[number - 1], eps)
    misconception, hint = _diagnose(exercise, cases, outcomes)
    return Verdict(exercise, kind, sentence, rows, f"case {number} of {len(cases)}", misconception, hint)


def _try_out(exercise, call, seed):
    """The Verdict on an answer that is judged by what it does: see `exercises.Trial`."""

    def insist(inputs):
        outcome = call(inputs)
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    cases, outcomes = exercise.cases(seed), []
    for number, inputs in enumerate(cases, 1):
        try:
            outcomes.append(exercise.trial.play(insist, inputs))
        except Problem as problem:
            if problem.kind == Status.NOT_ATTEMPTED and number == 1:
                return _not_attempted(exercise)
            kind, sentence, symptom = _after_the_first(problem.kind), problem.message, problem.key
            rows = () if kind in CASELESS else tuple(("input", name, _show(value)) for name, value in inputs.items())
            break
    else:
        sentence, number, rows, symptom = exercise.trial.assess(outcomes)
        if not rows:
            return Verdict(exercise, Status.PASSED, f"{exercise.name}: {sentence}")
        kind = Status.WRONG
    misconception = next((m for m in exercise.misconceptions if m.name == symptom), None)
    hint = misconception.hint if misconception else ""
    place = f"case {number} of {len(cases)}"
    return Verdict(exercise, kind, f"{exercise.name} {sentence}", rows, place, misconception, hint)


def _in_time(call, seconds):
    """call(inputs) within a time for all of them together; what was final is said again without asking."""
    deadline, last = time.monotonic() + seconds, None
    over = Problem(
        Status.TIMED_OUT, f"took longer than {seconds:g} s and was stopped: is there a loop that never ends?"
    )

    def ask(inputs):
        nonlocal last
        left = deadline - time.monotonic()
        outcome = last or (call(inputs, left) if left > 0 else over)
        if isinstance(outcome, Problem) and outcome.kind in FINAL:
            is_over = outcome.kind == Status.TIMED_OUT and time.monotonic() >= deadline
            last = outcome = over if is_over else outcome
        return outcome

    return ask


def _kind(outcome):
    return outcome.kind if isinstance(outcome, Problem) else Status.WRONG


def _not_attempted(exercise):
    return Verdict(exercise, Status.NOT_ATTEMPTED, f"{exercise.name}: {Status.NOT_ATTEMPTED.sentence}")


def _after_the_first(kind):
    """An answer that gave something once has been attempted, whatever it raises later."""
    return Status.RAISED if kind == Status.NOT_ATTEMPTED else kind


def run(answer, inputs, kind, time_limit=None, references=()):
    """What `calling.watched_probe` returns, or the Problem that it raises."""
    try:
        return calling.watched_probe(answer, inputs, kind, time_limit, references)
    except Problem as problem:
        return problem


def verdict_on(exercise, answer, seed=0):
    """The Verdict on a function that may be called right here: ours, not a learner's."""
    return judge(exercise, lambda inputs, _: run(answer, inputs, exercise.probe), seed)


def expected(exercise, inputs):
    """The oracle's named arrays."""
    result = exercise.oracle(*calling.arguments(inputs))
    named = result if isinstance(result, dict) else {"result": result}
    return {name: calling.as_array(value) for name, value in named.items()}


def _epsilons(outcomes, together=False):
    """Type → the relative size of a rounding, for the float32 and float64 arrays among all outcomes of an answer.

    together: one array of float32 makes all of them single.
    """
    arrays = [array for outcome in outcomes if not isinstance(outcome, Problem) for array in outcome.values()]
    with np.errstate(over="ignore"):
        is_single = all(
            np.array_equal(a, a.astype(np.float32), equal_nan=True) for a in arrays if a.dtype == np.float64
        ) or (together and any(a.dtype == np.float32 for a in arrays))
    others = (np.float64, np.int64) if together else (np.float64,)
    return {np.dtype(np.float32): SINGLE} | {np.dtype(kind): SINGLE if is_single else PRECISE for kind in others}


def tolerance(eps, roundings, arrays):
    """roundings · ε · the largest finite number in the arrays; see the module's docstring."""
    values = np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])
    return roundings * eps * float(np.abs(values[np.isfinite(values)]).max(initial=0))


def _within(got, want, inputs, roundings, eps, scale):
    """How far an array may be from the one wanted: a number, or one for each entry if it is single and has a scale."""
    own = eps.get(got.dtype, PRECISE)
    if own == SINGLE and scale:
        return roundings * own * scale(*calling.arguments(inputs))
    return tolerance(own, roundings, [want, *inputs.values()])


def disagreement(wanted, outcome, inputs, roundings, eps, scale=None):
    """What is wrong with an outcome, as the rest of a sentence that begins with the exercise's name; "" if nothing is.

    wanted: the oracle's named arrays. eps: type → ε, as from `_epsilons`; other types are precise. scale: an
    `Exercise.scale`.
    """
    if isinstance(outcome, Problem):
        return outcome.message
    for name, want in wanted.items():
        got, verb = outcome[name], "returned" if name == "result" else f"gave {name} as"
        if got.shape != want.shape:
            return f"{verb} {_shape(got)}, expected {_shape(want)}"
        if got.dtype == bool and want.dtype != bool:
            return f"{verb} True and False, expected numbers"
        bad = ~_close(got, want, _within(got, want, inputs, roundings, eps, scale))
        if bad.any():
            index = tuple(np.argwhere(bad)[0])
            place = f" at [{', '.join(map(str, index))}]" if index else ""
            short = [f"{value:.6g}" if want.dtype != bool else str(value) for value in (got[index], want[index])]
            if short[0] == short[1]:
                short = [f"{value:.17g}" for value in (got[index], want[index])]
            return f"{verb} {short[0]}{place}, expected {short[1]}"
    return ""


def _close(got, want, within):
    with np.errstate(invalid="ignore"):
        return np.abs(got.astype(np.float64) - want.astype(np.float64)) <= within


def _shape(array):
    return f"an array of shape {array.shape}" if array.ndim else "a single number, shape ()"


def _diagnose(exercise, cases, outcomes):
    """The one misconception that gives the same on every case, or None; and what can be said.

    Two outcomes are the same to single precision: somebody's 1e-8 in a denominator does not hide the mistake. Where
    none is the same, one that gives the same with the opposite sign is as good; then what all cases have in common.
    """
    if len(outcomes) < len(cases):
        return None, ""
    same = _lookalikes(exercise, cases, outcomes, 1)
    if same:
        return (same[0], same[0].hint) if len(same) == 1 else (None, "")
    wanted = [expected(exercise, inputs) for inputs in cases]
    triples = list(zip(wanted, outcomes, cases, strict=True))
    coarse = {np.dtype(np.float32): SINGLE, np.dtype(np.float64): SINGLE}
    if not any(disagreement(*triple, exercise.roundings, coarse) for triple in triples):
        return None, SINGLE_HINT
    opposite = _lookalikes(exercise, cases, outcomes, -1)
    if len(opposite) == 1:
        return opposite[0], f"{opposite[0].hint} {ALSO_SIGN}"
    return None, _in_common(exercise, triples)


def _lookalikes(exercise, cases, outcomes, sign):
    """The misconceptions whose outcome, times the sign, is this one in every case."""
    return [
        m
        for m in exercise.misconceptions
        if all(
            _alike(outcome, run(m.wrong, inputs, exercise.probe), inputs, exercise, sign)
            for outcome, inputs in zip(outcomes, cases, strict=True)
        )
    ]


def _alike(outcome, other, inputs, exercise, sign):
    if isinstance(outcome, Problem) or isinstance(other, Problem):
        return isinstance(outcome, Problem) and isinstance(other, Problem) and outcome.key == other.key and sign == 1
    for name, got in outcome.items():
        want = sign * other[name] if sign == -1 and other[name].dtype != bool else other[name]
        if got.shape != want.shape:
            return False
        close = _close(got, want, tolerance(SINGLE, exercise.roundings, [want, *inputs.values()]))
        if not (close | (got == want) | ((got != got) & (want != want))).all():
            return False
    return True


def _in_common(exercise, triples):
    """A sentence about how an answer that is no known mistake differs from the truth in *every* case, or ""."""
    if any(isinstance(outcome, Problem) or len(outcome) > 1 for _, outcome, _ in triples):
        return ""
    pairs = [(*outcome.values(), *want.values()) for want, outcome, _ in triples]
    if all(got.ndim == 0 < want.ndim for got, want in pairs):
        return ONE_NUMBER_HINT
    if all(got.ndim > want.ndim for got, want in pairs):
        return EXTRA_AXIS_HINT
    factors = [_factor(got, want, inputs, exercise) for (got, want), (_, _, inputs) in zip(pairs, triples, strict=True)]
    telling = [factor for factor, (_, want) in zip(factors, pairs, strict=True) if want.any()]
    if None in factors or len(telling) < 3:
        return ""
    if np.allclose(telling, -1):
        return SIGN_HINT
    several = sum(np.count_nonzero(want) > 1 for _, want in pairs)
    return SCALE_HINT if several > 2 or np.allclose(telling, telling[0]) else ""


def _factor(got, want, inputs, exercise):
    """c where got = c · want to single precision and c is not 0, otherwise None; 1 where both are zero."""
    if got.shape != want.shape or want.dtype == bool or not np.isfinite(got).all():
        return None
    norm = float((want * want).sum())
    factor = float((got * want).sum()) / norm if norm else 1.0
    within = tolerance(SINGLE, exercise.roundings, [want, got, *inputs.values()])
    return factor if abs(factor) > SINGLE and _close(got, factor * want, within).all() else None


def _rows(exercise, inputs, outcome, eps):
    wanted = expected(exercise, inputs)
    rows = [("input", name, _show(value)) for name, value in inputs.items()]
    got = {} if isinstance(outcome, Problem) else outcome
    rows += [("got", name, _show(value)) for name, value in got.items()]
    rows += [("expected", name, _show(value)) for name, value in wanted.items()]
    for name, value in got.items():
        within = _within(value, wanted[name], inputs, exercise.roundings, eps, exercise.scale)
        rows.append(("tolerance", name, f"{np.max(within):.1g}"))
    return tuple((what, "" if name == "result" else name, text) for what, name, text in rows)


def _show(value):
    value = np.asarray(value)
    if value.ndim > MAX_SHOWN_AXES:
        return _shape(value)
    if value.dtype.kind == "f":
        value = value + 0.0  # turns -0.0 into 0.0
    return (
        f"{value:.6g}"
        if value.dtype.kind == "f" and not value.ndim
        else np.array2string(value, precision=4, max_line_width=72, threshold=60)
    )
