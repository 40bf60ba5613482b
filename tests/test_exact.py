import math

import numpy as np
import pytest
import torch
import witnesses
from hypothesis import given
from hypothesis import strategies as st
from inputs import EXAMPLES, TINY_MDPS, build_mdp, mdps, sample, shaken, table_for

from pgcourse import exact, mdp, policies
from pgcourse.finite_differences import central_differences, error_bound

# Sums of at most a few thousand products of numbers of order one, each rounded to 2e-16
EXACT = 1e-10
DISCOUNTS = (0.0, 0.5, 1.0)
MODELS = TINY_MDPS | {
    "a horizon of one": build_mdp(4, horizon=1),
    "a long way": build_mdp(5, num_states=3, horizon=4, num_terminal=1, sparsity=0.8),
    "three ends": build_mdp(6, num_states=5, num_actions=3, horizon=2, num_terminal=3),
    "random_mdp": mdp.random_mdp(np.random.default_rng(7), num_states=4, num_actions=2, horizon=3),
    "corridor": mdp.corridor(length=3, horizon=5),
    "grid": mdp.slippery_grid(horizon=2),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
any_seed, any_discount = st.integers(0, 2**32 - 1), st.floats(0, 1)


def close(got, expected, tolerance=EXACT):
    got = got.detach() if torch.is_tensor(got) else got
    np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=tolerance)


def networks(model):
    """Policies of every discrete kind that takes states, their weights far from the uniform beginning."""
    sizes = model.num_states, model.num_actions
    deep = policies.MLP(*sizes, np.random.default_rng(0), hidden=(3,))
    return {"table": table_for(model), "linear": shaken(policies.LinearSoftmax(*sizes)), "MLP": shaken(deep)}


def flat(gradients):
    return torch.cat([g.reshape(-1) for g in gradients])


# J, V, Q and d against the sum over paths


@EXAMPLES
@given(mdps(), any_seed, any_discount)
def test_everything_agrees_with_the_sum_over_paths(model, seed, discount):
    policy = table_for(model, seed)
    probs = [witnesses.softmax(row) for row in policy.theta.tolist()]
    states, actions, times = range(model.num_states), range(model.num_actions), range(model.horizon)
    for given_as in (policy, policy(torch.arange(model.num_states)).probs, np.array(probs)):
        close(exact.objective(model, given_as, discount), witnesses.objective(model, probs, discount))
    v, q = exact.values(model, policy, discount)
    close(v, [[witnesses.objective(model, probs, discount, s, t) for s in states] for t in times])
    close(
        q, [[[witnesses.action_value(model, probs, s, a, t, discount) for a in actions] for s in states] for t in times]
    )
    close(exact.occupancy(model, policy), witnesses.occupancy(model, probs))
    close(exact.gradient(model, policy, discount), witnesses.softmax_gradient(model, policy.theta.tolist(), discount))


@models
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_objective_of_named_models(model, discount):
    probs = networks(model)["linear"](torch.arange(model.num_states)).probs.detach().numpy()
    close(exact.objective(model, probs, discount), witnesses.objective(model, probs, discount))


def test_a_table_of_plain_numbers_keeps_all_its_digits():
    probs = [[0.1, 0.9], [0.3, 0.7]]
    assert exact.objective(mdp.two_armed(), probs).item() == pytest.approx(0.1 + 2 * 0.9, abs=1e-15)
    assert exact.trajectories(mdp.two_armed(), probs)[1].tolist() == pytest.approx([0.1, 0.9], abs=1e-15)


class InFloat32(torch.nn.Module):
    """A policy as torch builds it unless told otherwise."""

    def __init__(self, model, seed):
        super().__init__()
        theta = np.random.default_rng(seed).normal(size=model.r.shape)
        self.theta = torch.nn.Parameter(torch.tensor(theta, dtype=torch.float32))

    def forward(self, states):
        return torch.distributions.Categorical(logits=self.theta[states])


@pytest.mark.parametrize("seed", range(5))
def test_a_policy_in_float32_is_evaluated_in_float64(seed):
    model = mdp.slippery_grid(horizon=2)
    policy = InFloat32(model, seed)
    rounded = policy(torch.arange(model.num_states)).probs.tolist()  # to 6e-8: rows sum to one only as closely
    probs = [[p / sum(row) for p in row] for row in rounded]
    objective, (_, probabilities) = exact.objective(model, policy), exact.trajectories(model, policy)
    mean, _ = exact.moments(lambda batch: batch.total_rewards[:, None], model, policy)
    assert objective.dtype == probabilities.dtype == mean.dtype == torch.float64
    for j in (objective, mean[0]):
        close(j, witnesses.objective(model, probs))


