"""Lesson 6, Causality: the table of terms, rewards to go, and what a discount makes of them."""

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like, with_garbage

# causality_table


def _table_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[[2.0, -1.0]]], rewards=[[3.0]], probabilities=[1.0]),
        case(scores=[[[0.5], [-0.5]], [[-0.5], [0.5]]], rewards=[[1.0, 4.0], [2.0, 3.0]], probabilities=[0.75, 0.25]),
    ]
    for num, steps, size in ((1, 3, 2), (2, 3, 4), (3, 3, 3), (4, 2, 1), (3, 1, 2), (5, 4, 3)):
        mask = random_mask(rng, num, steps)
        scores = np.where(mask[:, :, None], rng.normal(size=(num, steps, size)), 0.0)
        rewards = np.where(mask, rewards_like(rng, num, steps), 0.0)
        shares = rng.permutation(np.arange(1, num + 1)) + rng.uniform(0, 0.5, num)
        cases.append(case(scores=scores, rewards=rewards, probabilities=shares / shares.sum()))
    return cases


def _table_oracle(scores, rewards, probabilities):
    num, steps, size = scores.shape
    table = np.zeros((steps, steps, size))
    for i in range(num):
        for t in range(steps):
            for later in range(steps):
                table[t, later] += probabilities[i] * scores[i, t] * rewards[i, later]
    return table


def _table(scores, rewards, probabilities):
    return np.einsum("i,itp,iu->tup", probabilities, scores, rewards)


def _table_by_time(scores, rewards, probabilities):
    steps = rewards.shape[1]
    return [[probabilities @ (scores[:, t] * rewards[:, [u]]) for u in range(steps)] for t in range(steps)]


def _table_by_torch(scores, rewards, probabilities):
    g, r, p = (torch.from_numpy(array) for array in (scores, rewards, probabilities))
    return (p[:, None, None, None] * g[:, :, None, :] * r[:, None, :, None]).sum(0)


def _table_by_outer(scores, rewards, probabilities):
    return sum(
        p * np.multiply.outer(g, r).swapaxes(1, 2) for g, r, p in zip(scores, rewards, probabilities, strict=True)
    )


def _triangle(table, keep):
    """The entries where keep(t, t') is true, the others zero."""
    steps = np.arange(len(table))
    return np.where(keep(steps[:, None], steps)[:, :, None], table, 0.0)


def _alike(probabilities):
    return np.full_like(probabilities, 1 / len(probabilities))


CAUSALITY_TABLE = Exercise(
    name="causality_table",
    lesson=6,
    points=4,
    minutes=20,
    difficulty=2,
    signature="causality_table(scores (N,T,P), rewards (N,T), probabilities (N,)) -> (T,T,P), E[g_t r_t'] at [t, t']",
    cases=_table_cases,
    oracle=_table_oracle,
    accepts=(
        _table,
        lambda g, r, p: np.tensordot((p[:, None, None] * g), r, (0, 0)).transpose(0, 2, 1),
        lambda g, r, p: np.average(g[:, :, None] * r[:, None, :, None], axis=0, weights=p),
        lambda g, r, p: _table(g.astype(np.float32), r.astype(np.float32), p.astype(np.float32)),
        _table_by_time,
        _table_by_torch,
        _table_by_outer,
    ),
    misconceptions=(
        Misconception(
            "rows and columns swapped",
            "Every number is there, and in the mirrored place. The first axis is the time of the score, the second the "
            "time of the reward.",
            lambda g, r, p: _table(g, r, p).swapaxes(0, 1),
        ),
        Misconception(
            "every trajectory counted alike",
            "You average over the list as if every trajectory in it were equally likely. The list holds each of them "
            "once; what says how often the policy draws it?",
            lambda g, r, p: _table(g, r, _alike(p)),
        ),
        Misconception(
            "probabilities left out",
            "You add up the trajectories without weighing them. In an expectation each of them counts as much as it "
            "is likely.",
            lambda g, r, p: _table(g, r, np.ones_like(p)),
        ),
        Misconception(
            "probabilities, and a mean on top",
            "You weigh with the probabilities *and* take a mean. Probabilities sum to one already: what do you still "
            "divide by?",
            lambda g, r, p: _table(g, r, p / len(p)),
        ),
        Misconception(
            "probabilities counted twice",
            "Each trajectory is weighed with its probability twice, once with the scores and once with the rewards. "
            "How often does π(τ) stand in the expectation of the product?",
            lambda g, r, p: _table(g, r, p**2),
        ),
        Misconception(
            "logarithms of probabilities",
            "You weigh with logarithms. An expectation weighs with the probabilities themselves.",
            lambda g, r, p: _table(g, r, np.log(p)),
        ),
        Misconception(
            "product of the expectations",
            "You average the scores, average the rewards, and multiply. That forgets which reward came with which "
            "score: multiply within each trajectory first.",
            lambda g, r, p: np.einsum("tp,u->tup", np.einsum("i,itp->tp", p, g), p @ r),
        ),
        Misconception(
            "product of the plain means",
            "Two averages are multiplied here. Which score came with which reward is lost that way, and so is how "
            "likely each trajectory is: multiply first, then take the expectation.",
            lambda g, r, p: np.einsum("tp,u->tup", g.mean(0), r.mean(0)),
        ),
        Misconception(
            "covariance",
            "You subtract the product of the expectations, which makes a covariance. Asked is the expectation of the "
            "product itself, as it stands.",
            lambda g, r, p: (
                _table(g, r, p) - np.einsum("tp,u->tup", np.einsum("i,itp->tp", p, g), np.einsum("i,iu->u", p, r))
            ),
        ),
        Misconception(
            "rewards of the past left out",
            "You have set the terms with t′ < t to zero. On average they may well be zero, and the point of the table "
            "is to *see* that: fill every square.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later >= t),
        ),
        Misconception(
            "rewards of the future left out",
            "The squares with t′ > t are empty. Those are the rewards that came after the choice, and the table wants "
            "every pair of times.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later <= t),
        ),
        Misconception(
            "only pairs of the same time",
            "Only the diagonal is filled: each score meets the reward of its own step. In the product of the two sums "
            "every score meets every reward.",
            lambda g, r, p: _triangle(_table(g, r, p), lambda t, later: later == t),
        ),
        Misconception(
            "only the diagonal, as an array (T, P)",
            "You pair each score with the reward of its own step only, so one time axis is missing. Every score meets "
            "every reward: give the two times an axis each.",
            lambda g, r, p: np.einsum("i,itp,it->tp", p, g, r),
        ),
        Misconception(
            "lengths instead of vectors",
            "You return one number for each pair of times. The score is a vector of P components: keep them, as the "
            "last axis.",
            lambda g, r, p: np.linalg.norm(_table(g, r, p), axis=2),
        ),
        Misconception(
            "components added up",
            "You add up the components of the score. They belong to different parameters and stay apart, in the last "
            "axis.",
            lambda g, r, p: _table(g, r, p).sum(2),
        ),
        Misconception(
            "one table for each trajectory",
            "This is a table for every trajectory, not yet for their expectation. Which axis is still to be summed "
            "over, and with which weights?",
            lambda g, r, p: g[:, :, None, :] * r[:, None, :, None],
        ),
        Misconception(
            "one weighed table for each trajectory",
            "Everything is weighed, nothing is added up: the axis of the trajectories is still there.",
            lambda g, r, p: p[:, None, None, None] * g[:, :, None, :] * r[:, None, :, None],
        ),
        Misconception(
            "components in front",
            "The numbers are right and the axes are in another order: the components of the score come last.",
            lambda g, r, p: np.moveaxis(_table(g, r, p), 2, 0),
        ),
        Misconception(
            "components in the middle",
            "The numbers are right, but the axes stand as (t, component, t′). The two times come first, the "
            "components last.",
            lambda g, r, p: np.moveaxis(_table(g, r, p), 2, 1),
        ),
        Misconception(
            "total reward in every column",
            "Every column holds the same: each score meets the whole reward of its trajectory. The table is there to "
            "pull that sum apart, one column for each r_t′.",
            lambda g, r, p: _table(g, np.broadcast_to(r.sum(1, keepdims=True), r.shape), p),
        ),
        Misconception(
            "rewards to go in the columns",
            "Column t′ holds the sum of the rewards from t′ on. Here it should hold the one reward r_t′; adding them "
            "up is the next section.",
            lambda g, r, p: _table(g, r[:, ::-1].cumsum(1)[:, ::-1], p),
        ),
        Misconception(
            "rewards so far in the columns",
            "Column t′ holds all rewards up to t′. Here it should hold the one reward r_t′ and nothing else.",
            lambda g, r, p: _table(g, r.cumsum(1), p),
        ),
        Misconception(
            "total reward, in an array (T, P)",
            "Each score meets the whole reward of its trajectory, which leaves one time axis. The table wants the "
            "rewards apart: an axis for t, and one for t′.",
            lambda g, r, p: np.einsum("i,itp,i->tp", p, g, r.sum(1)),
        ),
        Misconception(
            "components added up and spread out again",
            "A sum without an axis adds up everything, the components too, and one number fills all P places. Over "
            "which axis alone should it run?",
            lambda g, r, p: np.repeat(_table(g, r, p).sum(2, keepdims=True), g.shape[2], 2),
        ),
        Misconception(
            "scores added up over time",
            "Every row holds the score of the whole trajectory. Row t wants the score of the one choice at t.",
            lambda g, r, p: _table(np.broadcast_to(g.sum(1, keepdims=True), g.shape), r, p),
        ),
        Misconception(
            "probabilities lined up with the components",
            "An array (N,) beside one of (N, T, T, P) lines up with the *last* axis, the components, and fails or, "
            "worse, works where N = P. Give the probabilities the axes that they lack.",
            lambda g, r, p: (g[:, :, None, :] * r[:, None, :, None] * p).sum(0),
        ),
        Misconception(
            "matrix product over the wrong axis",
            "With more than two axes, p @ x adds up over the last axis but one, a time. The trajectories are the first "
            "axis: say so, with tensordot, einsum or a sum over axis 0.",
            lambda g, r, p: p @ (g[:, :, None, :] * r[:, None, :, None]),
        ),
        Misconception(
            "only the last trajectory",
            "Only the last trajectory of the list is in your table: is something assigned in a loop where it should be "
            "added?",
            lambda g, r, p: _table(g[-1:], r[-1:], p[-1:]),
        ),
        Misconception(
            "only the first trajectory",
            "Only the first trajectory of the list is in your table: how far is the return statement indented?",
            lambda g, r, p: _table(g[:1], r[:1], p[:1]),
        ),
        Misconception(
            "everything added up over the times",
            "You have added up all pairs of times, which gives the whole gradient. Nice to know; the table keeps the "
            "terms apart.",
            lambda g, r, p: np.einsum("i,itp,iu->p", p, g, r),
        ),
    ),
)

