import math
from functools import partial

import numpy as np
import pytest
import torch
from inputs import shaken

from pgcourse import estimators, mdp, policies, reinforce, rollouts
from pgcourse.reinforce import PRESETS, Record, solved, train

CORRIDOR = "pgcourse/Corridor-v0"


def rng(seed=0):
    return np.random.default_rng(seed)


def record(iteration, returns):
    return Record(iteration, np.array(returns, dtype=float), np.ones(len(returns), dtype=int), 0)


def flat(policy):
    return torch.cat([p.detach().flatten() for p in policy.parameters()])


# The loop


def test_a_step_is_the_mean_of_the_rows_times_the_learning_rate():
    policy = shaken(policies.SoftmaxTable(5, 2))
    twin = policies.SoftmaxTable(5, 2, policy.theta)
    envs, weights = rollouts.make(CORRIDOR, 3), estimators.rewards_to_go
    loop = reinforce.reinforce(envs, policy, weights, torch.optim.SGD(policy.parameters(), lr=0.1), 5, rng())
    same_chance, steps = rng(), 0
    for iteration in range(4):
        record = next(loop)
        np.testing.assert_allclose(flat(policy), flat(twin), atol=1e-12)  # a record comes before its own step
        batch = rollouts.collect(envs, twin, 5, same_chance)
        steps += batch.mask.sum()
        assert (record.iteration, record.steps) == (iteration, steps)
        np.testing.assert_array_equal(record.total_rewards, batch.total_rewards)
        np.testing.assert_array_equal(record.lengths, batch.lengths)
        assert record.mean_return == batch.total_rewards.mean()
        ascent = 0.1 * estimators.gradients(twin, batch, weights(batch.rewards, batch.mask)).mean(0)
        assert ascent.abs().max() > 0.01
        with torch.no_grad():
            twin.theta += ascent.reshape(5, 2)


def test_weights_that_are_all_zero_leave_even_the_momentum_alone():
    policy = policies.SoftmaxTable(5, 2)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1, momentum=0.9)
    calls = []

    def first_something_then_nothing(rewards, mask):
        calls.append(1)
        return estimators.rewards_to_go(rewards, mask) * (len(calls) == 1)

    loop = reinforce.reinforce(rollouts.make(CORRIDOR, 3), policy, first_something_then_nothing, optimizer, 3, rng())
    next(loop)
    next(loop)
    moved = flat(policy)
    assert moved.abs().max() > 0
    assert [next(loop).iteration, next(loop).iteration] == [2, 3]
    assert torch.equal(flat(policy), moved)


def test_the_recipe_is_to_go_less_the_batch_mean_over_the_deviation():
    rewards, mask = np.array([[1.0, 2, 3], [4, 0, 9]]), np.array([[True, True, True], [True, False, False]])
    # to go with γ = ½: [2.75, 3.5, 3], [4]; means 3.375, 1.75, 1.5; of the four advantages the deviation
    advantages = np.array([[-0.625, 1.75, 1.5], [0.625, 0, 0]])
    deviation = np.array([-0.625, 1.75, 1.5, 0.625]).std()
    got = reinforce.standardised_to_go(rewards, mask, 0.5)
    np.testing.assert_allclose(got, advantages / deviation, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 50])
@pytest.mark.parametrize("reward", [1.0, -1.0, 0.1])
def test_the_recipe_has_nothing_to_say_where_all_episodes_are_the_same(n, reward):
    # The mean of n equal numbers is off by a rounding: divided by a deviation of the same size, that is a full step
    rewards, mask = np.full((n, 500), reward), np.ones((n, 500), dtype=bool)
    for discount in (0.99, 0.995, 1.0):
        assert not reinforce.standardised_to_go(rewards, mask, discount).any()


def test_nothing_is_learned_from_episodes_that_are_all_the_same():
    envs = rollouts.make(CORRIDOR, 50, mdp=mdp.corridor(horizon=3))  # nobody gets out: three times −1
    policy, weights = policies.SoftmaxTable(5, 2), partial(reinforce.standardised_to_go, discount=0.99)
    loop = reinforce.reinforce(envs, policy, weights, torch.optim.Adam(policy.parameters(), lr=0.1), 50, rng())
    assert [next(loop).mean_return for _ in range(3)] == [-3, -3, -3]
    assert not flat(policy).any()


# When it is solved


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([[10] * 99], False),  # too few episodes
        ([[10] * 100], True),
        ([[9.98] * 100], False),
        ([[0] * 60, [10] * 60, [10] * 40], True),  # only the last 100 count
        ([[0] * 61, [10] * 60, [10] * 39], False),
        ([[0] * 200, [10] * 100], True),
        ([[10] * 100, [0] * 200], False),
        ([[0]] * 3 + [[10]] * 100, True),
        ([[10]] * 3 + [[0]] + [[10]] * 99, False),
    ],
)
def test_the_last_hundred_complete_episodes_decide(returns, expected):
    assert solved([record(i, row) for i, row in enumerate(returns)], until=10) is expected


