import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.pieces import in_single, in_torch


def _change_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(theta=[[0.0, 0.0]], new_theta=[[1.0, -0.5]], states=[0], actions=[0]),
        case(theta=[[0.0, 0.0]], new_theta=[[0.5, -0.5]], states=[0, 0, 0], actions=[0, 0, 1]),
        case(theta=[[0.5, -1.0], [0.0, 2.0]], new_theta=[[0.5, -1.0], [1.0, -1.0]], states=[0, 1], actions=[1, 1]),
    ]
    for num_states, num_actions, num_steps in ((3, 2, 4), (2, 3, 5), (3, 3, 3), (4, 3, 1), (2, 4, 2), (5, 4, 9)):
        theta = rng.normal(size=(num_states, num_actions))
        new_theta = theta + rng.choice([-1, 1], theta.shape) * rng.uniform(0.3, 1.5, theta.shape)
        states = rng.integers(num_states, size=num_steps)
        states[-1] = states[0]
        actions = rng.integers(num_actions, size=num_steps)
        cases.append(case(theta=theta, new_theta=new_theta, states=states, actions=actions))
    return cases


def _change_oracle(theta, new_theta, states, actions):
    change = 0.0
    for s, a in zip(states, actions, strict=True):
        before = np.exp(theta[s, a]) / sum(np.exp(logit) for logit in theta[s])
        after = np.exp(new_theta[s, a]) / sum(np.exp(logit) for logit in new_theta[s])
        change += np.log(after) - np.log(before)
    return change


def _log_softmax(table, axis=1):
    return table - np.log(np.exp(table).sum(axis, keepdims=True))


def _change(theta, new_theta):
    """log π_θ'(a | s) − log π_θ(a | s), (S, A)."""
    return _log_softmax(new_theta) - _log_softmax(theta)


def _steps(theta, new_theta, s, a):
    return _change(theta, new_theta)[s, a]


def _likelihood(theta, s, a):
    return np.exp(_log_softmax(theta)[s, a].sum())


def _score(theta, s, a):
    score = np.zeros_like(theta)
    for state, action in zip(s, a, strict=True):
        score[state, action] += 1
        score[state] -= np.exp(_log_softmax(theta)[state])
    return score


def _change_by_counting(theta, new_theta, states, actions):
    counts = np.zeros_like(theta)
    np.add.at(counts, (states, actions), 1)
    return (counts * _change(theta, new_theta)).sum()


def _change_by_distribution(theta, new_theta, states, actions):
    def log_prob(table):
        logits = torch.from_numpy(table)[torch.from_numpy(states)]
        return torch.distributions.Categorical(logits=logits).log_prob(torch.from_numpy(actions)).sum()

    return (log_prob(new_theta) - log_prob(theta)).item()


def _unnormalised(theta, new_theta, s, a):
    return (new_theta - theta)[s, a].sum()


