"""Slow, obvious oracles that import nothing from pgcourse: sums over every path in plain Python, honest z-scores."""

import itertools
import math

import numpy as np

# Two-sided P(|z| > 5) is 5.7e-7: a false alarm in one of 8 projections has probability 5e-6.
Z_LIMIT = 5.0


def softmax(row):
    exponentials = [math.exp(x - max(row)) for x in row]
    return [x / sum(exponentials) for x in exponentials]


def is_terminal(mdp, s):
    return all(mdp.P[s, a, s] == 1 and mdp.r[s, a] == 0 for a in range(mdp.num_actions))


def paths(mdp, probs, start=None, t=0):
    """Every way an episode can go: (probability, steps ((s, a, r), …), terminated), from s_t = start where given."""

    def go_on(probability, steps, s, t):
        if probability == 0:
            return
        if is_terminal(mdp, s) or t == mdp.horizon:
            yield probability, steps, is_terminal(mdp, s)
            return
        for a in range(mdp.num_actions):
            for s_next in range(mdp.num_states):
                p = float(probs[s][a] * mdp.P[s, a, s_next])
                yield from go_on(probability * p, (*steps, (s, a, float(mdp.r[s, a]))), s_next, t + 1)

    starts = enumerate(mdp.initial.tolist()) if start is None else [(start, 1.0)]
    for s, p in starts:
        yield from go_on(p, (), s, t)


def trajectories(mdp, probs):
    """{(steps, terminated): probability}: paths that differ only in where the last step led are one trajectory."""
    merged = {}
    for probability, steps, terminated in paths(mdp, probs):
        merged[steps, terminated] = merged.get((steps, terminated), 0.0) + probability
    return merged


def discounted(steps, discount=1.0):
    return sum(discount**t * r for t, (_, _, r) in enumerate(steps))


def objective(mdp, probs, discount=1.0, start=None, t=0):
    """E[Σ_k γ^k r_(t+k)]: J from the start, V_t(start) from a state."""
    return sum(p * discounted(steps, discount) for p, steps, _ in paths(mdp, probs, start, t))


def action_value(mdp, probs, s, a, t, discount=1.0):
    """Q_t(s, a): the reward of a, and then what the paths from wherever it leads bring."""
    rest = sum(mdp.P[s, a, s2] * objective(mdp, probs, discount, s2, t + 1) for s2 in range(mdp.num_states))
    return float(mdp.r[s, a] + discount * rest)


def occupancy(mdp, probs):
    """d_t(s) as nested lists: the probability of the paths whose step t is in s."""
    d = [[0.0] * mdp.num_states for _ in range(mdp.horizon)]
    for p, steps, _ in paths(mdp, probs):
        for t, (s, _, _) in enumerate(steps):
            d[t][s] += p
    return d


def softmax_score(theta, steps):
    """Σ_t ∇log π(a_t | s_t) of a softmax table, (S, A): e_a − π in row s_t."""
    score = np.zeros(np.shape(theta))
    for s, a, _ in steps:
        score[s, a] += 1
        score[s] -= softmax(theta[s])
    return score


def softmax_gradient(mdp, theta, discount=1.0):
    """∇J of a softmax table, (S·A,): Σ_τ π(τ) r(τ) ∇log π(τ)."""
    probs = [softmax(row) for row in theta]
    return sum(
        p * discounted(steps, discount) * softmax_score(theta, steps).ravel() for p, steps, _ in paths(mdp, probs)
    )


def moments(rows, probabilities, batch_size=1):
    """Mean and covariance of the mean over an ordered batch; rows: a function of the tuple of indices → (N, P)."""
    outcomes = []
    for batch in itertools.product(range(len(probabilities)), repeat=batch_size):
        outcomes.append((math.prod(probabilities[i] for i in batch), np.mean(rows(batch), axis=0)))
    mean = sum(p * x for p, x in outcomes)
    return mean, sum(p * np.outer(x - mean, x - mean) for p, x in outcomes)


def projections(size, number=8):
    """Fixed random directions, (P, 8): single coordinates of rarely visited states have no honest standard error."""
    return np.random.default_rng(0).normal(size=(size, number))


def z_scores(samples, mean):
    """How many standard errors the samples (n, P) are from the mean (P,) they should have, on 8 projections."""
    directions = projections(samples.shape[1])
    seen = samples @ directions
    return (seen.mean(0) - mean @ directions) / (seen.std(0, ddof=1) / math.sqrt(len(seen)))


def chi_square_excess(counts, probabilities):
    """Pearson's χ² over its bound: above 1 has a probability of 1e-6 where counts come from the probabilities.

    counts, probabilities: (rows, outcomes); each row a multinomial. A χ² of k degrees of freedom exceeds
    k + 2√(kx) + 2x with probability ≤ exp(−x) (Laurent & Massart, 2000, lemma 1); x = 13.8 makes that 1e-6.
    An outcome of probability 0 must never be seen.
    """
    counts, probabilities = np.atleast_2d(counts), np.atleast_2d(probabilities)
    if counts[probabilities == 0].any():
        return math.inf
    expected = counts.sum(1, keepdims=True) * probabilities
    possible = expected > 0
    assert expected[possible].min() >= 10, "too few samples for Pearson's approximation"
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    k, x = (possible.sum(1) - 1).clip(0).sum(), 13.8
    return chi_square / (k + 2 * math.sqrt(k * x) + 2 * x)
