import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.lesson_1.shared import EXTREME, one_hot, overflowing_softmax
from pgcourse.exercises.pieces import autograd, in_torch, slow_softmax, softmax


def _estimate_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [
        ([0.0, 0.0], [1], [2.0]),
        ([0.0, 1.0], [0, 0], [1.0, -3.0]),
        ([0.5, -0.5, 0.0], [2, 0, 2], [1.0, 2.0, 4.0]),
        ([3.0], [0, 0], [1.0, 5.0]),
    ]
    extreme = [(logits, rng.integers(len(logits), size=4), rewards_like(rng, 4)) for logits in EXTREME]
    drawn = [
        (rng.normal(scale=1.5, size=size), rng.integers(size, size=samples), rewards_like(rng, samples))
        for size, samples in ((4, 2), (3, 3), (2, 5), (3, 9), (5, 8))
    ]
    cases = (*fixed, *extreme, *drawn)
    return [case(logits=logits, actions=actions, rewards=rewards) for logits, actions, rewards in cases]


def _estimate_oracle(logits, actions, rewards):
    probabilities = slow_softmax(logits)
    estimate = [0.0] * len(logits)
    for action, reward in zip(actions, rewards, strict=True):
        for a, probability in enumerate(probabilities):
            estimate[a] += ((a == action) - probability) * reward / len(actions)
    return estimate


def _score_rows(logits, actions):
    return np.eye(len(logits))[actions] - softmax(logits)


def _lost_repetitions(logits, actions, rewards):
    gained = np.zeros(len(logits))
    gained[actions] += rewards
    return (gained - softmax(logits) * rewards.sum()) / len(rewards)


def _mean_reward_by_action(logits, actions, rewards):
    counts = np.bincount(actions, minlength=len(logits))
    means = np.bincount(actions, rewards, len(logits)) / np.maximum(counts, 1)
    return softmax(logits) * (means - softmax(logits) @ means)