# rewards_to_go


def _kept(rewards, mask):
    return np.where(mask, rewards, 0.0)


def _backwards(values, axis=1):
    """Sums from each entry on, along an axis."""
    return np.flip(np.flip(values, axis).cumsum(axis), axis)


def _by_episode(one):
    """An answer that fills the steps of each episode with one(its rewards (L,), …) and leaves the rest zero."""

    def answer(rewards, mask, *discount):
        out = np.zeros(mask.shape)
        for row, values, happened in zip(out, rewards, mask, strict=True):
            row[happened] = one(values[happened], *discount)
        return out

    return answer


def _to_go_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[1.0, 2.0, 4.0]], mask=mask_of([3])),
        case(rewards=[[2.0, -1.0, 7.0], [3.0, 50.0, -80.0]], mask=mask_of([3, 1])),
        case(rewards=[[-1.5]], mask=[[True]]),
        case(rewards=[[1.0, -2.0, 90.0, -60.0]], mask=mask_of([2], 4)),
    ]
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        cases.append(case(rewards=with_garbage(rng, rewards_like(rng, *shape), mask, 1000), mask=mask))
    return cases


def _to_go_oracle(rewards, mask):
    returns = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for later in range(t, mask.shape[1]):
            if mask[i, later]:
                returns[i, t] += rewards[i, later]
    return returns


def _to_go_backwards(rewards, mask):
    returns, running = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        running = (running + rewards[:, t]) * mask[:, t]
        returns[:, t] = running
    return returns


def _to_go_lists(rewards, mask):
    result = []
    for row, happened in zip(rewards.tolist(), mask.tolist(), strict=True):
        kept = [r if m else 0.0 for r, m in zip(row, happened, strict=True)]
        result.append([sum(kept[t:]) for t in range(len(kept))])
    return result


def _to_go_torch(rewards, mask):
    kept = torch.from_numpy(rewards).masked_fill(~torch.from_numpy(mask), 0)
    return kept.flip(1).cumsum(1).flip(1)


def _stops_at_padding(rewards, mask):
    out = np.zeros(mask.shape)
    for i in range(len(mask)):
        running = 0.0
        for t in reversed(range(mask.shape[1])):
            if not mask[i, t]:
                break
            running += rewards[i, t]
            out[i, t] = running
    return out


def _again_and_again(rewards):
    out = np.zeros(len(rewards))
    for t in reversed(range(len(rewards))):
        out[t] = rewards[t] + out[t + 1 :].sum()
    return out


def _sum_never_reset(rewards, mask):
    before = np.append(0, _kept(rewards, mask).sum(1).cumsum()[:-1])
    return (_backwards(_kept(rewards, mask)) + before[:, None]) * mask


def _masked_sum(rewards, mask, discount=1.0):
    returns, running = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        running = rewards[:, t] + discount * running * mask[:, t]
        returns[:, t] = running
    return returns


def _wraps_round(rewards, mask, discount=1.0):
    returns = _kept(rewards, mask)
    for t in reversed(range(rewards.shape[1])):
        returns[:, t - 1] += discount * returns[:, t]
    return returns


def _standardised(returns, mask, tiny=0.0):
    return np.where(mask, (returns - returns[mask].mean()) / (returns[mask].std() + tiny), 0.0)


def _discounted(rewards, discount):
    """Σ_{t'≥t} γ^(t'−t) r_t' for the rewards (L,) of one episode."""
    return np.array([sum(discount**k * r for k, r in enumerate(rewards[t:])) for t in range(len(rewards))])


