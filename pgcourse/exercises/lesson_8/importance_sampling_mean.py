import math

import numpy as np

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.pieces import in_single, in_torch


def _mean_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(values=[1.0, 3.0], log_p=np.log([0.5, 0.25]), log_q=np.log([0.25, 0.5])),
        case(values=[-2.0], log_p=[-0.5], log_q=[-1.5]),
        case(values=[4.0, 4.0, 4.0], log_p=[-1.0, -2.0, -0.5], log_q=[-2.0, -1.0, -1.25]),
    ]
    for n, size in ((2, 0), (3, 0), (5, 0), (8, 0), (4, 900)):  # the last: probabilities that round to zero
        log_p, log_q = -rng.uniform(0.1, 2.5, (2, n)) - size
        cases.append(case(values=rewards_like(rng, n), log_p=log_p, log_q=log_q))
    return cases


def _mean_oracle(values, log_p, log_q):
    terms = [f * math.exp(p - q) for f, p, q in zip(values, log_p, log_q, strict=True)]
    return math.fsum(terms) / len(terms)


EXERCISE = Exercise(
    name="importance_sampling_mean",
    lesson=8,
    place=1,
    points=2,
    minutes=10,
    difficulty=1,
    signature="importance_sampling_mean(values (N,), log_p (N,), log_q (N,)) -> scalar, samples from q, mean under p",
    cases=_mean_cases,
    oracle=_mean_oracle,
    references=(
        "estimators.whole_trajectory_weights",
        "estimators.per_decision_weights",
        "estimators.first_order_weights",
    ),
    accepts=(
        lambda f, p, q: np.mean(f * np.exp(p - q)),
        lambda f, p, q: f @ np.exp(p - q) / len(f),
        lambda f, p, q: sum((f * np.exp(p - q)).tolist()) / len(f),
        lambda f, p, q: np.average(f, weights=np.exp(p - q)) * np.exp(p - q).mean(),
        lambda f, p, q: sum(f[i] * np.exp(p[i] - q[i]) for i in range(len(f))) / len(f),
        in_torch(lambda f, p, q: (f * (p - q).exp()).mean()),
        in_single(lambda f, p, q: np.mean(np.exp(p - q) * f)),
    ),
    misconceptions=(
        Misconception(
            "ratio omitted",
            "This is the plain mean, what you would earn on average under q, who sampled. What makes the samples "
            "speak for p?",
            lambda f, p, q: f.mean(),
        ),
        Misconception(
            "ratio upside down",
            "Your weights are q/p. Think of a value that p likes and q hardly ever draws: should the few samples of "
            "it count for more, or for less?",
            lambda f, p, q: (f * np.exp(q - p)).mean(),
        ),
        Misconception(
            "exp forgotten",
            "You multiply by log p − log q. That is the logarithm of the weight: it is 0 where the two agree, and a "
            "sample on which they agree should simply count once.",
            lambda f, p, q: (f * (p - q)).mean(),
        ),
        Misconception(
            "logarithms divided",
            "You divide one logarithm by the other. A ratio of probabilities becomes a difference of logarithms, and "
            "one more step brings it back.",
            lambda f, p, q: (f * p / q).mean(),
        ),
        Misconception(
            "logarithm of the ratio of logarithms",
            "The two arrays hold logarithms already. No further logarithm is needed on the way to p/q; something that "
            "undoes one is.",
            lambda f, p, q: (f * np.log(p / q)).mean(),
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the weights. That estimator exists, and often has less variance, but it is "
            "biased; (8.1) divides by how many samples there are.",
            lambda f, p, q: (f * np.exp(p - q - (p - q).max())).sum() / np.exp(p - q - (p - q).max()).sum(),
        ),
        Misconception(
            "self-normalised, ratio upside down",
            "Two things: the weights are q/p, the wrong way up, and you divide by their sum where the formula divides "
            "by the number of samples.",
            lambda f, p, q: (f * np.exp(q - p - (q - p).max())).sum() / np.exp(q - p - (q - p).max()).sum(),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. An expectation is estimated by an average.",
            lambda f, p, q: (f * np.exp(p - q)).sum(),
        ),
        Misconception(
            "sum without 1/N, ratio upside down",
            "Two things: which of the two probabilities belongs on top, and what turns a sum over samples into an "
            "estimate of an expectation.",
            lambda f, p, q: (f * np.exp(q - p)).sum(),
        ),
        Misconception(
            "probabilities divided after they have rounded to zero",
            "Right for ordinary numbers. But exp(−900) is 0 in a computer, and 0/0 is not a number. Take the "
            "difference first, then a single exp.",
            lambda f, p, q: (f * (np.exp(p) / np.exp(q))).mean(),
        ),
        Misconception(
            "small number added to the denominator",
            "The small number in the denominator keeps the division from failing, and gives a weight of 0 where both "
            "probabilities have rounded to zero. Nothing need be added if you subtract logarithms first.",
            lambda f, p, q: (f * (np.exp(p) / (np.exp(q) + 1e-10))).mean(),
        ),
        Misconception(
            "largest taken off and not put back",
            "Taking the largest log-weight off is a good habit where only *relative* weights matter. Here their size "
            "matters: whatever you take off has to come back.",
            lambda f, p, q: (f * np.exp(p - q - (p - q).max())).mean(),
        ),
        Misconception(
            "weighted with p alone",
            "You weigh each sample with p. But q drew them, so what q likes is in the sample more often already: that "
            "has to be divided out.",
            lambda f, p, q: (f * np.exp(p)).mean(),
        ),
        Misconception(
            "sum of p f over the samples",
            "Σ p f would be right if the samples were a list of all outcomes, each once. They are draws from q: "
            "some repeat, some never come.",
            lambda f, p, q: (f * np.exp(p)).sum(),
        ),
        Misconception(
            "weighted with p alone, self-normalised",
            "You take a mean weighted with p. The samples are draws from q, which favours its own darlings already: "
            "each weight needs q underneath, and the sum is divided by N.",
            lambda f, p, q: (f * np.exp(p - p.max())).sum() / np.exp(p - p.max()).sum(),
        ),
        Misconception(
            "divided by q alone",
            "You divide by q, which makes all outcomes count alike, and stop there. What makes them count as p wants?",
            lambda f, p, q: (f * np.exp(-q)).mean(),
        ),
        Misconception(
            "difference of probabilities",
            "You weigh with p − q. A sample on which the two agree would then not count at all.",
            lambda f, p, q: (f * (np.exp(p) - np.exp(q))).mean(),
        ),
        Misconception(
            "mean value times mean weight",
            "The mean of a product is not the product of the means: which value had which weight is lost. Multiply "
            "sample by sample, then average.",
            lambda f, p, q: f.mean() * np.exp(p - q).mean(),
        ),
        Misconception(
            "ratio of two means",
            "You average f·p and q separately, and divide. Each sample has its own weight p/q: divide first, then "
            "average.",
            lambda f, p, q: (f * np.exp(p)).mean() / np.exp(q).mean(),
        ),
        Misconception(
            "one weight for all samples",
            "All samples share the product of all the weights here. These are N separate draws; a product over steps "
            "belongs to *one* trajectory.",
            lambda f, p, q: f.mean() * np.exp((p - q).sum()),
        ),
        Misconception(
            "weights only",
            "You average the weights, which gives 1 in expectation whatever is measured. Where do the values come in?",
            lambda f, p, q: np.exp(p - q).mean(),
        ),
        Misconception(
            "weights capped at one",
            "No weight of yours exceeds 1. That keeps the variance down, and exactly the samples that p likes most "
            "count too little: it is biased.",
            lambda f, p, q: (f * np.minimum(np.exp(p - q), 1)).mean(),
        ),
        Misconception(
            "one number for each sample",
            "You return the weighted values one by one. Their average is asked.",
            lambda f, p, q: f * np.exp(p - q),
        ),
        Misconception(
            "in logarithms, nothing multiplied",
            "You add log-weights to values, as if those were logarithms, too. A value counts p/q times: that is a "
            "product.",
            lambda f, p, q: (f + p - q).mean(),
        ),
    ),
)
