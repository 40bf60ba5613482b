import math
from functools import partial

import numpy as np
import pytest
import torch
import witnesses
from hypothesis import given
from hypothesis import strategies as st
from inputs import EXAMPLES, TINY_MDPS, random_batch, sample, shaken, table_for, with_garbage

from pgcourse import estimators, exact, mdp, policies, rollouts

# Nothing here warns: no division by the zeros of whoever has no neighbours, no padding that is computed with
pytestmark = [
    pytest.mark.filterwarnings("error"),  # but for what kernels that other tests of this process started left open
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(socket|function BaseEventLoop):pytest.PytestUnraisableExceptionWarning"
    ),
]
EXACT = 1e-10  # sums of some thousand products of order one, each rounded to 2e-16
tiny_mdps = pytest.mark.parametrize("model", TINY_MDPS.values(), ids=TINY_MDPS)
DISCOUNTS = (0.0, 0.5, 1.0)


def close(got, expected, tolerance=EXACT):
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=0, atol=tolerance)


def to_go(batch, discount=1.0):
    return estimators.rewards_to_go(batch.rewards, batch.mask, discount)


def totals(batch):
    return estimators.total_reward(batch.rewards, batch.mask)


def rows(policy, weights):
    """The estimator for `exact.moments` whose weights, (N, T), are a function of the batch."""
    return lambda batch: estimators.gradients(policy, batch, weights(batch))


def expectation(model, policy, weights, batch_size=1):
    return exact.moments(rows(policy, weights), model, policy, batch_size)


def gradient(model, policy, discount=1.0):
    """∇J of a softmax table by the sum over paths that imports nothing of what is judged here."""
    return witnesses.softmax_gradient(model, policy.theta.tolist(), discount)


# Arrays against their definitions, written as loops


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 5), horizon=st.integers(1, 5), discount=st.floats(0, 1))
def test_returns_and_baselines_by_their_definitions(seed, n, horizon, discount):
    batch = random_batch(seed, n, horizon)
    r = [row[:length].tolist() for row, length in zip(batch.rewards, batch.lengths, strict=True)]
    g = [[sum(discount ** (k - t) * row[k] for k in range(t, len(row))) for t in range(len(row))] for row in r]

    def table(entry):
        return [[entry(i, t) if t < len(r[i]) else 0 for t in range(horizon)] for i in range(n)]

    def mean_of_all(t):
        return sum(g[j][t] for j in range(n) if t < len(r[j])) / n

    def mean_of_others(i, t):
        others = [g[j][t] for j in range(n) if j != i and t < len(r[j])]
        return sum(others) / len(others) if others else 0

    returns = to_go(batch, discount)
    total = [sum(row) for row in r]
    close(totals(batch), total)
    close(estimators.total_reward_weights(batch.rewards, batch.mask), table(lambda i, t: total[i]))
    close(returns, table(lambda i, t: g[i][t]))
    close(estimators.batch_mean_advantages(returns, batch.mask), table(lambda i, t: g[i][t] - mean_of_all(t)))
    close(estimators.batch_mean_advantages(total), [x - sum(total) / n for x in total])
    close(estimators.leave_one_out_advantages(returns, batch.mask), table(lambda i, t: g[i][t] - mean_of_others(i, t)))
    close(estimators.leave_one_out_advantages(total), [x - (sum(total) - x) / (n - 1) for x in total])
    v = np.random.default_rng(seed).normal(size=batch.mask.shape)
    close(estimators.state_value_advantages(returns, v, batch.mask), table(lambda i, t: g[i][t] - v[i, t]))


