import math

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case
from pgcourse.exercises.lesson_2.shared import dense_world, laptop
from pgcourse.exercises.pieces import softmax
from pgcourse.mdp import corridor


def _probability_cases(seed):
    rng = np.random.default_rng(seed)
    probs, halfway = [[0.75, 0.25], [0.5, 0.5]], [[0.5, 0.5], [0.25, 0.75], [0.5, 0.5]]
    cases = [
        case(mdp=laptop(2), probs=probs, states=[0, 1, 0], actions=[1, 0]),
        case(mdp=laptop(1), probs=probs, states=[1, 0], actions=[0]),
        case(mdp=corridor(2, 4), probs=halfway, states=[0, 1, 2], actions=[1, 1]),
        case(mdp=corridor(2, 4), probs=halfway, states=[0, 2], actions=[1]),
    ]
    for num_states, num_actions, num_steps in ((2, 3, 2), (3, 2, 3), (3, 3, 1), (4, 2, 2), (2, 2, 4), (3, 4, 3)):
        mdp = dense_world(rng, num_states, num_actions, num_steps)
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


def _in_a_loop(num_steps):
    """An answer that multiplies step by step, for num_steps(mdp, states) steps."""

    def answer(mdp, probs, states, actions):
        result = mdp.initial[states[0]]
        for t in range(num_steps(mdp, states)):
            result *= probs[states[t], actions[t]] * mdp.P[states[t], actions[t], states[t + 1]]
        return result

    return answer


EXERCISE = Exercise(
    name="trajectory_probability",
    lesson=2,
    place=1,
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
        lambda *arguments: np.exp(np.log(_factors(*arguments)).sum()),
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
            lambda mdp, p, s, a: np.prod(_factors(mdp, softmax(p), s, a)),
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
            _in_a_loop(lambda mdp, states: len(states)),
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
            _in_a_loop(lambda mdp, states: mdp.horizon),
        ),
        Misconception(
            "a choice after the last action",
            "You pair all T + 1 states with T actions. In the last state nobody chooses any more: leave it out where "
            "you ask the policy.",
            lambda mdp, p, s, a: mdp.initial[s[0]] * p[s, a].prod() * _dynamics(mdp, s, a).prod(),
        ),
    ),
)
