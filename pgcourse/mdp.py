"""Markov decision processes small enough to list every trajectory of, and the same as Gymnasium environments.

An episode starts in s_1 ~ initial. At time t the agent in s_t takes a_t, earns r_t = r(s_t, a_t) and moves to
s_{t+1} ~ P(· | s_t, a_t). It ends on entering a terminal state (terminated) or after `horizon` steps (truncated).
"""

from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

SUM_TOLERANCE = 1e-9  # a row of up to 10^6 float64 probabilities, each rounded once, sums to 1 this closely


def check_distributions(p, name, last_axis):
    """Raises ValueError naming the entry or row if the last axis of the array p does not hold probabilities."""
    for index in np.argwhere(~np.isfinite(p) | (p < 0))[:1]:
        place = ", ".join(map(str, index))
        raise ValueError(f"{name}[{place}] is {p[tuple(index)]}, expected a probability (finite, not negative)")
    sums = p.sum(-1)
    for index in np.argwhere(np.abs(sums - 1) > SUM_TOLERANCE)[:1]:
        place = f"[{', '.join(map(str, index))}]" if index.size else ""
        raise ValueError(f"{name}{place} sums to {sums[tuple(index)]:.10g}, not 1 ({last_axis})")


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """S states, A actions, and everything about them in four read-only fields.

    P        (S, A, S)  P[s, a, s'] = p(s' | s, a)
    r        (S, A)     the reward of taking a in s
    initial  (S,)       p(s_1)
    horizon  int        most steps in an episode, at least 1

    A state from which every action returns to itself with reward 0 is terminal; `initial` may not touch one.
    Raises ValueError naming the entry for shapes that do not fit, rows that are no distribution, rewards not finite.
    """

    P: np.ndarray
    r: np.ndarray
    initial: np.ndarray
    horizon: int

    def __post_init__(self):
        for name in ("P", "r", "initial"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.P.ndim != 3 or self.P.shape[0] != self.P.shape[2] or 0 in self.P.shape:
            raise ValueError(f"P has shape {self.P.shape}, expected (S, A, S): state, action, next state")
        if self.r.shape != self.P.shape[:2]:
            raise ValueError(f"r has shape {self.r.shape}, expected (S, A) = {self.P.shape[:2]}, as in P")
        if self.initial.shape != self.P.shape[:1]:
            raise ValueError(f"initial has shape {self.initial.shape}, expected (S,) = {self.P.shape[:1]}, as in P")
        if isinstance(self.horizon, bool) or not isinstance(self.horizon, int | np.integer) or self.horizon < 1:
            raise ValueError(f"horizon is {self.horizon!r}, expected a whole number of steps, 1 or more")
        object.__setattr__(self, "horizon", int(self.horizon))
        check_distributions(self.P, "P", "last axis is the next state")
        check_distributions(self.initial, "initial", "one probability per state")
        for s, a in np.argwhere(~np.isfinite(self.r))[:1]:
            raise ValueError(f"r[{s}, {a}] is {self.r[s, a]}, expected a finite number")
        for s in np.flatnonzero(self.terminal & (self.initial > 0))[:1]:
            raise ValueError(f"initial[{s}] is {self.initial[s]}, expected 0: state {s} is terminal")

    @property
    def num_states(self):
        return self.P.shape[0]

    @property
    def num_actions(self):
        return self.P.shape[1]

    @property
    def terminal(self):
        """True for the states that end an episode, (S,)."""
        stays = self.P[np.arange(self.num_states), :, np.arange(self.num_states)] == 1
        return (stays & (self.r == 0)).all(1)


def bandit(rewards):
    """One decision and no time: arm a pays rewards[a]. States: 0 the choice, 1 the end."""
    P = np.zeros((2, len(rewards), 2))
    P[:, :, 1] = 1
    return TabularMDP(P, [rewards, np.zeros(len(rewards))], [1, 0], horizon=1)


def two_armed():
    """The smallest choice there is: arm 0 pays 1, arm 1 pays 2."""
    return bandit([1.0, 2.0])


def corridor(length=4, horizon=8):
    """Cells 0 … length − 1 in a row and the exit behind the last; action 0 steps left, 1 steps right.

    You start in cell 0. Each step costs 1; the step out pays 10 on top. Left of cell 0 is a wall.
    """
    if length < 1:
        raise ValueError(f"length is {length}, expected at least one cell")
    cells = np.arange(length)
    P = np.zeros((length + 1, 2, length + 1))
    P[cells, 0, np.maximum(cells - 1, 0)] = 1
    P[cells, 1, cells + 1] = 1
    P[length, :, length] = 1
    r = np.full((length + 1, 2), -1.0)
    r[length - 1, 1] += 10
    r[length] = 0
    return TabularMDP(P, r, np.eye(length + 1)[0], horizon)


def slippery_grid(slip=0.2, horizon=4):
    """A 2 × 3 floor of ice with a goal and a hole, where a step goes astray with probability `slip`.

        0  1  2        start in 0; actions: 0 up, 1 right, 2 down, 3 left; a wall leaves you where you are
        3  H  G        the state number of the hole H is 4, of the goal G is 5: entering either ends the episode

    A slip turns the step left or right, half of `slip` each. r(s, a) is the chance of entering the goal minus that of
    entering the hole, so that a reward depends on state and action alone; each step costs 0.1 besides.
    """
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip}, expected a probability in [0, 1]")
    rows, columns, hole, goal = 2, 3, 4, 5
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    P = np.zeros((rows * columns, 4, rows * columns))
    for s in range(rows * columns):
        for a in range(4):
            if s in (hole, goal):
                P[s, a, s] = 1
                continue
            for turn, probability in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                down, right = moves[(a + turn) % 4]
                row, column = s // columns + down, s % columns + right
                inside = 0 <= row < rows and 0 <= column < columns
                P[s, a, row * columns + column if inside else s] += probability
    r = P[:, :, goal] - P[:, :, hole] - 0.1
    r[[hole, goal]] = 0
    return TabularMDP(P, r, np.eye(rows * columns)[0], horizon)


