"""What several exercises of this lesson use."""

import numpy as np

from pgcourse.exercises import Misconception


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


def to_go(rewards, mask, discount=1.0):
    returns, running = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        running = np.where(mask[:, t], rewards[:, t] + discount * running, 0.0)
        returns[:, t] = running
    return returns


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


def in_rows(values, discount):
    """Σ_{t'≥t} γ^(t'−t) x_t' along every row of values (N, T), to its end."""
    return values @ discounts(values.shape[1], discount)


def but_last(values):
    """Which columns are not the last one, (T,)."""
    return np.arange(values.shape[1]) < values.shape[1] - 1


IN_BOTH = {  # what goes wrong in the same way, discounted or not
    misconception.name: misconception
    for misconception in (
        Misconception(
            "first column left as it was",
            "All columns are added up but the first, which keeps its own reward. Does the range of your loop stop one "
            "too early?",
            lambda r, mask, discount=1.0: np.where(np.arange(r.shape[1]) > 0, to_go(r, mask, discount), r),
        ),
        Misconception(
            "index −1 at the start of the row",
            "At t = 0 the index t − 1 is −1, which in Python is the *last* column: everything is added there once "
            "more. Where should the loop stop?",
            wraps_round,
        ),
        Misconception(
            "mask on the running sum only",
            "The mask stops the running sum, and the reward beside it goes in unasked: padding reaches the last real "
            "step. Which of the two comes out of the padding?",
            masked_sum,
        ),
        Misconception(
            "mask on the running sum only, and on the result",
            "The result is masked, and the running sum too, but not the reward that joins it: one number of padding "
            "slips into the last real step.",
            lambda r, mask, discount=1.0: masked_sum(r, mask, discount) * mask,
        ),
        Misconception(
            "last column taken as it is, result masked",
            "The recursion begins with the last column unmasked, and masking the result comes too late. What does that "
            "column hold in a short episode?",
            lambda r, mask, discount=1.0: in_rows(np.where(but_last(r), zeroed(r, mask), r), discount) * mask,
        ),
        Misconception(
            "a list for each episode, as long as it lasted",
            "Your rows have different lengths. The result is an array like rewards: fill up with zeros where the mask "
            "is False.",
            lambda r, mask, discount=1.0: [discounted(row[m], discount) for row, m in zip(r, mask, strict=True)],
        ),
    )
}
