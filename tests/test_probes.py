"""Calling an answer: whatever it does, named arrays or one clear Problem come back, and nothing else happens."""

import contextlib
import fractions
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import gymnasium
import numpy as np
import pytest
import torch

from pgcourse import mdp, rollouts
from pgcourse.exercises.cases import case
from pgcourse.judging.calling import MAX_ENTRIES, Problem, probe

X = {"x": np.array([1.0, 2.0])}


def result(answer, inputs=X, **options):
    return probe(answer, inputs, **options)["result"]


def problem(answer, inputs=X, **options):
    with pytest.raises(Problem) as caught:
        probe(answer, inputs, **options)
    assert caught.value.__cause__ is None
    assert "\n" not in caught.value.message
    return caught.value


class Evil:
    def __array__(self, *_, **__):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")

    __hash__ = None


class Series:
    """Something NumPy can read, as of pandas."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


class Sub(np.ndarray):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, np.array(1.5)),
        (3, np.array(3.0)),
        (np.float32(0.1), np.array(np.float32(0.1))),
        (np.int32(3), np.array(3)),
        (np.uint8([3]), np.array([3.0])),
        (True, np.array(True)),
        ([1, 2.5], np.array([1, 2.5])),
        ((1.0, np.float64(2)), np.array([1.0, 2.0])),
        ([[1, 2], [3, 4]], np.array([[1.0, 2], [3, 4]])),
        ([np.zeros(2), np.ones(2)], np.array([[0.0, 0], [1, 1]])),
        ([torch.tensor(1.0, dtype=torch.float64, requires_grad=True), 2], np.array([1.0, 2.0])),
        (torch.ones(2, dtype=torch.float64, requires_grad=True) * 2, np.array([2.0, 2.0])),
        (torch.ones(2), np.ones(2, dtype=np.float32)),
        (torch.tensor([1, 2]), np.array([1, 2])),
        (torch.tensor([1.0, 0.0], dtype=torch.float64).to_sparse(), np.array([1.0, 0.0])),
        (np.matrix([[1.0, 2.0]]), np.array([[1.0, 2.0]])),
        (np.ones(2).view(Sub), np.ones(2)),
        (np.ma.array([1.0, 2.0], mask=[False, False]), np.array([1.0, 2.0])),
        (np.array([1.0, fractions.Fraction(1, 2)], dtype=object), np.array([1.0, 0.5])),
        (np.longdouble(0.5), np.array(0.5)),
        (np.ones(2, dtype=">f8"), np.ones(2)),
        (Series(), np.array([1.0, 2.0])),
        ([], np.zeros(0)),
        (float("nan"), np.array(np.nan)),
        (2**60, np.array(2.0**60)),
    ],
)
def test_numbers_in_any_wrapping_become_plain_arrays(value, expected):
    got = result(lambda x: value)
    assert type(got) is np.ndarray
    assert got.dtype == expected.dtype
    assert got.dtype.isnative
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None"),
        ("0.5", "text"),
        (b"0.5", "bytes"),
        ({"a": 1.0}, "dict"),
        ({1.0}, "set"),
        ((x for x in [1.0]), "generator"),
        (1j, "complex"),
        (np.array([1 + 0j]), "complex"),
        (torch.tensor([1 + 0j]), "complex"),
        ([[1.0], [1.0, 2.0]], "ragged"),
        ([1.0, [2.0]], "ragged"),
        ([1.0, None], "returned None"),
        ([1.0, "x"], "text"),
        (10**400, "too large"),
        ([10**400], "too large"),
        (np.array([None]), "returned None"),
        (np.datetime64("2024-01-01"), "expected numbers"),
        (np.zeros(2, dtype=[("a", float)]), "expected numbers"),
        (np.float16(0.5), "float16"),
        (torch.ones(2, dtype=torch.bfloat16), "bfloat16"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "masked"),
        (np.broadcast_to(0.0, (MAX_ENTRIES, 1000)), "far more"),
        (range(3), "expected numbers"),
        (object(), "object"),
        (Evil(), "Evil"),
        ([Evil()], "Evil"),
        (len, "builtin"),
        (torch.nn.Linear(1, 1), "Linear"),
    ],
)
def test_what_is_no_array_of_numbers_is_a_problem(value, message):
    if isinstance(value, range):
        assert result(lambda x: value).tolist() == [0, 1, 2]
        return
    found = problem(lambda x: value)
    assert found.kind == "not numbers"
    assert message in found.message


def test_a_list_that_contains_itself():
    loop = []
    loop.append(loop)
    assert "RecursionError" in problem(lambda x: loop).message


def test_results_are_copies():
    kept = np.ones(2)
    got = result(lambda x: kept)
    kept[:] = 5
    assert got.tolist() == [1, 1]


# Exceptions


class BadMessageError(Exception):
    def __str__(self):
        raise RuntimeError("no")


def raising(error):
    def answer(x):
        raise error

    return answer


@pytest.mark.parametrize(
    "error",
    [
        ValueError("two\nlines"),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(),
        MemoryError(),
        BadMessageError(),
        AssertionError(),
        BaseException("base"),
        ValueError("x" * 10**5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_answer_raises_is_a_problem(error):
    found = problem(raising(error))
    assert found.kind == "raised"
    assert found.message.startswith(f"raised {type(error).__name__}")
    assert len(found.message) < 1000


def test_the_line_is_named_and_it_is_the_learners_own():
    def inner(x):
        return np.linalg.inv(np.zeros((2, 2)))  # here

    def answer(x):
        return inner(x)

    assert problem(answer).message.endswith("(in the line return np.linalg.inv(np.zeros((2, 2)))  # here)")


def test_deep_recursion():
    def answer(x):
        return answer(x)

    assert "RecursionError" in problem(answer).message


def test_a_real_interrupt_goes_through():
    """The kernel's interrupt arrives as SIGINT: it must stop the cell, not become a wrong answer."""

    def answer(x):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        probe(answer, X, time_limit=20)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_stub_is_not_attempted_but_what_torch_lacks_is_an_error():
    assert problem(raising(NotImplementedError())).kind == "not attempted"
    assert problem(raising(NotImplementedError("write me"))).kind == "not attempted"
    assert problem(lambda x: torch.log_softmax(torch.tensor([1, 2]), 0)).kind == "raised"
    assert problem(lambda x: torch.distributions.Distribution().sample()).kind == "raised"