def test_objectives_by_hand():
    always = {a: np.eye(2)[np.full(5, a)] for a in (0, 1)}
    assert exact.objective(mdp.two_armed(), [[0.25, 0.75], [0.5, 0.5]]) == 1.75
    assert exact.objective(mdp.corridor(), always[1]) == 6
    assert exact.objective(mdp.corridor(), always[0]) == -8
    assert exact.objective(mdp.corridor(), always[1], discount=0.5) == -1 - 0.5 - 0.25 + 9 / 8
    assert exact.objective(mdp.corridor(horizon=3), always[1]) == -3


# Every trajectory


@EXAMPLES
@given(mdps(), any_seed)
def test_the_list_is_every_trajectory_once(model, seed):
    policy = table_for(model, seed)
    probs = [witnesses.softmax(row) for row in policy.theta.tolist()]
    listed, probabilities = exact.trajectories(model, policy)
    rows = {}
    for i, p in enumerate(probabilities.tolist()):
        steps = zip(listed.observations[i], listed.actions[i], listed.rewards[i], listed.mask[i], strict=True)
        row = tuple((int(s), int(a), float(r)) for s, a, r, alive in steps if alive), bool(listed.terminated[i])
        assert row not in rows
        rows[row] = p
    expected = witnesses.trajectories(model, probs)
    assert rows.keys() == expected.keys()
    close([rows[row] for row in expected], list(expected.values()))
    assert exact.count_trajectories(model) == len(listed) == len(expected)
    close(probabilities.sum(), 1)


@models
def test_without_a_policy_the_probabilities_are_the_dynamics_alone(model):
    listed, dynamics = exact.trajectories(model)
    anything_goes = np.ones(model.r.shape)
    close(dynamics.sum(), sum(witnesses.trajectories(model, anything_goes).values()))
    probs = np.random.default_rng(0).dirichlet(np.ones(model.num_actions), model.num_states)
    taken = [probs[listed.observations[i][m], listed.actions[i][m]].prod() for i, m in enumerate(listed.mask)]
    close(exact.trajectories(model, probs)[1], dynamics.numpy() * taken)


def test_a_list_too_long_is_refused_with_its_length():
    # corridor: 2 actions, and 8 steps less those paths that left through the exit early: 217 by the witness
    count = len(witnesses.trajectories(mdp.corridor(), np.ones((5, 2))))
    assert count == exact.count_trajectories(mdp.corridor())
    assert len(exact.trajectories(mdp.corridor(), limit=count)[0]) == count
    with pytest.raises(ValueError, match=rf"there are {count} trajectories, too many to list \(limit {count - 1}\)"):
        exact.trajectories(mdp.corridor(), limit=count - 1)


def test_counting_does_not_list():
    endless = mdp.TabularMDP(np.full((2, 3, 2), 0.5), np.ones((2, 3)), [0.5, 0.5], horizon=100)
    assert exact.count_trajectories(endless) == 2 * 3 * 6**99  # the last step's target is not told apart
    with pytest.raises(ValueError, match=f"there are {2 * 3 * 6**99:,} trajectories, too many"):
        exact.trajectories(endless)


# ∇J


@models
@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("kind", ["table", "linear", "MLP"])
def test_the_gradient_three_ways(model, discount, kind):
    policy = networks(model)[kind]
    parameters = list(policy.parameters())
    by_theorem = exact.gradient(model, policy, discount)

    objective = exact.objective(model, policy, discount)
    close(flat(torch.autograd.grad(objective, parameters)), by_theorem)

    listed, probabilities = exact.trajectories(model, policy)
    returns = (np.where(listed.mask, listed.rewards, 0) * discount ** np.arange(model.horizon)).sum(1)
    close(flat(torch.autograd.grad(probabilities @ torch.tensor(returns), parameters)), by_theorem)

    def of_parameters(theta):
        names, sizes = [name for name, _ in policy.named_parameters()], [p.numel() for p in parameters]
        pieces = (piece.reshape(p.shape) for piece, p in zip(theta.split(sizes), parameters, strict=True))
        states = torch.arange(model.num_states)
        distribution = torch.func.functional_call(policy, dict(zip(names, pieces, strict=True)), (states,))
        return exact.objective(model, distribution.probs, discount)

    differences = central_differences(of_parameters, flat(parameters))
    error = (differences - by_theorem).abs()
    assert error.max() <= 1e-8 * max(1, abs(objective.item()))
    assert (error <= error_bound(of_parameters, flat(parameters))).all()