def test_returns_of_the_worked_example():
    r, alive = np.array([[1, 2, 3]]), np.ones((1, 3), dtype=bool)
    assert estimators.rewards_to_go(r, alive, 0.5).tolist() == [[2.75, 3.5, 3]]
    assert estimators.rewards_to_go(r, alive).tolist() == [[6, 5, 3]]
    assert estimators.rewards_to_go(r, alive, 0).tolist() == [[1, 2, 3]]


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 5), horizon=st.integers(1, 5))
def test_importance_weights_by_their_definitions(seed, n, horizon):
    batch, rng = random_batch(seed, n, horizon), np.random.default_rng(seed)
    new, old = rng.normal(size=(2, n, horizon))
    rho = np.exp(new - old)
    r, alive = batch.rewards, range(horizon)
    steps = [[t for t in alive if batch.mask[i, t]] for i in range(n)]
    arguments = {"new_log_probs": new, "old_log_probs": old, "mask": batch.mask}
    whole = [math.prod(rho[i, steps[i]]) for i in range(n)]
    per_decision, first_order, constant = np.zeros((3, n, horizon))
    for i in range(n):
        for t in steps[i]:
            later = [k for k in steps[i] if k >= t]
            per_decision[i, t] = sum(r[i, k] * math.prod(rho[i, : k + 1]) for k in later)
            first_order[i, t] = rho[i, t] * sum(r[i, k] for k in later)
            constant[i, t] = whole[i] * 3.0
    close(estimators.trajectory_log_ratio(**arguments), np.log(whole))
    close(np.exp(estimators.log_ratios(**arguments))[batch.mask], rho[batch.mask])
    assert not estimators.log_ratios(**arguments)[~batch.mask].any()
    relative = 1e-12  # products of up to five ratios, which may be large
    np.testing.assert_allclose(estimators.per_decision_weights(rewards=r, **arguments), per_decision, relative, EXACT)
    returns = {"rewards_to_go": to_go(batch)}
    np.testing.assert_allclose(estimators.first_order_weights(**returns, **arguments), first_order, relative, EXACT)
    threes = {"returns": np.full((n, horizon), 3.0)}
    np.testing.assert_allclose(estimators.whole_trajectory_weights(**threes, **arguments), constant, relative, EXACT)


@pytest.mark.parametrize("scale", [0.0, 5000.0, -5000.0])
def test_effective_sample_size_at_any_scale_of_weights(scale):
    w = [1.0, 2.0, 3.0, 0.5]
    expected = sum(w) ** 2 / sum(x * x for x in w)
    assert estimators.effective_sample_size(np.log(w) + scale) == pytest.approx(expected, rel=1e-9)  # 5000 ε ≈ 1e-12
    assert estimators.effective_sample_size(np.full(7, scale)) == pytest.approx(7)
    assert estimators.effective_sample_size([scale, scale - 2000, -math.inf]) == 1


def test_standardised_advantages_have_deviation_one_over_real_steps():
    batch = random_batch(0)
    advantages = estimators.batch_mean_advantages(to_go(batch), batch.mask)
    real = advantages[batch.mask]
    deviation = math.sqrt(sum((x - real.mean()) ** 2 for x in real) / len(real))
    scaled = estimators.divided_by_deviation(advantages, batch.mask)
    close(scaled, advantages / deviation)
    assert not scaled[~batch.mask].any()


@pytest.mark.parametrize("n", [3, 16, 50])
def test_equal_returns_have_no_advantage_at_all(n):
    returns, alive = np.tile(np.random.default_rng(0).normal(size=40), (n, 1)), np.ones((n, 40), dtype=bool)
    for advantages in (estimators.batch_mean_advantages, estimators.leave_one_out_advantages):
        assert not advantages(returns, alive).any()
        assert not advantages(returns[:, 0]).any()


@pytest.mark.parametrize("size", [500, 1e-3])
def test_nothing_is_learned_from_rounding_noise(size):
    noise, alive = np.random.default_rng(0).normal(size=(4, 3)), np.ones((4, 3), dtype=bool)
    noise /= noise.std()
    for relative, is_learned_from in ((0, False), (1e-12, False), (1e-9, False), (1e-7, True), (1, True)):  # √ε: 1.5e-8
        scaled = estimators.divided_by_deviation(size * (1 + relative * noise), alive)
        assert scaled.any() == is_learned_from
    assert not estimators.divided_by_deviation(np.zeros((4, 3)), alive).any()


# One row for each trajectory

