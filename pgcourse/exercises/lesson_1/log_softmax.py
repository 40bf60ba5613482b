"""Lesson 1, The log-gradient trick: one decision, a softmax over A actions."""

import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like

EXTREME = ([1000.0, 0.0], [-2000.0, -2001.0, -2000.0], [-1e4, 1e4, 0.0])


def _probabilities(logits):
    """The softmax, for the oracles."""
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    return [weight / math.fsum(weights) for weight in weights]


def _softmax(logits):
    """The softmax, for answers, right and wrong."""
    weights = np.exp(logits - np.max(logits))
    return weights / weights.sum()


def _overflowing_softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def _one_hot(logits, action):
    return np.eye(len(logits))[action]


# log_softmax


def _log_softmax_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [[0.0, 1.0], [3.0], [1.0, 1.0], [2.0, -1.0, 0.5], *EXTREME]
    drawn = [rng.normal(scale=scale, size=size) + shift for scale, size, shift in ((1, 2, 4), (3, 5, -6), (1, 8, 0))]
    return [case(logits=logits) for logits in (*fixed, *drawn, rng.permutation([900.0, -900.0, 899.0, 0.0]))]


def _log_softmax_oracle(logits):
    largest = max(logits)
    log_sum = largest + math.log(math.fsum(math.exp(logit - largest) for logit in logits))
    return [(logit - largest) - (log_sum - largest) for logit in logits]


def _log_softmax_loop(logits):
    largest = max(float(logit) for logit in logits)
    total = sum(math.exp(logit - largest) for logit in logits)
    return [logit - largest - math.log(total) for logit in logits]


def _log_sum_exp(x):
    return np.log(np.exp(x).sum())


