import math
from functools import partial

import numpy as np
import pytest
import torch
from inputs import random_batch, shaken

from pgcourse import estimators, mdp, policies, reinforce, rollouts
from pgcourse.reinforce import PRESETS, Record, solved, train

CORRIDOR, CATCH, CONTINUOUS = "pgcourse/Corridor-v0", "pgcourse/Catch-v0", "pgcourse/ContinuousCartPole-v0"


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


# An entropy bonus


def entropy_by_hand(probs):
    return -sum(p * math.log(p) for p in probs if p > 0)


def test_the_entropic_loss_is_the_surrogate_minus_the_entropies_of_what_was_seen():
    batch = random_batch(3, n=5, horizon=4)
    policy = shaken(policies.SoftmaxTable(3, 2))
    weights = np.where(batch.mask, rng(1).normal(size=batch.mask.shape), 0)
    probs = policy.theta.detach().softmax(1).tolist()
    bonus = sum(entropy_by_hand(probs[s]) for s in batch.observations[batch.mask]) / 5
    plain = estimators.surrogate_loss(policy, batch, weights).item()
    got = reinforce.entropic_loss(policy, batch, weights, 0.3).item()
    assert abs(got - (plain - 0.3 * bonus)) < 1e-12  # 20 terms of size 1
    assert abs(reinforce.entropic_loss(policy, batch, weights, 0.0).item() - plain) < 1e-12


def test_the_gradient_of_the_entropic_loss_is_that_of_the_surrogate_and_of_the_entropies():
    batch = random_batch(4, n=4, horizon=3)
    policy = shaken(policies.SoftmaxTable(3, 2))
    weights = np.where(batch.mask, rng(2).normal(size=batch.mask.shape), 0)
    rows = estimators.gradients(policy, batch, weights).mean(0).reshape(3, 2)
    for s in batch.observations[batch.mask]:
        pi = policy.theta.detach()[s].softmax(0)
        rows[s] += 0.7 * -pi * (pi.log() + entropy_by_hand(pi.tolist())) / 4  # Eq. (9.7)
    reinforce.entropic_loss(policy, batch, weights, 0.7).backward()
    np.testing.assert_allclose(-policy.theta.grad, rows, atol=1e-12)


def test_a_gaussian_has_an_entropy_too():
    batch = random_batch(5, observation_shape=(3,), action_dim=2)
    policy = policies.Gaussian(3, 2, rng(), log_std=0.2)
    nothing = np.zeros(batch.mask.shape)
    got = reinforce.entropic_loss(policy, batch, nothing, 1.0).item()
    each = 2 * (0.2 + 0.5 * math.log(2 * math.pi * math.e))  # of a bell curve: log σ + ½ log 2πe
    assert abs(got + each * batch.mask.sum() / len(batch)) < 1e-12 * batch.mask.sum()


def test_the_loop_climbs_the_loss_it_is_given():
    seen = []

    def loss(policy, trajectories, weights):
        seen.append((trajectories, weights))
        return -3.0 * policy.theta[0, 1]

    policy = policies.SoftmaxTable(5, 2)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.5)
    loop = reinforce.reinforce(
        rollouts.make(CORRIDOR, 2), policy, estimators.rewards_to_go, optimizer, 2, rng(), loss=loss
    )
    next(loop)
    next(loop)
    ((trajectories, weights),) = seen
    np.testing.assert_array_equal(weights, estimators.rewards_to_go(trajectories.rewards, trajectories.mask))
    assert policy.theta.tolist() == [[0, 1.5], *[[0, 0]] * 4]


# Fitted values


def with_returns(batch, returns):
    """The same observations, with rewards whose undiscounted rewards to go are `returns` (N, T)."""
    later = np.append(returns[:, 1:], np.zeros((len(batch), 1)), axis=1)
    still = np.append(batch.mask[:, 1:], np.zeros((len(batch), 1), dtype=bool), axis=1)
    rewards = returns - np.where(still, later, 0)
    return type(batch)(batch.observations, batch.actions, rewards, batch.mask, batch.terminated)


