import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, random_masks, rewards_like, with_garbage
from pgcourse.exercises.pieces import standardised


def _surrogate_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_probs=[[-0.5]], total_rewards=[2.0], mask=[[True]]),
        case(log_probs=[[-0.5, -1.0], [-2.0, 7.0]], total_rewards=[3.0, -1.0], mask=mask_of([2, 1])),
        case(log_probs=[[-1.0, -0.5]], total_rewards=[-2.0], mask=mask_of([1], 2)),
    ]
    for mask in random_masks(rng):
        log_probs = with_garbage(rng, -rng.exponential(size=mask.shape) - 0.05, mask, 10)
        cases.append(case(log_probs=log_probs, total_rewards=rewards_like(rng, len(mask)), mask=mask))
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


EXERCISE = Exercise(
    name="surrogate_loss",
    lesson=3,
    place=4,
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
        lambda log_probs, r, mask: (
            -torch.stack([row[happened].sum() * x for row, x, happened in zip(log_probs, r, mask, strict=True)]).mean()
        ),
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
            lambda log_probs, r, mask: -(log_probs * mask * standardised(r)[:, None]).sum() / len(r),
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
            lambda log_probs, r, mask: -(log_probs[torch.arange(len(r)), mask.sum(1) - 1] * r).mean(),
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
