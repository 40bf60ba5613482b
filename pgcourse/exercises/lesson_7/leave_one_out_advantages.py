import math
import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_7.shared import each, into_integers, telling_returns, without


def _loo_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(returns=[3.0, 7.0]),
        case(returns=[2.0, -1.0, 5.5]),
        case(returns=[1, 4, 4, -1]),
        case(returns=[2.5, 2.5, -1.0]),
    ]
    return cases + [case(returns=telling_returns(rng, n)) for n in (2, 3, 4, 5, 8, 12)]


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


def _loo(returns):
    return (returns.sum() - returns) / (len(returns) - 1)


EXERCISE = Exercise(
    name="leave_one_out_advantages",
    lesson=7,
    place=2,
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
        each(lambda r, rs, i: r - without(rs, i).mean()),
        _loo_by_mask,
        lambda r: tuple(r[i] - sum(r[j] for j in range(len(r)) if j != i) / (len(r) - 1) for i in range(len(r))),
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
            each(lambda r, rs, i: r - (rs[:i].mean() if i else 0)),
        ),
        Misconception(
            "only those after",
            "You compare with the trajectories after this one. Those before it belong in the mean, too.",
            each(lambda r, rs, i: r - (rs[i + 1 :].mean() if i + 1 < len(rs) else 0)),
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
            each(lambda r, rs, i: r - (rs[rs != r].mean() if (rs != r).any() else 0)),
        ),
        Misconception(
            "integers stay integers",
            "Integer returns give you integer advantages: zeros_like or empty_like keeps the type. Ask for floats.",
            into_integers(lambda r: r - _loo(r)),
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
            each(lambda r, rs, i: r - without(rs, i).max()),
        ),
        Misconception(
            "median of the others",
            "You compare with the median of the others. (7.3) has their mean.",
            each(lambda r, rs, i: r - np.median(without(rs, i))),
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
