import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like
from pgcourse.exercises.pieces import in_single, softmax

# batch_update, the bug hunt


def _update_cases(seed):
    rng = np.random.default_rng(seed)
    one = {"mask": [[True, True, True]], "total_rewards": [1.0], "learning_rate": 1.0}
    two = {"total_rewards": [2.0, -1.0], "learning_rate": 0.5}
    cases = [
        case(theta=[[0.0, 0.0]], states=[[0, 0, 0]], actions=[[0, 0, 1]], **one),
        case(theta=[[0.0, 1.0]], states=[[0], [0]], actions=[[1], [0]], mask=[[True], [True]], **two),
        case(
            theta=[[0.5, 0.0], [0.0, 0.0]],
            states=[[0, 1], [1, 0]],
            actions=[[1, 0], [1, 1]],
            mask=mask_of([2, 1]),
            **two,
        ),
    ]
    for num_states, num_actions, shape in zip((1, 2, 3, 2, 2, 3), (2, 2, 3, 3, 2, 2), SHAPES, strict=True):
        cases.append(
            case(
                theta=rng.normal(size=(num_states, num_actions)),
                states=rng.integers(num_states, size=shape),
                actions=rng.integers(num_actions, size=shape),
                mask=random_mask(rng, *shape),
                total_rewards=rewards_like(rng, shape[0]),
                learning_rate=float(rng.choice([0.1, 0.25, 0.5])),
            )
        )
    return cases


def _update_oracle(theta, states, actions, mask, total_rewards, learning_rate):
    new = theta.copy()
    for i, t in np.argwhere(mask):
        probs = np.exp(theta[states[i, t]]) / np.exp(theta[states[i, t]]).sum()
        for a in range(theta.shape[1]):
            score = (a == actions[i, t]) - probs[a]
            new[states[i, t], a] += learning_rate * score * total_rewards[i] / len(mask)
    return new


def _score(theta, s, a):
    score = -softmax(theta[s])
    score[a] += 1
    return score


def _update(
    groups=lambda mask: [np.argwhere(mask)],
    score=_score,
    weight=lambda r, mask, i, t: r[i] / len(mask),
    add=lambda row, term: row + term,
    move=lambda theta, learning_rate, gradient: theta + learning_rate * gradient,
):
    """An answer with one thing in it exchanged. It moves after every group of (i, t) pairs; the right one has one."""

    def answer(theta, states, actions, mask, r, learning_rate):
        theta = theta.copy()
        for group in groups(mask):
            gradient = np.zeros_like(theta)
            for i, t in group:
                s, a = states[i, t], actions[i, t]
                gradient[s] = add(gradient[s], score(theta, s, a) * weight(r, mask, i, t))
            theta = move(theta, learning_rate, gradient)
        return theta

    return answer


def _step_inside_the_loop(theta, states, actions, mask, r, learning_rate):
    gradient = np.zeros_like(theta)
    for i, t in np.argwhere(mask):
        gradient[states[i, t]] += _score(theta, states[i, t], actions[i, t]) * r[i] / len(mask)
        theta = theta + learning_rate * gradient
    return theta


def _in_place(theta, *rest):
    theta[:] = _update()(theta, *rest)
    return theta


def _update_add_at(theta, states, actions, mask, r, learning_rate):
    scores = np.eye(theta.shape[1])[actions] - softmax(theta)[states]
    gradient = np.zeros_like(theta)
    np.add.at(gradient, states[mask], (scores * r[:, None, None])[mask])
    return theta + learning_rate * gradient / len(r)


def _update_einsum(theta, states, actions, mask, r, learning_rate):
    scores = np.eye(theta.shape[1])[actions] - softmax(theta)[states]
    visited = np.eye(len(theta))[states] * mask[..., None]
    return theta + learning_rate * np.einsum("nts,nta,n->sa", visited, scores, r) / len(r)


def _update_torch(theta, states, actions, mask, r, learning_rate):
    theta, states, actions, mask, r = map(torch.from_numpy, (theta, states, actions, mask, r))
    theta = theta.clone().requires_grad_()
    log_probs = theta.log_softmax(1)[states, actions]
    loss = -(torch.where(mask, log_probs, 0).sum(1) * r).mean()
    loss.backward()
    with torch.no_grad():
        theta -= learning_rate * theta.grad
    return theta


