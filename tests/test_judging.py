"""Verdicts as pure functions: what is right, which case is shown, which mistake is named, what all cases share.

The exercises are made here, a line long, so that a test shows what it is about. What `check` does around them is
tested in test_checking.py, how an answer is called in test_probes.py.
"""

import numpy as np
import pytest
import torch

from pgcourse import mdp
from pgcourse.exercises import EXERCISES, Exercise, Misconception, Trial
from pgcourse.exercises.cases import case
from pgcourse.judging import verdicts
from pgcourse.judging.calling import Problem
from pgcourse.judging.verdicts import PRECISE, SINGLE, Verdict


def verdict_on(exercise, call, seed=0):
    return verdicts.judge(exercise, call, seed)


def verdict_of(exercise, answer, seed=0):
    """What is said of an answer that is called right here; it may raise the Problem that is to come back."""
    return verdict_on(exercise, lambda inputs, _: verdicts.run(answer, inputs, exercise.probe), seed)


def tiny(oracle, *cases, wrong=None, **fields):
    """The exercise f, to be tried on these arguments; wrong: name → code that makes the mistake."""
    misconceptions = tuple(Misconception(name, f"Beware of {name}!", code) for name, code in (wrong or {}).items())
    made = [case(**arguments) for arguments in cases]
    return Exercise("f", 0, 1, 1, 1, "f", lambda seed: made, oracle, misconceptions, (), **fields)


def doubling(*values, **fields):
    return tiny(lambda x: 2 * x, *({"x": x} for x in values), **fields)


THREE = doubling([1.0], [2.0, -3.0], [0.5, 4.0, 1.0])


def raising(problem):
    raise problem


# Passed, not attempted, or not right


def test_right_in_every_case_is_passed():
    assert verdict_of(THREE, lambda x: x + x) == Verdict(THREE, "passed", "f: right in all 3 cases")


def test_a_stub_is_tried_once_and_not_attempted():
    asked = []

    def stub(x):
        asked.append(x)
        raise NotImplementedError

    assert verdict_of(THREE, stub) == Verdict(THREE, "not attempted", "f: not attempted yet")
    assert len(asked) == 1


def test_what_is_not_finished_everywhere_is_attempted():
    found = verdict_of(THREE, lambda x: x + x if len(x) < 3 else raising(NotImplementedError()))
    assert (found.status, found.place) == ("raised", "case 3 of 3")
    assert found.sentence.startswith("f raised NotImplementedError")


def test_the_cases_are_those_of_the_seed():
    exercise = Exercise("f", 0, 1, 1, 1, "f", lambda seed: [case(x=float(seed))], lambda x: 2 * x, (), ())
    seen = []
    for seed in ({}, {"seed": 3}):
        assert verdict_of(exercise, lambda x: seen.append(x) or x + x, **seed).status == "passed"
    assert seen == [0, 3]


@pytest.mark.parametrize(("kind", "has_rows"), [("timed out", True), ("reference", False), ("not a function", False)])
def test_where_nobody_can_go_on_the_last_case_is_shown_and_no_mistake_named(kind, has_rows):
    asked = []
    exercise = doubling([1.0], [4.0], [2.0, -3.0], [0.5], wrong={"a square": lambda x: x * x})

    def answer(x):
        asked.append(len(x))
        return x * x if len(x) == 1 else raising(Problem(kind, "stops here"))

    found = verdict_of(exercise, answer)
    assert asked == [1, 1, 2]
    rows = (("input", "x", "[ 2. -3.]"), ("expected", "", "[ 4. -6.]")) if has_rows else ()
    assert found == Verdict(exercise, kind, "f stops here", rows, "case 3 of 4")


def test_after_any_other_problem_the_other_cases_are_tried():
    asked = []
    found = verdict_of(THREE, lambda x: asked.append(len(x)) or raising(Problem("mutated", "changed its input x")))
    assert asked == [1, 2, 3]
    assert (found.status, found.sentence, found.place) == ("mutated", "f changed its input x", "case 1 of 3")


def test_the_failing_case_of_fewest_numbers_is_shown_and_the_first_of_equals():
    sizes = {"x": [9.0, 9.0, 9.0], "y": 7.0}, {"x": 9.0, "y": [8.0, 8.0]}, {"x": [5.0, 5.0], "y": 8.0}
    found = verdict_of(tiny(lambda x, y: np.sum(x), *sizes), lambda x, y: np.sum(y))
    assert (found.place, found.sentence) == ("case 2 of 3", "f returned 16, expected 9")
    assert verdict_of(THREE, lambda x: x + x if len(x) < 3 else x).place == "case 3 of 3"


