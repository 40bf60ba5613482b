import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from pgcourse import environments, policies, rollouts

CATCH, CART = "pgcourse/Catch-v0", "pgcourse/ContinuousCartPole-v0"


def rng(seed=0):
    return np.random.default_rng(seed)


def where(board):
    """(row, column) of every pixel that is on."""
    return [tuple(place) for place in np.argwhere(board[..., 0]).tolist()]


# Catch


@pytest.mark.parametrize("settings", [{}, {"rows": 4, "columns": 3}, {"rows": 2, "columns": 1}])
def test_catch_is_what_gymnasium_asks_of_an_environment(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(CATCH, render_mode="rgb_array", **settings).unwrapped)


def play(actions, seed=0, **settings):
    """Observations and rewards of one episode with these actions; it must end with the last of them."""
    env = gymnasium.make(CATCH, **settings)
    observations, rewards, ends = [env.reset(seed=seed)[0]], [], []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        ends.append((terminated, truncated))
    assert ends == [(False, False)] * (len(actions) - 1) + [(True, False)]
    return observations, rewards


def test_the_ball_falls_straight_and_the_paddle_goes_where_it_is_sent():
    observations, _ = play([0, 0, 0, 2, 1, 2, 2, 2, 2])
    (_, ball), paddle = where(observations[0])
    assert paddle == (9, 2)
    expected = [2, 1, 0, 0, 1, 1, 2, 3, 4, 4]  # walls stop it
    for row, (board, column) in enumerate(zip(observations, expected, strict=True)):
        assert set(where(board)) == {(row, ball), (9, column)}
        assert set(np.unique(board)) <= {0, 1}


@pytest.mark.parametrize("seed", range(8))
def test_only_the_last_step_pays_and_only_the_place_of_the_paddle_counts(seed):
    (_, ball), _ = where(play([1] * 9, seed)[0][0])
    steps = [0 if ball < 2 else 2] * abs(ball - 2)
    for actions, reward in (([1] * (9 - len(steps)) + steps, 1.0), ([0] * 9, 1.0 if ball == 0 else -1.0)):
        assert play(actions, seed)[1] == [0.0] * 8 + [reward]


def test_balls_fall_from_every_column_alike():
    envs = rollouts.make(CATCH, 1000)
    first, _ = envs.reset(seed=0)
    balls = first[:, 0, :, 0].argmax(1)
    # each count is binomial with mean 200 and deviation √160: six deviations
    assert np.abs(np.bincount(balls, minlength=5) - 200).max() < 6 * np.sqrt(160)


def test_side_by_side_is_the_same_game():
    """Each slot of the vector environment against the rules, replayed by the single one from the same ball."""
    envs, choose = rollouts.make(CATCH, 6, rows=5, columns=4), rng(1)
    boards, _ = envs.reset(seed=3)
    for _ in range(3):
        for slot_board in boards:
            assert where(slot_board)[1:] == [(4, 2)]
        games = [gymnasium.make(CATCH, rows=5, columns=4) for _ in range(6)]
        for game, board in zip(games, boards, strict=True):
            game.reset(seed=0)
            game.unwrapped._ball = where(board)[0][1]
        for t in range(4):
            actions = choose.integers(3, size=6)
            boards, rewards, terminated, truncated, _ = envs.step(actions)
            for k, game in enumerate(games):
                board, reward, end, _, _ = game.step(actions[k])
                np.testing.assert_array_equal(boards[k], board)
                assert (rewards[k], terminated[k]) == (reward, end)
            assert terminated.tolist() == [t == 3] * 6
            assert not truncated.any()
        boards, rewards, terminated, _, _ = envs.step(actions)  # resets, whatever the action
        assert not rewards.any()
        assert not terminated.any()


