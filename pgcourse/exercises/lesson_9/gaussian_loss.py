import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.lesson_9.shared import (
    BY_HAND,
    SIZES,
    gaussian,
    log_prob_by_loop,
    log_prob_of,
    log_prob_oracle,
    log_prob_parts,
)
from pgcourse.exercises.pieces import in_single

# gaussian_loss, the bug hunt


def _loss_cases(seed):
    rng = np.random.default_rng(seed)
    hand = {"mean": [[0.0], [0.0]], "log_std": [0.0], "actions": [[1.0], [-2.0]]}
    cases = [
        case(**BY_HAND, returns=[3.0], values=[[1.0]]),
        case(**hand, returns=[2.0, 0.0], values=[[1.0], [3.0]]),
    ]
    for num_draws, action_dim in (*SIZES[1:], (6, 6)):
        batch = gaussian(rng, num_draws, action_dim)
        values = rng.normal(2, 3, (num_draws, 1))
        cases.append(case(**batch, returns=rewards_like(rng, num_draws), values=values))
    return cases


def _loss_oracle(mean, log_std, actions, returns, values):
    log_probs = log_prob_oracle(mean, log_std, actions)
    terms = [log_probs[i] * (returns[i] - values[i][0]) for i in range(len(mean))]
    return -sum(terms) / len(terms)


def _loss(m, ls, a, g, v):
    return -(log_prob_of(m, ls, a) * (g - v[:, 0])).mean()


def _buggy_loss(m, ls, a, g, v):
    return -(log_prob_of(m, ls, a) * (g - v)).mean()


def _loss_by_torch(m, ls, a, g, v):
    m, ls, a, g, v = (torch.from_numpy(x) for x in (m, ls, a, g, v))
    normal = torch.distributions.Independent(torch.distributions.Normal(m, ls.exp()), 1)
    return -(normal.log_prob(a) * (g - v.squeeze(-1))).mean()


