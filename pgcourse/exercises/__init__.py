"""The exercises: what an answer is tried on, what it should give, and which mistakes learners make.

An exercise is one file, lesson_N/NAME.py, with the object EXERCISE in it, and is found by itself. It is judged by its
oracle, a slow and obvious specification that imports neither `estimators` nor `reinforce`. Its misconceptions are code:
an answer is diagnosed by running them.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

LESSONS = {  # of lesson 0, 1, …: the stem of its notebook's name, and its title
    "00_start_here": "Start here",
    "01_log_gradient_trick": "The log-gradient trick",
    "02_trajectories": "Trajectories and the objective",
    "03_sampled_gradients": "Sampled gradients",
    "04_reinforce": "REINFORCE",
    "05_gradient_step": "What a gradient step does",
    "06_causality": "Causality",
    "07_baselines": "Baselines",
    "08_off_policy": "Off-policy",
    "09_other_policies": "Other policies",
    "10_making_it_work": "Making it work",
}


@dataclass(frozen=True)
class Misconception:
    """A mistake that learners make.

    name   a few words for it
    hint   one or two warm sentences that point at it and do not give the answer
    wrong  code that makes it, called as the answer is
    """

    name: str
    hint: str
    wrong: Callable


@dataclass(frozen=True)
class Trial:
    """How an answer is judged that has no one right result: by what it does.

    play    (call, inputs) → named arrays, from as many calls as it takes; raises the Problem that one of them is, and
            one for what it cannot use. The key of a Problem may be the name of a misconception.
    assess  the outcomes of all cases → (sentence, number of the case to show, rows about it, name of a misconception or
            ""); the sentence goes on after the exercise's name, and without rows the answer has passed
    """

    play: Callable
    assess: Callable


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    name            of the function to write
    lesson          the number of it
    points, minutes, difficulty (1 to 3)
    signature       with the shapes, and what comes back
    cases           seed → list of inputs, each a dictionary from `cases.case`; small fixed ones first
    oracle          the specification: arguments → array, or a dictionary where the probe has names for what it returns
    misconceptions  each recognisable on the cases, and distinguishable from the others
    accepts         right answers in different styles
    references      package functions that are the answer, as "module.function": calling one is noticed
    probe           how the answer is called, a key of `calling.KINDS`
    roundings       how many roundings of the largest number in sight a right answer may gather (see `judging`)
    scale           arguments → for each entry the largest number it is made of: what float32 is measured by, in place
                    of the largest in sight, where a known mistake is right to seven digits
    time_limit      seconds for all cases together
    trial           a Trial where results are not compared; the oracle is then only what the message calls expected
    line_up         (seed, number) → ask(*question), where suspects are drawn (see `line_ups`): in a notebook by the
                    working copy
    place           by which the lesson's exercises are listed, in the order in which it asks them
    """

    name: str
    lesson: int
    points: int
    minutes: int
    difficulty: int
    signature: str
    cases: Callable
    oracle: Callable
    misconceptions: tuple[Misconception, ...]
    accepts: tuple[Callable, ...]
    references: tuple[str, ...] = ()
    probe: str = "function"
    roundings: float = 256
    scale: Callable | None = None
    time_limit: float = 10
    trial: Trial | None = None
    line_up: Callable | None = None
    place: float = 1


@cache
def _all():
    found = []
    for lesson in pkgutil.iter_modules(__path__, f"{__name__}."):
        folder = importlib.import_module(lesson.name) if lesson.ispkg else None
        for module in pkgutil.iter_modules(folder.__path__, f"{lesson.name}.") if folder else ():
            found.append(getattr(importlib.import_module(module.name), "EXERCISE", None))
    found = sorted(filter(None, found), key=lambda exercise: (exercise.lesson, exercise.place))
    return {exercise.name: exercise for exercise in found}


def __getattr__(name):
    if name == "EXERCISES":
        return _all()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