def test_wrong_number_of_arguments():
    assert "TypeError" in problem(lambda: 0).message


def test_not_a_function():
    found = problem(np.zeros(2))
    assert found.kind == "not a function"


def test_keys_of_shape_errors_are_alike():
    def numpy_error(x):
        return np.ones((2, 3)) * np.ones(2)

    def torch_error(x):
        return torch.ones(2, 3) * torch.ones(2)

    def matrix_error(x):
        return np.ones((2, 3)) @ np.ones(2)

    assert {problem(answer).key for answer in (numpy_error, torch_error, matrix_error)} == {"shapes that do not fit"}
    assert problem(raising(ValueError("other"))).key == "ValueError: other"


# Time


def endless(x):
    while True:
        pass


def endless_and_catching(x):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


def caught_in_the_end(x):
    try:
        while True:
            pass
    except BaseException:
        return x


@pytest.mark.parametrize("answer", [endless, endless_and_catching, caught_in_the_end, lambda x: time.sleep(30)])
def test_an_endless_answer_is_stopped(answer):
    handler, started = signal.getsignal(signal.SIGALRM), time.monotonic()
    assert problem(answer, time_limit=0.2).kind == "timed out"
    assert time.monotonic() - started < 2
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_somebody_elses_alarm_is_kept():
    signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        result(lambda x: x, time_limit=5)
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_other_threads_have_no_time_limit_but_work():
    got = []
    thread = threading.Thread(target=lambda: got.append(result(lambda x: x * 2, time_limit=1)))
    thread.start()
    thread.join()
    assert got[0].tolist() == [2, 4]


