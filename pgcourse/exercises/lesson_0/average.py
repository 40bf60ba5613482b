import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like


def _average_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = ([1.0, 2.0, 6.0], [5.0], [-1.0, 2.0], [3.0, 3.0, 3.0, -1.5])
    return [case(rewards=rewards) for rewards in (*fixed, *(rewards_like(rng, n) + 0.25 for n in (5, 6, 11)))]


def _average_oracle(rewards):
    total = 0.0
    for reward in rewards:
        total += reward
    return total / len(rewards)


def _halfway_each_time(rewards):
    value = rewards[0]
    for reward in rewards[1:]:
        value = (value + reward) / 2
    return value


def _incremental(rewards):
    mean = 0.0
    for count, reward in enumerate(rewards, 1):
        mean += (reward - mean) / count
    return mean


EXERCISE = Exercise(
    name="average",
    lesson=0,
    place=1,
    points=1,
    minutes=5,
    difficulty=1,
    signature="average(rewards (N,)) -> scalar, N ≥ 1",
    cases=_average_cases,
    oracle=_average_oracle,
    accepts=(
        lambda rewards: rewards.mean(),
        lambda rewards: sum(rewards) / len(rewards),
        lambda rewards: np.average(rewards),
        lambda rewards: statistics.fmean(rewards),
        lambda rewards: torch.as_tensor(rewards).mean(),
        lambda rewards: rewards.astype(np.float32).mean(),
        lambda rewards: rewards @ np.full(len(rewards), 1 / len(rewards)),
        _incremental,
    ),
    misconceptions=(
        Misconception(
            "the sum instead of the average",
            "You add up all the rewards, which is half of it. Pull the lever twice as often and your number doubles: "
            "what is still to be done?",
            lambda rewards: rewards.sum(),
        ),
        Misconception(
            "divided by N − 1",
            "N − 1 belongs to the variance of a sample. How many rewards did you add up?",
            lambda rewards: rewards.sum() / (len(rewards) - 1),
        ),
        Misconception(
            "divided by N + 1",
            "You divide by one more than the number of rewards. Count them once more, with a single reward in mind.",
            lambda rewards: rewards.sum() / (len(rewards) + 1),
        ),
        Misconception(
            "integer division",
            "Your result is a whole number every time. In Python // throws away what is behind the decimal point.",
            lambda rewards: rewards.sum() // len(rewards),
        ),
        Misconception(
            "rounded",
            "Your result is a whole number every time. An average need not be one: who rounds it?",
            lambda rewards: round(float(rewards.mean())),
        ),
        Misconception(
            "cut to a whole number",
            "What is behind the decimal point has gone: int() throws it away, and so does an array of integers.",
            lambda rewards: int(rewards.mean()),
        ),
        Misconception(
            "the median",
            "That is the median, the value in the middle. One large reward hardly moves it, while it does move the "
            "average.",
            lambda rewards: np.median(rewards),
        ),
        Misconception(
            "halfway between smallest and largest",
            "You look at two rewards only, the smallest and the largest. The ones between them count as well.",
            lambda rewards: (rewards.min() + rewards.max()) / 2,
        ),
        Misconception(
            "the last reward left out, divided by N",
            "The last reward is missing from your sum. In Python, range(n) and [a:b] stop before their end.",
            lambda rewards: rewards[:-1].sum() / len(rewards),
        ),
        Misconception(
            "the last reward left out",
            "You average all rewards but the last. In Python, [:-1] stops before the end.",
            lambda rewards: rewards[:-1].sum() / (len(rewards) - 1),
        ),
        Misconception(
            "the first reward left out",
            "The first reward is missing. Python counts from 0.",
            lambda rewards: rewards[1:].sum() / len(rewards),
        ),
        Misconception(
            "each different reward counted once",
            "A reward that comes twice counts twice. Something in your code, a set for example, keeps one only.",
            lambda rewards: np.unique(rewards).mean(),
        ),
        Misconception(
            "absolute values",
            "Some rewards are negative, and yours have lost their sign.",
            lambda rewards: np.abs(rewards).mean(),
        ),
        Misconception(
            "halfway to each new reward",
            "Taking the middle between the old average and the new reward gives the last one a weight of ½. Once there "
            "are k rewards, how much may the newest of them weigh?",
            _halfway_each_time,
        ),
        Misconception(
            "halfway to each new reward, from zero",
            "You begin with an average of 0, as if there had been a pull that paid nothing, and each new reward gets a "
            "weight of ½. Try it with a single reward.",
            lambda rewards: _halfway_each_time([0.0, *rewards]),
        ),
        Misconception(
            "divided, not added up",
            "You return a number for every pull: each reward has been divided by N. One step is missing to make one "
            "number of them.",
            lambda rewards: rewards / len(rewards),
        ),
        Misconception(
            "nothing returned",
            "You compute something, but nothing comes back: a function without a return gives None.",
            lambda rewards: None,
        ),
        Misconception(
            "an average after every pull",
            "You return an average for every pull. One number is asked: the one after the last pull.",
            lambda rewards: rewards.cumsum() / np.arange(1, len(rewards) + 1),
        ),
        Misconception(
            "the last reward instead of the sum",
            "Only the last reward is left. In your loop, = puts the new one in the place of the sum so far.",
            lambda rewards: rewards[-1] / len(rewards),
        ),
        Misconception(
            "return inside the loop",
            "Your function comes back after the first reward. Look at how far the return statement is indented.",
            lambda rewards: rewards[0] / len(rewards),
        ),
        Misconception(
            "the length",
            "You return how many rewards there are, whatever they are.",
            lambda rewards: len(rewards),
        ),
        Misconception(
            "the largest reward",
            "That is the best pull of all. An average listens to every one of them.",
            lambda rewards: rewards.max(),
        ),
    ),
)
