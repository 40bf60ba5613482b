import numpy as np

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, random_mask, rewards_like
from pgcourse.exercises.pieces import in_single, in_torch


def _table_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[[2.0, -1.0]]], rewards=[[3.0]], probabilities=[1.0]),
        case(scores=[[[0.5], [-0.5]], [[-0.5], [0.5]]], rewards=[[1.0, 4.0], [2.0, 3.0]], probabilities=[0.75, 0.25]),
    ]
    for num, steps, size in ((1, 3, 2), (2, 3, 4), (3, 3, 3), (4, 2, 1), (3, 1, 2), (5, 4, 3)):
        mask = random_mask(rng, num, steps)
        scores = np.where(mask[:, :, None], rng.normal(size=(num, steps, size)), 0.0)
        rewards = np.where(mask, rewards_like(rng, num, steps), 0.0)
        shares = rng.permutation(np.arange(1, num + 1)) + rng.uniform(0, 0.5, num)
        cases.append(case(scores=scores, rewards=rewards, probabilities=shares / shares.sum()))
    return cases


def _table_oracle(scores, rewards, probabilities):
    num, steps, size = scores.shape
    table = np.zeros((steps, steps, size))
    for i in range(num):
        for t in range(steps):
            for later in range(steps):
                table[t, later] += probabilities[i] * scores[i, t] * rewards[i, later]
    return table


def _table(scores, rewards, probabilities):
    return np.einsum("i,itp,iu->tup", probabilities, scores, rewards)


def _triangle(table, keep):
    """The entries where keep(t, t') is true, the others zero."""
    steps = np.arange(len(table))
    return np.where(keep(steps[:, None], steps)[:, :, None], table, 0.0)


