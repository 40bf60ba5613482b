"""Environments of our own: Catch, which shows nothing but pictures, and a cart-pole whose force is continuous.

Both are registered with Gymnasium when pgcourse is imported, and vectorised natively.
"""

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

CELL = 32  # pixels of a cell of Catch, drawn
BALL, PADDLE, SKY, LINES = (34, 34, 34), (230, 159, 0), (255, 255, 255), (225, 225, 225)


def _catch_spaces(rows, columns):
    if rows < 2 or columns < 1:
        raise ValueError(f"rows and columns are {rows} and {columns}, expected 2 or more and 1 or more")
    return Box(0, 1, (rows, columns, 1), np.float32), Discrete(3)


def _move(paddle, action, columns):
    """Action 0 is left, 1 stay, 2 right; the walls stop the paddle."""
    return np.clip(paddle + action - 1, 0, columns - 1)


def _boards(shape, row, ball, paddle):
    """Pictures (N, rows, columns, 1): ones where the ball is, at (row, ball), and the paddle, on the bottom row."""
    boards = np.zeros((len(ball), *shape), dtype=np.float32)
    slots = np.arange(len(ball))
    boards[slots, -1, paddle] = 1
    boards[slots, row, ball] = 1
    return boards


def _drawing(shape, row, ball, paddle):
    """The same for people, (height, width, 3) of uint8: a round ball, a broad paddle, lines between the cells."""
    rows, columns, _ = shape
    picture = np.full((rows * CELL, columns * CELL, 3), SKY, dtype=np.uint8)
    picture[::CELL], picture[:, ::CELL] = LINES, LINES
    picture[-CELL // 3 :, paddle * CELL : (paddle + 1) * CELL] = PADDLE
    y, x = np.ogrid[: rows * CELL, : columns * CELL]
    centre = CELL / 2 - 0.5
    picture[(y - row * CELL - centre) ** 2 + (x - ball * CELL - centre) ** 2 < (0.36 * CELL) ** 2] = BALL
    return picture


class CatchEnv(gymnasium.Env):
    """A ball falls from a random column, a row at each step; the paddle on the bottom row goes left, stays, goes right.

    Observations: pictures (rows, columns, 1) of zeros and ones. Reward: +1 or −1 on the last step, whether the paddle
    is under the ball when it lands; 0 before. Every episode has rows − 1 steps.
    Source: Mnih, Heess, Graves & Kavukcuoglu (2014); Osband et al. (2020), bsuite.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012 (Gymnasium's own convention)

    def __init__(self, rows=10, columns=5, render_mode=None):
        self.observation_space, self.action_space = _catch_spaces(rows, columns)
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        _, columns, _ = self.observation_space.shape
        self._row, self._ball, self._paddle = 0, int(self.np_random.integers(columns)), columns // 2
        return self._observation(), {}

    def step(self, action):
        rows, columns, _ = self.observation_space.shape
        self._paddle = int(_move(self._paddle, action, columns))
        self._row += 1
        landed = self._row == rows - 1
        reward = (1.0 if self._ball == self._paddle else -1.0) if landed else 0.0
        return self._observation(), reward, landed, False, {}

    def render(self):
        return _drawing(self.observation_space.shape, self._row, self._ball, self._paddle)

    def _observation(self):
        return _boards(self.observation_space.shape, self._row, np.array([self._ball]), self._paddle)[0]


class CatchVectorEnv(VectorEnv):
    """The same, `num_envs` at a time. The step after an episode's end resets (Gymnasium's NEXT_STEP)."""

    metadata = {**CatchEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs=1, rows=10, columns=5, render_mode=None):
        self.single_observation_space, self.single_action_space = _catch_spaces(rows, columns)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.num_envs, self.render_mode = num_envs, render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._begin()
        return self._observations(), {}

    def _begin(self):
        """All slots begin together, and end together: all episodes are equally long."""
        columns = self.single_observation_space.shape[1]
        self._row, self._ball = 0, self.np_random.integers(columns, size=self.num_envs)
        self._paddle = np.full(self.num_envs, columns // 2)

    def step(self, actions):
        rows, columns, _ = self.single_observation_space.shape
        rewards = np.zeros(self.num_envs)
        if self._row == rows - 1:  # the episodes ended with the step before
            self._begin()
        else:
            self._paddle = _move(self._paddle, np.asarray(actions), columns)
            self._row += 1
            if self._row == rows - 1:
                rewards = np.where(self._ball == self._paddle, 1.0, -1.0)
        landed = np.full(self.num_envs, self._row == rows - 1)
        return self._observations(), rewards, landed, np.zeros_like(landed), {}

    def render(self):
        shape = self.single_observation_space.shape
        return tuple(_drawing(shape, self._row, *slot) for slot in zip(self._ball, self._paddle, strict=True))

    def _observations(self):
        return _boards(self.single_observation_space.shape, self._row, self._ball, self._paddle)


MAX_FORCE = 10.0  # newtons: what CartPole-v1 always pushes with
PUSH = Box(-1, 1, (1,), np.float32)


class ContinuousCartPoleEnv(gymnasium.Env):
    """CartPole-v1 in all but the action: a number in [−1, 1], the share of the full force, to the left or the right."""

    metadata = CartPoleEnv.metadata

    def __init__(self, render_mode=None):
        self._cart = CartPoleEnv(render_mode=render_mode)
        self.render_mode = render_mode
        self.observation_space, self.action_space = self._cart.observation_space, PUSH

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._cart.reset(seed=seed, options=options)

    def step(self, action):
        self._cart.force_mag = MAX_FORCE * float(action[0])
        return self._cart.step(1)  # a push of force_mag to the right

    def render(self):
        return self._cart.render()

    def close(self):
        self._cart.close()


class ContinuousCartPoleVectorEnv(VectorEnv):
    """The same, `num_envs` at a time, on Gymnasium's own vectorised cart-pole."""

    metadata = CartPoleVectorEnv.metadata

    def __init__(self, num_envs=1, max_episode_steps=500, render_mode=None):
        self._carts = CartPoleVectorEnv(num_envs, max_episode_steps, render_mode)
        self.num_envs, self.render_mode = num_envs, render_mode
        self.single_observation_space, self.single_action_space = self._carts.single_observation_space, PUSH
        self.observation_space = self._carts.observation_space
        self.action_space = batch_space(PUSH, num_envs)
        self._right = np.ones(num_envs, dtype=np.int64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._carts.reset(seed=seed, options=options)

    def step(self, actions):
        self._carts.force_mag = MAX_FORCE * np.asarray(actions)[:, 0].astype(np.float64)
        return self._carts.step(self._right)

    def render(self):
        return self._carts.render()

    def close_extras(self, **kwargs):
        self._carts.close()