def test_seeds_decide_the_games():
    first, same, other = (rollouts.make(CATCH, 50).reset(seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_what_was_seen_does_not_change_afterwards():
    env = gymnasium.make(CATCH)
    before = env.reset(seed=0)[0]
    kept = before.copy()
    env.step(2)
    np.testing.assert_array_equal(before, kept)


def test_episodes_have_nine_steps_and_a_policy_that_looks_fits():
    batch = rollouts.collect(rollouts.make(CATCH, 4), policies.Convolutional((10, 5, 1), 3, rng()), 10, rng())
    assert batch.mask.all()
    assert batch.mask.shape == (10, 9)
    assert batch.terminated.all()
    assert set(batch.total_rewards) <= {-1.0, 1.0}


def test_the_drawing_shows_ball_and_paddle():
    env = gymnasium.make(CATCH, render_mode="rgb_array")
    board, _ = env.reset(seed=0)
    (row, ball), (bottom, paddle) = where(board)
    picture, cell = env.render(), environments.CELL
    assert (picture.shape, picture.dtype) == ((10 * cell, 5 * cell, 3), np.uint8)
    centre = picture[cell // 2 :: cell, cell // 2 :: cell]
    assert [tuple(p) for p in np.argwhere((centre == environments.BALL).all(-1)).tolist()] == [(row, ball)]
    low = picture[cell - 2 :: cell, cell // 2 :: cell]
    assert [tuple(p) for p in np.argwhere((low == environments.PADDLE).all(-1)).tolist()] == [(bottom, paddle)]
    envs = rollouts.make(CATCH, 3)
    envs.reset(seed=0)
    assert [drawn.shape for drawn in envs.render()] == [picture.shape] * 3


@pytest.mark.parametrize("settings", [{"rows": 1}, {"columns": 0}])
def test_a_board_without_room_is_refused(settings):
    with pytest.raises(ValueError, match=r"rows and columns are .*, expected 2 or more and 1 or more"):
        rollouts.make(CATCH, 2, **settings)


# The cart and the pole


def test_continuous_cart_pole_is_what_gymnasium_asks_of_an_environment():
    with warnings.catch_warnings():
        warnings.filterwarnings("error")
        warnings.filterwarnings("ignore", message=".*value is -?infinity.*")  # Gymnasium's own bounds of CartPole
        check_env(gymnasium.make(CART, render_mode="rgb_array").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_full_pushes_are_those_of_cart_pole(seed):
    cart, original, choose = gymnasium.make(CART), gymnasium.make("CartPole-v1"), rng(seed)
    np.testing.assert_array_equal(cart.reset(seed=seed)[0], original.reset(seed=seed)[0])
    over, steps = False, 0
    while not over:
        push = choose.integers(2)
        one, other = cart.step(np.array([2 * push - 1], dtype=np.float32)), original.step(push)
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1:4] == other[1:4]
        over, steps = one[2], steps + 1
    assert steps > 5


def test_half_a_push_accelerates_half_as_much():
    changes = []
    for share in (0.0, 0.5, 1.0):
        cart = gymnasium.make(CART)
        before, _ = cart.reset(seed=0)
        changes.append(cart.step(np.array([share], dtype=np.float32))[0] - before)
    # speeds are linear in the force; float32 observations, of size < 1: a few roundings of 6e-8
    np.testing.assert_allclose(changes[1], (changes[0] + changes[2]) / 2, atol=5e-7)
    assert changes[2][1] > changes[0][1]  # 1 pushes to the right


def test_carts_side_by_side_move_as_one_alone():
    envs, choose = rollouts.make(CART, 3), rng()
    observations, _ = envs.reset(seed=0)
    singles = [gymnasium.make(CART) for _ in range(3)]
    for single, observation in zip(singles, observations, strict=True):
        single.reset(seed=0)
        single.unwrapped._cart.state = observation.astype(np.float64)
    for _ in range(5):
        actions = choose.uniform(-1, 1, (3, 1)).astype(np.float32)
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        for k, single in enumerate(singles):
            alone, reward, end, _, _ = single.step(actions[k])
            np.testing.assert_allclose(observations[k], alone, atol=1e-5)  # begun from float32, five steps of Euler
            assert (rewards[k], terminated[k], truncated[k]) == (reward, end, False)


def test_the_cart_pole_is_stopped_after_500_steps():
    class Balance:
        action_dim = 1

        def act(self, observations, rng):
            return 10 * observations[:, 2:3] + 2 * observations[:, 3:4] + 0.1 * observations[:, :1]

    batch = rollouts.collect(rollouts.make(CART, 2), Balance(), 2, rng())
    assert batch.lengths.tolist() == [500, 500]
    assert not batch.terminated.any()


def test_the_cart_pole_has_pictures():
    pictures = list(rollouts.frames(CART, policies.Gaussian(4, 1, rng()), rng(), max_frames=3))
    assert [picture.shape for picture in pictures] == [(400, 600, 3)] * 3
