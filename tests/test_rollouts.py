import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from inputs import build_mdp, shaken, table_for
from witnesses import Z_LIMIT, chi_square_excess, z_scores

from pgcourse import exact, mdp, policies, rollouts


def rng(seed=0):
    return np.random.default_rng(seed)


def mdp_envs(model, num_envs, native=True):
    """The environments of a model, native or wrapped one by one."""
    return mdp.MDPVectorEnv(model, num_envs) if native else SyncVectorEnv([lambda: mdp.MDPEnv(model)] * num_envs)


natively = pytest.mark.parametrize("native", [True, False], ids=["native", "sync"])


# What is recorded, told by environments that say where they are

LENGTHS = [[3, 1, 2, 4], [1, 1, 5, 1], [2, 6, 1, 3]]  # of the episodes of each slot, in order, again and again


class Counting(gymnasium.Env):
    """Observes (slot, episode, step); earns 100 slot + 10 episode + step; odd episodes are truncated, even ones end."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = spaces.Discrete(7, start=3)

    def __init__(self, slot, lengths=None):
        self.slot, self.lengths, self.episode = slot, lengths or LENGTHS[slot], None

    def reset(self, *, seed=None, options=None):
        self.episode = 0 if seed is not None else self.episode + 1  # a seed starts the count
        self.t = 0
        return np.array([self.slot, self.episode, self.t], dtype=float), {}

    def step(self, action):
        assert self.action_space.contains(action)
        reward = 100 * self.slot + 10 * self.episode + self.t
        self.t += 1
        over, odd = self.t == self.lengths[self.episode % len(self.lengths)], self.episode % 2
        return (
            np.array([self.slot, self.episode, self.t], dtype=float),
            reward,
            bool(over and not odd),
            bool(over and odd),
            {},
        )


class CountingTogether(VectorEnv):
    """Three of them in one native vector environment, which hands out one array of observations for ever."""

    def __init__(self, mode):
        self.metadata = {"autoreset_mode": mode}
        self.envs, self.num_envs = [Counting(slot) for slot in range(3)], 3
        self.single_observation_space, self.single_action_space = Counting.observation_space, Counting.action_space
        self.observations, self.ended = np.zeros((3, 3)), np.zeros(3, dtype=bool)

    def reset(self, *, seed=None, options=None):
        self.ended[:] = False
        for k, env in enumerate(self.envs):
            self.observations[k] = env.reset(seed=seed)[0]
        return self.observations, {}

    def step(self, actions):
        rewards, terminated, truncated = np.zeros(3), np.zeros(3, dtype=bool), np.zeros(3, dtype=bool)
        for k, env in enumerate(self.envs):
            if self.ended[k]:
                self.observations[k] = env.reset()[0]
            else:
                self.observations[k], rewards[k], terminated[k], truncated[k], _ = env.step(actions[k])
            if self.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP and (terminated[k] or truncated[k]):
                self.observations[k] = env.reset()[0]
        self.ended = (terminated | truncated) & (self.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP)
        return self.observations, rewards, terminated, truncated, {}


class Telltale:
    """Acts by slot, episode and step, so that an action recorded beside another observation is seen."""

    num_actions = 7

    def act(self, observations, rng):
        return (observations @ [1, 2, 3]).astype(np.int64) % 7


COUNTERS = {
    "sync": lambda mode: SyncVectorEnv([lambda slot=slot: Counting(slot) for slot in range(3)], autoreset_mode=mode),
    "sync without copies": lambda mode: SyncVectorEnv(
        [lambda slot=slot: Counting(slot) for slot in range(3)], copy=False, autoreset_mode=mode
    ),
    "native": CountingTogether,
}


@pytest.mark.parametrize("build", COUNTERS.values(), ids=COUNTERS)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=lambda mode: mode.name)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 13])
def test_every_step_of_the_episodes_assigned_and_no_other(build, mode, n):
    envs = build(mode)
    for _ in range(2):  # a second batch starts afresh
        batch = rollouts.collect(envs, Telltale(), n, rng())
        assert len(batch) == n
        for i in range(n):
            slot, episode = i % 3, i // 3
            length = LENGTHS[slot][episode % 4]
            where = np.array([[slot, episode, t] for t in range(length)])
            assert batch.lengths[i] == length
            np.testing.assert_array_equal(batch.observations[i, :length], where)
            np.testing.assert_array_equal(batch.rewards[i, :length], where @ [100, 10, 1])
            np.testing.assert_array_equal(batch.actions[i, :length], where @ [1, 2, 3] % 7)
            assert batch.terminated[i] == (episode % 2 == 0)
        assert batch.mask.shape[1] == batch.lengths.max()


class Echo(gymnasium.Env):
    """Pays what it receives; an action outside its box is refused."""

    def __init__(self, low, high):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float64)
        self.action_space = spaces.Box(np.float32(low), np.float32(high))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return np.zeros(1), float(action.astype(float) @ [1, 100]), True, False, {}


class Wild:
    action_dim = 2

    def act(self, observations, rng):
        return rng.normal(scale=3, size=(len(observations), 2))


def test_actions_are_clipped_for_the_environment_and_recorded_raw():
    low, high = [-1, -0.5], [2, 0.5]
    batch = rollouts.collect(SyncVectorEnv([lambda: Echo(low, high)] * 4), Wild(), 40, rng())
    raw = batch.actions[:, 0]
    assert (raw < low).any()
    assert (raw > high).any()
    # The environment's actions are float32: 100 of them have an error of 100 · 2^-24
    np.testing.assert_allclose(batch.rewards[:, 0], np.clip(raw, low, high) @ [1, 100], atol=1e-5)


# The same seed

ENVIRONMENTS = {
    "corridor": ("pgcourse/Corridor-v0", {}, lambda: policies.SoftmaxTable(5, 2)),
    "grid": ("pgcourse/SlipperyGrid-v0", {}, lambda: policies.SoftmaxTable(6, 4)),
    "native CartPole": ("CartPole-v1", {}, lambda: policies.MLP(4, 2, rng())),
    "Acrobot, one by one": ("Acrobot-v1", {"max_episode_steps": 20}, lambda: policies.MLP(6, 3, rng())),
    "Pendulum": ("Pendulum-v1", {"max_episode_steps": 20}, lambda: policies.Gaussian(3, 1, rng())),
}


@pytest.mark.parametrize(("env_id", "settings", "build"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_generator_decides_everything(env_id, settings, build):
    envs = rollouts.make(env_id, 3, **settings)
    one, same, other = (rollouts.collect(envs, build(), 4, rng(seed)) for seed in (0, 0, 1))
    for name in ("observations", "actions", "rewards", "mask", "terminated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert one.actions.shape != other.actions.shape or (one.actions != other.actions).any()
    assert one.observations.shape[:2] == one.actions.shape[:2] == one.mask.shape


def test_batches_in_a_row_differ():
    envs, g = rollouts.make("CartPole-v1", 3), rng()
    one, other = (rollouts.collect(envs, policies.MLP(4, 2, rng()), 3, g) for _ in range(2))
    assert (one.observations[:, 0] != other.observations[:, 0]).all()


def test_slots_differ():
    first = rollouts.collect(rollouts.make("CartPole-v1", 4), policies.MLP(4, 2, rng()), 4, rng()).observations[:, 0]
    assert len(np.unique(first, axis=0)) == 4


# No length bias

WAITING = mdp.TabularMDP([[[0.9, 0.1]] * 2, [[0, 1]] * 2], [[1, 1], [0, 0]], [1, 0], horizon=40)


def length_z(lengths):
    """How many standard errors the mean length is from the exact one: the sum of P(step t happens)."""
    truth = exact.occupancy(WAITING, policies.SoftmaxTable(2, 2)).sum().item()
    return z_scores(np.asarray(lengths, dtype=float)[:, None], np.array([truth]))[0]


def first_to_finish(envs, policy, n, g):
    """The trap: run all slots and keep the first n episodes to end. Returns their lengths."""
    observations, _ = envs.reset(seed=int(g.integers(2**31)))
    lengths, t, resets = [], np.zeros(envs.num_envs, dtype=int), np.zeros(envs.num_envs, dtype=bool)
    while len(lengths) < n:
        observations, _, terminated, truncated, _ = envs.step(policy.act(observations, g))
        t = np.where(resets, 0, t + 1)
        resets = terminated | truncated
        lengths.extend(t[resets])
    return lengths[:n]


@pytest.mark.parametrize(("native", "n"), [(True, 600), (True, 1000), (False, 600)])
def test_short_episodes_are_not_over_represented(native, n):
    envs, policy = mdp_envs(WAITING, 400, native), policies.SoftmaxTable(2, 2)
    assert abs(length_z(rollouts.collect(envs, policy, n, rng()).lengths)) < Z_LIMIT
    # The same number of episodes, had the first to finish been kept: the test would see it
    assert length_z(first_to_finish(envs, policy, n, rng())) < -2 * Z_LIMIT


@natively
def test_trajectories_come_with_their_exact_probabilities(native):
    model = build_mdp(3, num_states=3, horizon=2)
    policy = table_for(model)
    listed, probabilities = exact.trajectories(model, policy)
    batch = rollouts.collect(mdp_envs(model, 30, native), policy, 3000, rng())

    def keys(trajectories):
        return [
            (*zip(s[m].tolist(), a[m].tolist(), r[m].tolist(), strict=True), end)
            for s, a, r, m, end in zip(
                trajectories.observations,
                trajectories.actions,
                trajectories.rewards,
                trajectories.mask,
                trajectories.terminated.tolist(),
                strict=True,
            )
        ]

    place = {key: i for i, key in enumerate(keys(listed))}
    counts = np.bincount([place[key] for key in keys(batch)], minlength=len(listed))
    p = probabilities.detach().numpy()
    rare = counts.sum() * p < 10  # pooled, as Pearson's χ² asks for
    pooled = [np.append(x[~rare], x[rare].sum()) for x in (counts, p)]
    assert chi_square_excess(*pooled) < 1


# Terminated and truncated


@natively
def test_leaving_the_corridor_terminates_and_the_horizon_truncates(native):
    batch = rollouts.collect(mdp_envs(mdp.corridor(), 8, native), policies.SoftmaxTable(5, 2), 200, rng())
    last = batch.lengths - 1
    rows = np.arange(200)
    leaves = (batch.observations[rows, last] == 3) & (batch.actions[rows, last] == 1)
    np.testing.assert_array_equal(batch.terminated, leaves)
    assert (batch.lengths[~batch.terminated] == 8).all()
    assert 0 < batch.terminated.sum() < 200
    assert (batch.terminated & (batch.lengths == 8)).any()  # out at the last moment is out


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_a_time_limit_of_gymnasium_truncates(mode):
    envs = gymnasium.make_vec("CartPole-v1", 20, vectorization_mode=mode, max_episode_steps=15)
    batch = rollouts.collect(envs, policies.MLP(4, 2, rng()), 60, rng())
    assert batch.lengths.max() == 15
    fallen = np.abs(batch.observations[..., 2]) > 0.2095  # never seen: the fall itself is not acted upon
    assert not fallen[batch.mask].any()
    assert batch.terminated[batch.lengths < 15].all()
    assert not batch.terminated[batch.lengths == 15].all()
    assert batch.terminated.any()


class Endless(Counting):
    def step(self, action):
        return np.zeros(3), 0.0, False, False, {}


@pytest.mark.parametrize("max_steps", [5, 6])
@pytest.mark.parametrize("n", [1, 4])
def test_episodes_of_max_steps_are_not_too_long(max_steps, n):
    envs = gymnasium.make_vec("Pendulum-v1", 2, vectorization_mode="sync", max_episode_steps=5)
    batch = rollouts.collect(envs, policies.Gaussian(3, 1, rng()), n, rng(), max_steps=max_steps)
    assert batch.lengths.tolist() == [5] * n


def test_one_episode_of_more_than_max_steps_is_refused_beside_short_ones():
    envs = COUNTERS["sync"](AutoresetMode.NEXT_STEP)
    assert rollouts.collect(envs, Telltale(), 6, rng(), max_steps=6).lengths.max() == 6
    with pytest.raises(ValueError, match=r"more than 5 steps.*, expected an end: set a time limit"):
        rollouts.collect(envs, Telltale(), 6, rng(), max_steps=5)


def test_what_a_slot_plays_after_its_last_episode_may_be_long():
    class Patient(Telltale):
        asked = 0

        def act(self, observations, rng):
            self.asked += 1
            return super().act(observations, rng)

    envs, policy = SyncVectorEnv([lambda: Counting(0, [3]), lambda: Counting(1, [1, 50])]), Patient()
    assert rollouts.collect(envs, policy, 3, rng(), max_steps=3).lengths.tolist() == [3, 1, 3]
    assert policy.asked == 3 + 1 + 3  # the 1 is a reset; nobody waits for the end of the long one


def test_an_episode_without_end_is_refused():
    with pytest.raises(ValueError, match=r"more than 50 steps.*, expected an end: set a time limit"):
        rollouts.collect(SyncVectorEnv([lambda: Endless(0)]), Telltale(), 1, rng(), max_steps=50)


# Making environments, and their pictures


@pytest.mark.parametrize(
    ("env_id", "kind"),
    [("CartPole-v1", "CartPoleVectorEnv"), ("pgcourse/Corridor-v0", "MDPVectorEnv"), ("Acrobot-v1", "SyncVectorEnv")],
)
def test_native_environments_are_used_where_they_exist(env_id, kind):
    envs = rollouts.make(env_id, 3)
    assert type(envs.unwrapped).__name__ == kind
    assert envs.num_envs == 3


def test_settings_reach_the_environment():
    assert rollouts.make("pgcourse/Corridor-v0", 2, mdp=mdp.corridor(2)).single_observation_space.n == 3


def test_frames_are_the_pictures_of_one_episode():
    policy = policies.MLP(4, 2, rng())
    pictures, same = (np.stack(list(rollouts.frames("CartPole-v1", policy, rng()))) for _ in range(2))
    assert pictures.dtype == np.uint8
    assert pictures.shape[1:] == (400, 600, 3)
    np.testing.assert_array_equal(pictures, same)
    # The same generator plays the same episode here: its first picture, and one after each step
    env, g = gymnasium.make("CartPole-v1"), rng()
    observation, steps, over = env.reset(seed=int(g.integers(2**31)))[0], 0, False
    while not over:
        observation, _, terminated, truncated, _ = env.step(policy.act(observation[None], g)[0])
        steps, over = steps + 1, terminated or truncated
    assert len(pictures) == steps + 1
    assert (pictures[0] != pictures[-1]).any()
    assert len(list(rollouts.frames("CartPole-v1", policy, rng(), max_frames=3))) == 3


# Bad input


class Returning:
    """A policy whose act returns what it was given."""

    def __init__(self, actions):
        self.actions = actions

    def act(self, observations, rng):
        return self.actions


CARTPOLE, CORRIDOR, PENDULUM = "CartPole-v1", "pgcourse/Corridor-v0", "Pendulum-v1"
MISFITS = {
    "an action too many": (
        CORRIDOR,
        policies.SoftmaxTable(5, 3),
        r"policy has num_actions 3, expected 2 .*Discrete\(2\)",
    ),
    "an action too few": (
        CORRIDOR,
        policies.SoftmaxTable(5, 1),
        r"policy has num_actions 1, expected 2 .*Discrete\(2\)",
    ),
    "Gaussian for discrete": (CARTPOLE, policies.Gaussian(4, 1, rng()), r"policy has no num_actions, expected 2"),
    "softmax for continuous": (PENDULUM, policies.MLP(3, 2, rng()), r"policy has no action_dim, expected 1 .*Box"),
    "a dimension too many": (PENDULUM, policies.Gaussian(3, 2, rng()), r"policy has action_dim 2, expected 1 .*Box"),
    "a state missing": (CORRIDOR, policies.SoftmaxTable(4, 2), r"policy .*4.*, expected 5 .*observation"),
    "a state too many": (CORRIDOR, policies.SoftmaxTable(6, 2), r"policy .*6.*, expected 5 .*observation"),
    "one-hot of a state missing": (CORRIDOR, policies.LinearSoftmax(4, 2), r"policy .*4.*, expected 5 .*observation"),
    "one-hot of one too many": (CORRIDOR, policies.LinearSoftmax(6, 2), r"policy .*6.*, expected 5 .*observation"),
    "a table for vectors": (CARTPOLE, policies.SoftmaxTable(4, 2), r"policy .*, expected .*observation"),
    "a feature missing": (CARTPOLE, policies.MLP(3, 2, rng()), r"policy .*3.*, expected 4 .*observation"),
    "a Gaussian's feature too many": (
        PENDULUM,
        policies.Gaussian(4, 1, rng()),
        r"policy .*4.*, expected 3 .*observation",
    ),
    "pictures": (CARTPOLE, policies.Convolutional((5, 5, 1), 2, rng()), r"policy .*, expected .*observation"),
}


@pytest.mark.parametrize(("env_id", "policy", "message"), MISFITS.values(), ids=MISFITS)
def test_a_policy_that_does_not_fit_is_named(env_id, policy, message):
    with pytest.raises(ValueError, match=message):
        rollouts.collect(rollouts.make(env_id, 2), policy, 2, rng())


@pytest.mark.parametrize(
    "policy", [policies.Gaussian(4, 1, rng()), policies.MLP(3, 2, rng())], ids=["actions", "features"]
)
def test_a_policy_that_does_not_fit_has_no_pictures(policy):
    with pytest.raises(ValueError, match=r"policy .*, expected"):
        rollouts.frames(CARTPOLE, policy, rng())


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([0, 1], "policy.act returned list, expected a NumPy array of integer"),
        (np.array([0.0, 1.0]), r"policy.act returned float64 of shape \(2,\), expected .*integer of shape \(2,\)"),
        (np.array([[0], [1]]), r"policy.act returned int64 of shape \(2, 1\), expected .*integer of shape \(2,\)"),
        (np.array([0]), r"policy.act returned int64 of shape \(1,\), expected .*integer of shape \(2,\)"),
    ],
)
def test_actions_that_do_not_fit_are_named(actions, message):
    with pytest.raises(ValueError, match=message):
        rollouts.collect(rollouts.make(CORRIDOR, 2), Returning(actions), 2, rng())


def envs_with(**attributes):
    envs = rollouts.make(CORRIDOR, 2)
    for name, value in attributes.items():
        setattr(envs.unwrapped, name, value)
    return envs.unwrapped


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rollouts.make("Nowhere-v0"), "env_id is 'Nowhere-v0', expected the id of a registered environment"),
        (
            lambda: rollouts.make("CartPole-v77"),
            "env_id is 'CartPole-v77', expected the id of a registered environment",
        ),
        (lambda: rollouts.make(CORRIDOR, 0), "num_envs is 0, expected 1 or more"),
        (lambda: rollouts.frames("Nowhere-v0", None, rng()), "env_id is 'Nowhere-v0', expected"),
        (
            lambda: rollouts.frames(CORRIDOR, policies.SoftmaxTable(5, 2), rng()),
            "env_id is 'pgcourse/Corridor-v0', expected .*pictures",
        ),
        (
            lambda: rollouts.collect(rollouts.make(CORRIDOR), policies.SoftmaxTable(5, 2), 0, rng()),
            "num_trajectories is 0, expected 1 or more",
        ),
        (
            lambda: rollouts.collect(COUNTERS["sync"](AutoresetMode.DISABLED), Telltale(), 1, rng()),
            r"envs has autoreset disabled, expected AutoresetMode\.NEXT_STEP or SAME_STEP",
        ),
        (
            lambda: rollouts.collect(envs_with(single_action_space=spaces.MultiDiscrete([2, 2])), Telltale(), 1, rng()),
            r"envs has action space MultiDiscrete\(\[2 2\]\), expected Discrete or a Box of one axis",
        ),
        (
            lambda: rollouts.collect(
                envs_with(single_observation_space=spaces.MultiBinary(3)), policies.SoftmaxTable(5, 2), 1, rng()
            ),
            r"envs has observation space MultiBinary\(3\), expected Discrete or Box",
        ),
    ],
)
def test_what_cannot_be_run_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_policy_of_nan_is_not_run():
    policy = shaken(policies.MLP(4, 2, rng()))
    policy.network[0].weight.data[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"nan.*expected"):
        rollouts.collect(rollouts.make(CARTPOLE, 2), policy, 2, rng())
