"""Estimators of ∇J from sampled trajectories: one gradient row for each trajectory, and what multiplies the scores in
it.

All of them have one form, Eq. (3.4),

    ĝ = (1/N) Σ_i Σ_t ∇log π_θ(a_t | s_t) w_it,

and differ in the weights w (N, T): the total reward, the rewards to go, advantages, importance-weighted returns.
Functions of arrays below give the weights; `gradients` the N rows; `surrogate_loss` a scalar whose gradient is minus
their mean. Weights are zero where the mask is False, and nothing depends on what the padding holds.
"""

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from pgcourse import renamed
from pgcourse.policies import SoftmaxTable

__getattr__ = renamed.attributes(__name__)


def _masked(values, mask, name):
    """Values (N, T), zero where the mask is False."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool or not len(mask):
        raise ValueError(f"mask is {mask.dtype} of shape {mask.shape}, expected bool (N, T) with N of 1 or more")
    return np.where(mask, _shaped(values, mask.shape, name, "(N, T)"), 0.0)


def _shaped(values, shape, name, letters):
    """The array, if it has this shape, where None stands for any length but zero."""
    values = np.asarray(values)
    if values.ndim != len(shape) or any(n == 0 or m not in (None, n) for n, m in zip(values.shape, shape, strict=True)):
        numbers = "" if None in shape else f" = {shape}"
        raise ValueError(f"{name} has shape {values.shape}, expected {letters}{numbers}")
    return values


# What multiplies the scores: returns


def total_reward(rewards, mask):
    """r(τ_i) = Σ_t r_t of each trajectory, Eq. (2.4). rewards, mask: (N, T). Returns (N,)."""
    return _masked(rewards, mask, "rewards").sum(1)


def total_reward_weights(rewards, mask):
    """The total reward at every step, (N, T): the plain estimator of Eq. (3.2)."""
    return total_reward(rewards, mask)[:, None] * np.asarray(mask)


def rewards_to_go(rewards, mask, discount=1.0):
    """Discounted sum of the rewards from each step on, Eq. (6.4): G_t = Σ_{t'≥t} γ^(t'−t) r_t' = r_t + γ G_{t+1}.

    rewards, mask: (N, T). Returns (N, T); zero where the mask is False.
    Raises ValueError if the shapes differ or discount is outside [0, 1].
    Source: lecture 5, "The causality issue"; Sutton & Barto (2018), §13.3.
    """
    if not 0 <= discount <= 1:
        raise ValueError(f"discount is {discount}, expected a number in [0, 1]")
    returns = _masked(rewards, mask, "rewards")
    for t in range(returns.shape[1] - 2, -1, -1):
        returns[:, t] += discount * returns[:, t + 1]
    return np.where(mask, returns, 0.0)


# Baselines


def batch_mean_advantages(returns, mask=None):
    """Returns minus their mean over the batch, Eq. (7.2): A_it = G_it − (1/N) Σ_j G_jt.

    returns: (N,), or (N, T) with a mask; then the mean at each t divides by N, a finished episode counting as 0.
    Each trajectory is in its own baseline: the estimator's expectation is exactly (N − 1)/N of ∇J, nothing at N = 1.
    """
    returns, alive = _columns(returns, mask)
    first = returns[0]  # the mean of equal numbers, taken from there, is that number without a rounding
    return _like(alive * (returns - (first + (returns - first).mean(0))), mask)


def leave_one_out_advantages(returns, mask=None):
    """Returns minus the mean over the *other* trajectories, Eq. (7.3): unbiased, as b_i does not depend on τ_i.

    returns: (N,) with N ≥ 2, or (N, T) with a mask; then the mean at each t is over the others still going, 0 if there
    are none.
    Source: Kool, van Hoof & Welling (2019).
    """
    returns, alive = _columns(returns, mask)
    if mask is None and len(returns) < 2:
        raise ValueError(
            f"returns has {len(returns)} trajectory, expected 2 or more: nothing is left to leave one out of"
        )
    others = alive.sum(0) - alive
    offset = alive * (returns - returns[0])  # as above
    baseline = returns[0] + (offset.sum(0) - offset) / np.maximum(others, 1)
    return _like(alive * (returns - np.where(others > 0, baseline, 0)), mask)


def _columns(returns, mask):
    """Returns as (N, T) floats, zero where masked, and the mask: one column, all alive, where there is no mask."""
    if mask is not None:
        return _masked(returns, mask, "returns"), np.asarray(mask)
    returns = _shaped(np.asarray(returns, dtype=np.float64), (None,), "returns", "(N,), or (N, T) with a mask")
    return returns[:, None], np.ones((len(returns), 1), dtype=bool)


def _like(advantages, mask):
    return advantages[:, 0] if mask is None else advantages


def state_value_advantages(returns, values, mask):
    """Rewards to go minus the values of the states they start from, Eq. (7.7): A_it = G_it − V_t(s_it). All (N, T).

    Unbiased for whatever values, as long as they know nothing of a_t and of what came after it in this very batch.
    Returns (N, T), zero where the mask is False.
    """
    return _masked(returns, mask, "returns") - _masked(values, mask, "values")


def optimal_constant_baseline(scores, returns, probabilities=None):
    """The constant b of least variance for the full return, Eq. (7.5): b = E[‖g‖² r] / E[‖g‖²].

    scores: (N, P), g_i = ∇log π_θ(τ_i). returns: (N,). The expectations are batch means unless `probabilities` (N,) are
    given: with those of all trajectories b is the population's. b = 0 where every score is zero.
    Source: Greensmith, Bartlett & Baxter (2004), theorem 8.
    """
    squared = (_shaped(scores, (None, None), "scores", "(N, P)") ** 2).sum(1)
    return _ratio(squared * _shaped(returns, squared.shape, "returns", "(N,)"), squared, probabilities)


def optimal_time_baseline(scores, weights, probabilities=None):
    """One constant b_t of least variance for each step, (T,), Eq. (7.6): b_t = E[g_t · ĝ] / E[‖g_t‖²], ĝ = Σ_t w_t g_t.

    scores: (N, T, P), zero where masked. weights: (N, T), rewards to go say. Steps do not mix, because E[g_t · g_t'] =
    0 for t ≠ t'. The expectations are batch means unless `probabilities` (N,) are given. b_t = 0 where no score is
    alive.
    """
    scores = _shaped(scores, (None, None, None), "scores", "(N, T, P)")
    rows = np.einsum("ntp,nt->np", scores, _shaped(weights, scores.shape[:2], "weights", "(N, T)"))
    return _ratio(np.einsum("ntp,np->nt", scores, rows), (scores**2).sum(2), probabilities)


def _ratio(numerator, denominator, probabilities):
    probabilities = np.ones(len(numerator)) if probabilities is None else probabilities
    probabilities = _shaped(probabilities, (len(numerator),), "probabilities", "(N,)")
    numerator, denominator = probabilities @ numerator, probabilities @ denominator
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def divided_by_deviation(advantages, mask):
    """Advantages divided by their standard deviation over all steps of the batch, Eq. (7.8): a step of steady size, and
    a bias.

    All zeros where the deviation is rounding noise beside the advantages' own size: there is nothing to learn from
    there.
    """
    advantages = _masked(advantages, mask, "advantages")
    deviation = advantages[mask].std()
    return advantages / deviation if deviation > 1e-8 * np.abs(advantages).max(initial=0) else np.zeros_like(advantages)


# Importance weights: trajectories sampled from an old policy, the gradient wanted of a new one


def log_ratios(new_log_probs, old_log_probs, mask):
    """log ρ_t = log π_θ'(a_t | s_t) − log π_θ(a_t | s_t), (N, T), zero where the mask is False."""
    return _masked(new_log_probs, mask, "new_log_probs") - _masked(old_log_probs, mask, "old_log_probs")


def trajectory_log_ratio(new_log_probs, old_log_probs, mask):
    """log π_θ'(τ) − log π_θ(τ) = Σ_t log ρ_t, Eq. (8.3): the dynamics cancel. All (N, T). Returns (N,)."""
    return log_ratios(new_log_probs, old_log_probs, mask).sum(1)


def effective_sample_size(log_weights):
    """(Σ w)² / Σ w², Eq. (8.4), for weights given as logarithms (N,) of any scale: how many equal samples these are
    worth.

    Source: Kish (1965), §8.2.
    """
    log_weights = _shaped(np.asarray(log_weights, dtype=np.float64), (None,), "log_weights", "(N,)")
    w = np.exp(log_weights - log_weights.max())
    return w.sum() ** 2 / (w**2).sum()


def whole_trajectory_weights(new_log_probs, old_log_probs, returns, mask):
    """π_θ'(τ)/π_θ(τ) at every step, times returns (N, T): total rewards or to go, both unbiased, Eq. (8.2)."""
    ratio = np.exp(trajectory_log_ratio(new_log_probs, old_log_probs, mask))
    return ratio[:, None] * _masked(returns, mask, "returns")


def per_decision_weights(new_log_probs, old_log_probs, rewards, mask):
    """w_t = Σ_{t'≥t} r_t' Π_{k≤t'} ρ_k, (N, T), Eq. (8.5): each reward is weighted by what led to it, and by no more.

    Source: Precup, Sutton & Singh (2000).
    """
    log_ratio = np.cumsum(log_ratios(new_log_probs, old_log_probs, mask), 1)
    return rewards_to_go(np.exp(log_ratio) * _masked(rewards, mask, "rewards"), mask)


def first_order_weights(new_log_probs, old_log_probs, rewards_to_go, mask):
    """w_t = ρ_t G_t, (N, T), Eq. (8.6): how often s_t is reached, and what is earned from there, stay the old policy's.

    Biased, in proportion to the distance while the policies are close: the gradient of the surrogate of Eq. (8.7).
    """
    return np.exp(log_ratios(new_log_probs, old_log_probs, mask)) * _masked(rewards_to_go, mask, "rewards_to_go")


# Gradients


def log_probs(policy, trajectories):
    """log π_θ(a_t | s_t), a tensor (N, T) that carries the graph, zero where the mask is False."""
    mask = torch.as_tensor(trajectories.mask)
    steps = policy(trajectories.observations[trajectories.mask]).log_prob(
        torch.as_tensor(trajectories.actions[trajectories.mask])
    )
    return torch.zeros(mask.shape, dtype=steps.dtype).masked_scatter(mask, steps)


def surrogate_loss(policy, trajectories, weights):
    """−(1/N) Σ_i Σ_t log π_θ(a_t | s_t) w_it, a scalar tensor, Eq. (3.5).

    Its value means nothing; its gradient is minus the mean of `gradients`. weights: (N, T), numbers, never a graph.
    """
    weights = torch.as_tensor(_masked(weights, trajectories.mask, "weights"))
    return -(log_probs(policy, trajectories) * weights).sum() / len(trajectories)


def gradients(policy, trajectories, weights):
    """ĝ_i = Σ_t ∇log π_θ(a_t | s_t) w_it, one row for each trajectory, a tensor (N, P).

    weights: (N, T). P runs over `policy.parameters()` in order, each flattened.
    """
    mask = trajectories.mask
    weights = torch.as_tensor(_masked(weights, mask, "weights"))
    if isinstance(policy, SoftmaxTable):
        return _table_gradients(policy, trajectories, weights)
    blank = mask.reshape(mask.shape + (1,) * (trajectories.observations.ndim - 2))
    observations = torch.as_tensor(np.where(blank, trajectories.observations, 0))
    blank = mask.reshape(mask.shape + (1,) * (trajectories.actions.ndim - 2))
    actions = torch.as_tensor(np.where(blank, trajectories.actions, 0))
    parameters = {name: parameter.detach() for name, parameter in policy.named_parameters()}

    def weighted_log_prob(parameters, observations, actions, weights):
        return (functional_call(policy, parameters, (observations,)).log_prob(actions) * weights).sum()

    rows = vmap(grad(weighted_log_prob), in_dims=(None, 0, 0, 0))(parameters, observations, actions, weights)
    return torch.cat([rows[name].flatten(1) for name in parameters], 1)


def _table_gradients(policy, trajectories, weights):
    """The same in closed form, Eq. (1.5): the score of a softmax is e_a − π(· | s), in row s of the table."""
    mask = torch.as_tensor(trajectories.mask)
    num_states, num_actions = policy.theta.shape
    rows, steps = mask.nonzero(as_tuple=True)
    states = torch.as_tensor(trajectories.observations)[rows, steps]
    actions = torch.as_tensor(trajectories.actions)[rows, steps]
    weights = weights[rows, steps]
    out = torch.zeros(len(mask) * num_states, num_actions, dtype=torch.float64)
    place = rows * num_states + states
    out.index_put_((place, actions), weights, accumulate=True)
    out.index_add_(0, place, -weights[:, None] * policy.theta.detach().softmax(1)[states])
    return out.reshape(len(mask), -1)


def scores(policy, trajectories):
    """g_t = ∇log π_θ(a_t | s_t), step by step, a tensor (N, T, P), zero where the mask is False."""
    mask = trajectories.mask
    steps = type(trajectories)(
        trajectories.observations[mask][:, None],
        trajectories.actions[mask][:, None],
        trajectories.rewards[mask][:, None],
        np.ones((mask.sum(), 1), dtype=bool),
        np.zeros(mask.sum(), dtype=bool),
    )
    rows = gradients(policy, steps, steps.mask.astype(np.float64))
    out = torch.zeros(*mask.shape, rows.shape[1], dtype=rows.dtype)
    out[torch.as_tensor(mask)] = rows
    return out
