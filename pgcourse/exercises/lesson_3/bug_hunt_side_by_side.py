"""Lesson 3, Sampled gradients: episodes from an environment, the estimate of ∇J from them, and how sure it is."""

import math
import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like, with_garbage

# surrogate_loss


def _surrogate_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_probs=[[-0.5]], total_rewards=[2.0], mask=[[True]]),
        case(log_probs=[[-0.5, -1.0], [-2.0, 7.0]], total_rewards=[3.0, -1.0], mask=mask_of([2, 1])),
        case(log_probs=[[-1.0, -0.5]], total_rewards=[-2.0], mask=mask_of([1], 2)),
    ]
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        log_probs = with_garbage(rng, -rng.exponential(size=shape) - 0.05, mask, 10)
        cases.append(case(log_probs=log_probs, total_rewards=rewards_like(rng, shape[0]), mask=mask))
    return cases


def _surrogate_oracle(log_probs, total_rewards, mask):
    gradient = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        gradient[i, t] = -total_rewards[i] / len(mask)
    return {"log_probs.grad": gradient}


def _surrogate_loop(log_probs, total_rewards, mask):
    loss = 0.0
    for i in range(len(log_probs)):
        for t in range(log_probs.shape[1]):
            if mask[i, t]:
                loss = loss - log_probs[i, t] * total_rewards[i]
    return loss / len(log_probs)


def _surrogate_by_trajectory(log_probs, total_rewards, mask):
    terms = [row[happened].sum() * r for row, r, happened in zip(log_probs, total_rewards, mask, strict=True)]
    return -torch.stack(terms).mean()


def _standardised(r):
    return (r - r.mean()) / (r.std() + 1e-8)


def _last_step(log_probs, mask):
    return log_probs[torch.arange(len(mask)), mask.sum(1) - 1]


