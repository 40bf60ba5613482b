"""What several exercises of this lesson use."""

import math

import numpy as np

EXTREME = ([1000.0, 0.0], [-2000.0, -2001.0, -2000.0], [-1e4, 1e4, 0.0])


def overflowing_softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def one_hot(logits, action):
    return np.eye(len(logits))[action]


def log_softmax_loop(logits):
    largest = max(float(logit) for logit in logits)
    total = sum(math.exp(logit - largest) for logit in logits)
    return [logit - largest - math.log(total) for logit in logits]
