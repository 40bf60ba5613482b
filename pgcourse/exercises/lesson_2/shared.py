"""What several exercises of this lesson use."""

import numpy as np

from pgcourse.exercises.cases import rewards_like
from pgcourse.exercises.pieces import softmax
from pgcourse.mdp import TabularMDP


def laptop(horizon):
    """The lesson's own world, cool or hot, worked easy or hard."""
    P = [[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.1, 0.9]]]
    return TabularMDP(P, [[1, 3], [0, -4]], [0.8, 0.2], horizon)


def dense_world(rng, num_states, num_actions, horizon):
    """A world without an end in which everything can follow on everything; rewards between −1 and 1."""
    P = rng.dirichlet(np.ones(num_states), (num_states, num_actions))
    r = rewards_like(rng, num_states, num_actions) / 6
    return TabularMDP(P, r, rng.dirichlet(np.ones(num_states)), horizon)


def assigned(theta, states, actions):
    score = np.zeros_like(theta)
    score[states] = np.eye(theta.shape[1])[actions] - softmax(theta)[states]
    return score
