import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.lesson_6.shared import discounted, discounts, forwards, powers, standardised_steps


def _boundary_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[1.0, 1.0, 1.0], ended=[False, False, True], discount=0.5),
        case(rewards=[1, 2, 3, 4], ended=[False, False, True, True], discount=0.5),
        case(rewards=[0, 3, 2, 0, 5, 1], ended=[False, False, False, True, False, True], discount=0.5),
        case(rewards=[0.0, 2.0, 0.0, 1.0, 4.0, 0.0], ended=[False, False, True, False, False, True], discount=0.5),
        case(rewards=[-2.5], ended=[True], discount=0.9),
    ]
    for lengths, discount in (((3, 2), 1.0), ((1, 4, 2), 0.9), ((2, 1, 1, 3), 0.0), ((5, 3), 0.8), ((4,), 0.7)):
        ended = np.zeros(sum(lengths), dtype=bool)
        ended[np.cumsum(lengths) - 1] = True
        rewards = rewards_like(rng, len(ended))
        rewards[rng.choice(len(ended), 1)] = 0.0
        cases.append(case(rewards=rewards, ended=ended, discount=discount))
    return cases


def _boundary_oracle(rewards, ended, discount):
    returns = []
    for t in range(len(rewards)):
        total, weight = 0.0, 1.0
        for later in range(t, len(rewards)):
            total += weight * rewards[later]
            weight *= discount
            if ended[later]:
                break
        returns.append(total)
    return np.array(returns)


def _hunt(reset, dtype=np.float64, late=False, step=lambda r, running, discount: r + discount * running):
    """Walks backwards and sets the running sum to zero where reset(rewards, ended, t); late: after t, not before."""

    def answer(rewards, ended, discount):
        out, running = np.zeros(len(rewards), dtype or rewards.dtype), 0.0
        for t in reversed(range(len(rewards))):
            if not late and reset(rewards, ended, t):
                running = 0.0
            running = step(rewards[t], running, discount)
            out[t] = running
            if late and reset(rewards, ended, t):
                running = 0.0
        return out

    return answer


def _at_end(rewards, ended, t):
    return ended[t]


def _at_reward(rewards, ended, t):
    return rewards[t] != 0


def _by_games(one):
    """one(rewards (L,), γ) for each episode of the buffer, strung together."""

    def answer(rewards, ended, discount):
        games = np.split(rewards, np.flatnonzero(ended)[:-1] + 1)
        return np.concatenate([one(game, discount) for game in games])

    return answer


def _boundary_vectorised(rewards, ended, discount):
    which = np.append(0, np.cumsum(ended)[:-1])
    together = which[:, None] == which
    return (discounts(len(rewards), discount) * together).T @ rewards


def _boundary_torch(rewards, ended, discount):
    running, out = 0.0, []
    rewards = torch.tensor(rewards, dtype=torch.float64)
    for r, last in zip(rewards.flip(0), ended[::-1], strict=True):
        running = r + discount * running * (not last)
        out.insert(0, running)
    return torch.stack(out)


