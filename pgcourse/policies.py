"""Policies π_θ(a | s): modules that map observations (N, …) to a distribution over actions, one for each observation.

`policy(observations)` is a torch.distributions.Distribution, differentiable in θ; `policy.act(observations, rng)`
samples NumPy actions from the same distribution, through a NumPy forward pass over the same weights where the policy
allows: in small environments acting, not learning, is where the time goes. Weights are float64, drawn from the `rng`
given.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Independent, Normal


def _linear(inputs, outputs, rng, scale=1.0):
    """A float64 layer with weights uniform in ± scale/√inputs and no bias to begin with."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=torch.float64)  # leaves torch's own generator alone
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(rng.uniform(-scale, scale, (outputs, inputs)) / np.sqrt(inputs)))
        layer.bias.zero_()
    return layer


def _apply_numpy(network, x):
    """The forward pass of Linear and Tanh layers in NumPy, on the very memory that torch holds."""
    for layer in network:
        if isinstance(layer, nn.Tanh):
            np.tanh(x, out=x)
        else:
            x = x @ _view(layer, "weight").T
            x += _view(layer, "bias")
    return x


def _view(layer, name):
    """A NumPy view of a layer's parameter, kept while it is one: making it takes longer than using it."""
    parameter, kept = layer._parameters[name], layer.__dict__.get(f"_{name}_view")
    if kept is None or kept.__array_interface__["data"][0] != parameter.data_ptr():  # a copied layer has a copy of it
        kept = layer.__dict__[f"_{name}_view"] = parameter.detach().numpy()
    return kept


def _vectors(observations, num_features):
    """Observations (N, F) as float64 NumPy or tensor, whichever came in; states (N,), being integers, made one-hot."""
    if torch.is_tensor(observations):
        one_hot = observations.ndim == 1 and not observations.is_floating_point()
        return (torch.eye(num_features)[observations] if one_hot else observations).to(torch.float64)
    observations = np.asarray(observations)
    one_hot = observations.ndim == 1 and np.issubdtype(observations.dtype, np.integer)
    return np.eye(num_features)[observations] if one_hot else observations.astype(np.float64, copy=False)