def test_linear_values_find_a_quadratic_and_predict_it_on_other_episodes():
    def truth(batch):
        x, y = np.moveaxis(batch.observations, -1, 0)
        t = np.arange(batch.mask.shape[1])
        return 3 - 2 * x + x * y + 0.5 * y**2 * t / 10

    fit = reinforce.LinearValues(1.0, ridge=0.0)
    first, second = (random_batch(seed, n=60, horizon=6, observation_shape=(2,)) for seed in (0, 1))
    first, second = with_returns(first, truth(first)), with_returns(second, truth(second))
    assert not fit(first).any()  # nothing known yet
    predicted = fit(second)
    # least squares of 18 unknowns, exactly solvable: rounding times the condition number, t⁴/10⁴ against 1
    np.testing.assert_allclose(predicted[second.mask], truth(second)[second.mask], atol=1e-6)
    assert not predicted[~second.mask].any()


def test_values_know_nothing_of_the_batch_they_are_for():
    fit, twin = (reinforce.LinearValues(0.9) for _ in range(2))
    first, second = (random_batch(seed, n=20, observation_shape=(2,)) for seed in (0, 1))
    richer = type(second)(second.observations, second.actions, second.rewards + 100, second.mask, second.terminated)
    fit(first), twin(first)
    np.testing.assert_array_equal(fit(second), twin(richer))
    assert (fit(second)[second.mask] != twin(second)[second.mask]).all()  # afterwards they do


def test_the_recipe_takes_values_for_the_batch_mean():
    rewards, mask = np.array([[1.0, 2, 3], [4, 0, 9]]), np.array([[True, True, True], [True, False, False]])
    values = np.array([[2.75, 1.5, 1], [3, 7, 7]])
    advantages = np.array([[0, 2, 2], [1, 0, 0]])
    got = reinforce.standardised_to_go(rewards, mask, 0.5, values=values)
    np.testing.assert_allclose(got, advantages / np.array([0, 2, 2, 1]).std(), atol=1e-12)


def test_the_loop_gives_the_weights_what_the_baseline_says():
    seen = []

    def baseline(trajectories):
        return trajectories.observations + 0.5

    def weights(rewards, mask, values):
        seen.append((mask, values))
        return np.zeros(rewards.shape)

    policy = policies.SoftmaxTable(5, 2)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.5)
    loop = reinforce.reinforce(rollouts.make(CORRIDOR, 2), policy, weights, optimizer, 2, rng(), baseline=baseline)
    next(loop)
    next(loop)
    ((mask, values),) = seen
    assert (values[:, 0] == 0.5).all()  # the corridor begins in cell 0
    assert values.shape == mask.shape


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


@pytest.mark.parametrize("settings", [{}, {"values": True}], ids=["batch mean", "fitted values"])
def test_continuous_cartpole_is_solved_and_stays_so_on_fresh_episodes(settings):
    policy, history = train(CONTINUOUS, seed=0, **settings)
    assert solved(history, 475)
    fresh = rollouts.collect(rollouts.make(CONTINUOUS, 100), policy, 100, rng(1000))
    assert fresh.total_rewards.mean() >= 475


def test_catch_is_learned_from_pictures():
    policy, history = train(CATCH, seed=0)
    assert history[0].mean_return < -0.4  # four of five are missed at first, −0.6 ± 0.1
    assert solved(history, PRESETS[CATCH].until)
    fresh = rollouts.collect(rollouts.make(CATCH, 100), policy, 1000, rng(1000))
    assert fresh.total_rewards.mean() >= 0.85


def test_the_settings_for_entropy_and_values_reach_the_loop():
    plain, *others = (
        flat(train(CONTINUOUS, iterations=4, num_envs=4, num_trajectories=4, **s)[0])
        for s in ({}, {"entropy": 0.1}, {"values": True})
    )
    assert not any(torch.equal(plain, other) for other in others)


def test_acrobot_improves():
    _, history = train("Acrobot-v1", seed=0, iterations=12)
    # No reward but −1 a step up to the limit of 500: hanging still is −500, −200 is swinging up
    assert history[0].mean_return < -400
    assert max(record.mean_return for record in history) > -200


def test_every_preset_is_trained_here():
    assert sorted(PRESETS) == ["Acrobot-v1", "CartPole-v1", CATCH, CONTINUOUS, CORRIDOR]


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
        (CORRIDOR, {"lr": 1}, r"'lr' is no setting of a Preset, expected one of \['discount', 'entropy', "),
        (CORRIDOR, {"discount": 1.1}, r"discount is 1\.1, expected a number in \[0, 1\]"),
        (CORRIDOR, {"discount": math.nan}, r"discount is nan, expected a number in \[0, 1\]"),
        (CORRIDOR, {"iterations": 0}, "iterations is 0, expected 1 or more"),
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
