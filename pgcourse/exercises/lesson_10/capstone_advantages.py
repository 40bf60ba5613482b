import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, padded_rewards, random_mask
from pgcourse.exercises.lesson_10.shared import discounted_to_go, mean_of_others, recipe, safely
from pgcourse.exercises.pieces import in_single


def _advantages_cases(seed):
    rng = np.random.default_rng(seed)
    equal = {"rewards": [[1.0, -2.0, 20.0], [1.0, -2.0, -11.0]], "mask": [[True, True, False]] * 2}
    cases = [
        case(rewards=[[1.0, 2.0], [3.0, -7.0]], mask=[[True, True], [True, False]], discount=1.0),
        case(rewards=[[1.0, 1.0, 1.0], [1.0, 9.0, -9.0]], mask=mask_of([3, 1]), discount=0.5),
        case(**equal, discount=0.5),
    ]
    for shape, discount in zip((*SHAPES, (5, 4)), (0.5, 0.0, 0.5, 1.0, 1.0, 0.9, 0.5), strict=True):
        mask = random_mask(rng, *shape)
        cases.append(case(rewards=padded_rewards(rng, mask, 20), mask=mask, discount=discount))
    return cases


def _advantages_oracle(rewards, mask, discount):
    advantages = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        for j in range(len(mask)):
            to_go = sum(discount ** (k - t) * rewards[j, k] for k in range(t, mask.shape[1]) if mask[j, k])
            advantages[i, t] += (i == j) * to_go - to_go / len(mask)
    happened = [advantages[i, t] for i, t in np.argwhere(mask)]
    deviation = np.sqrt(sum((a - sum(happened) / len(happened)) ** 2 for a in happened) / len(happened))
    return advantages / deviation if deviation > 1e-9 else 0 * advantages


def _so_far(rewards, mask, discount):
    returns = np.where(mask, rewards, 0.0)
    for t in range(1, mask.shape[1]):
        returns[:, t] += discount * returns[:, t - 1]
    return mask * returns


_UNDIVIDED = {"deviation": lambda advantages, mask, returns: np.float64(1)}


def _standardised_again(rewards, mask, discount):
    advantages = recipe(**_UNDIVIDED)(rewards, mask, discount)
    return mask * safely(advantages - advantages[mask].mean(), advantages[mask].std())


def _advantages_torch(rewards, mask, discount):
    rewards, mask = torch.from_numpy(rewards), torch.from_numpy(mask)
    returns, following = torch.zeros_like(rewards), torch.zeros(len(rewards), dtype=torch.float64)
    for t in reversed(range(rewards.shape[1])):
        following = torch.where(mask[:, t], rewards[:, t] + discount * following, 0.0)
        returns[:, t] = following
    advantages = torch.where(mask, returns - returns.mean(0), 0.0)
    deviation = advantages[mask].std(correction=0)
    return advantages / deviation if deviation > 0 else torch.zeros_like(advantages)


def _advantages_powers(rewards, mask, discount):
    t = np.arange(mask.shape[1])
    powers = np.tril(np.float64(discount) ** np.abs(t[:, None] - t))
    returns = np.where(mask, rewards, 0) @ powers
    advantages = np.where(mask, returns - returns.sum(0) / len(returns), 0)
    scale = np.std(advantages[mask])
    return advantages if scale < 1e-12 else advantages / scale


