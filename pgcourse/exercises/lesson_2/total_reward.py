"""Lesson 2, Trajectories and the objective: probabilities, returns and scores of trajectories, and ∇J exactly."""

import math

import numpy as np
import torch

from pgcourse import exact
from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import SHAPES, case, mask_of, random_mask, rewards_like, with_garbage
from pgcourse.finite_differences import central_differences
from pgcourse.mdp import TabularMDP, bandit, corridor, random_mdp


def _laptop(horizon):
    """The lesson's own world, cool or hot, worked easy or hard."""
    P = [[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.1, 0.9]]]
    return TabularMDP(P, [[1, 3], [0, -4]], [0.8, 0.2], horizon)


def _dense_world(rng, num_states, num_actions, horizon):
    """A world without an end in which everything can follow on everything; rewards between −1 and 1."""
    P = rng.dirichlet(np.ones(num_states), (num_states, num_actions))
    r = rewards_like(rng, num_states, num_actions) / 6
    return TabularMDP(P, r, rng.dirichlet(np.ones(num_states)), horizon)


def _softmax(theta, axis=-1):
    weights = np.exp(theta - np.max(theta, axis, keepdims=True))
    return weights / weights.sum(axis, keepdims=True)


# trajectory_probability


def _probability_cases(seed):
    rng = np.random.default_rng(seed)
    probs, halfway = [[0.75, 0.25], [0.5, 0.5]], [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]
    cases = [
        case(mdp=_laptop(2), probs=probs, states=[0, 1, 0], actions=[1, 0]),
        case(mdp=_laptop(1), probs=probs, states=[1, 0], actions=[0]),
        case(mdp=corridor(2, 4), probs=halfway, states=[0, 1, 2], actions=[1, 1]),
        case(mdp=corridor(2, 4), probs=halfway, states=[0, 2], actions=[1]),
    ]
    for num_states, num_actions, num_steps in ((2, 3, 2), (3, 2, 3), (3, 3, 1), (4, 2, 2), (2, 2, 4), (3, 4, 3)):
        mdp = _dense_world(rng, num_states, num_actions, num_steps)
        probs = rng.dirichlet(np.ones(num_actions), num_states)
        states = [rng.integers(num_states)]
        actions = rng.integers(num_actions, size=num_steps)
        for action in actions:  # the likeliest way, so that the answer is not lost in rounding
            states.append(mdp.P[states[-1], action].argmax())
        cases.append(case(mdp=mdp, probs=probs, states=states, actions=actions))
    return cases


def _probability_oracle(mdp, probs, states, actions):
    result = float(mdp.initial[states[0]])
    for t in range(len(actions)):
        result *= float(probs[states[t], actions[t]])
        result *= float(mdp.P[states[t], actions[t], states[t + 1]])
    return result


def _policy(probs, states, actions):
    return probs[states[:-1], actions]


def _dynamics(mdp, states, actions):
    return mdp.P[states[:-1], actions, states[1:]]


def _factors(mdp, probs, states, actions):
    return [mdp.initial[states[0]], *_policy(probs, states, actions), *_dynamics(mdp, states, actions)]


def _probability_by_logarithms(mdp, probs, states, actions):
    return np.exp(np.log(_factors(mdp, probs, states, actions)).sum())


def _probability_by_zip(mdp, probs, states, actions):
    total = mdp.initial[states[0]]
    for s, a, after in zip(states, actions, states[1:], strict=False):
        total = total * probs[s][a] * mdp.P[s][a][after]
    return total


def _probability_backwards(mdp, probs, states, actions):
    def rest(t):
        if t == len(actions):
            return 1.0
        return probs[states[t], actions[t]] * mdp.P[states[t], actions[t], states[t + 1]] * rest(t + 1)

    return float(mdp.initial[states[0]] * rest(0))


def _probability_in_torch(mdp, probs, states, actions):
    states, actions = torch.tensor(states), torch.tensor(actions)
    taken = torch.tensor(probs)[states[:-1], actions]
    return torch.tensor(mdp.initial)[states[0]] * (taken * torch.tensor(mdp.P)[states[:-1], actions, states[1:]]).prod()


def _up_to_the_horizon(mdp, probs, states, actions):
    result = mdp.initial[states[0]]
    for t in range(mdp.horizon):
        result *= probs[states[t], actions[t]] * mdp.P[states[t], actions[t], states[t + 1]]
    return result


def _one_step_too_many(mdp, probs, states, actions):
    result = mdp.initial[states[0]]
    for t in range(len(states)):
        result *= probs[states[t], actions[t]] * mdp.P[states[t], actions[t], states[t + 1]]
    return result


