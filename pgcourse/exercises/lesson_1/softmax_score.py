import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_1.shared import EXTREME, log_softmax_loop, one_hot, overflowing_softmax
from pgcourse.exercises.pieces import autograd, slow_softmax, softmax


def _softmax_score_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [([0.0, 1.0], 0), ([0.0, 1.0], 1), ([2.0], 0), ([1.0, 1.0, 1.0], 2), ([2.0, -1.0, 0.5], 1)]
    extreme = [(logits, action) for logits in EXTREME for action in (0, 1)]
    drawn = [(rng.normal(scale=2, size=size), int(rng.integers(size))) for size in (2, 3, 4, 6)]
    return [case(logits=logits, action=action) for logits, action in (*fixed, *extreme, *drawn)]


def _softmax_score_oracle(logits, action):
    return [(a == action) - probability for a, probability in enumerate(slow_softmax(logits))]


def _softmax_score_loop(logits, action):
    score = [-probability for probability in softmax(logits)]
    score[action] += 1
    return score


EXERCISE = Exercise(
    name="softmax_score",
    lesson=1,
    place=2,
    points=2,
    minutes=10,
    difficulty=1,
    signature="softmax_score(logits (A,), action) -> (A,)",
    cases=_softmax_score_cases,
    oracle=_softmax_score_oracle,
    references=("estimators.gradients", "estimators.scores", "estimators._table_gradients", "distributed.gradient"),
    accepts=(
        lambda logits, action: one_hot(logits, action) - softmax(logits),
        lambda logits, action: (np.arange(len(logits)) == action) - softmax(logits),
        lambda logits, action: (
            torch.nn.functional.one_hot(torch.tensor(action), len(logits)) - torch.softmax(torch.tensor(logits), 0)
        ),
        lambda logits, action: (one_hot(logits, action) - softmax(logits.astype(np.float32))).astype(np.float32),
        _softmax_score_loop,
        lambda logits, action: autograd(lambda x: x.log_softmax(0)[action], logits),
    ),
    misconceptions=(
        Misconception(
            "wrong sign",
            "Turned round: a step along your vector makes the action that was taken rarer. The gradient of log π "
            "points to where it becomes likelier.",
            lambda logits, action: softmax(logits) - one_hot(logits, action),
        ),
        Misconception(
            "gradient of π instead of log π",
            "This is ∇π(a). The score is the gradient of its logarithm, which differs by the factor that gives the "
            "trick its name.",
            lambda logits, action: softmax(logits)[action] * (one_hot(logits, action) - softmax(logits)),
        ),
        Misconception(
            "only the chosen action",
            "You change the chosen action's logit only. Probabilities share one pie: what does the normaliser do when "
            "another logit moves?",
            lambda logits, action: one_hot(logits, action) * (1 - softmax(logits)[action]),
        ),
        Misconception(
            "normaliser forgotten",
            "This is the gradient of the chosen logit alone. log π(a) has a second term, the logarithm of the sum, and "
            "that depends on every logit.",
            lambda logits, action: one_hot(logits, action),
        ),
        Misconception(
            "chosen action's own term forgotten",
            "You have the part that comes from the normaliser. The other term of log π(a), the logit of the chosen "
            "action, has a gradient as well.",
            lambda logits, action: -softmax(logits),
        ),
        Misconception(
            "1 − π for every action",
            "One minus the probability is right for the action that was taken, and only for that one. What does log "
            "π(a) gain when another action's logit grows?",
            lambda logits, action: 1 - softmax(logits),
        ),
        Misconception(
            "logits in place of probabilities",
            "You subtract the logits. They have to become probabilities first.",
            lambda logits, action: one_hot(logits, action) - logits,
        ),
        Misconception(
            "log-probabilities in place of probabilities",
            "The derivative of the log-sum-exp with respect to a logit is a probability; you put its logarithm.",
            lambda logits, action: one_hot(logits, action) - np.array(log_softmax_loop(logits)),
        ),
        Misconception(
            "derivative with respect to the probability",
            "1/π(a) is how log π changes with the probability. What is wanted is how it changes with the logits: one "
            "more step of the chain rule.",
            lambda logits, action: one_hot(logits, action) / softmax(logits),
        ),
        Misconception(
            "greedy action instead of the one taken",
            "You score the action with the largest logit. The score belongs to the action that was taken, likely or "
            "not.",
            lambda logits, action: one_hot(logits, np.argmax(logits)) - softmax(logits),
        ),
        Misconception(
            "multiplied once more by the probabilities",
            "Each entry carries its own probability as a factor, as in the Jacobian of the softmax. Its logarithm is "
            "simpler: write log π(a) as logit minus log-sum-exp and differentiate that.",
            lambda logits, action: softmax(logits) * (one_hot(logits, action) - softmax(logits)),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda logits, action: one_hot(logits, action) - softmax(softmax(logits)),
        ),
        Misconception(
            "compared with a uniform policy",
            "You subtract 1/A, what a policy that knows nothing would have. This policy has its own probabilities.",
            lambda logits, action: one_hot(logits, action) - 1 / len(logits),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. You have met the cure in log_softmax.",
            lambda logits, action: one_hot(logits, action) - overflowing_softmax(logits),
        ),
        Misconception(
            "one probability for all",
            "You subtract the chosen action's probability everywhere. Each logit is pulled down by its own action's "
            "probability.",
            lambda logits, action: one_hot(logits, action) - softmax(logits)[action],
        ),
        Misconception(
            "exponentials that are not normalised",
            "exp of a logit is not a probability yet: they have to add up to one.",
            lambda logits, action: one_hot(logits, action) - np.exp(logits),
        ),
        Misconception(
            "probabilities instead of the score",
            "These are the probabilities, whichever action was taken. The score asks how log π of the action *taken* "
            "changes with each logit.",
            lambda logits, action: softmax(logits),
        ),
        Misconception(
            "all log-probabilities",
            "These are the log-probabilities of all actions. The score is the gradient of one of them.",
            lambda logits, action: np.array(log_softmax_loop(logits)),
        ),
        Misconception(
            "only one entry returned",
            "You return one number, the entry of the action taken. A score has an entry for every logit.",
            lambda logits, action: 1 - softmax(logits)[action],
        ),
        Misconception(
            "log-probability instead of its gradient",
            "This is log π(a) itself. The score is its gradient, with an entry for every logit.",
            lambda logits, action: log_softmax_loop(logits)[action],
        ),
    ),
)
