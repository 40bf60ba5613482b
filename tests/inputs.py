"""What the tests share as inputs: MDPs, policies over them, batches with padding."""

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from pgcourse import exact, mdp, policies
from pgcourse.trajectories import Trajectories

torch.set_num_threads(1)  # for tensors this small a second thread only costs

EXAMPLES = settings(derandomize=True, deadline=None, database=None, max_examples=25)


def build_mdp(seed, num_states=3, num_actions=2, horizon=2, num_terminal=1, sparsity=0.4):
    """A random MDP whose last `num_terminal` states are terminal, with a stochastic start and random lengths."""
    rng = np.random.default_rng(seed)
    going = num_states - num_terminal
    P = rng.dirichlet(np.ones(num_states), (num_states, num_actions))
    P *= rng.random(P.shape) > sparsity
    P[..., rng.integers(num_states)] += 0.1
    P /= P.sum(-1, keepdims=True)
    r = rng.normal(size=(num_states, num_actions))
    initial = np.zeros(num_states)
    initial[:going] = rng.dirichlet(np.ones(going))
    P[going:], r[going:] = 0, 0
    P[np.arange(going, num_states), :, np.arange(going, num_states)] = 1
    return mdp.TabularMDP(P, r, initial, horizon)


@st.composite
def mdps(draw):
    num_states = draw(st.integers(2, 4))
    return build_mdp(
        seed=draw(st.integers(0, 2**32 - 1)),
        num_states=num_states,
        num_actions=draw(st.integers(1, 3)),
        horizon=draw(st.integers(1, 3)),
        num_terminal=draw(st.integers(0, num_states - 1)),
        sparsity=draw(st.sampled_from([0.0, 0.4, 0.8])),
    )


def table_for(mdp, seed=0):
    """A softmax table with random logits."""
    rng = np.random.default_rng(seed)
    return policies.SoftmaxTable(mdp.num_states, mdp.num_actions, torch.as_tensor(rng.normal(size=mdp.r.shape)))


def shaken(policy, seed=1):
    """The policy with all weights, biases too, moved by normal noise: away from its almost uniform beginning."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.5 * torch.as_tensor(rng.normal(size=parameter.shape))
    return policy


# Few trajectories, because batches of them are listed; quit: 10, quit later: 22, two ends: about 30
TINY_MDPS = {
    "quit": mdp.TabularMDP([[[0.6, 0.4], [0.1, 0.9]], [[0, 1], [0, 1]]], [[1.5, -2], [0, 0]], [1, 0], horizon=2),
    "quit later": mdp.TabularMDP([[[0.6, 0.4], [0.1, 0.9]], [[0, 1], [0, 1]]], [[1.5, -2], [0, 0]], [1, 0], horizon=3),
    "two ends": build_mdp(seed=1, num_states=4, num_terminal=2, sparsity=0.6),
    "no end": build_mdp(seed=2, num_states=2, num_terminal=0),
}


def sample(mdp, policy, n, seed=0):
    """n trajectories, drawn by their exact probabilities."""
    listed, probabilities = exact.trajectories(mdp, policy)
    p = probabilities.detach().numpy()
    return listed[np.random.default_rng(seed).choice(len(listed), n, p=p / p.sum())]


def blank(mask, values):
    """The mask, with axes of length one added so that it goes with `values` (N, T, …)."""
    return mask.reshape(mask.shape + (1,) * (values.ndim - 2))


def spoil(values, mask):
    """Garbage where the mask is False: NaN for floats, an impossible index for integers."""
    garbage = np.nan if np.issubdtype(values.dtype, np.floating) else np.iinfo(values.dtype).min
    return np.where(blank(mask, values), values, garbage)


def with_garbage(batch):
    """The same trajectories with two more steps of padding, all padding garbage."""

    def longer(values):
        return np.concatenate([values, np.repeat(values[:, -1:], 2, axis=1)], axis=1)

    mask = np.pad(batch.mask, ((0, 0), (0, 2)))
    spoiled = (spoil(longer(values), mask) for values in (batch.observations, batch.actions, batch.rewards))
    return Trajectories(*spoiled, mask, batch.terminated)


def random_batch(seed, n=5, horizon=4, observation_shape=None, num_states=3, num_actions=2, action_dim=None):
    """Trajectories of random lengths (the first of 1 step, the last of all), with garbage in the padding."""
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([[1], rng.integers(1, horizon + 1, n - 1)])
    lengths[-1] = horizon
    mask = np.arange(horizon) < lengths[:, None]
    states = rng.integers(num_states, size=(n, horizon))
    vectors = None if observation_shape is None else rng.normal(size=(n, horizon, *observation_shape))
    actions = rng.integers(num_actions, size=(n, horizon))
    continuous = None if action_dim is None else rng.normal(size=(n, horizon, action_dim))
    return Trajectories(
        spoil(states if vectors is None else vectors, mask),
        spoil(actions if continuous is None else continuous, mask),
        spoil(rng.normal(size=(n, horizon)), mask),
        mask,
        rng.random(n) < 0.5,
    )
