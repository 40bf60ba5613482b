"""Lesson 9, Other policies."""

import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like

LOG_2PI = math.log(2 * math.pi)
SIZES = ((1, 1), (1, 3), (2, 2), (3, 3), (4, 2), (5, 1), (7, 4))  # (N, D): one draw, one dimension, N = D


def _gaussian(rng, num_draws, action_dim):
    """A batch: means on both sides of the bounds ±1, widths that differ, actions within three deviations, none at μ."""
    log_std = rng.permutation(np.linspace(-0.8, 0.9, action_dim + 1)[1:] + 0.1 * rng.random(action_dim))
    mean = rng.uniform(-1.5, 1.5, (num_draws, action_dim))
    z = rng.choice([-1, 1], mean.shape) * rng.uniform(0.3, 3, mean.shape)
    return {"mean": mean, "log_std": log_std, "actions": mean + np.exp(log_std) * z}


BY_HAND = {"mean": [[0.0, 1.0]], "log_std": [0.0, math.log(2)], "actions": [[1.0, -1.0]]}


def _cases(seed):
    rng = np.random.default_rng(seed)
    narrow = {"mean": [[0.5], [-2.0]], "log_std": [-1.0], "actions": [[0.75], [-2.5]]}
    return [case(**BY_HAND), case(**narrow), *(case(**_gaussian(rng, *size)) for size in SIZES)]


# gaussian_log_prob


def _log_prob_oracle(mean, log_std, actions):
    out = []
    for mu, a in zip(mean, actions, strict=True):
        total = 0.0
        for d in range(len(log_std)):
            sigma = math.exp(log_std[d])
            total += -((a[d] - mu[d]) ** 2) / (2 * sigma**2) - math.log(sigma) - LOG_2PI / 2
        out.append(total)
    return out


def _z(mean, log_std, actions):
    return (actions - mean) / np.exp(log_std)


def _parts(mean, log_std, actions, constant=LOG_2PI / 2):
    """log N(a_d; μ_d, σ_d²), (N, D)."""
    return -(_z(mean, log_std, actions) ** 2) / 2 - log_std - constant


def _log_prob(mean, log_std, actions):
    return _parts(mean, log_std, actions).sum(1)


def _log_prob_by_loop(mean, log_std, actions):
    out = np.zeros(len(mean))
    for i in range(len(mean)):
        for d in range(mean.shape[1]):
            variance = np.exp(2 * log_std[d])
            out[i] += -0.5 * (actions[i, d] - mean[i, d]) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    return out


def _log_prob_by_torch(mean, log_std, actions):
    mean, log_std, actions = (torch.from_numpy(x) for x in (mean, log_std, actions))
    return torch.distributions.Normal(mean, log_std.exp()).log_prob(actions).sum(-1)


def _log_prob_by_covariance(mean, log_std, actions):
    mean, log_std, actions = (torch.from_numpy(x) for x in (mean, log_std, actions))
    return torch.distributions.MultivariateNormal(mean, torch.diag((2 * log_std).exp())).log_prob(actions).tolist()


def _density(mean, log_std, actions):
    return np.exp(_parts(mean, log_std, actions))