TRAJECTORY_PROBABILITY = Exercise(
    name="trajectory_probability",
    lesson=2,
    points=3,
    minutes=12,
    difficulty=1,
    signature="trajectory_probability(mdp, probs (S,A), states (T+1,), actions (T,)) -> scalar",
    cases=_probability_cases,
    oracle=_probability_oracle,
    accepts=(
        lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod(),
        lambda *arguments: np.float32(np.prod(_factors(*arguments))),
        lambda *arguments: math.prod(map(float, _factors(*arguments))),
        _probability_by_logarithms,
        _probability_by_zip,
        _probability_backwards,
        _probability_in_torch,
    ),
    misconceptions=(
        Misconception(
            "p(s_1) left out",
            "Every step is there. But how did the trajectory come to begin where it begins?",
            lambda mdp, p, s, a: _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "dynamics left out",
            "You multiply what the policy chose. The world chooses too, once after every action: which array of the "
            "mdp knows how likely its choice was?",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a).prod(),
        ),
        Misconception(
            "dynamics and p(s_1) left out",
            "This is the policy's share of the probability, and a useful quantity later on. The whole of it also has "
            "the world's share: its first state and each of its moves.",
            lambda mdp, p, s, a: _policy(p, s, a).prod(),
        ),
        Misconception(
            "policy left out",
            "You follow the world from state to state as if the actions had been given. Somebody chose them: how "
            "likely was each choice?",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "policy and p(s_1) left out",
            "These are the transitions alone. Two things are missing: where it all began, and how likely each action "
            "was.",
            lambda mdp, p, s, a: _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "last transition left out",
            "Count the arrows: T actions, and after each of them the world moves, after the last one as well. That is "
            "why states has one entry more than actions.",
            lambda mdp, p, s, a: np.prod([mdp.initial[s[0]], *_policy(p, s, a), *_dynamics(mdp, s, a)[:-1]]),
        ),
        Misconception(
            "last transition and p(s_1) left out",
            "Both ends are cut off: how likely the first state is, and where the last action leads.",
            lambda mdp, p, s, a: np.prod([*_policy(p, s, a), *_dynamics(mdp, s, a)[:-1]]),
        ),
        Misconception(
            "last step left out",
            "Your product ends one step early: the last action, and where it leads, are part of the trajectory.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[:-1].prod() * _dynamics(mdp, s, a)[:-1].prod(),
        ),
        Misconception(
            "last action left out",
            "All the transitions are there, but one choice too few: the policy also chose the last action.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[:-1].prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "first step left out",
            "The product begins one step late. In the arrays the first step has index 0.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[1:].prod() * _dynamics(mdp, s, a)[1:].prod(),
        ),
        Misconception(
            "logarithm of the probability",
            "This is log π(τ), a sum, and lovely to differentiate. What is asked here is the probability itself.",
            lambda mdp, p, s, a: np.log(_factors(mdp, p, s, a)).sum(),
        ),
        Misconception(
            "sum instead of product",
            "You add the factors up. All of these things have to happen, one after the other: what do probabilities do "
            "then?",
            lambda mdp, p, s, a: np.sum(_factors(mdp, p, s, a)),
        ),
        Misconception(
            "steps added up",
            "Within a step you multiply, and then you add up the steps. The trajectory needs step 1 *and* step 2 to "
            "happen: what do probabilities do then?",
            lambda mdp, p, s, a: mdp.initial[s[0]] * (_policy(p, s, a) * _dynamics(mdp, s, a)).sum(),
        ),
        Misconception(
            "p(s_1) added instead of multiplied",
            "The first state is one more thing that has to happen, like every step: it takes part in the product.",
            lambda mdp, p, s, a: mdp.initial[s[0]] + (_policy(p, s, a) * _dynamics(mdp, s, a)).prod(),
        ),
        Misconception(
            "transitions backwards",
            "Your transitions run from the later state to the earlier one. P[s, a, s'] has the state you leave first "
            "and the one you reach last.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a).prod() * mdp.P[s[1:], a, s[:-1]].prod(),
        ),
        Misconception(
            "policy asked in the state that comes next",
            "The action at t is chosen in s_t, before the world moves. You ask the policy about the state that comes "
            "after.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * p[s[1:], a].prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "p(s_1) at every step",
            "p(s_1) belongs to the beginning and occurs once. Later states come about through the transitions.",
            lambda mdp, p, s, a: (mdp.initial[s[:-1]] * _policy(p, s, a) * _dynamics(mdp, s, a)).prod(),
        ),
        Misconception(
            "p of state 0 instead of p(s_1)",
            "You take the probability that an episode begins in state number 0. This trajectory begins in s_1, which "
            "may be another one.",
            lambda mdp, p, s, a: mdp.initial[0] * _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "all first states equally likely",
            "You give every first state the same chance. The mdp has its own idea of where episodes begin.",
            lambda mdp, p, s, a: _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod() / len(mdp.initial),
        ),
        Misconception(
            "largest initial probability instead of p(s_1)",
            "You use the whole of mdp.initial, or its largest entry, where only that of s_1 counts.",
            lambda mdp, p, s, a: mdp.initial.max() * _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "one probability for each state",
            "You multiplied with the whole array mdp.initial. A trajectory begins in one state: pick its entry.",
            lambda mdp, p, s, a: mdp.initial * _policy(p, s, a).prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "one number for each step",
            "You return a factor for every step. The whole trajectory has a single probability.",
            lambda mdp, p, s, a: _policy(p, s, a) * _dynamics(mdp, s, a),
        ),
        Misconception(
            "one number for each step, times p(s_1)",
            "You return an array with an entry for every step. All of them have to happen: one product is still open.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a) * _dynamics(mdp, s, a),
        ),
        Misconception(
            "probability of the trajectory so far",
            "You return the running product. Its last entry is the probability of the whole trajectory.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * np.cumprod(_policy(p, s, a) * _dynamics(mdp, s, a)),
        ),
        Misconception(
            "averaged over the steps",
            "This is a typical factor, not their product: nothing here is averaged or taken to the power 1/T.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * np.mean(_policy(p, s, a) * _dynamics(mdp, s, a)),
        ),
        Misconception(
            "actions summed out",
            "You go from state to state by whatever action. That is the probability of the *states*; this trajectory "
            "took certain actions.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * np.einsum("sa,sap->sp", p, mdp.P)[s[:-1], s[1:]].prod(),
        ),
        Misconception(
            "softmax of probabilities",
            "The second argument holds probabilities already. A softmax on top flattens them.",
            lambda mdp, p, s, a: np.prod(_factors(mdp, _softmax(p), s, a)),
        ),
        Misconception(
            "logarithms added to p(s_1)",
            "You begin with a probability and add logarithms to it. Stay with products of probabilities, or take every "
            "logarithm, and in the end the exponential.",
            lambda mdp, p, s, a: mdp.initial[s[0]] + np.log(_factors(mdp, p, s, a)[1:]).sum(),
        ),
        Misconception(
            "policy's and world's shares added up",
            "There are two products and a plus between them. Both have to happen, what you choose and what the world "
            "answers.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a).prod() + _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "likeliest next state",
            "You follow the likeliest transition after each action. This trajectory went somewhere in particular: to "
            "the next entry of states.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a).prod() * mdp.P[s[:-1], a].max(-1).prod(),
        ),
        Misconception(
            "first action and last transition left out",
            "A loop that looks back from t to t − 1 begins at 1: it misses the first action and the last transition.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[1:].prod() * _dynamics(mdp, s, a)[:-1].prod(),
        ),
        Misconception(
            "action and state swapped",
            "probs has a row for each state and a column for each action. You look it up the other way round.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * p[a, s[:-1]].prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "one step too many",
            "Your loop runs over the states, of which there is one more than there are actions. How many steps does "
            "the trajectory have?",
            _one_step_too_many,
        ),
        Misconception(
            "steps added up, p(s_1) left out",
            "Two things: the steps all have to happen, so their probabilities multiply; and the first state had to "
            "come about, too.",
            lambda mdp, p, s, a: (_policy(p, s, a) * _dynamics(mdp, s, a)).sum(),
        ),
        Misconception(
            "last step only",
            "Only the last step is left in your product. Does each turn of the loop overwrite the one before?",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[-1] * _dynamics(mdp, s, a)[-1],
        ),
        Misconception(
            "first step only",
            "Only the first step is in your product. Look at where the return stands: the loop has more turns to make.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * _policy(p, s, a)[0] * _dynamics(mdp, s, a)[0],
        ),
        Misconception(
            "likeliest action instead of the one taken",
            "You take the largest probability in each state. The trajectory says which action was taken.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * p[s[:-1]].max(1).prod() * _dynamics(mdp, s, a).prod(),
        ),
        Misconception(
            "multiplied with the reward",
            "How likely a trajectory is has nothing to do with what it earns. The reward comes in with J.",
            lambda mdp, p, s, a: np.prod(_factors(mdp, p, s, a)) * mdp.r[s[:-1], a].sum(),
        ),
        Misconception(
            "log-probability of the actions",
            "This is the policy's part, as a logarithm; lesson 3 will want it. Here it is the whole probability that "
            "is asked: the world's factors, too, and no logarithm.",
            lambda mdp, p, s, a: np.log(_policy(p, s, a)).sum(),
        ),
        Misconception(
            "as many steps as the horizon allows",
            "You go through mdp.horizon steps. A trajectory may be shorter: how many actions were taken?",
            _up_to_the_horizon,
        ),
        Misconception(
            "a choice after the last action",
            "You pair all T + 1 states with T actions. In the last state nobody chooses any more: leave it out where "
            "you ask the policy.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * p[s, a].prod() * _dynamics(mdp, s, a).prod(),
        ),
    ),
)


