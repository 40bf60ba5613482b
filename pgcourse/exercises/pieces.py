"""What answers, right and wrong, are made of; none of it is the package's own code, which exercises judge."""

import math

import numpy as np
import torch


def softmax(logits, axis=-1):
    """exp(x) / Σ exp(x) along an axis."""
    weights = np.exp(logits - np.max(logits, axis, keepdims=True))
    return weights / weights.sum(axis, keepdims=True)


def slow_softmax(logits):
    """The same of a list, for oracles."""
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    return [weight / math.fsum(weights) for weight in weights]


def backwards(values, axis=1):
    """Sums from each entry on, along an axis."""
    return np.flip(np.flip(values, axis).cumsum(axis), axis)


def standardised(values):
    """Mean 0 and deviation 1, as most code has it; an array's deviation divides by N, a tensor's by N − 1."""
    return (values - values.mean()) / (values.std() + 1e-8)


def in_torch(answer):
    """The answer, called with tensors in the place of arrays."""
    return lambda *given: answer(*(torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in given))


def in_single(answer):
    """The answer, called with arrays of float32 in the place of float64."""
    return lambda *given: answer(*(np.float32(x) if getattr(x, "dtype", None) == np.float64 else x for x in given))


def autograd(loss, theta):
    """The gradient of loss(θ), as torch has it."""
    theta = torch.as_tensor(theta).clone().requires_grad_()
    loss(theta).backward()
    return theta.grad