LOG_SOFTMAX = Exercise(
    name="log_softmax",
    lesson=1,
    points=2,
    minutes=10,
    difficulty=1,
    signature="log_softmax(logits (A,)) -> (A,)",
    cases=_log_softmax_cases,
    oracle=_log_softmax_oracle,
    accepts=(
        lambda logits: logits - logits.max() - np.log(np.exp(logits - logits.max()).sum()),
        lambda logits: logits - np.logaddexp.reduce(logits),
        lambda logits: torch.log_softmax(torch.tensor(logits), 0),
        lambda logits: torch.distributions.Categorical(logits=torch.tensor(logits, requires_grad=True)).logits,
        lambda logits: torch.log_softmax(torch.Tensor(logits), 0).tolist(),
        _log_softmax_loop,
    ),
    misconceptions=(
        Misconception(
            "log(softmax) that overflows",
            "The formula is right and the computer is not big enough: exp(1000) is infinite, and infinity over "
            "infinity is NaN. Which number can you take from all logits without changing the softmax?",
            lambda logits: np.log(np.exp(logits) / np.exp(logits).sum()),
        ),
        Misconception(
            "log-sum-exp that overflows",
            "Taking the logarithm apart is the right idea; exp of a large logit overflows all the same (and of a very "
            "negative one vanishes). What if the largest exponent were 0?",
            lambda logits: logits - np.log(np.exp(logits).sum()),
        ),
        Misconception(
            "logarithm of a probability that is already 0",
            "Nothing overflows any more, but a very small probability has become 0 before you take its logarithm. Take "
            "the quotient apart on paper first: what is log exp(x)?",
            lambda logits: np.log(_softmax(logits)),
        ),
        Misconception(
            "a small number added inside the logarithm",
            "A little something inside the logarithm hides the infinity and bends every answer: the logarithm of a "
            "tiny probability is large, and it is known exactly. Take the quotient apart on paper first.",
            lambda logits: np.log(_softmax(logits) + 1e-8),
        ),
        Misconception(
            "a tiny number (1e-12) added inside the logarithm",
            "However tiny the number you add inside the logarithm, it replaces the true value where the probability is "
            "tinier still. On paper, what is the logarithm of exp(x) / Σ exp?",
            lambda logits: np.log(_softmax(logits) + 1e-12),
        ),
        Misconception(
            "mean subtracted instead of the maximum",
            "Subtracting something is the idea, but after the mean is gone there may still be a huge exponent. After "
            "which subtraction is every exponent at most 0?",
            lambda logits: logits - logits.mean() - _log_sum_exp(logits - logits.mean()),
        ),
        Misconception(
            "maximum not put back",
            "You subtract the maximum inside the sum and leave it in the logit. Whatever is subtracted has to be "
            "subtracted everywhere, or added back.",
            lambda logits: logits - _log_sum_exp(logits - logits.max()),
        ),
        Misconception(
            "not normalised",
            "The largest entry is always 0 here, which would make its probability 1. Something that makes the "
            "probabilities add up to one is missing.",
            lambda logits: logits - logits.max(),
        ),
        Misconception(
            "logarithm of the sum forgotten",
            "You subtract the sum of the exponentials itself. What becomes of a division when you take logarithms?",
            lambda logits: logits - logits.max() - np.exp(logits - logits.max()).sum(),
        ),
        Misconception(
            "softmax without the logarithm",
            "These are the probabilities themselves. What is asked are their logarithms, numbers of at most 0.",
            _softmax,
        ),
        Misconception(
            "softmax without the logarithm, overflowing",
            "Two things: these are probabilities where logarithms are asked, and exp of a large logit overflows.",
            _overflowing_softmax,
        ),
        Misconception(
            "softmax applied twice",
            "Probabilities go in where logits should: a softmax of a softmax is much flatter. Once is enough.",
            lambda logits: np.log(_softmax(_softmax(logits))),
        ),
        Misconception(
            "wrong sign",
            "Your numbers are the negative of a log-probability, all at least 0. What sign has the logarithm of a "
            "number below one?",
            lambda logits: logits.max() + _log_sum_exp(logits - logits.max()) - logits,
        ),
        Misconception(
            "logarithm to another base",
            "The right numbers in the wrong unit: log2 or log10 instead of the natural logarithm, whose derivative is "
            "1/x.",
            lambda logits: (logits - logits.max() - _log_sum_exp(logits - logits.max())) / math.log(2),
        ),
        Misconception(
            "logarithm of the logits",
            "You take the logarithm of the logits, which may be negative. They are logarithms already, up to a "
            "constant: which one?",
            lambda logits: np.log(logits),
        ),
        Misconception(
            "logits returned as they are",
            "These are the logits as they came. They are log-probabilities up to a constant, the one that makes the "
            "probabilities add up to one.",
            lambda logits: logits,
        ),
        Misconception(
            "normalised without exponentials",
            "You divide the logits by their sum. Logits may be negative: what turns them into positive numbers first?",
            lambda logits: np.log(logits / logits.sum()),
        ),
        Misconception(
            "only the normaliser",
            "This is one number, the logarithm of the sum. There is one log-probability for each action.",
            lambda logits: logits.max() + _log_sum_exp(logits - logits.max()),
        ),
    ),
)

# softmax_score


def _softmax_score_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [([0.0, 1.0], 0), ([0.0, 1.0], 1), ([2.0], 0), ([1.0, 1.0, 1.0], 2), ([2.0, -1.0, 0.5], 1)]
    extreme = [(logits, action) for logits in EXTREME for action in (0, 1)]
    drawn = [(rng.normal(scale=2, size=size), int(rng.integers(size))) for size in (2, 3, 4, 6)]
    return [case(logits=logits, action=action) for logits, action in (*fixed, *extreme, *drawn)]


def _softmax_score_oracle(logits, action):
    return [(a == action) - probability for a, probability in enumerate(_probabilities(logits))]


def _softmax_score_loop(logits, action):
    score = [-probability for probability in _softmax(logits)]
    score[action] += 1
    return score


def _softmax_score_autograd(logits, action):
    logits = torch.tensor(logits, requires_grad=True)
    torch.log_softmax(logits, 0)[action].backward()
    return logits.grad


def _only_chosen(logits, action):
    return _one_hot(logits, action) * (1 - _softmax(logits)[action])


