import dataclasses
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from inputs import EXAMPLES, build_mdp, mdps
from witnesses import chi_square_excess, is_terminal

import pgcourse  # noqa: F401 (registers the environments)
from pgcourse import mdp

REGISTERED = sorted(
    env_id for env_id, spec in gymnasium.registry.items() if str(spec.entry_point).startswith("pgcourse.mdp:")
)
ONE_STATE = {"P": [[[1.0]]], "r": [[1.0]], "initial": [1.0], "horizon": 1}


# The MDP itself


@EXAMPLES
@given(mdps())
def test_terminal_is_where_nothing_can_happen_any_more(model):
    assert model.terminal.tolist() == [is_terminal(model, s) for s in range(model.num_states)]
    assert (model.num_states, model.num_actions) == model.r.shape


def test_a_state_that_still_pays_or_can_be_left_is_not_terminal():
    stays, leaves = [[1, 0, 0], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]
    model = mdp.TabularMDP([stays, leaves, [[0, 0, 1]] * 2], [[0, 1], [0, 0], [0, 0]], [0.5, 0.5, 0], horizon=2)
    assert model.terminal.tolist() == [False, False, True]


def test_fields_are_read_only_copies():
    P = np.array([[[1.0]]])
    model = mdp.TabularMDP(**(ONE_STATE | {"P": P}))
    P[0, 0, 0] = 7
    assert model.P[0, 0, 0] == 1
    for name in ("P", "r", "initial"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.horizon = 3


def test_a_numpy_horizon_becomes_an_int():
    assert type(mdp.TabularMDP(**(ONE_STATE | {"horizon": np.int64(2)})).horizon) is int


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"P": [[[0.9]]]}, r"P\[0, 0\] sums to 0\.9, not 1 \(last axis is the next state\)"),
        ({"P": [[[1 + 1e-6]]]}, r"P\[0, 0\] sums to 1\.000001, not 1"),
        ({"P": [[[-1.0]]]}, r"P\[0, 0, 0\] is -1\.0, expected a probability"),
        ({"P": [[[np.nan]]]}, r"P\[0, 0, 0\] is nan, expected a probability"),
        ({"P": [[1.0]]}, r"P has shape \(1, 1\), expected \(S, A, S\)"),
        ({"P": [[[0.5, 0.5]]]}, r"P has shape \(1, 1, 2\), expected \(S, A, S\)"),
        ({"P": np.zeros((0, 1, 0))}, r"P has shape \(0, 1, 0\), expected \(S, A, S\)"),
        ({"r": [1.0]}, r"r has shape \(1,\), expected \(S, A\) = \(1, 1\)"),
        ({"r": [[np.nan]]}, r"r\[0, 0\] is nan, expected a finite number"),
        ({"r": [[np.inf]]}, r"r\[0, 0\] is inf, expected a finite number"),
        ({"initial": [0.5, 0.5]}, r"initial has shape \(2,\), expected \(S,\) = \(1,\)"),
        ({"initial": [0.5]}, r"initial sums to 0\.5, not 1"),
        ({"initial": [-1.0]}, r"initial\[0\] is -1\.0, expected a probability"),
        ({"r": [[0.0]]}, r"initial\[0\] is 1\.0, expected 0: state 0 is terminal"),
        *(({"horizon": h}, rf"horizon is {h!r}, expected a whole number") for h in (0, -1, 1.5, True, "3", np.nan)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_mdp_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        mdp.TabularMDP(**(ONE_STATE | changes))


def test_the_offending_row_is_named_where_there_are_many():
    P = build_mdp(0).P.copy()
    P[1, 0] *= 0.5
    with pytest.raises(ValueError, match=r"P\[1, 0\] sums to 0\.5"):
        mdp.TabularMDP(P, build_mdp(0).r, build_mdp(0).initial, 2)


# The named ones, by hand


@pytest.mark.parametrize(("model", "rewards"), [(mdp.two_armed(), [1, 2]), (mdp.bandit([3, -1, 0]), [3, -1, 0])])
def test_a_bandit_pays_once_and_ends(model, rewards):
    assert model.r[0].tolist() == rewards
    assert model.horizon == 1
    assert model.terminal.tolist() == [False, True]
    assert model.P[0].tolist() == [[0, 1]] * len(rewards)


@pytest.mark.parametrize("length", [1, 4])
def test_corridor_leads_right_to_the_exit(length):
    model = mdp.corridor(length, horizon=9)
    s, rewards = 0, []
    while not model.terminal[s]:
        rewards.append(model.r[s, 1])
        s = int(model.P[s, 1].argmax())
    assert rewards == [-1] * (length - 1) + [9]
    assert model.P[0, 0, 0] == 1  # the wall
    assert (model.r[:length, 0] == -1).all()
    assert all(model.P[cell, 0, cell - 1] == 1 for cell in range(1, length))
    assert model.horizon == 9


def test_slippery_grid_slips_to_both_sides():
    model = mdp.slippery_grid(slip=0.2)
    right_of_start = {1: 0.8, 3: 0.1, 0: 0.1}  # ahead, a slip down, a slip up into the wall
    np.testing.assert_allclose(model.P[0, 1], [right_of_start.get(s, 0) for s in range(6)], atol=1e-15)
    down_from_1 = {4: 0.8, 0: 0.1, 2: 0.1}  # the hole ahead
    np.testing.assert_allclose(model.P[1, 2], [down_from_1.get(s, 0) for s in range(6)], atol=1e-15)
    down_from_2 = {5: 0.8, 1: 0.1, 2: 0.1}  # the goal ahead
    np.testing.assert_allclose(model.P[2, 2], [down_from_2.get(s, 0) for s in range(6)], atol=1e-15)
    np.testing.assert_allclose(model.r[[0, 1, 2], [1, 2, 2]], [-0.1, -0.9, 0.7], atol=1e-15)
    assert np.flatnonzero(model.terminal).tolist() == [4, 5]


def test_without_slip_the_grid_is_deterministic():
    assert set(np.unique(mdp.slippery_grid(slip=0).P)) == {0, 1}


def test_random_mdp_is_drawn_from_the_generator_given():
    one, same, other = (mdp.random_mdp(np.random.default_rng(seed), 5, 3, 4, branching=2) for seed in (0, 0, 1))
    for name in ("P", "r", "initial"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).any()
    assert ((one.P[1:] > 0).sum(-1) == 2).all()
    assert one.terminal.tolist() == [True] + 4 * [False]
    assert (one.initial[1:] > 0).all()
    assert (one.P.shape, one.horizon) == ((5, 3, 5), 4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mdp.corridor(length=0), "length is 0, expected at least one cell"),
        (lambda: mdp.slippery_grid(slip=1.5), r"slip is 1\.5, expected a probability"),
        (lambda: mdp.slippery_grid(slip=np.nan), "slip is nan, expected a probability"),
        (lambda: mdp.random_mdp(np.random.default_rng(0), 3, branching=4), "branching is 4 of 3 states, expected 1"),
        (lambda: mdp.random_mdp(np.random.default_rng(0), 1, branching=1), "branching is 1 of 1 states, expected"),
        (lambda: mdp.MDPEnv("korridor"), r"mdp is 'korridor', expected a TabularMDP or one of \['corridor'"),
        (lambda: mdp.MDPVectorEnv("korridor"), "mdp is 'korridor', expected a TabularMDP"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


# The same as Gymnasium environments


def test_the_three_named_mdps_are_registered():
    assert REGISTERED == ["pgcourse/Corridor-v0", "pgcourse/SlipperyGrid-v0", "pgcourse/TwoArmed-v0"]


@pytest.mark.parametrize("env_id", REGISTERED)
def test_gymnasium_accepts_the_environment(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", REGISTERED)
def test_vector_and_single_environment_hold_the_named_mdp(env_id):
    name = env_id.removeprefix("pgcourse/").removesuffix("-v0")
    named = {"Corridor": mdp.corridor, "SlipperyGrid": mdp.slippery_grid, "TwoArmed": mdp.two_armed}[name]()
    native = gymnasium.make_vec(env_id, 3, vectorization_mode="vector_entry_point")
    for env, n in ((gymnasium.make(env_id).unwrapped, 1), (native.unwrapped, 3)):
        np.testing.assert_array_equal(env.mdp.P, named.P)
        np.testing.assert_array_equal(env.mdp.r, named.r)
        assert env.mdp.horizon == named.horizon
        assert getattr(env, "num_envs", 1) == n


def singly(model, num_steps, seed):
    """(s, a, r, s', t, terminated, truncated) of each step, and the first states, acting uniformly in MDPEnv."""
    env, rng = mdp.MDPEnv(model), np.random.default_rng(seed)
    s, _ = env.reset(seed=seed)
    steps, starts, t = [], [s], 0
    for _ in range(num_steps):
        a = int(rng.integers(model.num_actions))
        s_next, r, terminated, truncated, _ = env.step(a)
        steps.append((s, a, r, s_next, t, terminated, truncated))
        s, t = s_next, t + 1
        if terminated or truncated:
            (s, _), t = env.reset(), 0
            starts.append(s)
    return np.array(steps), np.array(starts)


def side_by_side(model, num_steps, seed, num_envs=50):
    """The same from MDPVectorEnv; a reset is the step after an end, pays nothing and ends nothing."""
    env, rng = mdp.MDPVectorEnv(model, num_envs), np.random.default_rng(seed)
    s, _ = env.reset(seed=seed)
    steps, starts = [], [*s]
    t, resets = np.zeros(num_envs), np.zeros(num_envs, dtype=bool)
    for _ in range(num_steps // num_envs):
        a = rng.integers(model.num_actions, size=num_envs)
        s_next, r, terminated, truncated, _ = env.step(a)
        assert not np.any([r[resets], terminated[resets], truncated[resets]])
        starts.extend(s_next[resets])
        steps.append(np.stack([s, a, r, s_next, t, terminated, truncated], 1)[~resets])
        s, t, resets = s_next, np.where(resets, 0, t + 1), terminated | truncated
    return np.concatenate(steps), np.array(starts)


SIMULATIONS = pytest.mark.parametrize("simulate", [singly, side_by_side])


@SIMULATIONS
@pytest.mark.parametrize("model", [build_mdp(3, 4, 2, 3, 2), mdp.slippery_grid()], ids=["two ends", "grid"])
def test_simulated_frequencies_match_p_and_initial(simulate, model):
    steps, starts = simulate(model, 20_000, seed=0)
    s, a, s_next = steps[:, 0].astype(int), steps[:, 1].astype(int), steps[:, 3].astype(int)
    counts = np.zeros(model.P.shape)
    np.add.at(counts, (s, a, s_next), 1)
    visited = counts.sum(-1) >= 300  # rarer rows have too small expected counts for χ²
    assert visited[~model.terminal].sum() >= 0.6 * visited[~model.terminal].size
    assert not counts[model.terminal].any()
    assert not counts[model.P == 0].any()
    assert chi_square_excess(counts[visited], model.P[visited]) < 1
    assert chi_square_excess(np.bincount(starts, minlength=model.num_states), model.initial) < 1


@SIMULATIONS
def test_episodes_end_in_a_terminal_state_or_at_the_horizon(simulate):
    model = build_mdp(3, 4, 2, 3, 2)
    steps, _ = simulate(model, 2000, seed=1)
    s, a, r, s_next, t, terminated, truncated = steps.T
    in_terminal, at_horizon = model.terminal[s_next.astype(int)], t == model.horizon - 1
    np.testing.assert_array_equal(r, model.r[s.astype(int), a.astype(int)])
    np.testing.assert_array_equal(terminated, in_terminal)
    np.testing.assert_array_equal(truncated, at_horizon & ~in_terminal)
    assert (in_terminal & at_horizon).any()
    assert truncated.any()


@SIMULATIONS
def test_the_seed_decides(simulate):
    model = build_mdp(3, 4, 2, 3, 2)
    one, same, other = (simulate(model, 200, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()


def test_observations_are_not_the_environments_own_memory():
    env, right = mdp.MDPVectorEnv("corridor", 4), np.ones(4, dtype=int)
    observations, _ = env.reset(seed=0)
    observations[:] = 3
    observations = env.step(right)[0]
    observations[:] = 3
    assert env.step(right)[0].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("probabilities", "uniform", "expected"),
    [
        ([0, 0.5, 0.5], 0.0, 1),
        ([0.5, 0.5, 0], 0.5, 1),
        ([0.5, 0.5, 0], np.nextafter(0.5, 0), 0),
        ([0.1] * 10 + [0], np.nextafter(1, 0), 9),  # the sum of ten tenths is below 1
    ],
)
def test_no_draw_falls_on_what_has_no_probability(probabilities, uniform, expected):
    assert mdp._draw(np.array(probabilities), uniform) == expected
