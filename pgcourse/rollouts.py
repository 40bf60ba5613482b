"""Complete episodes from Gymnasium environments.

Which episode of which slot belongs to the batch is settled before the first step. Whoever runs K environments side by
side and keeps the first N episodes to finish has mostly short ones: the estimate is biased before any formula is
applied.
"""

import contextlib
import itertools
import os

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

import pgcourse  # noqa: F401 (registers our environments)
from pgcourse.policies import check_observations
from pgcourse.trajectories import Trajectories

MAX_STEPS = 100_000  # of one episode; an environment that exceeds it has no time limit


def make(env_id, num_envs=1, **kwargs):
    """`num_envs` copies of a Gymnasium environment, native vectorised where it exists (up to 10 times faster).

    Raises ValueError for an id that Gymnasium does not know, with Gymnasium's own suggestion.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}, expected 1 or more")
    try:
        spec = gymnasium.spec(env_id)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"env_id is {env_id!r}, expected the id of a registered environment ({error})") from error
    mode = "sync" if spec.vector_entry_point is None else "vector_entry_point"
    return gymnasium.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode, **kwargs)


def collect(envs, policy, num_trajectories, rng, max_steps=MAX_STEPS):
    """`num_trajectories` complete episodes of a Gymnasium vector environment, as Trajectories.

    Slot k of K plays episodes k, k + K, k + 2K … of the batch, one after the other, however long they take. The
    environments are reset with a seed drawn from `rng`, a NumPy Generator, and the policy acts with it: same rng, same
    trajectories. Continuous actions are recorded as the policy chose them and clipped to the action space on their way
    to the environment. The step on which an environment resets itself is not recorded, and `terminated` is False where
    a time limit ended it.

    `policy` has `act(observations (K, …), rng)` → actions (K[, D]).
    Raises ValueError for a policy that does not fit the spaces, and for an episode longer than `max_steps`.
    """
    if num_trajectories < 1:
        raise ValueError(f"num_trajectories is {num_trajectories}, expected 1 or more")
    mode = envs.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    if mode == AutoresetMode.DISABLED:
        raise ValueError(
            "envs has autoreset disabled, expected AutoresetMode.NEXT_STEP or SAME_STEP (see rollouts.make)"
        )
    resets_next_step = mode == AutoresetMode.NEXT_STEP
    _check_fit(envs, policy)
    to_environment = _to_environment(envs.single_action_space)
    quota = (num_trajectories - np.arange(envs.num_envs) + envs.num_envs - 1) // envs.num_envs
    finished = np.zeros(envs.num_envs, dtype=np.int64)
    age = np.zeros_like(finished)
    steps = []
    observations, _ = envs.reset(seed=int(rng.integers(2**31)))
    while (finished < quota).any():
        actions = policy.act(observations, rng)
        if not steps:
            _check_actions(actions, envs)
        before = observations.copy()
        observations, rewards, terminated, truncated, _ = envs.step(to_environment(actions))
        ended = terminated | truncated
        finished += ended
        steps.append((before, actions, rewards, terminated, ended))
        age = np.where(ended, -resets_next_step, age + 1)
        if len(steps) >= max_steps and ((age >= max_steps) & (finished < quota)).any():
            raise ValueError(f"an episode took more than {max_steps} steps, expected an end: set a time limit")
    return _assemble(steps, quota, resets_next_step)


def _check_fit(envs, policy):
    space = envs.single_action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        name, expected = "num_actions", int(space.n)
    elif isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        name, expected = "action_dim", space.shape[0]
    else:
        raise ValueError(f"envs has action space {space}, expected Discrete or a Box of one axis")
    others = {"num_actions", "action_dim"} - {name}
    given = getattr(policy, name, None)
    if (given is None and any(hasattr(policy, other) for other in others)) or given not in (None, expected):
        has = f"{name} {given}" if given is not None else f"no {name}"
        raise ValueError(f"policy has {has}, expected {expected} to fit the action space {space}")
    space = envs.single_observation_space
    if not isinstance(space, gymnasium.spaces.Discrete | gymnasium.spaces.Box):
        raise ValueError(f"envs has observation space {space}, expected Discrete or Box")
    check_observations(policy, int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else space.shape, space)


def _check_actions(actions, envs):
    discrete = isinstance(envs.single_action_space, gymnasium.spaces.Discrete)
    shape = (envs.num_envs, *envs.single_action_space.shape)
    kind = np.integer if discrete else np.floating
    if not isinstance(actions, np.ndarray) or actions.shape != shape or not np.issubdtype(actions.dtype, kind):
        got = f"{actions.dtype} of shape {actions.shape}" if isinstance(actions, np.ndarray) else type(actions).__name__
        raise ValueError(f"policy.act returned {got}, expected a NumPy array of {kind.__name__} of shape {shape}")


def _to_environment(space):
    """What has to happen to actions before the environment sees them."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return (lambda actions: actions + space.start) if space.start else (lambda actions: actions)
    return lambda actions: np.clip(actions, space.low, space.high).astype(space.dtype)


def _assemble(steps, quota, resets_next_step):
    """Cuts the steps (L, K) of K slots into episodes, leaving out resets and what a slot did after its last episode."""
    observations, actions, rewards, terminated, ended = (np.array(column) for column in zip(*steps, strict=True))
    after_end = np.zeros_like(ended)
    after_end[1:] = ended[:-1]
    episode = np.cumsum(after_end, 0)
    recorded = episode < quota
    begins = after_end
    if resets_next_step:
        recorded &= ~after_end
        begins = np.zeros_like(ended)
        begins[1:] = after_end[:-1]
    now = np.arange(len(steps))[:, None]
    time = (now - np.maximum.accumulate(np.where(begins, now, 0)))[recorded]
    number = (np.arange(len(quota)) + episode * len(quota))[recorded]
    shape = (quota.sum(), time.max() + 1)

    def padded(values):
        out = np.zeros(shape + values.shape[2:], dtype=values.dtype)
        out[number, time] = values[recorded]
        return out

    return Trajectories(
        padded(observations), padded(actions), padded(rewards), padded(recorded), padded(terminated).any(1)
    )


def frames(env_id, policy, rng, max_frames=500):
    """Pictures of one episode, one after the other, each (height, width, 3) of uint8, for `plots.animation`."""
    envs = make(env_id)
    _check_fit(envs, policy)
    envs.close()
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame loads: nothing here needs a display
    if "rgb_array" not in envs.metadata.get("render_modes", ()):
        raise ValueError(f"env_id is {env_id!r}, expected an environment that draws pictures (render mode rgb_array)")
    return itertools.islice(_pictures(gymnasium.make(env_id, render_mode="rgb_array"), policy, rng), max_frames)


def _pictures(env, policy, rng):
    with contextlib.closing(env):
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        to_environment, over = _to_environment(env.action_space), False
        yield env.render()
        while not over:
            action = to_environment(policy.act(np.asarray(observation)[None], rng))[0]
            observation, _, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
            yield env.render()
