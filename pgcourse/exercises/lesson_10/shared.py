"""What several exercises of this lesson use."""

import numpy as np


def discounted_to_go(rewards, mask, discount):
    returns = np.where(mask, rewards, 0.0)
    for t in range(mask.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    return returns


def safely(values, deviation):
    return np.where(deviation > 1e-9, values / np.where(deviation > 1e-9, deviation, 1), 0.0)


def recipe(
    returns=discounted_to_go,
    baseline=lambda returns, mask: returns.mean(0),
    deviation=lambda advantages, mask, returns: advantages[mask].std(),
    keep=lambda mask: mask,
    divide=safely,
):
    """An answer with one thing in it exchanged."""

    def answer(rewards, mask, discount):
        G = returns(rewards, mask, discount)
        advantages = keep(mask) * (G - baseline(G, mask))
        return divide(advantages, deviation(advantages, mask, G))

    return answer


def mean_of_others(returns, mask):
    others = mask.sum(0) - mask
    return np.where(others > 0, (returns.sum(0) - returns) / np.maximum(others, 1), 0.0)
