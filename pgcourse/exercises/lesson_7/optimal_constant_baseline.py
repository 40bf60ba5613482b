import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_7.shared import telling_returns, uneven_scores
from pgcourse.exercises.pieces import in_single, in_torch


def _constant_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[1.0, -1.0], [0.0, 2.0]], returns=[3.0, -1.0]),
        case(scores=[[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]], returns=[2.0, 7.0, -3.0]),
        case(scores=[[0.5], [-1.5]], returns=[4.0, 8.0]),
    ]
    shapes = ((1, 4), (2, 3), (3, 3), (4, 4), (5, 2), (4, 1), (8, 3))
    return cases + [case(scores=uneven_scores(rng, n, p), returns=telling_returns(rng, n)) for n, p in shapes]


def _constant_oracle(scores, returns):
    above = below = 0.0
    for score, r in zip(scores, returns, strict=True):
        squared = math.fsum(float(component) ** 2 for component in score)
        above += squared * float(r)
        below += squared
    return above / below


def _squared(scores):
    return (scores**2).sum(1)


def _constant_by_least_squares(scores, returns):
    """The b for which b·g comes closest to r·g over the batch: a regression through the origin."""
    x, y = scores.ravel(), (scores * returns[:, None]).ravel()
    return np.linalg.lstsq(x[:, None], y, rcond=None)[0][0]