EXERCISE = Exercise(
    name="bug_hunt_game_boundary",
    lesson=6,
    place=4,
    points=3,
    minutes=15,
    difficulty=2,
    signature="bug_hunt_game_boundary(rewards (L,), ended (L,), discount) -> (L,)",
    cases=_boundary_cases,
    oracle=_boundary_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        _hunt(_at_end),
        _by_games(discounted),
        lambda rewards, ended, discount: _hunt(_at_end)(rewards, ended, discount).tolist(),
        lambda rewards, ended, discount: _hunt(_at_end, np.float32)(rewards.astype(np.float32), ended, discount),
        _boundary_vectorised,
        _boundary_torch,
    ),
    misconceptions=(
        Misconception(
            "both bugs still there",
            "This does what the buggy code does. Feed it rewards 1, 1, 1: where does the sum break off, and why "
            "there? Then feed it whole numbers, and look at their type.",
            _hunt(_at_reward, None),
        ),
        Misconception(
            "still broken off at every reward",
            "Whole numbers are mended. But the sum still breaks off wherever a reward is not zero: that marks the end "
            "of a rally in Pong. What marks the end of an episode here?",
            _hunt(_at_reward),
        ),
        Misconception(
            "integer array from integer rewards",
            "The boundary is right now. One bug is left, and only whole-number rewards show it: which type does "
            "zeros_like give its array?",
            _hunt(_at_end, None),
        ),
        Misconception(
            "never broken off",
            "The line with the wrong condition is gone, and nothing has taken its place: now every episode collects "
            "the rewards of all that follow. The buffer holds several episodes.",
            _hunt(lambda rewards, ended, t: False),
        ),
        Misconception(
            "never broken off, and an integer array",
            "Episodes flow into each other now, as nothing separates them any more; and whole-number rewards still "
            "give whole-number sums.",
            _hunt(lambda rewards, ended, t: False, None),
        ),
        Misconception(
            "broken off at ends and at rewards",
            "The ends of episodes are seen, and the old condition still breaks the sum off in their middle. Does a "
            "reward on the way end anything?",
            _hunt(lambda rewards, ended, t: ended[t] or rewards[t] != 0),
        ),
        Misconception(
            "broken off only where an end pays",
            "An episode may end with a reward of zero. Your two conditions have to meet before the sum breaks off: "
            "which of them says that an episode is over?",
            _hunt(lambda rewards, ended, t: ended[t] and rewards[t] != 0),
        ),
        Misconception(
            "broken off where nothing is paid",
            "The condition is turned round: the sum breaks off at zero rewards. Rewards say nothing about where an "
            "episode ends; which argument does?",
            _hunt(lambda rewards, ended, t: rewards[t] == 0),
        ),
        Misconception(
            "broken off everywhere but at the ends",
            "The sum breaks off wherever an episode goes on. What does True in ended stand for?",
            _hunt(lambda rewards, ended, t: not ended[t]),
        ),
        Misconception(
            "broken off one step too late",
            "The last step of an episode still sees the next episode, and the steps before it do not see the last "
            "one. You walk backwards: must the sum be cleared before or after r_t joins it?",
            _hunt(_at_end, late=True),
        ),
        Misconception(
            "broken off one step too late, and an integer array",
            "Two things: walking backwards, the sum is cleared *after* the last step of an episode has joined it; and "
            "whole-number rewards give a whole-number array.",
            _hunt(_at_end, None, late=True),
        ),
        Misconception(
            "broken off at ends and at rewards, and an integer array",
            "The old condition still stands beside the new one, and whole-number rewards still give whole-number sums. "
            "Does a reward on the way end anything?",
            _hunt(lambda rewards, ended, t: ended[t] or rewards[t] != 0, None),
        ),
        Misconception(
            "broken off at the step after an end",
            "You ask whether the step *before* has ended an episode. The sum is cleared at the first step of an "
            "episode then, and the last one still sees what follows. Walking backwards, where do you cross the border?",
            _hunt(lambda rewards, ended, t: t > 0 and ended[t - 1]),
        ),
        Misconception(
            "broken off at the step after an end, and at the first",
            "You ask about ended[t - 1], which at t = 0 is the last entry of all. Walking backwards, the border is "
            "crossed at the last step of an episode: which index is that?",
            _hunt(lambda rewards, ended, t: ended[t - 1]),
        ),
        Misconception(
            "discount on the reward instead of the sum",
            "γ multiplies the reward here, and the running sum stays as it is. The buggy code was right about this "
            "line.",
            _hunt(_at_end, step=lambda r, running, discount: discount * r + running),
        ),
        Misconception(
            "discount counted from the start of the buffer",
            "Your powers of γ count from the beginning of the whole buffer. For step t they should count from t.",
            lambda rewards, ended, discount: powers(rewards, discount) * _hunt(_at_end)(rewards, ended, discount),
        ),
        Misconception(
            "last reward lost",
            "At the end of an episode everything is set to zero, the last reward included. It is earned: only what "
            "comes after it belongs to somebody else.",
            _by_games(lambda r, discount: discounted(np.append(r[:-1], 0), discount)),
        ),
        Misconception(
            "accumulated from the start",
            "You walk forwards, so each step gets what was earned before it. The buggy code was right about the "
            "direction.",
            _by_games(forwards),
        ),
        Misconception(
            "left reversed within each episode",
            "The right numbers, in reversed order within each episode: what is collected backwards has to be turned "
            "round at the end.",
            _by_games(lambda r, discount: discounted(r, discount)[::-1]),
        ),
        Misconception(
            "left reversed",
            "The right numbers, in reversed order: what is collected from the end of the buffer has to be turned round "
            "once you are through.",
            lambda rewards, ended, discount: _hunt(_at_end)(rewards, ended, discount)[::-1],
        ),
        Misconception(
            "discount left out",
            "Episodes are kept apart, and γ has got lost on the way: what multiplies the running sum at each step?",
            _hunt(_at_end, step=lambda r, running, discount: r + running),
        ),
        Misconception(
            "discount on the own reward too",
            "The sum of a step should begin with r_t in full. Here γ multiplies the whole bracket.",
            _hunt(_at_end, step=lambda r, running, discount: discount * (r + running)),
        ),
        Misconception(
            "one return for every step of an episode",
            "Every step of an episode gets the return of its first step. What lies behind a step is not to go any "
            "more.",
            _by_games(lambda r, discount: np.full(len(r), discounted(r, discount)[0])),
        ),
        Misconception(
            "own reward left out",
            "Each step gets what comes after it, discounted, without its own reward. r_t is the pay for a_t: when do "
            "you write the running sum down?",
            _by_games(lambda r, discount: discounted(r, discount) - r),
        ),
        Misconception(
            "absolute discount",
            "γ counts from the beginning of the episode here. At step t it should count from t: r_t itself is worth "
            "its full value.",
            _by_games(lambda r, discount: powers(r, discount) * discounted(r, discount)),
        ),
        Misconception(
            "one list for each episode",
            "You return the episodes apart. The buffer is one long row, and so is the result: string them together "
            "again.",
            lambda rewards, ended, discount: [
                discounted(game, discount) for game in np.split(rewards, np.flatnonzero(ended)[:-1] + 1)
            ],
        ),
        Misconception(
            "standardised",
            "You subtract the mean and divide by the deviation, as the code this comes from does next. Here the plain "
            "sums are asked.",
            lambda rewards, ended, discount: standardised_steps(
                _hunt(_at_end)(rewards, ended, discount), np.ones(len(rewards), dtype=bool)
            ),
        ),
    ),
)
