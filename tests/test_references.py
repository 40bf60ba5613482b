"""No function of the package is an exercise's answer under another name, unless a check notices, or ALLOWED says why.

Every callable that a jail holds, private ones and properties too, is tried as the answer to every exercise, on whatever
can be made of its inputs without knowing the answer: in any order, with an axis for the time or the batch put in,
inside Trajectories or a policy. What comes out may be summed, averaged, negated, and used as a step or as weights.
"""

import importlib
import inspect
import itertools
import warnings
from contextlib import suppress
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pgcourse import mdp, policies
from pgcourse.exercises import EXERCISES
from pgcourse.grading.jail import stripped
from pgcourse.judging import calling, verdicts
from pgcourse.reinforce import Record
from pgcourse.trajectories import Trajectories

ALLOWED = {("reinforce.Record.mean_return", "average"): "it is np.mean, which answers as well"}
LEFT_OUT = {"mdp", "plots", "widgets", "renamed", "judging.calling", "judging.statuses"}  # worlds are given
OPERATORS = {"__call__", "__len__", "__getitem__"}
COMMANDS = {"distributed.main", "distributed.start", "distributed.run"}
TRIED = [e for e in EXERCISES.values() if e.probe in ("function", "surrogate_loss")]


def callables():
    """(name, function) of all that a module defines; a class's have a `self`."""
    for module in (m for m in stripped.modules() if m not in LEFT_OUT):
        for name, thing in [*vars(importlib.import_module(f"pgcourse.{module}")).items()]:
            if getattr(thing, "__module__", "") != f"pgcourse.{module}":
                continue
            if inspect.isfunction(thing) and f"{module}.{name}" not in COMMANDS:
                yield f"{module}.{name}", thing
            elif inspect.isclass(thing):
                for attribute, member in vars(thing).items():
                    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                    if inspect.isfunction(function) and (attribute[:2] != "__" or attribute in OPERATORS):
                        yield f"{module}.{name}.{attribute}", function


# What a function is given


def pools(given):
    """Kind of argument → what can be made of an answer's arguments, name → value, always in the same order."""
    arrays = {name: x for name, x in given.items() if isinstance(x, np.ndarray | torch.Tensor)}
    masks = [x for x in arrays.values() if x.dtype in (bool, torch.bool)]
    values = [
        x for name, x in arrays.items() if name not in ("states", "actions") and x.dtype not in (bool, torch.bool)
    ]
    worlds = [x for x in given.values() if isinstance(x, mdp.TabularMDP)]
    if "rewards" in given and given["rewards"].ndim == 1:
        worlds.append(mdp.bandit(given["rewards"]))
    batches, actors = [*_batches(given, values, masks)], [*_policies(given)]
    return {
        "values": values,
        "mask": masks or [np.ones(shape, dtype=bool) for n in {len(x) for x in values} for shape in ((n, 1), (1, n))],
        "weights": [
            table
            for weights in (*(getattr(batch, "rewards", 0) for batch in batches), *values)
            for table in (weights, torch.as_tensor(weights))
        ],
        "number": [*(x for x in given.values() if isinstance(x, int | float)), 1.0, 0.0],
        "mdp": worlds,
        "policy": actors,
        "trajectories": batches,
        "self": [*batches, *actors, *(Record(0, x, x, 0) for x in values)],
    }


def _batches(given, values, masks):
    """Trajectories whose rewards are ones, or one of the inputs."""
    actions = np.asarray(given.get("actions", given.get("action", 0)))
    if masks:
        mask = np.asarray(masks[0])
        states, actions = (
            given.get("states", np.zeros(mask.shape, int)),
            given.get("actions", np.zeros(mask.shape, int)),
        )
    elif "states" in given:  # one trajectory, all along
        states, actions = given["states"][None, : len(actions)], actions[None]
        mask = np.ones(actions.shape, dtype=bool)
    else:  # many of a single step
        length = max((len(x) for x in values), default=0) if "actions" not in given else len(actions)
        length = 1 if "action" in given else length
        mask, actions = (
            np.ones((length, 1), dtype=bool),
            np.broadcast_to(actions, (length, *actions.shape[1:]))[:, None],
        )
        states = given["mean"][:, None] if "mean" in given else np.zeros((length, 1), int)
    for rewards in (np.ones(mask.shape), *values):
        try:
            table = rewards if rewards.ndim == 2 else np.broadcast_to(np.asarray(rewards)[:, None], mask.shape)
            yield Trajectories(states, actions, table, mask, np.zeros(len(mask), dtype=bool))
        except (ValueError, RuntimeError):
            yield None  # so that the others keep their places


