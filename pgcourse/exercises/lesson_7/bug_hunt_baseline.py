import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.lesson_7.shared import telling_returns, uneven_scores

# bug_hunt_baseline: returns (N,) minus values (N, 1)


def _column_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[1.0, -1.0], [0.0, 2.0]], returns=[3.0, 5.0], values=[[1.0], [4.0]]),
        case(scores=[[0.5, 1.0, -2.0]], returns=[2.0], values=[[-1.5]]),
        case(scores=[[2.0], [-1.0]], returns=[1.0, -3.0], values=[[2.0], [0.5]]),
    ]
    for n, p in ((2, 3), (3, 3), (4, 2), (5, 1), (1, 3), (7, 4)):
        values = (rewards_like(rng, n) + 0.25)[:, None]
        cases.append(case(scores=uneven_scores(rng, n, p), returns=telling_returns(rng, n), values=values))
    return cases


def _column_oracle(scores, returns, values):
    total = np.zeros(scores.shape[1])
    for i in range(len(scores)):
        total += scores[i] * (float(returns[i]) - float(values[i, 0]))
    return total / len(scores)


def _by_table(axis, mean=True):
    """The (N, N) table r_j − V_i, its mean or sum over one axis, and the scores times that, averaged."""

    def wrong(scores, returns, values):
        table = returns - values
        weights = table.mean(axis) if mean else table.sum(axis)
        return weights @ scores / len(scores)

    return wrong


EXERCISE = Exercise(
    name="bug_hunt_baseline",
    lesson=7,
    place=5,
    points=4,
    minutes=20,
    difficulty=2,
    signature="bug_hunt_baseline(scores (N,P), returns (N,), values (N,1)) -> (P,), (1/N) Σ_i g_i (r_i − V_i)",
    cases=_column_cases,
    oracle=_column_oracle,
    accepts=(
        lambda g, r, v: (g * (r - v[:, 0])[:, None]).mean(0),
        lambda g, r, v: (g * (r[:, None] - v)).mean(0),
        lambda g, r, v: g.T @ (r - v.ravel()) / len(r),
        lambda g, r, v: (g.T @ (r[:, None] - v) / len(r)).mean(1),
        lambda g, r, v: np.diagonal(r - v) @ g / len(r),
        lambda g, r, v: (torch.tensor(g) * (torch.tensor(r) - torch.tensor(v).squeeze(-1)).unsqueeze(-1)).mean(0),
        lambda g, r, v: (np.float32(g) * (np.float32(r)[:, None] - np.float32(v))).mean(0),
        lambda g, r, v: sum((x - b) * s / len(g) for s, x, (b,) in zip(g, r, v, strict=True)),
    ),
    misconceptions=(
        Misconception(
            "the bug itself",
            "This is still what the buggy function gives. Print the shapes of returns, of values, and of their "
            "difference for N = 3.",
            _by_table(1),
        ),
        Misconception(
            "the other axis averaged",
            "mean(0) runs over the parameters now, and a number for each trajectory is left. The trouble begins "
            "earlier: look at the shape of advantages.",
            lambda g, r, v: (g.T @ (r - v) / len(r)).mean(0),
        ),
        Misconception(
            "last line taken away",
            "Without the last line you can see it: (P, N) comes out, not (P, 1). Where does the second N come from?",
            lambda g, r, v: g.T @ (r - v) / len(r),
        ),
        Misconception(
            "values turned into a row",
            "values.T has the shape (1, N), so the difference has two axes still, and the scores do not fit. What is "
            "the shape of *one* number for each trajectory?",
            lambda g, r, v: (g.T @ (r - v.T) / len(r)).mean(1),
        ),
        Misconception(
            "values averaged",
            "Each trajectory has its own return again, but the value beside it is a mean over the whole batch. The "
            "baseline of a trajectory is its own V_i.",
            _by_table(0),
        ),
        Misconception(
            "table summed instead of averaged",
            "The table of all differences is still there, and summed over its second axis. There are N returns and N "
            "values; how many differences should there be?",
            _by_table(1, mean=False),
        ),
        Misconception(
            "table summed along the other axis",
            "There is still a table of all pairs, now summed over the first axis. Which N of its N² entries are the "
            "advantages?",
            _by_table(0, mean=False),
        ),
        Misconception(
            "both averaged",
            "The advantages are averaged into one number before they meet the scores, so no trajectory is better than "
            "another.",
            lambda g, r, v: (r - v).mean() * g.mean(0),
        ),
        Misconception(
            "value minus return",
            "The shapes agree now. And the sign? A trajectory that earned more than its value should pull its score "
            "up.",
            lambda g, r, v: g.T @ (v[:, 0] - r) / len(r),
        ),
        Misconception(
            "1/N forgotten",
            "The right terms, added up. The estimate is their *mean* over the trajectories.",
            lambda g, r, v: g.T @ (r - v[:, 0]),
        ),
        Misconception(
            "1/N twice",
            "The right terms, divided by N twice: a mean, and then / len(returns) as well?",
            lambda g, r, v: g.T @ (r - v[:, 0]) / len(r) ** 2,
        ),
        Misconception(
            "values left out",
            "The broadcasting is gone, and the baseline with it. Each return is to be compared with its own value.",
            lambda g, r, v: g.T @ r / len(r),
        ),
        Misconception(
            "returns left out",
            "Only the values are left to multiply the scores, and they know nothing about what was earned.",
            lambda g, r, v: -g.T @ v[:, 0] / len(r),
        ),
        Misconception(
            "value of the first trajectory for all",
            "values[0] is the value of the first trajectory, and you take it from everyone's return. Which axis holds "
            "the trajectories?",
            lambda g, r, v: g.T @ (r - v[0]) / len(r),
        ),
        Misconception(
            "value of the last trajectory for all",
            "values[-1] is one value, that of the last trajectory. Every return is to meet its own.",
            lambda g, r, v: g.T @ (r - v[-1]) / len(r),
        ),
        Misconception(
            "batch mean instead of the values",
            "You subtract the mean return of the batch. The baseline here is the value that came with each trajectory.",
            lambda g, r, v: g.T @ (r - r.mean()) / len(r),
        ),
        Misconception(
            "axis of length one left over",
            "The numbers are right and stand in a column: the result has the shape (P, 1). Here the mean(1) of the "
            "original would do what it was meant for.",
            lambda g, r, v: g.T @ (r[:, None] - v) / len(r),
        ),
        Misconception(
            "rows not averaged",
            "One row for each trajectory is left. The estimate is their mean, (P,).",
            lambda g, r, v: g * (r[:, None] - v),
        ),
        Misconception(
            "averaged over the parameters",
            "The mean runs over the parameters and leaves a number for each trajectory. It should run over the "
            "trajectories.",
            lambda g, r, v: (g * (r[:, None] - v)).mean(1),
        ),
        Misconception(
            "advantages only",
            "These are the advantages, one for each trajectory. They still have to multiply the scores.",
            lambda g, r, v: r - v[:, 0],
        ),
    ),
)