REWARDS_TO_GO = Exercise(
    name="rewards_to_go",
    lesson=6,
    points=4,
    minutes=20,
    difficulty=2,
    signature="rewards_to_go(rewards (N,T), mask (N,T)) -> (N,T), zero where mask is False",
    cases=_to_go_cases,
    oracle=_to_go_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        lambda r, mask: _backwards(_kept(r, mask)),
        lambda r, mask: _kept(r, mask) @ np.tril(np.ones((r.shape[1], r.shape[1]))),
        lambda r, mask: (_kept(r, mask).sum(1, keepdims=True) - _kept(r, mask).cumsum(1) + r) * mask,
        lambda r, mask: np.stack([_kept(r, mask)[:, t:].sum(1) for t in range(r.shape[1])], 1),
        lambda r, mask: _backwards(np.where(mask, r, 0).astype(np.float32)),
        _by_episode(lambda r: np.add.accumulate(r[::-1])[::-1]),
        _to_go_backwards,
        _to_go_lists,
        _to_go_torch,
    ),
    misconceptions=(
        Misconception(
            "accumulated from the start",
            "Your sums grow from the left: what has been earned *so far*. A choice at t cannot change that. Which "
            "rewards can it still change?",
            lambda r, mask: _kept(r, mask).cumsum(1) * mask,
        ),
        Misconception(
            "accumulated from the start, going on through the padding",
            "You add up from the start, and the sums go on behind the end of an episode. Turn the direction round, and "
            "look at what the entries where the mask is False should be.",
            lambda r, mask: _kept(r, mask).cumsum(1),
        ),
        Misconception(
            "accumulated from the start, mask ignored",
            "Two things: the sum runs over the past instead of the future, and what the padding holds is taken for "
            "rewards.",
            lambda r, mask: r.cumsum(1),
        ),
        Misconception(
            "rewards before the step",
            "You add up exactly what was earned *before* each step, the part that gives nothing on average. It is the "
            "other part that is wanted.",
            lambda r, mask: (_kept(r, mask).cumsum(1) - _kept(r, mask)) * mask,
        ),
        Misconception(
            "accumulated from the start, then turned round",
            "Turning the *result* round does not turn the sums round: they still hold what came before. What has to be "
            "reversed before cumsum, and what after it?",
            lambda r, mask: _kept(r, mask).cumsum(1)[:, ::-1],
        ),
        Misconception(
            "accumulated from the start, turned round, then masked",
            "The sums were taken from the start and only then turned round, so they hold the past. In which order do "
            "reversing and adding up go?",
            lambda r, mask: _kept(r, mask).cumsum(1)[:, ::-1] * mask,
        ),
        Misconception(
            "left reversed",
            "The right numbers in the wrong order: after going backwards in time, your result still runs backwards. "
            "Entry 0 belongs to the first step.",
            _by_episode(lambda r: r[::-1].cumsum()),
        ),
        Misconception(
            "left reversed, over the whole row",
            "You turn the rows round to add up from the end, and never turn them back. In short episodes the padding "
            "has changed sides, too.",
            lambda r, mask: _kept(r, mask)[:, ::-1].cumsum(1),
        ),
        Misconception(
            "left reversed, then masked",
            "You add up from the end of the row, and then the mask meets an array that still runs backwards. Turn the "
            "sums back into the order of time first.",
            lambda r, mask: _kept(r, mask)[:, ::-1].cumsum(1) * mask,
        ),
        Misconception(
            "left reversed, mask ignored",
            "Two things: your result still runs backwards in time, and the padding has been added up along with the "
            "rewards.",
            lambda r, mask: r[:, ::-1].cumsum(1),
        ),
        Misconception(
            "turned round along the wrong axis",
            "The trajectories have changed places, and time still runs backwards. [::-1] turns the first axis only, "
            "and np.flip without an axis turns all of them: which one is time?",
            lambda r, mask: _kept(r, mask)[:, ::-1].cumsum(1)[::-1],
        ),
        Misconception(
            "only the first entry",
            "Only the very first sum is filled in. How far is the return statement indented?",
            lambda r, mask: np.where(np.arange(r.size).reshape(r.shape) == 0, _backwards(_kept(r, mask)), 0.0),
        ),
        Misconception(
            "last column's reward at every step",
            "Every entry holds what stands in the last column. In a loop, does = stand where += should?",
            lambda r, mask: np.broadcast_to(_kept(r, mask)[:, -1:], r.shape),
        ),
        Misconception(
            "last reward at every step",
            "Every step of an episode gets its last reward, and that alone. Does = stand where += should?",
            _by_episode(lambda r: np.full(len(r), r[-1])),
        ),
        Misconception(
            "full return at every step",
            "Every step of an episode gets the same number, its total. That is r(τ), where we came from: at step t, "
            "which of the rewards lie behind?",
            lambda r, mask: _kept(r, mask).sum(1, keepdims=True) * mask,
        ),
        Misconception(
            "full return in every column",
            "You write the total reward into every column, padding included. Each step should only get what is still "
            "to come, and where nothing happened there is nothing.",
            lambda r, mask: np.broadcast_to(_kept(r, mask).sum(1, keepdims=True), r.shape),
        ),
        Misconception(
            "full return with the padding in it, at every step",
            "Every step gets the sum of its whole row, padding and past included. Neither of the two belongs to what "
            "is still to come.",
            lambda r, mask: r.sum(1, keepdims=True) * mask,
        ),
        Misconception(
            "one number for each trajectory",
            "You return one sum for each trajectory. Here every step has a sum of its own, beginning with its own "
            "reward: the result has the shape of rewards.",
            lambda r, mask: _kept(r, mask).sum(1),
        ),
        Misconception(
            "one number for each trajectory, as a column",
            "You return a single column, the totals. Every step has a sum of its own, beginning with its own reward: T "
            "columns.",
            lambda r, mask: _kept(r, mask).sum(1, keepdims=True),
        ),
        Misconception(
            "one number for each trajectory, mask ignored",
            "You return the sum of each row, padding included. Two things: every step has a sum of its own, and what "
            "never happened is no reward.",
            lambda r, mask: r.sum(1),
        ),
        Misconception(
            "own reward only",
            "Each step gets its own reward and nothing of what follows. If this is a recursion that runs forwards, it "
            "reads entries that have not been filled yet.",
            _kept,
        ),
        Misconception(
            "rewards unchanged",
            "This is the array of rewards as it came in. What is to be added to each entry, and what should stand "
            "where nothing happened?",
            lambda r, mask: r.copy(),
        ),
        Misconception(
            "own reward left out",
            "You begin with the *next* reward. r_t is the reward of a_t itself, so the choice at t has everything to "
            "do with it.",
            lambda r, mask: (_backwards(_kept(r, mask)) - _kept(r, mask)) * mask,
        ),
        Misconception(
            "own reward left out, padding taken off",
            "You take the own reward off a sum that should keep it; and where nothing happened, the padding is taken "
            "off a zero.",
            lambda r, mask: _backwards(_kept(r, mask)) - r,
        ),
        Misconception(
            "own reward left out, and leaking through the padding",
            "Two things: the sum should begin with the step's own reward, and it should end with the episode, not "
            "with the row.",
            lambda r, mask: (_backwards(r) - r) * mask,
        ),
        Misconception(
            "own reward left out, mask ignored",
            "The sum begins one step too late, the padding is added up along with the rewards, and entries where "
            "nothing happened are not zero.",
            lambda r, mask: _backwards(r) - r,
        ),
        Misconception(
            "wrong reward taken off",
            "The first sum is right, and on the way you take off the wrong reward: at step t it is the *previous* one "
            "that is no longer to come.",
            lambda r, mask: (_kept(r, mask).sum(1, keepdims=True) - _kept(r, mask).cumsum(1) + r[:, :1]) * mask,
        ),
        Misconception(
            "own reward counted twice",
            "The step's own reward is in there twice. Does your running sum hold it already when you add it?",
            lambda r, mask: _backwards(_kept(r, mask)) + _kept(r, mask),
        ),
        Misconception(
            "one step too early",
            "Your sums begin with the reward *before* the step. That one belongs to the previous choice: which index "
            "does the sum start from?",
            lambda r, mask: (_backwards(_kept(r, mask)) + np.pad(_kept(r, mask), ((0, 0), (1, 0)))[:, :-1]) * mask,
        ),
        Misconception(
            "one step too early, result not masked",
            "Your sums begin with the reward before the step, and so the last one slips into the padding. Which index "
            "does the sum start from?",
            lambda r, mask: _backwards(_kept(r, mask)) + np.pad(_kept(r, mask), ((0, 0), (1, 0)))[:, :-1],
        ),
        Misconception(
            "own and next reward only",
            "You add just the neighbour on the right. It should be the neighbour's *sum*: in which direction must the "
            "loop run so that this is ready when it is needed?",
            lambda r, mask: (_kept(r, mask) + np.pad(_kept(r, mask), ((0, 0), (0, 1)))[:, 1:]) * mask,
        ),
        Misconception(
            "total without the own reward",
            "You take only the step's own reward out of the total. What has to go is everything that came *before* the "
            "step, and nothing else.",
            lambda r, mask: (_kept(r, mask).sum(1, keepdims=True) - r) * mask,
        ),
        Misconception(
            "first column left as it was",
            "All columns are added up but the first, which keeps its own reward. Does the range of your loop stop one "
            "too early?",
            lambda r, mask: np.where(np.arange(r.shape[1]) > 0, _backwards(_kept(r, mask)), r),
        ),
        Misconception(
            "index −1 at the start of the row",
            "At t = 0 the index t − 1 is −1, which in Python is the *last* column: everything is added there once "
            "more. Where should the loop stop?",
            _wraps_round,
        ),
        Misconception(
            "one column too many",
            "You return T + 1 columns. A leading or trailing zero helps to take differences; the result has one entry "
            "for each step.",
            lambda r, mask: np.pad(_backwards(_kept(r, mask)), ((0, 0), (0, 1))),
        ),
        Misconception(
            "last column left out",
            "The last column of the array never enters. Where an episode lasts that long, its last reward is missing: "
            "does a slice or a range stop one too early?",
            lambda r, mask: _backwards(_kept(r, mask & (np.arange(r.shape[1]) < r.shape[1] - 1))),
        ),
        Misconception(
            "last reward left out",
            "The last reward of every episode is missing, often the one that matters most. Does a slice like t:-1, or "
            "a length minus one, stop too early?",
            _by_episode(lambda r: _backwards(np.append(r[:-1], 0), 0)),
        ),
        Misconception(
            "last step gets nothing",
            "All sums are right but the last of each episode, which is zero. What is still to come at the last step "
            "is its own reward.",
            _by_episode(lambda r: np.append(_backwards(r, 0)[:-1], 0)),
        ),
        Misconception(
            "last column reaches only itself",
            "What stands in the last column arrives there and nowhere else. Look at the condition, or the range, that "
            "links a column with the next: does it stop one too early?",
            lambda r, mask: (
                np.where(np.arange(r.shape[1]) < r.shape[1] - 1, _backwards(_kept(r, mask)) - _kept(r, mask)[:, -1:], r)
                * mask
            ),
        ),
        Misconception(
            "last reward reaches only itself",
            "The last reward of an episode counts for the last step and for no other. Everything before led to it as "
            "well: does a condition or a slice stop one too early?",
            _by_episode(lambda r: np.append(_backwards(r[:-1], 0), r[-1])),
        ),
        Misconception(
            "mask on the running sum only",
            "The mask stops the running sum, and the reward beside it goes in unasked: padding reaches the last real "
            "step. Which of the two comes out of the padding?",
            _masked_sum,
        ),
        Misconception(
            "mask on the running sum only, and on the result",
            "The result is masked, and the running sum too, but not the reward that joins it: one number of padding "
            "slips into the last real step.",
            lambda r, mask: _masked_sum(r, mask) * mask,
        ),
        Misconception(
            "last column taken as it is",
            "The recursion masks every column but the one that it begins with. In short episodes the last column is "
            "padding, and from there it flows everywhere.",
            lambda r, mask: _backwards(np.where(np.arange(r.shape[1]) < r.shape[1] - 1, _kept(r, mask), r)),
        ),
        Misconception(
            "last column taken as it is, result masked",
            "The recursion begins with the last column unmasked, and masking the result comes too late. What does that "
            "column hold in a short episode?",
            lambda r, mask: _backwards(np.where(np.arange(r.shape[1]) < r.shape[1] - 1, _kept(r, mask), r)) * mask,
        ),
        Misconception(
            "leaking through the padding",
            "What stands behind the end of an episode flows into the sums before it. Zeroing the *result* is too late "
            "for that: when should the padding be taken out?",
            lambda r, mask: _backwards(r) * mask,
        ),
        Misconception(
            "mask ignored",
            "The padding is added up as if it had been earned. It may hold any numbers: what does the mask tell you "
            "about them?",
            lambda r, mask: _backwards(r),
        ),
        Misconception(
            "mask ignored, flattened",
            "cumsum without an axis runs through the whole batch as if it were one long row, and the padding with it. "
            "Say along which axis time runs, and who takes the padding out.",
            lambda r, mask: r.ravel()[::-1].cumsum()[::-1].reshape(r.shape),
        ),
        Misconception(
            "padding not zeroed",
            "Every real step is right, and the padding still holds what it held. Where the mask is False, zero is "
            "asked: what does your result begin as?",
            lambda r, mask: np.where(mask, _backwards(_kept(r, mask)), r),
        ),
        Misconception(
            "NaN in the padding",
            "Every real step is right. Where the mask is False a zero is asked, so that multiplying and adding on "
            "does not spoil what comes after: NaN times 0 is NaN.",
            lambda r, mask: np.where(mask, _backwards(_kept(r, mask)), np.nan),
        ),
        Misconception(
            "mask the wrong way round",
            "You keep the padding and throw the episode away. What does True in the mask stand for?",
            lambda r, mask: _backwards(_kept(r, ~mask)),
        ),
        Misconception(
            "mask the wrong way round, at the end",
            "The sums that you set to zero are those of steps that happened, and the others stay. What does True in "
            "the mask stand for?",
            lambda r, mask: _backwards(_kept(r, mask)) * ~mask,
        ),
        Misconception(
            "mask the wrong way round, throughout",
            "Only the padding is in your result, and nothing of the episode. True in this mask means that a step "
            "really happened; in NumPy's masked arrays it means the opposite.",
            lambda r, mask: _backwards(_kept(r, ~mask)) * ~mask,
        ),
        Misconception(
            "sums pushed to the end of the row",
            "The sums of a short episode stand at the right end of the row, with zeros before them. An episode fills "
            "the *first* steps of its row.",
            lambda r, mask: np.stack(
                [
                    np.roll(row, len(row) - length)
                    for row, length in zip(_backwards(_kept(r, mask)), mask.sum(1), strict=True)
                ]
            ),
        ),
        Misconception(
            "episodes that fill their row given up",
            "Rows without padding come out as zeros: looking for the first False finds nothing there, and argmin then "
            "says 0. How else can you tell how long an episode was?",
            lambda r, mask: _backwards(_kept(r, mask)) * ~mask.all(1, keepdims=True),
        ),
        Misconception(
            "mask and rewards in opposite order",
            "The rewards are turned round and the mask is not, so each mask entry meets somebody else's reward. Mask "
            "first, turn round afterwards.",
            lambda r, mask: (r[:, ::-1] * mask).cumsum(1)[:, ::-1],
        ),
        Misconception(
            "short episodes given up",
            "Episodes shorter than the row come out as zeros: coming from the right, the first thing you meet is "
            "padding, and you stop there. What should you do instead of stopping?",
            _stops_at_padding,
        ),
        Misconception(
            "added up over the trajectories",
            "You add up along the wrong axis: other trajectories at the same time. Time runs along the second axis, "
            "axis 1.",
            lambda r, mask: _backwards(_kept(r, mask), 0) * mask,
        ),
        Misconception(
            "added up over the trajectories, result not masked",
            "Your sums run down the columns, through different trajectories, and into the padding. Each row is a world "
            "of its own: along which axis does time run?",
            lambda r, mask: _backwards(_kept(r, mask), 0),
        ),
        Misconception(
            "accumulated over the trajectories from the first one on",
            "cumsum(0) walks from trajectory to trajectory. What a trajectory still earns does not depend on those "
            "listed above it: which axis is time, and from which end?",
            lambda r, mask: _kept(r, mask).cumsum(0) * mask,
        ),
        Misconception(
            "flowing from one episode into the one before",
            "Each episode also gets everything that the episodes listed after it earned. Is the running sum set back "
            "to zero where a new row begins, and does cumsum know its axis?",
            lambda r, mask: _backwards(_kept(r, mask).ravel(), 0).reshape(r.shape) * mask,
        ),
        Misconception(
            "running sum never set back to zero, nor the padding",
            "From the second trajectory on your sums begin with what earlier ones earned, and they go on through the "
            "padding, too. Where does the running sum begin anew?",
            lambda r, mask: _backwards(_kept(r, mask)) + np.append(0, _kept(r, mask).sum(1).cumsum())[:-1, None],
        ),
        Misconception(
            "accumulated through the whole batch from its start",
            "Your sums grow from the first step of the first trajectory to the last of the last. Time runs within a "
            "row, and what counts is what is still to come.",
            lambda r, mask: _kept(r, mask).ravel().cumsum().reshape(r.shape) * mask,
        ),
        Misconception(
            "everybody's rewards together",
            "At each time you add up what is still to come for *all* trajectories, and give it to each of them. A sum "
            "without an axis takes the whole array: which axis is the episode's own?",
            lambda r, mask: _backwards(_kept(r, mask)).sum(0) * mask,
        ),
        Misconception(
            "added up over the trajectories, one row left",
            "Your sum ran down the columns, so one row is left for the whole batch. Every trajectory has sums of its "
            "own, along the second axis.",
            lambda r, mask: _kept(r, mask).sum(0),
        ),
        Misconception(
            "totals beside an array of two axes",
            "An array (N,) beside one of (N, T) lines up with *time*: it fails, or works by accident when N = T. What "
            "gives the totals a second axis?",
            lambda r, mask: _kept(r, mask).sum(1) - _kept(r, mask).cumsum(1) + _kept(r, mask),
        ),
        Misconception(
            "running sum never set back to zero",
            "From the second trajectory on, everything that earlier ones earned is in there too. Where does your "
            "running sum begin anew?",
            _sum_never_reset,
        ),
        Misconception(
            "totals beside an array of two axes, own reward left out",
            "Two things: an array (N,) beside one of (N, T) lines up with *time* unless it gets a second axis, and the "
            "own reward is missing from its sum.",
            lambda r, mask: _kept(r, mask).sum(1) - _kept(r, mask).cumsum(1),
        ),
        Misconception(
            "flattened",
            "cumsum without an axis makes one long row out of the batch. Trajectories do not follow upon each other: "
            "tell it along which axis to add, and the shape will stay (N, T).",
            lambda r, mask: _kept(r, mask)[:, ::-1].cumsum()[::-1],
        ),
        Misconception(
            "flattened, and turned round as a whole",
            "cumsum and flip without an axis take the batch for one long row. Tell both of them which axis is time, "
            "and the shape will stay (N, T).",
            lambda r, mask: _kept(r, mask).ravel()[::-1].cumsum()[::-1],
        ),
        Misconception(
            "flattened, from the start",
            "cumsum without an axis makes one long row out of the batch, and it adds up from the start. Two questions: "
            "along which axis, and from which end?",
            lambda r, mask: _kept(r, mask).cumsum(),
        ),
        Misconception(
            "average to go",
            "You take the *mean* of the rewards still to come. Ten steps of 1 are worth more than one step of 1: add "
            "up, do not average.",
            _by_episode(lambda r: _backwards(r, 0) / np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "average to go, padding counted",
            "You take a mean over the rest of the row, the padding counted as zeros. Two things: a sum is asked, and "
            "the row is longer than the episode.",
            lambda r, mask: _backwards(_kept(r, mask)) / np.arange(r.shape[1], 0, -1),
        ),
        Misconception(
            "average so far",
            "This is the average reward up to each step. Two turns to make: from the past to the future, and from an "
            "average to a sum.",
            _by_episode(lambda r: r.cumsum() / np.arange(1, len(r) + 1)),
        ),
        Misconception(
            "divided by the length of the episode",
            "Your sums are divided by the length of their episode, so that a long one counts no more than a short one. "
            "The objective adds rewards up: so does what is still to come.",
            _by_episode(lambda r: _backwards(r, 0) / len(r)),
        ),
        Misconception(
            "largest instead of sum",
            "You take the largest reward that is still to come. Every one of them counts: add up.",
            lambda r, mask: np.maximum.accumulate(_kept(r, mask)[:, ::-1], 1)[:, ::-1],
        ),
        Misconception(
            "products instead of sums",
            "You multiply what is still to come. Returns are sums of rewards; it is probabilities that multiply.",
            _by_episode(lambda r: r[::-1].cumprod()[::-1]),
        ),
        Misconception(
            "future counted again and again",
            "You add up entries that are sums already, so that late rewards count twice, four times, eight times. "
            "Either add up rewards, or add *one* sum: that of the next step.",
            _by_episode(_again_and_again),
        ),
        Misconception(
            "whole numbers only",
            "Halves are lost on the way: the array that takes your sums holds whole numbers. Which type has an array "
            "made with dtype=int, or by zeros_like from one of them?",
            lambda r, mask: _backwards(_kept(r, mask)).astype(np.int64),
        ),
        Misconception(
            "every reward cut to a whole number",
            "Rewards are cut to whole numbers before they are added up. Rewards are real numbers: where does an int "
            "come in?",
            lambda r, mask: _backwards(_kept(r, mask).astype(np.int64)),
        ),
        Misconception(
            "discounted with 0.99",
            "Later rewards shrink by 0.99 for every step. A habit of many programs; here no discount is asked, and "
            "every reward still to come counts in full.",
            _by_episode(lambda r: _discounted(r, 0.99)),
        ),
        Misconception(
            "discounted with 0.99, and leaking through the padding",
            "Two things: no discount is asked here, and what stands behind the end of an episode must not flow back "
            "into it.",
            lambda r, mask: np.array([_discounted(row, 0.99) for row in r]) * mask,
        ),
        Misconception(
            "discounted with 0.9",
            "There is a discount of 0.9 in it. The next exercise has one; here each reward that is still to come "
            "counts in full.",
            _by_episode(lambda r: _discounted(r, 0.9)),
        ),
        Misconception(
            "steps counted instead of rewards",
            "You count how many steps are left. That is the return where every step pays 1, as in CartPole; here the "
            "rewards say how much each step is worth.",
            _by_episode(lambda r: np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "only the sizes",
            "Negative rewards count as positive ones in your sum. A cost that is still to come makes a choice worse: "
            "keep the signs.",
            lambda r, mask: _backwards(np.abs(_kept(r, mask))),
        ),
        Misconception(
            "standardised",
            "You subtract a mean and divide by a deviation afterwards, as many programs do. Lesson 7 has more about "
            "it; here the sums are asked as they are.",
            lambda r, mask: _standardised(_backwards(_kept(r, mask)), mask),
        ),
        Misconception(
            "standardised, with a tiny number below",
            "Your sums are centred and divided by their deviation plus something tiny. That is a step of its own, for "
            "lesson 7; here the plain sums are asked.",
            lambda r, mask: _standardised(_backwards(_kept(r, mask)), mask, 1e-8),
        ),
        Misconception(
            "standardised over the whole array, with a tiny number below",
            "You subtract a mean and divide by a deviation, both with the padding in them. Lesson 7 has more about it; "
            "here the sums are asked as they are.",
            lambda r, mask: (
                (_backwards(_kept(r, mask)) - _backwards(_kept(r, mask)).mean())
                / (_backwards(_kept(r, mask)).std() + 1e-8)
                * mask
            ),
        ),
        Misconception(
            "each episode's mean subtracted",
            "You subtract from the sums of an episode their own mean over time. That changes what a choice is credited "
            "with; here the plain sums are asked.",
            _by_episode(lambda r: _backwards(r, 0) - _backwards(r, 0).mean()),
        ),
        Misconception(
            "each episode standardised",
            "You centre and scale the sums of every episode by themselves. Here they are asked as they are.",
            _by_episode(lambda r: (_backwards(r, 0) - _backwards(r, 0).mean()) / (_backwards(r, 0).std() + 1e-8)),
        ),
        Misconception(
            "mean over the batch subtracted",
            "You subtract from each step what the batch has on average. That is a baseline, the subject of lesson 7; "
            "here the sums are asked as they are.",
            lambda r, mask: (_backwards(_kept(r, mask)) - _backwards(_kept(r, mask)).mean(0)) * mask,
        ),
        Misconception(
            "averaged over the batch",
            "You average over the trajectories, and one row is left. Every trajectory keeps its own sums: the result "
            "has the shape of rewards.",
            lambda r, mask: _backwards(_kept(r, mask)).mean(0),
        ),
        Misconception(
            "never turned back, transposed",
            "The result lies on its side, (T, N): somewhere a transpose is not undone.",
            lambda r, mask: _backwards(_kept(r, mask)).T,
        ),
        Misconception(
            "a list for each episode, as long as it lasted",
            "Your rows have different lengths. The result is an array like rewards: fill up with zeros where the mask "
            "is False.",
            lambda r, mask: [_backwards(row[happened], 0) for row, happened in zip(r, mask, strict=True)],
        ),
        Misconception(
            "all steps in one long row",
            "Indexing with the mask strings all real steps together, and the rows are lost. The result keeps the shape "
            "(N, T), with zeros where nothing happened.",
            lambda r, mask: _backwards(_kept(r, mask))[mask],
        ),
    ),
)

# discounted_rewards_to_go


def _discounted_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[1.0, 2.0, 3.0]], mask=mask_of([3]), discount=0.5),
        case(rewards=[[1, 2, 3], [2, 7, -9]], mask=mask_of([3, 1]), discount=0.5),
        case(rewards=[[1, 1, 1]], mask=mask_of([3]), discount=0.75),
        case(rewards=[[2.0, -1.0, 4.0], [3.0, 50.0, -80.0]], mask=mask_of([3, 1]), discount=0.0),
        case(rewards=[[1.0, -2.0, 90.0, -60.0]], mask=mask_of([2], 4), discount=1.0),
        case(rewards=[[-1.5]], mask=[[True]], discount=0.9),
    ]
    for shape, discount in zip(SHAPES, (0.9, 0.5, 0.8, 0.95, 0.25, 0.7), strict=True):
        mask = random_mask(rng, *shape)
        rewards = with_garbage(rng, rewards_like(rng, *shape), mask, 1000)
        cases.append(case(rewards=rewards, mask=mask, discount=discount))
    return cases


