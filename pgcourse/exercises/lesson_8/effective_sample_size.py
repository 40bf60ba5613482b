import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.pieces import in_torch


def _size_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_weights=np.log([1.0, 3.0])),
        case(log_weights=[0.5]),
        case(log_weights=[-1.0, -1.0, -1.0, -1.0]),
        case(log_weights=[0.0, -3000.0]),
        case(log_weights=[0.5, 0.0, 0.0, -1000.0]),
        case(log_weights=[-2000.0, 0.5, 0.0]),
    ]
    for n, scale, spread in ((3, 0, 1.0), (5, 1, 1.5), (8, -2, 2.0), (6, 2000, 1.0), (7, -2000, 1.5), (12, 0, 0.5)):
        cases.append(case(log_weights=scale + rng.normal(size=n) * spread))
    return cases


def _size_oracle(log_weights):
    largest = max(log_weights)
    weights = [math.exp(x - largest) for x in log_weights]
    return math.fsum(weights) ** 2 / math.fsum(w * w for w in weights)


def _relative(log_weights):
    """The weights as multiples of the largest."""
    return np.exp(log_weights - log_weights.max())


def _normalised(log_weights):
    return _relative(log_weights) / _relative(log_weights).sum()


def _plain_size(log_weights):
    w = np.exp(log_weights)
    return w.sum() ** 2 / (w**2).sum()


EXERCISE = Exercise(
    name="effective_sample_size",
    lesson=8,
    place=3,
    points=3,
    minutes=12,
    difficulty=2,
    signature="effective_sample_size(log_weights (N,)) -> scalar, for weights of any scale",
    cases=_size_cases,
    oracle=_size_oracle,
    references=("estimators.effective_sample_size",),
    accepts=(
        lambda x: _relative(x).sum() ** 2 / (_relative(x) ** 2).sum(),
        lambda x: 1 / (_normalised(x) ** 2).sum(),
        lambda x: 1 / (_normalised(x) @ _normalised(x)),
        lambda x: float(np.float32(1) / (np.float32(_normalised(x)) ** 2).sum()),
        _size_oracle,
        in_torch(lambda x: (2 * torch.logsumexp(x, 0) - torch.logsumexp(2 * x, 0)).exp()),
        in_torch(lambda x: 1 / (x.softmax(0) ** 2).sum().item()),
        lambda x: len(x) / (1 + (_normalised(x) * len(x)).var()),
    ),
    misconceptions=(
        Misconception(
            "exp forgotten",
            "You use the logarithms as if they were the weights. Equal weights, of whatever size, are worth N samples; "
            "try what you return for N zeros.",
            lambda x: x.sum() ** 2 / (x**2).sum(),
        ),
        Misconception(
            "overflow",
            "The formula is right, and the weights do not fit into a float: e^2000 is infinite, e^−2000 is 0. All "
            "weights may be multiplied by one number without changing the answer. Which one helps?",
            _plain_size,
        ),
        Misconception(
            "mean taken off instead of the largest",
            "A shift is the right idea, and the mean is not enough of it: a weight far above the mean still "
            "overflows. Which shift makes sure that no exponent is positive?",
            lambda x: _plain_size(x - x.mean()),
        ),
        Misconception(
            "smallest taken off instead of the largest",
            "A shift is the right idea; yours makes all exponents positive, and a large one overflows. Which shift "
            "makes sure that none is?",
            lambda x: _plain_size(x - x.min()),
        ),
        Misconception(
            "first taken off instead of the largest",
            "A shift is the right idea; taking the first log-weight off helps only if none is far above it. Which "
            "shift makes sure that no exponent is positive?",
            lambda x: _plain_size(x - x[0]),
        ),
        Misconception(
            "upside down",
            "Equal weights should give N, and you return 1/N. Which of the two sums belongs on top?",
            lambda x: 1 / _size_oracle(x),
        ),
        Misconception(
            "sum not squared",
            "Multiply all weights by ten: your result changes, and the number of samples they are worth does not. "
            "Something on top should be squared.",
            lambda x: _relative(x).sum() / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "squares above and below",
            "The same sum of squares stands above and below the line. Above it, add first and square afterwards.",
            lambda x: (_relative(x) ** 2).sum() / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "one over the sum of squares, not normalised",
            "1/Σw² is right once the weights sum to one. Yours do not yet.",
            lambda x: 1 / (_relative(x) ** 2).sum(),
        ),
        Misconception(
            "fraction instead of number",
            "You return the share of the samples that counts, a number up to 1. Out of N samples, how many is that?",
            lambda x: _size_oracle(x) / len(x),
        ),
        Misconception(
            "number of samples",
            "You count the samples. The question is how many *equal* ones they are worth: two with weights 1 and 0 are "
            "worth one.",
            lambda x: float(len(x)),
        ),
        Misconception(
            "squares not squared, or the largest weight only",
            "You return the sum of the weights over the largest of them: a measure that looks at a single one. (8.4) "
            "has a square above the line and squares below it.",
            lambda x: 1 / _normalised(x).max(),
        ),
        Misconception(
            "perplexity",
            "The exponential of the entropy of the weights: an honest measure of the same thing, but another one. "
            "(8.4) has squares and no logarithm.",
            lambda x: np.exp(-(_normalised(x) * np.log(_normalised(x))).sum()),
        ),
        Misconception(
            "square root",
            "You return the square root of it. Equal weights should give N: a length is not what is asked.",
            lambda x: math.sqrt(_size_oracle(x)),
        ),
        Misconception(
            "logarithm of it",
            "You return the logarithm of the effective sample size. Staying in logarithms was wise; one exp at the "
            "end is missing.",
            lambda x: math.log(_size_oracle(x)),
        ),
        Misconception(
            "rounded",
            "Rounded to a whole number. An effective sample size need not be one.",
            lambda x: float(round(_size_oracle(x))),
        ),
        Misconception(
            "cut off to a whole number",
            "Cut down to a whole number. An effective sample size need not be one.",
            lambda x: float(int(_size_oracle(x))),
        ),
        Misconception(
            "variance with N − 1",
            "Nearly: N/(1 + variance of the weights over their mean) is (8.4) if the variance divides by N. With N − 1 "
            "it does not match, and one sample gives NaN.",
            lambda x: len(x) / (1 + torch.tensor(_normalised(x) * len(x)).var().item()),
        ),
        Misconception(
            "variance of weights whose mean is not one",
            "N/(1 + variance) holds for weights whose mean is 1. Divide them by their mean first.",
            lambda x: len(x) / (1 + _relative(x).var()),
        ),
        Misconception(
            "absolute values of the logarithms",
            "You work with the logarithms, without their signs. A log-weight of −2 is a weight, too: a small one.",
            lambda x: np.abs(x).sum() ** 2 / (x**2).sum(),
        ),
        Misconception(
            "number of times the mean square",
            "A factor N is left over: with means instead of sums, (mean w)²/mean(w²) is the *share*, and that times N "
            "once is the number. You have it N times too large.",
            lambda x: _size_oracle(x) * len(x),
        ),
        Misconception(
            "normalised weights",
            "You return the weights, normalised. One number is asked: how many equal samples they are worth.",
            _normalised,
        ),
    ),
)