# total_reward


def _total_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(rewards=[[3.0]], mask=[[True]]),
        case(rewards=[[1.0, 2.0, 4.0], [5.0, 7.0, -9.0]], mask=mask_of([3, 1])),
        case(rewards=[[2, -1, 1], [3, 8, 8], [-1, -1, 8]], mask=mask_of([3, 1, 2])),
        case(rewards=[[2.0, -30.0]], mask=mask_of([1], 2)),
    ]
    for shape in SHAPES:
        mask = random_mask(rng, *shape)
        cases.append(case(rewards=with_garbage(rng, rewards_like(rng, *shape), mask, 100), mask=mask))
    return cases


def _total_oracle(rewards, mask):
    totals = []
    for i in range(len(rewards)):
        total = 0.0
        for t in range(len(rewards[i])):
            if mask[i, t]:
                total += float(rewards[i, t])
        totals.append(total)
    return totals


def _kept(rewards, mask):
    return np.where(mask, rewards, 0)


def _total_by_columns(rewards, mask):
    total = np.zeros(len(rewards))
    for t in range(rewards.shape[1]):
        total[mask[:, t]] += rewards[mask[:, t], t]
    return total


def _total_by_lengths(rewards, mask):
    return [row[:length].sum() for row, length in zip(rewards, mask.sum(1), strict=True)]


def _each_row(of):
    """An answer that makes a number of the rewards that happened, row by row."""
    return lambda rewards, mask: [of(row[happened]) for row, happened in zip(rewards, mask, strict=True)]