POLICIES = {
    "table": (lambda: policies.SoftmaxTable(3, 2), {}),
    "linear on states": (lambda: policies.LinearSoftmax(3, 2), {}),
    "linear on vectors": (lambda: policies.LinearSoftmax(4, 2), {"observation_shape": (4,)}),
    "MLP on states": (lambda: policies.MLP(3, 2, np.random.default_rng(0), hidden=(5,)), {}),
    "MLP on vectors": (lambda: policies.MLP(4, 2, np.random.default_rng(0), hidden=(5,)), {"observation_shape": (4,)}),
    "convolutional": (
        lambda: policies.Convolutional((4, 3, 2), 2, np.random.default_rng(0), channels=2, hidden=3),
        {"observation_shape": (4, 3, 2)},
    ),
    "Gaussian": (
        lambda: policies.Gaussian(4, 2, np.random.default_rng(0), hidden=(5,)),
        {"observation_shape": (4,), "action_dim": 2},
    ),
    "Gaussian on states": (
        lambda: policies.Gaussian(3, 1, np.random.default_rng(0), hidden=()),
        {"action_dim": 1},
    ),
}
every_policy = pytest.mark.parametrize(("build", "shapes"), POLICIES.values(), ids=POLICIES)


def step_log_prob(policy, batch, i, t):
    """log π(a_t | s_t) of one step alone."""
    action = torch.as_tensor(batch.actions[i : i + 1, t])
    return policy(batch.observations[i : i + 1, t]).log_prob(action)[0]


def autograd_row(policy, scalar):
    return torch.cat([g.flatten() for g in torch.autograd.grad(scalar, list(policy.parameters()))])


@every_policy
def test_rows_agree_with_autograd_one_step_at_a_time(build, shapes):
    policy, batch = shaken(build()), random_batch(0, **shapes)
    n, horizon = batch.mask.shape
    weights = np.random.default_rng(1).normal(size=(n, horizon))
    size = sum(p.numel() for p in policy.parameters())
    scores, log_probs = np.zeros((n, horizon, size)), np.zeros((n, horizon))
    for i, t in np.argwhere(batch.mask):
        one = step_log_prob(policy, batch, i, t)
        log_probs[i, t], scores[i, t] = one.item(), autograd_row(policy, one)

    close(estimators.log_probs(policy, batch).detach(), log_probs)
    close(estimators.scores(policy, batch), scores)
    got = estimators.gradients(policy, batch, weights)
    assert got.dtype == torch.float64
    close(got, np.einsum("ntp,nt->np", scores, weights))
    estimators.surrogate_loss(policy, batch, weights).backward()
    close(torch.cat([p.grad.flatten() for p in policy.parameters()]), -got.mean(0))
    for i in range(n):  # through the graph of log_probs, one trajectory after the other
        row = (estimators.log_probs(policy, batch)[i] * torch.tensor(weights[i])).sum()
        close(autograd_row(policy, row), got[i])


def test_the_closed_form_of_a_table_is_that_of_one_hot_features():
    table, linear, batch = shaken(policies.SoftmaxTable(3, 2)), policies.LinearSoftmax(3, 2), random_batch(0)
    with torch.no_grad():
        linear.network[0].weight.copy_(table.theta.T)
    by_table = estimators.gradients(table, batch, to_go(batch)).reshape(-1, 3, 2)
    by_features = estimators.gradients(linear, batch, to_go(batch))
    close(by_features[:, :6].reshape(-1, 2, 3).transpose(1, 2), by_table)
    close(by_features[:, 6:], by_table.sum(1))  # the bias has the same score in every state


def test_the_surrogate_loss_by_hand():
    policy = policies.SoftmaxTable(3, 2)  # uniform: every log-probability is −log 2
    batch = random_batch(0, n=4)
    loss = estimators.surrogate_loss(policy, batch, np.ones(batch.mask.shape))
    assert loss.item() == pytest.approx(batch.lengths.sum() * math.log(2) / 4, abs=1e-12)


def test_weights_carry_no_graph():
    policy, batch = policies.SoftmaxTable(3, 2), random_batch(0)
    estimators.gradients(policy, batch, to_go(batch))
    assert policy.theta.grad is None
    assert not estimators.gradients(policy, batch, to_go(batch)).requires_grad


# What the padding holds