def test_the_case_is_shown_with_its_inputs_both_results_and_how_close_is_close_enough():
    exercise = tiny(lambda x, rate: rate * x, {"x": [1.0, 2.0], "rate": 2})
    inputs = ("input", "x", "[1. 2.]"), ("input", "rate", "2")
    found = verdict_of(exercise, lambda x, rate: x / 3)
    got = ("got", "", "[0.3333 0.6667]"), ("expected", "", "[2. 4.]")
    assert found.rows == (*inputs, *got, ("tolerance", "", "2e-13"))  # 256 · 2⁻⁵² · 4
    single = verdict_of(exercise, lambda x, rate: np.float32(x))
    assert single.rows[-1] == ("tolerance", "", "0.0001")  # 256 · 2⁻²³ · 4
    assert verdict_of(exercise, lambda x, rate: 1 / 0).rows == (*inputs, got[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333333"),
        (-0.0, "0"),
        (1234567, "1234567"),
        ([-0.0, np.pi], "[0.     3.1416]"),
        ([[True, False]], "[[ True False]]"),
        (np.ones((1, 1, 1, 1)), "[[[[1.]]]]"),
        (np.ones((1, 1, 1, 1, 2)), "an array of shape (1, 1, 1, 1, 2)"),
        (np.arange(61), "[ 0  1  2 ... 58 59 60]"),
    ],
)
def test_numbers_are_shown_briefly(value, text):
    exercise = tiny(lambda x: 1.0, {"x": value})
    assert verdict_of(exercise, lambda x: None).rows[0] == ("input", "x", text)


def test_sixty_numbers_are_shown_whole():
    assert "..." not in verdict_of(doubling(np.arange(60)), lambda x: x).rows[0][2]


# What is expected, and what is wrong with an outcome


def test_what_an_oracle_gives_has_names():
    exercise = tiny(lambda mdp, x: [mdp.horizon, x], {"mdp": mdp.corridor(), "x": 0.5})
    (name, array), *others = verdicts.expected(exercise, exercise.cases(0)[0]).items()
    assert (name, array.tolist(), others) == ("result", [8, 0.5], [])
    several = tiny(lambda x: {"a": x, "b": [x > 0, False]}, {"x": 1.0})
    found = verdicts.expected(several, several.cases(0)[0])
    assert {name: array.tolist() for name, array in found.items()} == {"a": 1, "b": [True, False]}


