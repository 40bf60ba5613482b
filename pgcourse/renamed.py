"""What 0.1.0 called otherwise: an old name goes on working through 0.2, with a warning that names the new one.

Names are dotted, below pgcourse. A module that has old names in it says `__getattr__ = renamed.attributes(__name__)`;
whole modules are found by `Finder`, which `import pgcourse` puts behind Python's own finders.
"""

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec

NOW = {
    "backup": "workspace.backup",
    "checking.progress": "workspace.progress.progress",
    "doctor": "workspace.doctor",
    "estimators.standardised": "estimators.divided_by_deviation",
    "exact.expectation": "exact.moments",
    "grading.WRITTEN": "publishing.settings.WRITTEN",
    "grading.classroom.grade": "grading.classroom.grade_class",
    "grading.configure_edition": "publishing.settings.configure_edition",
    "grading.execute.Restore": "grading.execute.Reassemble",
    "grading.execute.warm_nursery": "grading.jail.outside.warm_process",
    "grading.feedback": "grading.pages.feedback",
    "grading.jail.JailUnavailable": "grading.jail.outside.JailUnavailable",
    "grading.jail.Limits": "grading.jail.outside.Limits",
    "grading.jail.Nursery": "grading.jail.outside.WarmProcess",
    "grading.judge.grade": "grading.judge.grade_notebook",
    "grading.markdown": "grading.pages.markdown",
    "grading.release": "publishing.release",
    "grading.report": "grading.pages.report",
    "grading.submission.restore": "grading.submission.reassemble",
    "judging.Verdict": "judging.verdicts.Verdict",
    "judging.judge": "judging.verdicts.judge",
    "judging.run": "judging.verdicts.run",
    "lab": "workspace.lab",
    "probes": "judging.calling",
    "workcopy": "publishing.manifest",
}


def attributes(module):
    """The `__getattr__` of a module in which things had other names."""

    def getattr_(name):
        new = NOW.get(f"{module}.{name}".removeprefix("pgcourse."))
        if new is None or name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name}", new)
        home, _, name = new.rpartition(".")
        home = importlib.import_module(f"pgcourse.{home}")
        return getattr(home, name) if hasattr(home, name) else importlib.import_module(f"pgcourse.{new}")

    return getattr_


class Finder:
    """Finds a module under its old name; both names are then of the one module."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, Finder) if name.removeprefix("pgcourse.") in NOW and name[:9] == "pgcourse." else None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        new = NOW[module.__name__.removeprefix("pgcourse.")]
        _warn(module.__name__, new)
        sys.modules[module.__name__] = importlib.import_module(f"pgcourse.{new}")


def _warn(old, new):
    warnings.warn(f"{old} is now called pgcourse.{new}, and goes in 0.3", FutureWarning, stacklevel=3)