EXERCISE = Exercise(
    name="capstone_advantages",
    lesson=10,
    place=1,
    points=3,
    minutes=20,
    difficulty=2,
    signature="capstone_advantages(rewards (N,T), mask (N,T), discount) -> (N,T)",
    cases=_advantages_cases,
    oracle=_advantages_oracle,
    roundings=64,
    references=(
        "reinforce.standardised_to_go",
        "estimators.rewards_to_go",
        "estimators.batch_mean_advantages",
        "estimators.divided_by_deviation",
    ),
    accepts=(
        recipe(),
        _advantages_torch,
        _advantages_powers,
        in_single(recipe()),
        lambda *arguments: recipe()(*arguments).tolist(),
    ),
    misconceptions=(
        Misconception(
            "not divided by the deviation",
            "The centring is right. The last of the three steps is missing: what makes its size steady?",
            recipe(**_UNDIVIDED),
        ),
        Misconception(
            "no baseline",
            "You divide by the deviation without taking a baseline away first. Every return of CartPole is positive: "
            "what would all actions be told?",
            recipe(baseline=lambda returns, mask: 0.0),
        ),
        Misconception(
            "rewards to go and nothing else",
            "These are the rewards to go. Two steps of the recipe still follow: a baseline, and a scale.",
            recipe(baseline=lambda returns, mask: 0.0, **_UNDIVIDED),
        ),
        Misconception(
            "the whole return at every step",
            "Every step of an episode gets the same return, that of its beginning. What had been earned before an "
            "action is none of its merit.",
            recipe(returns=lambda rewards, mask, discount: mask * discounted_to_go(rewards, mask, discount)[:, :1]),
        ),
        Misconception(
            "rewards so far instead of to go",
            "You add up the rewards from the start to t. The action at t can only bring about what comes from t on.",
            recipe(returns=_so_far),
        ),
        Misconception(
            "own reward left out",
            "The sum begins one step too late: the reward of the action itself is missing.",
            recipe(returns=lambda rewards, mask, discount: discounted_to_go(rewards, mask, discount) - mask * rewards),
        ),
        Misconception(
            "discount ignored",
            "The discount does nothing in your answer. A reward that is k steps away counts γ to the k.",
            recipe(returns=lambda rewards, mask, discount: discounted_to_go(rewards, mask, 1.0)),
        ),
        Misconception(
            "discounted from the start of the episode",
            "You count the powers of γ from the start of the episode. The recipe counts them from the step itself, and "
            "leaves γ to the t out (the card of lesson 6 says what that costs).",
            recipe(
                returns=lambda rewards, mask, discount: discounted_to_go(
                    rewards * discount ** np.arange(mask.shape[1]), mask, 1.0
                )
            ),
        ),
        Misconception(
            "padding leaks into the returns",
            "Rewards from behind the end of an episode flow back into it. Silence them before you add anything up.",
            recipe(
                returns=lambda rewards, mask, discount: mask * discounted_to_go(rewards, np.ones_like(mask), discount)
            ),
        ),
        Misconception(
            "padding leaks into everything",
            "What stands behind the end of an episode flows back into its returns, and into the mean of the others. "
            "Silence it before you add anything up.",
            recipe(returns=lambda rewards, mask, discount: discounted_to_go(rewards, np.ones_like(mask), discount)),
        ),
        Misconception(
            "the baseline goes on after the end",
            "Where an episode is over, yours shows minus the baseline. A step that never happened has no advantage.",
            recipe(keep=np.ones_like),
        ),
        Misconception(
            "baseline over the living only",
            "You divide the sum at each step by the number of episodes still going. The mean of (7.2) divides by N: a "
            "finished episode earns 0 from there on, and that counts.",
            recipe(baseline=lambda returns, mask: returns.sum(0) / np.maximum(mask.sum(0), 1)),
        ),
        Misconception(
            "baseline over time",
            "Your mean runs along each episode. The baseline compares an episode with the others, at the same step: "
            "which axis is that?",
            recipe(baseline=lambda returns, mask: returns.mean(1, keepdims=True)),
        ),
        Misconception(
            "baseline over the steps of each episode",
            "You subtract from each episode its own mean. Compare an episode with the others, at the same step.",
            recipe(baseline=lambda returns, mask: (returns.sum(1) / mask.sum(1))[:, None]),
        ),
        Misconception(
            "one mean for all steps",
            "You subtract one number from all steps. Early steps have more ahead of them than late ones, so each step "
            "needs a mean of its own.",
            recipe(baseline=lambda returns, mask: returns[mask].mean()),
        ),
        Misconception(
            "one mean over everything, padding too",
            "You subtract a single number, and padding takes part in it. Each step needs a mean of its own.",
            recipe(baseline=lambda returns, mask: returns.mean()),
        ),
        Misconception(
            "leave-one-out",
            "This leaves each episode out of its own baseline: unbiased, and a fine choice. Asked is the plain mean, "
            "(7.2), everybody included.",
            recipe(baseline=mean_of_others),
        ),
        Misconception(
            "the mean of all rewards to go taken away as well",
            "After the baseline you centre once more, over all steps. Divide by the deviation, and subtract nothing "
            "further.",
            _standardised_again,
        ),
        Misconception(
            "deviation over the padding too",
            "The zeros of the padding take part in your deviation and make it smaller. Which entries happened?",
            recipe(deviation=lambda advantages, mask, returns: advantages.std()),
        ),
        Misconception(
            "deviation of the returns",
            "You divide by the deviation of the rewards to go. Which numbers are to come out with deviation one?",
            recipe(deviation=lambda advantages, mask, returns: returns[mask].std()),
        ),
        Misconception(
            "deviation of the returns, padding too",
            "You divide by the deviation of the rewards to go, with the padding's zeros among them. Which numbers are "
            "to come out with deviation one?",
            recipe(deviation=lambda advantages, mask, returns: returns.std()),
        ),
        Misconception(
            "root mean square instead of the deviation",
            "You divide by the root of the mean square. The deviation measures from the mean of the numbers, and with "
            "episodes of unequal length that is not zero.",
            recipe(deviation=lambda advantages, mask, returns: np.sqrt((advantages[mask] ** 2).mean())),
        ),
        Misconception(
            "deviation with n − 1",
            "You divide by n − 1 inside the deviation (torch's .std() does so unasked). Here it is n: the numbers are "
            "all there is, not a sample of something.",
            recipe(
                deviation=lambda advantages, mask, returns: (
                    advantages[mask].std() * np.sqrt(mask.sum() / max(mask.sum() - 1, 1))
                )
            ),
        ),
        Misconception(
            "variance instead of deviation",
            "You divide by the variance. Somewhere a square root got lost.",
            recipe(deviation=lambda advantages, mask, returns: advantages[mask].var()),
        ),
        Misconception(
            "a deviation for each time step",
            "Each step has a deviation of its own in your answer. One number for the whole batch is asked.",
            recipe(deviation=lambda advantages, mask, returns: advantages.std(0)),
        ),
        Misconception(
            "a deviation for each episode",
            "Each episode is divided by its own deviation. One number for the whole batch is asked.",
            recipe(deviation=lambda advantages, mask, returns: advantages.std(1, keepdims=True)),
        ),
        Misconception(
            "zero divided by zero",
            "Where all episodes fare alike, all advantages are zero and so is their deviation. Then there is nothing "
            "to learn: return zeros.",
            recipe(divide=lambda values, deviation: values / deviation),
        ),
        Misconception(
            "baseline minus return",
            "The signs are turned round: what went better than the mean comes out negative.",
            lambda *arguments: -recipe()(*arguments),
        ),
    ),
)