SOFTMAX_SCORE = Exercise(
    name="softmax_score",
    lesson=1,
    points=2,
    minutes=10,
    difficulty=1,
    signature="softmax_score(logits (A,), action) -> (A,)",
    cases=_softmax_score_cases,
    oracle=_softmax_score_oracle,
    references=("estimators.gradients", "estimators.scores"),
    accepts=(
        lambda logits, action: _one_hot(logits, action) - _softmax(logits),
        lambda logits, action: (np.arange(len(logits)) == action) - _softmax(logits),
        lambda logits, action: (
            torch.nn.functional.one_hot(torch.tensor(action), len(logits)) - torch.softmax(torch.tensor(logits), 0)
        ),
        lambda logits, action: (_one_hot(logits, action) - _softmax(logits.astype(np.float32))).astype(np.float32),
        _softmax_score_loop,
        _softmax_score_autograd,
    ),
    misconceptions=(
        Misconception(
            "wrong sign",
            "Turned round: a step along your vector makes the action that was taken rarer. The gradient of log π "
            "points to where it becomes likelier.",
            lambda logits, action: _softmax(logits) - _one_hot(logits, action),
        ),
        Misconception(
            "gradient of π instead of log π",
            "This is ∇π(a). The score is the gradient of its logarithm, which differs by the factor that gives the "
            "trick its name.",
            lambda logits, action: _softmax(logits)[action] * (_one_hot(logits, action) - _softmax(logits)),
        ),
        Misconception(
            "only the chosen action",
            "You change the chosen action's logit only. Probabilities share one pie: what does the normaliser do when "
            "another logit moves?",
            _only_chosen,
        ),
        Misconception(
            "normaliser forgotten",
            "This is the gradient of the chosen logit alone. log π(a) has a second term, the logarithm of the sum, and "
            "that depends on every logit.",
            lambda logits, action: _one_hot(logits, action),
        ),
        Misconception(
            "chosen action's own term forgotten",
            "You have the part that comes from the normaliser. The other term of log π(a), the logit of the chosen "
            "action, has a gradient as well.",
            lambda logits, action: -_softmax(logits),
        ),
        Misconception(
            "1 − π for every action",
            "One minus the probability is right for the action that was taken, and only for that one. What does log "
            "π(a) gain when another action's logit grows?",
            lambda logits, action: 1 - _softmax(logits),
        ),
        Misconception(
            "logits in place of probabilities",
            "You subtract the logits. They have to become probabilities first.",
            lambda logits, action: _one_hot(logits, action) - logits,
        ),
        Misconception(
            "log-probabilities in place of probabilities",
            "The derivative of the log-sum-exp with respect to a logit is a probability; you put its logarithm.",
            lambda logits, action: _one_hot(logits, action) - np.array(_log_softmax_loop(logits)),
        ),
        Misconception(
            "derivative with respect to the probability",
            "1/π(a) is how log π changes with the probability. What is wanted is how it changes with the logits: one "
            "more step of the chain rule.",
            lambda logits, action: _one_hot(logits, action) / _softmax(logits),
        ),
        Misconception(
            "greedy action instead of the one taken",
            "You score the action with the largest logit. The score belongs to the action that was taken, likely or "
            "not.",
            lambda logits, action: _one_hot(logits, np.argmax(logits)) - _softmax(logits),
        ),
        Misconception(
            "multiplied once more by the probabilities",
            "Each entry carries its own probability as a factor, as in the Jacobian of the softmax. Its logarithm is "
            "simpler: write log π(a) as logit minus log-sum-exp and differentiate that.",
            lambda logits, action: _softmax(logits) * (_one_hot(logits, action) - _softmax(logits)),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda logits, action: _one_hot(logits, action) - _softmax(_softmax(logits)),
        ),
        Misconception(
            "compared with a uniform policy",
            "You subtract 1/A, what a policy that knows nothing would have. This policy has its own probabilities.",
            lambda logits, action: _one_hot(logits, action) - 1 / len(logits),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. You have met the cure in log_softmax.",
            lambda logits, action: _one_hot(logits, action) - _overflowing_softmax(logits),
        ),
        Misconception(
            "one probability for all",
            "You subtract the chosen action's probability everywhere. Each logit is pulled down by its own action's "
            "probability.",
            lambda logits, action: _one_hot(logits, action) - _softmax(logits)[action],
        ),
        Misconception(
            "exponentials that are not normalised",
            "exp of a logit is not a probability yet: they have to add up to one.",
            lambda logits, action: _one_hot(logits, action) - np.exp(logits),
        ),
        Misconception(
            "probabilities instead of the score",
            "These are the probabilities, whichever action was taken. The score asks how log π of the action *taken* "
            "changes with each logit.",
            lambda logits, action: _softmax(logits),
        ),
        Misconception(
            "all log-probabilities",
            "These are the log-probabilities of all actions. The score is the gradient of one of them.",
            lambda logits, action: np.array(_log_softmax_loop(logits)),
        ),
        Misconception(
            "only one entry returned",
            "You return one number, the entry of the action taken. A score has an entry for every logit.",
            lambda logits, action: 1 - _softmax(logits)[action],
        ),
        Misconception(
            "log-probability instead of its gradient",
            "This is log π(a) itself. The score is its gradient, with an entry for every logit.",
            lambda logits, action: _log_softmax_loop(logits)[action],
        ),
    ),
)