EXERCISE = Exercise(
    name="score_function_estimate",
    lesson=1,
    place=4,
    points=3,
    minutes=15,
    difficulty=2,
    signature="score_function_estimate(logits (A,), actions (N,), rewards (N,)) -> (A,); sample i earned rewards[i]",
    cases=_estimate_cases,
    oracle=_estimate_oracle,
    references=(
        "estimators.gradients",
        "estimators.scores",
        "estimators.surrogate_loss",
        "estimators._table_gradients",
        "distributed.gradient",
    ),
    accepts=(
        lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards[:, None]).mean(0),
        lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / len(rewards),
        lambda logits, actions, rewards: np.einsum("n,na->a", rewards, _score_rows(logits, actions)) / actions.size,
        lambda logits, actions, rewards: (
            sum(r * (one_hot(logits, a) - softmax(logits)) for a, r in zip(actions, rewards, strict=True))
            / len(actions)
        ),
        in_torch(
            lambda logits, actions, rewards: autograd(
                lambda x: (torch.distributions.Categorical(logits=x).log_prob(actions) * rewards).mean(), logits
            )
        ),
        lambda logits, actions, rewards: list(
            (np.bincount(actions, rewards, len(logits)) - softmax(logits) * rewards.sum()) / len(rewards)
        ),
        lambda logits, actions, rewards: np.float32((_score_rows(logits, actions) * rewards[:, None]).mean(0)),
    ),
    misconceptions=(
        Misconception(
            "sum without 1/N",
            "The terms are right, but they are only added up. An expectation is estimated by an average: ten times as "
            "many samples should not make it ten times as long.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions),
        ),
        Misconception(
            "wrong sign",
            "Turned round: along this vector the rewarded actions become rarer. The estimate points uphill.",
            lambda logits, actions, rewards: -rewards @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "wrong sign, and sum without 1/N",
            "Two things: the direction (the estimate points uphill) and the length (it is an average over samples).",
            lambda logits, actions, rewards: -rewards @ _score_rows(logits, actions),
        ),
        Misconception(
            "score without the probabilities",
            "You count the rewards of each action. The score has a second part, which pulls every other action down: "
            "look at softmax_score again.",
            lambda logits, actions, rewards: rewards @ np.eye(len(logits))[actions] / len(rewards),
        ),
        Misconception(
            "score without the probabilities, and sum without 1/N",
            "You add up the rewards of each action. The score has a second part, the probabilities, and the estimate "
            "is an average over the samples.",
            lambda logits, actions, rewards: rewards @ np.eye(len(logits))[actions],
        ),
        Misconception(
            "only the chosen action's entry of the score",
            "Only the logit of the action taken gets anything. When one probability rises the others fall: the score "
            "has an entry for each of them.",
            lambda logits, actions, rewards: (
                rewards @ (np.eye(len(logits))[actions] * (1 - softmax(logits))) / len(rewards)
            ),
        ),
        Misconception(
            "logits in place of probabilities",
            "You subtract the logits. They have to become probabilities first: look at softmax_score again.",
            lambda logits, actions, rewards: rewards @ (np.eye(len(logits))[actions] - logits) / len(rewards),
        ),
        Misconception(
            "compared with a uniform policy",
            "You subtract 1/A, what a policy that knows nothing would have. The samples came from this policy, with "
            "its own probabilities.",
            lambda logits, actions, rewards: rewards @ (np.eye(len(logits))[actions] - 1 / len(logits)) / len(rewards),
        ),
        Misconception(
            "mean score times mean reward",
            "An average times an average is not the average of the products: which action earned what is lost. "
            "Multiply sample by sample, then average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0) * rewards.mean(),
        ),
        Misconception(
            "mean score times summed reward",
            "All samples get the same weight, the sum of all rewards. Sample i is worth what sample i earned: the "
            "product belongs inside the average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0) * rewards.sum(),
        ),
        Misconception(
            "summed score times summed reward",
            "One sum times another pairs every action with everybody's reward. Keep the pairs (action, reward) "
            "together inside one average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).sum(0) * rewards.sum(),
        ),
        Misconception(
            "probabilities counted twice",
            "You weigh each sample with its probability, or differentiate π instead of log π, which is the same. "
            "Sampling has done that already: likely actions turn up more often.",
            lambda logits, actions, rewards: (
                (rewards * softmax(logits)[actions]) @ _score_rows(logits, actions) / len(rewards)
            ),
        ),
        Misconception(
            "divided by the probability",
            "You divide by the probability of the action taken, as if it had been drawn from a uniform policy. It was "
            "drawn from this one: nothing needs correcting.",
            lambda logits, actions, rewards: (
                (rewards / softmax(logits)[actions]) @ _score_rows(logits, actions) / len(rewards)
            ),
        ),
        Misconception(
            "averaged over the actions instead of the samples",
            "You divide by A, the number of actions. The average runs over the samples.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / len(logits),
        ),
        Misconception(
            "reward looked up by action",
            "You read rewards[action], as if there were one reward for each arm. Here rewards[i] is what sample i "
            "earned, in the order of the samples.",
            lambda logits, actions, rewards: rewards[actions] @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "repeated actions lost",
            "When an action turns up twice, one of its rewards is lost: NumPy's out[actions] += rewards writes each "
            "place once. np.add.at or np.bincount add every time.",
            _lost_repetitions,
        ),
        Misconception(
            "mean reward of each action, then the exact gradient",
            "You estimate each arm's mean reward and put it into the exact formula. That is another estimator, and "
            "biased where an arm was never drawn; the score-function estimate averages the samples as they are.",
            _mean_reward_by_action,
        ),
        Misconception(
            "rewards left out",
            "This is the mean score, zero in expectation: every sampled action is encouraged, well paid or not. Where "
            "does its reward come in?",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0),
        ),
        Misconception(
            "mean reward subtracted",
            "You subtract the mean of the rewards. A good instinct, and lesson 7 is about it; here the plain estimate "
            "is asked, with the rewards as they are.",
            lambda logits, actions, rewards: (rewards - rewards.mean()) @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "weighted average",
            "You divide by the sum of the rewards, as in a weighted average. That sum may be zero or negative: the "
            "average runs over N samples, whatever they earned.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / rewards.sum(),
        ),
        Misconception(
            "not averaged",
            "These are the terms, a row for each sample. The estimate is their average, with an entry for each logit.",
            lambda logits, actions, rewards: _score_rows(logits, actions) * rewards[:, None],
        ),
        Misconception(
            "averaged along the wrong axis",
            "You average over the actions and keep the samples. It is the other way round: the result has an entry for "
            "each logit.",
            lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards[:, None]).mean(1),
        ),
        Misconception(
            "rewards along the actions' axis",
            "Shapes: (N, A) times (N,) lines the rewards up with the *actions*, and fails or, worse, works when N = A. "
            "Give the rewards a second axis.",
            lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards).mean(0),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. The cure is the one of log_softmax.",
            lambda logits, actions, rewards: (
                rewards @ (np.eye(len(logits))[actions] - overflowing_softmax(logits)) / len(rewards)
            ),
        ),
    ),
)