@pytest.mark.parametrize(
    ("got", "want", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0], ""),
        ([1, 2], [1.0, 2.0], ""),
        ([1, 0], [True, False], ""),
        ([1.0, 3.0, 5.0], [1.0, 2.0, 4.0], "returned 3 at [1], expected 2"),
        ([[1.0, 2.0], [3.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], "returned 5 at [1, 1], expected 4"),
        (1.25, 2.0, "returned 1.25, expected 2"),
        ([1.0], 1.0, "returned an array of shape (1,), expected a single number, shape ()"),
        (1.0, [1.0], "returned a single number, shape (), expected an array of shape (1,)"),
        ([[1.0]], [1.0], "returned an array of shape (1, 1), expected an array of shape (1,)"),
        ([True], [1.0], "returned True and False, expected numbers"),
        ([True, True], [True, False], "returned True at [1], expected False"),
        ([1.0, np.nan], [1.0, 2.0], "returned nan at [1], expected 2"),
        (np.inf, 1.0, "returned inf, expected 1"),
        (1 + 1e-9, 1.0, "returned 1.0000000010000001, expected 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(got, want, words):
    outcome, wanted = {"result": np.asarray(got)}, {"result": np.asarray(want)}
    assert verdicts.disagreement(wanted, outcome, {}, 256, {}) == words


def test_of_several_results_the_first_that_is_wrong_is_named():
    wanted = {"actions": np.array([0, 1]), "rewards": np.array([1.0, 2.0]), "terminated": np.array(True)}
    outcome = wanted | {"rewards": np.array([1.0, 7.0]), "terminated": np.array(False)}
    assert verdicts.disagreement(wanted, outcome, {}, 256, {}) == "gave rewards as 7 at [1], expected 2"
    assert verdicts.disagreement(wanted, Problem("raised", "raised an error"), {}, 256, {}) == "raised an error"


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_largest_number_in_sight_and_the_type_say_how_close_is_right(kind):
    eps = {np.dtype(np.float64): PRECISE, np.dtype(np.float32): SINGLE}
    wanted, inputs = {"result": np.array([0.0, -8.0])}, {"x": np.array([1.0, -1024.0]), "rate": 3}
    edge = kind(256 * np.finfo(kind).eps * 1024)  # a power of two: exact
    for off, is_right in ((edge, True), (np.nextafter(edge, kind(1)), False)):
        outcome = {"result": np.array([off, -8], dtype=kind)}
        assert (verdicts.disagreement(wanted, outcome, inputs, 256, eps) == "") is is_right
        assert verdicts.disagreement(wanted, outcome, inputs, 255, eps) != ""
        assert verdicts.disagreement(wanted, outcome, {}, 256, eps) != ""


def test_tolerance_follows_from_type_and_size():
    numbers = np.array([1.0, -40.0]), np.array([np.nan, np.inf])
    assert verdicts.tolerance(PRECISE, 256, numbers) == 256 * 2**-52 * 40
    assert verdicts.tolerance(PRECISE, 256, numbers[1:]) == 0
    single, double = np.array([0.1, np.nan], dtype=np.float32), np.array([0.1])
    for arrays, eps in (
        ([double], PRECISE),
        ([single.astype(np.float64)], SINGLE),
        ([single.astype(np.float64), double], PRECISE),  # one case tells that all were computed in float64
        ([single, np.array([2**60]), np.array([True])], SINGLE),
        ([np.array([1e300])], PRECISE),
    ):
        found = verdicts._epsilons([{"result": array} for array in arrays] + [Problem("raised", "raised")])
        assert found == {np.dtype(np.float32): SINGLE, np.dtype(np.float64): eps}


def test_float32_is_judged_at_its_own_tolerance():
    exercise = doubling([0.1, 0.7], [1 / 3])

    def single(x):
        return np.float32(x) * np.float32(2)

    for right in (single, lambda x: single(x).tolist(), lambda x: 2 * torch.tensor(x).float()):
        assert verdict_of(exercise, right).status == "passed"  # a list: float32 numbers in Python's floats
    assert verdict_of(exercise, lambda x: single(x) * np.float32(1.001)).status == "wrong"
    assert verdict_of(exercise, lambda x: 2 * x * (1 + 1e-7)).status == "wrong"


@pytest.mark.parametrize("answer", [lambda x: 2 * x.astype(int), lambda x: [2, 4], lambda x: np.uint8(2 * x)])
def test_integers_that_are_right_pass(answer):
    assert verdict_of(doubling([1.0, 2.0]), answer).status == "passed"


# Which mistake it looks like

MISTAKEN = doubling(
    [1.0, 2.0],
    [3.0],
    [-1.0, 5.0, 2.0],
    wrong={
        "a square": lambda x: x * x,
        "a sum": lambda x: (2 * x).sum(),
        "shapes": lambda x: np.ones((2, 3)) @ np.ones(2),
        "no number": lambda x: np.where(x == 2, np.nan, x / 0),
    },
)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (lambda x: x**2, "a square"),
        (lambda x: x * x / (1 + 1e-8), "a square"),
        (lambda x: x * x * 1.001, None),
        (lambda x: x * x if len(x) != 1 else 2 * x, None),
        (lambda x: (x * x)[None], None),
        (lambda x: 2 * sum(x), "a sum"),
        (lambda x: torch.ones(2, 3) * torch.ones(2), "shapes"),
        (lambda x: 1 / 0, None),
        (lambda x: x * x if len(x) == 1 else np.ones(2) + np.ones(3), None),
        (lambda x: np.where(x == 2, np.nan, np.sign(x) * np.inf), "no number"),
        (lambda x: np.where(x == 2, np.nan, x * x), None),
        (lambda x: np.where(x == 2, np.inf, np.sign(x) * np.inf), None),
        (lambda x: np.where(x == 2, np.nan, np.inf), None),
    ],
)
def test_a_mistake_is_named_where_it_gives_the_same_in_every_case(answer, name):
    found = verdict_of(MISTAKEN, answer)
    known = next((m for m in MISTAKEN.misconceptions if m.name == name), None)
    assert found.misconception is known
    if known:
        assert found.hint == known.hint


