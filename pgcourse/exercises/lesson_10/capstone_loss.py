import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, padded_rewards, random_masks, with_garbage

# capstone_loss, the bug hunt


def _loss_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(log_probs=[[-1.0, -2.0]], advantages=[[2.0, -1.0]], mask=[[True, True]]),
        case(
            log_probs=[[-0.5, -1.0], [-2.0, -9.0]],
            advantages=[[1.0, 2.0], [-4.0, 8.0]],
            mask=[[True, True], [True, False]],
        ),
    ]
    for mask in random_masks(rng):
        log_probs = with_garbage(rng, -rng.uniform(0.1, 3, mask.shape), mask, 10)
        cases.append(case(log_probs=log_probs, advantages=padded_rewards(rng, mask, 10), mask=mask))
    return cases


def _loss_oracle(log_probs, advantages, mask):
    gradient = np.zeros(mask.shape)
    for i, t in np.argwhere(mask):
        gradient[i, t] = -advantages[i, t] / len(mask)
    return {"log_probs.grad": gradient}


def _loss(weight=lambda A, mask: A, score=lambda log_probs: log_probs, over=len):
    """An answer with one thing in it exchanged."""
    return lambda log_probs, A, mask: (
        -(torch.where(mask, score(log_probs) * weight(torch.where(mask, A, 0), mask), 0) / over(mask)).sum()
    )


def _every_pair(over):
    return lambda log_probs, A, mask: -(log_probs[mask][:, None] * A[mask]).sum() / over(mask)


def _loss_in_a_loop(log_probs, advantages, mask):
    loss = 0.0
    for i, t in mask.nonzero():
        loss = loss - log_probs[i, t] * advantages[i, t] / len(mask)
    return loss


def _loss_backward_inside(log_probs, advantages, mask):
    loss = _loss()(log_probs, advantages, mask)
    loss.backward()
    return loss


EXERCISE = Exercise(
    name="capstone_loss",
    lesson=10,
    place=2,
    points=3,
    minutes=15,
    difficulty=2,
    signature="capstone_loss(log_probs (N,T), advantages (N,T), mask (N,T)) -> scalar; torch, to be minimised",
    cases=_loss_cases,
    oracle=_loss_oracle,
    probe="surrogate_loss",
    references=("estimators.surrogate_loss", "estimators.gradients"),
    accepts=(
        _loss(),
        _loss_in_a_loop,
        lambda log_probs, A, mask: -(log_probs * A)[mask].sum() / len(mask),
        lambda log_probs, A, mask: -(log_probs[mask][:, None] * A[mask][:, None]).sum() / mask.shape[0],
        lambda log_probs, A, mask: -(log_probs * A * mask).sum(1).mean(),
        lambda log_probs, A, mask: -torch.einsum("nt,nt,nt->", log_probs, A, mask.double()) / len(mask),
    ),
    misconceptions=(
        Misconception(
            "mean within each trajectory",
            "The bug is still there: how much a step counts hangs on how long its episode became. Which line "
            "of the buggy code brings the length in?",
            _loss(over=lambda mask: len(mask) * mask.sum(1, keepdim=True)),
        ),
        Misconception(
            "every step with every advantage",
            "A column times a row is a table: each step meets everybody's advantage, not only its own. What shape has "
            "the product?",
            _every_pair(len),
        ),
        Misconception(
            "every step with every advantage, averaged",
            "Averaging does not repair it: each step still meets every advantage. Print the shape of the product.",
            _every_pair(lambda mask: mask.sum() ** 2),
        ),
        Misconception(
            "every step with every advantage, per step",
            "Dividing by the number of steps does not help: each of them still meets everybody's advantage. Which "
            "shape has the product?",
            _every_pair(lambda mask: mask.sum()),
        ),
        Misconception(
            "mean over all steps",
            "The pairs are right. But you divide by the number of steps; the formula divides by N, the number of "
            "trajectories.",
            _loss(over=lambda mask: mask.sum()),
        ),
        Misconception(
            "mean over the padded table",
            "You divide by N · T, padding included. How much a step counts should not hang on how long the longest "
            "episode is.",
            _loss(over=lambda mask: mask.numel()),
        ),
        Misconception(
            "divided by T",
            "You divide by the width of the arrays. The average runs over the other axis.",
            _loss(over=lambda mask: mask.shape[1]),
        ),
        Misconception(
            "mean over the living at each step",
            "You divide each time step by the number of episodes still going. N is the same for all of them.",
            _loss(over=lambda mask: mask.sum(0).clamp(min=1)),
        ),
        Misconception(
            "sum without 1/N",
            "The factor 1/N is missing: twice the batch would make twice the step.",
            _loss(over=lambda mask: 1),
        ),
        Misconception(
            "descent",
            "An optimiser makes the loss small, and log-probabilities of good actions are to become large.",
            lambda *arguments: -_loss()(*arguments),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part. Their log-probabilities and advantages are garbage.",
            lambda log_probs, A, mask: -(log_probs * A).sum() / len(mask),
        ),
        Misconception(
            "mean over everything, mask forgotten",
            "Steps that never happened take part, and the mean runs over all entries: two things to mend.",
            lambda log_probs, A, mask: -(log_probs * A).mean(),
        ),
        Misconception(
            "sum times sum",
            "You add up along time before you multiply, so that every step of an episode gets the sum of its "
            "advantages. Each step has its own.",
            _loss(weight=lambda A, mask: A.sum(1, keepdim=True)),
        ),
        Misconception(
            "the first advantage at every step",
            "All steps of an episode get the advantage of its first one. Each has its own.",
            _loss(weight=lambda A, mask: A[:, :1]),
        ),
        Misconception(
            "the mean advantage for everyone",
            "Every step gets the batch's mean advantage. Each has its own.",
            _loss(weight=lambda A, mask: A[mask].mean()),
        ),
        Misconception(
            "advantages left out",
            "The advantages have got lost: every action is made likelier, good or bad.",
            _loss(weight=lambda A, mask: 1.0),
        ),
        Misconception(
            "advantages without their sign",
            "The sign of the advantages is lost. What went worse than expected should become rarer.",
            _loss(weight=lambda A, mask: A.abs()),
        ),
        Misconception(
            "only good steps",
            "Steps with a negative advantage are dropped. They have something to say, too.",
            _loss(weight=lambda A, mask: A.clamp(min=0)),
        ),
        Misconception(
            "probabilities instead of their logarithm",
            "You weight probabilities. The score is the gradient of their *logarithm*, and that is what came in.",
            _loss(score=torch.exp),
        ),
        Misconception(
            "one loss for each step",
            "You return a loss for each step. Which sum is still missing, and which mean?",
            lambda log_probs, A, mask: -log_probs * A * mask,
        ),
        Misconception(
            "one loss for each trajectory",
            "You return a loss for each trajectory. Average them.",
            lambda log_probs, A, mask: -(log_probs * A * mask).sum(1),
        ),
        Misconception(
            "the graph cut off",
            "The path back to log_probs has been cut, by detach(), .data or a detour through NumPy. Without it there "
            "is no gradient.",
            lambda log_probs, A, mask: _loss()(log_probs.detach(), A, mask),
        ),
        Misconception(
            "backward called inside",
            "backward() belongs to whoever trains with your loss. Return it and leave the rest to them.",
            _loss_backward_inside,
        ),
    ),
)