def _policies(given):
    for name in ("theta", "new_theta", "logits"):
        if name in given:
            table = np.atleast_2d(given[name])
            yield policies.SoftmaxTable(*table.shape, table)
            yield policies.SoftmaxTable(2, table.shape[1], table[[0, 0]])  # of a bandit, which ends in a second state
    if "log_std" in given:
        size = len(given["log_std"])
        policy = policies.Gaussian(size, size, np.random.default_rng(0), hidden=())
        policy.network[0].weight.data, policy.log_std.data = torch.eye(size).double(), torch.tensor(given["log_std"])
        yield policy
    if isinstance(given.get("log_probs"), torch.Tensor):
        choice = SimpleNamespace(log_prob=lambda _: given["log_probs"][given["mask"]], entropy=lambda: torch.zeros(1))
        yield lambda observations: choice


VARIANTS = (
    lambda x: x,
    lambda x: x[:, None],
    lambda x: x[None],
    lambda x: torch.as_tensor(x),
    lambda x: torch.as_tensor(x)[:, None],
    lambda x: np.exp(x),
)


def kinds_of(function):
    """For each number of arguments, their kinds."""
    parameters = [*inspect.signature(function).parameters.values()]
    if any(p.kind != p.POSITIONAL_OR_KEYWORD for p in parameters):
        return
    kinds = [_kind(p) for p in parameters]
    for count in range(sum(p.default is p.empty for p in parameters), len(parameters) + 1):
        yield kinds[:count]


def _kind(parameter):
    if parameter.name in ("policy", "trajectories", "mdp", "mask", "self"):
        return parameter.name
    if parameter.name in ("target", "batch"):
        return {"target": "policy", "batch": "trajectories"}[parameter.name]
    numbers = ("discount", "entropy", "num_trajectories", "horizon")
    if parameter.name == "weights":
        return "weights"
    return "number" if parameter.name in numbers or isinstance(parameter.default, int | float) else "values"


def ways(kinds, pool):
    """Ways to choose arguments of these kinds, as (variant, index in the pool of each); no input is used twice."""
    indices = [range(len(pool[kind])) for kind in kinds]
    for variant in range(len(VARIANTS) if "values" in kinds else 1):
        for way in itertools.product(*indices):
            used = [i for kind, i in zip(kinds, way, strict=True) if kind == "values"]
            if len(set(used)) == len(used):
                yield variant, way


def result_of(function, kinds, pool, variant, way):
    chosen = [pool[kind][i] for kind, i in zip(kinds, way, strict=True)]
    return function(*(VARIANTS[variant](x) if kind == "values" else x for kind, x in zip(kinds, chosen, strict=True)))


# What becomes of its result