def array_functions(batch, filler):
    """Each function of arrays, given log-probabilities and values that are `filler` in the padding."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=(4, *batch.mask.shape))
    new, old, values, returns = np.where(batch.mask, real, filler)
    ratios = {"new_log_probs": new, "old_log_probs": old, "mask": batch.mask}
    return {
        "total_rewards": batch.total_rewards,
        "total_reward": totals(batch),
        "total_reward_weights": estimators.total_reward_weights(batch.rewards, batch.mask),
        "rewards_to_go": to_go(batch, 0.9),
        "batch_mean_advantages": estimators.batch_mean_advantages(returns, batch.mask),
        "leave_one_out_advantages": estimators.leave_one_out_advantages(returns, batch.mask),
        "state_value_advantages": estimators.state_value_advantages(returns, values, batch.mask),
        "standardised": estimators.divided_by_deviation(values, batch.mask),
        "log_ratios": estimators.log_ratios(**ratios),
        "trajectory_log_ratio": estimators.trajectory_log_ratio(**ratios),
        "whole_trajectory_weights": estimators.whole_trajectory_weights(returns=returns, **ratios),
        "per_decision_weights": estimators.per_decision_weights(rewards=values, **ratios),
        "first_order_weights": estimators.first_order_weights(rewards_to_go=returns, **ratios),
    }


@pytest.mark.parametrize("filler", [math.nan, math.inf, 1e300])
def test_padding_changes_no_array(filler):
    batch = random_batch(0)
    got, expected = array_functions(batch, filler), array_functions(batch, 0.0)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
        assert np.isfinite(got[name]).all(), name
        if got[name].ndim == 2:
            assert not got[name][~batch.mask].any(), name


@every_policy
def test_padding_changes_no_gradient(build, shapes):
    policy, batch = shaken(build()), random_batch(0, **shapes)
    longer = with_garbage(batch)
    for one, other, filler in ((batch, batch, math.nan), (batch, longer, math.nan), (batch, longer, 1e300)):
        weights = np.ones(one.mask.shape)
        spoiled = np.where(other.mask, 1, filler)
        close(estimators.gradients(policy, other, spoiled), estimators.gradients(policy, one, weights))
        loss = estimators.surrogate_loss(policy, other, spoiled).item()
        assert loss == pytest.approx(estimators.surrogate_loss(policy, one, weights).item(), abs=EXACT)
        horizon = one.mask.shape[1]
        for compute in (estimators.log_probs, estimators.scores):
            got, expected = compute(policy, other).detach(), compute(policy, one).detach()
            close(got[:, :horizon], expected)
            assert not got[~other.mask].any()


# Exact expectations: ∇J itself

UNBIASED = {
    "the total reward": lambda batch: estimators.total_reward_weights(batch.rewards, batch.mask),
    "rewards to go": to_go,
    "to go, leave one out": lambda batch: estimators.leave_one_out_advantages(to_go(batch), batch.mask),
    "the total, leave one out": lambda batch: estimators.leave_one_out_advantages(totals(batch))[:, None] * batch.mask,
}
BIASED = {
    "to go, batch mean": lambda batch: estimators.batch_mean_advantages(to_go(batch), batch.mask),
    "the total, batch mean": lambda batch: estimators.batch_mean_advantages(totals(batch))[:, None] * batch.mask,
}


def sizes(model):
    return (1, 2, 3) if model is TINY_MDPS["quit"] else (1, 2)  # 10³ batches are quickly listed, 30³ are not


@tiny_mdps
@pytest.mark.parametrize("name", UNBIASED)
def test_the_mean_of_an_unbiased_estimator_is_the_gradient(model, name):
    policy = table_for(model)
    for batch_size in sizes(model):
        if (name, batch_size) != ("the total, leave one out", 1):  # nothing is left there
            close(expectation(model, policy, UNBIASED[name], batch_size)[0], gradient(model, policy))


@tiny_mdps
@pytest.mark.parametrize("name", BIASED)
def test_a_batch_mean_loses_one_part_in_n(model, name):
    policy = table_for(model)
    for n in sizes(model):
        close(expectation(model, policy, BIASED[name], n)[0], (n - 1) / n * gradient(model, policy))


@pytest.mark.parametrize(
    "kind", [policies.LinearSoftmax, lambda s, a: policies.MLP(s, a, np.random.default_rng(0), (3,))]
)
@pytest.mark.parametrize("name", ["the total reward", "rewards to go"])
def test_networks_are_estimated_without_bias_too(kind, name):
    model = TINY_MDPS["two ends"]
    policy = shaken(kind(model.num_states, model.num_actions))
    close(expectation(model, policy, UNBIASED[name])[0], exact.gradient(model, policy))


@tiny_mdps
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_a_discount_is_unbiased_where_every_gamma_is_kept(model, discount):
    policy = table_for(model)
    kept, dropped = (
        lambda batch: discount ** np.arange(batch.mask.shape[1]) * to_go(batch, discount),
        lambda batch: to_go(batch, discount),
    )
    close(expectation(model, policy, kept)[0], gradient(model, policy, discount))
    bias = expectation(model, policy, dropped)[0].numpy() - gradient(model, policy, discount)
    assert (np.abs(bias).max() > 1e-3) == (discount not in (1, 0) or (discount == 0 and model.horizon > 1))


@tiny_mdps
def test_a_state_value_baseline_does_not_bias(model):
    policy = table_for(model)
    v = exact.values(model, policy)[0].detach().numpy()

    def advantages(batch):
        promised = v[np.arange(model.horizon), np.where(batch.mask, batch.observations, 0)]
        return estimators.state_value_advantages(to_go(batch), promised, batch.mask)

    close(expectation(model, policy, advantages)[0], gradient(model, policy))


# The constants of least variance


def population(model, policy):
    listed, probabilities = exact.trajectories(model, policy)
    return listed, probabilities.detach().numpy(), estimators.scores(policy, listed).numpy()


@tiny_mdps
def test_the_optimal_constant_minimises_the_trace(model):
    policy = table_for(model)
    listed, probabilities, scores = population(model, policy)
    g = scores.sum(1)
    b = estimators.optimal_constant_baseline(g, totals(listed), probabilities)

    def moments(constant):
        return expectation(model, policy, lambda batch: (totals(batch) - constant)[:, None] * batch.mask)

    squared_norm = probabilities @ (g**2).sum(1)  # the trace is a parabola in b, of this curvature
    least = moments(b)[1].trace().item()
    for shift in (-0.5, 0.5):
        mean, covariance = moments(b + shift)
        close(mean, gradient(model, policy))
        assert covariance.trace().item() == pytest.approx(least + shift**2 * squared_norm, rel=1e-9)
        assert covariance.trace() > least


@tiny_mdps
def test_the_optimal_constants_over_time_minimise_the_trace(model):
    policy = table_for(model)
    listed, probabilities, scores = population(model, policy)
    b = estimators.optimal_time_baseline(scores, to_go(listed), probabilities)
    assert b.shape == (model.horizon,)

    def moments(constants):
        return expectation(model, policy, lambda batch: (to_go(batch) - constants) * batch.mask)

    squared_norms = probabilities @ (scores**2).sum(2)
    least = moments(b)[1].trace().item()
    for t in range(model.horizon):
        for shift in (-0.5, 0.5):
            mean, covariance = moments(b + shift * np.eye(model.horizon)[t])
            close(mean, gradient(model, policy))
            assert covariance.trace().item() == pytest.approx(least + shift**2 * squared_norms[t], rel=1e-9)
            assert covariance.trace() > least


def test_optimal_baselines_of_a_sample_weigh_its_trajectories_alike():
    batch, policy = random_batch(0), shaken(policies.SoftmaxTable(3, 2))
    scores, alike = estimators.scores(policy, batch).numpy(), np.full(len(batch), 1 / len(batch))
    for compute, values, g in (
        (estimators.optimal_constant_baseline, totals(batch), scores.sum(1)),
        (estimators.optimal_time_baseline, to_go(batch), scores),
    ):
        close(compute(g, values), compute(g, values, alike))
    squared = (scores.sum(1) ** 2).sum(1)
    close(
        estimators.optimal_constant_baseline(scores.sum(1), totals(batch)),
        sum(squared * totals(batch)) / sum(squared),
    )


def test_without_any_score_the_optimal_baseline_is_zero():
    assert estimators.optimal_constant_baseline(np.zeros((2, 3)), np.ones(2)) == 0
    assert estimators.optimal_time_baseline(np.zeros((2, 2, 3)), np.ones((2, 2))).tolist() == [0, 0]


# Off-policy: sampled from one table, the gradient wanted of another


def off_policy(model, target, policy, weights):
    """Exact mean of the target's scores times weights(new_log_probs, old_log_probs, batch), sampled by `policy`."""

    def estimator(batch):
        new, old = (estimators.log_probs(p, batch).detach().numpy() for p in (target, policy))
        return estimators.gradients(target, batch, weights(new, old, batch))

    return exact.moments(estimator, model, policy, target=target)[0]