EXERCISE = Exercise(
    name="gaussian_loss",
    lesson=9,
    place=3,
    points=3,
    minutes=20,
    difficulty=2,
    signature=(
        "gaussian_loss(mean (N,D), log_std (D,), actions (N,D), returns (N,), values (N,1)) -> scalar, the surrogate "
        "loss of the batch with the values as a baseline"
    ),
    cases=_loss_cases,
    oracle=_loss_oracle,
    references=("estimators.surrogate_loss", "estimators.log_probs", "reinforce.entropic_loss"),
    accepts=(
        _loss,
        lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g - v.ravel())).sum() / len(g),
        lambda m, ls, a, g, v: -(log_prob_of(m, ls, a)[:, None] * (g[:, None] - v)).mean(),
        lambda m, ls, a, g, v: -log_prob_of(m, ls, a) @ (g - v.squeeze(1)) / len(g),
        lambda m, ls, a, g, v: (log_prob_of(m, ls, a) * (v[:, 0] - g)).mean(),
        lambda m, ls, a, g, v: -np.mean([p * (r - b[0]) for p, r, b in zip(log_prob_of(m, ls, a), g, v, strict=True)]),
        in_single(_loss),
        _loss_by_torch,
        lambda m, ls, a, g, v: -sum(p * (g[i] - v[i, 0]) for i, p in enumerate(log_prob_by_loop(m, ls, a))) / len(g),
    ),
    misconceptions=(
        Misconception(
            "every return meets every value",
            "The bug is still there: write down the shapes of `returns`, of `values` and of their difference. How many "
            "numbers does a batch of N draws have to subtract?",
            _buggy_loss,
        ),
        Misconception(
            "every log-probability meets every return",
            "There is still an N × N table under the mean: now each log-probability meets the returns of all the other "
            "draws. Print the shape of each factor.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a)[:, None] * (g - v)).mean(),
        ),
        Misconception(
            "every log-probability meets every advantage",
            "The advantages are right, and (N,) times (N, 1) makes an N × N table of products, in which every draw is "
            "praised for what the others earned. Print the shape of each factor.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a)[:, None] * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "uphill",
            "The sign is turned: an optimiser makes a *loss* small. Either the minus in front is gone, or the values "
            "have their returns taken from them.",
            lambda m, ls, a, g, v: -_loss(m, ls, a, g, v),
        ),
        Misconception(
            "uphill, every return meets every value",
            "Two things: the sign of a loss, and the shapes of `returns` and `values`, whose difference is a table.",
            lambda m, ls, a, g, v: -_buggy_loss(m, ls, a, g, v),
        ),
        Misconception(
            "baseline left out",
            "The shapes are right now, because the values are gone. They are there to make the advantages small: keep "
            "them, each with its own return.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * g).mean(),
        ),
        Misconception(
            "first value for everybody",
            "All draws are compared with the value of the *first* one. Each has a value of its own: which index takes "
            "a column, and which a row?",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g - v[0])).mean(),
        ),
        Misconception(
            "values added up",
            "Every return has the sum of all values taken from it. Each return has one value that belongs to it.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g - v.sum())).mean(),
        ),
        Misconception(
            "sum without 1/N",
            "You add up where the buggy version takes a mean, which was right about this: the size of the step should "
            "not depend on N.",
            lambda m, ls, a, g, v: len(g) * _loss(m, ls, a, g, v),
        ),
        Misconception(
            "sum of the whole table",
            "There is still an N × N table, now added up instead of averaged. Mend the shapes first, and leave the "
            "mean as it was.",
            lambda m, ls, a, g, v: len(g) ** 2 * _buggy_loss(m, ls, a, g, v),
        ),
        Misconception(
            "N numbers instead of one",
            "You return a term for each draw. A loss is one number: their mean.",
            lambda m, ls, a, g, v: -log_prob_of(m, ls, a) * (g - v[:, 0]),
        ),
        Misconception(
            "a table instead of a number",
            "You return an N × N table. Two things: what makes it a table, and the mean.",
            lambda m, ls, a, g, v: -log_prob_of(m, ls, a) * (g - v),
        ),
        Misconception(
            "mean over the dimensions",
            "The log-probability of an action is the *sum* over its dimensions; in your result there is a 1/D. The "
            "buggy version was right about that.",
            lambda m, ls, a, g, v: -(log_prob_parts(m, ls, a).mean(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "log 2π left out",
            "Only the constant ½ log 2π of each dimension is missing from the log-probabilities. The gradient would be "
            "the same; the number asked for has it.",
            lambda m, ls, a, g, v: -(log_prob_parts(m, ls, a, 0).sum(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "log σ left out",
            "The term log σ is missing from the log-probabilities. The buggy version had it.",
            lambda m, ls, a, g, v: -((log_prob_parts(m, ls, a) + ls).sum(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "advantages centred once more",
            "You take the advantages' mean from them. That is a second baseline, which nobody asked for: the values "
            "are the baseline here.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g - v[:, 0] - (g - v[:, 0]).mean())).mean(),
        ),
        Misconception(
            "batch mean instead of the values",
            "You compare each return with the mean return. The baseline here is the value of each draw's own state.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g - g.mean())).mean(),
        ),
        Misconception(
            "density instead of its logarithm",
            "You weigh densities. The surrogate loss is made of *log*-probabilities: it is their gradient that is the "
            "score.",
            lambda m, ls, a, g, v: -(np.exp(log_prob_of(m, ls, a)) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "clipped action",
            "You score the actions after clipping them to [−1, 1]. The policy drew the raw ones.",
            lambda m, ls, a, g, v: _loss(m, ls, np.clip(a, -1, 1), g, v),
        ),
        Misconception(
            "loss of the values",
            "This is the squared error of the values, with which one would fit *them*. The policy's loss is asked.",
            lambda m, ls, a, g, v: ((g - v[:, 0]) ** 2).mean(),
        ),
        Misconception(
            "values added to the returns",
            "You add the values. A baseline is what one *expected*: it is taken off what one got.",
            lambda m, ls, a, g, v: -(log_prob_of(m, ls, a) * (g + v[:, 0])).mean(),
        ),
        Misconception(
            "number inside a list",
            "The number is wrapped in an array or list of length one. A scalar is asked: the number itself.",
            lambda m, ls, a, g, v: [_loss(m, ls, a, g, v)],
        ),
    ),
)
