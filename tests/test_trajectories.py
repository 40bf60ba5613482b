import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import EXAMPLES, random_batch

from pgcourse.trajectories import Trajectories

FIELDS = ("observations", "actions", "rewards", "mask", "terminated")


def arguments(n=2, horizon=3):
    """Valid fields: all zeros, everything alive."""
    return {
        "observations": np.zeros((n, horizon, 4)),
        "actions": np.zeros((n, horizon), dtype=int),
        "rewards": np.zeros((n, horizon)),
        "mask": np.ones((n, horizon), dtype=bool),
        "terminated": np.zeros(n, dtype=bool),
    }


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 6), horizon=st.integers(1, 5))
def test_lengths_and_total_rewards_read_only_real_steps(seed, n, horizon):
    batch = random_batch(seed, n, horizon)
    assert len(batch) == n
    for i in range(n):
        length = sum(map(bool, batch.mask[i]))
        assert batch.lengths[i] == length
        assert batch.total_rewards[i] == pytest.approx(sum(batch.rewards[i, :length].tolist()), abs=1e-12)


@pytest.mark.parametrize("rows", [slice(1, 3), [2, 0, 0], np.array([True, False, True, False, True])], ids=str)
def test_rows_are_a_batch_of_their_own(rows):
    batch = random_batch(0)
    part = batch[rows]
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(part, name), getattr(batch, name)[rows])


def test_the_batch_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Trajectories(**arguments()).rewards = np.ones((2, 3))


def test_lists_become_arrays():
    batch = Trajectories([[0, 1]], [[1, 0]], [[1, 2]], [[True, True]], [False])
    assert batch.total_rewards == [3]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("observations", np.zeros((2, 4, 4)), r"observations has shape \(2, 4, 4\), expected .*\(2, 3\)"),
        ("observations", np.zeros(2), r"observations has shape \(2,\), expected .*\(2, 3\)"),
        ("actions", np.zeros((3, 3)), r"actions has shape \(3, 3\), expected .*\(2, 3\)"),
        ("rewards", np.zeros((2, 3, 1)), r"rewards has shape \(2, 3, 1\), expected .*\(2, 3\)"),
        ("rewards", np.array([[0, 0, 0], [0, np.nan, 0]]), r"rewards\[1, 1\] is nan, expected a finite"),
        ("rewards", np.array([[0, 0, -np.inf], [0, 0, 0]]), r"rewards\[0, 2\] is -inf, expected a finite"),
        ("mask", np.ones((2, 3)), r"mask has shape \(2, 3\) and type float64, expected \(N, T\) of bool"),
        ("mask", np.ones(3, dtype=bool), r"mask has shape \(3,\) and type bool, expected \(N, T\)"),
        ("mask", np.array([[1, 1, 1], [1, 0, 1]], dtype=bool), r"mask\[1\] is \[1 0 1\], expected .*no gap"),
        ("mask", np.array([[1, 1, 1], [0, 0, 0]], dtype=bool), r"mask\[1\] is \[0 0 0\], expected at least one step"),
        ("terminated", np.zeros(3, dtype=bool), r"terminated has shape \(3,\) and type bool, expected \(2,\)"),
        ("terminated", np.zeros(2), r"terminated has shape \(2,\) and type float64, expected \(2,\) of bool"),
    ],
)
def test_what_does_not_fit_is_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        Trajectories(**(arguments() | {name: value}))


@pytest.mark.parametrize("horizon", [0, 3])
def test_an_empty_batch_is_refused(horizon):
    with pytest.raises(ValueError, match=rf"mask.*\(0, {horizon}\).*expected"):
        Trajectories(**arguments(n=0, horizon=horizon))


def test_a_trajectory_without_steps_is_refused():
    with pytest.raises(ValueError, match=r"mask\[0\] is \[\], expected at least one step"):
        Trajectories(**arguments(n=1, horizon=0))


def test_padding_may_be_nan():
    values = arguments()
    values["mask"][1, 1:] = False
    for name in ("observations", "rewards"):
        values[name][1, 1:] = np.nan
    np.testing.assert_array_equal(Trajectories(**values).total_rewards, 0)
