"""What several exercises of this lesson use."""

import numpy as np


def zeroed(rewards, mask):
    return np.where(mask, rewards, 0.0)


def by_episode(one):
    """An answer that fills the steps of each episode with one(its rewards (L,), …) and leaves the rest zero."""

    def answer(rewards, mask, *discount):
        out = np.zeros(mask.shape)
        for row, values, happened in zip(out, rewards, mask, strict=True):
            row[happened] = one(values[happened], *discount)
        return out

    return answer


def masked_sum(rewards, mask, discount=1.0):
    returns, running = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        running = rewards[:, t] + discount * running * mask[:, t]
        returns[:, t] = running
    return returns


def wraps_round(rewards, mask, discount=1.0):
    returns = zeroed(rewards, mask)
    for t in reversed(range(rewards.shape[1])):
        returns[:, t - 1] += discount * returns[:, t]
    return returns


def standardised_steps(returns, mask, tiny=0.0):
    return np.where(mask, (returns - returns[mask].mean()) / (returns[mask].std() + tiny), 0.0)


def discounted(rewards, discount):
    """Σ_{t'≥t} γ^(t'−t) r_t' for the rewards (L,) of one episode."""
    return np.array([sum(discount**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))])


def discounts(num_steps, discount):
    """γ^(t'−t) at [t', t], zero where t' < t, (T, T)."""
    gap = np.arange(num_steps)[:, None] - np.arange(num_steps)
    return np.where(gap >= 0, float(discount) ** np.maximum(gap, 0), 0.0)


def forwards(rewards, discount):
    out, running = [], 0.0
    for r in rewards:
        running = r + discount * running
        out.append(running)
    return np.array(out)


def powers(rewards, discount):
    return float(discount) ** np.arange(len(rewards))