@models
def test_a_table_of_probabilities_is_differentiated_entry_by_entry(model):
    probs = networks(model)["table"](torch.arange(model.num_states)).probs.detach().requires_grad_()
    objective = exact.objective(model, probs)
    (by_autograd,) = torch.autograd.grad(objective, probs)
    error = (central_differences(lambda p: exact.objective(model, p), probs) - by_autograd).abs()
    assert error.max() <= 1e-8 * max(1, abs(objective.item()))


def test_a_parameter_that_does_nothing_has_gradient_zero():
    policy = table_for(mdp.two_armed())
    policy.idle = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    assert exact.gradient(mdp.two_armed(), policy).tolist()[4:] == [0, 0, 0]


# The exact expectation of an estimator


def own_rows(batch):
    """Some function of each trajectory alone, (N, 3)."""
    steps = np.where(batch.mask, batch.rewards * (1 + batch.actions), 0)
    return np.stack([batch.total_rewards, batch.lengths**2, steps.sum(1) * batch.terminated], 1)


def mixed_rows(batch):
    """Rows that depend on each other, and on their place in the batch."""
    rows = own_rows(batch)
    return rows * rows.max(0) + np.arange(len(batch))[:, None] * rows[0]


@pytest.mark.parametrize("model", TINY_MDPS.values(), ids=TINY_MDPS)
@pytest.mark.parametrize("rows", [own_rows, mixed_rows])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_mean_and_covariance_are_sums_over_all_batches(model, rows, batch_size):
    policy = table_for(model)
    listed, probabilities = exact.trajectories(model, policy)
    mean, covariance = exact.moments(rows, model, policy, batch_size)
    expected = witnesses.moments(lambda batch: rows(listed[list(batch)]), probabilities.tolist(), batch_size)
    close(mean, expected[0])
    close(covariance, expected[1])
    assert mean.dtype == covariance.dtype == torch.float64


def test_a_batch_of_three_is_listed_too():
    model, policy = TINY_MDPS["quit"], table_for(TINY_MDPS["quit"])
    listed, probabilities = exact.trajectories(model, policy)
    mean, covariance = exact.moments(mixed_rows, model, policy, 3)
    expected = witnesses.moments(lambda batch: mixed_rows(listed[list(batch)]), probabilities.tolist(), 3)
    close(mean, expected[0])
    close(covariance, expected[1])


@pytest.mark.parametrize("batch_size", [2, 3])
def test_independent_rows_vary_with_one_over_n(batch_size):
    model, policy = TINY_MDPS["quit"], table_for(TINY_MDPS["quit"])
    mean, covariance = exact.moments(own_rows, model, policy)
    batch_mean, batch_covariance = exact.moments(own_rows, model, policy, batch_size)
    close(batch_mean, mean)
    close(batch_covariance, covariance / batch_size)


def test_tensors_and_tables_will_do():
    model, probs = TINY_MDPS["quit"], np.array([[0.3, 0.7], [0.5, 0.5]])
    mean, _ = exact.moments(lambda b: torch.tensor(own_rows(b)).float().requires_grad_(), model, probs)
    assert (mean.dtype, mean.requires_grad) == (torch.float64, False)
    close(mean[0], witnesses.objective(model, probs), tolerance=1e-6)  # the rows were rounded to float32


def test_what_the_policy_never_does_is_left_out():
    model, seen = TINY_MDPS["quit"], []
    exact.moments(lambda b: seen.extend(b.actions[b.mask]) or b.rewards, model, [[0, 1], [0, 1]])
    assert set(seen) == {1}


@pytest.mark.parametrize("limit", [99, 100])
def test_too_many_batches_are_refused_with_their_number(limit):
    def run():
        return exact.moments(own_rows, TINY_MDPS["quit"], table_for(TINY_MDPS["quit"]), 2, limit=limit)

    if limit == 100:
        run()
    else:
        with pytest.raises(ValueError, match=r"there are 10\^2 = 100 batches of 2, too many to list \(limit 99\)"):
            run()


# A target that the sampling policy does not cover


