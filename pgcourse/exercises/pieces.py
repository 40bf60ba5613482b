"""What answers, right and wrong, are made of; none of it is the package's own code, which exercises judge."""

import math

import numpy as np


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
