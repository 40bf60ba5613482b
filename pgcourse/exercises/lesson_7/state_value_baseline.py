import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, padded_rewards, random_masks, rewards_like, with_garbage


def _value_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards_to_go=[[5.0, 2.0]], values=[[4.0, 3.0]], mask=[[True, True]]),
        case(rewards_to_go=[[3.0, 1.0], [6.0, 9.0]], values=[[2.5, 2.0], [4.0, 7.0]], mask=[[True] * 2, [True, False]]),
        case(rewards_to_go=[[2, 1, -3]], values=[[0.5, 1.5, -1.0]], mask=[[True] * 3]),
    ]
    for mask in random_masks(rng):
        returns = padded_rewards(rng, mask, 100)
        values = with_garbage(rng, rewards_like(rng, *mask.shape) + 0.25, mask, 100)
        cases.append(case(rewards_to_go=returns, values=values, mask=mask))
    return cases


def _value_oracle(rewards_to_go, values, mask):
    advantages = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        advantages[i, t] = float(rewards_to_go[i, t]) - float(values[i, t])
    return advantages


def _value_lists(rewards_to_go, values, mask):
    rows = zip(rewards_to_go.tolist(), values.tolist(), mask.tolist(), strict=True)
    return [[g - v if m else 0.0 for g, v, m in zip(*row, strict=True)] for row in rows]


def _value_assigned(rewards_to_go, values, mask):
    out = np.zeros(mask.shape)
    out[mask] = rewards_to_go[mask] - values[mask]
    return out


def _one_at_a_time(change):
    """For each episode by itself: change(G (L,), V (L,)) → (L,), written back into zeros."""

    def compute(rewards_to_go, values, mask):
        out = np.zeros(mask.shape)
        for i, happened in enumerate(mask):
            out[i, happened] = change(rewards_to_go[i, happened].astype(float), values[i, happened])
        return out

    return compute