EXERCISE = Exercise(
    name="log_likelihood_change",
    lesson=5,
    place=1,
    points=3,
    minutes=12,
    difficulty=2,
    signature="log_likelihood_change(theta (S,A), new_theta (S,A), states (T,), actions (T,)) -> scalar",
    cases=_change_cases,
    oracle=_change_oracle,
    references=("estimators.log_probs", "estimators.trajectory_log_ratio"),
    accepts=(
        lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a).sum(),
        lambda theta, new_theta, s, a: np.log(_likelihood(new_theta, s, a) / _likelihood(theta, s, a)),
        lambda theta, new_theta, s, a: (
            _unnormalised(theta, new_theta, s, a) + np.log(np.exp(theta).sum(1) / np.exp(new_theta).sum(1))[s].sum()
        ),
        in_single(lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a).sum()),
        lambda theta, new_theta, s, a: sum(_steps(theta, new_theta, s, a).tolist()),
        _change_by_counting,
        in_torch(
            lambda theta, new_theta, s, a: new_theta.log_softmax(1)[s, a].sum() - theta.log_softmax(1)[s, a].sum()
        ),
        _change_by_distribution,
    ),
    misconceptions=(
        Misconception(
            "old minus new",
            "Every term is there, and the difference is taken the other way round: a trajectory that has become "
            "likelier should come out with a plus.",
            lambda theta, new_theta, s, a: -_steps(theta, new_theta, s, a).sum(),
        ),
        Misconception(
            "ratio instead of logarithm",
            "You return how many *times* likelier the trajectory is, π'(τ) / π(τ). The change of the *log*-likelihood "
            "is wanted, which is 0 where nothing changes.",
            lambda theta, new_theta, s, a: np.exp(_steps(theta, new_theta, s, a).sum()),
        ),
        Misconception(
            "ratio upside down",
            "You return π(τ) / π'(τ), a ratio. Two things to look at: which of the two policies is the new one, and "
            "what turns a ratio into a change of the log-likelihood.",
            lambda theta, new_theta, s, a: np.exp(-_steps(theta, new_theta, s, a).sum()),
        ),
        Misconception(
            "relative change",
            "You return by which fraction the likelihood grew, π'(τ) / π(τ) − 1. For tiny steps that is nearly the "
            "change of log π(τ); for these it is not: take the logarithm.",
            lambda theta, new_theta, s, a: np.expm1(_steps(theta, new_theta, s, a).sum()),
        ),
        Misconception(
            "change of the likelihood itself",
            "You return π'(τ) − π(τ), a difference of probabilities. The exercise asks for the difference of their "
            "logarithms.",
            lambda theta, new_theta, s, a: _likelihood(new_theta, s, a) - _likelihood(theta, s, a),
        ),
        Misconception(
            "change of the likelihood itself, old minus new",
            "A difference of probabilities, and in the wrong direction. Take logarithms first, and subtract the old "
            "from the new.",
            lambda theta, new_theta, s, a: _likelihood(theta, s, a) - _likelihood(new_theta, s, a),
        ),
        Misconception(
            "probabilities added up over the steps",
            "You subtract probabilities, step by step, and add up. Independent choices *multiply*: which function "
            "turns that product into a sum?",
            lambda theta, new_theta, s, a: (np.exp(_log_softmax(new_theta)) - np.exp(_log_softmax(theta)))[s, a].sum(),
        ),
        Misconception(
            "ratios added up over the steps",
            "You add up the ratios π'(a|s) / π(a|s) of the steps. The likelihood of a trajectory is a product over its "
            "steps: take the logarithm before you add.",
            lambda theta, new_theta, s, a: np.exp(_steps(theta, new_theta, s, a)).sum(),
        ),
        Misconception(
            "logarithm of a sum of probabilities",
            "You add up the probabilities of the steps and take the logarithm of the sum. The trajectory's probability "
            "is the *product* of theirs: logarithm first, then the sum.",
            lambda theta, new_theta, s, a: np.log(
                np.exp(_log_softmax(new_theta)[s, a]).sum() / np.exp(_log_softmax(theta)[s, a]).sum()
            ),
        ),
        Misconception(
            "product of logarithms",
            "You multiply log-probabilities. It is the probabilities that multiply; what happens to a product when "
            "you take its logarithm?",
            lambda theta, new_theta, s, a: _log_softmax(new_theta)[s, a].prod() - _log_softmax(theta)[s, a].prod(),
        ),
        Misconception(
            "ratio of logarithms",
            "You divide one log-likelihood by the other. A ratio of probabilities becomes a *difference* once you take "
            "logarithms.",
            lambda theta, new_theta, s, a: _log_softmax(new_theta)[s, a].sum() / _log_softmax(theta)[s, a].sum(),
        ),
        Misconception(
            "logarithm to base ten",
            "The right change in another unit: somewhere a log10 took the place of the natural logarithm.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a).sum() / np.log(10),
        ),
        Misconception(
            "logarithm of the logits",
            "You take logarithms of logits, which may be negative. A logit is not a probability: what makes "
            "probabilities out of a row of them?",
            lambda theta, new_theta, s, a: np.log(new_theta)[s, a].sum() - np.log(theta)[s, a].sum(),
        ),
        Misconception(
            "softmax of the difference",
            "You subtract the logits and normalise the difference. Make two policies first, one from each table, and "
            "compare what they say about τ.",
            lambda theta, new_theta, s, a: _log_softmax(new_theta - theta)[s, a].sum(),
        ),
        Misconception(
            "logits instead of log-probabilities",
            "You compare logits. A logit that rises need not mean a likelier action: the others in its state may have "
            "risen more. What makes log-probabilities out of logits?",
            _unnormalised,
        ),
        Misconception(
            "logits instead of log-probabilities, old minus new",
            "Two things: logits are not log-probabilities yet (they are not normalised within their state), and the "
            "old is subtracted from the new.",
            lambda theta, new_theta, s, a: -_unnormalised(theta, new_theta, s, a),
        ),
        Misconception(
            "softmax over the states",
            "Your softmax runs down the columns, so the actions of one state do not sum to one. In which direction of "
            "the table (S, A) lie the choices that compete?",
            lambda theta, new_theta, s, a: (_log_softmax(new_theta, 0) - _log_softmax(theta, 0))[s, a].sum(),
        ),
        Misconception(
            "softmax over the whole table",
            "Your softmax makes one distribution out of the whole table. There is one for each state: normalise each "
            "row by itself.",
            lambda theta, new_theta, s, a: (_log_softmax(new_theta, (0, 1)) - _log_softmax(theta, (0, 1)))[s, a].sum(),
        ),
        Misconception(
            "only one of the two normalised",
            "One of your two tables is turned into log-probabilities, the other is still made of raw logits. Both "
            "policies need the same treatment.",
            lambda theta, new_theta, s, a: (_log_softmax(new_theta) - theta)[s, a].sum(),
        ),
        Misconception(
            "mean over the steps",
            "You average over the steps. The log-likelihood of a trajectory is the whole sum, however long it is.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a).mean(),
        ),
        Misconception(
            "mean over the steps, old minus new",
            "Two things: the steps are to be added up, not averaged, and the old is subtracted from the new.",
            lambda theta, new_theta, s, a: -_steps(theta, new_theta, s, a).mean(),
        ),
        Misconception(
            "one number for each step",
            "You return what changed at each step. The trajectory has one likelihood: put the steps together.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a),
        ),
        Misconception(
            "one number for each entry of the table",
            "You return a whole table. Only what the trajectory did counts: pick the entries of its states and "
            "actions, as often as they occur, and add them up.",
            lambda theta, new_theta, s, a: _change(theta, new_theta),
        ),
        Misconception(
            "whole table added up",
            "You add up the whole table. The trajectory took one action at each step, in one state: only those entries "
            "belong into the sum, as often as they occur.",
            lambda theta, new_theta, s, a: _change(theta, new_theta).sum(),
        ),
        Misconception(
            "all actions of the visited states",
            "You add up all actions of each visited state. Which of them did the trajectory take at step t?",
            lambda theta, new_theta, s, a: _change(theta, new_theta)[s].sum(),
        ),
        Misconception(
            "averaged over the policy's actions",
            "You average over what the old policy *might* do in each state, which gives minus a KL divergence. This "
            "trajectory did something definite: use the action that was taken.",
            lambda theta, new_theta, s, a: (np.exp(_log_softmax(theta)) * _change(theta, new_theta))[s].sum(),
        ),
        Misconception(
            "every state paired with every action",
            "Your indexing pairs every state of the trajectory with every action of it, T × T pairs. The action at t "
            "belongs to the state at t: index both axes at once.",
            lambda theta, new_theta, s, a: _change(theta, new_theta)[s][:, a].sum(),
        ),
        Misconception(
            "states and actions swapped",
            "The table's rows are states and its columns actions. Which index comes first?",
            lambda theta, new_theta, s, a: _change(theta, new_theta)[a, s].sum(),
        ),
        Misconception(
            "repeated pairs counted once",
            "A pair (state, action) that the trajectory went through several times is counted once. Each step is a "
            "factor of its own in π(τ).",
            lambda theta, new_theta, s, a: sum(_change(theta, new_theta)[pair] for pair in set(zip(s, a, strict=True))),
        ),
        Misconception(
            "last step missing",
            "The last step is missing from your sum: actions has T entries, and all of them were chosen by the policy.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s[:-1], a[:-1]).sum(),
        ),
        Misconception(
            "first step missing",
            "The first step is missing from your sum. The first *state* comes from the world, the first action from "
            "the policy.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s[1:], a[1:]).sum(),
        ),
        Misconception(
            "only the last step",
            "Only the last step counts here: is something overwritten in a loop where it should be added?",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a)[-1],
        ),
        Misconception(
            "only the first step",
            "Only the first step counts here: does your loop return, or your index stop, too early?",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s, a)[0],
        ),
        Misconception(
            "action scored in the next state",
            "Your actions are scored in the state that came *after* them. The action at t was chosen in the state at "
            "t: the two have the same index.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s[1:], a[:-1]).sum(),
        ),
        Misconception(
            "action of the next step",
            "You pair each state with the action that was taken one step later. The action at t was chosen in the "
            "state at t: the two have the same index.",
            lambda theta, new_theta, s, a: _steps(theta, new_theta, s[:-1], a[1:]).sum(),
        ),
        Misconception(
            "prediction instead of the change",
            "This is the score times the change of θ: what a small step *would* do, to first order. Here the steps are "
            "large and the real change is wanted, so nothing needs to be differentiated.",
            lambda theta, new_theta, s, a: (_score(theta, s, a) * (new_theta - theta)).sum(),
        ),
        Misconception(
            "new_theta taken for a step",
            "You add new_theta to theta, as if it were the step. It is where the step has already led.",
            lambda theta, new_theta, s, a: _steps(theta, theta + new_theta, s, a).sum(),
        ),
        Misconception(
            "only the new likelihood",
            "This is log π'(τ) itself. A change needs something to compare with.",
            lambda theta, new_theta, s, a: _log_softmax(new_theta)[s, a].sum(),
        ),
        Misconception(
            "number inside a list",
            "The number is wrapped in an array or list of length one. A scalar is asked: the number itself.",
            lambda theta, new_theta, s, a: [_steps(theta, new_theta, s, a).sum()],
        ),
        Misconception(
            "sign thrown away",
            "The size is right, and the sign is lost: a trajectory may become less likely, too.",
            lambda theta, new_theta, s, a: abs(_steps(theta, new_theta, s, a).sum()),
        ),
    ),
)
