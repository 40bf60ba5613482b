"""One gradient from several processes: each plays its share of the batch, and gradient *sums* are added by all-reduce.

    torchrun --nproc-per-node 2 -m pgcourse.distributed --env CartPole-v1

Episodes are independent, so the sum over i in Eq. (10.4) falls apart into one sum for each process, and the sum of
sums over N is the gradient that one process would have found. For that to be an equality, an episode must not depend
on who plays it: slot i has an environment of its own, seeded with i, and every rank draws the random numbers of all
slots at every step and uses its share. Then ranks hold the same θ bit for bit, as the same sum reaches all of them.

Without torchrun it runs in one process. Optional reading for lesson 10; nothing else in the course needs it.
"""

import argparse
import os
from dataclasses import fields

import gymnasium
import numpy as np
import torch
import torch.distributed as dist

from pgcourse import reinforce, rollouts
from pgcourse.trajectories import Trajectories

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets


def share(num_slots, rank, world_size):
    """The slots of one rank, a slice: consecutive, all shares together everything, their sizes equal or off by one.

    Raises ValueError for a rank outside 0 … world_size − 1 and for fewer slots than ranks.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank}, expected 0 to {world_size - 1}, one of {world_size} processes")
    if num_slots < world_size:
        raise ValueError(f"num_slots is {num_slots}, expected at least one for each of {world_size} processes")
    return slice(rank * num_slots // world_size, (rank + 1) * num_slots // world_size)


class Share:
    """The random numbers of some slots out of all: draws for `num_slots`, hands out those of `slots` (a slice).

    Takes the place of the NumPy Generator in `rollouts.collect` with one episode a slot. `integers`, asked once, for
    the seed of the environments, gives that of the first of these slots: a SyncVectorEnv counts on from there.
    """

    def __init__(self, seed, num_slots, slots):
        self._rng, self._num_slots, self._slots = np.random.default_rng(seed), num_slots, slots

    def integers(self, high):
        return int(self._rng.integers(high - self._num_slots)) + self._slots.start

    def random(self, shape):
        return self._rng.random((self._num_slots, *shape[1:]))[self._slots]

    def standard_normal(self, shape):
        return self._rng.standard_normal((self._num_slots, *shape[1:]))[self._slots]


def add_up(array):
    """The sum of everybody's array, on all ranks; the array itself where there is one process."""
    total = torch.as_tensor(array).clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def whole_batch(trajectories, num_slots, slots):
    """The Trajectories of all slots, on all ranks: sums of tables in which each has filled its own rows."""
    horizon = torch.tensor(trajectories.mask.shape[1])
    if dist.is_initialized():
        dist.all_reduce(horizon, dist.ReduceOp.MAX)

    def whole(rows):
        table = np.zeros((num_slots, int(horizon), *rows.shape[2:])[: rows.ndim], rows.dtype)
        table[(slots, *map(slice, rows.shape[1:]))] = rows
        return add_up(table).numpy()

    return Trajectories(*(whole(getattr(trajectories, field.name)) for field in fields(Trajectories)))


def gradient(policy, trajectories, weights, num_trajectories, entropy=0.0):
    """∇ of the entropic loss of all N trajectories, a tensor (P,), from the share (n, T) that this process has."""
    policy.zero_grad()
    loss = reinforce.entropic_loss(policy, trajectories, weights, entropy) * len(trajectories)  # a sum, not a mean
    loss.backward()
    return add_up(torch.cat([p.grad.flatten() for p in policy.parameters()])) / num_trajectories


def train(env_id, seed=0, iterations=10, num_trajectories=None):
    """Trains with the environment's preset, in as many processes as were started.

    Yields (policy, mean return, gradient (P,)) after every iteration, the same on all ranks.
    Raises ValueError for an environment without a preset and for fewer trajectories than processes.
    """
    if env_id not in reinforce.PRESETS:
        raise ValueError(f"env_id is {env_id!r}, expected one of {sorted(reinforce.PRESETS)}")
    preset = reinforce.PRESETS[env_id]
    num_slots = preset.num_trajectories if num_trajectories is None else num_trajectories
    rank, world_size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    slots = share(num_slots, rank, world_size)
    envs = gymnasium.make_vec(env_id, num_envs=slots.stop - slots.start, vectorization_mode="sync")
    policy = preset.policy(envs.single_observation_space, envs.single_action_space, np.random.default_rng(seed))
    optimizer = torch.optim.Adam(policy.parameters(), lr=preset.learning_rate)
    baseline = reinforce.LinearValues(preset.discount) if preset.values else None
    sizes = [parameter.numel() for parameter in policy.parameters()]
    for iteration in range(iterations):
        chance = Share([seed, iteration], num_slots, slots)
        trajectories = rollouts.collect(envs, policy, envs.num_envs, chance)
        batch = whole_batch(trajectories, num_slots, slots)
        values = baseline(batch) if baseline else None
        weights = reinforce.standardised_to_go(batch.rewards, batch.mask, preset.discount, values)
        own = weights[slots, : trajectories.mask.shape[1]]
        total = gradient(policy, trajectories, own, num_slots, preset.entropy)
        for parameter, part in zip(policy.parameters(), total.split(sizes), strict=True):
            parameter.grad = part.reshape(parameter.shape).clone()
        if weights.any():
            optimizer.step()
        yield policy, float(batch.total_rewards.mean()), total
    envs.close()


def start():
    """Joins the processes that torchrun started, over gloo; does nothing where it started none.

    Raises ValueError where only some of torchrun's variables are set.
    """
    missing = [name for name in VARIABLES if name not in os.environ]
    if len(missing) == len(VARIABLES):
        return
    if missing:
        raise ValueError(f"{missing[0]} is not set, expected all of {', '.join(VARIABLES)}: start this with torchrun")
    dist.init_process_group("gloo")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m pgcourse.distributed", description=__doc__.partition("\n")[0])
    parser.add_argument("--env", default="CartPole-v1", help="an environment with a preset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--trajectories", type=int, help="in a batch, over all processes")
    parser.add_argument("--save", help="write the first gradient and the last θ to this file; %%r stands for the rank")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        start()
        run(options)
    except ValueError as error:
        parser.error(str(error))
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def run(options):
    if options.iterations < 1:
        raise ValueError(f"iterations is {options.iterations}, expected 1 or more")
    rank = dist.get_rank() if dist.is_initialized() else 0
    gradients = []
    for policy, mean_return, total in train(options.env, options.seed, options.iterations, options.trajectories):
        theta = torch.cat([p.detach().flatten() for p in policy.parameters()])
        gradients.append(total)
        if rank == 0:
            print(
                f"batch {len(gradients):3}   mean return {mean_return:7.2f}   length of ĝ {total.norm():.4f}",
                flush=True,
            )
    if options.save:
        np.savez(options.save.replace("%r", str(rank)), first_gradient=gradients[0].numpy(), theta=theta.numpy())


if __name__ == "__main__":
    main()