def test_of_two_misconceptions_that_match_none_is_named():
    found = verdict_of(doubling([1.0, 2.0], wrong=dict.fromkeys(("one", "two"), lambda x: x)), lambda x: x)
    assert (found.misconception, found.hint) == (None, "")


def test_a_mistake_with_the_sign_turned_round_is_named_if_it_is_the_only_one():
    found = verdict_of(MISTAKEN, lambda x: -x * x)
    assert found.misconception.name == "a square"
    assert found.hint == f"{found.misconception.hint} {verdicts.ALSO_SIGN}"
    twins = doubling([1.0, 2.0], [3.0], wrong=dict.fromkeys(("one", "two"), lambda x: x * x))
    assert verdict_of(twins, lambda x: -x * x).misconception is None


def test_a_failure_has_no_sign_to_turn_round():
    def mixed(sign):
        return lambda x: sign * x if len(x) > 1 else 1 / 0

    exercise = doubling([1.0, 2.0], [3.0], wrong={"a mixture": mixed(1)})
    assert verdict_of(exercise, mixed(1)).misconception.name == "a mixture"
    found = verdict_of(exercise, mixed(-1))
    assert (found.misconception, found.hint) == (None, "")


def test_true_and_false_have_no_sign_either():
    exercise = tiny(lambda x: x > 0, {"x": [1.0, -2.0]}, wrong={"small ones": lambda x: x < 2})
    assert verdict_of(exercise, lambda x: x < 0).misconception is None
    assert verdict_of(exercise, lambda x: x < 2).misconception.name == "small ones"


# What all cases have in common

VECTORS = [1.0, 2.0], [3.0, -1.0], [0.5, 4.0]


