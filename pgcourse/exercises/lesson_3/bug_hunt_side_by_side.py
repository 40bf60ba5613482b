import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like

# bug_hunt_side_by_side: the first to finish are the short ones


def _slots_case(rewards, lengths, num_trajectories):
    """rewards (L, K); lengths: for each slot those of its episodes. What follows the last of them never ends."""
    ended = np.zeros(np.shape(rewards), dtype=bool)
    for k, slot in enumerate(lengths):
        ended[np.cumsum(slot) - 1, k] = True
    return case(rewards=rewards, ended=ended, num_trajectories=num_trajectories)


def _random_slots_case(rng, num_trajectories, num_slots):
    """More episodes than are asked for, slot 0 begins with a long one, and the rows go on for a while at the end."""
    count = -(-num_trajectories // num_slots) + 2
    lengths = np.array([rng.permutation(count) + 1 + rng.integers(2) for _ in range(num_slots)])
    lengths[0, 0] += 2 * count
    rewards = rewards_like(rng, lengths.sum(1).max() + 2, num_slots)
    return _slots_case(rewards, lengths, num_trajectories)


def _slots_cases(seed):
    rng = np.random.default_rng(seed)
    return [
        _slots_case([[1.0, 5.0], [1.0, 6.0], [1.0, 7.0]], [[3], [1, 1]], 2),
        _slots_case([[2.0, 1.0], [-3.0, 1.0], [4.0, 1.5], [0.5, 2.0]], [[2, 1], [1, 2]], 3),
        *(_random_slots_case(rng, *shape) for shape in ((1, 1), (3, 1), (2, 4), (4, 4), (5, 4), (7, 2), (6, 3))),
    ]


def _slots_oracle(rewards, ended, num_trajectories):
    returns = []
    for i in range(num_trajectories):
        order, slot = divmod(i, rewards.shape[1])
        ends = [step for step in range(len(ended)) if ended[step, slot]]
        begin = ends[order - 1] + 1 if order else 0
        returns.append(math.fsum(rewards[step, slot] for step in range(begin, ends[order] + 1)))
    return np.array(returns)


def _found(rewards, ended):
    """(slot, order in that slot, begin, end, total reward) of every complete episode, in finishing order."""
    begin, order, found = [0] * rewards.shape[1], [0] * rewards.shape[1], []
    for end, k in np.argwhere(ended):
        found.append((k, order[k], begin[k], end, rewards[begin[k] : end + 1, k].sum()))
        begin[k], order[k] = end + 1, order[k] + 1
    return found


def _planned(rewards, ended, n):
    """The episodes of the batch in the order in which they finish."""
    return [e for e in _found(rewards, ended) if e[0] + e[1] * rewards.shape[1] < n]


def _totals(episodes):
    return np.array([episode[-1] for episode in episodes])


def _slots_by_numbers(rewards, ended, n):
    finished, running, returns = [0] * rewards.shape[1], [0.0] * rewards.shape[1], [None] * n
    for row, ends in zip(rewards.tolist(), ended.tolist(), strict=True):
        for k, (reward, end) in enumerate(zip(row, ends, strict=True)):
            running[k] += reward
            if end:
                number = finished[k] * len(row) + k
                if number < n:
                    returns[number] = running[k]
                finished[k], running[k] = finished[k] + 1, 0.0
    return returns


def _slots_by_split(rewards, ended, n):
    slots = [
        [part.sum() for part in np.split(column, np.flatnonzero(ends) + 1)]
        for column, ends in zip(rewards.T, ended.T, strict=True)
    ]
    return [slots[i % len(slots)][i // len(slots)] for i in range(n)]


def _slots_by_cumsum(rewards, ended, n):
    rewards, ended = torch.tensor(rewards), torch.tensor(ended)
    returns = torch.zeros(n, dtype=torch.float64)
    for k in range(min(n, rewards.shape[1])):
        so_far = torch.cumsum(rewards[:, k], 0)[ended[:, k]]
        places = range(k, n, rewards.shape[1])
        returns[list(places)] = torch.diff(so_far, prepend=torch.zeros(1, dtype=torch.float64))[: len(places)]
    return returns


def _by_ends(total):
    """Of each episode total(its slot's rewards (L,), last step of the episode before or −1, its own last step)."""

    def answer(rewards, ended, n):
        returns = []
        for i in range(n):
            order, slot = divmod(i, rewards.shape[1])
            ends = [-1, *np.flatnonzero(ended[:, slot])]
            returns.append(total(rewards[:, slot], *ends[order : order + 2]))
        return np.array(returns)

    return answer


def _blocks(rewards, ended, n):
    """Slot 0 plays the first share of the numbers, slot 1 the next."""
    share = -(-n // rewards.shape[1])
    return _totals(sorted(e for e in _found(rewards, ended) if e[1] < share))[:n]


def _by_slot(rewards, ended, n, place):
    """Totals written to place(slot, order in that slot), where that is one of 0 … N − 1; zeros elsewhere."""
    returns = np.zeros(n)
    for slot, order, _, _, total in _found(rewards, ended):
        if 0 <= place(slot, order) < n:
            returns[place(slot, order)] = total
    return returns


EXERCISE = Exercise(
    name="bug_hunt_side_by_side",
    lesson=3,
    place=5,
    points=4,
    minutes=15,
    difficulty=2,
    signature=(
        "bug_hunt_side_by_side(rewards (L,K), ended (L,K) bool, num_trajectories) -> (N,), the total rewards of "
        "episodes 0 … N − 1, of which number i is played in slot i mod K, one after the other"
    ),
    cases=_slots_cases,
    oracle=_slots_oracle,
    accepts=(
        _slots_by_numbers,
        _slots_by_split,
        _slots_by_cumsum,
        lambda rewards, ended, n: _totals(sorted(_planned(rewards, ended, n), key=lambda e: (e[1], e[0]))),
        lambda rewards, ended, n: np.float32(_slots_oracle(rewards, ended, n)),
    ),
    misconceptions=(
        Misconception(
            "the first to finish",
            "This still keeps whoever is done first. Suppose all slots begin at the same moment: who is done first?",
            lambda rewards, ended, n: _totals(_found(rewards, ended))[:n],
        ),
        Misconception(
            "the first to begin",
            "Fair! Which episodes count is settled before they are played, so this has no bias either. Here the plan "
            "is another one, though: number i belongs to slot i mod K.",
            lambda rewards, ended, n: _totals(sorted(_found(rewards, ended), key=lambda e: (e[2], e[0])))[:n],
        ),
        Misconception(
            "equal shares, and of these the first to finish",
            "Almost fair: no slot gives more than its share. But where N is no multiple of K, the cut at the end still "
            "goes by who finished first.",
            lambda rewards, ended, n: _totals([e for e in _found(rewards, ended) if e[1] < -(-n // rewards.shape[1])])[
                :n
            ],
        ),
        Misconception(
            "round by round, in the order in which they finish",
            "A round of the slots after the other is a good plan. Within a round, though, places go to whoever is done "
            "first, and the last round is cut short by that order.",
            lambda rewards, ended, n: _totals(sorted(_found(rewards, ended), key=lambda e: (e[1], e[3])))[:n],
        ),
        Misconception(
            "the last to finish",
            "Now the late ones are kept instead of the early ones. Both choices look at when an episode *ends*.",
            lambda rewards, ended, n: _totals(_found(rewards, ended))[-n:],
        ),
        Misconception(
            "right episodes, in the order in which they finish",
            "You keep exactly the right episodes. Only their places are still given away to whoever is done first: "
            "result[i] is number i.",
            lambda rewards, ended, n: _totals(_planned(rewards, ended, n)),
        ),
        Misconception(
            "right episodes, slot after slot",
            "You keep exactly the right episodes and list them slot by slot. The numbers are dealt like cards, one to "
            "each slot and round again: which slot has number 1?",
            lambda rewards, ended, n: _totals(sorted(_planned(rewards, ended, n))),
        ),
        Misconception(
            "numbers dealt out in blocks",
            "Each slot gets a block of neighbouring numbers here, and the last slot goes short. No bias in that, but "
            "the plan says i mod K: one number to each slot, and round again.",
            _blocks,
        ),
        Misconception(
            "emptied one slot after the other",
            "You take all that slot 0 ever finished before you look at slot 1. The plan spreads the numbers over "
            "the slots: number i is played in slot i mod K.",
            lambda rewards, ended, n: _totals(sorted(_found(rewards, ended)))[:n],
        ),
        Misconception(
            "only the first episode of each slot",
            "Each slot gives one episode here. Where more are asked for than there are slots, a slot plays several, "
            "one after the other.",
            lambda rewards, ended, n: _totals(sorted(e for e in _found(rewards, ended) if e[1] == 0))[:n],
        ),
        Misconception(
            "remainder dropped",
            "Every slot plays the same number of episodes here, and some of the N are never played. Where N is no "
            "multiple of K, the first slots play one more.",
            lambda rewards, ended, n: _totals(
                sorted(_planned(rewards, ended, n // rewards.shape[1] * rewards.shape[1]), key=lambda e: (e[1], e[0]))
            ),
        ),
        Misconception(
            "everything that finished",
            "You return every episode that came to an end. That is more than was asked, and it is not fair either: "
            "what the end of the recording cuts off is mostly long.",
            lambda rewards, ended, n: _totals(_found(rewards, ended)),
        ),
        Misconception(
            "sum not started afresh",
            "The right episodes, but each total still contains what its slot earned before. A new episode begins with "
            "nothing.",
            _by_ends(lambda rewards, before, end: rewards[: end + 1].sum()),
        ),
        Misconception(
            "last reward counted for the next episode",
            "The step on which an episode ends still belongs to it, and so does its reward. You close the account "
            "one step early.",
            _by_ends(lambda rewards, before, end: rewards[max(before, 0) : end].sum()),
        ),
        Misconception(
            "last reward lost",
            "The step on which an episode ends still belongs to it, and so does its reward. You stop a step short.",
            _by_ends(lambda rewards, before, end: rewards[before + 1 : end].sum()),
        ),
        Misconception(
            "later episodes overwrite earlier ones",
            "A slot's next episode is written over the one before. The place in the result depends on the slot *and* "
            "on how many episodes it has finished.",
            lambda rewards, ended, n: _by_slot(rewards, ended, n, lambda slot, order: slot),
        ),
        Misconception(
            "first episode of each slot, zeros for the rest",
            "Only the first episode of each slot arrives in the result; the other places stay 0. Where N is larger "
            "than K, a slot plays several numbers.",
            lambda rewards, ended, n: _by_slot(rewards, ended, n, lambda slot, order: -1 if order else slot),
        ),
        Misconception(
            "slot and order exchanged",
            "Your number is slot · K + order. Dealt like cards, neighbouring numbers sit in neighbouring slots: which "
            "of the two is to be multiplied by K?",
            lambda rewards, ended, n: _by_slot(rewards, ended, n, lambda slot, order: slot * rewards.shape[1] + order),
        ),
        Misconception(
            "lengths instead of total rewards",
            "These are the lengths. In CartPole that is the same number, as every step pays 1; here it is not.",
            lambda rewards, ended, n: _slots_oracle(np.ones_like(rewards), ended, n),
        ),
        Misconception(
            "their mean",
            "One number, the mean of what is asked. Return the total reward of each of the N episodes.",
            lambda rewards, ended, n: _slots_oracle(rewards, ended, n).mean(),
        ),
        Misconception(
            "shortest first, or sorted",
            "The right totals, sorted by size. Their order is that of their numbers i, whatever they earned.",
            lambda rewards, ended, n: np.sort(_slots_oracle(rewards, ended, n)),
        ),
    ),
)
