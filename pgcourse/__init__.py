"""pgcourse: a course on policy gradients whose every equation is held against an exactly known objective."""

import os  # which Python has imported before it looks into any folder, as it has sys
import sys

if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()] != [os.path.dirname(os.path.dirname(__file__))]:
    del sys.path[0]  # `python -m pgcourse grade .` stands among strangers' files, and would import them

import importlib
import pkgutil

try:
    from gymnasium.envs.registration import register
except ModuleNotFoundError:  # then `pgcourse doctor` says so, and what to do

    def register(*_, **__):
        pass


from pgcourse import renamed

__version__ = "0.1.0"

SITE = "https://pgcourse.github.io/pgcourse/"  # the lessons as pages; a worked solution is LESSON.html#EXERCISE there

sys.meta_path.append(renamed.Finder)

_EXPORTS = {"check": "checking", "CheckFailed": "checking", "progress": "workspace.progress"}

for _id, _mdp in (("TwoArmed-v0", "two_armed"), ("Corridor-v0", "corridor"), ("SlipperyGrid-v0", "slippery_grid")):
    register(
        f"pgcourse/{_id}",
        entry_point="pgcourse.mdp:MDPEnv",
        vector_entry_point="pgcourse.mdp:MDPVectorEnv",
        kwargs={"mdp": _mdp},
    )

for _id, _class, _limit in (("Catch-v0", "Catch", None), ("ContinuousCartPole-v0", "ContinuousCartPole", 500)):
    register(
        f"pgcourse/{_id}",
        entry_point=f"pgcourse.environments:{_class}Env",
        vector_entry_point=f"pgcourse.environments:{_class}VectorEnv",
        max_episode_steps=_limit,
    )


def __getattr__(name):
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":  # a module that is there lacks another one
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_EXPORTS, *(module.name for module in pkgutil.iter_modules(__path__))])