TOTAL_REWARD = Exercise(
    name="total_reward",
    lesson=2,
    points=2,
    minutes=6,
    difficulty=1,
    signature="total_reward(rewards (N,T), mask (N,T)) -> (N,)",
    cases=_total_cases,
    oracle=_total_oracle,
    references=("estimators.total_reward", "estimators.total_reward_weights"),
    accepts=(
        lambda rewards, mask: (rewards * mask).sum(1),
        lambda rewards, mask: np.where(mask, rewards, 0).sum(-1),
        lambda rewards, mask: np.einsum("nt,nt->n", rewards, mask),
        lambda rewards, mask: torch.tensor(rewards).masked_fill(~torch.tensor(mask), 0).sum(1),
        lambda rewards, mask: (rewards.astype(np.float32) * mask).sum(1),
        lambda rewards, mask: tuple(rewards.sum(1, where=mask).tolist()),
        lambda rewards, mask: np.cumsum(rewards * mask, 1)[:, -1],
        _total_by_columns,
        _total_by_lengths,
    ),
    misconceptions=(
        Misconception(
            "mask forgotten",
            "Some of what you add up never happened: after a short episode's end the array holds arbitrary numbers. "
            "Which argument tells you where to stop?",
            lambda rewards, mask: rewards.sum(1),
        ),
        Misconception(
            "sum over the batch instead of over time",
            "You added up the trajectories at each time. Each trajectory has a total of its own: along which axis does "
            "time run?",
            lambda rewards, mask: _kept(rewards, mask).sum(0),
        ),
        Misconception(
            "sum over the batch, mask forgotten",
            "Two things: time is the other axis, and steps after an episode's end do not count.",
            lambda rewards, mask: rewards.sum(0),
        ),
        Misconception(
            "one total for the whole batch",
            "Everything went into one number. Each trajectory has a total of its own, N in all.",
            lambda rewards, mask: rewards[mask].sum(),
        ),
        Misconception(
            "one total for the whole batch, mask forgotten",
            "Everything went into one number, padding included. Each trajectory has a total of its own.",
            lambda rewards, mask: rewards.sum(),
        ),
        Misconception(
            "mean over the steps",
            "You divide by the number of steps. r(τ) is what was earned altogether: a long good episode is worth more "
            "than a short one.",
            _each_row(np.mean),
        ),
        Misconception(
            "mean over the array's width",
            "You divide by T. r(τ) is the sum of what was earned, however wide the array is.",
            lambda rewards, mask: _kept(rewards, mask).mean(1),
        ),
        Misconception(
            "mean over the array's width, mask forgotten",
            "Two things: a total is not divided by anything, and what stands in the padding was never earned.",
            lambda rewards, mask: rewards.mean(1),
        ),
        Misconception(
            "divided by N",
            "You divide by the number of trajectories. Nothing is averaged here yet: each total stands for itself.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) / len(rewards),
        ),
        Misconception(
            "padding masked but not summed",
            "The padding is gone, and the sum over time is still to come: the result has one entry for each "
            "trajectory.",
            _kept,
        ),
        Misconception(
            "running total",
            "You return what had been earned up to each step. r(τ) is where that ends.",
            lambda rewards, mask: np.cumsum(_kept(rewards, mask), 1),
        ),
        Misconception(
            "total repeated at every step",
            "The totals are right and stand there T times. One entry for each trajectory is asked, shape (N,).",
            lambda rewards, mask: np.repeat(_kept(rewards, mask).sum(1, keepdims=True), mask.shape[1], 1),
        ),
        Misconception(
            "a column instead of a row of totals",
            "The numbers are right; the shape is (N, 1) and (N,) is asked. Such a stray axis broadcasts to (N, N) at "
            "the next multiplication, so it is worth losing now.",
            lambda rewards, mask: _kept(rewards, mask).sum(1, keepdims=True),
        ),
        Misconception(
            "last step left out",
            "Your sums end one step early: the last reward of an episode is often the one that matters.",
            _each_row(lambda row: row[:-1].sum()),
        ),
        Misconception(
            "last column left out",
            "The array's last column is missing in your sums, so the longest episodes lose their last reward.",
            lambda rewards, mask: _kept(rewards, mask)[:, :-1].sum(1),
        ),
        Misconception(
            "first step left out",
            "Your sums begin one step late. In the arrays the first step has index 0.",
            _each_row(lambda row: row[1:].sum()),
        ),
        Misconception(
            "last reward only",
            "You return each episode's last reward. r(τ) adds up all of them.",
            _each_row(lambda row: row[-1]),
        ),
        Misconception(
            "last column only",
            "You read the array's last column, which is padding for a short episode. r(τ) adds up all that happened.",
            lambda rewards, mask: rewards[:, -1],
        ),
        Misconception(
            "first reward only",
            "You return each episode's first reward. r(τ) adds up all of them.",
            lambda rewards, mask: rewards[:, 0],
        ),
        Misconception(
            "mask the wrong way round",
            "You add up exactly what did not happen. What does True in the mask stand for?",
            lambda rewards, mask: (rewards * ~mask).sum(1),
        ),
        Misconception(
            "steps counted",
            "These are the episodes' lengths. What was earned at each of those steps?",
            lambda rewards, mask: mask.sum(1),
        ),
        Misconception(
            "cut at the shortest episode",
            "All episodes stop where the shortest one does. Each has its own length, in its own row of the mask.",
            lambda rewards, mask: rewards[:, : mask.sum(1).min()].sum(1),
        ),
        Misconception(
            "divided by the number of steps in the batch",
            "You divide by all the steps that happened. A total is not divided by anything.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) / mask.sum(),
        ),
        Misconception(
            "mean of the totals",
            "You averaged the totals already, which gives an estimate of J. Here each trajectory's own is asked.",
            lambda rewards, mask: _kept(rewards, mask).sum(1).mean(),
        ),
        Misconception(
            "rewards to go",
            "You return what is still to come from each step on; lesson 6 is about that. The total is where it begins.",
            lambda rewards, mask: np.cumsum(_kept(rewards, mask)[:, ::-1], 1)[:, ::-1],
        ),
        Misconception(
            "padding made NaN",
            "NaN in the padding spoils every sum it takes part in. A number that does not count in a sum is 0.",
            lambda rewards, mask: np.where(mask, rewards, np.nan).sum(1),
        ),
        Misconception(
            "last column left out, mask forgotten",
            "Two things: your sums leave out the last column, and they read what stands behind an episode's end.",
            lambda rewards, mask: rewards[:, :-1].sum(1),
        ),
        Misconception(
            "length taken from np.argmin",
            "argmin finds the first False in a row of the mask. Where there is none, in an episode that fills its row, "
            "it says 0.",
            lambda rewards, mask: [row[: np.argmin(m)].sum() for row, m in zip(rewards, mask, strict=True)],
        ),
        Misconception(
            "every row with every mask",
            "You made an (N, N) table: each trajectory's rewards under each trajectory's mask. Every row has its own.",
            lambda rewards, mask: rewards @ mask.T,
        ),
        Misconception(
            "one batch-wide mask",
            "You keep the columns in which *every* episode is alive, or the first row's. Each row has its own mask.",
            lambda rewards, mask: (rewards * mask[0]).sum(1),
        ),
        Misconception(
            "list of all rewards",
            "rewards[mask] picks the right numbers and forgets which trajectory they came from. Keep the rows apart.",
            lambda rewards, mask: rewards[mask],
        ),
        Misconception(
            "mean of the batch subtracted",
            "You subtract the batch's mean. That is a fine idea for lesson 7; here the plain totals are asked.",
            lambda rewards, mask: _kept(rewards, mask).sum(1) - _kept(rewards, mask).sum(1).mean(),
        ),
        Misconception(
            "absolute values or squares",
            "Losses count as losses: a negative reward makes the total smaller.",
            lambda rewards, mask: np.abs(_kept(rewards, mask)).sum(1),
        ),
        Misconception(
            "largest reward",
            "You return the best single reward of each episode. r(τ) adds up all of them.",
            _each_row(np.max),
        ),
        Misconception(
            "discounted by 0.99",
            "Later rewards count a little less in your sums. In this course nothing is discounted unless it says so.",
            _each_row(lambda row: (row * 0.99 ** np.arange(len(row))).sum()),
        ),
    ),
)


