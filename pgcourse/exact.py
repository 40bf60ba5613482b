"""The exact side of the course: J(θ), ∇J(θ), every trajectory, and the exact mean and covariance of any estimator.

Nothing here is sampled. J is the finite-horizon objective J(θ) = E_{τ∼π_θ}[Σ_t γ^(t−1) r_t], Eq. (2.3), undiscounted
unless said; values, Q-values and advantages are indexed by the time t, because near the horizon less is left to win.
A `policy` here is a policy module over the states 0 … S − 1, or a table of its probabilities (S, A). All in float64.
"""

import itertools

import numpy as np
import torch

from pgcourse import renamed
from pgcourse.mdp import check_distributions
from pgcourse.policies import check_observations
from pgcourse.trajectories import Trajectories

__getattr__ = renamed.attributes(__name__)

MAX_TRAJECTORIES = 500_000
MAX_BATCHES = 200_000


def _tensors(mdp):
    return (torch.tensor(array) for array in (mdp.P, mdp.r, mdp.initial))


def action_probabilities(mdp, policy):
    """The table π(a | s), (S, A), of a policy module or of a table, which is only checked.

    Raises ValueError if it does not fit the MDP's states and actions, or is not a number somewhere.
    """
    if isinstance(policy, torch.nn.Module):
        check_observations(policy, mdp.num_states, "the MDP")
        distribution = policy(torch.arange(mdp.num_states))
        if not isinstance(distribution, torch.distributions.Categorical):
            raise ValueError(f"policy is a {type(policy).__name__}, expected one for discrete actions")
        probs = distribution.probs.to(torch.float64)
        probs = probs / probs.sum(-1, keepdim=True)  # those of a float32 policy sum to one only to float32
    else:
        probs = torch.as_tensor(policy, dtype=torch.float64)
    if probs.shape != mdp.r.shape:
        raise ValueError(f"policy has probabilities of shape {tuple(probs.shape)}, expected (S, A) = {mdp.r.shape}")
    for s, a in _where_nan(probs)[:1]:
        raise ValueError(f"policy[{s}, {a}] is nan, expected a probability")
    return probs


def _where_nan(probs):
    try:
        return probs.isnan().nonzero().tolist()
    except RuntimeError:  # inside vmap values cannot be looked at
        return []


def _check_discount(discount):
    if not 0 <= discount <= 1:
        raise ValueError(f"discount is {discount}, expected a number in [0, 1]")


def values(mdp, policy, discount=1.0):
    """V_t(s), (T, S), and Q_t(s, a), (T, S, A), by going backwards from the horizon, Eq. (2.6):

    Q_t(s, a) = r(s, a) + γ Σ_s' P(s' | s, a) V_{t+1}(s'),    V_t(s) = Σ_a π(a | s) Q_t(s, a),    V_{T+1} = 0.
    """
    _check_discount(discount)
    probs = action_probabilities(mdp, policy)
    P, r, _ = _tensors(mdp)
    v, vs, qs = torch.zeros(mdp.num_states, dtype=torch.float64), [], []
    for _ in range(mdp.horizon):
        q = r + discount * P @ v
        v = (probs * q).sum(1)
        qs.append(q)
        vs.append(v)
    return torch.stack(vs[::-1]), torch.stack(qs[::-1])


def objective(mdp, probs, discount=1.0):
    """J, a scalar tensor, differentiable in `probs` (a policy, or its table (S, A)), by dynamic programming, Eq. (2.6).

    The rows of a table are not checked to sum to one, so that finite differences may perturb its entries one by one.
    """
    v, _ = values(mdp, probs, discount)
    return torch.tensor(mdp.initial) @ v[0]


def occupancy(mdp, policy):
    """d_t(s), (T, S): the probability that step t happens and happens in s. Terminal states have none."""
    probs = action_probabilities(mdp, policy)
    P, _, initial = _tensors(mdp)
    alive = torch.tensor(~mdp.terminal, dtype=torch.float64)
    d = [initial]
    for _ in range(mdp.horizon - 1):
        d.append(torch.einsum("s,sa,sap->p", d[-1], probs, P) * alive)
    return torch.stack(d)


def gradient(mdp, policy, discount=1.0):
    """∇J (P,), the parameters in the order of `policy.parameters()`, by the policy-gradient theorem, Eq. (6.6):

    ∇J = Σ_t γ^(t−1) Σ_s d_t(s) Σ_a ∇π_θ(a | s) Q_t(s, a).

    Only π is differentiated, d and Q are numbers; autograd through `objective` is the other witness.
    Source: Sutton, McAllester, Singh & Mansour (2000), theorem 1, for a finite horizon.
    """
    if not isinstance(policy, torch.nn.Module):
        raise ValueError(f"policy is a {type(policy).__name__}, expected a policy module: a table has no parameters θ")
    probs = action_probabilities(mdp, policy)
    with torch.no_grad():
        _, q = values(mdp, probs, discount)
        weight = discount ** torch.arange(mdp.horizon, dtype=torch.float64)
        coefficient = torch.einsum("t,ts,tsa->sa", weight, occupancy(mdp, probs), q)
    grads = torch.autograd.grad((coefficient * probs).sum(), list(policy.parameters()), allow_unused=True)
    grads = (torch.zeros_like(p) if g is None else g for g, p in zip(grads, policy.parameters(), strict=True))
    return torch.cat([g.reshape(-1) for g in grads])


def count_trajectories(mdp):
    """How many trajectories `trajectories(mdp)` lists: all that `initial` and P allow, whatever the policy."""
    moves, ends, stays = _moves(mdp)
    count = ends.sum(1) + stays.sum(1)  # object arrays of Python ints: exact however large
    for _ in range(mdp.horizon - 1):
        count = ends.sum(1) + moves.sum(1) @ count
    return int(count[mdp.initial > 0].sum())