# exact_bandit_gradient


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
    probabilities = _probabilities(logits)
    gradient = [0.0] * len(logits)
    for a, p_a in enumerate(probabilities):
        for b, p_b in enumerate(probabilities):
            gradient[b] += p_a * ((a == b) - p_b) * rewards[a]
    return gradient


def _bandit_autograd(logits, rewards):
    logits = torch.tensor(logits, requires_grad=True)
    (torch.softmax(logits, 0) * torch.tensor(rewards)).sum().backward()
    return logits.grad


def _bandit_loop(logits, rewards):
    p = _softmax(logits)
    return [sum(p[a] * rewards[a] * ((a == b) - p[b]) for a in range(len(p))) for b in range(len(p))]


def _float32_bandit(logits, rewards):
    p = _softmax(np.float32(logits))
    return p * (np.float32(rewards) - p @ np.float32(rewards))


def _two_probabilities(logits, rewards):
    p = _softmax(logits)
    return p**2 * rewards - p * (p**2 @ rewards)


EXACT_BANDIT_GRADIENT = Exercise(
    name="exact_bandit_gradient",
    lesson=1,
    points=3,
    minutes=15,
    difficulty=2,
    signature="exact_bandit_gradient(logits (A,), rewards (A,)) -> (A,)",
    cases=_bandit_cases,
    oracle=_bandit_oracle,
    references=("exact.gradient", "exact.objective", "exact.moments"),
    accepts=(
        lambda logits, rewards: _softmax(logits) * (rewards - _softmax(logits) @ rewards),
        lambda logits, rewards: (np.diag(_softmax(logits)) - np.outer(_softmax(logits), _softmax(logits))) @ rewards,
        lambda logits, rewards: (_softmax(logits) * rewards) @ (np.eye(len(logits)) - _softmax(logits)),
        _float32_bandit,
        _bandit_loop,
        _bandit_autograd,
    ),
    misconceptions=(
        Misconception(
            "normaliser forgotten",
            "π(a) r(a) would be the gradient if raising one logit left the other probabilities alone. They add up to "
            "one: what one action gains, the others lose.",
            lambda logits, rewards: _softmax(logits) * rewards,
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
            lambda logits, rewards: rewards - _softmax(logits) @ rewards,
        ),
        Misconception(
            "compared with the plain mean of the rewards",
            "You compare with the average over the arms. This policy does not play all arms equally often: compare "
            "with what the policy itself earns on average.",
            lambda logits, rewards: _softmax(logits) * (rewards - rewards.mean()),
        ),
        Misconception(
            "expectation taken as a plain sum",
            "You add score times reward over the actions as if each were taken once. An expectation weighs every "
            "action with its probability.",
            lambda logits, rewards: rewards - _softmax(logits) * rewards.sum(),
        ),
        Misconception(
            "expectation taken as a plain mean",
            "You average score times reward over the actions, all alike. In an expectation an action counts as often "
            "as the policy takes it.",
            lambda logits, rewards: (rewards - _softmax(logits) * rewards.sum()) / len(rewards),
        ),
        Misconception(
            "probabilities counted twice",
            "π appears once too often: ∇π = π ∇log π holds the factor π already. Either Σ ∇π r, or the expectation of "
            "∇log π · r, not both.",
            _two_probabilities,
        ),
        Misconception(
            "wrong sign",
            "A step along this makes J smaller. The gradient points uphill: actions better than average should gain.",
            lambda logits, rewards: _softmax(logits) * (_softmax(logits) @ rewards - rewards),
        ),
        Misconception(
            "only the diagonal of the Jacobian",
            "π(1 − π) is how an action's probability changes with its own logit. Every logit also moves all the other "
            "probabilities.",
            lambda logits, rewards: _softmax(logits) * (1 - _softmax(logits)) * rewards,
        ),
        Misconception(
            "J subtracted unweighted",
            "Almost: each of the two terms of the score has to be weighed. E[∇log π · r] = E[e_a r] − π E[r]: look at "
            "the second one.",
            lambda logits, rewards: _softmax(logits) * rewards - _softmax(logits) @ rewards,
        ),
        Misconception(
            "probabilities subtracted instead of weighted J",
            "Two terms, and the second lacks its factor: what multiplies π when you average π · r over the actions?",
            lambda logits, rewards: _softmax(logits) * rewards - _softmax(logits),
        ),
        Misconception(
            "plain sum of the rewards in place of J",
            "The second term compares with the sum of all rewards. Compare with what this policy earns on average: a "
            "weighted sum.",
            lambda logits, rewards: _softmax(logits) * (rewards - rewards.sum()),
        ),
        Misconception(
            "weighted with the squared probabilities",
            "Comparing with J and weighing with π is right, once. Here the result is multiplied with π a second time.",
            lambda logits, rewards: _softmax(logits) ** 2 * (rewards - _softmax(logits) @ rewards),
        ),
        Misconception(
            "1 − π instead of the whole score",
            "1 − π(a) is the score's entry for the action taken. An action's logit also counts when another action is "
            "taken, and actions are not taken equally often.",
            lambda logits, rewards: (1 - _softmax(logits)) * rewards,
        ),
        Misconception(
            "J instead of its gradient",
            "This is J itself, one number. Its gradient has an entry for every logit.",
            lambda logits, rewards: _softmax(logits) @ rewards,
        ),
        Misconception(
            "averaged over the actions",
            "Right up to a factor: you divide by the number of actions. The probabilities do the averaging already.",
            lambda logits, rewards: _softmax(logits) * (rewards - _softmax(logits) @ rewards) / len(rewards),
        ),
        Misconception(
            "gradient of log J",
            "You divide by J, which gives the gradient of its logarithm. It is π whose logarithm the trick takes.",
            lambda logits, rewards: (
                _softmax(logits) * (rewards - _softmax(logits) @ rewards) / (_softmax(logits) @ rewards)
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
            lambda logits, rewards: _softmax(_softmax(logits)) * (rewards - _softmax(_softmax(logits)) @ rewards),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. The cure is the one of log_softmax.",
            lambda logits, rewards: _overflowing_softmax(logits) * (rewards - _overflowing_softmax(logits) @ rewards),
        ),
    ),
)


# score_function_estimate


def _estimate_cases(seed):
    rng = np.random.default_rng(seed)
    fixed = [
        ([0.0, 0.0], [1], [2.0]),
        ([0.0, 1.0], [0, 0], [1.0, -3.0]),
        ([0.5, -0.5, 0.0], [2, 0, 2], [1.0, 2.0, 4.0]),
        ([3.0], [0, 0], [1.0, 5.0]),
    ]
    extreme = [(logits, rng.integers(len(logits), size=4), rewards_like(rng, 4)) for logits in EXTREME]
    drawn = [
        (rng.normal(scale=1.5, size=size), rng.integers(size, size=samples), rewards_like(rng, samples))
        for size, samples in ((4, 2), (3, 3), (2, 5), (3, 9), (5, 8))
    ]
    cases = (*fixed, *extreme, *drawn)
    return [case(logits=logits, actions=actions, rewards=rewards) for logits, actions, rewards in cases]


def _estimate_oracle(logits, actions, rewards):
    probabilities = _probabilities(logits)
    estimate = [0.0] * len(logits)
    for action, reward in zip(actions, rewards, strict=True):
        for a, probability in enumerate(probabilities):
            estimate[a] += ((a == action) - probability) * reward / len(actions)
    return estimate


def _score_rows(logits, actions):
    return np.eye(len(logits))[actions] - _softmax(logits)


def _estimate_loop(logits, actions, rewards):
    total = np.zeros(len(logits))
    for action, reward in zip(actions, rewards, strict=True):
        total += reward * (_one_hot(logits, action) - _softmax(logits))
    return total / len(actions)


def _estimate_autograd(logits, actions, rewards):
    logits = torch.tensor(logits, requires_grad=True)
    log_probs = torch.distributions.Categorical(logits=logits).log_prob(torch.tensor(actions))
    (log_probs * torch.tensor(rewards)).mean().backward()
    return logits.grad


def _estimate_counts(logits, actions, rewards):
    counts = np.bincount(actions, rewards, len(logits))
    return list((counts - _softmax(logits) * rewards.sum()) / len(rewards))


def _estimate_float32(logits, actions, rewards):
    return (_score_rows(logits, actions) * rewards[:, None]).mean(0).astype(np.float32)


def _lost_repetitions(logits, actions, rewards):
    gained = np.zeros(len(logits))
    gained[actions] += rewards
    return (gained - _softmax(logits) * rewards.sum()) / len(rewards)


def _mean_reward_by_action(logits, actions, rewards):
    counts = np.bincount(actions, minlength=len(logits))
    means = np.bincount(actions, rewards, len(logits)) / np.maximum(counts, 1)
    return _softmax(logits) * (means - _softmax(logits) @ means)


SCORE_FUNCTION_ESTIMATE = Exercise(
    name="score_function_estimate",
    lesson=1,
    points=3,
    minutes=15,
    difficulty=2,
    signature="score_function_estimate(logits (A,), actions (N,), rewards (N,)) -> (A,); sample i earned rewards[i]",
    cases=_estimate_cases,
    oracle=_estimate_oracle,
    references=("estimators.gradients", "estimators.scores", "estimators.surrogate_loss"),
    accepts=(
        lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards[:, None]).mean(0),
        lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / len(rewards),
        lambda logits, actions, rewards: np.einsum("n,na->a", rewards, _score_rows(logits, actions)) / actions.size,
        _estimate_loop,
        _estimate_autograd,
        _estimate_counts,
        _estimate_float32,
    ),
    misconceptions=(
        Misconception(
            "sum without 1/N",
            "The terms are right, but they are only added up. An expectation is estimated by an average: ten times as "
            "many samples should not make it ten times as long.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions),
        ),
        Misconception(
            "wrong sign",
            "Turned round: along this vector the rewarded actions become rarer. The estimate points uphill.",
            lambda logits, actions, rewards: -rewards @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "wrong sign, and sum without 1/N",
            "Two things: the direction (the estimate points uphill) and the length (it is an average over samples).",
            lambda logits, actions, rewards: -rewards @ _score_rows(logits, actions),
        ),
        Misconception(
            "score without the probabilities",
            "You count the rewards of each action. The score has a second part, which pulls every other action down: "
            "look at softmax_score again.",
            lambda logits, actions, rewards: rewards @ np.eye(len(logits))[actions] / len(rewards),
        ),
        Misconception(
            "score without the probabilities, and sum without 1/N",
            "You add up the rewards of each action. The score has a second part, the probabilities, and the estimate "
            "is an average over the samples.",
            lambda logits, actions, rewards: rewards @ np.eye(len(logits))[actions],
        ),
        Misconception(
            "only the chosen action's entry of the score",
            "Only the logit of the action taken gets anything. When one probability rises the others fall: the score "
            "has an entry for each of them.",
            lambda logits, actions, rewards: (
                rewards @ (np.eye(len(logits))[actions] * (1 - _softmax(logits))) / len(rewards)
            ),
        ),
        Misconception(
            "logits in place of probabilities",
            "You subtract the logits. They have to become probabilities first: look at softmax_score again.",
            lambda logits, actions, rewards: rewards @ (np.eye(len(logits))[actions] - logits) / len(rewards),
        ),
        Misconception(
            "compared with a uniform policy",
            "You subtract 1/A, what a policy that knows nothing would have. The samples came from this policy, with "
            "its own probabilities.",
            lambda logits, actions, rewards: rewards @ (np.eye(len(logits))[actions] - 1 / len(logits)) / len(rewards),
        ),
        Misconception(
            "mean score times mean reward",
            "An average times an average is not the average of the products: which action earned what is lost. "
            "Multiply sample by sample, then average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0) * rewards.mean(),
        ),
        Misconception(
            "mean score times summed reward",
            "All samples get the same weight, the sum of all rewards. Sample i is worth what sample i earned: the "
            "product belongs inside the average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0) * rewards.sum(),
        ),
        Misconception(
            "summed score times summed reward",
            "One sum times another pairs every action with everybody's reward. Keep the pairs (action, reward) "
            "together inside one average.",
            lambda logits, actions, rewards: _score_rows(logits, actions).sum(0) * rewards.sum(),
        ),
        Misconception(
            "probabilities counted twice",
            "You weigh each sample with its probability, or differentiate π instead of log π, which is the same. "
            "Sampling has done that already: likely actions turn up more often.",
            lambda logits, actions, rewards: (
                (rewards * _softmax(logits)[actions]) @ _score_rows(logits, actions) / len(rewards)
            ),
        ),
        Misconception(
            "divided by the probability",
            "You divide by the probability of the action taken, as if it had been drawn from a uniform policy. It was "
            "drawn from this one: nothing needs correcting.",
            lambda logits, actions, rewards: (
                (rewards / _softmax(logits)[actions]) @ _score_rows(logits, actions) / len(rewards)
            ),
        ),
        Misconception(
            "averaged over the actions instead of the samples",
            "You divide by A, the number of actions. The average runs over the samples.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / len(logits),
        ),
        Misconception(
            "reward looked up by action",
            "You read rewards[action], as if there were one reward for each arm. Here rewards[i] is what sample i "
            "earned, in the order of the samples.",
            lambda logits, actions, rewards: rewards[actions] @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "repeated actions lost",
            "When an action turns up twice, one of its rewards is lost: NumPy's out[actions] += rewards writes each "
            "place once. np.add.at or np.bincount add every time.",
            _lost_repetitions,
        ),
        Misconception(
            "mean reward of each action, then the exact gradient",
            "You estimate each arm's mean reward and put it into the exact formula. That is another estimator, and "
            "biased where an arm was never drawn; the score-function estimate averages the samples as they are.",
            _mean_reward_by_action,
        ),
        Misconception(
            "rewards left out",
            "This is the mean score, zero in expectation: every sampled action is encouraged, well paid or not. Where "
            "does its reward come in?",
            lambda logits, actions, rewards: _score_rows(logits, actions).mean(0),
        ),
        Misconception(
            "mean reward subtracted",
            "You subtract the mean of the rewards. A good instinct, and lesson 7 is about it; here the plain estimate "
            "is asked, with the rewards as they are.",
            lambda logits, actions, rewards: (rewards - rewards.mean()) @ _score_rows(logits, actions) / len(rewards),
        ),
        Misconception(
            "weighted average",
            "You divide by the sum of the rewards, as in a weighted average. That sum may be zero or negative: the "
            "average runs over N samples, whatever they earned.",
            lambda logits, actions, rewards: rewards @ _score_rows(logits, actions) / rewards.sum(),
        ),
        Misconception(
            "not averaged",
            "These are the terms, a row for each sample. The estimate is their average, with an entry for each logit.",
            lambda logits, actions, rewards: _score_rows(logits, actions) * rewards[:, None],
        ),
        Misconception(
            "averaged along the wrong axis",
            "You average over the actions and keep the samples. It is the other way round: the result has an entry for "
            "each logit.",
            lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards[:, None]).mean(1),
        ),
        Misconception(
            "rewards along the actions' axis",
            "Shapes: (N, A) times (N,) lines the rewards up with the *actions*, and fails or, worse, works when N = A. "
            "Give the rewards a second axis.",
            lambda logits, actions, rewards: (_score_rows(logits, actions) * rewards).mean(0),
        ),
        Misconception(
            "softmax that overflows",
            "Right in mathematics, NaN in the computer: exp(1000) is infinite. The cure is the one of log_softmax.",
            lambda logits, actions, rewards: (
                rewards @ (np.eye(len(logits))[actions] - _overflowing_softmax(logits)) / len(rewards)
            ),
        ),
    ),
)

EXERCISES = [LOG_SOFTMAX, SOFTMAX_SCORE, EXACT_BANDIT_GRADIENT, SCORE_FUNCTION_ESTIMATE]