@pytest.mark.parametrize("never", [0, 1])
def test_a_target_beyond_the_policys_reach_is_refused(never):
    model, policy = TINY_MDPS["quit"], np.eye(2)[[1 - never, 1 - never]]
    with pytest.raises(
        ValueError, match=rf"target takes states \[0\] with actions \[{never}\], which policy never does"
    ):
        exact.moments(own_rows, model, policy, target=table_for(model))


def test_a_target_within_the_policys_reach_changes_nothing():
    model, policy = TINY_MDPS["quit"], table_for(TINY_MDPS["quit"])
    with_target = exact.moments(own_rows, model, policy, target=np.eye(2)[[1, 1]])
    for got, expected in zip(with_target, exact.moments(own_rows, model, policy), strict=True):
        assert torch.equal(got, expected)


# Bad input

CORRIDOR = mdp.corridor()
UNIFORM = np.full((5, 2), 0.5)
NAN = UNIFORM * math.nan
NEGATIVE = UNIFORM + [[-1, 1]] * 5


@pytest.mark.parametrize("discount", [-0.1, 1.1, math.nan, math.inf])
@pytest.mark.parametrize("compute", [exact.values, exact.objective, exact.gradient])
def test_a_discount_outside_its_range_is_refused(compute, discount):
    with pytest.raises(ValueError, match=rf"discount is {discount}, expected a number in \[0, 1\]"):
        compute(CORRIDOR, policies.SoftmaxTable(5, 2), discount)


def expected_rows(model, policy):
    return exact.moments(own_rows, model, policy)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.SoftmaxTable(5, 3), r"policy .*\(5, 3\), expected .*\(5, 2\)"),
        (policies.SoftmaxTable(4, 2), r"policy .*4.*, expected .*5"),
        (policies.SoftmaxTable(6, 2), r"policy .*6.*, expected .*5"),
        (policies.LinearSoftmax(4, 2), r"policy .*4.*, expected .*5"),
        (policies.LinearSoftmax(6, 2), r"policy .*6.*, expected .*5"),
        (policies.Gaussian(5, 1, np.random.default_rng(0)), r"policy .*Gaussian.*, expected "),
    ],
    ids=["an action too many", "a state missing", "a state too many", "a feature missing", "one too many", "Gaussian"],
)
def test_a_policy_that_does_not_fit_is_refused(policy, message):
    for compute in (exact.values, exact.objective, exact.occupancy, exact.gradient, exact.trajectories, expected_rows):
        with pytest.raises(ValueError, match=message):
            compute(CORRIDOR, policy)


@pytest.mark.parametrize(
    ("compute", "table", "message"),
    [
        (exact.objective, UNIFORM[:4], r"policy has probabilities of shape \(4, 2\), expected \(S, A\) = \(5, 2\)"),
        (exact.objective, NAN, r"\[0, 0\] is nan, expected a"),
        (exact.trajectories, NAN, r"\[0, 0\] is nan, expected a"),
        (expected_rows, NAN, r"\[0, 0\] is nan, expected a"),
        (expected_rows, NEGATIVE, r"\[0, 0\] is -0\.5, expected a probability"),
        (expected_rows, UNIFORM / 2, r"\[0\] sums to 0\.5, not 1"),
        (exact.gradient, UNIFORM, "policy is a ndarray, expected a policy module"),
    ],
    ids=["shape", "nan J", "nan list", "nan expectation", "negative", "not normalised", "gradient"],
)
def test_a_table_that_is_no_policy_is_refused(compute, table, message):
    with pytest.raises(ValueError, match=message):
        compute(CORRIDOR, table)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0, expected 1 or more"),
        ({"estimator": lambda b: b.total_rewards}, r"estimator returned shape \(1,\), expected \(N, P\) with N = 1"),
        ({"estimator": lambda b: np.zeros((3, 2))}, r"estimator returned shape \(3, 2\), expected .*N = 1"),
    ],
    ids=["no batch", "no parameters", "other rows"],
)
def test_an_impossible_expectation_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        exact.moments(**({"estimator": own_rows, "mdp": CORRIDOR, "policy": UNIFORM} | changes))


def test_the_exact_probabilities_drive_the_samples_of_these_tests():
    model, policy = TINY_MDPS["two ends"], table_for(TINY_MDPS["two ends"])
    listed, probabilities = exact.trajectories(model, policy)
    mean = probabilities.detach().numpy() @ listed.total_rewards
    drawn = sample(model, policy, 4000).total_rewards[:, None]
    assert np.abs(witnesses.z_scores(drawn, np.array([mean]))).max() < witnesses.Z_LIMIT