def _moves(mdp):
    """Which steps are possible: to a state that goes on (S, A, S), into the end (S, A), to any that goes on (S, A)."""
    goes_on = (mdp.P > 0) & ~mdp.terminal
    ends = ((mdp.P > 0) & mdp.terminal).any(2)
    return goes_on.astype(object), ends.astype(object), goes_on.any(2).astype(object)


def trajectories(mdp, policy=None, limit=MAX_TRAJECTORIES):
    """All trajectories, as (Trajectories, probabilities (N,)).

    With a policy the probabilities are π_θ(τ), Eq. (2.2), a tensor differentiable in θ; they sum to one. Without, they
    are the dynamics' part of it alone: p(s_1) Π_t p(s_{t+1} | s_t, a_t). Where a trajectory goes after its last
    recorded step is summed over, apart from whether that ended the episode: no two rows are alike.
    Raises ValueError, with the count, where there are more than `limit`.
    """
    count = count_trajectories(mdp)
    if count > limit:
        raise ValueError(f"there are {count:,} trajectories, too many to list (limit {limit:,}): shorten the horizon")
    listed, dynamics = _list_trajectories(mdp)
    dynamics = torch.tensor(dynamics)
    if policy is None:
        return listed, dynamics
    probs = action_probabilities(mdp, policy)
    taken = probs[torch.tensor(listed.observations), torch.tensor(listed.actions)]
    return listed, dynamics * torch.where(torch.tensor(listed.mask), taken, 1.0).prod(1)


def _list_trajectories(mdp):
    P, terminal, horizon = mdp.P, mdp.terminal, mdp.horizon
    states = np.zeros((int((mdp.initial > 0).sum()), horizon), dtype=np.int64)
    states[:, 0] = np.flatnonzero(mdp.initial > 0)
    actions = np.zeros_like(states)
    dynamics = mdp.initial[states[:, 0]]
    p_end, p_on = P[:, :, terminal].sum(2), P[:, :, ~terminal].sum(2)
    finished = []
    for t in range(horizon):
        rows, taken = np.divmod(np.arange(len(states) * mdp.num_actions), mdp.num_actions)
        states, actions, dynamics = states[rows], actions[rows], dynamics[rows]
        actions[:, t] = taken
        here = states[:, t]
        for terminated, p in ((True, p_end), (False, p_on)) if t == horizon - 1 else ((True, p_end),):
            chosen = p[here, taken] > 0
            finished.append((states[chosen], actions[chosen], (dynamics * p[here, taken])[chosen], t + 1, terminated))
        if t < horizon - 1:
            rows, nexts = np.nonzero((P[here, taken] > 0) & ~terminal)
            states, actions, dynamics = states[rows], actions[rows], dynamics[rows] * P[here[rows], taken[rows], nexts]
            states[:, t + 1] = nexts
    states, actions, dynamics = (np.concatenate([part[i] for part in finished]) for i in range(3))
    sizes = [len(part[0]) for part in finished]
    lengths, terminated = (np.repeat([part[i] for part in finished], sizes) for i in (3, 4))
    mask = np.arange(horizon) < lengths[:, None]
    rewards = np.where(mask, mdp.r[states, actions], 0.0)
    return Trajectories(states, actions, rewards, mask, terminated), dynamics


def moments(estimator, mdp, policy, batch_size=1, target=None, limit=MAX_BATCHES):
    """The exact mean (P,) and covariance (P, P) of the batch mean of `estimator`, when `policy` samples the batch.

    E[ĝ] = Σ_{τ_1 … τ_N} Π_i π(τ_i) · (1/N) Σ_i estimator(τ_1 … τ_N)_i, over all ordered batches of N = batch_size.

    `estimator` maps a batch (Trajectories) to rows (N, P), tensor or array; rows may depend on each other. Trajectories
    that the policy cannot produce are left out. `target` names the policy whose gradient is wanted where that is
    another one: it must not go where `policy` never goes, as no weighting of samples can make up for what is never
    sampled.
    Raises ValueError with the count where there are more than `limit` batches, or where `estimator` returns no (N, P).
    """
    table = action_probabilities(mdp, policy).detach()
    check_distributions(table.numpy(), "policy", "one probability per action")
    listed, probs = trajectories(mdp, table, limit=max(limit, MAX_TRAJECTORIES))
    probs = probs.detach().numpy()
    if target is not None:
        missed = (probs == 0) & (trajectories(mdp, target)[1].detach().numpy() > 0)
        for i in np.flatnonzero(missed)[:1]:
            steps = listed.mask[i]
            raise ValueError(
                f"target takes states {listed.observations[i][steps]} with actions {listed.actions[i][steps]}, "
                "which policy never does: expected a policy that gives every trajectory of target a chance"
            )
    possible = np.flatnonzero(probs > 0)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected 1 or more")
    if len(possible) ** batch_size > limit:
        raise ValueError(
            f"there are {len(possible):,}^{batch_size} = {len(possible) ** batch_size:,} batches of {batch_size}, "
            f"too many to list (limit {limit:,}): shorten the horizon or the batch"
        )
    means, weights = [], []
    for batch in itertools.product(possible, repeat=batch_size):
        rows = torch.as_tensor(estimator(listed[list(batch)])).detach()
        if rows.ndim != 2 or len(rows) != batch_size:
            raise ValueError(f"estimator returned shape {tuple(rows.shape)}, expected (N, P) with N = {batch_size}")
        means.append(rows.to(torch.float64).mean(0))
        weights.append(probs[list(batch)].prod())
    means, weights = torch.stack(means), torch.tensor(weights)
    mean = weights @ means
    centred = means - mean
    return mean, centred.T @ (weights[:, None] * centred)
