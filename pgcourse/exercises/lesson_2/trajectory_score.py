import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_2.shared import assigned
from pgcourse.exercises.pieces import autograd, in_single, softmax


def _score_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(theta=[[0.0, 0.0], [0.0, 0.0]], states=[0], actions=[1]),
        case(theta=[[0.0, 0.0], [1.0, -1.0]], states=[0, 1, 0], actions=[1, 0, 1]),
        case(theta=[[0.5, -0.5, 0.0], [0.0, 1.0, 2.0]], states=[1, 1, 1, 1], actions=[0, 0, 2, 0]),
    ]
    for num_states, num_actions, num_steps in ((3, 2, 4), (2, 3, 1), (4, 3, 3), (3, 3, 6), (2, 2, 2), (5, 4, 9)):
        theta = rng.normal(size=(num_states, num_actions)) + rng.normal()
        states = rng.integers(num_states, size=num_steps)
        states[num_steps // 2 :] = states[: (num_steps + 1) // 2]  # some states come back
        cases.append(case(theta=theta, states=states, actions=rng.integers(num_actions, size=num_steps)))
    return cases


def _score_oracle(theta, states, actions):
    """∂ log π(a|s)/∂θ[s, b] = 1 if b = a else 0, minus π(b|s), one entry after the other."""
    score = [[0.0] * len(row) for row in theta]
    for s, a in zip(states, actions, strict=True):
        largest = max(theta[s])
        total = math.fsum(math.exp(logit - largest) for logit in theta[s])
        for b, logit in enumerate(theta[s]):
            score[s][b] += (1.0 if b == a else 0.0) - math.exp(logit - largest) / total
    return score


def _steps(theta, states, actions):
    """The score of each step in its own table, (T, S, A)."""
    steps = np.zeros((len(actions), *theta.shape))
    steps[np.arange(len(actions)), states] = np.eye(theta.shape[1])[actions] - softmax(theta)[states]
    return steps


def _score_by_counts(theta, states, actions):
    counts = np.zeros(theta.shape)
    for s, a in zip(states, actions, strict=True):
        counts[s, a] += 1
    return counts - counts.sum(1, keepdims=True) * softmax(theta)


def _counts(theta, states, actions):
    counts = np.zeros_like(theta)
    np.add.at(counts, (states, actions), 1)
    return counts


def _visited(theta, states, actions):
    """Which states came up, (S, 1)."""
    return np.isin(np.arange(len(theta)), states)[:, None]


def _with(theta, states, actions, probs):
    """The score with other numbers in the place of π."""
    score = _counts(theta, states, actions)
    np.subtract.at(score, states, probs[states])
    return score


def _log_prob(theta, states, actions):
    return np.log(softmax(theta))[states, actions].sum()


def _through(log_softmax):
    """Autograd through a logarithm of probabilities."""
    return lambda theta, states, actions: autograd(lambda x: log_softmax(x)[states, actions].sum(), theta)


EXERCISE = Exercise(
    name="trajectory_score",
    lesson=2,
    place=3,
    points=4,
    minutes=15,
    difficulty=2,
    signature="trajectory_score(theta (S,A), states (T,), actions (T,)) -> (S,A)",
    cases=_score_cases,
    oracle=_score_oracle,
    references=("estimators.gradients", "estimators.scores", "estimators._table_gradients", "distributed.gradient"),
    accepts=(
        lambda *arguments: _steps(*arguments).sum(0),
        lambda *x: _with(*x, softmax(x[0])),
        _score_by_counts,
        _through(lambda theta: theta.log_softmax(1)),
        in_single(lambda theta, s, a: torch.func.grad(lambda x: x.log_softmax(1)[s, a].sum())(torch.from_numpy(theta))),
        lambda theta, s, a: (np.eye(len(theta))[s].T @ (np.eye(theta.shape[1])[a] - softmax(theta)[s])).tolist(),
    ),
    misconceptions=(
        Misconception(
            "later visits overwrite earlier ones",
            "A state that is visited twice keeps only its last score. score[s] = … overwrites, and score[states] += … "
            "with a repeated index does the same behind your back. How do you *add up* over the steps?",
            assigned,
        ),
        Misconception(
            "each state and action counted once",
            "score[states, actions] += 1 looks like counting, but NumPy applies each repeated index only once. Go "
            "through the steps one by one, or look at np.add.at.",
            lambda *x: (_counts(*x) > 0) - _visited(*x) * softmax(x[0]),
        ),
        Misconception(
            "π subtracted once for each state",
            "The actions are counted properly, but π is subtracted once however often the state came up. Every visit "
            "brings its own e_a − π.",
            lambda *x: _counts(*x) - _visited(*x) * softmax(x[0]),
        ),
        Misconception(
            "π forgotten",
            "You count which action was taken where. That is the first half of e_a − π; the normaliser of the softmax "
            "pulls at every logit of the visited state.",
            _counts,
        ),
        Misconception(
            "only the chosen action",
            "The chosen logit gets 1 − π, the others in that state get nothing. They fall when it rises: what does the "
            "score of a softmax say for them?",
            lambda *x: _counts(*x) * (1 - softmax(x[0])),
        ),
        Misconception(
            "only the chosen action, overwritten",
            "Two things: a second visit to the same state and action replaces the first, where it should be added; and "
            "the logits of the actions not taken get nothing, though they share the pie.",
            lambda *x: (_counts(*x) > 0) * (1 - softmax(x[0])),
        ),
        Misconception(
            "every action scored",
            "You add log π of *all* actions in each visited state. Only the one that was taken belongs to the "
            "trajectory.",
            lambda theta, s, a: np.bincount(s, minlength=len(theta))[:, None] * (1 - theta.shape[1] * softmax(theta)),
        ),
        Misconception(
            "every state with every action",
            "theta[states][:, actions] is a T by T table: each visited state with each action ever taken. Pair them: "
            "s_t with a_t.",
            lambda theta, s, a: _score_by_counts(theta, np.repeat(s, len(a)), np.tile(a, len(s))),
        ),
        Misconception(
            "chosen action's own term forgotten",
            "You have the part that comes from the normaliser. The chosen action's logit stands in log π(a|s) itself, "
            "too.",
            lambda *x: _steps(*x).sum(0) - _counts(*x),
        ),
        Misconception(
            "wrong sign",
            "Turned round: a step along your table makes this trajectory rarer. Its score points to where it becomes "
            "likelier.",
            lambda *x: -_steps(*x).sum(0),
        ),
        Misconception(
            "mean over time",
            "You divide by T. The logarithm of a product is a sum, and nothing in it is averaged.",
            lambda *x: _steps(*x).mean(0),
        ),
        Misconception(
            "gradient of π(τ) instead of log π(τ)",
            "Your table is the score times the probability of the actions. That factor belongs to ∇π; the logarithm "
            "has divided it away.",
            lambda *x: np.exp(_log_prob(*x)) * _steps(*x).sum(0),
        ),
        Misconception(
            "gradient of each π instead of log π",
            "Each step carries its own π(a|s) as a factor: these are the gradients of the probabilities. What happens "
            "to that factor when you differentiate a logarithm?",
            lambda *x: np.einsum("t,tsa->sa", softmax(x[0])[x[1], x[2]], _steps(*x)),
        ),
        Misconception(
            "softmax over the states",
            "Your probabilities add up to one over the states. A policy spreads its probability over the *actions* of "
            "each state: which axis is that?",
            lambda *x: _with(*x, softmax(x[0], 0)),
        ),
        Misconception(
            "one softmax over the whole table",
            "One softmax over all entries mixes the states. Each row is a policy of its own, and sums to one.",
            lambda *x: _with(*x, softmax(x[0].reshape(-1)).reshape(x[0].shape)),
        ),
        Misconception(
            "θ taken for the probabilities",
            "You subtract θ itself. Those are logits: they become probabilities by a softmax.",
            lambda *x: _with(*x, x[0]),
        ),
        Misconception(
            "log-probabilities in place of probabilities",
            "You subtract log π. The derivative of the log-sum-exp is a probability, not its logarithm.",
            lambda *x: _with(*x, np.log(softmax(x[0]))),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda *x: _with(*x, softmax(softmax(x[0]))),
        ),
        Misconception(
            "autograd through two softmaxes",
            "The logits went through a softmax and then through another, inside log_softmax or Categorical(logits=…). "
            "Once is enough.",
            _through(lambda theta: theta.softmax(1).log_softmax(1)),
        ),
        Misconception(
            "autograd through a softmax over the states",
            "Your probabilities add up to one over the states, and autograd takes you at your word. Which axis of θ "
            "are the actions?",
            _through(lambda theta: theta.log_softmax(0)),
        ),
        Misconception(
            "autograd through one softmax over the whole table",
            "Autograd did its part, on the wrong function: your log-softmax runs over all of θ at once. Each row is a "
            "policy of its own, and sums to one.",
            _through(lambda theta: theta.reshape(-1).log_softmax(0).reshape(theta.shape)),
        ),
        Misconception(
            "compared with a uniform policy",
            "You subtract 1/A, what a coin-tossing policy would have. This policy has its own probabilities.",
            lambda *x: _with(*x, np.full_like(x[0], 1 / x[0].shape[1])),
        ),
        Misconception(
            "π subtracted in every state",
            "States that the trajectory never saw get a score, too. At step t only the row of s_t knows about the "
            "choice.",
            lambda *x: _counts(*x) - len(x[2]) * softmax(x[0]),
        ),
        Misconception(
            "π subtracted once in every state",
            "You subtract the table of probabilities from the table of counts. Each *visit* to a state brings one π, "
            "and a state that was never visited none.",
            lambda *x: _counts(*x) - softmax(x[0]),
        ),
        Misconception(
            "derivative with respect to the probability",
            "1/π(a|s) is how log π changes with the *probability*. You want how it changes with the logits: one more "
            "step of the chain rule.",
            lambda *x: _counts(*x) / softmax(x[0]),
        ),
        Misconception(
            "last step left out",
            "The last step is missing. The final choice moved the trajectory's probability as well.",
            lambda *x: _steps(*x)[:-1].sum(0),
        ),
        Misconception(
            "first step left out",
            "The first step is missing. In the arrays it has index 0.",
            lambda *x: _steps(*x)[1:].sum(0),
        ),
        Misconception(
            "only the last step",
            "Only the last step's score is left. Does each turn of your loop begin a new table, or return too early?",
            lambda *x: _steps(*x)[-1],
        ),
        Misconception(
            "only the first step",
            "Only the first step's score is there. Look at where your return stands: the loop has more turns to make.",
            lambda *x: _steps(*x)[0],
        ),
        Misconception(
            "score at the next state",
            "Each action is scored in the state that came after it. The policy chose a_t when it saw s_t.",
            lambda theta, s, a: _steps(theta, s[1:], a[:-1]).sum(0),
        ),
        Misconception(
            "one table for each step",
            "You return a table for every step. The score of the trajectory is their sum.",
            _steps,
        ),
        Misconception(
            "one row for each step",
            "You return e_a − π for every step, in the order of time. θ has a row for every *state*: where does each "
            "step's row belong?",
            lambda theta, s, a: np.eye(theta.shape[1])[a] - softmax(theta)[s],
        ),
        Misconception(
            "states forgotten",
            "You added all steps into one row of length A. θ has a row for every state, and each step belongs to the "
            "row of its own state.",
            lambda *x: _steps(*x).sum((0, 1)),
        ),
        Misconception(
            "log-probability instead of its gradient",
            "This is the sum of the log-probabilities itself. Its gradient has an entry for every entry of θ.",
            _log_prob,
        ),
        Misconception(
            "flattened",
            "The numbers are right, in one long row. The score has the shape of θ: (S, A).",
            lambda *x: _steps(*x).sum(0).reshape(-1),
        ),
        Misconception(
            "transposed",
            "States and actions have changed places. The score has the shape of θ: states first.",
            lambda *x: _steps(*x).sum(0).T,
        ),
    ),
)
