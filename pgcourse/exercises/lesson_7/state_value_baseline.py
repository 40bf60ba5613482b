"""Lesson 7, Baselines."""

import math
import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, random_mask, rewards_like, with_garbage


def _each(change):
    """An advantage for each return on its own: change(r_i, all returns, i)."""
    return lambda returns: np.array([change(r, returns, i) for i, r in enumerate(returns)])


def _others(returns, i):
    return np.delete(returns, i)


# batch_mean_advantages


def _returns(rng, n):
    """Returns with a mean that is none of them, nor zero, and none of which is zero."""
    returns = rewards_like(rng, n) * 3
    returns[0] += 1.25 * n
    return returns + 2.0


def _batch_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(returns=[3.0, 7.0]),
        case(returns=[-4.0]),
        case(returns=[2.0, -1.0, 5.5]),
        case(returns=[1, 4, 4, -2, 1]),
        case(returns=[5.0, 5.0, 5.0]),
    ]
    return cases + [case(returns=_returns(rng, n)) for n in (1, 2, 3, 4, 7, 12)]


def _batch_oracle(returns):
    mean = math.fsum(returns) / len(returns)
    return np.array([float(r) - mean for r in returns])


def _batch_loop(returns):
    total = 0.0
    for r in returns:
        total += r
    advantages = []
    for r in returns:
        advantages.append(r - total / len(returns))
    return advantages


def _into_integers(compute):
    """The result of `compute`, written into an array of the returns' own type."""

    def wrong(returns):
        out = np.zeros_like(returns)
        out[:] = compute(returns)
        return out

    return wrong


def _in_place_running(returns):
    """Each return minus the mean of an array in which the earlier ones are advantages already."""
    out = returns.astype(float)
    for i in range(len(out)):
        out[i] -= out.mean()
    return out


BATCH_MEAN_ADVANTAGES = Exercise(
    name="batch_mean_advantages",
    lesson=7,
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
        _batch_loop,
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
            _each(lambda r, rs, i: r - _others(rs, i).mean()),
        ),
        Misconception(
            "mean of the others, 0 where there are none",
            "You leave each trajectory out of its own mean, and treat a batch of one apart. That is for the next "
            "exercise; here everybody counts, and a batch of one needs no special care.",
            _each(lambda r, rs, i: r - (_others(rs, i).mean() if len(rs) > 1 else 0)),
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
            _into_integers(lambda r: r - r.mean()),
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
            _each(lambda r, rs, i: r - rs[: i + 1].mean()),
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
            _each(lambda r, rs, i: r - (rs[:i].mean() if i else 0)),
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

# leave_one_out_advantages


def _loo_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(returns=[3.0, 7.0]),
        case(returns=[2.0, -1.0, 5.5]),
        case(returns=[1, 4, 4, -1]),
        case(returns=[2.5, 2.5, -1.0]),
    ]
    return cases + [case(returns=_returns(rng, n)) for n in (2, 3, 4, 5, 8, 12)]


def _loo_oracle(returns):
    advantages = []
    for i, r in enumerate(returns):
        others = [float(other) for j, other in enumerate(returns) if j != i]
        advantages.append(float(r) - math.fsum(others) / len(others))
    return np.array(advantages)


def _loo_by_mask(returns):
    n = len(returns)
    weights = (1 - torch.eye(n, dtype=torch.float64)) / (n - 1)
    returns = torch.tensor(returns, dtype=torch.float64)
    return returns - weights @ returns


def _loo_nested(returns):
    advantages = []
    for i in range(len(returns)):
        total = 0.0
        for j in range(len(returns)):
            if j != i:
                total += returns[j]
        advantages.append(returns[i] - total / (len(returns) - 1))
    return tuple(advantages)


def _loo(returns):
    return (returns.sum() - returns) / (len(returns) - 1)


