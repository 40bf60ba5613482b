"""pgcourse: a course on policy gradients whose every equation is held against an exactly known objective."""

import importlib

try:
    from gymnasium.envs.registration import register
except ModuleNotFoundError:  # then `pgcourse doctor` says so, and what to do

    def register(*_, **__):
        pass


__version__ = "0.1.0"

SITE = "https://pgcourse.github.io/pgcourse/"  # the lessons as pages; a worked solution is LESSON.html#EXERCISE there

_EXPORTS = ("check", "CheckFailed", "progress")
_SUBMODULES = (
    "backup",
    "checking",
    "distributed",
    "doctor",
    "environments",
    "estimators",
    "exact",
    "exercises",
    "finite_differences",
    "judging",
    "lab",
    "mdp",
    "plots",
    "policies",
    "probes",
    "reinforce",
    "rollouts",
    "trajectories",
    "widgets",
    "workcopy",
)

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
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _EXPORTS:
        return getattr(importlib.import_module(f"{__name__}.checking"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_EXPORTS, *_SUBMODULES])
