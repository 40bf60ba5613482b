"""`make bench`: what we do beside what our peers do, in the same run on the same machine; read the ratios.

CPU seconds of this process, one torch thread, the median of several runs, imports and warm-up not counted; for grading,
see `grading`.
"""

import statistics
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

from benchmarks import grading
from pgcourse import estimators, exact, finite_differences, mdp, policies, reinforce, rollouts
from pgcourse.trajectories import Trajectories

GOAL = 475


def cpu_seconds(function, runs):
    function(0)
    seconds = []
    for run in range(runs):
        start = time.process_time()
        function(run)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


# CartPole-v1 until the mean return of the last 100 training episodes is 475


def ours(seed):
    _, history = reinforce.train("CartPole-v1", seed=seed, until=GOAL)
    assert reinforce.solved(history, GOAL)


class StopWhenSolved(BaseCallback):
    def _on_step(self):
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        return not (len(returns) == 100 and np.mean(returns) >= GOAL)


def stable_baselines_ppo(seed):
    """With the settings tuned for CartPole-v1 in RL Baselines3 Zoo (hyperparams/ppo.yml)."""
    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=8, seed=seed),
        n_steps=32,
        batch_size=256,
        gae_lambda=0.8,
        gamma=0.98,
        n_epochs=20,
        ent_coef=0.0,
        learning_rate=lambda left: left * 0.001,
        clip_range=lambda left: left * 0.2,
        seed=seed,
        device="cpu",
    )
    model.learn(100_000, callback=StopWhenSolved())


# 64 CartPoles side by side, 500 steps


def native_and_numpy(seed):
    step_through(rollouts.make("CartPole-v1", 64), seed, torch_forward=False)


def synchronous_and_torch(seed):
    step_through(gymnasium.make_vec("CartPole-v1", 64, vectorization_mode="sync"), seed, torch_forward=True)


def step_through(envs, seed, torch_forward):
    rng = np.random.default_rng(seed)
    policy = policies.MLP(4, 2, rng)
    observations, _ = envs.reset(seed=seed)
    for _ in range(500):
        if torch_forward:
            with torch.no_grad():
                actions = policy(observations).sample().numpy()
        else:
            actions = policy.act(observations, rng)
        observations, *_ = envs.step(actions)


# ∇J of a table with 100 states, 4 actions and 20 steps

LARGE = mdp.random_mdp(np.random.default_rng(0), num_states=100, num_actions=4, horizon=20)
TABLE = policies.SoftmaxTable(100, 4)


def policy_gradient_theorem(_):
    exact.gradient(LARGE, TABLE)


def differences_one_by_one(_):
    flat, h = TABLE.theta.detach(), finite_differences.STEP
    for index in np.ndindex(100, 4):
        for sign in (1, -1):
            moved = flat.clone()
            moved[index] += sign * h
            exact.objective(LARGE, moved.softmax(1))


# One gradient for each of 1000 trajectories of 20 steps


def batch(num_trajectories=1000, num_steps=20):
    rng = np.random.default_rng(0)
    shape = (num_trajectories, num_steps)
    return Trajectories(
        rng.integers(25, size=shape),
        rng.integers(4, size=shape),
        rng.normal(size=shape),
        np.ones(shape, dtype=bool),
        np.ones(num_trajectories, dtype=bool),
    )


BATCH = batch()
GRID = policies.SoftmaxTable(25, 4)


def rows_at_once(_):
    estimators.gradients(GRID, BATCH, BATCH.rewards)


def row_by_row(_):
    for i in range(len(BATCH)):
        loss = estimators.surrogate_loss(GRID, BATCH[[i]], BATCH.rewards[[i]])
        torch.autograd.grad(loss, GRID.parameters())


ROWS = (
    ("CartPole-v1 to 475", "Stable-Baselines3 PPO, tuned", ours, stable_baselines_ppo, 3),
    ("64 × 500 steps, acting included", "SyncVectorEnv, torch policy", native_and_numpy, synchronous_and_torch, 5),
    ("exact ∇J, 400 parameters", "central differences, one by one", policy_gradient_theorem, differences_one_by_one, 3),
    ("1000 gradient rows", "autograd, row by row", rows_at_once, row_by_row, 3),
)


def main():
    torch.set_num_threads(1)
    print("| what | beside | ours, CPU s | theirs, CPU s | theirs / ours |\n|---|---|---|---|---|")
    for what, peer, our, their, runs in ROWS:
        show(what, peer, cpu_seconds(our, runs), cpu_seconds(their, runs))
    show(*grading.compare())


def show(what, peer, a, b):
    print(f"| {what} | {peer} | {a:.4f} | {b:.4f} | {b / a:.1f} |", flush=True)


if __name__ == "__main__":
    main()
