import copy
import io
import math

import numpy as np
import pytest
import torch
from inputs import shaken
from witnesses import Z_LIMIT, chi_square_excess, softmax, z_scores

from pgcourse import policies


def rng(seed=0):
    return np.random.default_rng(seed)


STATES, VECTORS, PICTURES = np.array([0, 2, 1, 2]), rng().normal(size=(4, 3)), rng().normal(size=(4, 5, 4, 2))
DISCRETE = {
    "table": (lambda: policies.SoftmaxTable(3, 4), STATES),
    "linear": (lambda: policies.LinearSoftmax(3, 4), VECTORS),
    "linear on states": (lambda: policies.LinearSoftmax(3, 4), STATES),
    "MLP": (lambda: policies.MLP(3, 4, rng()), VECTORS),
    "MLP of no hidden layer on states": (lambda: policies.MLP(3, 4, rng(), hidden=()), STATES),
    "MLP of two hidden layers": (lambda: policies.MLP(3, 4, rng(), hidden=(5, 6)), VECTORS.astype(np.float32)),
    "convolutional": (lambda: policies.Convolutional((5, 4, 2), 4, rng(), channels=3, hidden=6), PICTURES),
}
CONTINUOUS = {
    "Gaussian": (lambda: policies.Gaussian(3, 2, rng(), hidden=(5,)), VECTORS),
    "linear Gaussian on states": (lambda: policies.Gaussian(3, 2, rng(), hidden=()), STATES),
}
discrete = pytest.mark.parametrize(("build", "observations"), DISCRETE.values(), ids=DISCRETE)
continuous = pytest.mark.parametrize(("build", "observations"), CONTINUOUS.values(), ids=CONTINUOUS)
every = pytest.mark.parametrize(
    ("build", "observations"), [*DISCRETE.values(), *CONTINUOUS.values()], ids=[*DISCRETE, *CONTINUOUS]
)


# The distribution


def by_hand_table(policy, states):
    return [policy.theta[s].tolist() for s in states]


def by_hand_layers(policy, observations):
    """Weights and biases read in order; tanh between the layers; states made one-hot by hand."""
    parameters = [p.detach().numpy() for p in policy.network.parameters()]
    x = np.asarray(observations, dtype=float)
    x = np.array([[float(s == f) for f in range(3)] for s in x]) if x.ndim == 1 else x
    for depth in range(0, len(parameters), 2):
        x = np.einsum("ni,oi->no", np.tanh(x) if depth else x, parameters[depth]) + parameters[depth + 1]
    return x


def by_hand_convolutional(policy, pictures):
    """A 3 × 3 convolution as nine shifted sums over a frame of zeros, channels first only when flattened."""
    w1, b1, w2, b2, *head = (p.detach().numpy() for p in policy.network.parameters())
    x = pictures
    for w, b in ((w1, b1), (w2, b2)):
        framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        _, height, width, _ = x.shape
        windows = ((i, j, framed[:, i : i + height, j : j + width]) for i in range(3) for j in range(3))
        x = np.maximum(0, sum(window @ w[:, :, i, j].T for i, j, window in windows) + b)
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return np.tanh(x @ head[0].T + head[1]) @ head[2].T + head[3]


@discrete
def test_probabilities_are_the_softmax_of_the_logits_by_hand(build, observations):
    policy = shaken(build())
    kinds = {policies.SoftmaxTable: by_hand_table, policies.Convolutional: by_hand_convolutional}
    logits = kinds.get(type(policy), by_hand_layers)(policy, observations)
    distribution = policy(observations)
    assert isinstance(distribution, torch.distributions.Distribution)
    assert distribution.probs.dtype == torch.float64
    expected = np.array([softmax(row) for row in logits])
    np.testing.assert_allclose(distribution.probs.detach().numpy(), expected, atol=1e-12)  # sums of < 100 terms
    taken = distribution.log_prob(torch.tensor([3, 0, 1, 2])).detach().numpy()
    np.testing.assert_allclose(taken, np.log(expected[range(4), [3, 0, 1, 2]]), atol=1e-12)