UNFIT = ValueError, IndexError, TypeError  # there is no such axis
STEPS = {
    "": lambda x: x,
    "-": lambda x: -x,
    "exp": lambda x: np.exp(x),
    "log": lambda x: np.log(x),
    **{f"sum {axis}": lambda x, axis=axis: x.sum(axis) for axis in (0, 1, 2)},
    **{f"mean {axis}": lambda x, axis=axis: x.mean(axis) for axis in (0, 1, 2)},
    "sum": lambda x: x.sum(),
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "column": lambda x: x[:, 0],
    "half": lambda x: x[: len(x) // 2],
}


def finishes(result, given, shape):
    """(name, value) of all that two of the STEPS make of a result, reshaped, as it is and as a step from θ."""
    if isinstance(result, tuple | list | dict):
        parts = result.values() if isinstance(result, dict) else result
        for number, part in enumerate([*parts][:3]):
            yield from ((f"{number}{name}", value) for name, value in finishes(part, given, shape))
    if isinstance(result, bool | int | float):
        result = np.float64(result)
    if not isinstance(result, np.ndarray | np.generic | torch.Tensor) or result.dtype in (bool, torch.bool):
        return
    if isinstance(result, torch.Tensor) and not isinstance(given.get("log_probs"), torch.Tensor):
        result = result.detach().numpy()
    size, steps = np.prod(shape, dtype=int), "learning_rate" in given and np.shape(given.get("theta")) == shape
    for first, step in STEPS.items():
        with suppress(*UNFIT):
            once = step(result)
            for second, step in STEPS.items() if first else [("", STEPS[""])]:
                with suppress(*UNFIT):
                    value = step(once)
                    if np.size(value) == size:
                        value = value.reshape(shape)
                        yield f"{first} {second}", value
                        if steps:
                            yield f"{first} {second} step", given["theta"] + given["learning_rate"] * value
            if "scores" in given and once.shape == given["scores"].shape[:-1]:
                weighed = (given["scores"] * once[..., None]).reshape(-1, given["scores"].shape[-1]).sum(0)
                if weighed.shape == shape:
                    yield f"{first} weights", weighed / len(once)


# Which of them are the answer


def names_of(inputs):
    return list(dict.fromkeys(name.partition(".")[0] for name in inputs))


def outcome(exercise, recipe, finish, inputs):
    """What the answer that calls a function by this recipe gives, as named arrays or a Problem."""
    function, kinds, variant, way = recipe
    shape = () if exercise.probe == "surrogate_loss" else np.shape(verdicts.expected(exercise, inputs)["result"])

    def answer(*arguments):
        given = dict(zip(names_of(inputs), arguments, strict=True))
        return dict(finishes(result_of(function, kinds, pools(given), variant, way), given, shape))[finish]

    return verdicts.run(answer, inputs, exercise.probe, None, exercise.references)


def is_right(exercise, found, inputs):
    return not verdicts.disagreement(verdicts.expected(exercise, inputs), found, inputs, exercise.roundings, {})


@cache
def setting(exercise):
    """One case: its inputs, what is expected, the arguments by name, what is made of them, and the result's shape."""
    inputs = one_case(exercise)
    arguments, wanted = calling.arguments(inputs), verdicts.expected(exercise, inputs)
    if exercise.probe == "surrogate_loss":
        arguments = [torch.from_numpy(x) for x in arguments]
        arguments[0].requires_grad_()
    given = dict(zip(names_of(inputs), arguments, strict=True))
    return inputs, wanted, given, pools(given), np.shape(wanted.get("result", ()))


def promising(exercise, function, trivial=()):
    """(recipe, finish) of all that is right on one case."""
    inputs, wanted, given, pool, shape = setting(exercise)
    tensors, seen = exercise.probe == "surrogate_loss", set()
    for kinds in kinds_of(function):
        for variant, way in ways(kinds, pool):
            recipe = function, kinds, variant, way
            with suppress(Exception):
                result = result_of(*recipe[:2], pool, *recipe[2:])
                if not tensors and _is_known(result, seen):
                    continue
                for finish, value in finishes(result, given, shape):
                    if finish.lstrip("012") in trivial:
                        continue
                    if tensors:
                        good = isinstance(value, torch.Tensor) and value.requires_grad
                        good = good and is_right(exercise, outcome(exercise, recipe, finish, inputs), inputs)
                    else:
                        good = not verdicts.disagreement(wanted, {"result": np.asarray(value)}, inputs, 256, {})
                    if good:
                        yield recipe, finish


def _is_known(result, seen):
    """Whether the same numbers came before."""
    if isinstance(result, torch.Tensor):
        result = result.detach().numpy()
    key = (result.shape, result.tobytes()) if isinstance(result, np.ndarray) else object()
    known = key in seen
    seen.add(key)
    return known


def nothing(values, mask=None):
    """What no function has to be called for, by itself and as a part."""
    values = values if mask is None else values * mask
    return values, values, values


def one_case(exercise):
    """The one of most numbers, within reason."""
    sizes = [sum(map(np.size, inputs.values())) for inputs in exercise.cases(0)]
    return exercise.cases(0)[max(range(len(sizes)), key=lambda k: sizes[k] if sizes[k] < 300 else 0)]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("exercise", [pytest.param(e, id=e.name) for e in TRIED])
def test_no_function_of_the_package_is_the_answer_unnoticed(exercise):
    settled, passing = set(), set()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trivial = {finish.lstrip("012") for _, finish in promising(exercise, nothing)}
        for name, function in callables():
            for recipe, finish in promising(exercise, function, trivial):
                if name in settled:
                    break
                found = [outcome(exercise, recipe, finish, case) for case in exercise.cases(0)]
                if all(is_right(exercise, *pair) for pair in zip(found, exercise.cases(0), strict=True)):
                    passing.add(name)
                if name in passing or getattr(found[-1], "kind", "") == "reference":
                    settled.add(name)
    assert passing == {name for name, answered in ALLOWED if answered == exercise.name}
