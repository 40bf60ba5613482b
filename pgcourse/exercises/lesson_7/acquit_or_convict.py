import itertools

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception, line_ups
from pgcourse.exercises.lesson_7 import leave_one_out_advantages
from pgcourse.exercises.line_ups import Sign
from pgcourse.judging.calling import Problem
from pgcourse.judging.statuses import Status

# acquit_or_convict: advantages of a batch, of which some bias the gradient and some do not, whatever else they are

LARGEST, MOST_BATCHES, SIZES = 9, 100, (2, 3, 4)
WORLDS = (([0.2, 0.5, 0.3], [3.0, -1.0, 2.0]), ([0.7, 0.3], [1.0, -2.0]), ([0.1, 0.6, 0.3], [-3.0, 1.0, 0.0]))


def _read(*question):
    if len(question) != 1:
        message = f"asked with {len(question)} arrays, expected one: returns (M, N), M batches of N"
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    returns = line_ups.whole_numbers("returns", question[0], 2, LARGEST)
    if len(returns) > MOST_BATCHES or returns.shape[1] not in SIZES:
        message = (
            f"asked with returns of shape {returns.shape}, expected (M, N): at most {MOST_BATCHES} batches of "
            f"{SIZES[0]} to {SIZES[-1]} pulls"
        )
        raise Problem(Status.SHAPE, message, line_ups.TOO_MUCH)
    return (returns,)


def _say(suspect, returns):
    return np.stack([np.asarray(suspect(batch.copy()), dtype=np.float64) for batch in returns])


def _every_batch(probs, n):
    """All batches (A^N, N) of n pulls, as actions, and their chances (A^N,)."""
    actions = np.array([*itertools.product(range(len(probs)), repeat=n)])
    return actions, np.array(probs)[actions].prod(1)


def _mean_estimate(advantages, actions, chances, probs):
    """E[(1/N) Σ_i (e_{a_i} − π) A_i], (…, A), of advantages (…, M, N)."""
    scores = np.eye(len(probs))[actions] - probs
    return np.einsum("m,...mn,mna->...a", chances, advantages, scores) / actions.shape[1]


def _gradient(probs, pays):
    return probs * (pays - probs @ pays)


def _bias(suspect):
    """The largest distance of its mean from ∇J in any of the worlds; NaN where it has none, None where it gives no (N,)."""
    distances = []
    for probs, pays in ((np.array(probs), np.array(pays)) for probs, pays in WORLDS):
        for n in SIZES[:2]:
            actions, chances = _every_batch(probs, n)
            try:
                advantages = _say(suspect, pays[actions])
            except (ValueError, ArithmeticError):
                return None
            if advantages.shape != actions.shape:
                return None
            mean = _mean_estimate(advantages, actions, chances, probs)
            distances.append(np.abs(mean - _gradient(probs, pays)).max())
    return max(distances)