@pytest.mark.parametrize(
    ("values", "answer", "hint"),
    [
        (VECTORS, lambda x: 2 * x * (1 + 1e-9), verdicts.SINGLE_HINT),
        (VECTORS, lambda x: 2 * x * (1 + 1e-3), verdicts.SCALE_HINT),
        (VECTORS, lambda x: -2 * x, verdicts.SIGN_HINT),
        (VECTORS[:2], lambda x: -2 * x, ""),  # two cases prove little
        ((*VECTORS[:2], [0.0, 0.0]), lambda x: -2 * x, ""),
        ((*VECTORS, [0.0, 0.0]), lambda x: -2 * x, verdicts.SIGN_HINT),
        (([0.0, 2.0], [3.0, 0.0], [0.0, 4.0]), lambda x: -2 * x, verdicts.SIGN_HINT),
        ((*VECTORS, [0.0, 0.0]), lambda x: 2 * x + 1, ""),
        ((*VECTORS, [0.0, 0.0]), lambda x: 0.3 * x if x.any() else x + 1, ""),
        ((1.0, 2.0, 3.0), lambda x: -2 * x if x < 3 else -4 * x, ""),
        ((1.0, 2.0, 3.0), lambda x: 0.3 * x, verdicts.SCALE_HINT),
        ((1.0, 2.0, 3.0), lambda x: x * x, ""),  # any one number is some multiple of another
        (VECTORS, lambda x: x * x[0], verdicts.SCALE_HINT),
        ((*VECTORS[:2], [0.0, 5.0]), lambda x: x * x[1], ""),
        (([0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [0.0, 2.0, 5.0]), lambda x: x * x, ""),
        (VECTORS, lambda x: x * (x[0] > 1), ""),  # nothing came out
        (VECTORS, lambda x: 0 * x, ""),
        (VECTORS, lambda x: x * np.nan, ""),
        ((*VECTORS, [0.0, 1.0]), lambda x: np.where(x == 0, np.inf, x), ""),
        (VECTORS, lambda x: -2 * x if x[0] < 3 else 1 / 0, ""),
        (VECTORS, lambda x: float(x.max()), verdicts.ONE_NUMBER_HINT),
        ((*VECTORS, 3.0), lambda x: float(np.max(x)) + 0.5, ""),
        (VECTORS, lambda x: 2 * x[None], verdicts.EXTRA_AXIS_HINT),
        (VECTORS, lambda x: 2 * x if x[0] < 3 else 2 * x[None], ""),
        ((1.0, 2.0, 3.0), lambda x: [2 * x], verdicts.EXTRA_AXIS_HINT),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_true_of_all_cases_is_said_and_nothing_else(values, answer, hint):
    found = verdict_of(doubling(*values), answer)
    assert found.status != "passed"
    assert (found.misconception, found.hint) == (None, hint)


def test_numbers_are_no_multiples_of_true_and_false():
    exercise = tiny(lambda x: x > 0, *({"x": x} for x in VECTORS))
    assert verdict_of(exercise, lambda x: 3.0 * (x > 0)).hint == ""


def test_of_several_results_nothing_is_said_together():
    exercise = tiny(lambda x: {"a": 2 * x, "b": x}, *({"x": x} for x in VECTORS))
    found = verdict_on(exercise, lambda inputs, _: {"a": -2 * inputs["x"], "b": -inputs["x"]})
    assert (found.status, found.hint) == ("wrong", "")


# An answer that is judged by what it does


def double_twice(call, inputs):
    """Plays with an answer to `doubling`: what it makes of what it made."""
    return {"result": call({"x": call(inputs)["result"]})["result"]}


def at_least(outcomes):
    worst = min(range(len(outcomes)), key=lambda k: outcomes[k]["result"])
    reached = float(outcomes[worst]["result"])
    rows = (("got", "", f"{reached:g}"),) if reached < 4 else ()
    return f"reached {reached:g}", worst + 1, rows, "the value itself" if reached == 1 else ""


DEED = doubling(3.0, 1.0, 2.0, wrong={"the value itself": lambda x: x}, trial=Trial(double_twice, at_least))


def test_a_deed_is_assessed_as_a_whole():
    assert verdict_of(DEED, lambda x: x + x) == Verdict(DEED, "passed", "f: reached 4")
    own = DEED.misconceptions[0]
    found = verdict_of(DEED, lambda x: x)
    assert found == Verdict(DEED, "wrong", "f reached 1", (("got", "", "1"),), "case 2 of 3", own, own.hint)
    unknown = verdict_of(DEED, lambda x: x * 1.5)
    assert (unknown.sentence, unknown.misconception, unknown.hint) == ("f reached 2.25", None, "")


@pytest.mark.parametrize("case_of_it", [1, 2])
@pytest.mark.parametrize("kind", ["not attempted", "raised", "timed out", "reference", "not a function"])
def test_a_problem_ends_the_trial(kind, case_of_it):
    asked = []

    def answer(x):
        asked.append(x)
        return x if len(asked) < 2 * case_of_it else raising(Problem(kind, "stops here", "the value itself"))

    found = verdict_of(DEED, answer)
    assert len(asked) == 2 * case_of_it
    if kind == "not attempted" and case_of_it == 1:
        assert found == Verdict(DEED, "not attempted", "f: not attempted yet")
        return
    status = kind.replace("not attempted", "raised")
    rows = () if kind in ("reference", "not a function") else (("input", "x", "31"[case_of_it - 1]),)
    own, place = DEED.misconceptions[0], f"case {case_of_it} of 3"
    assert found == Verdict(DEED, status, "f stops here", rows, place, own, own.hint)


def test_a_trainer_is_asked_for_actions_and_for_nothing_else():
    """What it says about itself counts for nothing: no name but the actions' is read."""

    def lying(inputs, _):
        if "observations" in inputs:
            return {"actions": np.zeros(len(inputs["observations"]), dtype=np.int64), "returns": np.full(34, 500.0)}
        return {"trained": np.array(True), "mean return": np.array(500.0)}

    found = verdict_on(EXERCISES["capstone"], lying)
    assert found.status == "wrong"
    assert found.misconception.name == "worse than a coin toss"


def test_the_seeds_and_the_dice_come_from_the_checks_seed():
    seen = []

    def call(inputs, _):
        seen.append(inputs)
        return Problem("raised", "stops here") if len(seen) % 2 == 0 else {"trained": np.array(True)}

    for seed in (1, 1, 2):
        assert verdict_on(EXERCISES["capstone"], call, seed).sentence == "capstone stops here"
    first, again, other = seen[0], seen[2], seen[4]
    assert first["seed"] == again["seed"] != other["seed"]
    assert first["mixing"].tolist() == again["mixing"].tolist() != other["mixing"].tolist()
    assert list(first) == ["seed", "mixing", "swapped"]
    assert seen[1]["observations"].dtype == np.float64