# trajectory_score


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
    steps[np.arange(len(actions)), states] = np.eye(theta.shape[1])[actions] - _softmax(theta)[states]
    return steps


def _score_by_add_at(theta, states, actions):
    score = np.zeros_like(theta)
    np.add.at(score, (states, actions), 1)
    np.subtract.at(score, states, _softmax(theta)[states])
    return score


def _score_by_counts(theta, states, actions):
    counts = np.zeros(theta.shape)
    for s, a in zip(states, actions, strict=True):
        counts[s, a] += 1
    return counts - counts.sum(1, keepdims=True) * _softmax(theta)


def _score_by_autograd(theta, states, actions):
    theta = torch.tensor(theta, requires_grad=True)
    theta.log_softmax(1)[torch.tensor(states), torch.tensor(actions)].sum().backward()
    return theta.grad


def _score_in_single(theta, states, actions):
    theta = torch.tensor(theta, dtype=torch.float32)
    return torch.func.grad(lambda theta: theta.log_softmax(1)[torch.tensor(states), torch.tensor(actions)].sum())(theta)


def _score_by_one_hot(theta, states, actions):
    where = np.eye(len(theta))[states]
    return (where.T @ (np.eye(theta.shape[1])[actions] - _softmax(theta)[states])).tolist()


def _assigned(theta, states, actions):
    score = np.zeros_like(theta)
    score[states] = np.eye(theta.shape[1])[actions] - _softmax(theta)[states]
    return score


def _buffered(theta, states, actions):
    score = np.zeros_like(theta)
    score[states, actions] += 1
    score[states] -= _softmax(theta)[states]
    return score


def _pi_once(theta, states, actions):
    score = np.zeros_like(theta)
    np.add.at(score, (states, actions), 1)
    score[states] -= _softmax(theta)[states]
    return score


def _counts(theta, states, actions):
    counts = np.zeros_like(theta)
    np.add.at(counts, (states, actions), 1)
    return counts


def _one_minus_pi(theta, states, actions):
    return _counts(theta, states, actions) * (1 - _softmax(theta))


def _with(theta, states, actions, probs):
    """The score with other numbers in the place of π."""
    score = _counts(theta, states, actions)
    np.subtract.at(score, states, probs[states])
    return score


def _every_pair(theta, states, actions):
    pairs = np.meshgrid(states, actions, indexing="ij")
    return _score_by_counts(theta, pairs[0].ravel(), pairs[1].ravel())


def _log_prob(theta, states, actions):
    return np.log(_softmax(theta))[states, actions].sum()


def _next_states(theta, states, actions):
    return _steps(theta, states[1:], actions[:-1]).sum(0)


def _through(log_softmax):
    """Autograd through another logarithm of probabilities."""

    def answer(theta, states, actions):
        theta = torch.tensor(theta, requires_grad=True)
        log_softmax(theta)[torch.tensor(states), torch.tensor(actions)].sum().backward()
        return theta.grad

    return answer