LEAVE_ONE_OUT_ADVANTAGES = Exercise(
    name="leave_one_out_advantages",
    lesson=7,
    points=3,
    minutes=15,
    difficulty=2,
    signature="leave_one_out_advantages(returns (N,)) -> (N,), N ≥ 2",
    cases=_loo_cases,
    oracle=_loo_oracle,
    references=("estimators.leave_one_out_advantages",),
    accepts=(
        lambda r: r - _loo(r),
        lambda r: len(r) / (len(r) - 1) * (r - r.mean()),
        lambda r: np.subtract.outer(r, r).sum(1) / (len(r) - 1),
        lambda r: np.float32(r) - _loo(np.float32(r)),
        lambda r: [x - statistics.fmean([*r[:i], *r[i + 1 :]]) for i, x in enumerate(r.tolist())],
        _each(lambda r, rs, i: r - _others(rs, i).mean()),
        _loo_by_mask,
        _loo_nested,
    ),
    misconceptions=(
        Misconception(
            "mean of the whole batch",
            "Each trajectory still sits in its own baseline. Which of the returns may its mean not contain?",
            lambda r: r - r.mean(),
        ),
        Misconception(
            "mean of the others minus return",
            "The right differences with the other sign: whoever beats the others should come out positive.",
            lambda r: _loo(r) - r,
        ),
        Misconception(
            "baselines instead of advantages",
            "These are the means of the others, one for each trajectory: the baselines. The advantage is what is left "
            "of the return beside it.",
            _loo,
        ),
        Misconception(
            "others divided by N",
            "You add up the others and divide by N. How many numbers are in that sum?",
            lambda r: r - (r.sum() - r) / len(r),
        ),
        Misconception(
            "oneself in the sum, divided by N − 1",
            "You count N − 1 and still add up all N. The return of the trajectory itself has to leave the sum, too.",
            lambda r: r - r.sum() / (len(r) - 1),
        ),
        Misconception(
            "sum of the others",
            "The others are added up and not averaged. With many trajectories that would be an enormous baseline.",
            lambda r: r - (r.sum() - r),
        ),
        Misconception(
            "left out twice",
            "The return is taken off both from the sum and once more inside the difference, so that it drops out or "
            "counts double. Write b_i by itself first, then r_i − b_i.",
            lambda r: r - (r.sum() - 2 * r) / (len(r) - 1),
        ),
        Misconception(
            "factor upside down",
            "There is a short way with a factor, and yours is upside down: is leave-one-out larger or smaller than the "
            "difference from the batch mean? Try N = 2.",
            lambda r: (len(r) - 1) / len(r) * (r - r.mean()),
        ),
        Misconception(
            "without division: times N",
            "A factor is right in spirit, yet too large: try N = 2 with returns 3 and 7, where the answer is −4 and 4.",
            lambda r: len(r) * (r - r.mean()),
        ),
        Misconception(
            "parentheses: subtracted before dividing",
            "The return is subtracted from the sum of the others, and the whole is divided. Divide only the others: "
            "where do the parentheses belong?",
            lambda r: (r - (r.sum() - r)) / (len(r) - 1),
        ),
        Misconception(
            "parentheses missing around the others",
            "Without parentheses only the last term is divided. Build the sum of the others in a line of its own, then "
            "divide, then subtract.",
            lambda r: r - r.sum() - r / (len(r) - 1),
        ),
        Misconception(
            "next one left out",
            "Somebody is left out, but the neighbour: the index is off by one.",
            lambda r: r - (r.sum() - np.roll(r, -1)) / (len(r) - 1),
        ),
        Misconception(
            "previous one left out",
            "Somebody is left out, but the one before: the index is off by one.",
            lambda r: r - (r.sum() - np.roll(r, 1)) / (len(r) - 1),
        ),
        Misconception(
            "only those before",
            "You compare with the trajectories before this one. Those after it are independent of it as well, and "
            "belong in the mean.",
            _each(lambda r, rs, i: r - (rs[:i].mean() if i else 0)),
        ),
        Misconception(
            "only those after",
            "You compare with the trajectories after this one. Those before it belong in the mean, too.",
            _each(lambda r, rs, i: r - (rs[i + 1 :].mean() if i + 1 < len(rs) else 0)),
        ),
        Misconception(
            "one neighbour as the baseline",
            "A single other trajectory is your baseline. Unbiased, and noisy: the mean of *all* the others is asked.",
            lambda r: r - np.roll(r, 1),
        ),
        Misconception(
            "the next one as the baseline",
            "You subtract the return of the trajectory that follows. Unbiased, but use all the others.",
            lambda r: r - np.roll(r, -1),
        ),
        Misconception(
            "equal returns left out together",
            "Where two trajectories earn the same, both leave the mean: you compare values. Leave out by index.",
            _each(lambda r, rs, i: r - (rs[rs != r].mean() if (rs != r).any() else 0)),
        ),
        Misconception(
            "integers stay integers",
            "Integer returns give you integer advantages: zeros_like or empty_like keeps the type. Ask for floats.",
            _into_integers(lambda r: r - _loo(r)),
        ),
        Misconception(
            "whole-number division",
            "// rounds the mean down. A mean of whole numbers need not be one.",
            lambda r: r - (r.sum() - r) // (len(r) - 1),
        ),
        Misconception(
            "sum that shrinks along the way",
            "Once a return has been left out it never comes back: the sum shrinks from one trajectory to the next. Put "
            "it back in before the next turn.",
            lambda r: r - (r.sum() - np.cumsum(r)) / (len(r) - 1),
        ),
        Misconception(
            "best of the others",
            "You compare with the best of the others. Their mean is asked.",
            _each(lambda r, rs, i: r - _others(rs, i).max()),
        ),
        Misconception(
            "median of the others",
            "You compare with the median of the others. (7.3) has their mean.",
            _each(lambda r, rs, i: r - np.median(_others(rs, i))),
        ),
        Misconception(
            "divided by the standard deviation",
            "On top of leaving one out you divide by the deviation of the batch. That is another method, and biased "
            "again.",
            lambda r: (r - _loo(r)) / r.std(),
        ),
        Misconception(
            "one number",
            "The advantages are averaged into one number. N returns go in, N advantages come out.",
            lambda r: (r - _loo(r)).mean(),
        ),
    ),
)