EXERCISE = Exercise(
    name="optimal_constant_baseline",
    lesson=7,
    place=3,
    points=3,
    minutes=15,
    difficulty=2,
    signature="optimal_constant_baseline(scores (N,P), returns (N,)) -> scalar, Σ‖g‖²r / Σ‖g‖²",
    cases=_constant_cases,
    oracle=_constant_oracle,
    references=("estimators.optimal_constant_baseline", "estimators.optimal_time_baseline"),
    accepts=(
        lambda g, r: (_squared(g) * r).sum() / _squared(g).sum(),
        lambda g, r: np.average(r, weights=_squared(g)),
        lambda g, r: r @ np.einsum("np,np->n", g, g) / np.sum(g * g),
        lambda g, r: (np.linalg.norm(g, axis=1) ** 2 * r).mean() / (np.linalg.norm(g, axis=1) ** 2).mean(),
        lambda g, r: np.trace(g.T @ (r[:, None] * g)) / np.trace(g.T @ g),
        lambda g, r: sum(float(s @ s) * x for s, x in zip(g, r, strict=True)) / sum(float(s @ s) for s in g),
        _constant_by_least_squares,
        in_torch(lambda g, r: (torch.einsum("np,np->n", g, g) * r).mean() / torch.einsum("np,np->n", g, g).mean()),
        in_single(lambda g, r: (_squared(g) * r).sum() / (g**2).sum()),
    ),
    misconceptions=(
        Misconception(
            "mean return",
            "This is the plain mean of the returns. For the least variance, trajectories with a long score count more "
            "than others.",
            lambda g, r: r.mean(),
        ),
        Misconception(
            "length not squared",
            "Returns are weighed by the length of the score. Variance is a matter of squares: what is the weight then?",
            lambda g, r: (np.sqrt(_squared(g)) * r).sum() / np.sqrt(_squared(g)).sum(),
        ),
        Misconception(
            "denominator missing",
            "A mean of ‖g‖²r, but not yet divided by the mean of the weights. Check with returns that are all 5: the "
            "best baseline is then 5.",
            lambda g, r: (_squared(g) * r).mean(),
        ),
        Misconception(
            "only the numerator",
            "This is the sum of ‖g‖²r. If all returns were 5, the answer would have to be 5: what is missing?",
            lambda g, r: (_squared(g) * r).sum(),
        ),
        Misconception(
            "sum over a mean",
            "The numerator is a sum and the denominator a mean, so N is left over. Take the same for both.",
            lambda g, r: (_squared(g) * r).sum() / _squared(g).mean(),
        ),
        Misconception(
            "mean over a sum",
            "The numerator is a mean and the denominator a sum, so a 1/N is left over. Both the same, and it cancels.",
            lambda g, r: (_squared(g) * r).mean() / _squared(g).sum(),
        ),
        Misconception(
            "one baseline for each parameter",
            "You have a baseline for each component of the gradient: a real idea, and even quieter. Here ONE constant "
            "for all of them is asked, so the norm takes the components together.",
            lambda g, r: (g**2 * r[:, None]).sum(0) / (g**2).sum(0),
        ),
        Misconception(
            "mean of one baseline for each parameter",
            "You average the parameters' own best baselines. Add up the squares over the components first, above and "
            "below, and divide last.",
            lambda g, r: ((g**2 * r[:, None]).sum(0) / (g**2).sum(0)).mean(),
        ),
        Misconception(
            "square of the sum",
            "You add up a score's components and then square. Its squared length is the sum of the squares.",
            lambda g, r: (g.sum(1) ** 2 * r).sum() / (g.sum(1) ** 2).sum(),
        ),
        Misconception(
            "sum of the components, unsquared",
            "A score's components are added up with their signs, so they cancel. Its squared length is wanted.",
            lambda g, r: (g.sum(1) * r).sum() / g.sum(),
        ),
        Misconception(
            "absolute values instead of squares",
            "You weigh by the sum of absolute values, a length of another kind. The trace of the covariance sums "
            "squares.",
            lambda g, r: (np.abs(g).sum(1) * r).sum() / np.abs(g).sum(),
        ),
        Misconception(
            "fourth power",
            "The squared length is squared once more.",
            lambda g, r: (_squared(g) ** 2 * r).sum() / (_squared(g) ** 2).sum(),
        ),
        Misconception(
            "returns squared as well",
            "The return enters squared. In the numerator it stands to the first power.",
            lambda g, r: (_squared(g) * r**2).sum() / _squared(g).sum(),
        ),
        Misconception(
            "upside down",
            "The fraction stands on its head: b is measured in units of return.",
            lambda g, r: _squared(g).sum() / (_squared(g) * r).sum(),
        ),
        Misconception(
            "divided by the sum of the returns",
            "You divide by the returns. A weighted mean of the returns is divided by the sum of its *weights*.",
            lambda g, r: (_squared(g) * r).sum() / r.sum(),
        ),
        Misconception(
            "product of the means",
            "The mean of a product is not the product of the means: multiply within each trajectory, then average.",
            lambda g, r: _squared(g).mean() * r.mean(),
        ),
        Misconception(
            "norms along the wrong axis",
            "You add up the squares over the trajectories, parameter by parameter. Each *trajectory* needs the length "
            "of its own score, a row.",
            lambda g, r: ((g**2).sum(0) * r).sum() / (g**2).sum(),
        ),
        Misconception(
            "minus the constant",
            "Right but for the sign. The baseline is what gets *subtracted*, so b itself has the sign of the returns.",
            lambda g, r: -(_squared(g) * r).sum() / _squared(g).sum(),
        ),
        Misconception(
            "one for each trajectory",
            "The right number, N times. It is one constant for the whole batch.",
            lambda g, r: np.full(len(r), (_squared(g) * r).sum() / _squared(g).sum()),
        ),
        Misconception(
            "advantages instead of the baseline",
            "You have subtracted it already. The function returns b itself.",
            lambda g, r: r - (_squared(g) * r).sum() / _squared(g).sum(),
        ),
        Misconception(
            "sum of the returns",
            "The weights have cancelled, and the sum of the returns is left. Is each length that of *one* row, and is "
            "everything added up before you divide?",
            lambda g, r: (_squared(g) * r / _squared(g)).sum(),
        ),
        Misconception(
            "mean over all entries above, over rows below",
            "The numerator is averaged over all N·P entries, the denominator over the N rows: a factor 1/P is left "
            "over.",
            lambda g, r: (g**2 * r[:, None]).mean() / _squared(g).mean(),
        ),
    ),
)