TRAJECTORY_SCORE = Exercise(
    name="trajectory_score",
    lesson=2,
    points=4,
    minutes=15,
    difficulty=2,
    signature="trajectory_score(theta (S,A), states (T,), actions (T,)) -> (S,A)",
    cases=_score_cases,
    oracle=_score_oracle,
    references=("estimators.gradients", "estimators.scores"),
    accepts=(
        lambda *arguments: _steps(*arguments).sum(0),
        _score_by_add_at,
        _score_by_counts,
        _score_by_autograd,
        _score_in_single,
        _score_by_one_hot,
    ),
    misconceptions=(
        Misconception(
            "later visits overwrite earlier ones",
            "A state that is visited twice keeps only its last score. score[s] = … overwrites, and score[states] += … "
            "with a repeated index does the same behind your back. How do you *add up* over the steps?",
            _assigned,
        ),
        Misconception(
            "each state and action counted once",
            "score[states, actions] += 1 looks like counting, but NumPy applies each repeated index only once. Go "
            "through the steps one by one, or look at np.add.at.",
            _buffered,
        ),
        Misconception(
            "π subtracted once for each state",
            "The actions are counted properly, but π is subtracted once however often the state came up. Every visit "
            "brings its own e_a − π.",
            _pi_once,
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
            _one_minus_pi,
        ),
        Misconception(
            "only the chosen action, overwritten",
            "Two things: a second visit to the same state and action replaces the first, where it should be added; and "
            "the logits of the actions not taken get nothing, though they share the pie.",
            lambda *x: (_counts(*x) > 0) * (1 - _softmax(x[0])),
        ),
        Misconception(
            "every action scored",
            "You add log π of *all* actions in each visited state. Only the one that was taken belongs to the "
            "trajectory.",
            lambda theta, s, a: np.bincount(s, minlength=len(theta))[:, None] * (1 - theta.shape[1] * _softmax(theta)),
        ),
        Misconception(
            "every state with every action",
            "theta[states][:, actions] is a T by T table: each visited state with each action ever taken. Pair them: "
            "s_t with a_t.",
            _every_pair,
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
            lambda *x: np.einsum("t,tsa->sa", _softmax(x[0])[x[1], x[2]], _steps(*x)),
        ),
        Misconception(
            "softmax over the states",
            "Your probabilities add up to one over the states. A policy spreads its probability over the *actions* of "
            "each state: which axis is that?",
            lambda *x: _with(*x, _softmax(x[0], 0)),
        ),
        Misconception(
            "one softmax over the whole table",
            "One softmax over all entries mixes the states. Each row is a policy of its own, and sums to one.",
            lambda *x: _with(*x, _softmax(x[0].reshape(-1)).reshape(x[0].shape)),
        ),
        Misconception(
            "θ taken for the probabilities",
            "You subtract θ itself. Those are logits: they become probabilities by a softmax.",
            lambda *x: _with(*x, x[0]),
        ),
        Misconception(
            "log-probabilities in place of probabilities",
            "You subtract log π. The derivative of the log-sum-exp is a probability, not its logarithm.",
            lambda *x: _with(*x, np.log(_softmax(x[0]))),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            lambda *x: _with(*x, _softmax(_softmax(x[0]))),
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
            lambda *x: _counts(*x) - len(x[2]) * _softmax(x[0]),
        ),
        Misconception(
            "π subtracted once in every state",
            "You subtract the table of probabilities from the table of counts. Each *visit* to a state brings one π, "
            "and a state that was never visited none.",
            lambda *x: _counts(*x) - _softmax(x[0]),
        ),
        Misconception(
            "derivative with respect to the probability",
            "1/π(a|s) is how log π changes with the *probability*. You want how it changes with the logits: one more "
            "step of the chain rule.",
            lambda *x: _counts(*x) / _softmax(x[0]),
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
            _next_states,
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
            lambda theta, s, a: np.eye(theta.shape[1])[a] - _softmax(theta)[s],
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


# exact_policy_gradient


def _gradient_cases(seed):
    rng = np.random.default_rng(seed)
    lopsided = TabularMDP(_laptop(2).P, [[1, 3], [0, -4]], [0, 1], 2)
    cases = [
        case(mdp=bandit([1.0, 2.0, -1.5]), theta=[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        case(mdp=_laptop(1), theta=[[0.0, 1.0], [0.5, 0.0]]),
        case(mdp=_laptop(2), theta=np.zeros((2, 2))),
        case(mdp=lopsided, theta=[[0.0, -1.0], [0.0, 1.0]]),
        case(mdp=corridor(2, 4), theta=rng.normal(size=(3, 2))),
    ]
    for num_states, num_actions, horizon in ((4, 2, 3), (3, 3, 3), (4, 3, 2)):
        theta = rng.normal(size=(num_states, num_actions))
        cases.append(case(mdp=random_mdp(rng, num_states, num_actions, horizon), theta=theta))
    for num_states, num_actions, horizon in ((2, 3, 3), (3, 2, 3)):
        theta = rng.normal(size=(num_states, num_actions))
        cases.append(case(mdp=_dense_world(rng, num_states, num_actions, horizon), theta=theta))
    return cases


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
    probs = change.get("softmax", _softmax)(theta)
    v, q, d = np.zeros(len(probs)), [], [change.get("initial", mdp.initial)]
    for _ in range(steps):
        q.append(mdp.r + discount * mdp.P @ v)
        v = (probs * q[-1]).sum(1)
        d.append(discount * np.einsum("s,sa,sap->p", d[-1], probs, mdp.P))
    q = change.get("q", lambda q: q)(np.array(q[::-1]).reshape(-1, *probs.shape))
    d = change.get("d", lambda d: d)(np.array(d[:-1]).reshape(-1, len(probs)))
    advantages = q - change.get("v", lambda v: v)((probs * q).sum(2, keepdims=True))
    return np.einsum("ts,sa,tsa->sa", d, change.get("factor", lambda p: p)(probs), advantages)


def _listed(mdp, theta, softmax=_softmax):
    """Every trajectory: its probability, the dynamics' and the policy's part of that, score (N, S, A), total reward."""
    trajectories, dynamics = exact.trajectories(mdp)
    probs, score = softmax(theta), np.zeros((len(trajectories), *theta.shape))
    chosen = np.ones(len(trajectories))
    for i, t in np.argwhere(trajectories.mask):
        s, a = trajectories.observations[i, t], trajectories.actions[i, t]
        score[i, s, a] += 1
        score[i, s] -= probs[s]
        chosen[i] *= probs[s, a]
    return chosen * dynamics.numpy(), dynamics.numpy(), chosen, score, trajectories.total_rewards


def _weighted(mdp, theta, weight, softmax=_softmax):
    """Σ_τ weight · score · r(τ), the weight made from probability, dynamics' and policy's part."""
    probability, dynamics, chosen, score, total = _listed(mdp, theta, softmax)
    return np.einsum("n,nsa,n->sa", weight(probability, dynamics, chosen), score, total)


def _autograd(mdp, theta, loss):
    theta = torch.tensor(theta, requires_grad=True)
    loss(torch.tensor(mdp.P), torch.tensor(mdp.r), torch.tensor(mdp.initial), theta).backward()
    return theta.grad


def _value(horizon, P, r, probs):
    v = torch.zeros(len(r), dtype=r.dtype)
    for _ in range(horizon):
        v = (probs * (r + P @ v)).sum(1)
    return v


def _gradient_by_autograd(mdp, theta):
    return _autograd(mdp, theta, lambda P, r, initial, x: initial @ _value(mdp.horizon, P, r, x.softmax(1)))


def _gradient_in_single(mdp, theta):
    def loss(P, r, initial, x):
        return initial.float() @ _value(mdp.horizon, P.float(), r.float(), x.float().softmax(1))

    return _autograd(mdp, theta, loss).float()


def _gradient_by_listing(mdp, theta):
    return _weighted(mdp, theta, lambda probability, dynamics, chosen: probability).tolist()


def _gradient_by_trajectory_autograd(mdp, theta):
    theta = torch.tensor(theta, requires_grad=True)
    trajectories, probabilities = exact.trajectories(mdp, theta.softmax(1))
    (probabilities @ torch.tensor(trajectories.total_rewards)).backward()
    return theta.grad


def _by_differences(mdp, theta):
    P, r, initial = (torch.tensor(x) for x in (mdp.P, mdp.r, mdp.initial))
    return central_differences(lambda x: initial @ _value(mdp.horizon, P, r, x.softmax(1)), torch.tensor(theta))


def _by_listed_probabilities(mdp, theta):
    probs = torch.tensor(_softmax(theta), requires_grad=True)
    trajectories, probabilities = exact.trajectories(mdp, probs)
    (probabilities @ torch.tensor(trajectories.total_rewards)).backward()
    return probs.grad


def _weight_differentiated_too(mdp, theta):
    theta = torch.tensor(theta, requires_grad=True)
    trajectories, probabilities = exact.trajectories(mdp, theta.softmax(1))
    (probabilities * probabilities.log() @ torch.tensor(trajectories.total_rewards)).backward()
    return theta.grad


def _padding_scored(mdp, theta):
    trajectories, probabilities = exact.trajectories(mdp, _softmax(theta))
    score = np.zeros((len(trajectories), *theta.shape))
    rows = np.arange(len(trajectories))
    for t in range(mdp.horizon):
        s, a = trajectories.observations[:, t], trajectories.actions[:, t]
        score[rows, s, a] += 1
        score[rows, s] -= _softmax(theta)[s]
    return np.einsum("n,nsa,n->sa", probabilities.numpy(), score, trajectories.total_rewards)


def _padding_chosen(mdp, theta):
    trajectories, dynamics = exact.trajectories(mdp)
    _, _, _, score, total = _listed(mdp, theta)
    chosen = _softmax(theta)[trajectories.observations, trajectories.actions].prod(1)
    return np.einsum("n,nsa,n->sa", dynamics.numpy() * chosen, score, total)


def _revisits_lost(mdp, theta):
    trajectories, probabilities = exact.trajectories(mdp, _softmax(theta))
    gradient = np.zeros(theta.shape)
    for i in range(len(trajectories)):
        steps = trajectories.mask[i]
        one = _assigned(theta, trajectories.observations[i, steps], trajectories.actions[i, steps])
        gradient += probabilities[i].item() * trajectories.total_rewards[i] * one
    return gradient


def _changed(**change):
    return lambda mdp, theta: _theorem(mdp, theta, **change)


def _by_probabilities(mdp, theta, softmax=_softmax):
    """∂J/∂π of the table softmax(θ), which is Σ_t d_t(s) Q_t(s, a)."""
    return _theorem(mdp, theta, softmax=softmax, factor=np.ones_like, v=np.zeros_like)


def _through_softmax(probs, gradient, axis):
    """∂/∂θ from ∂/∂π, for π a softmax of θ along an axis."""
    return probs * (gradient - (probs * gradient).sum(axis, keepdims=True))


def _softmax_over_all(theta):
    return _softmax(theta.reshape(-1)).reshape(theta.shape)


def _softmax_over_states(mdp, theta):
    probs = _softmax(theta, 0)
    return _through_softmax(probs, _by_probabilities(mdp, theta, lambda theta: probs), 0)


def _differentiated_over_all(mdp, theta):
    probs = _softmax_over_all(theta)
    return _through_softmax(probs, _by_probabilities(mdp, theta, lambda theta: probs), (0, 1))


def _log_in_the_recursion(mdp, theta):
    gradient = _by_probabilities(mdp, theta, lambda theta: np.log(_softmax(theta)))
    return gradient - _softmax(theta) * gradient.sum(1, keepdims=True)


def _softmax_twice(mdp, theta):
    once = _softmax(theta)
    return _through_softmax(once, _theorem(mdp, once), 1)


def _last_reward(mdp, theta):
    trajectories, _ = exact.trajectories(mdp)
    probability, _, _, score, _ = _listed(mdp, theta)
    last = trajectories.rewards[np.arange(len(trajectories)), trajectories.lengths - 1]
    return np.einsum("n,nsa,n->sa", probability, score, last)


def _last_column(mdp, theta):
    probability, _, _, score, _ = _listed(mdp, theta)
    return np.einsum("n,nsa,n->sa", probability, score, exact.trajectories(mdp)[0].rewards[:, -1])


def _mean_reward(mdp, theta):
    trajectories, _ = exact.trajectories(mdp)
    probability, _, _, score, total = _listed(mdp, theta)
    return np.einsum("n,nsa,n->sa", probability, score, total / trajectories.lengths)


def _first_repeated(array):
    return np.repeat(array[:1], len(array), 0)


EXACT_POLICY_GRADIENT = Exercise(
    name="exact_policy_gradient",
    lesson=2,
    points=5,
    minutes=20,
    difficulty=3,
    signature="exact_policy_gradient(mdp, theta (S,A)) -> (S,A)",
    cases=_gradient_cases,
    oracle=_gradient_oracle,
    references=("exact.gradient", "exact.objective", "exact.values", "exact.occupancy", "exact.moments"),
    accepts=(
        _gradient_by_autograd,
        _gradient_in_single,
        _gradient_by_listing,
        _gradient_by_trajectory_autograd,
        _theorem,
        lambda mdp, theta: _theorem(mdp, theta).astype(np.float32),
        lambda mdp, theta: tuple(map(tuple, _theorem(mdp, theta).tolist())),
    ),
    misconceptions=(
        Misconception(
            "finite differences",
            "You measured the slope by nudging θ, and it is right to many digits: that is the referee's way. What is "
            "asked is exact to rounding: a sum over trajectories, or a derivative that autograd takes.",
            _by_differences,
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
            _by_probabilities,
        ),
        Misconception(
            "gradient with respect to the probabilities, trajectory by trajectory",
            "You differentiate with respect to the table of probabilities. The parameters are the logits θ: let the "
            "softmax be part of what autograd sees.",
            _by_listed_probabilities,
        ),
        Misconception(
            "the weight differentiated, too",
            "You differentiate π(τ) log π(τ) r(τ), and the product rule adds a term. In (2.7) the weight π(τ) is a "
            "number: keep autograd out of it, or leave the logarithm away.",
            _weight_differentiated_too,
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
            _padding_scored,
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
            lambda mdp, theta: _by_probabilities(mdp, theta, lambda theta: theta),
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
            _last_reward,
        ),
        Misconception(
            "last column of the rewards",
            "You weigh with the last column of the rewards, which is padding for an episode that ended early. r(τ) "
            "adds up all that happened.",
            _last_column,
        ),
        Misconception(
            "mean reward instead of the total",
            "You divide the total by the episode's length. r(τ) is the sum of what was earned.",
            _mean_reward,
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
            _softmax_over_states,
        ),
        Misconception(
            "one softmax over the whole table",
            "One softmax over all entries mixes the states. Each row of θ is a distribution of its own.",
            _differentiated_over_all,
        ),
        Misconception(
            "one softmax over the whole table, in probabilities and scores",
            "Check that every row of your probabilities sums to one. exp(θ) / Σ exp(θ) needs a sum for each state.",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: p, _softmax_over_all),
        ),
        Misconception(
            "softmax over the states, in probabilities and scores",
            "Check that every row of your probabilities sums to one. Along which axis do the actions of a state lie?",
            lambda mdp, theta: _weighted(mdp, theta, lambda p, d, c: p, lambda theta: _softmax(theta, 0)),
        ),
        Misconception(
            "softmax applied twice",
            "The probabilities went through a softmax a second time, which flattens them. Once is enough.",
            _softmax_twice,
        ),
        Misconception(
            "flattened",
            "The numbers are right, in one long row. The gradient has the shape of θ: (S, A).",
            lambda mdp, theta: _theorem(mdp, theta).reshape(-1),
        ),
    ),
)

EXERCISES = [TRAJECTORY_PROBABILITY, TOTAL_REWARD, TRAJECTORY_SCORE, EXACT_POLICY_GRADIENT]
