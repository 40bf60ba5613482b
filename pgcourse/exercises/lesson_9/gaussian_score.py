import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.lesson_9.shared import density, gaussian_cases, log_prob_of, log_prob_parts, z_scores
from pgcourse.exercises.pieces import autograd, in_single, in_torch


def _score_oracle(mean, log_std, actions):
    variance = [math.exp(ls) ** 2 for ls in log_std]
    return [[(a[d] - mu[d]) / variance[d] for d in range(len(a))] for mu, a in zip(mean, actions, strict=True)]


def _score(mean, log_std, actions):
    return (actions - mean) / np.exp(2 * log_std)


def _score_by_loop(mean, log_std, actions):
    rows = []
    for mu, a in zip(mean, actions, strict=True):
        rows.append([(a[d] - mu[d]) * math.exp(-2 * log_std[d]) for d in range(len(mu))])
    return rows


EXERCISE = Exercise(
    name="gaussian_score",
    lesson=9,
    place=2,
    points=2,
    minutes=8,
    difficulty=1,
    signature="gaussian_score(mean (N,D), log_std (D,), actions (N,D)) -> (N,D), with respect to the mean",
    cases=gaussian_cases,
    oracle=_score_oracle,
    references=("estimators.gradients", "estimators.scores"),
    accepts=(
        _score,
        lambda m, ls, a: (a - m) / np.exp(ls) ** 2,
        lambda m, ls, a: z_scores(m, ls, a) / np.exp(ls),
        in_single(_score),
        lambda m, ls, a: (torch.tensor(a) - torch.tensor(m)) * torch.tensor(-2 * ls).exp(),
        in_torch(lambda m, ls, a: autograd(lambda x: torch.distributions.Normal(x, ls.exp()).log_prob(a).sum(), m)),
        _score_by_loop,
    ),
    misconceptions=(
        Misconception(
            "divided by σ once",
            "You divide by σ once, as if `log_std` were the logarithm of the variance, or as if the distance in units "
            "of σ were enough. The log-density has (a − μ)²/σ² in it: what is left of σ² after deriving by μ?",
            z_scores,
        ),
        Misconception(
            "not divided at all",
            "This is the distance from the mean. The same distance means more to a narrow bell than to a wide one: "
            "where does σ come in?",
            lambda m, ls, a: a - m,
        ),
        Misconception(
            "wrong way round",
            "The score points from the mean *towards* the action: moving μ there makes the action likelier. (With this "
            "sign it is the derivative with respect to the action.)",
            lambda m, ls, a: -_score(m, ls, a),
        ),
        Misconception(
            "wrong way round, divided by σ once",
            "Two things: the score points from the mean towards the action, and the variance σ² divides it.",
            lambda m, ls, a: -z_scores(m, ls, a),
        ),
        Misconception(
            "wrong way round, not divided at all",
            "Two things: the score points from the mean towards the action, and σ has a say in its length.",
            lambda m, ls, a: m - a,
        ),
        Misconception(
            "score for log σ",
            "This is the score with respect to log σ, the other half of the formula. Asked is the one for the mean.",
            lambda m, ls, a: z_scores(m, ls, a) ** 2 - 1,
        ),
        Misconception(
            "score for σ",
            "This is the derivative with respect to σ. Asked is the one with respect to the mean.",
            lambda m, ls, a: (z_scores(m, ls, a) ** 2 - 1) / np.exp(ls),
        ),
        Misconception(
            "distance squared",
            "The distance is squared, so the result never points down. What is the derivative of −(a − μ)²/(2σ²) with "
            "respect to μ?",
            lambda m, ls, a: z_scores(m, ls, a) ** 2,
        ),
        Misconception(
            "factor two",
            "Twice too long: the 2 that comes down from the square meets the ½ in the exponent.",
            lambda m, ls, a: 2 * _score(m, ls, a),
        ),
        Misconception(
            "half",
            "Half as long as it should be: the ½ of the exponent meets the 2 that comes down from the square.",
            lambda m, ls, a: _score(m, ls, a) / 2,
        ),
        Misconception(
            "divided by σ⁴",
            "σ² is squared once more. The variance is exp(log_std) squared, *once*.",
            lambda m, ls, a: (a - m) / np.exp(4 * ls),
        ),
        Misconception(
            "multiplied by σ²",
            "You multiply by the variance. A narrow bell (small σ) is the one that reacts strongly: divide.",
            lambda m, ls, a: (a - m) * np.exp(2 * ls),
        ),
        Misconception(
            "multiplied by σ",
            "You multiply by σ. A narrow bell (small σ) is the one that reacts strongly: on which side of the fraction "
            "bar does the variance belong?",
            lambda m, ls, a: (a - m) * np.exp(ls),
        ),
        Misconception(
            "log σ taken for σ",
            "`log_std` is squared as if it were σ itself. What makes a standard deviation out of its logarithm?",
            lambda m, ls, a: (a - m) / ls**2,
        ),
        Misconception(
            "log σ taken for the variance",
            "You divide by `log_std`, which may even be negative. What makes a variance out of the logarithm of a "
            "standard deviation?",
            lambda m, ls, a: (a - m) / ls,
        ),
        Misconception(
            "log σ exponentiated twice",
            "The exponential is taken twice: exp(log_std) is σ already.",
            lambda m, ls, a: (a - m) / np.exp(np.exp(ls)) ** 2,
        ),
        Misconception(
            "summed over the dimensions",
            "You add up over the dimensions. The mean has D entries for each draw, and each has its own derivative.",
            lambda m, ls, a: _score(m, ls, a).sum(1),
        ),
        Misconception(
            "summed over the dimensions, as a column",
            "You add up over the dimensions and keep a column. The mean has D entries for each draw, and each has its "
            "own derivative: nothing is added up.",
            lambda m, ls, a: _score(m, ls, a).sum(1, keepdims=True),
        ),
        Misconception(
            "both scores side by side",
            "You return the score for log σ as well, in further columns. Only the part for the mean is asked here.",
            lambda m, ls, a: np.concatenate([_score(m, ls, a), z_scores(m, ls, a) ** 2 - 1], axis=1),
        ),
        Misconception(
            "log σ squared before the exponential",
            "You square `log_std` and then take the exponential. First comes σ = exp(log_std), then its square.",
            lambda m, ls, a: (a - m) / np.exp(ls**2),
        ),
        Misconception(
            "averaged over the batch",
            "You average over the draws. Each draw has a score of its own; the average over the batch comes later, "
            "when each has been multiplied by what it earned.",
            lambda m, ls, a: _score(m, ls, a).mean(0),
        ),
        Misconception(
            "summed over the batch",
            "You add up over the draws. Each draw has a score of its own, and its own reward to be multiplied with.",
            lambda m, ls, a: _score(m, ls, a).sum(0),
        ),
        Misconception(
            "divided by N",
            "There is a 1/N in every row. The average over the batch comes later, when each score has been multiplied "
            "by what its draw earned.",
            lambda m, ls, a: _score(m, ls, a) / len(m),
        ),
        Misconception(
            "derivative of the density",
            "This is ∇π, the derivative of the density itself. The *score* is the derivative of its logarithm.",
            lambda m, ls, a: _score(m, ls, a) * np.exp(log_prob_of(m, ls, a))[:, None],
        ),
        Misconception(
            "derivative of each dimension's density",
            "You multiply each entry by the density of its dimension: that is the derivative of a density. The *score* "
            "is the derivative of its logarithm.",
            lambda m, ls, a: _score(m, ls, a) * density(m, ls, a),
        ),
        Misconception(
            "log-density instead of its derivative",
            "These are log-densities. By how much do they change when the mean moves a little?",
            log_prob_parts,
        ),
        Misconception(
            "score times log-probability",
            "Your score is multiplied by a log-probability. The derivative of log π(a) stands alone: no factor of π or "
            "log π is left over.",
            lambda m, ls, a: _score(m, ls, a) * log_prob_of(m, ls, a)[:, None],
        ),
        Misconception(
            "one subtracted",
            "The −1 belongs to the score for log σ. What changes in log π(a) when only the mean moves?",
            lambda m, ls, a: _score(m, ls, a) - 1,
        ),
        Misconception(
            "clipped action",
            "You score the action after clipping it to [−1, 1]. The policy drew the raw one: score what was drawn.",
            lambda m, ls, a: _score(m, ls, np.clip(a, -1, 1)),
        ),
        Misconception(
            "mean left out",
            "You measure distances from zero. Where does the pull of an action vanish?",
            lambda m, ls, a: a / np.exp(2 * ls),
        ),
        Misconception(
            "sign of the distance lost",
            "The size is right, and the direction is lost: an action below the mean pulls it down.",
            lambda m, ls, a: np.abs(_score(m, ls, a)),
        ),
        Misconception(
            "all zeros",
            "Zero everywhere: that happens when the action moves along with the mean (a = μ + σz, as rsample draws). "
            "The action has happened and stays where it is: derive with it held fixed.",
            lambda m, ls, a: np.zeros_like(m),
        ),
    ),
)
