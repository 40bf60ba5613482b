import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, padded_rewards, random_masks


def _total_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[3.0]], mask=[[True]]),
        case(rewards=[[1.0, 2.0, 4.0], [5.0, 7.0, -9.0]], mask=mask_of([3, 1])),
        case(rewards=[[2, -1, 1], [3, 8, 8], [-1, -1, 8]], mask=mask_of([3, 1, 2])),
        case(rewards=[[2.0, -30.0]], mask=mask_of([1], 2)),
    ]
    return cases + [case(rewards=padded_rewards(rng, mask, 100), mask=mask) for mask in random_masks(rng)]


def _total_oracle(rewards, mask):
    totals = []
    for i in range(len(rewards)):
        total = 0.0
        for t in range(len(rewards[i])):
            if mask[i, t]:
                total += float(rewards[i, t])
        totals.append(total)
    return totals


def _kept(rewards, mask):
    return np.where(mask, rewards, 0)


def _total_by_columns(rewards, mask):
    total = np.zeros(len(rewards))
    for t in range(rewards.shape[1]):
        total[mask[:, t]] += rewards[mask[:, t], t]
    return total


def _each_row(of):
    """An answer that makes a number of the rewards that happened, row by row."""
    return lambda rewards, mask: [of(row[happened]) for row, happened in zip(rewards, mask, strict=True)]


