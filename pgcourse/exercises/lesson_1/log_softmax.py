import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_1.shared import EXTREME, log_softmax_loop, overflowing_softmax
from pgcourse.exercises.pieces import softmax


def _log_softmax_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [[0.0, 1.0], [3.0], [1.0, 1.0], [2.0, -1.0, 0.5], *EXTREME]
    drawn = [rng.normal(scale=scale, size=size) + shift for scale, size, shift in ((1, 2, 4), (3, 5, -6), (1, 8, 0))]
    return [case(logits=logits) for logits in (*fixed, *drawn, rng.permutation([900.0, -900.0, 899.0, 0.0]))]


def _log_softmax_oracle(logits):
    largest = max(logits)
    log_sum = largest + math.log(math.fsum(math.exp(logit - largest) for logit in logits))
    return [(logit - largest) - (log_sum - largest) for logit in logits]


def _log_sum_exp(x):
    return np.log(np.exp(x).sum())


EXERCISE = Exercise(
    name="log_softmax",
    lesson=1,
    place=1,
    points=2,
    minutes=10,
    difficulty=1,
    signature="log_softmax(logits (A,)) -> (A,)",
    cases=_log_softmax_cases,
    oracle=_log_softmax_oracle,
    accepts=(
        lambda logits: logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()),
        lambda logits: logits - np.logaddexp.reduce(logits),
        lambda logits: torch.log_softmax(torch.tensor(logits), 0),
        lambda logits: torch.distributions.Categorical(logits=torch.tensor(logits, requires_grad=True)).logits,
        lambda logits: torch.log_softmax(torch.Tensor(logits), 0).tolist(),
        log_softmax_loop,
    ),
    misconceptions=(
        Misconception(
            "log(softmax) that overflows",
            "The formula is right and the computer is not big enough: exp(1000) is infinite, and infinity over "
            "infinity is NaN. Which number can you take from all logits without changing the softmax?",
            lambda logits: np.log(np.exp(logits) / np.exp(logits).sum()),
        ),
        Misconception(
            "log-sum-exp that overflows",
            "Taking the logarithm apart is the right idea; exp of a large logit overflows all the same (and of a very "
            "negative one vanishes). What if the largest exponent were 0?",
            lambda logits: logits - np.log(np.exp(logits).sum()),
        ),
        Misconception(
            "logarithm of a probability that is already 0",
            "Nothing overflows any more, but a very small probability has become 0 before you take its logarithm. Take "
            "the quotient apart on paper first: what is log exp(x)?",
            lambda logits: np.log(softmax(logits)),
        ),
        Misconception(
            "a small number added inside the logarithm",
            "A little something inside the logarithm hides the infinity and bends every answer: the logarithm of a "
            "tiny probability is large, and it is known exactly. Take the quotient apart on paper first.",
            lambda logits: np.log(softmax(logits) + 1e-8),
        ),
        Misconception(
            "a tiny number (1e-12) added inside the logarithm",
            "However tiny the number you add inside the logarithm, it replaces the true value where the probability is "
            "tinier still. On paper, what is the logarithm of exp(x) / Σ exp?",
            lambda logits: np.log(softmax(logits) + 1e-12),
        ),
        Misconception(
            "mean subtracted instead of the maximum",
            "Subtracting something is the idea, but after the mean is gone there may still be a huge exponent. After "
            "which subtraction is every exponent at most 0?",
            lambda logits: logits - logits.mean() - _log_sum_exp(logits - logits.mean()),
        ),
        Misconception(
            "maximum not put back",
            "You subtract the maximum inside the sum and leave it in the logit. Whatever is subtracted has to be "
            "subtracted everywhere, or added back.",
            lambda logits: logits - _log_sum_exp(logits - logits.max()),
        ),
        Misconception(
            "not normalised",
            "The largest entry is always 0 here, which would make its probability 1. Something that makes the "
            "probabilities add up to one is missing.",
            lambda logits: logits - logits.max(),
        ),
        Misconception(
            "logarithm of the sum forgotten",
            "You subtract the sum of the exponentials itself. What becomes of a division when you take logarithms?",
            lambda logits: logits - logits.max() - np.exp(logits - logits.max()).sum(),
        ),
        Misconception(
            "softmax without the logarithm",
            "These are the probabilities themselves. What is asked are their logarithms, numbers of at most 0.",
            softmax,
        ),
        Misconception(
            "softmax without the logarithm, overflowing",
            "Two things: these are probabilities where logarithms are asked, and exp of a large logit overflows.",
            overflowing_softmax,
        ),
        Misconception(
            "softmax applied twice",
            "Probabilities go in where logits should: a softmax of a softmax is much flatter. Once is enough.",
            lambda logits: np.log(softmax(softmax(logits))),
        ),
        Misconception(
            "wrong sign",
            "Your numbers are the negative of a log-probability, all at least 0. What sign has the logarithm of a "
            "number below one?",
            lambda logits: logits.max() + _log_sum_exp(logits - logits.max()) - logits,
        ),
        Misconception(
            "logarithm to another base",
            "The right numbers in the wrong unit: log2 or log10 instead of the natural logarithm, whose derivative is "
            "1/x.",
            lambda logits: (logits - logits.max() - _log_sum_exp(logits - logits.max())) / math.log(2),
        ),
        Misconception(
            "logarithm of the logits",
            "You take the logarithm of the logits, which may be negative. They are logarithms already, up to a "
            "constant: which one?",
            lambda logits: np.log(logits),
        ),
        Misconception(
            "logits returned as they are",
            "These are the logits as they came. They are log-probabilities up to a constant, the one that makes the "
            "probabilities add up to one.",
            lambda logits: logits,
        ),
        Misconception(
            "normalised without exponentials",
            "You divide the logits by their sum. Logits may be negative: what turns them into positive numbers first?",
            lambda logits: np.log(logits / logits.sum()),
        ),
        Misconception(
            "only the normaliser",
            "This is one number, the logarithm of the sum. There is one log-probability for each action.",
            lambda logits: logits.max() + _log_sum_exp(logits - logits.max()),
        ),
    ),
)