IMPORTANCE = {
    "whole trajectory, total reward": lambda new, old, batch: estimators.whole_trajectory_weights(
        new, old, estimators.total_reward_weights(batch.rewards, batch.mask), batch.mask
    ),
    "whole trajectory, to go": lambda new, old, batch: estimators.whole_trajectory_weights(
        new, old, to_go(batch), batch.mask
    ),
    "per decision": lambda new, old, batch: estimators.per_decision_weights(new, old, batch.rewards, batch.mask),
}


def first_order(new, old, batch):
    return estimators.first_order_weights(new, old, to_go(batch), batch.mask)


@tiny_mdps
@pytest.mark.parametrize("weights", IMPORTANCE.values(), ids=IMPORTANCE)
def test_importance_weights_give_the_targets_gradient(model, weights):
    target, policy = table_for(model, seed=0), table_for(model, seed=1)
    close(off_policy(model, target, policy, weights), gradient(model, target))


@tiny_mdps
def test_the_first_order_form_is_exact_only_on_policy(model):
    target, policy = table_for(model, seed=0), table_for(model, seed=1)
    close(off_policy(model, target, target, first_order), gradient(model, target))

    new, old = ([witnesses.softmax(row) for row in p.theta.tolist()] for p in (target, policy))
    expected = np.zeros(model.r.size)  # Σ_τ π_old(τ) Σ_t ρ_t g_t G_t, one path at a time
    for p, steps, _ in witnesses.paths(model, old):
        for t, (s, a, _) in enumerate(steps):
            score = witnesses.softmax_score(target.theta.tolist(), steps[t : t + 1]).ravel()
            expected += p * new[s][a] / old[s][a] * score * witnesses.discounted(steps[t:])
    got = off_policy(model, target, policy, first_order)
    close(got, expected)
    assert np.abs(got.numpy() - gradient(model, target)).max() > 1e-2