SURROGATE_LOSS = Exercise(
    name="surrogate_loss",
    lesson=3,
    points=4,
    minutes=20,
    difficulty=2,
    signature="surrogate_loss(log_probs (N,T), total_rewards (N,), mask (N,T)) -> scalar tensor, to be minimised",
    cases=_surrogate_cases,
    oracle=_surrogate_oracle,
    probe="surrogate_loss",
    references=("estimators.surrogate_loss", "estimators.gradients"),
    accepts=(
        lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).sum() / len(r),
        lambda log_probs, r, mask: -(torch.where(mask, log_probs, 0).sum(1) * r).mean(),
        lambda log_probs, r, mask: -(log_probs.masked_fill(~mask, 0).sum(1) @ r) / len(r),
        lambda log_probs, r, mask: -torch.einsum("nt,n,nt->", log_probs, r, mask.double()) / mask.shape[0],
        lambda log_probs, r, mask: -(log_probs[mask] * r[:, None].expand(mask.shape)[mask]).sum() / len(r),
        lambda log_probs, r, mask: (-log_probs.float() * mask * r.float()[:, None]).sum() / len(r),
        _surrogate_loop,
        _surrogate_by_trajectory,
    ),
    misconceptions=(
        Misconception(
            "ascent",
            "Everything is there but the direction. An optimiser walks downhill on what you return, and you want J to "
            "go up: what has to change?",
            lambda log_probs, r, mask: (log_probs * mask * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "sum without 1/N",
            "The terms are right, but they are added up over the batch. With twice as many trajectories your step "
            "would be twice as long: what turns the sum over i into an estimate of an expectation?",
            lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).sum(),
        ),
        Misconception(
            "ascent, and sum without 1/N",
            "Two things at once: the direction (an optimiser minimises what you return) and the size (a sum over the "
            "batch where an average over trajectories is asked).",
            lambda log_probs, r, mask: (log_probs * mask * r[:, None]).sum(),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps that happened. An expectation over trajectories counts trajectories, "
            "however long each of them is: count again what the average runs over.",
            lambda log_probs, r, mask: -(log_probs * r[:, None])[mask].mean(),
        ),
        Misconception(
            "mean over all steps, ascent",
            "Look at two things: which way an optimiser walks on what you return, and what you divide by, which should "
            "be the number of trajectories and not that of steps.",
            lambda log_probs, r, mask: (log_probs * r[:, None])[mask].mean(),
        ),
        Misconception(
            "mean over the whole array",
            "A plain .mean() over an (N, T) array divides by N·T, padding included. Along the time axis the formula "
            "has a sum; only along one axis it has an average.",
            lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).mean(),
        ),
        Misconception(
            "mean over the whole array, ascent",
            "The sign sends an optimiser the wrong way, and .mean() over an (N, T) array divides by N·T where the "
            "formula averages over one axis only.",
            lambda log_probs, r, mask: (log_probs * mask * r[:, None]).mean(),
        ),
        Misconception(
            "mean over the whole array, mask forgotten",
            "Two things to mend: .mean() divides by N·T although the formula averages over trajectories only, and the "
            "steps that never happened take part as if they had.",
            lambda log_probs, r, mask: -(log_probs * r[:, None]).mean(),
        ),
        Misconception(
            "mean within each episode",
            "You average the log-probabilities within each episode, so a step in a long episode weighs less than one "
            "in a short one. A trajectory's probability is a product over its steps: what is its logarithm?",
            lambda log_probs, r, mask: -((log_probs * mask).sum(1) / mask.sum(1) * r).mean(),
        ),
        Misconception(
            "mean within each episode, without 1/N",
            "The average sits on the wrong axis: you average over the steps of each episode and add up the episodes. "
            "Which of the two does the formula add up, and which does it average?",
            lambda log_probs, r, mask: -((log_probs * mask).sum(1) / mask.sum(1) * r).sum(),
        ),
        Misconception(
            "averaged over time instead of over trajectories",
            "You divide by T, the width of the array. The average in the formula runs over the other axis, "
            "the trajectories.",
            lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).sum(0).mean(),
        ),
        Misconception(
            "mask forgotten",
            "Some of your gradient lands on steps that never happened. Padding may hold any numbers: who keeps them "
            "out of the sum?",
            lambda log_probs, r, mask: -(log_probs * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "mask forgotten, ascent",
            "Steps that never happened take part in your sum, and on top of that an optimiser that minimises your "
            "loss would make good trajectories rarer.",
            lambda log_probs, r, mask: (log_probs * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "mask forgotten, and sum without 1/N",
            "Two steps are missing: one that keeps the padding out of the sum, and one that makes an average over "
            "trajectories out of it.",
            lambda log_probs, r, mask: -(log_probs * r[:, None]).sum(),
        ),
        Misconception(
            "mask the wrong way round",
            "The gradient is zero on every step that happened and lives in the padding. What does True in the mask "
            "stand for?",
            lambda log_probs, r, mask: -(log_probs * ~mask * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "every trajectory weighted with the batch's total",
            "Every step gets the rewards of all trajectories together, so a bad trajectory is encouraged as much as a "
            "good one. Often this is broadcasting: (N, 1) times (N,) is (N, N). Let each r(τ_i) meet its own τ_i only.",
            lambda log_probs, r, mask: -(log_probs * mask).sum() / len(r) * r.sum(),
        ),
        Misconception(
            "every trajectory weighted with the batch's mean reward",
            "An average of log-probabilities times an average of rewards is not the average of their products: all "
            "trajectories get the same weight here. Multiply first, trajectory by trajectory, then average.",
            lambda log_probs, r, mask: -(log_probs * mask).sum(1).mean() * r.mean(),
        ),
        Misconception(
            "sum of log-probabilities times sum of rewards",
            "One big sum times another pairs every trajectory with everybody's reward, and nothing is averaged. Keep "
            "the pairs together: what belongs to i stays inside the sum over i.",
            lambda log_probs, r, mask: -(log_probs * mask).sum() * r.sum(),
        ),
        Misconception(
            "mean log-probability times mean reward",
            "mean(log π) · mean(r) looks close, even in a plot, and loses exactly what teaches: which trajectory "
            "earned what. The product belongs inside the sum, and along time nothing is averaged.",
            lambda log_probs, r, mask: -log_probs[mask].mean() * r.mean(),
        ),
        Misconception(
            "mean log-probability times summed reward",
            "mean(log π) · Σ r gives every step of the batch one and the same weight. The reward of trajectory i "
            "multiplies the steps of trajectory i: put the product inside the sum.",
            lambda log_probs, r, mask: -log_probs[mask].mean() * r.sum(),
        ),
        Misconception(
            "mean over the whole array times mean reward",
            "Two averages are taken before anything is multiplied, padding included: which trajectory earned what is "
            "lost. Multiply r(τ_i) with the steps of τ_i first; only the trajectories are averaged.",
            lambda log_probs, r, mask: -(log_probs * mask).mean() * r.mean(),
        ),
        Misconception(
            "mean over the whole array times summed reward",
            "One average over all steps meets the sum of all rewards, so that every step gets the same weight. Rewards "
            "and steps belong together trajectory by trajectory.",
            lambda log_probs, r, mask: -(log_probs * mask).mean() * r.sum(),
        ),
        Misconception(
            "mean times mean, mask forgotten",
            "Padding takes part, and a mean of log-probabilities times a mean of rewards forgets who earned what. "
            "First the mask, then products trajectory by trajectory.",
            lambda log_probs, r, mask: -log_probs.mean() * r.mean(),
        ),
        Misconception(
            "mean log-probability times summed reward, mask forgotten",
            "Padding takes part, and all steps share one weight, the sum of everybody's rewards. First the mask, then "
            "products trajectory by trajectory.",
            lambda log_probs, r, mask: -log_probs.mean() * r.sum(),
        ),
        Misconception(
            "summed over the trajectories instead of over time",
            "sum(0) adds up different trajectories at the same time, and what is left does not fit the rewards, or "
            "fits them by accident. log π(τ_i) is a sum along the other axis.",
            lambda log_probs, r, mask: -((log_probs * mask).sum(0) * r).mean(),
        ),
        Misconception(
            "rewards along the time axis",
            "Shapes: (N, T) times (N,) lines up the rewards with *time*, and fails or, worse, works when N = T. Give "
            "total_rewards a second axis so that it lines up with the trajectories.",
            lambda log_probs, r, mask: -(log_probs * mask * r).sum() / len(r),
        ),
        Misconception(
            "no graph",
            "Here the gradient has nothing to flow along: .item(), .detach(), .numpy(), float(…) or a new torch.tensor "
            "cuts the graph between log_probs and your loss. Stay with torch operations from the argument to the end.",
            lambda log_probs, r, mask: -(log_probs.detach() * mask * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "probabilities instead of log-probabilities",
            "With exp you differentiate π, not log π: each step is weighted with its own probability a second time, "
            "though sampling has done that already. The argument holds what you need as it is.",
            lambda log_probs, r, mask: -(log_probs.exp() * mask * r[:, None]).sum() / len(r),
        ),
        Misconception(
            "probability of the trajectory instead of its logarithm",
            "You multiply by π(τ) itself, so its gradient is π(τ)·∇log π(τ). Sampling already brings in the factor "
            "π(τ): what is left for you to write down is the logarithm.",
            lambda log_probs, r, mask: -((log_probs * mask).sum(1).exp() * r).mean(),
        ),
        Misconception(
            "rewards left out",
            "This makes every sampled trajectory likelier, good or bad: it imitates. Where does the return of a "
            "trajectory come in?",
            lambda log_probs, r, mask: -(log_probs * mask).sum() / len(r),
        ),
        Misconception(
            "rewards left out, and sum without 1/N",
            "There is no reward in it, so good and bad trajectories are treated alike; and the sum over the batch is "
            "not an average yet.",
            lambda log_probs, r, mask: -(log_probs * mask).sum(),
        ),
        Misconception(
            "rewards left out, mean over all steps",
            "This is the negative log-likelihood of supervised learning, averaged over steps: it imitates whatever was "
            "done. Bring in what each trajectory earned, and average over trajectories.",
            lambda log_probs, r, mask: -log_probs[mask].mean(),
        ),
        Misconception(
            "mean reward subtracted",
            "You subtract the batch's mean from the rewards. A good instinct, and lesson 7 is about it; here the plain "
            "estimate is asked, with r(τ) as it is.",
            lambda log_probs, r, mask: -(log_probs * mask * (r - r.mean())[:, None]).sum() / len(r),
        ),
        Misconception(
            "rewards standardised",
            "You standardise the rewards, as many programs do. It changes the gradient, and one trajectory alone gives "
            "NaN: here the plain estimate is asked, with r(τ) as it is.",
            lambda log_probs, r, mask: -(log_probs * mask * _standardised(r)[:, None]).sum() / len(r),
        ),
        Misconception(
            "rewards standardised, ddof = 0",
            "Your rewards are centred and divided by their deviation before they are used; with one trajectory nothing "
            "is left of them. Many programs do it, but the plain estimate takes r(τ) as it is.",
            lambda log_probs, r, mask: (
                -(log_probs * mask * ((r - r.mean()) / (r.std(correction=0) + 1e-8))[:, None]).sum() / len(r)
            ),
        ),
        Misconception(
            "divided by N − 1",
            "You divide by N − 1. That is for a variance, where a mean was estimated from the same samples; this is a "
            "plain average.",
            lambda log_probs, r, mask: -(log_probs * mask * r[:, None]).sum() / (len(r) - 1),
        ),
        Misconception(
            "total reward counted once for every step",
            "Long episodes get too much weight: total_rewards is a sum over time already, and you add it up over "
            "the steps once more.",
            lambda log_probs, r, mask: -((log_probs * mask).sum(1) * (r[:, None] * mask).sum(1)).mean(),
        ),
        Misconception(
            "only the last step",
            "Only the last step of each episode gets a gradient. The whole trajectory earned the reward: every choice "
            "on the way takes part.",
            lambda log_probs, r, mask: -(_last_step(log_probs, mask) * r).mean(),
        ),
        Misconception(
            "only the last column",
            "You read the last column, which for a short episode is padding, and for a long one a single step of many. "
            "Every step that happened takes part.",
            lambda log_probs, r, mask: -(log_probs[:, -1] * r).mean(),
        ),
        Misconception(
            "only the first step",
            "Only the first step of each episode gets a gradient. That is the bandit of lesson 1; here a trajectory "
            "has a choice at every step.",
            lambda log_probs, r, mask: -(log_probs[:, 0] * r).mean(),
        ),
        Misconception(
            "one loss for each trajectory",
            "You return a loss for each trajectory. An optimiser wants a single number: the estimate is one average "
            "over the batch.",
            lambda log_probs, r, mask: -(log_probs * mask).sum(1) * r,
        ),
        Misconception(
            "one loss for each step",
            "You return an array with a term for every step. Two sums are still open: one over time, and an average "
            "over the trajectories.",
            lambda log_probs, r, mask: -(log_probs * mask * r[:, None]),
        ),
    ),
)

# policy_gradient_estimate


def _estimate_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(scores=[[0.5]], total_rewards=[2.0]),
        case(scores=[[1.0, 0.0], [-1.0, 2.0]], total_rewards=[3.0, -1.0]),
        case(scores=[[1.0, -2.0, 0.5]], total_rewards=[-4.0]),
        case(scores=[[1.0], [2.0], [-1.0]], total_rewards=[1.0, 0.0, 5.0]),
    ]
    for shape in ((2, 3), (3, 3), (5, 2), (4, 6), (7, 4)):
        cases.append(case(scores=rng.normal(size=shape), total_rewards=rewards_like(rng, shape[0])))
    return cases


def _estimate_oracle(scores, total_rewards):
    estimate = [0.0] * len(scores[0])
    for score, total_reward in zip(scores, total_rewards, strict=True):
        for p, entry in enumerate(score):
            estimate[p] += entry * total_reward / len(scores)
    return estimate


def _estimate_loop(scores, total_rewards):
    total = 0
    for score, r in zip(scores, total_rewards, strict=True):
        total = total + score * r
    return total / len(scores)


def _float32_estimate(scores, r):
    return np.float32(r) @ np.float32(scores) / np.float32(len(r))


POLICY_GRADIENT_ESTIMATE = Exercise(
    name="policy_gradient_estimate",
    lesson=3,
    points=2,
    minutes=10,
    difficulty=1,
    signature="policy_gradient_estimate(scores (N,P), total_rewards (N,)) -> (P,)",
    cases=_estimate_cases,
    oracle=_estimate_oracle,
    accepts=(
        lambda scores, r: (scores * r[:, None]).mean(0),
        lambda scores, r: scores.T @ r / len(r),
        lambda scores, r: torch.einsum("np,n->p", torch.tensor(scores), torch.tensor(r)) / len(r),
        lambda scores, r: [
            sum(row[p] * x for row, x in zip(scores, r, strict=True)) / len(r) for p in range(scores.shape[1])
        ],
        _estimate_loop,
        _float32_estimate,
    ),
    misconceptions=(
        Misconception(
            "sum without 1/N",
            "The terms are right, but they are only added up. An expectation is estimated by an average: twice as many "
            "trajectories should not make it twice as long.",
            lambda scores, r: r @ scores,
        ),
        Misconception(
            "the first trajectory only",
            "Only the first trajectory has a say. Is there a return inside your loop?",
            lambda scores, r: scores[0] * r[0] / len(r),
        ),
        Misconception(
            "the last trajectory only",
            "Only the last trajectory is left. In your loop, = puts the new term in the place of the sum so far.",
            lambda scores, r: scores[-1] * r[-1] / len(r),
        ),
        Misconception(
            "the last trajectory skipped",
            "The last trajectory is missing. In Python range(n) ends before n, and [:-1] before the last.",
            lambda scores, r: r[:-1] @ scores[:-1] / len(r),
        ),
        Misconception(
            "standardised with a deviation of one element",
            "You standardise the rewards, which (3.2) does not; with N − 1 in the deviation a batch of one gives NaN.",
            lambda scores, r: ((r - r.mean()) / torch.tensor(r).std().numpy()) @ scores / len(r),
        ),
        Misconception(
            "wrong sign",
            "Turned round: this points downhill. The minus belongs to a loss, which somebody minimises; here the "
            "gradient of J itself is asked.",
            lambda scores, r: -r @ scores / len(r),
        ),
        Misconception(
            "wrong sign, and sum without 1/N",
            "Two things: the direction (this is no loss, so no minus) and the length (an average over trajectories).",
            lambda scores, r: -r @ scores,
        ),
        Misconception(
            "mean score times mean reward",
            "An average times an average is not the average of the products: which trajectory earned what is lost. "
            "Multiply trajectory by trajectory, then average.",
            lambda scores, r: scores.mean(0) * r.mean(),
        ),
        Misconception(
            "mean score times summed reward",
            "Every trajectory gets the same weight, the sum of all rewards. Trajectory i is worth what it earned "
            "itself: the product belongs inside the average.",
            lambda scores, r: scores.mean(0) * r.sum(),
        ),
        Misconception(
            "summed score times summed reward",
            "One sum times another pairs every trajectory with everybody's reward. Keep the pairs together inside one "
            "average.",
            lambda scores, r: scores.sum(0) * r.sum(),
        ),
        Misconception(
            "averaged over the parameters",
            "You divide by P, the number of parameters. The average runs over the trajectories.",
            lambda scores, r: r @ scores / scores.shape[1],
        ),
        Misconception(
            "averaged along the wrong axis",
            "You average over the parameters and keep the trajectories. It is the other way round: a gradient has an "
            "entry for each parameter.",
            lambda scores, r: (scores * r[:, None]).mean(1),
        ),
        Misconception(
            "averaged along both axes",
            "A plain .mean() averages over everything and leaves one number. A gradient has an entry for each "
            "parameter: average along one axis only.",
            lambda scores, r: (scores * r[:, None]).mean(),
        ),
        Misconception(
            "not averaged",
            "These are the terms, one row for each trajectory. The estimate is their average.",
            lambda scores, r: scores * r[:, None],
        ),
        Misconception(
            "rewards along the parameters' axis",
            "Shapes: (N, P) times (N,) lines the rewards up with the *parameters*, and fails or, worse, works when "
            "N = P. Give the rewards a second axis.",
            lambda scores, r: (scores * r).mean(0),
        ),
        Misconception(
            "rewards left out",
            "This is the mean score, zero in expectation: every sampled trajectory is encouraged, well paid or not. "
            "Where does its reward come in?",
            lambda scores, r: scores.mean(0),
        ),
        Misconception(
            "mean reward subtracted",
            "You subtract the mean of the rewards. A good instinct, and lesson 7 is about it; here the plain estimate "
            "is asked, with the rewards as they are.",
            lambda scores, r: (r - r.mean()) @ scores / len(r),
        ),
        Misconception(
            "rewards standardised",
            "You standardise the rewards, as many programs do. It changes the estimate, and one trajectory alone says "
            "nothing any more: here the rewards are taken as they are.",
            lambda scores, r: (r - r.mean()) / (r.std() + 1e-8) @ scores / len(r),
        ),
        Misconception(
            "weighted average",
            "You divide by the sum of the rewards, as in a weighted average. That sum may be zero or negative: the "
            "average runs over N trajectories, whatever they earned.",
            lambda scores, r: r @ scores / r.sum(),
        ),
        Misconception(
            "divided by N − 1",
            "You divide by N − 1. That is for a variance, where a mean was estimated from the same samples; this is a "
            "plain average.",
            lambda scores, r: r @ scores / (len(r) - 1),
        ),
        Misconception(
            "normalised to length one",
            "You rescale the estimate to length one. Its length means something: near a maximum it shrinks.",
            lambda scores, r: r @ scores / np.linalg.norm(r @ scores),
        ),
    ),
)

# standard_error


def _error_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(samples=[[1.0], [3.0]]),
        case(samples=[[1.0, -2.0], [3.0, 6.0]]),
        case(samples=[[2.0], [0.0], [7.0]]),
    ]
    for shape in ((2, 3), (3, 3), (5, 2), (4, 6), (9, 1)):
        cases.append(case(samples=rng.normal(size=shape) * rng.uniform(1, 4, shape[1]) + rng.normal(size=shape[1])))
    return cases


