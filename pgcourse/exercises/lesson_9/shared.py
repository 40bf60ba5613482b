"""What several exercises of this lesson use."""

import math

import numpy as np

from pgcourse.exercises.cases import case

LOG_2PI = math.log(2 * math.pi)
SIZES = ((1, 1), (1, 3), (2, 2), (3, 3), (4, 2), (5, 1), (7, 4))  # (N, D): one draw, one dimension, N = D


def gaussian(rng, num_draws, action_dim):
    """A batch: means on both sides of the bounds ±1, widths that differ, actions within three deviations, none at μ."""
    log_std = rng.permutation(np.linspace(-0.8, 0.9, action_dim + 1)[1:] + 0.1 * rng.random(action_dim))
    mean = rng.uniform(-1.5, 1.5, (num_draws, action_dim))
    z = rng.choice([-1, 1], mean.shape) * rng.uniform(0.3, 3, mean.shape)
    return {"mean": mean, "log_std": log_std, "actions": mean + np.exp(log_std) * z}


BY_HAND = {"mean": [[0.0, 1.0]], "log_std": [0.0, math.log(2)], "actions": [[1.0, -1.0]]}


def gaussian_cases(seed):
    rng = np.random.default_rng(seed)
    narrow = {"mean": [[0.5], [-2.0]], "log_std": [-1.0], "actions": [[0.75], [-2.5]]}
    return [case(**BY_HAND), case(**narrow), *(case(**gaussian(rng, *size)) for size in SIZES)]


def log_prob_oracle(mean, log_std, actions):
    out = []
    for mu, a in zip(mean, actions, strict=True):
        total = 0.0
        for d in range(len(log_std)):
            sigma = math.exp(log_std[d])
            total += -((a[d] - mu[d]) ** 2) / (2 * sigma**2) - math.log(sigma) - LOG_2PI / 2
        out.append(total)
    return out


def z_scores(mean, log_std, actions):
    return (actions - mean) / np.exp(log_std)


def log_prob_parts(mean, log_std, actions, constant=LOG_2PI / 2):
    """log N(a_d; μ_d, σ_d²), (N, D)."""
    return -(z_scores(mean, log_std, actions) ** 2) / 2 - log_std - constant


def log_prob_of(mean, log_std, actions):
    return log_prob_parts(mean, log_std, actions).sum(1)


def log_prob_by_loop(mean, log_std, actions):
    out = np.zeros(len(mean))
    for i in range(len(mean)):
        for d in range(mean.shape[1]):
            variance = np.exp(2 * log_std[d])
            out[i] += -0.5 * (actions[i, d] - mean[i, d]) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    return out


def density(mean, log_std, actions):
    return np.exp(log_prob_parts(mean, log_std, actions))
