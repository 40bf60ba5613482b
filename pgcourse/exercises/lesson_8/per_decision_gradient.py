import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.lesson_8.shared import (
    RATIO_UPSIDE_DOWN,
    gradient_cases,
    log_rhos,
    masked,
    mean_of,
    per_decision,
)
from pgcourse.exercises.pieces import backwards


def _per_decision_oracle(scores, new_log_probs, old_log_probs, rewards, mask):
    total = np.zeros(scores.shape[2])
    for i in range(len(mask)):
        steps = [t for t in range(mask.shape[1]) if mask[i, t]]
        for t in steps:
            weight = 0.0
            for later in steps[t:]:
                ratio = 1.0
                for k in steps[: later + 1]:
                    ratio *= math.exp(new_log_probs[i, k] - old_log_probs[i, k])
                weight += ratio * rewards[i, later]
            total += weight * scores[i, t]
    return total / len(mask)


def _weights(rho, r):
    return backwards(np.cumprod(rho, 1) * r)


_right = per_decision(_weights)


def _products_from(rho, r, first):
    """w_t = Σ_{t'≥t} r_t' Π ρ_k over k from first(t) to t'."""
    num_steps = rho.shape[1]
    weights = np.zeros_like(r)
    for t in range(num_steps):
        for later in range(t, num_steps):
            weights[:, t] += r[:, later] * rho[:, first(t) : later + 1].prod(1)
    return weights


def _per_decision_by_running_product(scores, new, old, rewards, mask):
    total = 0
    for i in range(len(mask)):
        ratio, so_far = 1.0, np.zeros(scores.shape[2])
        for t in np.flatnonzero(mask[i]):
            ratio *= np.exp(new[i, t] - old[i, t])
            so_far = so_far + scores[i, t]  # the sum of the scores that led to this reward
            total = total + so_far * ratio * rewards[i, t]
    return total / len(mask)


def _per_decision_by_torch(scores, new, old, rewards, mask):
    scores, new, old, rewards, mask = (torch.from_numpy(x) for x in (scores, new, old, rewards, mask))
    weighted = torch.exp(torch.cumsum((new - old) * mask, 1)) * rewards * mask
    to_go = weighted.flip(1).cumsum(1).flip(1)
    return (scores * (to_go * mask)[..., None]).sum(1).mean(0)


def _per_decision_by_triangle(scores, new, old, rewards, mask):
    reaches = np.triu(np.ones((mask.shape[1],) * 2))
    weights = (np.exp(((new - old) * mask) @ reaches) * rewards * mask) @ reaches.T
    return np.einsum("ntp,nt,nt->p", scores, weights, mask) / len(mask)


def _without_mask(scores, new, old, rewards, mask):
    return mean_of(scores, _weights(np.exp(new - old), rewards))