def _error_oracle(samples):
    errors = []
    for column in zip(*samples, strict=True):
        mean = math.fsum(column) / len(column)
        variance = math.fsum((x - mean) ** 2 for x in column) / (len(column) - 1)
        errors.append(math.sqrt(variance / len(column)))
    return errors


def _error_loop(samples):
    mean = sum(samples) / len(samples)
    squares = sum((row - mean) ** 2 for row in samples)
    return list(np.sqrt(squares / (len(samples) * (len(samples) - 1))))


STANDARD_ERROR = Exercise(
    name="standard_error",
    lesson=3,
    points=2,
    minutes=10,
    difficulty=1,
    signature="standard_error(samples (N,P)) -> (P,), N ≥ 2, of the mean of the N rows",
    cases=_error_cases,
    oracle=_error_oracle,
    accepts=(
        lambda x: x.std(0, ddof=1) / np.sqrt(len(x)),
        lambda x: np.std(x, axis=0) / np.sqrt(len(x) - 1),
        lambda x: np.sqrt(((x**2).mean(0) - x.mean(0) ** 2) / (len(x) - 1)),
        lambda x: torch.tensor(x).std(0) / len(x) ** 0.5,
        lambda x: np.sqrt(np.diag(np.atleast_2d(np.cov(x.T))) / len(x)),
        lambda x: np.float32(x).std(0, ddof=1) / np.sqrt(np.float32(len(x))),
        lambda x: [statistics.stdev(column) / math.sqrt(len(column)) for column in x.T.tolist()],
        _error_loop,
    ),
    misconceptions=(
        Misconception(
            "ddof = 0",
            "Close. The mean comes from the same samples, which makes the deviations look a little smaller than they "
            "are; NumPy's std divides by N unless you ask for the other.",
            lambda x: x.std(0) / np.sqrt(len(x)),
        ),
        Misconception(
            "standard deviation instead of standard error",
            "This is how much one sample varies. The mean of N of them varies less: by which factor?",
            lambda x: x.std(0, ddof=1),
        ),
        Misconception(
            "standard deviation, ddof = 0",
            "Two things: this is the spread of a single sample and not of the mean of N, and NumPy's std divides by N "
            "where the mean was estimated from the same samples.",
            lambda x: x.std(0),
        ),
        Misconception(
            "divided by N instead of √N",
            "The error of a mean does fall with N, but more slowly: four times the samples halve it.",
            lambda x: x.std(0, ddof=1) / len(x),
        ),
        Misconception(
            "divided by N instead of √N, ddof = 0",
            "Two things: the error of a mean falls more slowly than 1/N, and NumPy's std divides by N unless asked "
            "otherwise.",
            lambda x: x.std(0) / len(x),
        ),
        Misconception(
            "variance of the mean",
            "This is the variance of the mean, in squared units. The standard error is in the units of the samples.",
            lambda x: x.var(0, ddof=1) / len(x),
        ),
        Misconception(
            "variance",
            "This is the variance of the samples. Two steps remain: from one sample to the mean of N, and from squared "
            "units to plain ones.",
            lambda x: x.var(0, ddof=1),
        ),
        Misconception(
            "variance divided by √N",
            "Variance and standard deviation got mixed: √N goes with the deviation, N with the variance.",
            lambda x: x.var(0, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "variance of the mean, ddof = 0",
            "Two things: these are squared units, as of a variance; and NumPy's var divides by N where the mean was "
            "estimated from the same samples.",
            lambda x: x.var(0) / len(x),
        ),
        Misconception(
            "variance, ddof = 0",
            "This is np.var of the samples. The error of a mean of N is smaller, has the samples' own units, and N − 1 "
            "under its variance.",
            lambda x: x.var(0),
        ),
        Misconception(
            "along the wrong axis",
            "You measure the spread over the P parameters of one sample. What varies from sample to sample runs along "
            "the other axis.",
            lambda x: x.std(1, ddof=1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "spread along the wrong axis, divided by √N",
            "N is the right number, but the spread is taken over the P entries of each sample. What you want is how "
            "each entry varies from sample to sample.",
            lambda x: x.std(1, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "spread along the wrong axis, ddof = 0",
            "The spread is taken over the P entries of each sample, and NumPy's std divides by the number of entries. "
            "The samples are the rows: from row to row is where it varies.",
            lambda x: x.std(1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "over the whole array",
            "All entries in one pot give a single number. Each of the P columns has an error of its own.",
            lambda x: x.std(ddof=1) / np.sqrt(x.size),
        ),
        Misconception(
            "divided by √P",
            "You divide by the square root of the number of columns. It is the number of samples that makes a mean "
            "more certain.",
            lambda x: x.std(0, ddof=1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "divided by the root of all entries",
            "x.size counts all N·P entries. Each column is a mean of N numbers only.",
            lambda x: x.std(0, ddof=1) / np.sqrt(x.size),
        ),
        Misconception(
            "N − 1 counted twice",
            "N − 1 belongs into the variance, where the mean was estimated along the way. The mean itself is one of N "
            "samples.",
            lambda x: x.std(0, ddof=1) / np.sqrt(len(x) - 1),
        ),
        Misconception(
            "half a confidence interval",
            "You multiplied by 1.96 already, which gives half the width of a 95 % interval. Here the standard error "
            "itself is asked.",
            lambda x: 1.96 * x.std(0, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "mean not subtracted",
            "You average the squares themselves. A spread is measured from the mean.",
            lambda x: np.sqrt((x**2).sum(0) / (len(x) - 1) / len(x)),
        ),
        Misconception(
            "mean instead of its error",
            "This is the mean of the samples. What is asked is how far it may be off.",
            lambda x: x.mean(0),
        ),
    ),
)

# rollout_episode: the environment follows a script, which goes on after the end of the episode


def _script(rng, steps, ends, width=2, num_actions=3, extra=3, repeated=()):
    """An episode of `steps` steps that ends as `ends` says; `extra` steps later, for who plays on, the other way.

    repeated: pairs (t, t'), where the observation before step t is shown again before step t'.
    """
    length = steps + extra
    observations = rng.permutation(np.arange((length + 1) * width)).reshape(length + 1, width) / 2 - 3
    for early, late in repeated:
        observations[late] = observations[early]
    first = rng.integers(num_actions, size=length + 1)
    flags = {"terminated": np.zeros(length, dtype=bool), "truncated": np.zeros(length, dtype=bool)}
    for name, flag in flags.items():
        flag[steps - 1 if ends in (name, "both") else length - 1] = True
    return case(
        **{
            "env.observations": observations,
            "env.rewards": rewards_like(rng, length, num_actions),
            **{f"env.{name}": flag for name, flag in flags.items()},
            "act.actions": (first[:, None] + np.arange(3)) % num_actions,
        }
    )


def _rollout_cases(seed):
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    return [
        _script(fixed, 1, "terminated", width=1, num_actions=2, extra=1),
        _script(fixed, 2, "truncated", width=1, num_actions=2, extra=1),
        _script(fixed, 2, "both", width=2, num_actions=2, extra=1),
        _script(rng, 5, "terminated"),
        _script(rng, 4, "truncated", extra=4),
        _script(rng, 6, "truncated", width=3, repeated=[(0, 2), (3, 4)]),
        _script(rng, 7, "terminated", width=1, num_actions=4, repeated=[(1, 2), (2, 5)]),
        _script(rng, 3, "both", num_actions=5),
    ]


def _rollout_oracle(env, act):
    asked, observations, actions, rewards = {}, [], [], []
    for t, observation in enumerate(env["observations"]):
        seen = tuple(observation)
        row = next(k for k, other in enumerate(env["observations"]) if tuple(other) == seen)
        action = act["actions"][row, asked.get(seen, 0) % act["actions"].shape[1]]
        asked[seen] = asked.get(seen, 0) + 1
        observations.append(observation)
        actions.append(action)
        rewards.append(env["rewards"][t, action])
        if env["terminated"][t] or env["truncated"][t]:
            break
    return {
        "observations": np.array(observations),
        "actions": np.array(actions),
        "rewards": np.array(rewards),
        "terminated": env["terminated"][t],
    }


def _either(terminated, truncated):
    return terminated or truncated


def _play(env, act, stop=_either, flag=lambda terminated, truncated: terminated):
    """A right answer, with two places where it can be made wrong."""
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    while True:
        action = act(observation)
        following, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        if stop(terminated, truncated):
            return np.array(observations), np.array(actions), np.array(rewards), flag(terminated, truncated)
        observation = following


def _rollout_preallocated(env, act):
    observation = torch.tensor(env.reset(seed=3)[0])
    steps, over, terminated = [], False, False
    while not over:
        action = act(observation.numpy())
        following, reward, terminated, truncated, _ = env.step(np.int64(action))
        steps.append((observation, torch.tensor(action), torch.tensor(reward)))
        observation, over = torch.tensor(following), terminated or truncated
    observations, actions, rewards = (torch.stack(column) for column in zip(*steps, strict=True))
    return observations, actions, rewards.float(), np.bool_(terminated)


def _rollout_lists(env, act):
    observation, _info = env.reset()
    trajectory, terminated, truncated = [], False, False
    while not (terminated or truncated):
        trajectory.append([observation, act(observation)])
        observation, reward, terminated, truncated, _info = env.step(trajectory[-1][1])
        trajectory[-1].append(reward)
    return [list(column) for column in zip(*trajectory, strict=True)] + [terminated]


def _next_observation(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    while True:
        action = act(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _last_observation_too(env, act):
    observation, _ = env.reset()
    observations, actions, rewards = [observation], [], []
    while True:
        actions.append(act(observation))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        observations.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _stale_observation(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    while True:
        action = act(observation)
        _, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _acts_on_first_observation(env, act):
    observations, actions, rewards = [], [], []
    first, _ = env.reset()
    observation = first
    while True:
        action = act(first)
        observations.append(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        actions.append(action)
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _one_action(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    action = act(observation)
    while True:
        observations.append(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        actions.append(action)
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _resampled_action(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    while True:
        observations.append(observation)
        actions.append(act(observation))
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _last_step_dropped(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    while True:
        action = act(observation)
        following, reward, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            shape = (len(observations), *np.shape(observation))
            return np.reshape(observations, shape), actions, rewards, terminated
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        observation = following


def _one_step_too_many(env, act):
    observations, actions, rewards = [], [], []
    observation, _ = env.reset()
    over = ended = False
    while True:
        observations.append(observation)
        actions.append(act(observation))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        rewards.append(reward)
        if over:
            return observations, actions, rewards, ended
        over, ended = terminated or truncated, terminated


def _reset_every_step(env, act):
    observations, actions, rewards = [], [], []
    while True:
        observation, _ = env.reset()
        observations.append(observation)
        actions.append(act(observation))
        _, reward, terminated, truncated, _ = env.step(actions[-1])
        rewards.append(reward)
        if terminated or truncated:
            return observations, actions, rewards, terminated


def _reset_not_unpacked(env, act):
    observation = env.reset()
    return act(observation)


def _four_from_step(env, act):
    observation, _ = env.reset()
    _, _, done, _ = env.step(act(observation))
    return done


def _no_tuple_of_flags(env, act):
    flags = []

    def note(terminated, truncated):
        flags.append(terminated)
        return terminated or truncated

    return *_play(env, act, stop=note)[:3], np.array(flags)


def _with(change):
    """`_play`, with its observations, actions, rewards and terminated changed afterwards."""
    return lambda env, act: change(*_play(env, act))


ROLLOUT_EPISODE = Exercise(
    name="rollout_episode",
    lesson=3,
    points=4,
    minutes=20,
    difficulty=2,
    signature=(
        "rollout_episode(env, act) -> (observations (T,D), actions (T,), rewards (T,), terminated bool); one whole "
        "episode of a Gymnasium environment, with act(observation (D,)) -> action called once a step; observations[t] "
        "is what actions[t] was chosen on"
    ),
    cases=_rollout_cases,
    oracle=_rollout_oracle,
    probe="rollout_episode",
    references=("rollouts.collect",),
    accepts=(_play, _rollout_preallocated, _rollout_lists),
    misconceptions=(
        Misconception(
            "observation after the action recorded",
            "Your observations are one step late: each is what the action led to. The score needs what the policy saw "
            "when it chose.",
            _next_observation,
        ),
        Misconception(
            "last observation kept as well",
            "There is one observation more than there are actions: nobody acts on the last one, so it belongs to no "
            "step.",
            _last_observation_too,
        ),
        Misconception(
            "observation never updated",
            "The policy sees the first observation for the whole episode. After a step there is a new one: who hands "
            "it on?",
            _stale_observation,
        ),
        Misconception(
            "acts on the first observation",
            "You record the observations well, but act looks at the first one all the time. It should choose on what "
            "is recorded next to its action.",
            _acts_on_first_observation,
        ),
        Misconception(
            "one action for the whole episode",
            "act is asked once, before the loop. A policy chooses anew at every step.",
            _one_action,
        ),
        Misconception(
            "action asked for a second time",
            "act is asked twice a step, and a policy that samples answers differently each time: what you record is "
            "not what was played.",
            _resampled_action,
        ),
        Misconception(
            "time limit ignored",
            "You play on after truncated. An episode is over when it ended by itself *or* when the time was up.",
            lambda env, act: _play(env, act, stop=lambda terminated, truncated: terminated),
        ),
        Misconception(
            "end of the episode ignored",
            "You play on after terminated and stop at the time limit only. What the environment says after the end "
            "belongs to no episode.",
            lambda env, act: _play(env, act, stop=lambda terminated, truncated: truncated),
        ),
        Misconception(
            "stops only when both flags are set",
            "You wait until terminated and truncated are both True. One of the two is enough to end an episode.",
            lambda env, act: _play(env, act, stop=lambda terminated, truncated: terminated and truncated),
        ),
        Misconception(
            "never stops",
            "Nothing ends your loop: look at the two flags that env.step returns.",
            lambda env, act: _play(env, act, stop=lambda terminated, truncated: False),
        ),
        Misconception(
            "one step too many",
            "You notice the end one step late and record a step that belongs to no episode. Look at the flags right "
            "after env.step.",
            _one_step_too_many,
        ),
        Misconception(
            "last step dropped",
            "The last step is missing, and with it the last reward, often the one that matters. Record first, then "
            "leave the loop.",
            _last_step_dropped,
        ),
        Misconception(
            "truncated taken for terminated",
            "You call every end terminated. An episode cut off by the clock did not end by itself, and later lessons "
            "need to know.",
            lambda env, act: _play(env, act, flag=_either),
        ),
        Misconception(
            "truncated returned",
            "The wrong one of the two flags: True is for an episode that ended by itself.",
            lambda env, act: _play(env, act, flag=lambda terminated, truncated: truncated),
        ),
        Misconception(
            "not truncated returned",
            "Not cut off is almost, but not quite, the same as ended: both can happen in the same step. There is a "
            "flag that says it directly.",
            lambda env, act: _play(env, act, flag=lambda terminated, truncated: not truncated),
        ),
        Misconception(
            "terminated never set",
            "Your terminated is always False. It should tell how this episode ended.",
            lambda env, act: _play(env, act, flag=lambda terminated, truncated: False),
        ),
        Misconception(
            "a flag for every step",
            "One flag for the whole episode is asked, the one of its last step.",
            _no_tuple_of_flags,
        ),
        Misconception(
            "total reward instead of the rewards",
            "You add the rewards up. Keep them step by step: later lessons ask when each was earned.",
            _with(lambda observations, actions, rewards, terminated: (observations, actions, sum(rewards), terminated)),
        ),
        Misconception(
            "rewards accumulated",
            "Each of your rewards contains those before it. r_t is what the action at t earned, alone.",
            _with(
                lambda observations, actions, rewards, terminated: (
                    observations,
                    actions,
                    np.cumsum(rewards),
                    terminated,
                )
            ),
        ),
        Misconception(
            "rewards one step late",
            "Your rewards begin with a zero: each stands beside the action *after* the one that earned it. rewards[t] "
            "belongs to actions[t].",
            _with(
                lambda observations, actions, rewards, terminated: (
                    observations,
                    actions,
                    np.append(0, rewards[:-1]),
                    terminated,
                )
            ),
        ),
        Misconception(
            "reset at every step",
            "The environment starts anew in every step of your loop. One episode has one reset, at its beginning.",
            _reset_every_step,
        ),
        Misconception(
            "reset's result not unpacked",
            "env.reset() returns two things, the observation and a dictionary of information; you pass both on as if "
            "they were the observation.",
            _reset_not_unpacked,
        ),
        Misconception(
            "four results from step",
            "env.step returns five things: observation, reward, terminated, truncated and information. Older code "
            "unpacks four.",
            _four_from_step,
        ),
    ),
)

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


def _never_reset(rewards, ended, n):
    num_slots = rewards.shape[1]
    so_far = np.cumsum(rewards, 0)
    return np.array([so_far[np.flatnonzero(ended[:, i % num_slots])[i // num_slots], i % num_slots] for i in range(n)])


def _end_too_early(rewards, ended, n):
    """The reward of the last step goes to the next episode."""
    num_slots, returns = rewards.shape[1], []
    for i in range(n):
        ends = np.flatnonzero(ended[:, i % num_slots])
        begin = ends[i // num_slots - 1] if i >= num_slots else 0
        returns.append(rewards[begin : ends[i // num_slots], i % num_slots].sum())
    return np.array(returns)


def _only_first_of_each(rewards, ended, n):
    found = sorted(e for e in _found(rewards, ended) if e[1] == 0)
    return _totals(found)[:n]


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


def _last_reward_lost(rewards, ended, n):
    return _slots_oracle(np.where(ended, 0.0, rewards), ended, n)


BUG_HUNT_SIDE_BY_SIDE = Exercise(
    name="bug_hunt_side_by_side",
    lesson=3,
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
            _only_first_of_each,
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
            _never_reset,
        ),
        Misconception(
            "last reward counted for the next episode",
            "The step on which an episode ends still belongs to it, and so does its reward. You close the account "
            "one step early.",
            _end_too_early,
        ),
        Misconception(
            "last reward lost",
            "The step on which an episode ends still belongs to it, and so does its reward. You stop a step short.",
            _last_reward_lost,
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

EXERCISES = [ROLLOUT_EPISODE, POLICY_GRADIENT_ESTIMATE, STANDARD_ERROR, SURROGATE_LOSS, BUG_HUNT_SIDE_BY_SIDE]