def test_how_many_episodes_count_may_be_said():
    history = [record(0, [0, 0, 10, 10])]
    assert solved(history, 10, episodes=2)
    assert not solved(history, 10, episodes=3)


# Training


@pytest.mark.parametrize("env_id", [CORRIDOR, "CartPole-v1"])
def test_the_same_seed_gives_the_same_history_to_the_last_bit(env_id):
    (one_policy, one), (same_policy, same), (other_policy, _) = (train(env_id, seed=s, iterations=3) for s in (5, 5, 6))
    assert len(one) == len(same) == 3
    for a, b in zip(one, same, strict=True):
        assert (a.iteration, a.steps) == (b.iteration, b.steps)
        assert a.total_rewards.tobytes() == b.total_rewards.tobytes()
        assert a.lengths.tobytes() == b.lengths.tobytes()
    assert torch.equal(flat(one_policy), flat(same_policy))
    assert not torch.equal(flat(one_policy), flat(other_policy))


def test_training_leaves_the_global_generators_alone():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (that is the point)
    train(CORRIDOR, iterations=2)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("seed", range(5))
def test_the_corridor_is_solved(seed):
    policy, history = train(CORRIDOR, seed=seed)
    assert solved(history, PRESETS[CORRIDOR].until)
    assert not any(solved(history[:k], PRESETS[CORRIDOR].until) for k in range(1, len(history)))  # and not later
    assert (policy.theta[:4, 1] > policy.theta[:4, 0]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_cartpole_is_solved_and_stays_so_on_fresh_episodes(seed):
    policy, history = train("CartPole-v1", seed=seed)
    assert solved(history, 475)
    fresh = rollouts.collect(rollouts.make("CartPole-v1", 100), policy, 100, rng(1000 + seed))
    assert fresh.total_rewards.mean() >= 475


def test_acrobot_improves():
    _, history = train("Acrobot-v1", seed=0, iterations=12)
    # No reward but −1 a step up to the limit of 500: hanging still is −500, −200 is swinging up
    assert history[0].mean_return < -400
    assert max(record.mean_return for record in history) > -200


def test_every_preset_is_trained_here():
    assert sorted(PRESETS) == ["Acrobot-v1", "CartPole-v1", CORRIDOR]


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({"iterations": 3}, 3),
        ({"iterations": 1}, 1),
        ({"until": -100}, 7),
        ({"until": -100, "num_trajectories": 50}, 2),
    ],
)
def test_training_stops_where_it_is_told(settings, length):
    _, history = train(CORRIDOR, **settings)
    # −100 is always reached: as soon as there are 100 episodes, at 16 a batch in the 7th
    assert [record.iteration for record in history] == list(range(length))


def test_settings_override_the_preset():
    built = []

    def build(observation_space, action_space, g):
        built.append((observation_space.n, action_space.n))
        return policies.LinearSoftmax(int(observation_space.n), int(action_space.n))

    policy, history = train(CORRIDOR, iterations=2, num_envs=3, num_trajectories=7, policy=build, learning_rate=0.0)
    assert built == [(5, 2)]
    assert [len(record.total_rewards) for record in history] == [7, 7]
    assert not flat(policy).any()  # nothing learned at rate 0
    assert PRESETS[CORRIDOR].num_trajectories == 16


def test_watch_sees_the_history_after_every_iteration():
    seen = []
    _, history = train(CORRIDOR, iterations=4, watch=lambda h: seen.append([r.iteration for r in h]))
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert len(history) == 4


@pytest.mark.parametrize("raises", [False, True])
def test_threads_are_one_while_training_and_restored_after(raises):
    def watch(history):
        seen.append(torch.get_num_threads())
        if raises:
            raise KeyboardInterrupt

    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        if raises:
            with pytest.raises(KeyboardInterrupt):
                train(CORRIDOR, iterations=2, watch=watch)
        else:
            train(CORRIDOR, iterations=2, watch=watch)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# Bad input


@pytest.mark.parametrize(
    ("env_id", "settings", "message"),
    [
        ("Nowhere-v0", {}, r"env_id is 'Nowhere-v0', expected one of \['Acrobot-v1', 'CartPole-v1', "),
        (CORRIDOR, {"lr": 1}, r"'lr' is no setting of a Preset, expected one of \['discount', 'iterations', "),
        (CORRIDOR, {"discount": 1.1}, r"discount is 1\.1, expected a number in \[0, 1\]"),
        (CORRIDOR, {"discount": math.nan}, r"discount is nan, expected a number in \[0, 1\]"),
        (CORRIDOR, {"num_envs": 0}, "num_envs is 0, expected 1 or more"),
        (CORRIDOR, {"num_trajectories": 0}, "num_trajectories is 0, expected 1 or more"),
        (
            CORRIDOR,
            {"policy": lambda observations, actions, g: policies.SoftmaxTable(5, 3)},
            "policy has num_actions 3, expected 2",
        ),
    ],
)
def test_what_cannot_be_trained_is_named(env_id, settings, message):
    with pytest.raises(ValueError, match=message):
        train(env_id, **settings)
