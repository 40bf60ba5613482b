"""What several exercises of this lesson use."""

import numpy as np

from pgcourse.exercises.cases import rewards_like


def each(change):
    """An advantage for each return on its own: change(r_i, all returns, i)."""
    return lambda returns: np.array([change(r, returns, i) for i, r in enumerate(returns)])


def without(returns, i):
    return np.delete(returns, i)


def telling_returns(rng, n):
    """Returns with a mean that is none of them, nor zero, and none of which is zero."""
    returns = rewards_like(rng, n) * 3
    returns[0] += 1.25 * n
    return returns + 2.0


def into_integers(compute):
    """The result of `compute`, written into an array of the returns' own type."""

    def wrong(returns):
        out = np.zeros_like(returns)
        out[:] = compute(returns)
        return out

    return wrong


def uneven_scores(rng, n, p):
    """Scores of very different lengths, with no zero row and no zero column."""
    return rng.normal(size=(n, p)) * rng.uniform(0.3, 3, (n, 1))
