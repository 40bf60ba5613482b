"""Two processes find the gradient of one."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgcourse import distributed, estimators, policies, reinforce, rollouts

EVERYTHING = {"entropy": 0.1, "values": True}  # more than any preset asks for
SCRIPT = f"""
import dataclasses, runpy
from pgcourse.reinforce import PRESETS
PRESETS["CartPole-v1"] = dataclasses.replace(PRESETS["CartPole-v1"], **{EVERYTHING})
runpy.run_module("pgcourse.distributed", run_name="__main__")
"""


def flat(policy):
    return torch.cat([p.detach().flatten() for p in policy.parameters()])


def launch(command, folder, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in distributed.VARIABLES}
    return subprocess.run(
        command,
        cwd=folder,
        env=clean | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=280,
    )


@pytest.mark.processes
def test_two_processes_find_the_gradient_of_one_and_stay_bit_equal(tmp_path):
    """Over loopback only; torchrun picks a free port itself."""
    (tmp_path / "with_everything.py").write_text(SCRIPT)
    options = ["with_everything.py", "--iterations", "2", "--trajectories", "5", "--save"]
    single = launch([sys.executable, *options, "one.npz"], tmp_path)
    assert single.returncode == 0, single.stderr
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--local-addr", "127.0.0.1"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    double = launch([*torchrun, *options, "two%r.npz"], tmp_path, **loopback)
    assert double.returncode == 0, double.stderr
    assert double.stdout == single.stdout, "rank 0 alone prints, and the same"
    one, rank_0, rank_1 = (np.load(tmp_path / name) for name in ("one.npz", "two0.npz", "two1.npz"))
    for name in ("first_gradient", "theta"):
        np.testing.assert_array_equal(rank_0[name], rank_1[name])
        assert np.abs(one[name]).max() > 0.01
        assert np.abs(one[name] - rank_0[name]).max() <= 1e-12 * np.abs(one[name]).max()


@pytest.mark.parametrize(("num_slots", "world_size"), [(1, 1), (6, 2), (7, 3), (5, 5)])
def test_shares_are_everything_once(num_slots, world_size):
    slots = [list(range(num_slots))[distributed.share(num_slots, rank, world_size)] for rank in range(world_size)]
    assert [slot for part in slots for slot in part] == list(range(num_slots))
    assert max(map(len, slots)) - min(map(len, slots)) <= 1


def test_shares_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="num_slots is 1, expected at least one for each of 2 processes"):
        distributed.share(1, 0, 2)
    with pytest.raises(ValueError, match="rank is 2, expected 0 to 1, one of 2 processes"):
        distributed.share(4, 2, 2)


def test_shares_of_chance_are_slices_of_the_whole():
    whole, first, second = (distributed.Share(3, 5, slots) for slots in (slice(0, 5), slice(0, 2), slice(2, 5)))
    assert (first.integers(2**31), second.integers(2**31)) == ((seed := whole.integers(2**31)), seed + 2)
    for draw in (lambda rng, n: rng.random((n, 1)), lambda rng, n: rng.standard_normal((n, 2))):
        np.testing.assert_array_equal(draw(whole, 5), np.concatenate([draw(first, 2), draw(second, 3)]))


@pytest.fixture
def one_thread():
    """As `train` has it: the number of threads decides about the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("env_id", "changes"), [*((env_id, {}) for env_id in reinforce.PRESETS), ("CartPole-v1", EVERYTHING)]
)
def test_one_process_takes_the_steps_of_train_on_the_same_batches(env_id, changes, monkeypatch):
    """Bit for bit: there are eight, and a sum divided by 8 is the mean without a rounding.

    The seed is one with which Acrobot swings up by chance: without that there is no step.
    """
    monkeypatch.setitem(reinforce.PRESETS, env_id, replace(reinforce.PRESETS[env_id], **changes))
    batches, thetas, returns, collect = [], [], [], rollouts.collect
    monkeypatch.setattr(rollouts, "collect", lambda *options: batches.append(collect(*options)) or batches[-1])
    for policy, mean_return, _ in distributed.train(env_id, seed=3, iterations=3, num_trajectories=8):
        thetas.append(flat(policy))
        returns.append(mean_return)
    monkeypatch.setattr(rollouts, "collect", lambda *options: batches.pop(0))
    policy, history = reinforce.train(env_id, seed=3, iterations=3, num_trajectories=8, until=math.inf)
    assert [record.mean_return for record in history] == returns
    assert not torch.equal(thetas[0], thetas[1])
    assert torch.equal(flat(policy), thetas[1]), "the third batch is measured, and no step follows"


@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_a_sum_over_shares_is_the_gradient_of_the_whole(entropy):
    policy = policies.MLP(4, 2, np.random.default_rng(0))
    batch = rollouts.collect(rollouts.make("CartPole-v1", 6), policy, 6, np.random.default_rng(0))
    weights = estimators.rewards_to_go(batch.rewards, batch.mask)
    shares = slice(0, 2), slice(2, 6)
    parts = [distributed.gradient(policy, batch[rows], weights[rows], 6, entropy) for rows in shares]
    policy.zero_grad()
    reinforce.entropic_loss(policy, batch, weights, entropy).backward()
    whole = torch.cat([p.grad.flatten() for p in policy.parameters()])
    torch.testing.assert_close(parts[0] + parts[1], whole, rtol=1e-12, atol=1e-12 * float(whole.abs().max()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "Nowhere-v0"], "env_id is 'Nowhere-v0', expected one of"),
        (["--trajectories", "0"], "num_slots is 0, expected at least one for each of 1 processes"),
        (["--iterations", "0"], "iterations is 0, expected 1 or more"),
    ],
)
def test_errors_are_one_line(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        distributed.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_half_a_torchrun_is_named(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit):
        distributed.main([])
    assert "WORLD_SIZE is not set, expected all of RANK, WORLD_SIZE, MASTER_ADDR" in capsys.readouterr().err