def _discounted_oracle(rewards, mask, discount):
    returns = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for later in range(t, mask.shape[1]):
            if mask[i, later]:
                returns[i, t] += discount ** (later - t) * rewards[i, later]
    return returns


def _discounted_backwards(rewards, mask, discount):
    returns, running = np.zeros(rewards.shape), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        running = np.where(mask[:, t], rewards[:, t] + discount * running, 0.0)
        returns[:, t] = running
    return returns


def _discounted_torch(rewards, mask, discount):
    kept = torch.as_tensor(rewards * mask, dtype=torch.float64)
    columns = [torch.zeros(len(kept), dtype=torch.float64)]
    for t in reversed(range(kept.shape[1])):
        columns.append(kept[:, t] + discount * columns[-1])
    return torch.stack(columns[:0:-1], 1)


def _discounts(num_steps, discount):
    """γ^(t'−t) at [t', t], zero where t' < t, (T, T)."""
    gap = np.arange(num_steps)[:, None] - np.arange(num_steps)
    return np.where(gap >= 0, float(discount) ** np.maximum(gap, 0), 0.0)


def _recursion(step):
    """G_t = step(r_t, G_{t+1}, γ), episode by episode, from the last step to the first."""

    def one(rewards, discount):
        out, running = [], 0.0
        for r in rewards[::-1]:
            running = step(r, running, discount)
            out.append(running)
        return np.array(out[::-1])

    return _by_episode(one)


