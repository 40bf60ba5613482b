import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.pieces import in_single


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


EXERCISE = Exercise(
    name="policy_gradient_estimate",
    lesson=3,
    place=2,
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
        lambda scores, r: sum(score * x for score, x in zip(scores, r, strict=True)) / len(r),
        in_single(lambda scores, r: r @ scores / len(r)),
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