EXERCISE = Exercise(
    name="total_reward",
    lesson=2,
    place=2,
    points=2,
    minutes=6,
    difficulty=1,
    signature="total_reward(rewards (N,T), mask (N,T)) -> (N,)",
    cases=_total_cases,
    oracle=_total_oracle,
    references=(
        "estimators.total_reward",
        "estimators.total_reward_weights",
        "estimators.rewards_to_go",
        "trajectories.Trajectories.total_rewards",
    ),
    accepts=(
        lambda rewards, mask: (rewards * mask).sum(1),
        lambda rewards, mask: np.where(mask, rewards, 0).sum(-1),
        lambda rewards, mask: np.einsum("nt,nt->n", rewards, mask),
        lambda rewards, mask: torch.tensor(rewards).masked_fill(~torch.tensor(mask), 0).sum(1),
        lambda rewards, mask: (rewards.astype(np.float32) * mask).sum(1),
        lambda rewards, mask: tuple(rewards.sum(1, where=mask).tolist()),
        lambda rewards, mask: np.cumsum(rewards * mask, 1)[:, -1],
        _total_by_columns,
        lambda rewards, mask: [row[:length].sum() for row, length in zip(rewards, mask.sum(1), strict=True)],
    ),
    misconceptions=(
        Misconception(
            "mask forgotten",
            "Some of what you add up never happened: after a short episode's end the array holds arbitrary numbers. "
            "Which argument tells you where to stop?",
            lambda rewards, mask: rewards.sum(1),
        ),
        Misconception(
            "sum over the batch instead of over time",
            "You added up the trajectories at each time. Each trajectory has a total of its own: along which axis does "
            "time run?",
            lambda rewards, mask: _kept(rewards, mask).sum(0),
        ),
        Misconception(
            "sum over the batch, mask forgotten",
            "Two things: time is the other axis, and steps after an episode's end do not count.",
            lambda rewards, mask: rewards.sum(0),
        ),
        Misconception(
            "one total for the whole batch",
            "Everything went into one number. Each trajectory has a total of its own, N in all.",
            lambda rewards, mask: rewards[mask].sum(),
        ),
        Misconception(
            "one total for the whole batch, mask forgotten",
            "Everything went into one number, padding included. Each trajectory has a total of its own.",
            lambda rewards, mask: rewards.sum(),
        ),
        Misconception(
            "mean over the steps",
            "You divide by the number of steps. r(τ) is what was earned altogether: a long good episode is worth more "
            "than a short one.",
            _each_row(np.mean),
        ),
        Misconception(
            "mean over the array's width",
            "You divide by T. r(τ) is the sum of what was earned, however wide the array is.",
            lambda rewards, mask: _kept(rewards, mask).mean(1),
        ),
        Misconception(
            "mean over the array's width, mask forgotten",
            "Two things: a total is not divided by anything, and what stands in the padding was never earned.",
            lambda rewards, mask: rewards.mean(1),
        ),
        Misconception(
            "divided by N",
            "You divide by the number of trajectories. Nothing is averaged here yet: each total stands for itself.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) / len(rewards),
        ),
        Misconception(
            "padding masked but not summed",
            "The padding is gone, and the sum over time is still to come: the result has one entry for each "
            "trajectory.",
            _kept,
        ),
        Misconception(
            "running total",
            "You return what had been earned up to each step. r(τ) is where that ends.",
            lambda rewards, mask: np.cumsum(_kept(rewards, mask), 1),
        ),
        Misconception(
            "total repeated at every step",
            "The totals are right and stand there T times. One entry for each trajectory is asked, shape (N,).",
            lambda rewards, mask: np.repeat(_kept(rewards, mask).sum(1, keepdims=True), mask.shape[1], 1),
        ),
        Misconception(
            "a column instead of a row of totals",
            "The numbers are right; the shape is (N, 1) and (N,) is asked. Such a stray axis broadcasts to (N, N) at "
            "the next multiplication, so it is worth losing now.",
            lambda rewards, mask: _kept(rewards, mask).sum(1, keepdims=True),
        ),
        Misconception(
            "last step left out",
            "Your sums end one step early: the last reward of an episode is often the one that matters.",
            _each_row(lambda row: row[:-1].sum()),
        ),
        Misconception(
            "last column left out",
            "The array's last column is missing in your sums, so the longest episodes lose their last reward.",
            lambda rewards, mask: _kept(rewards, mask)[:, :-1].sum(1),
        ),
        Misconception(
            "first step left out",
            "Your sums begin one step late. In the arrays the first step has index 0.",
            _each_row(lambda row: row[1:].sum()),
        ),
        Misconception(
            "last reward only",
            "You return each episode's last reward. r(τ) adds up all of them.",
            _each_row(lambda row: row[-1]),
        ),
        Misconception(
            "last column only",
            "You read the array's last column, which is padding for a short episode. r(τ) adds up all that happened.",
            lambda rewards, mask: rewards[:, -1],
        ),
        Misconception(
            "first reward only",
            "You return each episode's first reward. r(τ) adds up all of them.",
            lambda rewards, mask: rewards[:, 0],
        ),
        Misconception(
            "mask the wrong way round",
            "You add up exactly what did not happen. What does True in the mask stand for?",
            lambda rewards, mask: (rewards * ~mask).sum(1),
        ),
        Misconception(
            "steps counted",
            "These are the episodes' lengths. What was earned at each of those steps?",
            lambda rewards, mask: mask.sum(1),
        ),
        Misconception(
            "cut at the shortest episode",
            "All episodes stop where the shortest one does. Each has its own length, in its own row of the mask.",
            lambda rewards, mask: rewards[:, : mask.sum(1).min()].sum(1),
        ),
        Misconception(
            "divided by the number of steps in the batch",
            "You divide by all the steps that happened. A total is not divided by anything.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) / mask.sum(),
        ),
        Misconception(
            "mean of the totals",
            "You averaged the totals already, which gives an estimate of J. Here each trajectory's own is asked.",
            lambda rewards, mask: _kept(rewards, mask).sum(1).mean(),
        ),
        Misconception(
            "rewards to go",
            "You return what is still to come from each step on; lesson 6 is about that. The total is where it begins.",
            lambda rewards, mask: np.cumsum(_kept(rewards, mask)[:, ::-1], 1)[:, ::-1],
        ),
        Misconception(
            "padding made NaN",
            "NaN in the padding spoils every sum it takes part in. A number that does not count in a sum is 0.",
            lambda rewards, mask: np.where(mask, rewards, np.nan).sum(1),
        ),
        Misconception(
            "last column left out, mask forgotten",
            "Two things: your sums leave out the last column, and they read what stands behind an episode's end.",
            lambda rewards, mask: rewards[:, :-1].sum(1),
        ),
        Misconception(
            "length taken from np.argmin",
            "argmin finds the first False in a row of the mask. Where there is none, in an episode that fills its row, "
            "it says 0.",
            lambda rewards, mask: [row[: np.argmin(m)].sum() for row, m in zip(rewards, mask, strict=True)],
        ),
        Misconception(
            "every row with every mask",
            "You made an (N, N) table: each trajectory's rewards under each trajectory's mask. Every row has its own.",
            lambda rewards, mask: rewards @ mask.T,
        ),
        Misconception(
            "one batch-wide mask",
            "You keep the columns in which *every* episode is alive, or the first row's. Each row has its own mask.",
            lambda rewards, mask: (rewards * mask[0]).sum(1),
        ),
        Misconception(
            "list of all rewards",
            "rewards[mask] picks the right numbers and forgets which trajectory they came from. Keep the rows apart.",
            lambda rewards, mask: rewards[mask],
        ),
        Misconception(
            "mean of the batch subtracted",
            "You subtract the batch's mean. That is a fine idea for lesson 7; here the plain totals are asked.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) - _kept(rewards, mask).sum(1).mean(),
        ),
        Misconception(
            "absolute values or squares",
            "Losses count as losses: a negative reward makes the total smaller.",
            lambda rewards, mask: np.abs(_kept(rewards, mask)).sum(1),
        ),
        Misconception(
            "largest reward",
            "You return the best single reward of each episode. r(τ) adds up all of them.",
            _each_row(np.max),
        ),
        Misconception(
            "discounted by 0.99",
            "Later rewards count a little less in your sums. In this course nothing is discounted unless it says so.",
            _each_row(lambda row: (row * 0.99 ** np.arange(len(row))).sum()),
        ),
    ),
)
