"""The batch of trajectories that every other module passes around."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Trajectories:
    """N trajectories τ = (s_1, a_1, r_1, …, s_T, a_T, r_T), padded to the longest.

    observations  (N, T, …)    s_t, what the policy saw
    actions       (N, T[, D])  a_t, what it did
    rewards       (N, T)       r_t = r(s_t, a_t), the reward of a_t
    mask          (N, T)       bool, True where a step really happened
    terminated    (N,)         bool, True where the episode ended by itself rather than at a time limit

    A trajectory's steps come first and its padding last. Padding may hold anything, NaN included.
    Raises ValueError for shapes that do not fit, a mask with a hole or an empty trajectory, or a reward that is not
    finite.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    mask: np.ndarray
    terminated: np.ndarray

    def __post_init__(self):
        for name in ("observations", "actions", "rewards", "mask", "terminated"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))
        if self.mask.ndim != 2 or self.mask.dtype != bool or not len(self.mask):
            got = f"shape {self.mask.shape} and type {self.mask.dtype}"
            raise ValueError(f"mask has {got}, expected (N, T) of bool with N of 1 or more")
        for name in ("observations", "actions", "rewards"):
            shape = getattr(self, name).shape
            if shape[:2] != self.mask.shape or (name == "rewards" and len(shape) != 2):
                raise ValueError(f"{name} has shape {shape}, expected (N, T) = {self.mask.shape} in front, as in mask")
        if self.terminated.shape != self.mask.shape[:1] or self.terminated.dtype != bool:
            raise ValueError(
                f"terminated has shape {self.terminated.shape} and type {self.terminated.dtype}, "
                f"expected ({len(self.mask)},) of bool"
            )
        for i in np.flatnonzero(~self.mask[:, :1].any(1) | (self.mask[:, 1:] & ~self.mask[:, :-1]).any(1))[:1]:
            raise ValueError(
                f"mask[{i}] is {self.mask[i].astype(int)}, expected at least one step and no gap before one"
            )
        for i, t in np.argwhere(self.mask & ~np.isfinite(np.where(self.mask, self.rewards, 0)))[:1]:
            raise ValueError(f"rewards[{i}, {t}] is {self.rewards[i, t]}, expected a finite number")

    def __len__(self):
        return len(self.mask)

    def __getitem__(self, rows):
        """The trajectories `rows` (a slice, or an array of indices or bools), as a batch of their own."""
        return Trajectories(
            self.observations[rows], self.actions[rows], self.rewards[rows], self.mask[rows], self.terminated[rows]
        )

    @property
    def lengths(self):
        """Number of steps in each trajectory, (N,)."""
        return self.mask.sum(1)

    @property
    def total_rewards(self):
        """r(τ), the sum of each trajectory's rewards, (N,)."""
        return np.where(self.mask, self.rewards, 0).sum(1)