@continuous
def test_gaussian_density_by_hand(build, observations):
    policy = shaken(build())
    mean, log_std = by_hand_layers(policy, observations), policy.log_std.tolist()
    actions = rng(2).normal(size=mean.shape)
    expected = [
        sum(
            -0.5 * ((a - m) / math.exp(ls)) ** 2 - ls - 0.5 * math.log(2 * math.pi)
            for a, m, ls in zip(actions[i], mean[i], log_std, strict=True)
        )
        for i in range(len(mean))
    ]
    log_probs = policy(observations).log_prob(torch.as_tensor(actions))
    np.testing.assert_allclose(log_probs.detach().numpy(), expected, atol=1e-12)


@every
def test_numpy_and_tensor_observations_give_the_same(build, observations):
    policy = shaken(build())
    mean = "probs" if hasattr(policy, "num_actions") else "mean"
    one, other = (getattr(policy(o), mean).tolist() for o in (observations, torch.as_tensor(observations)))
    assert one == other


@discrete
def test_the_first_policy_is_almost_uniform(build, observations):
    probs = build()(observations).probs.detach().numpy()
    # logits ≤ 0.01 Σ|h| / √H: below 0.06 for H ≤ 32 tanh units, a little more for pictures
    np.testing.assert_allclose(probs, 0.25, atol=0.05)


@every
def test_weights_come_from_the_generator_given(build, observations):
    one, same = (torch.cat([p.flatten() for p in build().parameters()]) for _ in range(2))
    assert torch.equal(one, same)


def test_building_a_policy_leaves_the_global_generator_of_torch_alone():
    before = torch.get_rng_state()
    for build, _ in [*DISCRETE.values(), *CONTINUOUS.values()]:
        build()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("build", [lambda g: policies.MLP(3, 2, g), lambda g: policies.Gaussian(3, 2, g)])
def test_weights_are_uniform_between_their_bounds_and_biases_zero(build):
    one, other = build(rng(0)), build(rng(1))
    first, last = one.network[0], one.network[-1]
    assert not torch.equal(first.weight, other.network[0].weight)
    for layer, bound in ((first, 1 / math.sqrt(3)), (last, 0.01 / math.sqrt(32))):
        assert not layer.bias.any()
        assert 0.9 * bound < layer.weight.abs().max() <= bound  # of 64 or more: all below 0.9 has P < 0.9^64 = 0.001


def test_gaussian_begins_with_the_log_std_given():
    assert policies.Gaussian(3, 2, rng(), log_std=-1).log_std.tolist() == [-1, -1]


