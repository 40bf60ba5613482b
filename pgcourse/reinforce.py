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


def reinforce(envs, policy, weights, optimizer, num_trajectories, rng):
    """Improves `policy` in place, one batch at a time, and yields a Record for each, without end.

    weights: a function of (rewards, mask), both (N, T), that gives what multiplies the scores (see `estimators`).
    optimizer: a torch optimiser over the policy's parameters. rng: a NumPy Generator, the only source of chance.
    A record comes before the step that its batch leads to: stop at one, and `policy` is still the policy it measured.
    A batch whose weights are all zero has nothing to say, and no step is taken.
    """
    steps = 0
    for iteration in count():
        trajectories = rollouts.collect(envs, policy, num_trajectories, rng)
        steps += int(trajectories.mask.sum())
        yield Record(iteration, trajectories.total_rewards, trajectories.lengths, steps)
        w = weights(trajectories.rewards, trajectories.mask)
        if w.any():
            optimizer.zero_grad()
            estimators.surrogate_loss(policy, trajectories, w).backward()
            optimizer.step()


def standardised_to_go(rewards, mask, discount):
    """Rewards to go minus their batch mean at each step, over the batch's deviation: the recipe that `PRESETS` use."""
    returns = estimators.rewards_to_go(rewards, mask, discount)
    return estimators.standardised(estimators.batch_mean_advantages(returns, mask), mask)


@dataclass(frozen=True)
class Preset:
    """Settings of `train` for one environment.

    policy: a function of (observation space, action space, rng). discount: γ of the rewards to go. until: the mean
    return of the last 100 episodes that counts as solved. iterations: where `train` gives up.
    """

    policy: object
    until: float
    learning_rate: float
    discount: float = 1.0
    num_envs: int = 16
    num_trajectories: int = 16
    iterations: int = 1000


def _mlp(observation_space, action_space, rng, hidden):
    return policies.MLP(observation_space.shape[0], int(action_space.n), rng, hidden=hidden)


def _table(observation_space, action_space, rng):
    return policies.SoftmaxTable(int(observation_space.n), int(action_space.n))


PRESETS = {
    "CartPole-v1": Preset(
        partial(_mlp, hidden=(24,)), until=475, learning_rate=0.05, discount=0.995, num_envs=50, num_trajectories=50
    ),
    "Acrobot-v1": Preset(partial(_mlp, hidden=(32,)), until=-100, learning_rate=0.02, discount=0.99),
    "pgcourse/Corridor-v0": Preset(_table, until=5.9, learning_rate=0.2),
}


def train(env_id, *, seed=0, until=None, watch=None, **overrides):
    """Trains with the preset of `env_id`: returns (policy, history), the history a list of Records.

    Stops when the mean return of the last 100 complete episodes reaches `until` (the preset's unless given), or after
    the preset's number of iterations: `solved(history, until)` tells which. `watch(history)` is called after every
    iteration. Other keywords replace fields of the Preset. Same seed, same history.
    Raises ValueError for an environment without a preset and for a field that Preset does not have.
    """
    if env_id not in PRESETS:
        raise ValueError(f"env_id is {env_id!r}, expected one of {sorted(PRESETS)}; for others use reinforce()")
    preset = PRESETS[env_id].__dict__
    for name in sorted(overrides.keys() - preset.keys())[:1]:
        raise ValueError(f"{name!r} is no setting of a Preset, expected one of {sorted(preset)}")
    preset = Preset(**(preset | overrides | ({} if until is None else {"until": until})))
    rng = np.random.default_rng(seed)
    envs = rollouts.make(env_id, preset.num_envs)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for networks this small a second thread only costs
    try:
        policy = preset.policy(envs.single_observation_space, envs.single_action_space, rng)
        optimizer = torch.optim.Adam(policy.parameters(), lr=preset.learning_rate)
        weights = partial(standardised_to_go, discount=preset.discount)
        history = []
        for record in reinforce(envs, policy, weights, optimizer, preset.num_trajectories, rng):
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
