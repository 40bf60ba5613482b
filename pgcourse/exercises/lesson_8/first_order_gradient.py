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


def _first_order_oracle(scores, new_log_probs, old_log_probs, rewards_to_go, mask):
    total = np.zeros(scores.shape[2])
    for i, t in np.argwhere(mask):
        ratio = math.exp(new_log_probs[i, t] - old_log_probs[i, t])
        total += ratio * rewards_to_go[i, t] * scores[i, t]
    return total / len(mask)


_first_order = per_decision(lambda rho, g: rho * g)


def _first_order_by_torch(scores, new, old, returns, mask):
    """Through the objective whose gradient it is, with log π linear in a pretended θ."""
    scores, new, old, returns, mask = (torch.from_numpy(x) for x in (scores, new, old, returns, mask))
    theta = torch.zeros(scores.shape[2], dtype=torch.float64, requires_grad=True)
    ratio = torch.exp((new + scores @ theta - old)[mask])
    ((ratio * returns[mask]).sum() / len(mask)).backward()
    return theta.grad


EXERCISE = Exercise(
    name="first_order_gradient",
    lesson=8,
    place=5,
    points=4,
    minutes=15,
    difficulty=3,
    signature=(
        "first_order_gradient(scores (N,T,P), new_log_probs (N,T), old_log_probs (N,T), rewards_to_go (N,T), "
        "mask (N,T)) -> (P,); scores of the new policy"
    ),
    cases=lambda seed: gradient_cases(seed, "rewards_to_go", lambda r, mask: backwards(masked(r, mask))),
    oracle=_first_order_oracle,
    references=("estimators.first_order_weights",),
    accepts=(
        _first_order,
        lambda *arguments: _first_order(*arguments).tolist(),
        lambda *arguments: np.float32(_first_order(*arguments)),
        lambda s, new, old, g, mask: (s * (np.exp(new - old) * g * mask)[..., None]).sum((0, 1)) / len(s),
        lambda s, new, old, g, mask: np.einsum("ntp,nt,nt,nt->np", s, np.exp(new - old), g, mask).mean(0),
        _first_order_by_torch,
        lambda s, new, old, g, mask: (np.exp(new - old)[mask] * g[mask]) @ s[mask] / len(mask),
    ),
    misconceptions=(
        Misconception(
            "ratio omitted",
            "This is the gradient as if the new policy had sampled the data. Where do the two policies' "
            "log-probabilities come in?",
            per_decision(lambda rho, g: g),
        ),
        Misconception(
            "ratio upside down",
            RATIO_UPSIDE_DOWN + " Which of the two policies belongs on top?",
            per_decision(lambda rho, g: g / rho),
        ),
        Misconception(
            "exp forgotten",
            "You multiply by log ρ_t, which is 0 where the policies agree: there the data would teach nothing. An exp "
            "is missing.",
            per_decision(lambda rho, g: np.log(rho) * g),
        ),
        Misconception(
            "logarithms divided",
            "You divide one log-probability by the other. A ratio of probabilities is a *difference* of logarithms, "
            "and then an exp.",
            lambda s, new, old, g, mask: mean_of(masked(s, mask), masked(new / old * g, mask)),
        ),
        Misconception(
            "product up to t",
            "You multiply all ratios up to t. That was the form before; the first-order one keeps a single ratio, that "
            "of the step itself.",
            per_decision(lambda rho, g: np.cumprod(rho, 1) * g),
        ),
        Misconception(
            "whole trajectory's weight",
            "Every step gets the ratio of the whole trajectory. That is unbiased, (8.2), and noisy; the first-order "
            "form keeps only the step's own ratio.",
            per_decision(lambda rho, g: rho.prod(1, keepdims=True) * g),
        ),
        Misconception(
            "product from t on",
            "You multiply the ratios from t to the end. The first-order form keeps a single one, that of the step "
            "itself.",
            per_decision(lambda rho, g: np.cumprod(rho[:, ::-1], 1)[:, ::-1] * g),
        ),
        Misconception(
            "ratios added up to t",
            "You add up ratios along the trajectory. Each step keeps its own, and only that.",
            per_decision(lambda rho, g: np.cumsum(rho, 1) * g),
        ),
        Misconception(
            "one ratio for each trajectory, their mean",
            "Each trajectory gets the mean of its ratios. The ratio belongs to the step: keep it beside the score of "
            "that step.",
            lambda s, new, old, g, mask: mean_of(
                masked(s, mask),
                masked(g, mask) * ((np.exp(new - old) * mask).sum(1) / mask.sum(1))[:, None],
            ),
        ),
        Misconception(
            "ratio minus one",
            "You multiply by ρ_t − 1, so that data on which the policies agree would teach nothing. The ratio itself "
            "is the weight.",
            per_decision(lambda rho, g: (rho - 1) * g),
        ),
        Misconception(
            "ratio squared",
            "ρ_t comes in twice. If you differentiate the ratio and multiply by it as well: the scores you are given "
            "are those of log π, so one ratio is left.",
            per_decision(lambda rho, g: rho**2 * g),
        ),
        Misconception(
            "ratio clipped",
            "You clip the ratio, as PPO does further down. Here it is asked as it is.",
            per_decision(lambda rho, g: np.clip(rho, 0.8, 1.2) * g),
        ),
        Misconception(
            "new policy's probability without the old",
            "You multiply by the new policy's probability. The old policy's sampling favours its own habits already: "
            "what undoes that?",
            lambda s, new, old, g, mask: _first_order(s, new, 0 * old, g, mask),
        ),
        Misconception(
            "old policy's probability divided out, the new one forgotten",
            "You divide by the old policy's probability and stop there. The new policy's belongs on top.",
            lambda s, new, old, g, mask: _first_order(s, 0 * new, old, g, mask),
        ),
        Misconception(
            "returns left out",
            "There is no return in it: good and bad steps are treated alike.",
            per_decision(lambda rho, g: rho),
        ),
        Misconception(
            "rewards to go summed again",
            "rewards_to_go is summed already. You add it up along time once more.",
            per_decision(lambda rho, g: rho * backwards(g)),
        ),
        Misconception(
            "ratio inside the reward to go",
            "You sum ρ times the reward to go along time, as if they were single rewards. Each step's ratio multiplies "
            "that step's own G_t, and no other.",
            per_decision(lambda rho, g: backwards(rho * g)),
        ),
        Misconception(
            "the whole return at every step",
            "Every step gets the first reward to go, the return of the whole trajectory. G_t is given step by step.",
            per_decision(lambda rho, g: rho * g[:, :1]),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right; they are only added up. What is the average over?",
            lambda *arguments: _first_order(*arguments) * len(arguments[-1]),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps that happened. The formula averages over trajectories and sums over "
            "time.",
            lambda *arguments: _first_order(*arguments) * len(arguments[-1]) / arguments[-1].sum(),
        ),
        Misconception(
            "mean over the whole array",
            "You divide by N·T, padding included. The formula averages over trajectories and sums over time.",
            lambda *arguments: _first_order(*arguments) / arguments[-1].shape[1],
        ),
        Misconception(
            "mean within each trajectory",
            "You average over each trajectory's own steps, so long ones count less. Along time the formula has a sum.",
            lambda s, new, old, g, mask: mean_of(
                masked(s, mask), masked(np.exp(new - old) * g, mask) / mask.sum(1, keepdims=True)
            ),
        ),
        Misconception(
            "self-normalised",
            "You divide by the sum of the ratios. The formula divides by the number of trajectories.",
            lambda s, new, old, g, mask: (
                _first_order(s, new, old, g, mask) * len(mask) / (np.exp(new - old) * mask).sum()
            ),
        ),
        Misconception(
            "descent",
            "Turned round: this points downhill. A loss would have that sign; here the gradient itself is asked.",
            lambda *arguments: -_first_order(*arguments),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part, with whatever the padding holds.",
            lambda s, new, old, g, mask: mean_of(s, np.exp(new - old) * g),
        ),
        Misconception(
            "mask the wrong way round",
            "Only the padding takes part. What does True in the mask stand for?",
            lambda s, new, old, g, mask: mean_of(s, np.exp(new - old) * g * ~mask),
        ),
        Misconception(
            "ratio masked, the rest not",
            "In the padding your ratio is 1, not 0, because exp(0) = 1: the garbage there still gets through. "
            "Something else in the product has to be zero.",
            lambda s, new, old, g, mask: mean_of(s, np.exp(log_rhos(new, old, mask)) * g),
        ),
        Misconception(
            "one row for each trajectory",
            "You return a gradient for each trajectory. Their average is asked.",
            lambda s, new, old, g, mask: np.einsum("ntp,nt->np", s, masked(np.exp(new - old) * g, mask)),
        ),
        Misconception(
            "one row for each step",
            "You return something for every step. Two sums are open: one over time, and an average over trajectories.",
            lambda s, new, old, g, mask: s * masked(np.exp(new - old) * g, mask)[..., None],
        ),
    ),
)
