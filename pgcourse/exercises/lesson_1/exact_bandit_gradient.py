import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.exercises.lesson_1.shared import EXTREME, overflowing_softmax
from pgcourse.exercises.pieces import autograd, in_single, slow_softmax, softmax


def _bandit_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [
        ([0.0, 0.0], [1.0, 2.0]),
        ([0.0, 1.0], [3.0, -1.0]),
        ([2.0], [5.0]),
        ([1.0, 0.0, -1.0], [2.0, 2.0, 2.0]),
        ([0.5, -0.5, 1.5], [1.0, 0.0, -2.0]),
    ]
    extreme = [(logits, rewards_like(rng, len(logits))) for logits in EXTREME]
    drawn = [(rng.normal(scale=1.5, size=size), rewards_like(rng, size)) for size in (2, 3, 4, 6)]
    return [case(logits=logits, rewards=rewards) for logits, rewards in (*fixed, *extreme, *drawn)]


def _bandit_oracle(logits, rewards):
    probabilities = slow_softmax(logits)
    gradient = [0.0] * len(logits)
    for a, p_a in enumerate(probabilities):
        for b, p_b in enumerate(probabilities):
            gradient[b] += p_a * ((a == b) - p_b) * rewards[a]
    return gradient


def _bandit_loop(logits, rewards):
    p = softmax(logits)
    return [sum(p[a] * rewards[a] * ((a == b) - p[b]) for a in range(len(p))) for b in range(len(p))]


EXERCISE = Exercise(
    name="exact_bandit_gradient",
    lesson=1,
    place=3,
    points=3,
    minutes=15,
    difficulty=2,
    signature="exact_bandit_gradient(logits (A,), rewards (A,)) -> (A,)",
    cases=_bandit_cases,
    oracle=_bandit_oracle,
    references=("exact.gradient", "exact.objective", "exact.moments"),
    accepts=(
        lambda logits, rewards: softmax(logits) * (rewards - softmax(logits) @ rewards),
        lambda logits, rewards: (np.diag(softmax(logits)) - np.outer(softmax(logits), softmax(logits))) @ rewards,
        lambda logits, rewards: (softmax(logits) * rewards) @ (np.eye(len(logits)) - softmax(logits)),
        in_single(lambda logits, rewards: softmax(logits) * (rewards - softmax(logits) @ rewards)),
        _bandit_loop,
        lambda logits, rewards: autograd(lambda x: (x.softmax(0) * torch.tensor(rewards)).sum(), logits),
    ),
    misconceptions=(
        Misconception(
            "normaliser forgotten",
            "π(a) r(a) would be the gradient if raising one logit left the other probabilities alone. They add up to "
            "one: what one action gains, the others lose.",
            lambda logits, rewards: softmax(logits) * rewards,
        ),
        Misconception(
            "gradient with respect to the probabilities",
            "J is linear in π, so ∂J/∂π(a) is r(a). You want the gradient in the logits: how does each probability "
            "move with each logit?",
            lambda logits, rewards: rewards,
        ),
        Misconception(
            "not weighted with the probabilities",
            "Comparing each reward with J is right. But how far can a logit move anything when its action is hardly "
            "ever taken?",
            lambda logits, rewards: rewards - softmax(logits) @ rewards,
        ),
        Misconception(
            "compared with the plain mean of the rewards",
            "You compare with the average over the arms. This policy does not play all arms equally often: compare "
            "with what the policy itself earns on average.",
            lambda logits, rewards: softmax(logits) * (rewards - rewards.mean()),
        ),
        Misconception(
            "expectation taken as a plain sum",
            "You add score times reward over the actions as if each were taken once. An expectation weighs every "
            "action with its probability.",
            lambda logits, rewards: rewards - softmax(logits) * rewards.sum(),
        ),
        Misconception(
            "expectation taken as a plain mean",
            "You average score times reward over the actions, all alike. In an expectation an action counts as often "
            "as the policy takes it.",
            lambda logits, rewards: (rewards - softmax(logits) * rewards.sum()) / len(rewards),
        ),
        Misconception(
            "probabilities counted twice",
            "π appears once too often: ∇π = π ∇log π holds the factor π already. Either Σ ∇π r, or the expectation of "
            "∇log π · r, not both.",
            lambda logits, rewards: softmax(logits) ** 2 * rewards - softmax(logits) * (softmax(logits) ** 2 @ rewards),
        ),
        Misconception(
            "wrong sign",
            "A step along this makes J smaller. The gradient points uphill: actions better than average should gain.",
            lambda logits, rewards: softmax(logits) * (softmax(logits) @ rewards - rewards),
        ),
        Misconception(
            "only the diagonal of the Jacobian",
            "π(1 − π) is how an action's probability changes with its own logit. Every logit also moves all the other "
            "probabilities.",
            lambda logits, rewards: softmax(logits) * (1 - softmax(logits)) * rewards,
        ),
        Misconception(
            "J subtracted unweighted",
            "Almost: each of the two terms of the score has to be weighed. E[∇log π · r] = E[e_a r] − π E[r]: look at "
            "the second one.",
            lambda logits, rewards: softmax(logits) * rewards - softmax(logits) @ rewards,
        ),
        Misconception(
            "probabilities subtracted instead of weighted J",
            "Two terms, and the second lacks its factor: what multiplies π when you average π · r over the actions?",
            lambda logits, rewards: softmax(logits) * rewards - softmax(logits),
        ),
        Misconception(
            "plain sum of the rewards in place of J",
            "The second term compares with the sum of all rewards. Compare with what this policy earns on average: a "
            "weighted sum.",
            lambda logits, rewards: softmax(logits) * (rewards - rewards.sum()),
        ),
        Misconception(
            "weighted with the squared probabilities",
            "Comparing with J and weighing with π is right, once. Here the result is multiplied with π a second time.",
            lambda logits, rewards: softmax(logits) ** 2 * (rewards - softmax(logits) @ rewards),
        ),
        Misconception(
            "1 − π instead of the whole score",
            "1 − π(a) is the score's entry for the action taken. An action's logit also counts when another action is "
            "taken, and actions are not taken equally often.",
            lambda logits, rewards: (1 - softmax(logits)) * rewards,
        ),
        Misconception(
            "J instead of its gradient",
            "This is J itself, one number. Its gradient has an entry for every logit.",
            lambda logits, rewards: softmax(logits) @ rewards,
        ),
        Misconception(
            "averaged over the actions",
            "Right up to a factor: you divide by the number of actions. The probabilities do the averaging already.",
            lambda logits, rewards: softmax(logits) * (rewards - softmax(logits) @ rewards) / len(rewards),
        ),
        Misconception(
            "gradient of log J",
            "You divide by J, which gives the gradient of its logarithm. It is π whose logarithm the trick takes.",
            lambda logits, rewards: (
                softmax(logits) * (rewards - softmax(logits) @ rewards) / (softmax(logits) @ rewards)
            ),
        ),
        Misconception(
            "logits in place of probabilities",
            "You weigh with the logits. They have to become probabilities first.",
            lambda logits, rewards: logits * (rewards - logits @ rewards),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda logits, rewards: softmax(softmax(logits)) * (rewards - softmax(softmax(logits)) @ rewards),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. The cure is the one of log_softmax.",
            lambda logits, rewards: overflowing_softmax(logits) * (rewards - overflowing_softmax(logits) @ rewards),
        ),
    ),
)
