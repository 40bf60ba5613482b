import math
import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_7.shared import each, into_integers, telling_returns, without


def _batch_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(returns=[3.0, 7.0]),
        case(returns=[-4.0]),
        case(returns=[2.0, -1.0, 5.5]),
        case(returns=[1, 4, 4, -2, 1]),
        case(returns=[5.0, 5.0, 5.0]),
    ]
    return cases + [case(returns=telling_returns(rng, n)) for n in (1, 2, 3, 4, 7, 12)]


def _batch_oracle(returns):
    mean = math.fsum(returns) / len(returns)
    return np.array([float(r) - mean for r in returns])


def _in_place_running(returns):
    """Each return minus the mean of an array in which the earlier ones are advantages already."""
    out = returns.astype(float)
    for i in range(len(out)):
        out[i] -= out.mean()
    return out


EXERCISE = Exercise(
    name="batch_mean_advantages",
    lesson=7,
    place=1,
    points=2,
    minutes=8,
    difficulty=1,
    signature="batch_mean_advantages(returns (N,)) -> (N,), N ≥ 1",
    cases=_batch_cases,
    oracle=_batch_oracle,
    references=("estimators.batch_mean_advantages",),
    accepts=(
        lambda r: r - r.mean(),
        lambda r: np.subtract(r, np.average(r)),
        lambda r: torch.tensor(r, dtype=torch.float64) - torch.tensor(r, dtype=torch.float64).mean(),
        lambda r: [float(x) - statistics.fmean(r) for x in r],
        lambda r: np.float32(r) - np.float32(r).mean(),
        lambda r: (np.eye(len(r)) - np.full((len(r), len(r)), 1 / len(r))) @ r,
        lambda r: np.subtract.outer(r, r).mean(1),
        lambda r: [x - sum(r) / len(r) for x in r],
    ),
    misconceptions=(
        Misconception(
            "mean minus return",
            "Every number is there, with the other sign: a trajectory that earned more than the mean should come out "
            "positive.",
            lambda r: r.mean() - r,
        ),
        Misconception(
            "nothing subtracted",
            "These are the returns themselves. By how much does each of them differ from what the batch earned on "
            "average?",
            lambda r: r * 1.0,
        ),
        Misconception(
            "baseline instead of advantages",
            "You return the mean of the batch, once for each trajectory: that is the baseline. What is left of a "
            "return once it is taken off?",
            lambda r: np.full(len(r), r.mean()),
        ),
        Misconception(
            "one mean instead of N advantages",
            "This is the mean of the batch, a single number. Each trajectory has an advantage of its own.",
            lambda r: r.mean(),
        ),
        Misconception(
            "leave-one-out",
            "Here the mean is over the *other* trajectories. A fine idea, and the next exercise; this one takes the "
            "mean over the whole batch, oneself included.",
            each(lambda r, rs, i: r - without(rs, i).mean()),
        ),
        Misconception(
            "mean of the others, 0 where there are none",
            "You leave each trajectory out of its own mean, and treat a batch of one apart. That is for the next "
            "exercise; here everybody counts, and a batch of one needs no special care.",
            each(lambda r, rs, i: r - (without(rs, i).mean() if len(rs) > 1 else 0)),
        ),
        Misconception(
            "divided by the standard deviation",
            "Centred, and then scaled as well. The scaling comes later in the lesson and has a price; here only the "
            "mean goes.",
            lambda r: (r - r.mean()) / r.std(),
        ),
        Misconception(
            "divided by the standard deviation, with care",
            "You keep the division by the deviation from failing, but no division was asked for at all: take off the "
            "mean, and leave the scale.",
            lambda r: (r - r.mean()) / (r.std() + 1e-8),
        ),
        Misconception(
            "divided by the standard deviation with ddof = 1",
            "You divide the centred returns by their deviation, with N − 1 in it, as torch does. Here the returns keep "
            "their scale.",
            lambda r: (r - r.mean()) / (r.std(ddof=1) if len(r) > 1 else np.nan),
        ),
        Misconception(
            "divided by the deviation with ddof = 1 and a little",
            "Two things that nobody asked for: a division by the deviation and a tiny number that protects it. Only "
            "the mean is to be taken off.",
            lambda r: (r - r.mean()) / ((r.std(ddof=1) if len(r) > 1 else np.nan) + 1e-8),
        ),
        Misconception(
            "divided by the deviation, not centred",
            "The returns are scaled here and not centred. What the exercise wants is the reverse.",
            lambda r: r / r.std(),
        ),
        Misconception(
            "divided by the mean",
            "You express each return as a multiple of the mean. A baseline is something one *subtracts*.",
            lambda r: r / r.mean(),
        ),
        Misconception(
            "relative difference",
            "You measure by which fraction a return exceeds the mean. The plain difference is wanted, in the units of "
            "the rewards.",
            lambda r: r / r.mean() - 1,
        ),
        Misconception(
            "sum subtracted",
            "You take off what the whole batch earned together. How much is that for each trajectory?",
            lambda r: r - r.sum(),
        ),
        Misconception(
            "sum divided by N − 1",
            "Everybody is in the sum, so there are N of them to divide by. N − 1 belongs to a sum that leaves somebody "
            "out.",
            lambda r: r - r.sum() / (len(r) - 1),
        ),
        Misconception(
            "median subtracted",
            "You subtract the median. That does not bias much either, but (7.2) has the mean.",
            lambda r: r - np.median(r),
        ),
        Misconception(
            "divided by N as well",
            "Centred rightly, then divided by N once more. The 1/N of the estimate comes later, when the trajectories "
            "are averaged.",
            lambda r: (r - r.mean()) / len(r),
        ),
        Misconception(
            "integers stay integers",
            "Where the returns are integers, yours are rounded towards zero: zeros_like keeps the type. Advantages "
            "need fractions.",
            into_integers(lambda r: r - r.mean()),
        ),
        Misconception(
            "whole-number division",
            "// throws the fraction of the mean away.",
            lambda r: r - r.sum() // len(r),
        ),
        Misconception(
            "mean of those so far",
            "Your mean grows as you walk through the batch: the first return meets only itself. All N returns are "
            "there from the start; use one mean for all.",
            each(lambda r, rs, i: r - rs[: i + 1].mean()),
        ),
        Misconception(
            "mean taken from an array that changes",
            "You write advantages into the array whose mean you still need, so the mean drifts. Compute it once, "
            "before anything is changed.",
            _in_place_running,
        ),
        Misconception(
            "distance from the mean",
            "You drop the sign. Whether a trajectory was better or worse than the mean is all that matters.",
            lambda r: np.abs(r - r.mean()),
        ),
        Misconception(
            "squared difference",
            "These are squares, as for a variance: better and worse become the same. Keep the differences themselves.",
            lambda r: (r - r.mean()) ** 2,
        ),
        Misconception(
            "squeezed between 0 and 1",
            "You scale the returns to run from 0 to 1. A baseline moves them and leaves their distances alone.",
            lambda r: (r - r.min()) / (r.max() - r.min()),
        ),
        Misconception(
            "share of the sum",
            "You give each trajectory its share of all that was earned. The difference from the mean is wanted.",
            lambda r: r / r.sum(),
        ),
        Misconception(
            "mean of those before",
            "You compare with the trajectories before this one, and the first with nothing. Here all N are in the "
            "mean, the same for everybody.",
            each(lambda r, rs, i: r - (rs[:i].mean() if i else 0)),
        ),
        Misconception(
            "first return subtracted",
            "You compare everybody with the first trajectory. Compare them with the average of all.",
            lambda r: r - r[0],
        ),
        Misconception(
            "largest return subtracted",
            "You subtract the best return of the batch, so that nobody is ever better than the baseline.",
            lambda r: r - r.max(),
        ),
        Misconception(
            "mean added",
            "A plus where a minus should be: the offset grows instead of going away.",
            lambda r: r + r.mean(),
        ),
    ),
)