@pytest.mark.parametrize("weights", [*IMPORTANCE.values(), first_order], ids=[*IMPORTANCE, "first order"])
def test_a_target_that_is_not_covered_is_refused(weights):
    model = TINY_MDPS["quit"]
    one_sided = policies.SoftmaxTable(2, 2, np.array([[0.0, -1e4], [0.0, 0.0]]))  # exp(−10⁴) is 0
    with pytest.raises(ValueError, match=r"target takes states \[0\] with actions \[1\], which policy never does"):
        off_policy(model, table_for(model), one_sided, weights)


# Sampled gradients against the exact one


@pytest.mark.parametrize("name", ["the total reward", "rewards to go", "to go, leave one out"])
@pytest.mark.parametrize("kind", ["table", "MLP"])
def test_sampled_gradients_agree_with_the_exact_one(name, kind):
    model = mdp.slippery_grid()
    build = {
        "table": lambda: policies.SoftmaxTable(6, 4),
        "MLP": lambda: policies.MLP(6, 4, np.random.default_rng(0), hidden=(4,)),
    }
    policy = shaken(build[kind]())
    envs = rollouts.make("pgcourse/SlipperyGrid-v0", 100)
    batch = rollouts.collect(envs, policy, 4000, np.random.default_rng(0))
    samples, truth = rows(policy, UNBIASED[name])(batch).numpy(), exact.gradient(model, policy).numpy()
    assert np.abs(witnesses.z_scores(samples, truth)).max() < witnesses.Z_LIMIT
    # n = 4000 makes ∇J some 20 standard errors long, half of that on a random direction: enough to see a half missing
    for wrong in (0.5 * truth, -truth):
        assert np.abs(witnesses.z_scores(samples, wrong)).max() > witnesses.Z_LIMIT


# Bad input

ALIVE = np.ones((2, 3), dtype=bool)
ZEROS = np.zeros((2, 3))


@pytest.mark.parametrize("discount", [-0.1, 1.1, math.nan, math.inf])
def test_a_discount_outside_its_range_is_refused(discount):
    with pytest.raises(ValueError, match=rf"discount is {discount}, expected a number in \[0, 1\]"):
        estimators.rewards_to_go(ZEROS, ALIVE, discount)


