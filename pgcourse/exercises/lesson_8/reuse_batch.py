import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, mask_of, random_masks, rewards_like, with_garbage
from pgcourse.exercises.lesson_8.shared import masked
from pgcourse.exercises.pieces import backwards, slow_softmax, softmax

# reuse_batch, a bug hunt: two names for one array


def _reuse_cases(seed):
    rng = np.random.default_rng(seed)
    levers = {"states": np.zeros((2, 1), dtype=int), "actions": [[0], [1]], "mask": mask_of([1, 1])}
    cases = [
        case(theta=[[0.0, 0.0]], **levers, rewards_to_go=[[1.0], [2.0]], learning_rate=1.0, steps=2),
        case(theta=[[0.0, 0.5]], **levers, rewards_to_go=[[-1.0], [1.5]], learning_rate=0.5, steps=1),
    ]
    for mask, steps in zip(random_masks(rng), (1, 2, 3, 2, 4, 3), strict=True):
        num_states, num_actions = (int(n) for n in rng.integers(2, 4, 2))
        theta = rng.normal(size=(num_states, num_actions)) / 2
        states, actions = (rng.integers(n, size=mask.shape) for n in theta.shape)
        returns = with_garbage(rng, backwards(masked(rewards_like(rng, *mask.shape), mask)), mask, 100)
        rate = float(1.5 / (np.abs(returns) * mask).sum(1).max())
        cases.append(
            case(
                theta=theta,
                states=states,
                actions=actions,
                mask=mask,
                rewards_to_go=returns,
                learning_rate=rate,
                steps=steps,
            )
        )
    return cases