GAUSSIAN_LOG_PROB = Exercise(
    name="gaussian_log_prob",
    lesson=9,
    points=3,
    minutes=12,
    difficulty=2,
    signature="gaussian_log_prob(mean (N,D), log_std (D,), actions (N,D)) -> (N,)",
    cases=_cases,
    oracle=_log_prob_oracle,
    references=("estimators.log_probs",),
    accepts=(
        _log_prob,
        lambda m, ls, a: np.log(_density(m, ls, a).prod(1)),
        lambda m, ls, a: -((a - m) ** 2 / (2 * np.exp(ls) ** 2)).sum(1) - ls.sum() - len(ls) / 2 * np.log(2 * np.pi),
        lambda m, ls, a: _log_prob(*(x.astype(np.float32) for x in (m, ls, a))),
        lambda m, ls, a: [row.sum() for row in _parts(m, ls, a)],
        _log_prob_by_loop,
        _log_prob_by_torch,
        _log_prob_by_covariance,
    ),
    misconceptions=(
        Misconception(
            "one number for each dimension",
            "You return a log-density for each of the D dimensions. An action is *one* choice, all its dimensions "
            "together: how do the log-probabilities of independent parts combine?",
            _parts,
        ),
        Misconception(
            "mean over the dimensions",
            "You average over the dimensions. Independent parts multiply, so their logarithms add up: nothing divides "
            "by D.",
            lambda m, ls, a: _parts(m, ls, a).mean(1),
        ),
        Misconception(
            "summed over the batch",
            "Your sum runs over the N draws and leaves one number for each dimension. Each draw keeps a number "
            "of its own: which axis should disappear?",
            lambda m, ls, a: _parts(m, ls, a).sum(0),
        ),
        Misconception(
            "summed over everything",
            "You return a single number for the whole batch. Each of the N draws keeps its own: over which axis only "
            "should the sum run?",
            lambda m, ls, a: _parts(m, ls, a).sum(),
        ),
        Misconception(
            "a column instead of a vector",
            "The numbers are right and the shape is (N, 1). Times N advantages of shape (N,) that silently becomes "
            "an N × N table: return shape (N,).",
            lambda m, ls, a: _parts(m, ls, a).sum(1, keepdims=True),
        ),
        Misconception(
            "log σ taken for σ",
            "`log_std` goes into the formula as if it were σ itself, and it may even be negative. What makes a "
            "standard deviation out of its logarithm?",
            lambda m, ls, a: (-(((a - m) / ls) ** 2) / 2 - np.log(ls) - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "log σ taken for σ in the quadratic term",
            "In the squared distance `log_std` stands where σ should be. What makes a standard deviation out of its "
            "logarithm?",
            lambda m, ls, a: (-(((a - m) / ls) ** 2) / 2 - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "log σ exponentiated twice",
            "The exponential is taken twice somewhere: once you have σ = exp(log_std), use it as it is. (And log σ is "
            "what you were given.)",
            lambda m, ls, a: _log_prob(m, np.exp(ls), a),
        ),
        Misconception(
            "log σ taken for the log of the variance",
            "You treat `log_std` as the logarithm of σ². It is that of σ: what is then the variance?",
            lambda m, ls, a: _log_prob(m, ls / 2, a),
        ),
        Misconception(
            "log σ left out",
            "The bell's height is missing: a wide bell is a low one. Which term of log π(a) contains σ but not a?",
            lambda m, ls, a: (_parts(m, ls, a) + ls).sum(1),
        ),
        Misconception(
            "log 2π left out",
            "Only the constant ½ log 2π of each dimension is missing. Gradients do not see it, but the log-probability "
            "of the formula has it.",
            lambda m, ls, a: _parts(m, ls, a, 0).sum(1),
        ),
        Misconception(
            "log 2π once instead of once for each dimension",
            "The constant ½ log 2π is counted once. Each dimension is a bell curve of its own and brings its own.",
            lambda m, ls, a: _parts(m, ls, a, 0).sum(1) - LOG_2PI / 2,
        ),
        Misconception(
            "log 2π without the half",
            "The constant is log 2π a dimension in your result. The density has 1/√(2π) in front: what does the "
            "logarithm make of the root?",
            lambda m, ls, a: _parts(m, ls, a, LOG_2PI).sum(1),
        ),
        Misconception(
            "log 2π with a plus",
            "The constant comes in with the wrong sign: the density has √(2π) below the fraction bar.",
            lambda m, ls, a: _parts(m, ls, a, -LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "logarithm of log σ",
            "You take the logarithm of `log_std`, which is a logarithm already, and may be negative.",
            lambda m, ls, a: (_parts(m, ls, a) + ls - np.log(ls)).sum(1),
        ),
        Misconception(
            "half of log σ",
            "log σ counts half in your result. The formula with ½ log σ² has a square in it, which the half undoes.",
            lambda m, ls, a: (_parts(m, ls, a) + ls / 2).sum(1),
        ),
        Misconception(
            "twice log σ",
            "log σ counts twice in your result: the density has σ below the fraction bar, not σ².",
            lambda m, ls, a: (_parts(m, ls, a) - ls).sum(1),
        ),
        Misconception(
            "log σ of all dimensions in each",
            "The log σ of *all* dimensions is taken off in each of them, and then the sum runs over them once more.",
            lambda m, ls, a: (_parts(m, ls, a) + ls - ls.sum()).sum(1),
        ),
        Misconception(
            "only the exponent",
            "This is the exponent of the bell curve alone. The density has a factor in front of it that has σ in it: "
            "take its logarithm too.",
            lambda m, ls, a: -(_z(m, ls, a) ** 2).sum(1) / 2,
        ),
        Misconception(
            "half forgotten",
            "The squared distance counts twice as much as it should: look at the factor in the exponent of a bell "
            "curve.",
            lambda m, ls, a: (_parts(m, ls, a) - _z(m, ls, a) ** 2 / 2).sum(1),
        ),
        Misconception(
            "σ not squared",
            "You divide the squared distance by σ. Distances are measured *in units of σ*, and then squared.",
            lambda m, ls, a: (-((a - m) ** 2) / (2 * np.exp(ls)) - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "distance not squared",
            "The distance from the mean enters without being squared, so actions below the mean are rewarded. What is "
            "the exponent of a bell curve?",
            lambda m, ls, a: (-_z(m, ls, a) / 2 - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "quadratic term with a plus",
            "With your sign an action is likelier the further it is from the mean. Far should mean unlikely.",
            lambda m, ls, a: (_parts(m, ls, a) + _z(m, ls, a) ** 2).sum(1),
        ),
        Misconception(
            "log σ with a plus",
            "A wider bell is lower everywhere near its middle, so log σ should make the log-probability smaller. Look "
            "at its sign.",
            lambda m, ls, a: (_parts(m, ls, a) + 2 * ls).sum(1),
        ),
        Misconception(
            "negative log-likelihood",
            "Everything is there, with the sign of a loss. The exercise asks for log π(a) itself.",
            lambda m, ls, a: -_log_prob(m, ls, a),
        ),
        Misconception(
            "density instead of its logarithm",
            "You return π(a), the density. Its logarithm is asked (which also survives in many dimensions, where the "
            "density itself underflows).",
            lambda m, ls, a: _density(m, ls, a).prod(1),
        ),
        Misconception(
            "densities added up",
            "You add the densities of the dimensions. Independent parts *multiply*; their logarithms add up.",
            lambda m, ls, a: _density(m, ls, a).sum(1),
        ),
        Misconception(
            "logarithm of added densities",
            "You add the densities of the dimensions and take the logarithm afterwards. First the logarithm of each, "
            "then the sum.",
            lambda m, ls, a: np.log(_density(m, ls, a).sum(1)),
        ),
        Misconception(
            "densities, one for each dimension",
            "These are D densities for each draw. Two steps are missing: the logarithm, and putting the dimensions of "
            "one action together.",
            _density,
        ),
        Misconception(
            "clipped action",
            "You score the action after clipping it to [−1, 1]. The policy drew the raw one, and it is that choice "
            "whose log-probability is asked.",
            lambda m, ls, a: _log_prob(m, ls, np.clip(a, -1, 1)),
        ),
        Misconception(
            "mean left out",
            "You measure distances from zero. From where does a bell curve with mean μ measure them?",
            lambda m, ls, a: _log_prob(np.zeros_like(m), ls, a),
        ),
    ),
)

# gaussian_score


def _score_oracle(mean, log_std, actions):
    variance = [math.exp(ls) ** 2 for ls in log_std]
    return [[(a[d] - mu[d]) / variance[d] for d in range(len(a))] for mu, a in zip(mean, actions, strict=True)]


def _score(mean, log_std, actions):
    return (actions - mean) / np.exp(2 * log_std)


def _score_by_autograd(mean, log_std, actions):
    mean = torch.tensor(mean, requires_grad=True)
    normal = torch.distributions.Normal(mean, torch.tensor(log_std).exp())
    normal.log_prob(torch.tensor(actions)).sum().backward()
    return mean.grad


def _score_by_loop(mean, log_std, actions):
    rows = []
    for mu, a in zip(mean, actions, strict=True):
        rows.append([(a[d] - mu[d]) * math.exp(-2 * log_std[d]) for d in range(len(mu))])
    return rows


GAUSSIAN_SCORE = Exercise(
    name="gaussian_score",
    lesson=9,
    points=2,
    minutes=8,
    difficulty=1,
    signature="gaussian_score(mean (N,D), log_std (D,), actions (N,D)) -> (N,D), with respect to the mean",
    cases=_cases,
    oracle=_score_oracle,
    references=("estimators.gradients", "estimators.scores"),
    accepts=(
        _score,
        lambda m, ls, a: (a - m) / np.exp(ls) ** 2,
        lambda m, ls, a: _z(m, ls, a) / np.exp(ls),
        lambda m, ls, a: _score(*(x.astype(np.float32) for x in (m, ls, a))),
        lambda m, ls, a: (torch.tensor(a) - torch.tensor(m)) * torch.tensor(-2 * ls).exp(),
        _score_by_autograd,
        _score_by_loop,
    ),
    misconceptions=(
        Misconception(
            "divided by σ once",
            "You divide by σ once, as if `log_std` were the logarithm of the variance, or as if the distance in units "
            "of σ were enough. The log-density has (a − μ)²/σ² in it: what is left of σ² after deriving by μ?",
            _z,
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
            lambda m, ls, a: -_z(m, ls, a),
        ),
        Misconception(
            "wrong way round, not divided at all",
            "Two things: the score points from the mean towards the action, and σ has a say in its length.",
            lambda m, ls, a: m - a,
        ),
        Misconception(
            "score for log σ",
            "This is the score with respect to log σ, the other half of the formula. Asked is the one for the mean.",
            lambda m, ls, a: _z(m, ls, a) ** 2 - 1,
        ),
        Misconception(
            "score for σ",
            "This is the derivative with respect to σ. Asked is the one with respect to the mean.",
            lambda m, ls, a: (_z(m, ls, a) ** 2 - 1) / np.exp(ls),
        ),
        Misconception(
            "distance squared",
            "The distance is squared, so the result never points down. What is the derivative of −(a − μ)²/(2σ²) with "
            "respect to μ?",
            lambda m, ls, a: _z(m, ls, a) ** 2,
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
            lambda m, ls, a: np.concatenate([_score(m, ls, a), _z(m, ls, a) ** 2 - 1], axis=1),
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
            lambda m, ls, a: _score(m, ls, a) * np.exp(_log_prob(m, ls, a))[:, None],
        ),
        Misconception(
            "derivative of each dimension's density",
            "You multiply each entry by the density of its dimension: that is the derivative of a density. The *score* "
            "is the derivative of its logarithm.",
            lambda m, ls, a: _score(m, ls, a) * _density(m, ls, a),
        ),
        Misconception(
            "log-density instead of its derivative",
            "These are log-densities. By how much do they change when the mean moves a little?",
            _parts,
        ),
        Misconception(
            "score times log-probability",
            "Your score is multiplied by a log-probability. The derivative of log π(a) stands alone: no factor of π or "
            "log π is left over.",
            lambda m, ls, a: _score(m, ls, a) * _log_prob(m, ls, a)[:, None],
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

# gaussian_loss, the bug hunt


def _loss_cases(seed):
    rng = np.random.default_rng(seed)
    hand = {"mean": [[0.0], [0.0]], "log_std": [0.0], "actions": [[1.0], [-2.0]]}
    cases = [
        case(**BY_HAND, returns=[3.0], values=[[1.0]]),
        case(**hand, returns=[2.0, 0.0], values=[[1.0], [3.0]]),
    ]
    for num_draws, action_dim in (*SIZES[1:], (6, 6)):
        batch = _gaussian(rng, num_draws, action_dim)
        values = rng.normal(2, 3, (num_draws, 1))
        cases.append(case(**batch, returns=rewards_like(rng, num_draws), values=values))
    return cases


def _loss_oracle(mean, log_std, actions, returns, values):
    log_probs = _log_prob_oracle(mean, log_std, actions)
    terms = [log_probs[i] * (returns[i] - values[i][0]) for i in range(len(mean))]
    return -sum(terms) / len(terms)


def _loss(m, ls, a, g, v):
    return -(_log_prob(m, ls, a) * (g - v[:, 0])).mean()


def _buggy_loss(m, ls, a, g, v):
    return -(_log_prob(m, ls, a) * (g - v)).mean()


def _loss_by_torch(m, ls, a, g, v):
    m, ls, a, g, v = (torch.from_numpy(x) for x in (m, ls, a, g, v))
    normal = torch.distributions.Independent(torch.distributions.Normal(m, ls.exp()), 1)
    return -(normal.log_prob(a) * (g - v.squeeze(-1))).mean()


def _loss_by_loop(m, ls, a, g, v):
    total = 0.0
    log_probs = _log_prob_by_loop(m, ls, a)
    for i in range(len(g)):
        total -= log_probs[i] * (g[i] - v[i, 0])
    return total / len(g)


GAUSSIAN_LOSS = Exercise(
    name="gaussian_loss",
    lesson=9,
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
        lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g - v.ravel())).sum() / len(g),
        lambda m, ls, a, g, v: -(_log_prob(m, ls, a)[:, None] * (g[:, None] - v)).mean(),
        lambda m, ls, a, g, v: -_log_prob(m, ls, a) @ (g - v.squeeze(1)) / len(g),
        lambda m, ls, a, g, v: (_log_prob(m, ls, a) * (v[:, 0] - g)).mean(),
        lambda m, ls, a, g, v: -np.mean([p * (r - b[0]) for p, r, b in zip(_log_prob(m, ls, a), g, v, strict=True)]),
        lambda m, ls, a, g, v: _loss(*(x.astype(np.float32) for x in (m, ls, a, g, v))),
        _loss_by_torch,
        _loss_by_loop,
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
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a)[:, None] * (g - v)).mean(),
        ),
        Misconception(
            "every log-probability meets every advantage",
            "The advantages are right, and (N,) times (N, 1) makes an N × N table of products, in which every draw is "
            "praised for what the others earned. Print the shape of each factor.",
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a)[:, None] * (g - v[:, 0])).mean(),
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
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * g).mean(),
        ),
        Misconception(
            "first value for everybody",
            "All draws are compared with the value of the *first* one. Each has a value of its own: which index takes "
            "a column, and which a row?",
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g - v[0])).mean(),
        ),
        Misconception(
            "values added up",
            "Every return has the sum of all values taken from it. Each return has one value that belongs to it.",
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g - v.sum())).mean(),
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
            lambda m, ls, a, g, v: -_log_prob(m, ls, a) * (g - v[:, 0]),
        ),
        Misconception(
            "a table instead of a number",
            "You return an N × N table. Two things: what makes it a table, and the mean.",
            lambda m, ls, a, g, v: -_log_prob(m, ls, a) * (g - v),
        ),
        Misconception(
            "mean over the dimensions",
            "The log-probability of an action is the *sum* over its dimensions; in your result there is a 1/D. The "
            "buggy version was right about that.",
            lambda m, ls, a, g, v: -(_parts(m, ls, a).mean(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "log 2π left out",
            "Only the constant ½ log 2π of each dimension is missing from the log-probabilities. The gradient would be "
            "the same; the number asked for has it.",
            lambda m, ls, a, g, v: -(_parts(m, ls, a, 0).sum(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "log σ left out",
            "The term log σ is missing from the log-probabilities. The buggy version had it.",
            lambda m, ls, a, g, v: -((_parts(m, ls, a) + ls).sum(1) * (g - v[:, 0])).mean(),
        ),
        Misconception(
            "advantages centred once more",
            "You take the advantages' mean from them. That is a second baseline, which nobody asked for: the values "
            "are the baseline here.",
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g - v[:, 0] - (g - v[:, 0]).mean())).mean(),
        ),
        Misconception(
            "batch mean instead of the values",
            "You compare each return with the mean return. The baseline here is the value of each draw's own state.",
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g - g.mean())).mean(),
        ),
        Misconception(
            "density instead of its logarithm",
            "You weigh densities. The surrogate loss is made of *log*-probabilities: it is their gradient that is the "
            "score.",
            lambda m, ls, a, g, v: -(np.exp(_log_prob(m, ls, a)) * (g - v[:, 0])).mean(),
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
            lambda m, ls, a, g, v: -(_log_prob(m, ls, a) * (g + v[:, 0])).mean(),
        ),
        Misconception(
            "number inside a list",
            "The number is wrapped in an array or list of length one. A scalar is asked: the number itself.",
            lambda m, ls, a, g, v: [_loss(m, ls, a, g, v)],
        ),
    ),
)

EXERCISES = [GAUSSIAN_LOG_PROB, GAUSSIAN_SCORE, GAUSSIAN_LOSS]
