"""The exercises themselves: cases that separate, oracles that stand alone, and the matrix of misconceptions."""

import importlib
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from pgcourse import exact, exercises
from pgcourse.exercises import EXERCISES, LESSONS, pieces
from pgcourse.judging import calling, verdicts
from pgcourse.judging.calling import Problem

SEEDS = (0, 20_251)
EVERY = [pytest.param(exercise, id=exercise.name) for exercise in EXERCISES.values()]
WRONG = [pytest.param(e, m, id=f"{e.name}: {m.name}") for e in EXERCISES.values() for m in e.misconceptions]
RIGHT = [pytest.param(e, a, id=f"{e.name}-{k}") for e in EXERCISES.values() for k, a in enumerate(e.accepts)]


def verdict(exercise, answer, seed=0):
    return verdicts.verdict_on(exercise, answer, seed)


@pytest.mark.parametrize(("exercise", "misconception"), WRONG)
def test_misconception_fails_with_its_own_hint(exercise, misconception):
    for seed in SEEDS:
        found = verdict(exercise, misconception.wrong, seed)
        assert found.status != "passed"
        assert found.misconception is misconception
        assert found.hint == misconception.hint


@pytest.mark.parametrize("exercise", [e for e in EVERY if not e.values[0].trial])
def test_float32_is_no_excuse_for_a_mistake_and_no_mistake(exercise):
    bare = replace(exercise, misconceptions=())  # nobody asks which mistake it is
    passing = {m.name for m in exercise.misconceptions if in_float32(bare, m.wrong).status == "passed"}
    assert not passing
    assert {in_float32(bare, answer).status for answer in exercise.accepts} == {"passed"}


@np.errstate(over="ignore")
def in_float32(exercise, answer):
    """The verdict on an answer's results as float32."""

    def call(inputs, _):
        outcome = verdicts.run(answer, inputs, exercise.probe)
        if isinstance(outcome, Problem):
            return outcome
        return {name: array.astype(np.float32) if array.dtype == float else array for name, array in outcome.items()}

    return verdicts.judge(exercise, call)


@pytest.mark.parametrize("step", [1e-2, 1e-5, 1e-8])
@pytest.mark.parametrize(
    "finish",
    [
        np.float32,
        lambda gradient: np.float32(gradient.round(10)),
        lambda gradient: 1e-14 / 3 + gradient.round(10) if np.abs(gradient).max() < 1e-3 else np.float32(gradient),
        lambda gradient: gradient.round(10).astype(int if np.abs(gradient).max() < 1e-3 else np.float32),
    ],
)
@pytest.mark.parametrize("back", [0, 1])
def test_differences_of_ones_own_are_found_out_in_float32(step, finish, back):
    def nudged(mdp, theta):
        def objective(theta):
            return exact.objective(mdp, pieces.softmax(theta)).item()

        nudges = step * np.eye(theta.size).reshape(-1, *theta.shape)
        slopes = [(objective(theta + nudge) - objective(theta - back * nudge)) / step / (1 + back) for nudge in nudges]
        return finish(np.reshape(slopes, theta.shape))

    assert verdict(EXERCISES["exact_policy_gradient"], nudged).status == "wrong"


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers_pass_in_any_style(exercise, answer):
    for seed in SEEDS:
        found = verdict(exercise, answer, seed)
        assert found.status == "passed"
        if not exercise.trial:
            assert found.sentence == f"{exercise.name}: right in all {len(exercise.cases(0))} cases"


@pytest.mark.parametrize("exercise", EVERY)
def test_exercise_is_complete(exercise):
    assert exercise.name == exercise.signature.partition("(")[0]
    assert 0 <= exercise.lesson < len(LESSONS)
    assert exercise.points > 0
    assert exercise.minutes > 0
    assert exercise.difficulty in (1, 2, 3)
    assert exercise.probe in calling.KINDS
    assert len(exercise.accepts) >= 3
    assert len(exercise.misconceptions) >= 5
    for texts in ([m.name for m in exercise.misconceptions], [m.hint for m in exercise.misconceptions]):
        assert len(set(texts)) == len(texts)
    for hint in (m.hint for m in exercise.misconceptions):
        assert not any(hint in m.hint for m in exercise.misconceptions if m.hint != hint)
        assert "\n" not in hint
        assert len(hint) <= 260, "a hint is one or two sentences"


def test_an_exercise_is_the_file_of_its_name_in_the_folder_of_its_lesson():
    folder = Path(exercises.__file__).parent
    found = {path.stem: path.parent.name for path in folder.glob("lesson_*/*.py") if path.stem[0] != "_"}
    assert {name: lesson for name, lesson in found.items() if name != "shared"} == {
        exercise.name: f"lesson_{exercise.lesson}" for exercise in EXERCISES.values()
    }