EXERCISE = Exercise(
    name="causality_table",
    lesson=6,
    place=1,
    points=4,
    minutes=20,
    difficulty=2,
    signature="causality_table(scores (N,T,P), rewards (N,T), probabilities (N,)) -> (T,T,P), E[g_t r_t'] at [t, t']",
    cases=_table_cases,
    oracle=_table_oracle,
    accepts=(
        _table,
        lambda g, r, p: np.tensordot((p[:, None, None] * g), r, (0, 0)).transpose(0, 2, 1),
        lambda g, r, p: np.average(g[:, :, None] * r[:, None, :, None], axis=0, weights=p),
        in_single(_table),
        lambda g, r, p: [[p @ (g[:, t] * r[:, [u]]) for u in range(r.shape[1])] for t in range(r.shape[1])],
        in_torch(lambda g, r, p: (p[:, None, None, None] * g[:, :, None, :] * r[:, None, :, None]).sum(0)),
        lambda g, r, p: sum(w * np.multiply.outer(s, x).swapaxes(1, 2) for w, s, x in zip(p, g, r, strict=True)),
    ),
    misconceptions=(
        Misconception(
            "rows and columns swapped",
            "Every number is there, and in the mirrored place. The first axis is the time of the score, the second the "
            "time of the reward.",
            lambda g, r, p: _table(g, r, p).swapaxes(0, 1),
        ),
        Misconception(
            "every trajectory counted alike",
            "You average over the list as if every trajectory in it were equally likely. The list holds each of them "
            "once; what says how often the policy draws it?",
            lambda g, r, p: _table(g, r, np.full_like(p, 1 / len(p))),
        ),
        Misconception(
            "probabilities left out",
            "You add up the trajectories without weighing them. In an expectation each of them counts as much as it "
            "is likely.",
            lambda g, r, p: _table(g, r, np.ones_like(p)),
        ),
        Misconception(
            "probabilities, and a mean on top",
            "You weigh with the probabilities *and* take a mean. Probabilities sum to one already: what do you still "
            "divide by?",
            lambda g, r, p: _table(g, r, p / len(p)),
        ),
        Misconception(
            "probabilities counted twice",
            "Each trajectory is weighed with its probability twice, once with the scores and once with the rewards. "
            "How often does π(τ) stand in the expectation of the product?",
            lambda g, r, p: _table(g, r, p**2),
        ),
        Misconception(
            "logarithms of probabilities",
            "You weigh with logarithms. An expectation weighs with the probabilities themselves.",
            lambda g, r, p: _table(g, r, np.log(p)),
        ),
        Misconception(
            "product of the expectations",
            "You average the scores, average the rewards, and multiply. That forgets which reward came with which "
            "score: multiply within each trajectory first.",
            lambda g, r, p: np.einsum("tp,u->tup", np.einsum("i,itp->tp", p, g), p @ r),
        ),
        Misconception(
            "product of the plain means",
            "Two averages are multiplied here. Which score came with which reward is lost that way, and so is how "
            "likely each trajectory is: multiply first, then take the expectation.",
            lambda g, r, p: np.einsum("tp,u->tup", g.mean(0), r.mean(0)),
        ),
        Misconception(
            "covariance",
            "You subtract the product of the expectations, which makes a covariance. Asked is the expectation of the "
            "product itself, as it stands.",
            lambda g, r, p: (
                _table(g, r, p) - np.einsum("tp,u->tup", np.einsum("i,itp->tp", p, g), np.einsum("i,iu->u", p, r))
            ),
        ),
        Misconception(
            "rewards of the past left out",
            "You have set the terms with t′ < t to zero. On average they may well be zero, and the point of the table "
            "is to *see* that: fill every square.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later >= t),
        ),
        Misconception(
            "rewards of the future left out",
            "The squares with t′ > t are empty. Those are the rewards that came after the choice, and the table wants "
            "every pair of times.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later <= t),
        ),
        Misconception(
            "only pairs of the same time",
            "Only the diagonal is filled: each score meets the reward of its own step. In the product of the two sums "
            "every score meets every reward.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later == t),
        ),
        Misconception(
            "only the diagonal, as an array (T, P)",
            "You pair each score with the reward of its own step only, so one time axis is missing. Every score meets "
            "every reward: give the two times an axis each.",
            lambda g, r, p: np.einsum("i,itp,it->tp", p, g, r),
        ),
        Misconception(
            "lengths instead of vectors",
            "You return one number for each pair of times. The score is a vector of P components: keep them, as the "
            "last axis.",
            lambda g, r, p: np.linalg.norm(_table(g, r, p), axis=2),
        ),
        Misconception(
            "components added up",
            "You add up the components of the score. They belong to different parameters and stay apart, in the last "
            "axis.",
            lambda g, r, p: _table(g, r, p).sum(2),
        ),
        Misconception(
            "one table for each trajectory",
            "This is a table for every trajectory, not yet for their expectation. Which axis is still to be summed "
            "over, and with which weights?",
            lambda g, r, p: g[:, :, None, :] * r[:, None, :, None],
        ),
        Misconception(
            "one weighed table for each trajectory",
            "Everything is weighed, nothing is added up: the axis of the trajectories is still there.",
            lambda g, r, p: p[:, None, None, None] * g[:, :, None, :] * r[:, None, :, None],
        ),
        Misconception(
            "components in front",
            "The numbers are right and the axes are in another order: the components of the score come last.",
            lambda g, r, p: np.moveaxis(_table(g, r, p), 2, 0),
        ),
        Misconception(
            "components in the middle",
            "The numbers are right, but the axes stand as (t, component, t′). The two times come first, the "
            "components last.",
            lambda g, r, p: np.moveaxis(_table(g, r, p), 2, 1),
        ),
        Misconception(
            "total reward in every column",
            "Every column holds the same: each score meets the whole reward of its trajectory. The table is there to "
            "pull that sum apart, one column for each r_t′.",
            lambda g, r, p: _table(g, np.broadcast_to(r.sum(1, keepdims=True), r.shape), p),
        ),
        Misconception(
            "rewards to go in the columns",
            "Column t′ holds the sum of the rewards from t′ on. Here it should hold the one reward r_t′; adding them "
            "up is the next section.",
            lambda g, r, p: _table(g, r[:, ::-1].cumsum(1)[:, ::-1], p),
        ),
        Misconception(
            "rewards so far in the columns",
            "Column t′ holds all rewards up to t′. Here it should hold the one reward r_t′ and nothing else.",
            lambda g, r, p: _table(g, r.cumsum(1), p),
        ),
        Misconception(
            "total reward, in an array (T, P)",
            "Each score meets the whole reward of its trajectory, which leaves one time axis. The table wants the "
            "rewards apart: an axis for t, and one for t′.",
            lambda g, r, p: np.einsum("i,itp,i->tp", p, g, r.sum(1)),
        ),
        Misconception(
            "components added up and spread out again",
            "A sum without an axis adds up everything, the components too, and one number fills all P places. Over "
            "which axis alone should it run?",
            lambda g, r, p: np.repeat(_table(g, r, p).sum(2, keepdims=True), g.shape[2], 2),
        ),
        Misconception(
            "scores added up over time",
            "Every row holds the score of the whole trajectory. Row t wants the score of the one choice at t.",
            lambda g, r, p: _table(np.broadcast_to(g.sum(1, keepdims=True), g.shape), r, p),
        ),
        Misconception(
            "probabilities lined up with the components",
            "An array (N,) beside one of (N, T, T, P) lines up with the *last* axis, the components, and fails or, "
            "worse, works where N = P. Give the probabilities the axes that they lack.",
            lambda g, r, p: (g[:, :, None, :] * r[:, None, :, None] * p).sum(0),
        ),
        Misconception(
            "matrix product over the wrong axis",
            "With more than two axes, p @ x adds up over the last axis but one, a time. The trajectories are the first "
            "axis: say so, with tensordot, einsum or a sum over axis 0.",
            lambda g, r, p: p @ (g[:, :, None, :] * r[:, None, :, None]),
        ),
        Misconception(
            "only the last trajectory",
            "Only the last trajectory of the list is in your table: is something assigned in a loop where it should be "
            "added?",
            lambda g, r, p: _table(g[-1:], r[-1:], p[-1:]),
        ),
        Misconception(
            "only the first trajectory",
            "Only the first trajectory of the list is in your table: how far is the return statement indented?",
            lambda g, r, p: _table(g[:1], r[:1], p[:1]),
        ),
        Misconception(
            "everything added up over the times",
            "You have added up all pairs of times, which gives the whole gradient. Nice to know; the table keeps the "
            "terms apart.",
            lambda g, r, p: np.einsum("i,itp,iu->p", p, g, r),
        ),
    ),
)