def _mlp(sizes, rng, output_scale):
    """Linear layers with tanh between them; the last is scaled by `output_scale`."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers += [_linear(inputs, outputs, rng), nn.Tanh()]
    return nn.Sequential(*layers, _linear(sizes[-2], sizes[-1], rng, output_scale))


class SoftmaxPolicy(nn.Module):
    """What the policies for discrete actions share: π_θ(a | s) = softmax of `logits(s)`, Eq. (1.2).

    A subclass gives `logits(observations)` → tensor (N, A), and `numpy_logits` where it has a faster way.
    """

    num_actions: int

    def logits(self, observations):
        raise NotImplementedError

    def numpy_logits(self, observations):
        with torch.no_grad():
            return self.logits(observations).numpy()

    def forward(self, observations):
        return Categorical(logits=self.logits(observations), validate_args=False)

    def act(self, observations, rng):
        logits = self.numpy_logits(observations)
        cumulative = np.exp(logits - logits.max(-1, keepdims=True)).cumsum(-1)
        if np.isnan(cumulative[:, -1].sum()):
            raise ValueError(
                f"policy has logits {logits[np.isnan(cumulative[:, -1])][0]}, expected numbers: did θ blow up?"
            )
        return (rng.random((len(logits), 1)) * cumulative[:, -1:] < cumulative).argmax(-1)


class SoftmaxTable(SoftmaxPolicy):
    """One logit for each state and action: θ (S, A), zeros (uniform) unless given. Observations: states (N,)."""

    def __init__(self, num_states, num_actions, theta=None):
        super().__init__()
        self.num_states, self.num_actions = num_states, num_actions
        theta = torch.as_tensor(np.zeros((num_states, num_actions)) if theta is None else theta, dtype=torch.float64)
        if theta.shape != (num_states, num_actions):
            raise ValueError(f"theta has shape {tuple(theta.shape)}, expected (S, A) = {(num_states, num_actions)}")
        for s, a in theta.isnan().nonzero().tolist()[:1]:
            raise ValueError(f"theta[{s}, {a}] is nan, expected a number")
        self.theta = nn.Parameter(theta.detach().clone())

    def logits(self, observations):
        return self.theta[torch.as_tensor(observations)]

    def numpy_logits(self, observations):
        return self.theta.detach().numpy()[observations]


class LinearSoftmax(SoftmaxPolicy):
    """Logits linear in the observation: W s + b, zero (uniform) to begin with. Observations: (N, F) or states (N,)."""

    def __init__(self, num_features, num_actions):
        super().__init__()
        self.num_features, self.num_actions = num_features, num_actions
        self.network = nn.Sequential(_linear(num_features, num_actions, np.random.default_rng(0), scale=0.0))

    def logits(self, observations):
        return self.network(torch.as_tensor(_vectors(observations, self.num_features)))

    def numpy_logits(self, observations):
        return _apply_numpy(self.network, _vectors(observations, self.num_features))


class MLP(SoftmaxPolicy):
    """A neural network with tanh hidden layers. Observations: (N, F), or states (N,), made one-hot.

    The last layer is scaled by `output_scale`: small, so that the first policy is almost uniform and its gradient
    alive.
    """

    def __init__(self, num_features, num_actions, rng, hidden=(32,), output_scale=0.01):
        super().__init__()
        self.num_features, self.num_actions = num_features, num_actions
        self.network = _mlp((num_features, *hidden, num_actions), rng, output_scale)

    logits = LinearSoftmax.logits
    numpy_logits = LinearSoftmax.numpy_logits


class Convolutional(SoftmaxPolicy):
    """Looks at pictures: two 3 × 3 convolutions, then two linear layers. Observations: (N, height, width, channels).

    Acts through torch: convolutions are what torch is good at.
    """

    def __init__(self, image_shape, num_actions, rng, channels=8, hidden=32, output_scale=0.01):
        super().__init__()
        self.image_shape, self.num_actions = tuple(image_shape), num_actions
        height, width, depth = image_shape
        convolutions = []
        for inputs in (depth, channels):
            layer = nn.utils.skip_init(nn.Conv2d, inputs, channels, 3, padding=1, dtype=torch.float64)
            with torch.no_grad():
                bound = 1 / np.sqrt(9 * inputs)
                layer.weight.copy_(torch.as_tensor(rng.uniform(-bound, bound, layer.weight.shape)))
                layer.bias.zero_()
            convolutions += [layer, nn.ReLU()]
        head = _mlp((channels * height * width, hidden, num_actions), rng, output_scale)
        self.network = nn.Sequential(*convolutions, nn.Flatten(), *head)

    def logits(self, observations):
        images = torch.as_tensor(observations, dtype=torch.float64)
        return self.network(images.movedim(-1, 1))


class Gaussian(nn.Module):
    """Continuous actions: a ~ N(μ_θ(s), σ²), μ a tanh network, log σ one parameter for each of D dimensions.

    Observations: (N, F) or states (N,). Actions: (N, D), not clipped to any bounds; log_prob is summed over the D
    dimensions. `hidden=()` makes μ linear.
    """

    def __init__(self, num_features, action_dim, rng, hidden=(32,), log_std=0.0, output_scale=0.01):
        super().__init__()
        self.num_features, self.action_dim = num_features, action_dim
        self.network = _mlp((num_features, *hidden, action_dim), rng, output_scale)
        self.log_std = nn.Parameter(torch.full((action_dim,), float(log_std), dtype=torch.float64))

    def forward(self, observations):
        mean = self.network(torch.as_tensor(_vectors(observations, self.num_features)))
        return Independent(
            Normal(mean, self.log_std.exp().expand_as(mean), validate_args=False), 1, validate_args=False
        )

    def act(self, observations, rng):
        mean = _apply_numpy(self.network, _vectors(observations, self.num_features))
        return mean + np.exp(self.log_std.detach().numpy()) * rng.standard_normal(mean.shape)


def check_observations(policy, size, where):
    """Raises ValueError if a policy of this module does not take the observations of `where`.

    size: the number of states where observations are states, else their shape, (F,) or (height, width, channels).
    """
    takes = {
        "num_states": lambda n: size == n,
        "num_features": lambda n: size in (n, (n,)),  # states are made one-hot
        "image_shape": lambda shape: size == shape,
    }
    for name, fits in takes.items():
        if hasattr(policy, name) and not fits(getattr(policy, name)):
            expected = size[0] if isinstance(size, tuple) and len(size) == 1 else size
            raise ValueError(
                f"policy has {name} {getattr(policy, name)}, expected {expected} for the observations of {where}"
            )