EXERCISE = Exercise(
    name="batch_update",
    lesson=4,
    place=3,
    points=3,
    minutes=20,
    difficulty=2,
    signature="batch_update(theta (S,A), states (N,T), actions (N,T), mask (N,T), total_rewards (N,), learning_rate) "
    "-> (S,A), a new array",
    cases=_update_cases,
    oracle=_update_oracle,
    references=(
        "estimators.gradients",
        "estimators.surrogate_loss",
        "estimators._table_gradients",
        "distributed.gradient",
    ),
    accepts=(
        _update(),
        _update_add_at,
        _update_einsum,
        _update_torch,
        in_single(_update()),
        lambda *arguments: _update()(*arguments).tolist(),
    ),
    misconceptions=(
        Misconception(
            "a step after every action",
            "The bug is still there: θ moves while the batch is being read. Whose probabilities are in the second "
            "score: those of the policy that acted?",
            _update(groups=lambda mask: [[pair] for pair in np.argwhere(mask)]),
        ),
        Misconception(
            "a step after every trajectory",
            "Better: within a trajectory all scores belong to the same θ. But the second trajectory is scored with "
            "what the first one made of θ. Which policy played it?",
            _update(groups=lambda mask: [[(i, t) for t in np.flatnonzero(mask[i])] for i in range(len(mask))]),
        ),
        Misconception(
            "a step after every time step",
            "θ still moves while you read the batch, once for each t now. All N·T actions were taken by one and the "
            "same policy.",
            _update(groups=lambda mask: [[(i, t) for i in np.flatnonzero(mask[:, t])] for t in range(mask.shape[1])]),
        ),
        Misconception(
            "the step is inside the loop",
            "You collect the gradient, which is right, and step inside the loop: early terms are walked along again "
            "and again, and θ still moves. How far is the line with the step indented?",
            _step_inside_the_loop,
        ),
        Misconception(
            "theta changed in place",
            "The numbers go into the array that you were given, and the caller still needs it. The buggy version has a "
            "line that prevents this; keep it, or build a new array.",
            _in_place,
        ),
        Misconception(
            "repeated states counted once",
            "A state that is visited twice keeps only one of its two terms. Are you assigning where you should add? "
            "Beware that in NumPy gradient[states] += … writes each row once, however often it occurs.",
            _update(add=lambda row, term: term),
        ),
        Misconception(
            "only the last trajectory",
            "Only the last trajectory arrives in your step. Where do you set the gradient to zero?",
            _update(groups=lambda mask: [[(i, t) for i, t in np.argwhere(mask) if i == len(mask) - 1]]),
        ),
        Misconception(
            "only the first trajectory",
            "Only the first trajectory arrives in your step. Look at how far the step, or the return, is indented.",
            _update(groups=lambda mask: [[(i, t) for i, t in np.argwhere(mask) if i == 0]]),
        ),
        Misconception(
            "only the very first step",
            "Only the first step of the first trajectory arrives. Look at how far the return statement is indented.",
            _update(groups=lambda mask: [np.argwhere(mask)[:1]]),
        ),
        Misconception(
            "only the last steps",
            "Only the last step of each trajectory arrives in your step. Where do you set the gradient to zero?",
            _update(groups=lambda mask: [[(i, mask[i].sum() - 1) for i in range(len(mask))]]),
        ),
        Misconception(
            "the last step left out",
            "The last step of every trajectory is missing. It was chosen like all the others.",
            _update(groups=lambda mask: [[(i, t) for i, t in np.argwhere(mask) if t < mask[i].sum() - 1]]),
        ),
        Misconception(
            "the last column left out",
            "Time T is missing: range(T) reaches T − 1, which is the last step already.",
            _update(groups=lambda mask: [[(i, t) for i, t in np.argwhere(mask) if t < mask.shape[1] - 1]]),
        ),
        Misconception(
            "mask forgotten",
            "Steps that never happened take part. The buggy version was right about this: what kept them out?",
            _update(groups=lambda mask: [np.ndindex(mask.shape)]),
        ),
        Misconception(
            "mask forgotten, still a step after every action",
            "Two things: θ moves while the batch is being read, and steps that never happened take part.",
            _update(groups=lambda mask: [[pair] for pair in np.ndindex(mask.shape)]),
        ),
        Misconception(
            "sum without 1/N",
            "The factor 1/N got lost on the way: (4.1) averages over trajectories.",
            _update(weight=lambda r, mask, i, t: r[i]),
        ),
        Misconception(
            "1/N twice",
            "You divide by N twice. Once is enough, in the loop or after it.",
            _update(weight=lambda r, mask, i, t: r[i] / len(mask) ** 2),
        ),
        Misconception(
            "mean over all steps",
            "You divide by the number of steps. (4.1) divides by the number of trajectories, however long they are.",
            _update(weight=lambda r, mask, i, t: r[i] / mask.sum()),
        ),
        Misconception(
            "mean within each trajectory",
            "You average the scores within each trajectory. Along time (4.1) has a sum.",
            _update(weight=lambda r, mask, i, t: r[i] / mask[i].sum() / len(mask)),
        ),
        Misconception(
            "divided by T",
            "You divide by the width of the arrays, T. The average runs over the other axis, the trajectories.",
            _update(weight=lambda r, mask, i, t: r[i] / mask.shape[1]),
        ),
        Misconception(
            "descent",
            "The step leads down. The buggy version went the right way in this: keep its plus.",
            _update(move=lambda theta, learning_rate, gradient: theta - learning_rate * gradient),
        ),
        Misconception(
            "rewards left out",
            "The rewards have got lost: every trajectory is made likelier, good or bad.",
            _update(weight=lambda r, mask, i, t: 1 / len(mask)),
        ),
        Misconception(
            "every trajectory weighted with the mean reward",
            "All trajectories get the batch's mean reward. Each score is multiplied by the reward of its own "
            "trajectory.",
            _update(weight=lambda r, mask, i, t: r.mean() / len(mask)),
        ),
        Misconception(
            "rewards minus their mean",
            "You subtract the batch's mean reward. Lesson 7 will like that; here r(τ) stays as it is.",
            _update(weight=lambda r, mask, i, t: (r[i] - r.mean()) / len(mask)),
        ),
        Misconception(
            "rewards along the time axis",
            "Shapes: (N, T) times (N,) lines up the rewards with *time*, and fails or, worse, works when N = T.",
            _update(weight=lambda r, mask, i, t: (mask * r)[i, t] / len(mask)),
        ),
        Misconception(
            "score without the probabilities",
            "The score of an action is one *minus* something, and minus something for the actions not taken, (1.5). "
            "Without it probabilities that were large already get a push of full size.",
            _update(score=lambda theta, s, a: np.eye(theta.shape[1])[a]),
        ),
        Misconception(
            "only the taken action moves",
            "You raise the action that was taken and leave the others in peace. The score has an entry for every "
            "action, (1.5).",
            _update(score=lambda theta, s, a: np.eye(theta.shape[1])[a] * _score(theta, s, a)),
        ),
        Misconception(
            "softmax over the states",
            "Your probabilities add up to one along the wrong axis. A row of theta holds the logits of one state.",
            _update(score=lambda theta, s, a: np.eye(theta.shape[1])[a] - softmax(theta, axis=0)[s]),
        ),
        Misconception(
            "softmax over the whole table",
            "Your probabilities add up to one over the whole table. Each state has a softmax of its own.",
            _update(score=lambda theta, s, a: np.eye(theta.shape[1])[a] - (np.exp(theta) / np.exp(theta).sum())[s]),
        ),
        Misconception(
            "the gradient instead of theta",
            "That is ĝ. Asked is θ after the step.",
            _update(move=lambda theta, learning_rate, gradient: gradient),
        ),
        Misconception(
            "only the change",
            "That is how far to go. Where did you set out?",
            _update(move=lambda theta, learning_rate, gradient: learning_rate * gradient),
        ),
        Misconception(
            "learning rate forgotten",
            "The learning rate got lost on the way from the loop to the step.",
            _update(move=lambda theta, learning_rate, gradient: theta + gradient),
        ),
    ),
)