THETA = [[0.1, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "theta", [THETA, np.array(THETA), torch.tensor(THETA, dtype=torch.float64)], ids=["list", "NumPy", "tensor"]
)
def test_a_table_copies_the_logits_it_is_given(theta):
    policy = policies.SoftmaxTable(2, 2, theta)
    assert policy.theta.tolist() == THETA
    with torch.no_grad():
        policy.theta += 1
    assert np.asarray(theta).tolist() == THETA


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_logits_become_float64(dtype):
    assert policies.SoftmaxTable(2, 2, torch.ones(2, 2, dtype=dtype)).theta.dtype == torch.float64


# Acting


@every
def test_the_numpy_forward_pass_equals_torch(build, observations):
    policy = shaken(build())
    fast, slow = forward_both(policy, observations)
    np.testing.assert_allclose(fast, slow, atol=1e-12)  # the same sums of < 100 terms, in another order


def forward_both(policy, observations):
    """What `act` computes in NumPy, and the same through torch: logits, or the mean (acting without noise)."""
    if hasattr(policy, "num_actions"):
        return policy.numpy_logits(observations), policy.logits(observations).detach().numpy()
    noiseless = type("Zero", (), {"standard_normal": staticmethod(np.zeros)})
    return policy.act(observations, noiseless), policy(observations).mean.detach().numpy()


@discrete
def test_actions_have_the_frequencies_of_the_distribution(build, observations):
    policy = shaken(build())
    actions = policy.act(np.repeat(observations, 4000, axis=0), rng(3)).reshape(4, 4000)
    assert np.issubdtype(actions.dtype, np.integer)
    counts = [np.bincount(row, minlength=4) for row in actions]
    assert chi_square_excess(counts, policy(observations).probs.detach().numpy()) < 1


@continuous
def test_continuous_actions_have_the_moments_of_the_distribution(build, observations):
    policy = shaken(build())
    actions = policy.act(np.tile(observations, (4000,) + (1,) * (observations.ndim - 1)), rng(3)).reshape(4000, 4, 2)
    distribution = policy(observations)
    centred = (actions - distribution.mean.detach().numpy()).reshape(4000, -1)
    assert np.abs(z_scores(centred, np.zeros(8))).max() < Z_LIMIT
    variance = distribution.variance.detach().numpy().reshape(-1)
    assert np.abs(z_scores(centred**2, variance)).max() < Z_LIMIT


@every
def test_the_generator_decides_what_is_done(build, observations):
    policy, before = shaken(build()), torch.get_rng_state()
    many = np.repeat(observations, 10, axis=0)
    one, same, other = (policy.act(many, rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert torch.equal(torch.get_rng_state(), before)


@every
def test_acting_and_learning_share_their_memory(build, observations):
    def agree(policy):
        fast, slow = forward_both(policy, observations)
        np.testing.assert_allclose(fast, slow, atol=1e-12)
        return fast

    policy = shaken(build())
    first = agree(policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.1)
    policy(observations).log_prob(torch.as_tensor(policy.act(observations, rng()))).sum().backward()
    optimizer.step()
    stepped = agree(policy)
    assert (stepped != first).any()

    twin = copy.deepcopy(policy)
    policy.load_state_dict(shaken(build(), seed=7).state_dict())
    assert (agree(policy) != stepped).any()
    np.testing.assert_array_equal(agree(twin), stepped)  # a copy goes its own way


def copied_twice(originals):
    copied = copy.deepcopy(originals.pop())
    return copy.deepcopy(copied)


def by_way_of_a_file(originals):
    file = io.BytesIO()
    torch.save(originals.pop(), file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("replace", [copied_twice, by_way_of_a_file])
def test_a_copy_that_outlives_its_original_acts_with_its_own_weights(replace):
    # A copy likes to get the memory that its original has left: whatever was remembered by address is stale there
    for seed in range(30):
        originals = [policies.MLP(3, 4, rng(seed))]
        originals[0].act(VECTORS, rng())
        policy = shaken(replace(originals))
        fast, slow = forward_both(policy, VECTORS)
        np.testing.assert_allclose(fast, slow, atol=1e-12)


@pytest.mark.parametrize("uniform", [0.0, 0.5, float(np.nextafter(1, 0))])
def test_extreme_logits_choose_only_what_has_a_probability(uniform):
    fixed = type("Fixed", (), {"random": staticmethod(lambda shape: np.full(shape, uniform))})
    policy = policies.SoftmaxTable(3, 3, [[1000, 0, 0], [-1000, 0, -1000], [0, 0, 1000]])
    assert policy.act(np.arange(3), fixed).tolist() == [0, 1, 2]


# Bad input


@pytest.mark.parametrize("theta", [np.zeros((3, 2)), np.zeros(4)], ids=str)
def test_a_table_of_another_shape_is_refused(theta):
    shape = str(theta.shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"theta has shape {shape}, expected \(S, A\) = \(2, 2\)"):
        policies.SoftmaxTable(2, 2, theta)


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"theta\[0, 1\] is nan.*expected"):
        policies.SoftmaxTable(2, 2, [[0, math.nan], [0, 0]])


def test_a_policy_whose_weights_became_nan_does_not_act():
    policy = policies.SoftmaxTable(2, 2)
    with torch.no_grad():
        policy.theta[1, 0] = math.nan
    with pytest.raises(ValueError, match=r"logits.*nan.*expected"):
        policy.act(np.array([0, 1]), rng())