# Side effects


def change(x):
    x[0] = 7
    return x


def reshape(x):
    x.shape = (2, 1)
    return x


def by_torch(x):
    torch.from_numpy(x).mul_(2)
    return x


@pytest.mark.parametrize("answer", [change, reshape, by_torch])
def test_a_changed_input_is_noticed_and_the_case_is_safe(answer):
    inputs = {"x": np.array([1.0, 2.0])}
    found = problem(answer, inputs)
    assert (found.kind, found.key) == ("mutated", "mutated x")
    assert inputs["x"].tolist() == [1, 2]


def test_returning_the_input_itself_is_fine():
    assert result(lambda x: x).tolist() == [1, 2]


def test_prints_go_through_and_stderr_stays_silent(capfd):
    def answer(x):
        print("hello")
        print("to stderr", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        np.log(np.zeros(2))
        torch.ones(2).std(correction=5)
        return x

    result(answer)
    out, err = capfd.readouterr()
    assert "hello" in out
    assert "to stderr" in out
    assert err == ""


def test_stderr_silent_in_a_plain_process():
    code = """
        import warnings, numpy as np
        from pgcourse.judging.calling import probe, Problem
        class Dying:
            def __del__(self): raise ValueError("in __del__")
        def answer(x):
            Dying()
            warnings.warn("careful")
            return 1 / np.zeros(2)
        probe(answer, {"x": np.ones(1)})
        warnings.warn("not ours")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "not ours" in done.stderr
    assert "careful" not in done.stderr
    assert "divide" not in done.stderr
    assert "__del__" not in done.stderr


# The kinds


def test_an_mdp_crosses_as_its_fields():
    inputs = case(mdp=mdp.corridor(), probs=np.ones(2))
    assert list(inputs) == ["mdp.P", "mdp.r", "mdp.initial", "mdp.horizon", "probs"]

    def answer(rebuilt, probs):
        assert isinstance(rebuilt, mdp.TabularMDP)
        return rebuilt.P.sum() + rebuilt.horizon + probs.sum()

    assert result(answer, inputs) == 10 + 8 + 2


SURROGATE = case(log_probs=[[-1.0, -2.0]], total_rewards=[3.0], mask=[[True, False]])


def surrogate(answer):
    return probe(answer, SURROGATE, "surrogate_loss")["log_probs.grad"]


def test_surrogate_loss_is_given_tensors_and_its_gradient_comes_back():
    def answer(log_probs, total_rewards, mask):
        assert log_probs.requires_grad
        assert (log_probs.dtype, total_rewards.dtype, mask.dtype) == (torch.float64, torch.float64, torch.bool)
        return (log_probs * mask * total_rewards).sum()

    assert surrogate(answer).tolist() == [[3, 0]]


def test_surrogate_loss_that_ran_backward_itself():
    def answer(log_probs, total_rewards, mask):
        loss = (log_probs * mask).sum()
        loss.backward(retain_graph=True)
        return loss

    with pytest.raises(Problem, match=r"called backward\(\) itself: return the loss"):  # it would be counted twice
        surrogate(answer)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda log_probs, r, mask: log_probs.sum().item(), "no graph"),
        (lambda log_probs, r, mask: log_probs.detach().sum(), "no graph"),
        (lambda log_probs, r, mask: log_probs.detach().numpy().sum(), "no graph"),
        (lambda log_probs, r, mask: torch.ones(1, requires_grad=True).sum(), "no graph"),
        (lambda log_probs, r, mask: torch.tensor(log_probs, requires_grad=True).sum(), "no graph"),
        (lambda log_probs, r, mask: None, "not numbers"),
        (lambda log_probs, r, mask: "loss", "no graph"),
        (lambda log_probs, r, mask: log_probs, "shape"),
        (lambda log_probs, r, mask: log_probs.sum(1), "shape"),
        (lambda log_probs, r, mask: log_probs.numpy(), "raised"),
        (lambda log_probs, r, mask: log_probs.data.mul_(0).sum() + log_probs.sum(), "mutated"),
        (lambda log_probs, r, mask: r.zero_().sum() + log_probs.sum(), "mutated"),
    ],
)
def test_surrogate_loss_without_a_gradient_is_a_problem(answer, kind):
    with pytest.raises(Problem) as caught:
        surrogate(answer)
    assert caught.value.kind == kind


# The trainer: called once to train and again and again to act

OBSERVATIONS = np.zeros((3, 4))
OPEN = {"mixing": np.eye(4), "swapped": 0}


def trained(act, seed=1):
    def answer(make, seed):
        return act

    assert probe(answer, {"seed": seed, **OPEN}, "capstone") == {"trained": np.array(True)}
    return lambda: probe(answer, {"observations": OBSERVATIONS}, "capstone")["actions"]


def test_a_trainer_trains_once_and_then_acts():
    calls = []

    def answer(make, seed):
        calls.append(seed)
        return lambda observations: calls.append(observations.dtype) or np.arange(len(observations)) % 2

    probe(answer, {"seed": 7, **OPEN}, "capstone")
    for _ in range(2):
        actions = probe(answer, {"observations": OBSERVATIONS}, "capstone")["actions"]
        assert actions.tolist() == [0, 1, 0]
    assert calls == [7, np.float32, np.float32]
    probe(answer, {"seed": 7, **OPEN}, "capstone")
    assert calls[3:] == [7], "asked to train it trains, whatever it did before"


def test_a_trainer_makes_cartpoles_in_disguise():
    mixing, seen = np.random.default_rng(0).normal(size=(4, 4)), []

    def answer(make, seed):
        envs, plain = make(3), rollouts.make("CartPole-v1", 3)
        for shown, state in (
            (envs.reset(seed=seed)[0], plain.reset(seed=seed)[0]),
            (envs.step(np.array([0, 1, 1]))[0], plain.step(np.array([1, 0, 0]))[0]),
        ):
            np.testing.assert_allclose(shown, state @ mixing, rtol=0, atol=1e-6)
            assert shown.dtype == np.float32
        values = [*vars(envs).values(), *vars(make).values()]
        seen.append(not any(isinstance(value, np.ndarray | gymnasium.vector.VectorEnv) for value in values))
        return len

    probe(answer, {"seed": 7, "mixing": mixing, "swapped": 1}, "capstone")
    assert seen == [True], "nothing shows the disguise"


def test_only_the_answer_that_was_trained_last_acts():
    first = trained(lambda observations: observations[:, 0])
    trained(lambda observations: observations[:, 0])
    with pytest.raises(Problem, match="was asked to act before it was trained"):
        first()


@pytest.mark.parametrize(("act", "message"), [(None, "returned None"), ([], "a list"), (np.zeros(3), "a ndarray")])
def test_a_trainer_returns_a_function(act, message):
    with pytest.raises(Problem) as caught:
        trained(act)
    assert (caught.value.kind, caught.value.key) == ("not numbers", "no act")
    assert message in caught.value.message


def test_whatever_goes_wrong_while_acting_is_a_problem():
    with pytest.raises(Problem, match="gave actions that cannot be read: act returned None"):
        trained(lambda observations: None)()
    with pytest.raises(Problem, match="raised ZeroDivisionError"):
        trained(lambda observations: 1 / 0)()


def test_a_trainer_has_one_thread_and_the_rest_is_as_before():
    threads = torch.get_num_threads()
    assert trained(lambda observations: [torch.get_num_threads()] * 3)().tolist() == [1, 1, 1]
    assert torch.get_num_threads() == threads


def test_the_loss_probe_takes_any_weights():
    inputs = {"log_probs": np.ones((2, 2)), "advantages": np.array([[1.0, 2], [3, 4]]), "mask": np.ones((2, 2), bool)}
    gradient = probe(lambda log_probs, advantages, mask: (log_probs * advantages).sum(), inputs, "surrogate_loss")
    assert gradient["log_probs.grad"].tolist() == [[1, 2], [3, 4]]