def _reuse_oracle(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    old = [slow_softmax(row) for row in theta]
    theta = [list(row) for row in theta]
    for _ in range(steps):
        new = [slow_softmax(row) for row in theta]
        for i, t in np.argwhere(mask):
            s, a = states[i, t], actions[i, t]
            pull = learning_rate * new[s][a] / old[s][a] * rewards_to_go[i, t] / len(mask)
            for b in range(len(theta[s])):
                theta[s][b] += pull * ((b == a) - new[s][b])
    return theta


def _ratio(new, old, before, s, a):
    return new[s, a] / old[s, a]


def _reuse(weigh=_ratio, score=lambda new, old: new, sign=1, scale=len, begin=np.zeros_like, add=np.add.at):
    """An answer whose steps weigh G_t with weigh(new, old, before, s, a): π's of now, of the data, of a step ago.

    score: which policy's scores, (new, old) → π; scale: what the sum over steps is divided by, mask → number; begin:
    the gradient before the sum, from that of the last step; add(gradient, s, terms): how a term joins it.
    """

    def answer(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
        s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
        old = before = softmax(theta)
        gradient = np.zeros_like(theta)
        for _ in range(steps):
            new, gradient = softmax(theta), begin(gradient)
            scores = np.eye(theta.shape[1])[a] - score(new, old)[s]
            add(gradient, s, scores * (weigh(new, old, before, s, a) * returns)[:, None])
            theta = theta + sign * learning_rate * gradient / scale(mask)
            before = new
        return theta

    return answer


_reuse_right = _reuse()


def _reuse_by_torch(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    theta = torch.tensor(theta)
    s, a, returns = (torch.tensor(x)[torch.tensor(mask)] for x in (states, actions, rewards_to_go))
    old_log_probs = theta.log_softmax(1)[s, a]
    for _ in range(steps):
        theta = theta.detach().requires_grad_()
        ratio = torch.exp(theta.log_softmax(1)[s, a] - old_log_probs)
        ((ratio * returns).sum() / len(mask)).backward()
        theta = theta + learning_rate * theta.grad
    return theta


def _reuse_with(change):
    """The right answer with other inputs: change(dictionary of them) in place."""

    def answer(*arguments):
        names = ("theta", "states", "actions", "mask", "rewards_to_go", "learning_rate", "steps")
        given = dict(zip(names, arguments, strict=True))
        change(given)
        return _reuse_right(**given)

    return answer


def _in_place(theta, *rest):
    theta += _reuse_right(theta.copy(), *rest) - theta
    return theta


def _moves_within_the_sum(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    theta, old = theta.copy(), softmax(theta)
    for _ in range(steps):
        for i, t in np.argwhere(mask):
            s, a = states[i, t], actions[i, t]
            new = softmax(theta)[s]
            ratio = new[a] / old[s, a]
            theta[s] += learning_rate * ratio * rewards_to_go[i, t] * (np.eye(len(new))[a] - new) / len(mask)
    return theta


def _repeated_index_lost(gradient, s, terms):
    gradient[s] += terms


def _logit_ratio(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    s, a, returns = states[mask], actions[mask], rewards_to_go[mask]
    old = theta
    for _ in range(steps):
        new, gradient = softmax(theta), np.zeros_like(theta)
        weights = np.exp(theta - old)[s, a] * returns
        np.add.at(gradient, s, (np.eye(theta.shape[1])[a] - new[s]) * weights[:, None])
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _whole_ratio(theta, states, actions, mask, rewards_to_go, learning_rate, steps):
    old = softmax(theta)
    for _ in range(steps):
        new, gradient = softmax(theta), np.zeros_like(theta)
        ratio = masked((new / old)[states, actions], mask, 1.0).prod(1, keepdims=True)
        weights = (ratio * rewards_to_go)[mask]
        scores = np.eye(theta.shape[1])[actions[mask]] - new[states[mask]]
        np.add.at(gradient, states[mask], scores * weights[:, None])
        theta = theta + learning_rate * gradient / len(mask)
    return theta


def _ones(new, old, before, s, a):
    return np.ones(len(s))


EXERCISE = Exercise(
    name="reuse_batch",
    lesson=8,
    place=6,
    points=3,
    minutes=15,
    difficulty=2,
    signature=(
        "reuse_batch(theta (S,A), states (N,T), actions (N,T), mask (N,T), rewards_to_go (N,T), learning_rate, steps) "
        "-> (S,A), theta after `steps` first-order steps on one batch that the given theta sampled"
    ),
    cases=_reuse_cases,
    oracle=_reuse_oracle,
    accepts=(
        _reuse_right,
        lambda *arguments: _reuse_right(*arguments).tolist(),
        lambda *arguments: np.float32(_reuse_right(*arguments)),
        _reuse(lambda new, old, before, s, a: np.exp(np.log(new[s, a]) - np.log(old)[s, a])),
        _reuse_by_torch,
    ),
    misconceptions=(
        Misconception(
            "ratio always one",
            "Every step after the first is still taken as if the batch were fresh: the ratio is 1 all the way. Print "
            "it in each round. Which two things does it compare?",
            _reuse(_ones),
        ),
        Misconception(
            "compared with the step before",
            "The ratio compares with the policy of one step ago. Who sampled the batch?",
            _reuse(lambda new, old, before, s, a: new[s, a] / before[s, a]),
        ),
        Misconception(
            "ratio upside down",
            "Now the ratio moves, the wrong way up: an action that has become likelier since the batch was sampled "
            "should count for more than one.",
            _reuse(lambda new, old, before, s, a: old[s, a] / new[s, a]),
        ),
        Misconception(
            "ratio of logarithms",
            "You divide log-probabilities. The ratio of the probabilities is asked.",
            _reuse(lambda new, old, before, s, a: np.log(new[s, a]) / np.log(old[s, a])),
        ),
        Misconception(
            "ratio of logits",
            "You compare logits, not probabilities. They are not normalised: what else has changed in that row?",
            _logit_ratio,
        ),
        Misconception(
            "old policy's scores",
            "The ratio is right now, but the scores are those of the policy that sampled. The direction in which the "
            "*present* policy can still move is that of its own scores.",
            _reuse(score=lambda new, old: old),
        ),
        Misconception(
            "the first step repeated",
            "All your steps are the first one over again: ratio and scores both stay with the policy that sampled. "
            "Recompute what belongs to the present policy in each round.",
            _reuse(_ones, score=lambda new, old: old),
        ),
        Misconception(
            "whole trajectory's ratio",
            "You use the ratio of the whole trajectory. A fine idea, (8.2); here each step's own ratio is asked, the "
            "first-order form.",
            _whole_ratio,
        ),
        Misconception(
            "ratio clipped",
            "You clip the ratio, which is not the bug. The function is to take plain first-order steps.",
            _reuse(lambda new, old, before, s, a: np.clip(new[s, a] / old[s, a], 0.8, 1.2)),
        ),
        Misconception(
            "ratio squared",
            "The ratio comes in twice. Differentiating π'/π gives ρ times the score, with one ρ.",
            _reuse(lambda new, old, before, s, a: (new[s, a] / old[s, a]) ** 2),
        ),
        Misconception(
            "new probability without the old",
            "You weigh with the present policy's probability and do not divide by the old one's. Sampling has brought "
            "that in already.",
            _reuse(lambda new, old, before, s, a: new[s, a]),
        ),
        Misconception(
            "sum without 1/N",
            "The ratio is right. The average over the trajectories has become a sum on the way.",
            _reuse(scale=lambda mask: 1),
        ),
        Misconception(
            "mean over all steps",
            "The ratio is right. But the buggy function divides by the number of trajectories, and yours by the number "
            "of steps.",
            _reuse(scale=lambda mask: mask.sum()),
        ),
        Misconception(
            "descent",
            "The ratio is right, and your steps lead downhill. The function climbs.",
            _reuse(sign=-1),
        ),
        Misconception(
            "mask forgotten",
            "Padding takes part. The buggy function picks the steps that happened first; keep that.",
            _reuse_with(lambda given: given.update(mask=np.ones_like(given["mask"]))),
        ),
        Misconception(
            "a single step",
            "Only one step is taken, however many are asked for. Is there a return inside the loop?",
            _reuse_with(lambda given: given.update(steps=1)),
        ),
        Misconception(
            "one step too many",
            "One step too many: `steps` says how often the batch is used.",
            _reuse_with(lambda given: given.update(steps=given["steps"] + 1)),
        ),
        Misconception(
            "change instead of the new parameters",
            "You return by how much θ has changed. The new θ is asked.",
            lambda theta, *rest: _reuse_right(theta, *rest) - theta,
        ),
        Misconception(
            "the given theta changed",
            "The ratio is right now, but the caller's own array has changed under their hands. It was a copy that "
            "protected it: two things need to be kept apart here, not one.",
            _in_place,
        ),
        Misconception(
            "gradient piles up",
            "Your gradient is not set back to zero: each step repeats all those before it.",
            _reuse(begin=lambda gradient: gradient),
        ),
        Misconception(
            "theta moves within the sum",
            "Within one pass over the batch θ moves already, sample by sample: the bug of lesson 4. One step is one "
            "gradient of the whole batch.",
            _moves_within_the_sum,
        ),
        Misconception(
            "repeated states counted once",
            "gradient[s] += … counts a state that occurs several times only once. That is what np.add.at is there for.",
            _reuse(add=_repeated_index_lost),
        ),
        Misconception(
            "nothing moves",
            "θ comes back as it went in. Either your step arrives nowhere, or its weight is 0: a log ratio is, before "
            "anything has moved.",
            lambda theta, *rest: theta,
        ),
    ),
)