def _forwards(rewards, discount):
    out, running = [], 0.0
    for r in rewards:
        running = r + discount * running
        out.append(running)
    return np.array(out)


def _powers(rewards, discount):
    return float(discount) ** np.arange(len(rewards))


def _in_its_own_type(rewards, mask, discount):
    out = np.zeros_like(rewards)
    out[:] = _discounted_backwards(rewards, mask, discount)
    return out


def _integer_recursion(rewards, mask, discount):
    out, running = np.zeros_like(rewards), np.zeros(len(rewards))
    for t in reversed(range(rewards.shape[1])):
        out[:, t] = rewards[:, t] * mask[:, t] + discount * running
        running = out[:, t]
    return out


def _in_place_integers(rewards, mask, discount):
    out = np.where(mask, rewards, 0)
    for t in reversed(range(rewards.shape[1] - 1)):
        out[:, t] += discount * out[:, t + 1]
    return out


def _through_padding(rewards, mask, discount):
    return _discounted_backwards(rewards, np.ones_like(mask), discount)


def _from_row_to_row(rewards, mask, discount, order):
    out, running = np.zeros(mask.shape), 0.0
    for i in order(range(len(mask))):
        for t in np.flatnonzero(mask[i])[::-1]:
            running = rewards[i, t] + discount * running
            out[i, t] = running
    return out