EXERCISE = Exercise(
    name="per_decision_gradient",
    lesson=8,
    place=4,
    points=5,
    minutes=25,
    difficulty=3,
    signature=(
        "per_decision_gradient(scores (N,T,P), new_log_probs (N,T), old_log_probs (N,T), rewards (N,T), mask (N,T)) "
        "-> (P,); scores of the new policy"
    ),
    cases=lambda seed: gradient_cases(seed, "rewards", lambda r, mask: r),
    oracle=_per_decision_oracle,
    references=("estimators.per_decision_weights",),
    accepts=(
        _right,
        lambda *arguments: _right(*arguments).tolist(),
        lambda *arguments: np.float32(_right(*arguments)),
        _per_decision_by_running_product,
        _per_decision_by_torch,
        _per_decision_by_triangle,
        lambda s, new, old, r, mask: per_decision(_weights)(s, new * mask, old * mask, r * mask, mask),
    ),
    misconceptions=(
        Misconception(
            "own ratio counted twice",
            "Look at ρ_t, the ratio of the step whose score it is: here it comes in twice, once with what led to t and "
            "once with what follows. Count each ratio once.",
            per_decision(lambda rho, r: rho * _weights(rho, r)),
        ),
        Misconception(
            "every ratio up to t counted twice",
            "The product up to t stands before the sum *and* inside it: each of these ratios counts twice.",
            per_decision(lambda rho, r: np.cumprod(rho, 1) * _weights(rho, r)),
        ),
        Misconception(
            "ratio omitted",
            "These are rewards to go as if the new policy had sampled them. Where do the two policies' "
            "log-probabilities come in?",
            per_decision(lambda rho, r: backwards(r)),
        ),
        Misconception(
            "ratio upside down",
            RATIO_UPSIDE_DOWN,
            per_decision(lambda rho, r: _weights(1 / rho, r)),
        ),
        Misconception(
            "first order",
            "One ratio, ρ_t, for all of the reward to go: that is (8.6), which comes next and is biased. Here a reward "
            "is weighted with everything that led to it.",
            per_decision(lambda rho, r: rho * backwards(r)),
        ),
        Misconception(
            "product up to t only",
            "You weight the whole reward to go with the product up to t. A reward at t' > t depends on choices after t "
            "as well: until when must *its* product run?",
            per_decision(lambda rho, r: np.cumprod(rho, 1) * backwards(r)),
        ),
        Misconception(
            "whole trajectory's weight",
            "You weight every reward with the whole trajectory's ratio. That is unbiased, too, (8.2); here a reward is "
            "not to be bothered with ratios that come after it.",
            per_decision(lambda rho, r: rho.prod(1, keepdims=True) * backwards(r)),
        ),
        Misconception(
            "whole trajectory's weight and full return",
            "This is (8.2): one weight and one return for all steps. Two things are left to do: one is lesson 6's, the "
            "other this lesson's.",
            per_decision(lambda rho, r: rho.prod(1, keepdims=True) * r.sum(1, keepdims=True) + 0 * r),
        ),
        Misconception(
            "rewards before t included",
            "The weights of the rewards are right, and each score gets all of them, those from before t included. "
            "Lesson 6 said which rewards a choice can influence.",
            per_decision(lambda rho, r: (np.cumprod(rho, 1) * r).sum(1, keepdims=True) + 0 * r),
        ),
        Misconception(
            "rewards up to t instead of from t on",
            "You accumulate from the front: each score gets the rewards that came *before* it. Which can its action "
            "still influence?",
            per_decision(lambda rho, r: np.cumsum(np.cumprod(rho, 1) * r, 1)),
        ),
        Misconception(
            "time left reversed",
            "You reverse time to sum from the right, and do not turn it back: the first step gets what belongs to the "
            "last.",
            per_decision(lambda rho, r: _weights(rho, r)[:, ::-1]),
        ),
        Misconception(
            "own reward left out",
            "The reward of the step itself is missing: a_t earns r_t, so the sum begins with t' = t.",
            per_decision(lambda rho, r: _weights(rho, r) - np.cumprod(rho, 1) * r),
        ),
        Misconception(
            "own reward only",
            "Each score gets its own step's reward and none of the later ones. What an action earns may come later.",
            per_decision(lambda rho, r: np.cumprod(rho, 1) * r),
        ),
        Misconception(
            "product begins at t",
            "Your products run from t to t'. What the new policy would have done before t matters, too: would it have "
            "come here at all?",
            per_decision(lambda rho, r: _products_from(rho, r, lambda t: t)),
        ),
        Misconception(
            "product begins after t",
            "Your products run from t + 1 to t'. All choices that led to the reward belong in: those before t, and the "
            "one at t itself.",
            per_decision(lambda rho, r: _products_from(rho, r, lambda t: t + 1)),
        ),
        Misconception(
            "the reward's own ratio left out",
            "Your product ends one step too early: the reward r_t' is earned by the action at t', and its ratio is not "
            "in it.",
            per_decision(lambda rho, r: backwards(np.cumprod(rho, 1) / rho * r)),
        ),
        Misconception(
            "a single ratio for each reward",
            "Each reward is weighted with the ratio of its own step. But the new policy would have to *get* there "
            "first: what about the steps before?",
            per_decision(lambda rho, r: backwards(rho * r)),
        ),
        Misconception(
            "product from t' to the end",
            "Your products run backwards: a reward is weighted with what comes after it. What comes before it decides "
            "how likely the new policy is to get it.",
            per_decision(lambda rho, r: backwards(np.cumprod(rho[:, ::-1], 1)[:, ::-1] * r)),
        ),
        Misconception(
            "ratios added instead of multiplied",
            "You add up ratios. Choices multiply, as probabilities do; it is their logarithms that add.",
            per_decision(lambda rho, r: backwards(np.cumsum(rho, 1) * r)),
        ),
        Misconception(
            "exp forgotten",
            "Your weights are sums of log ratios, which are 0 where the policies agree. An exp turns them back into "
            "weights, which are 1 there.",
            per_decision(lambda rho, r: backwards(np.cumsum(np.log(rho), 1) * r)),
        ),
        Misconception(
            "logarithms divided",
            "You multiply quotients of log-probabilities. A ratio of probabilities is a *difference* of logarithms, "
            "and then an exp.",
            lambda s, new, old, r, mask: mean_of(
                masked(s, mask), _weights(masked(new / old, mask, 1.0), masked(r, mask))
            ),
        ),
        Misconception(
            "new policy's probabilities without the old",
            "You multiply by the new policy's probabilities. The old policy's sampling favours its own habits already: "
            "what undoes that?",
            lambda s, new, old, r, mask: per_decision(_weights)(s, new, 0 * old, r, mask),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. An expectation is estimated by an average over trajectories.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) * len(mask),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps. The average runs over trajectories; along time the formula has sums.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) * len(mask) / mask.sum(),
        ),
        Misconception(
            "mean over the whole array",
            "You divide by N·T. The average runs over trajectories; along time the formula has sums.",
            lambda s, new, old, r, mask: _right(s, new, old, r, mask) / mask.shape[1],
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the trajectories' weights. That has less variance and is biased; the formula "
            "divides by N.",
            lambda s, new, old, r, mask: (
                _right(s, new, old, r, mask) * len(mask) / np.exp(log_rhos(new, old, mask)).prod(1).sum()
            ),
        ),
        Misconception(
            "descent",
            "Turned round: this points downhill. The minus belongs to a loss; here the gradient itself is asked.",
            lambda s, new, old, r, mask: -_right(s, new, old, r, mask),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part, with whatever the padding holds. Which of your arrays need the mask?",
            _without_mask,
        ),
        Misconception(
            "mask on the scores only",
            "The scores are masked, but the padding's rewards are still summed into the rewards to go of real steps.",
            lambda s, new, old, r, mask: _without_mask(masked(s, mask), new, old, r, mask),
        ),
        Misconception(
            "mask on the scores and ratios only",
            "The padding's rewards are still summed into the rewards to go of real steps. A step that never happened "
            "pays nothing.",
            lambda s, new, old, r, mask: mean_of(masked(s, mask), _weights(np.exp(log_rhos(new, old, mask)), r)),
        ),
        Misconception(
            "one row for each trajectory",
            "You return a gradient for each trajectory. Their average is asked.",
            lambda s, new, old, r, mask: np.einsum(
                "ntp,nt->np", masked(s, mask), _weights(np.exp(log_rhos(new, old, mask)), masked(r, mask))
            ),
        ),
        Misconception(
            "trajectories and time exchanged",
            "Your products or sums run along the first axis: over trajectories. Time is the second.",
            per_decision(
                lambda rho, r: np.cumsum((np.cumprod(rho, 0) * r)[::-1], 0)[::-1]  # as _weights, along axis 0
            ),
        ),
        Misconception(
            "product along the trajectories, sum along time",
            "Your products run over different trajectories, which know nothing of each other. Both the product and "
            "the sum run along time, the second axis.",
            per_decision(lambda rho, r: backwards(np.cumprod(rho, 0) * r)),
        ),
        Misconception(
            "product along time, sum along the trajectories",
            "Your rewards to go add up different trajectories. Both the product and the sum run along time, the second "
            "axis.",
            per_decision(lambda rho, r: np.cumsum((np.cumprod(rho, 1) * r)[::-1], 0)[::-1]),
        ),
    ),
)