# optimal_constant_baseline


def _scores(rng, n, p):
    """Scores of very different lengths, with no zero row and no zero column."""
    return rng.normal(size=(n, p)) * rng.uniform(0.3, 3, (n, 1))


def _constant_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[1.0, -1.0], [0.0, 2.0]], returns=[3.0, -1.0]),
        case(scores=[[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]], returns=[2.0, 7.0, -3.0]),
        case(scores=[[0.5], [-1.5]], returns=[4.0, 8.0]),
    ]
    shapes = ((1, 4), (2, 3), (3, 3), (4, 4), (5, 2), (4, 1), (8, 3))
    return cases + [case(scores=_scores(rng, n, p), returns=_returns(rng, n)) for n, p in shapes]


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


def _constant_by_torch(scores, returns):
    g, r = torch.tensor(scores), torch.tensor(returns)
    squared = torch.einsum("np,np->n", g, g)
    return (squared * r).mean() / squared.mean()


def _constant_float32(scores, returns):
    squared = np.float32(scores).astype(np.float32) ** 2
    return np.float32((squared.sum(1) * np.float32(returns)).sum() / squared.sum())


OPTIMAL_CONSTANT_BASELINE = Exercise(
    name="optimal_constant_baseline",
    lesson=7,
    points=3,
    minutes=15,
    difficulty=2,
    signature="optimal_constant_baseline(scores (N,P), returns (N,)) -> scalar, Σ‖g‖²r / Σ‖g‖²",
    cases=_constant_cases,
    oracle=_constant_oracle,
    references=("estimators.optimal_constant_baseline",),
    accepts=(
        lambda g, r: (_squared(g) * r).sum() / _squared(g).sum(),
        lambda g, r: np.average(r, weights=_squared(g)),
        lambda g, r: r @ np.einsum("np,np->n", g, g) / np.sum(g * g),
        lambda g, r: (np.linalg.norm(g, axis=1) ** 2 * r).mean() / (np.linalg.norm(g, axis=1) ** 2).mean(),
        lambda g, r: np.trace(g.T @ (r[:, None] * g)) / np.trace(g.T @ g),
        lambda g, r: sum(float(s @ s) * x for s, x in zip(g, r, strict=True)) / sum(float(s @ s) for s in g),
        _constant_by_least_squares,
        _constant_by_torch,
        _constant_float32,
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

# state_value_baseline


def _value_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards_to_go=[[5.0, 2.0]], values=[[4.0, 3.0]], mask=[[True, True]]),
        case(rewards_to_go=[[3.0, 1.0], [6.0, 9.0]], values=[[2.5, 2.0], [4.0, 7.0]], mask=[[True] * 2, [True, False]]),
        case(rewards_to_go=[[2, 1, -3]], values=[[0.5, 1.5, -1.0]], mask=[[True] * 3]),
    ]
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        returns = with_garbage(rng, rewards_like(rng, *shape), mask, 100)
        values = with_garbage(rng, rewards_like(rng, *shape) + 0.25, mask, 100)
        cases.append(case(rewards_to_go=returns, values=values, mask=mask))
    return cases