@pytest.mark.parametrize("exercise", EVERY)
def test_references_exist(exercise):
    for reference in exercise.references:
        module, _, name = reference.partition(".")
        function = attrgetter(name)(importlib.import_module(f"pgcourse.{module}"))
        assert inspect.isfunction(getattr(function, "fget", function))


@pytest.mark.parametrize("exercise", EVERY)
def test_cases_are_the_same_for_a_seed_and_differ_between_seeds(exercise):
    first, again, other = exercise.cases(3), exercise.cases(3), exercise.cases(4)
    assert [list(case) for case in first] == [list(case) for case in again]
    equal = [
        all(np.array_equal(case[name], same[name]) for name in case) for case, same in zip(first, again, strict=True)
    ]
    assert all(equal)
    assert not all(
        all(np.array_equal(case[name], different[name]) for name in case)
        for case, different in zip(first, other, strict=True)
    )


@pytest.mark.parametrize("exercise", EVERY)
def test_what_crosses_is_plain(exercise):
    """float64, int64 and bool arrays and JSON numbers in; expectations are finite."""
    for seed in SEEDS:
        for inputs in exercise.cases(seed):
            for value in inputs.values():
                if isinstance(value, np.ndarray):
                    assert value.dtype in (np.float64, np.int64, np.bool_)
                    assert np.isfinite(value).all()
                else:
                    assert json.loads(json.dumps(value)) == value
            for value in verdicts.expected(exercise, inputs).values():
                assert np.isfinite(value).all()


@pytest.mark.parametrize("exercise", [e for e in EVERY if "mask" in e.values[0].cases(0)[0]])
def test_padding_is_garbage_within_bounds(exercise):
    """Whatever has two axes or more, but for the parameters θ, is padded as the mask says, and somewhere really is."""
    padding = {}
    for inputs in exercise.cases(0):
        mask = inputs["mask"]
        for name in inputs.keys() - {"mask", "theta"}:
            if np.ndim(inputs[name]) > 1:
                padding.setdefault(name, []).append(inputs[name][~mask].ravel())
    assert padding
    for name, parts in padding.items():
        garbage = np.concatenate(parts)
        assert garbage.size, f"no case pads {name}"
        assert np.abs(garbage).max() <= (10 if "log_prob" in name else 1000)
        if garbage.dtype == np.float64:
            assert np.abs(garbage).min() > 0


@pytest.mark.parametrize("exercise", EVERY)
def test_stub_is_not_attempted(exercise):
    def stub(*arguments):
        raise NotImplementedError

    assert verdict(exercise, stub).status == "not attempted"


@pytest.mark.parametrize("exercise", EVERY)
def test_answers_that_say_nothing_fail(exercise):
    for value in (None, 0, 0.0, [], "0", np.zeros(3), np.array(np.nan), True):
        found = verdict(exercise, lambda *arguments, value=value: value)
        assert found.status != "passed"


def test_matrix_is_printed_by_one_command():
    exercise = EXERCISES["standard_error"]
    command = [sys.executable, "-m", "pgcourse.judging", exercise.name]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert printed.stderr == ""
    wrong, right = len(exercise.misconceptions), len(exercise.accepts)
    assert printed.stdout.splitlines()[1].split() == [exercise.name, f"{wrong}/{wrong}", f"{right}/{right}"]


# The oracles against what they may not import


def test_surrogate_oracle_agrees_with_the_package():
    from pgcourse import estimators, mdp, policies

    policy = policies.SoftmaxTable(6, 4, np.random.default_rng(0).normal(size=(6, 4)))
    trajectories, _ = exact.trajectories(mdp.slippery_grid(horizon=2))
    weights = estimators.total_reward_weights(trajectories.rewards, trajectories.mask)
    log_probs = estimators.log_probs(policy, trajectories)
    theirs = -(log_probs.detach().numpy() * weights).sum() / len(trajectories)
    inputs = {
        "log_probs": log_probs.detach().numpy(),
        "total_rewards": estimators.total_reward(trajectories.rewards, trajectories.mask),
        "mask": trajectories.mask,
    }
    gradient = verdicts.expected(EXERCISES["surrogate_loss"], inputs)["log_probs.grad"]
    ours = (gradient * inputs["log_probs"]).sum()  # the loss is linear in log π
    assert abs(ours - theirs) <= 1e-12 * abs(ours)


def test_rollout_oracle_agrees_with_the_scripted_environment():
    exercise = EXERCISES["rollout_episode"]
    for inputs in exercise.cases(5):
        outcome = verdicts.run(exercise.accepts[0], inputs, exercise.probe)
        assert not isinstance(outcome, Problem)
        for name, want in verdicts.expected(exercise, inputs).items():
            np.testing.assert_array_equal(outcome[name], want)