MASKED = {
    "rewards": (
        estimators.total_reward,
        estimators.total_reward_weights,
        estimators.rewards_to_go,
        partial(estimators.per_decision_weights, ZEROS, ZEROS),
    ),
    "returns": (
        estimators.batch_mean_advantages,
        estimators.leave_one_out_advantages,
        lambda values, mask: estimators.state_value_advantages(values, np.zeros(mask.shape), mask),
        partial(estimators.whole_trajectory_weights, ZEROS, ZEROS),
    ),
    "rewards_to_go": (partial(estimators.first_order_weights, ZEROS, ZEROS),),
    "values": (lambda values, mask: estimators.state_value_advantages(np.zeros(mask.shape), values, mask),),
    "advantages": (estimators.divided_by_deviation,),
    "new_log_probs": (lambda values, mask: estimators.log_ratios(values, np.zeros(mask.shape), mask),),
    "old_log_probs": (lambda values, mask: estimators.trajectory_log_ratio(np.zeros(mask.shape), values, mask),),
}


@pytest.mark.parametrize(
    ("name", "compute"),
    [(name, compute) for name, functions in MASKED.items() for compute in functions],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (np.zeros((2, 4)), ALIVE, r"{} has shape \(2, 4\), expected .*\(2, 3\)"),
        (np.zeros((2, 1)), ALIVE, r"{} has shape \(2, 1\), expected .*\(2, 3\)"),
        (ZEROS, np.ones((2, 3)), r"mask .*float64.*expected .*bool"),
        (np.zeros(3), np.ones(3, dtype=bool), r"\(3,\).*expected .*\(N, T\)"),
        (np.zeros((0, 3)), np.ones((0, 3), dtype=bool), r"\(0, 3\).*expected"),
    ],
    ids=["too long", "too short", "mask of floats", "one axis", "empty batch"],
)
def test_shapes_that_do_not_fit_the_mask_are_named(name, compute, values, mask, message):
    with pytest.raises(ValueError, match=message.replace("{}", name)):
        compute(values, mask)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: estimators.leave_one_out_advantages([1.0]), "returns has 1 trajectory, expected 2 or more"),
        (lambda: estimators.leave_one_out_advantages(ZEROS), r"returns has shape \(2, 3\), expected \(N,\)"),
        (lambda: estimators.batch_mean_advantages(ZEROS), r"returns has shape \(2, 3\), expected \(N,\)"),
        (lambda: estimators.batch_mean_advantages([]), r"returns has .*0.*, expected"),
        (lambda: estimators.effective_sample_size([]), r"log_weights has .*0.*, expected"),
        (lambda: estimators.effective_sample_size(ZEROS), r"log_weights has shape \(2, 3\), expected \(N,\)"),
        (
            lambda: estimators.optimal_constant_baseline(np.ones(2), np.ones(2)),
            r"scores has shape \(2,\), expected \(N, P\)",
        ),
        (lambda: estimators.optimal_time_baseline(ZEROS, ZEROS), r"scores has shape \(2, 3\), expected \(N, T, P\)"),
        (
            lambda: estimators.optimal_constant_baseline(ZEROS, np.ones((2, 1))),
            r"returns has shape \(2, 1\), expected .*\(2,\)",
        ),
        (
            lambda: estimators.optimal_constant_baseline(ZEROS, np.ones(3)),
            r"returns has shape \(3,\), expected .*\(2,\)",
        ),
        (
            lambda: estimators.optimal_constant_baseline(ZEROS, np.ones(2), np.ones(3)),
            r"probabilities has shape \(3,\), expected .*\(2,\)",
        ),
        (
            lambda: estimators.optimal_time_baseline(np.zeros((2, 3, 4)), np.ones((2, 1))),
            r"weights has shape \(2, 1\), expected .*\(2, 3\)",
        ),
        (
            lambda: estimators.gradients(policies.SoftmaxTable(3, 2), random_batch(0), np.ones(5)),
            r"weights has shape \(5,\), expected .*\(5, 4\)",
        ),
        (
            lambda: estimators.surrogate_loss(policies.SoftmaxTable(3, 2), random_batch(0), np.ones((5, 1))),
            r"weights has shape \(5, 1\), expected .*\(5, 4\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(compute, message):
    with pytest.raises(ValueError, match=message):
        compute()


def test_samples_of_these_tests_have_random_lengths():
    for model in TINY_MDPS.values():
        lengths = sample(model, table_for(model), 50).lengths
        assert (len(set(lengths)) > 1) == (model is not TINY_MDPS["no end"])
