import math

import numpy as np
import torch

from pgcourse import exact
from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_2.shared import assigned, dense_world, laptop
from pgcourse.exercises.pieces import autograd, softmax
from pgcourse.finite_differences import central_differences
from pgcourse.mdp import TabularMDP, bandit, corridor, random_mdp


def _gradient_cases(seed):
    rng = np.random.default_rng(seed)
    lopsided = TabularMDP(laptop(2).P, [[1, 3], [0, -4]], [0, 1], 2)
    cases = [
        case(mdp=bandit([1.0, 2.0, -1.5]), theta=[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        case(mdp=laptop(1), theta=[[0.0, 1.0], [0.5, 0.0]]),
        case(mdp=laptop(2), theta=np.zeros((2, 2))),
        case(mdp=lopsided, theta=[[0.0, -1.0], [0.0, 1.0]]),
        case(mdp=corridor(2, 4), theta=rng.normal(size=(3, 2))),
    ]
    for num_states, num_actions, horizon in ((4, 2, 3), (3, 3, 3), (4, 3, 2)):
        theta = rng.normal(size=(num_states, num_actions))
        cases.append(case(mdp=random_mdp(rng, num_states, num_actions, horizon), theta=theta))
    for num_states, num_actions, horizon in ((2, 3, 3), (3, 2, 3)):
        theta = rng.normal(size=(num_states, num_actions))
        cases.append(case(mdp=dense_world(rng, num_states, num_actions, horizon), theta=theta))
    cases.append(case(mdp=_two_planets(rng), theta=[[0.0, 0.0], [0.0, 0.0], rng.normal(size=2)]))
    return cases


def _two_planets(rng):
    """A coin sends you to one where every action earns 1, or to one where they earn less than float64 adds to 1.

    J is the same whatever one does on the second planet, to float64; the gradient there is small, and no less sure.
    """
    P = np.repeat([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], 2, 1)
    return TabularMDP(P, [[0, 0], [1, 1], rng.permutation([1.0, -2.5]) / 2**64], [1, 0, 0], 3)


def _scale(mdp, theta):
    """For each state the horizon times the largest reward of all states that a trajectory through it may visit."""
    steps = np.eye(mdp.num_states) + mdp.P.sum(1)
    leads = np.linalg.matrix_power(steps, mdp.num_states) > 0
    largest = np.where(leads | leads.T, np.abs(mdp.r).max(1), 0).max(1)
    return mdp.horizon * largest[:, None] + np.zeros_like(theta)


def _gradient_oracle(mdp, theta):
    """Walks through every trajectory and adds up probability · score · total reward."""
    probs = [[math.exp(logit) / math.fsum(map(math.exp, row)) for logit in row] for row in theta]
    gradient = np.zeros(theta.shape)

    def walk(s, t, probability, score, earned):
        if t == mdp.horizon or mdp.terminal[s]:
            gradient[:] += probability * score * earned
            return
        for a in range(len(probs[s])):
            step = score.copy()
            step[s] -= probs[s]
            step[s, a] += 1
            for after in np.flatnonzero(mdp.P[s, a]):
                p = probability * probs[s][a] * mdp.P[s, a, after]
                walk(after, t + 1, p, step, earned + mdp.r[s, a])

    for s in np.flatnonzero(mdp.initial):
        walk(s, 0, mdp.initial[s], np.zeros(theta.shape), 0.0)
    return gradient


def _theorem(mdp, theta, **change):
    """Σ_t d_t(s) π(a|s) (Q_t(s, a) − V_t(s)), with one thing in it changed; with γ ≠ 1, of the discounted J."""
    steps, discount = change.get("steps", mdp.horizon), change.get("discount", 1.0)
    probs = change.get("softmax", softmax)(theta)
    v, q, d = np.zeros(len(probs)), [], [change.get("initial", mdp.initial)]
    for _ in range(steps):
        q.append(mdp.r + discount * mdp.P @ v)
        v = (probs * q[-1]).sum(1)
        d.append(discount * np.einsum("s,sa,sap->p", d[-1], probs, mdp.P))
    q = change.get("q", lambda q: q)(np.array(q[::-1]).reshape(-1, *probs.shape))
    d = change.get("d", lambda d: d)(np.array(d[:-1]).reshape(-1, len(probs)))
    advantages = q - change.get("v", lambda v: v)((probs * q).sum(2, keepdims=True))
    return np.einsum("ts,sa,tsa->sa", d, change.get("factor", lambda p: p)(probs), advantages)


def _listed(mdp, theta, softmax=softmax, scored=lambda mask: mask):
    """Every trajectory: probability, the dynamics' and the policy's part of that, score (N, S, A), and itself."""
    trajectories, dynamics = exact.trajectories(mdp)
    probs, score = softmax(theta), np.zeros((len(trajectories), *theta.shape))
    chosen = np.ones(len(trajectories))
    for i, t in np.argwhere(scored(trajectories.mask)):
        s, a = trajectories.observations[i, t], trajectories.actions[i, t]
        score[i, s, a] += 1
        score[i, s] -= probs[s]
        chosen[i] *= probs[s, a] if trajectories.mask[i, t] else 1
    return chosen * dynamics.numpy(), dynamics.numpy(), chosen, score, trajectories


def _weighted(mdp, theta, weight=lambda p, d, c: p, earned=lambda trajectories: trajectories.total_rewards, **change):
    """Σ_τ weight · score · what was earned, the weight made from probability, dynamics' and policy's part."""
    probability, dynamics, chosen, score, trajectories = _listed(mdp, theta, **change)
    return np.einsum("n,nsa,n->sa", weight(probability, dynamics, chosen), score, earned(trajectories))


def _objective(mdp, probs):
    """J of a table of probabilities, for torch."""
    P, r, initial = (torch.tensor(x, dtype=probs.dtype) for x in (mdp.P, mdp.r, mdp.initial))
    v = torch.zeros_like(initial)
    for _ in range(mdp.horizon):
        v = (probs * (r + P @ v)).sum(1)
    return initial @ v


def _listed_objective(mdp, probs, weight=lambda p: p):
    """The same from all trajectories: Σ_τ weight · r(τ), the weight made from the probability."""
    trajectories, probabilities = exact.trajectories(mdp, probs)
    return weight(probabilities) @ torch.tensor(trajectories.total_rewards)


def _padding_chosen(mdp, theta):
    trajectories, _ = exact.trajectories(mdp)
    chosen = softmax(theta)[trajectories.observations, trajectories.actions].prod(1)
    return _weighted(mdp, theta, lambda p, d, c: d * chosen)


def _revisits_lost(mdp, theta):
    trajectories, probabilities = exact.trajectories(mdp, softmax(theta))
    gradient = np.zeros(theta.shape)
    for i in range(len(trajectories)):
        steps = trajectories.mask[i]
        one = assigned(theta, trajectories.observations[i, steps], trajectories.actions[i, steps])
        gradient += probabilities[i].item() * trajectories.total_rewards[i] * one
    return gradient


def _changed(**change):
    return lambda mdp, theta: _theorem(mdp, theta, **change)


def _by_probabilities(mdp, probs):
    """∂J/∂π of a table of probabilities, which is Σ_t d_t(s) Q_t(s, a)."""
    return _theorem(mdp, probs, softmax=lambda probs: probs, factor=np.ones_like, v=np.zeros_like)


def _through_softmax(probs, gradient, axis):
    """∂/∂θ from ∂/∂π, for π a softmax of θ along an axis."""
    return probs * (gradient - (probs * gradient).sum(axis, keepdims=True))


def _softmax_along(axis):
    """The right gradient of the wrong policy, whose softmax runs along another axis."""
    return lambda mdp, theta: _through_softmax(softmax(theta, axis), _by_probabilities(mdp, softmax(theta, axis)), axis)


def _log_in_the_recursion(mdp, theta):
    gradient = _by_probabilities(mdp, np.log(softmax(theta)))
    return gradient - softmax(theta) * gradient.sum(1, keepdims=True)


def _first_repeated(array):
    return np.repeat(array[:1], len(array), 0)


EXERCISE = Exercise(
    name="exact_policy_gradient",
    lesson=2,
    place=4,
    points=5,
    minutes=20,
    difficulty=3,
    signature="exact_policy_gradient(mdp, theta (S,A)) -> (S,A)",
    cases=_gradient_cases,
    oracle=_gradient_oracle,
    scale=_scale,
    references=("exact.gradient", "exact.objective", "exact.values", "exact.occupancy", "exact.moments"),
    accepts=(
        lambda mdp, theta: autograd(lambda x: _objective(mdp, x.softmax(1)), theta),
        lambda mdp, theta: autograd(lambda x: _objective(mdp, x.float().softmax(1)), theta).float(),
        lambda mdp, theta: _weighted(mdp, theta).tolist(),
        lambda mdp, theta: autograd(lambda x: _listed_objective(mdp, x.softmax(1)), theta),
        _theorem,
        lambda mdp, theta: _theorem(mdp, theta).astype(np.float32),
        lambda mdp, theta: tuple(map(tuple, _theorem(mdp, theta).tolist())),
    ),
    misconceptions=(
        Misconception(
            "finite differences",
            "You measured the slope by nudging θ, and it is right to many digits: that is the referee's way. What is "
            "asked is exact to rounding: a sum over trajectories, or a derivative that autograd takes.",
            lambda mdp, theta: central_differences(lambda x: _objective(mdp, x.softmax(1)), torch.tensor(theta)),
        ),
        Misconception(
            "descent",
            "Everything is there but the direction: this is the gradient of −J. The result should point to where J "
            "grows.",
            lambda mdp, theta: -_theorem(mdp, theta),
        ),
        Misconception(
            "gradient with respect to the probabilities",
            "You differentiate with respect to the probabilities. The parameters are the logits θ: the softmax between "
            "them is part of the chain.",
            lambda mdp, theta: _by_probabilities(mdp, softmax(theta)),
        ),
        Misconception(
            "gradient with respect to the probabilities, trajectory by trajectory",
            "You differentiate with respect to the table of probabilities. The parameters are the logits θ: let the "
            "softmax be part of what autograd sees.",
            lambda mdp, theta: autograd(lambda probs: _listed_objective(mdp, probs), softmax(theta)),
        ),
        Misconception(
            "the weight differentiated, too",
            "You differentiate π(τ) log π(τ) r(τ), and the product rule adds a term. In (2.7) the weight π(τ) is a "
            "number: keep autograd out of it, or leave the logarithm away.",
            lambda mdp, theta: autograd(lambda x: _listed_objective(mdp, x.softmax(1), lambda p: p * p.log()), theta),
        ),
        Misconception(
            "trajectories not weighted with their probability",
            "Every trajectory counts the same in your sum, however unlikely it is. What stands in front of the score "
            "in the formula?",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: np.ones_like(p)),
        ),
        Misconception(
            "mean over the listed trajectories",
            "You average over the list as if it had been sampled. A list holds likely and unlikely trajectories once "
            "each: who says how likely each of them is?",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: np.ones_like(p) / len(p)),
        ),
        Misconception(
            "weighted, and averaged over the list as well",
            "Weighing with π(τ) is the average already. Dividing by the number of trajectories averages twice.",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: p / len(p)),
        ),
        Misconception(
            "weighted with the dynamics alone",
            "Your weights contain the world's choices and not the policy's: exact.trajectories(mdp) without a policy "
            "gives the dynamics' part only. π(τ) has both.",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: d),
        ),
        Misconception(
            "weighted with the policy alone",
            "The score needs no dynamics; the weight does. How likely a trajectory is depends on what the world did, "
            "too.",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: c),
        ),
        Misconception(
            "π(τ) counted twice",
            "Each trajectory is weighted with π(τ)². If you differentiate π(τ) itself, the factor π(τ) is in it "
            "already; with log π(τ) you multiply by it once.",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: p**2),
        ),
        Misconception(
            "padding scored",
            "Some episodes end early, and you score what stands in the array after their end. The mask says which "
            "steps happened.",
            lambda mdp, theta: _weighted(mdp, theta, scored=np.ones_like),
        ),
        Misconception(
            "padding's actions in the probability",
            "Short episodes come out too unlikely: you multiply in the probability of actions that nobody took. The "
            "mask says which steps happened.",
            _padding_chosen,
        ),
        Misconception(
            "later visits overwrite earlier ones",
            "Where a trajectory visits a state twice, only its last visit is scored. With repeated indices, score[s] = "
            "… and even score[states] += … overwrite. Add up step by step.",
            _revisits_lost,
        ),
        Misconception(
            "immediate rewards only",
            "Each action is credited with the reward of its own step. It also decides where you are afterwards, and "
            "what can be earned there.",
            lambda mdp, theta: _theorem(mdp, theta, q=lambda q: np.broadcast_to(mdp.r, q.shape)),
        ),
        Misconception(
            "one step instead of the whole episode",
            "This is the gradient of what the first step alone earns. Does V of the step after it come in, as often as "
            "the horizon says?",
            lambda mdp, theta: _theorem(mdp, theta, steps=1),
        ),
        Misconception(
            "rewards left out",
            "It comes out zero everywhere: the probabilities of all trajectories sum to one, whatever θ is. What each "
            "of them earns is missing.",
            lambda mdp, theta: np.zeros_like(theta),
        ),
        Misconception(
            "θ taken for the probabilities",
            "You used θ itself as the table of probabilities. Those are logits: they become probabilities by a "
            "softmax.",
            _by_probabilities,
        ),
        Misconception(
            "log-probabilities in place of probabilities",
            "The recursion averages with π, and you gave it log π, whose entries are negative.",
            _log_in_the_recursion,
        ),
        Misconception(
            "first step only",
            "Only the first decision is scored. θ is consulted at every step.",
            _changed(d=lambda d: d * (np.arange(len(d)) == 0)[:, None]),
        ),
        Misconception(
            "last step only",
            "Only the last decision is scored. θ is consulted at every step.",
            _changed(d=lambda d: d * (np.arange(len(d)) == len(d) - 1)[:, None]),
        ),
        Misconception(
            "last reward instead of the total",
            "You weigh with the last reward. r(τ) is the sum of all of them.",
            lambda mdp, theta: _weighted(
                mdp, theta, earned=lambda tau: tau.rewards[np.arange(len(tau)), tau.lengths - 1]
            ),
        ),
        Misconception(
            "last column of the rewards",
            "You weigh with the last column of the rewards, which is padding for an episode that ended early. r(τ) "
            "adds up all that happened.",
            lambda mdp, theta: _weighted(mdp, theta, earned=lambda tau: tau.rewards[:, -1]),
        ),
        Misconception(
            "mean reward instead of the total",
            "You divide the total by the episode's length. r(τ) is the sum of what was earned.",
            lambda mdp, theta: _weighted(mdp, theta, earned=lambda tau: tau.total_rewards / tau.lengths),
        ),
        Misconception(
            "averaged over time",
            "You divide by the horizon. J adds up the rewards of all steps, and so does its gradient.",
            lambda mdp, theta: _theorem(mdp, theta) / mdp.horizon,
        ),
        Misconception(
            "Q of the first step at every step",
            "You use the same Q at every time. Near the horizon less is left to be won: Q depends on t here.",
            _changed(q=_first_repeated),
        ),
        Misconception(
            "states of the first step at every step",
            "You weigh every step with p(s_1). After the first step the distribution over states has moved on.",
            _changed(d=_first_repeated),
        ),
        Misconception(
            "every state counted once",
            "States that are rarely reached count as much as the others. How likely is it to be in s at time t?",
            _changed(d=np.ones_like),
        ),
        Misconception(
            "π forgotten in front of the advantage",
            "Q − V is how good an action is compared with the average; the gradient also contains how often it is "
            "taken.",
            _changed(factor=np.ones_like),
        ),
        Misconception(
            "V forgotten",
            "This is d · π · Q. The softmax holds the probabilities together: as one rises the others fall, and that "
            "subtracts something from Q.",
            _changed(v=np.zeros_like),
        ),
        Misconception(
            "discounted by 0.99",
            "Later rewards count a little less in your J. Here nothing is discounted.",
            _changed(discount=0.99),
        ),
        Misconception(
            "discounted by 0.9",
            "Later rewards count less in your J. Here nothing is discounted.",
            _changed(discount=0.9),
        ),
        Misconception(
            "one step too few",
            "Your episodes are one step too short: mdp.horizon actions are taken. Count the turns of the loop.",
            lambda mdp, theta: _theorem(mdp, theta, steps=mdp.horizon - 1),
        ),
        Misconception(
            "one step too many",
            "Your episodes are one step too long: mdp.horizon actions are taken, and nothing is earned after the last.",
            lambda mdp, theta: _theorem(mdp, theta, steps=mdp.horizon + 1),
        ),
        Misconception(
            "V added up over the states",
            "You differentiate Σ_s V(s). J averages V over where episodes begin, and that is not everywhere alike.",
            lambda mdp, theta: _theorem(mdp, theta, initial=np.ones(len(theta))),
        ),
        Misconception(
            "V averaged over the states",
            "You differentiate the plain mean of V over the states. The mdp says where episodes begin.",
            lambda mdp, theta: _theorem(mdp, theta, initial=np.full(len(theta), 1 / len(theta))),
        ),
        Misconception(
            "V of state 0",
            "You differentiate V of state number 0. Episodes need not begin there: which array says where they do?",
            lambda mdp, theta: _theorem(mdp, theta, initial=np.eye(len(theta))[0]),
        ),
        Misconception(
            "all first states equally likely",
            "You let episodes begin anywhere with the same chance. mdp.initial has its own idea.",
            lambda mdp, theta: _theorem(mdp, theta, initial=~mdp.terminal / (~mdp.terminal).sum()),
        ),
        Misconception(
            "softmax over the states",
            "Your probabilities add up to one over the states. A policy spreads its probability over the actions of "
            "each state.",
            _softmax_along(0),
        ),
        Misconception(
            "one softmax over the whole table",
            "One softmax over all entries mixes the states. Each row of θ is a distribution of its own.",
            _softmax_along((0, 1)),
        ),
        Misconception(
            "one softmax over the whole table, in probabilities and scores",
            "Check that every row of your probabilities sums to one. exp(θ) / Σ exp(θ) needs a sum for each state.",
            lambda mdp, theta: _weighted(mdp, theta, softmax=lambda theta: softmax(theta, (0, 1))),
        ),
        Misconception(
            "softmax over the states, in probabilities and scores",
            "Check that every row of your probabilities sums to one. Along which axis do the actions of a state lie?",
            lambda mdp, theta: _weighted(mdp, theta, softmax=lambda theta: softmax(theta, 0)),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda mdp, theta: _through_softmax(softmax(theta), _theorem(mdp, softmax(theta)), 1),
        ),
        Misconception(
            "flattened",
            "The numbers are right, in one long row. The gradient has the shape of θ: (S, A).",
            lambda mdp, theta: _theorem(mdp, theta).reshape(-1),
        ),
    ),
)
