import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from inputs import EXAMPLES

from pgcourse.finite_differences import STEP, central_differences, error_bound

# name: f on tensors, its derivative by hand, x
CATALOGUE = {
    "linear": (lambda x: 3 * x.sum() + 1, lambda x: 3 + 0 * x, [1.0, -2.0]),
    "square": (lambda x: (x**2).sum(), lambda x: 2 * x, [1.0, -2.0, 0.0]),
    "exp": (lambda x: torch.exp(x).sum(), np.exp, [1.0, -2.0]),
    "a matrix": (lambda x: torch.sin(x).sum() * 2, lambda x: 2 * np.cos(x), [[1.0, -2.0], [0.5, 3.0]]),
    "mixed": (lambda x: x[0] * x[1] ** 3, lambda x: np.array([x[1] ** 3, 3 * x[0] * x[1] ** 2]), [2.0, -1.5]),
    "one number": (lambda x: torch.tanh(x), lambda x: 1 - np.tanh(x) ** 2, 0.3),
    "no vmap": (lambda x: x[0] ** 3 if x[0] > 0 else x[0], lambda x: 3 * x**2, [1.5]),
    "constant": (lambda x: torch.tensor(7.0, dtype=torch.float64), lambda x: 0 * x, [1.0, 2.0]),
    "one value in a vector": (lambda x: torch.exp(x), np.exp, [1.0]),
}


@pytest.mark.parametrize("typed", [torch.tensor, np.array], ids=["tensor", "NumPy"])
@pytest.mark.parametrize(("f", "derivative", "x"), CATALOGUE.values(), ids=CATALOGUE)
def test_derivatives_by_hand(f, derivative, x, typed):
    point = typed(x, dtype=torch.float64 if typed is torch.tensor else np.float64)

    def same_type(p):
        return f(p) if torch.is_tensor(p) else f(torch.as_tensor(p)).numpy()

    got, bound = central_differences(same_type, point), error_bound(same_type, point)
    assert type(got) is type(bound) is type(point)
    assert got.shape == bound.shape == point.shape
    assert got.dtype == bound.dtype == point.dtype
    error = np.abs(np.asarray(got) - derivative(np.array(x)))
    assert (error <= np.asarray(bound)).all()
    # Not an empty promise: h²|f'''| + 32 ε|f|/h with |f|, |f'''| ≤ 21 is below 3e-8
    assert (np.asarray(bound) < 3e-8).all()


@EXAMPLES
@given(
    x=st.lists(st.floats(-3, 3), min_size=1, max_size=5),
    scale=st.floats(0.1, 100),
    frequency=st.floats(0.1, 10),
    offset=st.floats(-1000, 1000),
)
def test_the_bound_holds(x, scale, frequency, offset):
    point = torch.tensor(x, dtype=torch.float64)
    error = central_differences(lambda p: offset + scale * torch.sin(frequency * p).sum(), point)
    error -= scale * frequency * torch.cos(frequency * point)
    bound = error_bound(lambda p: offset + scale * torch.sin(frequency * p).sum(), point)
    assert (error.abs() <= bound).all()


@pytest.mark.parametrize("x", [np.array([1.5]), torch.tensor([1.5], dtype=torch.float64)], ids=["NumPy", "tensor"])
def test_a_plain_python_number_is_as_good_as_a_float64(x):
    # 3 x² = 6.75; h²|f'''| / 6 + 32 ε |f| / h < 1e-8
    assert abs(central_differences(lambda p: float(p[0]) ** 3, x)[0] - 6.75) < 1e-8


def test_all_copies_are_evaluated_in_one_call():
    calls = []
    central_differences(lambda x: calls.append(1) or (x**2).sum(), torch.ones(50, dtype=torch.float64))
    assert len(calls) == 1


def test_x_is_neither_changed_nor_followed_by_autograd():
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    got = central_differences(lambda p: (p**2).sum(), x)
    assert not got.requires_grad
    assert x.tolist() == [1, 1, 1]


def test_the_default_step_is_near_the_best():
    x = torch.linspace(-2, 2, 101, dtype=torch.float64)

    def worst(step):
        return float((central_differences(lambda p: torch.sin(p).sum() + 10, x, step) - torch.cos(x)).abs().max())

    # h² / 6 overwhelms at 1e-3 (1.7e-7), ε f / h at 1e-9 (1e-6); at the default both are near 1e-9
    assert worst(STEP) < min(worst(1e-3), worst(1e-9)) / 10


def test_an_error_of_the_functions_own_comes_back():
    with pytest.raises(ZeroDivisionError):
        central_differences(lambda x: 1 / 0, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("compute", [central_differences, error_bound])
@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (torch.sum, torch.ones(2), r"x has type torch\.float32, expected float64"),
        (np.sum, np.ones(2, dtype=int), "x has type int64, expected float64"),
        (lambda x: x, torch.ones(2, dtype=torch.float64), r"f returned .*shape \(2,\), expected a scalar"),
        (lambda x: x, np.ones(2), r"f returned .*shape \(2,\), expected a scalar"),
        (lambda x: x.sum().float(), torch.ones(2, dtype=torch.float64), r"f returned .*float32.*, expected .*float64"),
    ],
    ids=["float32", "int", "vector tensor", "vector array", "float32 value"],
)
def test_what_cannot_be_differentiated_is_named(compute, f, x, message):
    with pytest.raises(ValueError, match=message):
        compute(f, x)