def _carried_over(rewards, mask, discount):
    out, running = np.zeros(mask.shape), 0.0
    for i, t in [(i, t) for i in range(len(mask)) for t in reversed(range(mask.shape[1]))]:
        running = rewards[i, t] * mask[i, t] + discount * running
        out[i, t] = running
    return out


def _power_in_recursion(rewards, mask, discount):
    out, running = np.zeros(mask.shape), np.zeros(len(mask))
    for t in reversed(range(mask.shape[1])):
        running = (rewards[:, t] + discount**t * running) * mask[:, t]
        out[:, t] = running
    return out


def _through_the_batch(rewards, mask, discount):
    row = _kept(rewards, mask).ravel()
    return _discounted(row, discount).reshape(mask.shape) * mask


def _over_trajectories(rewards, mask, discount):
    return _discounts(len(rewards), discount).T @ _kept(rewards, mask) * mask


DISCOUNTED_REWARDS_TO_GO = Exercise(
    name="discounted_rewards_to_go",
    lesson=6,
    points=3,
    minutes=12,
    difficulty=2,
    signature="discounted_rewards_to_go(rewards (N,T), mask (N,T), discount) -> (N,T), zero where mask is False",
    cases=_discounted_cases,
    oracle=_discounted_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        lambda r, mask, discount: _kept(r, mask) @ _discounts(r.shape[1], discount),
        lambda r, mask, discount: (
            _kept(r, mask).astype(np.float32) @ _discounts(r.shape[1], discount).astype(np.float32)
        ),
        lambda r, mask, discount: np.stack(
            [_kept(r, mask)[:, t:] @ discount ** np.arange(r.shape[1] - t) for t in range(r.shape[1])], 1
        ),
        lambda r, mask, discount: _by_episode(_discounted)(r, mask, discount).tolist(),
        _recursion(lambda r, later, discount: r + discount * later),
        _discounted_backwards,
        _discounted_torch,
    ),
    misconceptions=(
        Misconception(
            "accumulated from the start",
            "Your sum runs from the past into the present: old rewards fade. It should look the other way, at what is "
            "still to come.",
            _by_episode(_forwards),
        ),
        Misconception(
            "accumulated from the start, discount counted from the start",
            "You add up what has been earned so far, discounted from the first step on. At step t, the sum begins "
            "with r_t and looks ahead.",
            _by_episode(lambda r, discount: (_powers(r, discount) * r).cumsum()),
        ),
        Misconception(
            "accumulated from the start, going on through the padding",
            "The past fades into the present here, and goes on fading behind the end. Two turns: look ahead instead of "
            "back, and put zeros where nothing happened.",
            lambda r, mask, discount: _kept(r, mask) @ _discounts(r.shape[1], discount).T,
        ),
        Misconception(
            "past and future",
            "You discount by the distance, in both directions. Only what lies ahead of t is still to come.",
            _by_episode(
                lambda r, discount: [
                    sum(discount ** abs(t - other) * r[other] for other in range(len(r))) for t in range(len(r))
                ]
            ),
        ),
        Misconception(
            "past and future, result not masked",
            "You discount by the distance in both directions, and the sums go on behind the end of an episode. What is "
            "still to come lies ahead, and there is an end to it.",
            lambda r, mask, discount: (
                _kept(r, mask) @ (_discounts(r.shape[1], discount) + np.tril(_discounts(r.shape[1], discount), -1).T)
            ),
        ),
        Misconception(
            "left reversed",
            "The right numbers in the wrong order: they were collected from the last step on, and entry 0 belongs to "
            "the first.",
            _by_episode(lambda r, discount: _discounted(r, discount)[::-1]),
        ),
        Misconception(
            "left reversed, over the whole row",
            "You collect the sums from the right end of the row and never turn them round, so that in short episodes "
            "they end up in the padding, too.",
            lambda r, mask, discount: (_kept(r, mask) @ _discounts(r.shape[1], discount))[:, ::-1],
        ),
        Misconception(
            "absolute discount",
            "Your γ counts from the first step: entry t is γ^(t−1) times what is asked. For the objective J_γ these "
            "are the right weights, as (6.9) says; here, what is r_t itself worth at t?",
            _by_episode(lambda r, discount: _powers(r, discount) * _discounted(r, discount)),
        ),
        Misconception(
            "discounted full return at every step",
            "Every step gets the same number, the discounted return of the whole episode. What lies before t has no "
            "place in it, and γ counts from t on.",
            _by_episode(lambda r, discount: np.full(len(r), _discounted(r, discount)[0])),
        ),
        Misconception(
            "one number for each trajectory",
            "You return one discounted return for each trajectory. Every step has one of its own: the result has the "
            "shape of rewards.",
            lambda r, mask, discount: _discounted_backwards(r, mask, discount)[:, 0],
        ),
        Misconception(
            "own reward only",
            "Each step gets its own reward and nothing of what follows. Either the loop runs forwards and reads what "
            "is not there yet, or the sum is set back at every step.",
            lambda r, mask, discount: _kept(r, mask),
        ),
        Misconception(
            "own reward, discounted",
            "You discount each reward, and add nothing up: γ^(t−1) r_t is one term of the first step's sum. Where are "
            "the others?",
            _by_episode(lambda r, discount: _powers(r, discount) * r),
        ),
        Misconception(
            "own reward left out",
            "r_t is missing from its own sum. It is the reward of a_t itself, and it counts in full.",
            _by_episode(lambda r, discount: _discounted(r, discount) - r),
        ),
        Misconception(
            "sum of the next step",
            "Entry t holds what belongs to the step after it. A running sum is written down before, or after, the "
            "step's own reward joins: which is right?",
            _by_episode(lambda r, discount: np.append(_discounted(r, discount)[1:], 0)),
        ),
        Misconception(
            "discount left out",
            "γ plays no part: a reward ten steps away counts as much as the next. By which factor does a reward shrink "
            "for each step that it lies ahead?",
            lambda r, mask, discount: _backwards(_kept(r, mask)),
        ),
        Misconception(
            "0.99 whatever the discount",
            "A discount of 0.99 stands in the code, whatever is asked. The argument says what γ is.",
            _by_episode(lambda r, _: _discounted(r, 0.99)),
        ),
        Misconception(
            "integer array from integer rewards",
            "Whole-number rewards give whole-number results here: np.zeros_like takes over the *type* of rewards, and "
            "what stands behind the point is cut off. Which type should the result have?",
            _integer_recursion,
        ),
        Misconception(
            "result stored as integers",
            "Where the rewards are whole numbers, your result is cut to whole numbers at the end: the array that takes "
            "it was made in the likeness of rewards.",
            _in_its_own_type,
        ),
        Misconception(
            "fractions added to an integer array",
            "NumPy refuses to add fractions to an array of whole numbers, which is what you have where the rewards are "
            "whole. Which type should your working copy have?",
            _in_place_integers,
        ),
        Misconception(
            "discounted twice",
            "The discount acts twice for every step: γ² where γ is asked. Do a power and a running product both take "
            "part?",
            _by_episode(lambda r, discount: _discounted(r, discount**2)),
        ),
        Misconception(
            "absolute discount, and the recursion's on top",
            "Rewards are discounted from the first step on, and then once more on their way back. One of the two is "
            "enough, and only one of them counts from t.",
            _by_episode(lambda r, discount: _discounted(_powers(r, discount) * r, discount)),
        ),
        Misconception(
            "discount on the own reward too",
            "Your sum begins with γ r_t. A reward that is paid now is not in the future: how many steps lie between "
            "t and t?",
            _by_episode(lambda r, discount: discount * _discounted(r, discount)),
        ),
        Misconception(
            "discount on the reward instead of the future",
            "Here every reward carries one factor γ, near or far. The own reward counts in full, and each further step "
            "costs one factor more: what does γ multiply in (6.4)?",
            _recursion(lambda r, later, discount: discount * r + later),
        ),
        Misconception(
            "one minus the discount",
            "The future is multiplied by 1 − γ. With γ = 1 nothing of it would be left, yet that is where it should "
            "count in full.",
            _by_episode(lambda r, discount: _discounted(r, 1 - discount)),
        ),
        Misconception(
            "only one step ahead",
            "Only the next reward joins in. It should be the next step's whole *sum*, discounted once.",
            _by_episode(lambda r, discount: r + discount * np.append(r[1:], 0)),
        ),
        Misconception(
            "one factor for the whole future",
            "Everything that lies ahead shrinks by the same γ, be it one step away or ten. Each further step costs "
            "another factor.",
            _by_episode(lambda r, discount: r + discount * (_backwards(r, 0) - r)),
        ),
        Misconception(
            "divided by powers of the discount",
            "Dividing by γ^t works on paper. With γ = 0 it is 0/0, and over thousands of steps γ^t underflows: find a "
            "way that never divides.",
            _by_episode(lambda r, discount: _backwards(_powers(r, discount) * r, 0) / _powers(r, discount)),
        ),
        Misconception(
            "divided by powers of the discount, over the whole row",
            "Dividing by γ^t works on paper. At γ = 0 it is 0/0, and over thousands of steps γ^t underflows; the other "
            "form of (6.4) never divides.",
            lambda r, mask, discount: _backwards(_powers(r[0], discount) * _kept(r, mask)) / _powers(r[0], discount),
        ),
        Misconception(
            "powers with the sign turned round",
            "Your exponent is t − t′, which is negative for everything that lies ahead: later rewards grow instead of "
            "shrinking. Which of the two times is the larger?",
            _by_episode(
                lambda r, discount: [
                    sum(discount ** (t - later) * r[later] for later in range(t, len(r))) for t in range(len(r))
                ]
            ),
        ),
        Misconception(
            "negative powers at zero discount",
            "Right wherever γ > 0. At γ = 0 you also compute powers that nobody needs, with negative exponents, and "
            "1/0 is no number.",
            lambda r, mask, discount: (
                _kept(r, mask) @ np.tril([[discount ** (u - t) for t in range(r.shape[1])] for u in range(r.shape[1])])
            ),
        ),
        Misconception(
            "powers of the discount on sums without one",
            "You add up first, undiscounted, and multiply with γ^(t−1) afterwards. Within the sum each reward has a "
            "factor of its own: its distance from t.",
            _by_episode(lambda r, discount: _powers(r, discount) * _backwards(r, 0)),
        ),
        Misconception(
            "a power of the discount in the recursion",
            "The recursion multiplies with γ^t at each step, which piles powers upon powers. One step back in time "
            "costs one factor.",
            _power_in_recursion,
        ),
        Misconception(
            "discounted total",
            "You discount the total reward by γ^(t−1). What lies before t should be gone, and each reward shrinks by "
            "its own distance from t.",
            _by_episode(lambda r, discount: _powers(r, discount) * r.sum()),
        ),
        Misconception(
            "discount counted from the end",
            "The nearest rewards shrink most, and the last of the episode counts in full: your powers of γ run in the "
            "opposite direction. Which reward of the sum should count in full?",
            _by_episode(
                lambda r, discount: [
                    sum(discount ** (len(r) - 1 - later) * r[later] for later in range(t, len(r)))
                    for t in range(len(r))
                ]
            ),
        ),
        Misconception(
            "last column left out",
            "The last column of the array never enters. Does a range or a slice stop one too early?",
            lambda r, mask, discount: (
                _kept(r, mask & (np.arange(r.shape[1]) < r.shape[1] - 1)) @ _discounts(r.shape[1], discount)
            ),
        ),
        Misconception(
            "last reward left out",
            "The last reward of every episode is missing, often the one that matters most. Where does your sum end?",
            _by_episode(lambda r, discount: _discounted(np.append(r[:-1], 0), discount)),
        ),
        Misconception(
            "mask on the running sum only",
            "The mask stops the running sum, and the reward beside it goes in unasked: padding reaches the last real "
            "step. Which of the two comes out of the padding?",
            _masked_sum,
        ),
        Misconception(
            "mask on the running sum only, and on the result",
            "The result is masked, and the running sum too, but not the reward that joins it: one number of padding "
            "slips into the last real step.",
            lambda r, mask, discount: _masked_sum(r, mask, discount) * mask,
        ),
        Misconception(
            "last column taken as it is",
            "The recursion masks every column but the one that it begins with. In short episodes that column is "
            "padding, and from there it flows everywhere.",
            lambda r, mask, discount: (
                np.where(np.arange(r.shape[1]) < r.shape[1] - 1, _kept(r, mask), r) @ _discounts(r.shape[1], discount)
            ),
        ),
        Misconception(
            "last column taken as it is, result masked",
            "The recursion begins with the last column unmasked, and masking the result comes too late. What does that "
            "column hold in a short episode?",
            lambda r, mask, discount: (
                np.where(np.arange(r.shape[1]) < r.shape[1] - 1, _kept(r, mask), r)
                @ _discounts(r.shape[1], discount)
                * mask
            ),
        ),
        Misconception(
            "first column left as it was",
            "All columns are added up but the first, which keeps its own reward. Does the range of your loop stop one "
            "too early?",
            lambda r, mask, discount: np.where(
                np.arange(r.shape[1]) > 0, _kept(r, mask) @ _discounts(r.shape[1], discount), r
            ),
        ),
        Misconception(
            "index −1 at the start of the row",
            "At t = 0 the index t − 1 is −1, which in Python is the *last* column: everything is added there once "
            "more. Where should the loop stop?",
            _wraps_round,
        ),
        Misconception(
            "leaking through the padding",
            "What stands behind the end of an episode flows back into it. Masking the result comes too late: the sum "
            "must not pick the padding up at all.",
            lambda r, mask, discount: _through_padding(r, mask, discount) * mask,
        ),
        Misconception(
            "mask ignored",
            "The padding is taken for rewards. It may hold any numbers: what does the mask tell you about them?",
            _through_padding,
        ),
        Misconception(
            "padding not zeroed",
            "Every real step is right, and the padding still holds what it held. Where the mask is False, zero is "
            "asked.",
            lambda r, mask, discount: np.where(mask, _discounted_backwards(r, mask, discount), r),
        ),
        Misconception(
            "mask the wrong way round",
            "You keep the padding and throw the episode away. What does True in the mask stand for?",
            lambda r, mask, discount: _discounted_backwards(r, ~mask, discount),
        ),
        Misconception(
            "flowing from one row into the one before",
            "Each episode also gets what the one listed after it earns. Set the running sum back to zero where a new "
            "row begins.",
            lambda r, mask, discount: _from_row_to_row(r, mask, discount, reversed),
        ),
        Misconception(
            "running sum never set back to zero",
            "From the second trajectory on, what earlier ones earned is in there too. Where does your running sum "
            "begin anew?",
            lambda r, mask, discount: _from_row_to_row(r, mask, discount, iter),
        ),
        Misconception(
            "running sum never set back to zero, nor the padding",
            "From the second trajectory on, what earlier ones earned flows in at the end of the row, through the "
            "padding. Where does your running sum begin anew?",
            _carried_over,
        ),
        Misconception(
            "everybody's rewards together",
            "At each time you add up what is still to come for *all* trajectories. A sum without an axis takes the "
            "whole array: which axis is the episode's own?",
            lambda r, mask, discount: (_kept(r, mask) @ _discounts(r.shape[1], discount)).sum(0) * mask,
        ),
        Misconception(
            "a list for each episode, as long as it lasted",
            "Your rows have different lengths. The result is an array like rewards: fill up with zeros where the mask "
            "is False.",
            lambda r, mask, discount: [
                _discounted(row[happened], discount) for row, happened in zip(r, mask, strict=True)
            ],
        ),
        Misconception(
            "batch treated as one long row",
            "Here the rows hang together as one long episode. Trajectories do not follow upon each other: work along "
            "the second axis only.",
            _through_the_batch,
        ),
        Misconception(
            "added up over the trajectories",
            "You go down the columns, from trajectory to trajectory, and discount on the way. Time runs along the "
            "second axis.",
            _over_trajectories,
        ),
        Misconception(
            "average of what is still to come",
            "You divide by the number of steps that are left. A return is a sum.",
            _by_episode(lambda r, discount: _discounted(r, discount) / np.arange(len(r), 0, -1)),
        ),
        Misconception(
            "average over the rest of the row",
            "You take a mean over what is left of the row, the padding counted as zeros. A return is a sum.",
            lambda r, mask, discount: _kept(r, mask) @ _discounts(r.shape[1], discount) / np.arange(r.shape[1], 0, -1),
        ),
        Misconception(
            "averaged with the discounts as weights",
            "You divide by the sum of the discounts, which makes an average of what is still to come. The sum itself "
            "is asked.",
            _by_episode(lambda r, discount: _discounted(r, discount) / _discounted(np.ones(len(r)), discount)),
        ),
        Misconception(
            "times one minus the discount",
            "The factor 1 − γ turns a discounted sum into an average, and at γ = 1 into nothing. Here the sum itself "
            "is asked.",
            _by_episode(lambda r, discount: (1 - discount) * _discounted(r, discount)),
        ),
        Misconception(
            "standardised",
            "You subtract a mean and divide by a deviation afterwards, as many programs do. That is for lesson 7; here "
            "the sums are asked as they are.",
            lambda r, mask, discount: _standardised(_discounted_backwards(r, mask, discount), mask),
        ),
        Misconception(
            "standardised, with a tiny number below",
            "Your sums are centred and divided by their deviation plus something tiny. A step of its own, for lesson "
            "7; here the plain sums are asked.",
            lambda r, mask, discount: _standardised(_discounted_backwards(r, mask, discount), mask, 1e-8),
        ),
    ),
)