EXERCISE = Exercise(
    name="state_value_baseline",
    lesson=7,
    place=4,
    points=2,
    minutes=8,
    difficulty=1,
    signature=(
        "state_value_baseline(rewards_to_go (N,T), values (N,T), mask (N,T) bool) -> (N,T), advantages; zero where "
        "mask is False"
    ),
    cases=_value_cases,
    oracle=_value_oracle,
    references=("estimators.state_value_advantages", "estimators.log_ratios"),
    accepts=(
        lambda g, v, m: np.where(m, g - v, 0),
        lambda g, v, m: (g - v) * m,
        lambda g, v, m: g * m - v * m,
        lambda g, v, m: np.where(m, np.float32(g) - np.float32(v), np.float32(0)),
        lambda g, v, m: torch.where(torch.tensor(m), torch.tensor(g) - torch.tensor(v), 0.0),
        lambda g, v, m: (torch.tensor(g) - torch.tensor(v)).masked_fill(~torch.tensor(m), 0),
        _value_lists,
        _value_assigned,
    ),
    misconceptions=(
        Misconception(
            "padding not masked",
            "The steps that happened are right. Behind the end of an episode something is left over from the padding, "
            "which may hold anything.",
            lambda g, v, m: g - v,
        ),
        Misconception(
            "value minus return, padding not masked",
            "Two things: which of the two is subtracted from which, and what becomes of the steps that never happened.",
            lambda g, v, m: v - g,
        ),
        Misconception(
            "value minus return",
            "The other way round: an action after which you earned more than the state promised has a positive "
            "advantage.",
            lambda g, v, m: (v - g) * m,
        ),
        Misconception(
            "only the values masked",
            "In the padding the value is gone and the reward to go still there. The mask is for the whole difference.",
            lambda g, v, m: g - v * m,
        ),
        Misconception(
            "only the returns masked",
            "In the padding the reward to go is gone and the value still there. The mask is for the whole difference.",
            lambda g, v, m: g * m - v,
        ),
        Misconception(
            "mask the wrong way round",
            "What happened is blanked and what is padding kept. True stands for a step that really happened.",
            lambda g, v, m: np.where(m, 0.0, g - v),
        ),
        Misconception(
            "nothing subtracted",
            "These are the rewards to go, masked. What did the state promise?",
            lambda g, v, m: g * m * 1.0,
        ),
        Misconception(
            "values instead of advantages",
            "These are the values, masked: what was to be expected. The advantage is what came *beyond* that.",
            lambda g, v, m: v * m,
        ),
        Misconception(
            "value added",
            "A plus where a minus should be.",
            lambda g, v, m: (g + v) * m,
        ),
        Misconception(
            "value of the first state for all steps",
            "One value, that of the first state, is used all along. Each step is compared with the value of the state "
            "it is in.",
            _one_at_a_time(lambda g, v: g - v[0]),
        ),
        Misconception(
            "value of the next state",
            "The value is one step ahead: V of the state *after* the action already knows something of what the action "
            "did.",
            _one_at_a_time(lambda g, v: g - np.append(v[1:], 0)),
        ),
        Misconception(
            "value of the state before",
            "The value is one step late: each reward to go meets the value of the state before its own.",
            _one_at_a_time(lambda g, v: g - np.append(0, v[:-1])),
        ),
        Misconception(
            "mean value of the episode",
            "You average the values over the episode first. Then a step in a good state and a step in a bad one have "
            "the same baseline.",
            _one_at_a_time(lambda g, v: g - v.mean()),
        ),
        Misconception(
            "mean value of the batch",
            "You subtract one number, the mean of all values. The point of a state value is that it differs from state "
            "to state.",
            lambda g, v, m: (g - v[m].mean()) * m,
        ),
        Misconception(
            "mean value of the batch, padding included",
            "You subtract one number for all steps, and the garbage behind the episodes is in it. Each step has its "
            "own value.",
            lambda g, v, m: (g - v.mean()) * m,
        ),
        Misconception(
            "mean over the trajectories at each step",
            "You average the values over the batch, step by step. Every state has its own value; nothing is to be "
            "averaged here.",
            lambda g, v, m: (g - v.mean(0)) * m,
        ),
        Misconception(
            "batch mean of the rewards to go",
            "You compare with the mean of the rewards to go, and the values are not used. They are the baseline here.",
            lambda g, v, m: (g - (g * m).mean(0)) * m,
        ),
        Misconception(
            "centred afterwards",
            "The differences are right, and then their mean is taken off as well. A second baseline was not asked for.",
            lambda g, v, m: (g - v - (g - v)[m].mean()) * m,
        ),
        Misconception(
            "standardised afterwards",
            "The differences are right, and then they are centred and scaled. That comes later in the lesson, at a "
            "price.",
            lambda g, v, m: (g - v - (g - v)[m].mean()) / (g - v)[m].std() * m,
        ),
        Misconception(
            "summed over the steps",
            "The advantages of an episode are added up. Each belongs to its own step, (N, T), because it multiplies "
            "the score of that step alone.",
            lambda g, v, m: ((g - v) * m).sum(1),
        ),
        Misconception(
            "padding dropped",
            "Only the steps that happened are left, in one long row. Keep the shape (N, T), with zeros in the padding.",
            lambda g, v, m: (g - v)[m],
        ),
        Misconception(
            "squared difference",
            "That is the loss with which one *fits* the values. The advantage keeps its sign.",
            lambda g, v, m: (g - v) ** 2 * m,
        ),
        Misconception(
            "distance without a sign",
            "You keep how far off the value was and drop in which direction. Better or worse than expected: that is "
            "what the sign says.",
            lambda g, v, m: np.abs(g - v) * m,
        ),
        Misconception(
            "divided by the value",
            "A baseline is subtracted. A quotient would blow up where a state promises nothing.",
            lambda g, v, m: np.where(m, g / v, 0),
        ),
        Misconception(
            "returns accumulated once more",
            "What comes in are rewards to go already; here they are summed from each step on a second time.",
            _one_at_a_time(lambda g, v: np.cumsum(g[::-1])[::-1] - v),
        ),
        Misconception(
            "NaN in the padding",
            "NaN marks the padding nicely and spoils every sum it gets into. Zero was asked.",
            lambda g, v, m: np.where(m, g - v, np.nan),
        ),
    ),
)