def _value_oracle(rewards_to_go, values, mask):
    advantages = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        advantages[i, t] = float(rewards_to_go[i, t]) - float(values[i, t])
    return advantages


def _value_lists(rewards_to_go, values, mask):
    rows = zip(rewards_to_go.tolist(), values.tolist(), mask.tolist(), strict=True)
    return [[g - v if m else 0.0 for g, v, m in zip(*row, strict=True)] for row in rows]


def _value_assigned(rewards_to_go, values, mask):
    out = np.zeros(mask.shape)
    out[mask] = rewards_to_go[mask] - values[mask]
    return out


def _one_at_a_time(change):
    """For each episode by itself: change(G (L,), V (L,)) → (L,), written back into zeros."""

    def compute(rewards_to_go, values, mask):
        out = np.zeros(mask.shape)
        for i, happened in enumerate(mask):
            out[i, happened] = change(rewards_to_go[i, happened].astype(float), values[i, happened])
        return out

    return compute


STATE_VALUE_BASELINE = Exercise(
    name="state_value_baseline",
    lesson=7,
    points=2,
    minutes=8,
    difficulty=1,
    signature=(
        "state_value_baseline(rewards_to_go (N,T), values (N,T), mask (N,T) bool) -> (N,T), advantages; zero where "
        "mask is False"
    ),
    cases=_value_cases,
    oracle=_value_oracle,
    references=("estimators.state_value_advantages",),
    accepts=(
        lambda g, v, m: np.where(m, g - v, 0),
        lambda g, v, m: (g - v) * m,
        lambda g, v, m: g * m - v * m,
        lambda g, v, m: np.where(m, np.float32(g) - np.float32(v), np.float32(0)),
        lambda g, v, m: torch.where(torch.tensor(m), torch.tensor(g) - torch.tensor(v), 0.0),
        lambda g, v, m: (torch.tensor(g) - torch.tensor(v)).masked_fill(~torch.tensor(m), 0),
        _value_lists,
        _value_assigned,
    ),
    misconceptions=(
        Misconception(
            "padding not masked",
            "The steps that happened are right. Behind the end of an episode something is left over from the padding, "
            "which may hold anything.",
            lambda g, v, m: g - v,
        ),
        Misconception(
            "value minus return, padding not masked",
            "Two things: which of the two is subtracted from which, and what becomes of the steps that never happened.",
            lambda g, v, m: v - g,
        ),
        Misconception(
            "value minus return",
            "The other way round: an action after which you earned more than the state promised has a positive "
            "advantage.",
            lambda g, v, m: (v - g) * m,
        ),
        Misconception(
            "only the values masked",
            "In the padding the value is gone and the reward to go still there. The mask is for the whole difference.",
            lambda g, v, m: g - v * m,
        ),
        Misconception(
            "only the returns masked",
            "In the padding the reward to go is gone and the value still there. The mask is for the whole difference.",
            lambda g, v, m: g * m - v,
        ),
        Misconception(
            "mask the wrong way round",
            "What happened is blanked and what is padding kept. True stands for a step that really happened.",
            lambda g, v, m: np.where(m, 0.0, g - v),
        ),
        Misconception(
            "nothing subtracted",
            "These are the rewards to go, masked. What did the state promise?",
            lambda g, v, m: g * m * 1.0,
        ),
        Misconception(
            "values instead of advantages",
            "These are the values, masked: what was to be expected. The advantage is what came *beyond* that.",
            lambda g, v, m: v * m,
        ),
        Misconception(
            "value added",
            "A plus where a minus should be.",
            lambda g, v, m: (g + v) * m,
        ),
        Misconception(
            "value of the first state for all steps",
            "One value, that of the first state, is used all along. Each step is compared with the value of the state "
            "it is in.",
            _one_at_a_time(lambda g, v: g - v[0]),
        ),
        Misconception(
            "value of the next state",
            "The value is one step ahead: V of the state *after* the action already knows something of what the action "
            "did.",
            _one_at_a_time(lambda g, v: g - np.append(v[1:], 0)),
        ),
        Misconception(
            "value of the state before",
            "The value is one step late: each reward to go meets the value of the state before its own.",
            _one_at_a_time(lambda g, v: g - np.append(0, v[:-1])),
        ),
        Misconception(
            "mean value of the episode",
            "You average the values over the episode first. Then a step in a good state and a step in a bad one have "
            "the same baseline.",
            _one_at_a_time(lambda g, v: g - v.mean()),
        ),
        Misconception(
            "mean value of the batch",
            "You subtract one number, the mean of all values. The point of a state value is that it differs from state "
            "to state.",
            lambda g, v, m: (g - v[m].mean()) * m,
        ),
        Misconception(
            "mean value of the batch, padding included",
            "You subtract one number for all steps, and the garbage behind the episodes is in it. Each step has its "
            "own value.",
            lambda g, v, m: (g - v.mean()) * m,
        ),
        Misconception(
            "mean over the trajectories at each step",
            "You average the values over the batch, step by step. Every state has its own value; nothing is to be "
            "averaged here.",
            lambda g, v, m: (g - v.mean(0)) * m,
        ),
        Misconception(
            "batch mean of the rewards to go",
            "You compare with the mean of the rewards to go, and the values are not used. They are the baseline here.",
            lambda g, v, m: (g - (g * m).mean(0)) * m,
        ),
        Misconception(
            "centred afterwards",
            "The differences are right, and then their mean is taken off as well. A second baseline was not asked for.",
            lambda g, v, m: (g - v - (g - v)[m].mean()) * m,
        ),
        Misconception(
            "standardised afterwards",
            "The differences are right, and then they are centred and scaled. That comes later in the lesson, at a "
            "price.",
            lambda g, v, m: (g - v - (g - v)[m].mean()) / (g - v)[m].std() * m,
        ),
        Misconception(
            "summed over the steps",
            "The advantages of an episode are added up. Each belongs to its own step, (N, T), because it multiplies "
            "the score of that step alone.",
            lambda g, v, m: ((g - v) * m).sum(1),
        ),
        Misconception(
            "padding dropped",
            "Only the steps that happened are left, in one long row. Keep the shape (N, T), with zeros in the padding.",
            lambda g, v, m: (g - v)[m],
        ),
        Misconception(
            "squared difference",
            "That is the loss with which one *fits* the values. The advantage keeps its sign.",
            lambda g, v, m: (g - v) ** 2 * m,
        ),
        Misconception(
            "distance without a sign",
            "You keep how far off the value was and drop in which direction. Better or worse than expected: that is "
            "what the sign says.",
            lambda g, v, m: np.abs(g - v) * m,
        ),
        Misconception(
            "divided by the value",
            "A baseline is subtracted. A quotient would blow up where a state promises nothing.",
            lambda g, v, m: np.where(m, g / v, 0),
        ),
        Misconception(
            "returns accumulated once more",
            "What comes in are rewards to go already; here they are summed from each step on a second time.",
            _one_at_a_time(lambda g, v: np.cumsum(g[::-1])[::-1] - v),
        ),
        Misconception(
            "NaN in the padding",
            "NaN marks the padding nicely and spoils every sum it gets into. Zero was asked.",
            lambda g, v, m: np.where(m, g - v, np.nan),
        ),
    ),
)

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
        cases.append(case(scores=_scores(rng, n, p), returns=_returns(rng, n), values=values))
    return cases


def _column_oracle(scores, returns, values):
    total = np.zeros(scores.shape[1])
    for i in range(len(scores)):
        total += scores[i] * (float(returns[i]) - float(values[i, 0]))
    return total / len(scores)


def _column_loop(scores, returns, values):
    gradient = np.zeros(scores.shape[1])
    for score, r, (v,) in zip(scores, returns, values, strict=True):
        gradient += (r - v) * score / len(scores)
    return gradient


def _by_table(axis, mean=True):
    """The (N, N) table r_j − V_i, its mean or sum over one axis, and the scores times that, averaged."""

    def wrong(scores, returns, values):
        table = returns - values
        weights = table.mean(axis) if mean else table.sum(axis)
        return weights @ scores / len(scores)

    return wrong


BUG_HUNT_BASELINE = Exercise(
    name="bug_hunt_baseline",
    lesson=7,
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
        _column_loop,
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

EXERCISES = [
    BATCH_MEAN_ADVANTAGES,
    LEAVE_ONE_OUT_ADVANTAGES,
    OPTIMAL_CONSTANT_BASELINE,
    STATE_VALUE_BASELINE,
    BUG_HUNT_BASELINE,
]