# bug_hunt_game_boundary


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
    return (_discounts(len(rewards), discount) * together).T @ rewards


def _boundary_torch(rewards, ended, discount):
    running, out = 0.0, []
    rewards = torch.tensor(rewards, dtype=torch.float64)
    for r, last in zip(rewards.flip(0), ended[::-1], strict=True):
        running = r + discount * running * (not last)
        out.insert(0, running)
    return torch.stack(out)


BUG_HUNT_GAME_BOUNDARY = Exercise(
    name="bug_hunt_game_boundary",
    lesson=6,
    points=3,
    minutes=15,
    difficulty=2,
    signature="bug_hunt_game_boundary(rewards (L,), ended (L,), discount) -> (L,)",
    cases=_boundary_cases,
    oracle=_boundary_oracle,
    references=("estimators.rewards_to_go",),
    accepts=(
        _hunt(_at_end),
        _by_games(_discounted),
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
            lambda rewards, ended, discount: _powers(rewards, discount) * _hunt(_at_end)(rewards, ended, discount),
        ),
        Misconception(
            "last reward lost",
            "At the end of an episode everything is set to zero, the last reward included. It is earned: only what "
            "comes after it belongs to somebody else.",
            _by_games(lambda r, discount: _discounted(np.append(r[:-1], 0), discount)),
        ),
        Misconception(
            "accumulated from the start",
            "You walk forwards, so each step gets what was earned before it. The buggy code was right about the "
            "direction.",
            _by_games(_forwards),
        ),
        Misconception(
            "left reversed within each episode",
            "The right numbers, in reversed order within each episode: what is collected backwards has to be turned "
            "round at the end.",
            _by_games(lambda r, discount: _discounted(r, discount)[::-1]),
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
            _by_games(lambda r, discount: np.full(len(r), _discounted(r, discount)[0])),
        ),
        Misconception(
            "own reward left out",
            "Each step gets what comes after it, discounted, without its own reward. r_t is the pay for a_t: when do "
            "you write the running sum down?",
            _by_games(lambda r, discount: _discounted(r, discount) - r),
        ),
        Misconception(
            "absolute discount",
            "γ counts from the beginning of the episode here. At step t it should count from t: r_t itself is worth "
            "its full value.",
            _by_games(lambda r, discount: _powers(r, discount) * _discounted(r, discount)),
        ),
        Misconception(
            "one list for each episode",
            "You return the episodes apart. The buffer is one long row, and so is the result: string them together "
            "again.",
            lambda rewards, ended, discount: [
                _discounted(game, discount) for game in np.split(rewards, np.flatnonzero(ended)[:-1] + 1)
            ],
        ),
        Misconception(
            "standardised",
            "You subtract the mean and divide by the deviation, as the code this comes from does next. Here the plain "
            "sums are asked.",
            lambda rewards, ended, discount: _standardised(
                _hunt(_at_end)(rewards, ended, discount), np.ones(len(rewards), dtype=bool)
            ),
        ),
    ),
)

EXERCISES = [CAUSALITY_TABLE, REWARDS_TO_GO, DISCOUNTED_REWARDS_TO_GO, BUG_HUNT_GAME_BOUNDARY]
