"""What cases are made of: inputs on which the known mistakes give something else than the truth."""

import numpy as np

from pgcourse.mdp import TabularMDP

SHAPES = ((1, 4), (2, 3), (3, 3), (4, 2), (3, 1), (5, 7))  # (N, T): one episode, N = T, N < T, N > T, one step


def case(**arguments):
    """The inputs of one call, in order: arrays (float64, int64, bool) and numbers; an MDP becomes its four fields."""
    inputs = {}
    for name, value in arguments.items():
        if isinstance(value, TabularMDP):
            inputs |= {f"{name}.{field}": getattr(value, field) for field in ("P", "r", "initial", "horizon")}
        elif isinstance(value, int | float):
            inputs[name] = value
        else:
            inputs[name] = np.array(value)
    return inputs


def mask_of(lengths, num_steps=None):
    """(N, T) of bool: the first `lengths[i]` steps of row i happened. T is the longest unless given."""
    return np.arange(num_steps or max(lengths)) < np.array(lengths)[:, None]


def random_mask(rng, num_trajectories, num_steps):
    """Episodes of unequal lengths: one of length T, one of length 1 where there is a second, anything between."""
    lengths = rng.integers(1, num_steps + 1, num_trajectories)
    lengths[:2] = (num_steps, 1)[:num_trajectories]
    return mask_of(rng.permutation(lengths), num_steps)


def with_garbage(rng, values, mask, size):
    """`values` (N, T, …) with finite garbage of up to ±size, never near zero, in the padding."""
    garbage = rng.choice([-1, 1], values.shape) * rng.uniform(size / 2, size, values.shape)
    return np.where(mask.reshape(mask.shape + (1,) * (values.ndim - 2)), values, garbage.astype(values.dtype))


def rewards_like(rng, *shape):
    """Rewards of both signs: halves between −6 and 6, none of them zero, so that no step can be lost unseen."""
    return rng.choice([-1, 1], shape) * rng.integers(1, 13, shape) / 2


def random_masks(rng):
    """A random mask of every shape, one when it is asked for."""
    return (random_mask(rng, *shape) for shape in SHAPES)


def padded_rewards(rng, mask, size):
    """Rewards (N, T) of both signs, with garbage of up to ±size in the padding."""
    return with_garbage(rng, rewards_like(rng, *mask.shape), mask, size)