def random_mdp(rng, num_states=4, num_actions=2, horizon=3, branching=2):
    """A random MDP whose episodes differ in length: state 0 is terminal, each (s, a) leads to `branching` states.

    Every state but 0 may be the first. Rewards are standard normal.
    """
    if not 1 <= branching <= num_states or num_states < 2:
        raise ValueError(
            f"branching is {branching} of {num_states} states, expected 1 … num_states, and 2 states or more"
        )
    P = np.zeros((num_states, num_actions, num_states))
    for s in range(1, num_states):
        for a in range(num_actions):
            P[s, a, rng.choice(num_states, branching, replace=False)] = rng.dirichlet(np.ones(branching))
    P[0, :, 0] = 1
    P /= P.sum(-1, keepdims=True)
    r = rng.normal(size=(num_states, num_actions))
    r[0] = 0
    initial = np.append(0, rng.dirichlet(np.ones(num_states - 1)))
    return TabularMDP(P, r, initial / initial.sum(), horizon)


NAMED = {"two_armed": two_armed, "corridor": corridor, "slippery_grid": slippery_grid}


def _named(mdp):
    if isinstance(mdp, TabularMDP):
        return mdp
    if mdp not in NAMED:
        raise ValueError(f"mdp is {mdp!r}, expected a TabularMDP or one of {sorted(NAMED)}")
    return NAMED[mdp]()


class MDPEnv(gymnasium.Env):
    """A TabularMDP, or a named one, as a Gymnasium environment; observations are the states' numbers."""

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own convention)

    def __init__(self, mdp, render_mode=None):
        self.mdp = _named(mdp)
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Discrete(self.mdp.num_states)
        self.action_space = gymnasium.spaces.Discrete(self.mdp.num_actions)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        self._state = int(_draw(self.mdp.initial, self.np_random.random()))
        return self._state, {}

    def step(self, action):
        reward = float(self.mdp.r[self._state, action])
        self._state = int(_draw(self.mdp.P[self._state, action], self.np_random.random()))
        self._t += 1
        terminated = bool(self.mdp.terminal[self._state])
        return self._state, reward, terminated, self._t >= self.mdp.horizon and not terminated, {}


class MDPVectorEnv(VectorEnv):
    """The same, `num_envs` at a time. The step after an episode's end resets (Gymnasium's NEXT_STEP)."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, mdp, num_envs=1, render_mode=None):
        self.mdp = _named(mdp)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = gymnasium.spaces.Discrete(self.mdp.num_states)
        self.single_action_space = gymnasium.spaces.Discrete(self.mdp.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._terminal = self.mdp.terminal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        self._states = _draw(self.mdp.initial, self.np_random.random(self.num_envs))
        return self._states.copy(), {}

    def step(self, actions):
        rewards = np.where(self._ended, 0.0, self.mdp.r[self._states, actions])
        rows = np.where(self._ended[:, None], self.mdp.initial, self.mdp.P[self._states, actions])
        self._states = _draw(rows, self.np_random.random(self.num_envs))
        self._t = np.where(self._ended, 0, self._t + 1)
        terminated = ~self._ended & self._terminal[self._states]
        truncated = ~self._ended & ~terminated & (self._t >= self.mdp.horizon)
        self._ended = terminated | truncated
        return self._states.copy(), rewards, terminated, truncated, {}


def _draw(probabilities, uniforms):
    """The index in each row of `probabilities` (…, S) that a uniform number in [0, 1) falls on."""
    cumulative = np.cumsum(probabilities, -1)
    return (np.asarray(uniforms)[..., None] * cumulative[..., -1:] >= cumulative).sum(-1)
