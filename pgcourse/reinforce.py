"""REINFORCE: run the policy, estimate the gradient, step along it (Williams, 1992).

`reinforce` is the loop of lesson 4, a generator that prints nothing; `train` runs it with settings found by
measurement.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import count

import numpy as np
import torch

from pgcourse import estimators, policies, rollouts


@dataclass(frozen=True)
class Record:
    """One iteration: its number, the total rewards (N,) and lengths (N,) of its episodes, and all env steps so far."""

    iteration: int
    total_rewards: np.ndarray = field(repr=False)
    lengths: np.ndarray = field(repr=False)
    steps: int

    @property
    def mean_return(self):
        return float(self.total_rewards.mean())


def reinforce(
    envs, policy, weights, optimizer, num_trajectories, rng, *, baseline=None, loss=estimators.surrogate_loss
):
    """Improves `policy` in place, one batch at a time, and yields a Record for each, without end.

    weights: a function of (rewards, mask), both (N, T), that gives what multiplies the scores (see `estimators`).
    optimizer: a torch optimiser over the policy's parameters. rng: a NumPy Generator, the only source of chance.
    baseline: a function of trajectories → values (N, T), such as LinearValues; `weights` then gets them as `values`.
    loss: a function of (policy, trajectories, weights) whose gradient is minus the step's direction.
    A record comes before the step that its batch leads to: stop at one, and `policy` is still the policy it measured.
    A batch whose weights are all zero has nothing to say, and no step is taken.
    """
    steps = 0
    for iteration in count():
        trajectories = rollouts.collect(envs, policy, num_trajectories, rng)
        steps += int(trajectories.mask.sum())
        yield Record(iteration, trajectories.total_rewards, trajectories.lengths, steps)
        values = {} if baseline is None else {"values": baseline(trajectories)}
        w = weights(trajectories.rewards, trajectories.mask, **values)
        if w.any():
            optimizer.zero_grad()
            loss(policy, trajectories, w).backward()
            optimizer.step()


def standardised_to_go(rewards, mask, discount, values=None):
    """Rewards to go minus their batch mean at each step, over the batch's deviation: the recipe that `PRESETS` use.

    values (N, T) take the place of the batch mean where they are given.
    """
    returns = estimators.rewards_to_go(rewards, mask, discount)
    advantages = estimators.batch_mean_advantages(returns, mask) if values is None else returns - values
    return estimators.divided_by_deviation(advantages, mask)


def entropic_loss(policy, trajectories, weights, entropy):
    """The surrogate loss minus `entropy` times the entropies of the choices, Eq. (9.6), a scalar tensor:

    −(1/N) Σ_i Σ_t (log π_θ(a_it | s_it) w_it + β H(π_θ(· | s_it))). The states are taken as they came.
    Source: Williams & Peng (1991); Mnih et al. (2016).
    """
    mask = trajectories.mask
    distribution = policy(trajectories.observations[mask])
    log_probs = distribution.log_prob(torch.as_tensor(trajectories.actions[mask]))
    weighted = log_probs * torch.as_tensor(weights[mask]) + entropy * distribution.entropy()
    return -weighted.sum() / len(trajectories)


class LinearValues:
    """V̂(s, t), linear in quadratic features of the observation and the time, fitted to rewards to go: a `baseline`.

    Called with trajectories it gives their values (N, T) as it knows them *so far*, and only then learns from them, by
    least squares: what an episode earned is never in its own baseline. The first batch gets zeros.
    Source: Duan et al. (2016), appendix.
    """

    def __init__(self, discount, ridge=1e-3):
        self.discount, self.ridge = discount, ridge
        self.coefficients = None

    def __call__(self, trajectories):
        mask = trajectories.mask
        features = self._features(trajectories)
        values = np.zeros(mask.shape)
        if self.coefficients is not None:
            values[mask] = features @ self.coefficients
        returns = estimators.rewards_to_go(trajectories.rewards, mask, self.discount)[mask]
        penalty = self.ridge * len(features) * np.eye(features.shape[1])
        self.coefficients = np.linalg.solve(features.T @ features + penalty, features.T @ returns)
        return values

    @staticmethod
    def _features(trajectories):
        """1, o_i, o_i o_j, each times 1, t and t²; t in hundreds of steps. One row for each step that happened."""
        observations = trajectories.observations[trajectories.mask]
        observations = observations.reshape(len(observations), -1).astype(np.float64)
        observations = np.column_stack([np.ones(len(observations)), observations])
        i, j = np.triu_indices(observations.shape[1])
        products = observations[:, i] * observations[:, j]
        t = np.nonzero(trajectories.mask)[1][:, None] / 100
        return np.concatenate([products, products * t, products * t**2], 1)


@dataclass(frozen=True)
class Preset:
    """Settings of `train` for one environment.

    policy: a function of (observation space, action space, rng). discount: γ of the rewards to go. until: the mean
    return of the last 100 episodes that counts as solved. iterations: where `train` gives up. entropy: how much of the
    entropy bonus is added. values: fit LinearValues in place of the batch mean.
    """

    policy: object
    until: float
    learning_rate: float
    discount: float = 1.0
    num_envs: int = 16
    num_trajectories: int = 16
    iterations: int = 1000
    entropy: float = 0.0
    values: bool = False


def _mlp(observation_space, action_space, rng, hidden):
    return policies.MLP(observation_space.shape[0], int(action_space.n), rng, hidden=hidden)


def _convolutional(observation_space, action_space, rng):
    return policies.Convolutional(observation_space.shape, int(action_space.n), rng, channels=4, hidden=32)


def _gaussian(observation_space, action_space, rng, hidden):
    return policies.Gaussian(observation_space.shape[0], action_space.shape[0], rng, hidden=hidden)


def _table(observation_space, action_space, rng):
    return policies.SoftmaxTable(int(observation_space.n), int(action_space.n))


PRESETS = {
    "CartPole-v1": Preset(
        partial(_mlp, hidden=(24,)), until=475, learning_rate=0.05, discount=0.995, num_envs=50, num_trajectories=50
    ),
    "Acrobot-v1": Preset(partial(_mlp, hidden=(32,)), until=-100, learning_rate=0.02, discount=0.99),
    "pgcourse/Catch-v0": Preset(
        _convolutional,
        until=0.95,
        learning_rate=0.008,
        discount=0.9,
        num_envs=64,
        num_trajectories=64,
        entropy=0.05,
    ),
    "pgcourse/ContinuousCartPole-v0": Preset(
        partial(_gaussian, hidden=(24,)),
        until=475,
        learning_rate=0.05,
        discount=0.995,
        num_envs=50,
        num_trajectories=50,
    ),
    "pgcourse/Corridor-v0": Preset(_table, until=5.9, learning_rate=0.2),
}


def train(env_id, *, seed=0, until=None, watch=None, **overrides):
    """Trains with the preset of `env_id`: returns (policy, history), the history a list of Records.

    Stops when the mean return of the last 100 complete episodes reaches `until` (the preset's unless given), or after
    the preset's number of iterations: `solved(history, until)` tells which. `watch(history)` is called after every
    iteration. Other keywords replace fields of the Preset. Same seed, same history.
    Raises ValueError for an environment without a preset, for a field that Preset does not have, and for no iteration.
    """
    if env_id not in PRESETS:
        raise ValueError(f"env_id is {env_id!r}, expected one of {sorted(PRESETS)}; for others use reinforce()")
    preset = PRESETS[env_id].__dict__
    for name in sorted(overrides.keys() - preset.keys())[:1]:
        raise ValueError(f"{name!r} is no setting of a Preset, expected one of {sorted(preset)}")
    preset = Preset(**(preset | overrides | ({} if until is None else {"until": until})))
    if preset.iterations < 1:
        raise ValueError(f"iterations is {preset.iterations}, expected 1 or more")
    rng = np.random.default_rng(seed)
    envs = rollouts.make(env_id, preset.num_envs)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for networks this small a second thread only costs
    try:
        policy = preset.policy(envs.single_observation_space, envs.single_action_space, rng)
        optimizer = torch.optim.Adam(policy.parameters(), lr=preset.learning_rate)
        weights = partial(standardised_to_go, discount=preset.discount)
        baseline = LinearValues(preset.discount) if preset.values else None
        loss = partial(entropic_loss, entropy=preset.entropy) if preset.entropy else estimators.surrogate_loss
        history = []
        for record in reinforce(
            envs, policy, weights, optimizer, preset.num_trajectories, rng, baseline=baseline, loss=loss
        ):
            history.append(record)
            if watch is not None:
                watch(history)
            if solved(history, preset.until) or len(history) >= preset.iterations:
                return policy, history
    finally:
        torch.set_num_threads(threads)
        envs.close()


def solved(history, until, episodes=100):
    """Whether the last `episodes` complete episodes of a history have a mean return of `until` or more."""
    last = np.concatenate([record.total_rewards for record in history[-episodes:]])[-episodes:]
    return len(last) == episodes and bool(last.mean() >= until)
