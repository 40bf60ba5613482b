"""What a submission sees of the package: the modules that lessons use, without the answers.

No exercises, no grading, no command line. A function that some exercise names among its `references` still imports,
but its code is gone and calling it raises; `check` prints a line.
"""

import ast
from pathlib import Path

import pgcourse
from pgcourse.exercises import EXERCISES

MODULES = (
    "distributed",
    "environments",
    "estimators",
    "exact",
    "finite_differences",
    "mdp",
    "plots",
    "policies",
    "probes",
    "reinforce",
    "rollouts",
    "trajectories",
    "widgets",
)
TOOLS = ("backup", "doctor", "lab", "workcopy")  # importable, and empty
CHECKING = '''"""Stands in for the real one: answers are judged by somebody outside."""


class CheckFailed(AssertionError):
    pass


def check(answer, name=None, *, seed=0):
    print("Checked when this is graded.")


def progress():
    print("Progress is not shown here.")


def grading_seed():
    return 0
'''


def stripped_package():
    """{path: text} of the package for the jail, beginning with pgcourse/."""
    folder = Path(pgcourse.__file__).parent
    references = {reference for exercise in EXERCISES.values() for reference in exercise.references}
    files = {"pgcourse/checking.py": CHECKING, "pgcourse/__init__.py": (folder / "__init__.py").read_text("utf-8")}
    files |= {f"pgcourse/{module}.py": '"""Not here."""\n' for module in TOOLS}
    for module in MODULES:
        names = {name.partition(".")[2] for name in references if name.partition(".")[0] == module}
        files[f"pgcourse/{module}.py"] = without((folder / f"{module}.py").read_text("utf-8"), names, module)
    return files


def without(source, names, module):
    """The source with the bodies of these functions ("function" or "Class.method") replaced by a line that raises."""
    if not names:
        return source
    tree, found = ast.parse(source), set()

    def strip(body, prefix=""):
        for node in body:
            name = prefix + getattr(node, "name", "")
            if isinstance(node, ast.ClassDef):
                strip(node.body, name + ".")
            elif isinstance(node, ast.FunctionDef) and name in names:
                message = f"pgcourse.{module}.{name} is the answer: it cannot be called while an answer is graded"
                node.body = ast.parse(f"raise RuntimeError({message!r})").body
                found.add(name)

    strip(tree.body)
    if missing := names - found:
        raise LookupError(f"pgcourse.{module} has no function {', '.join(sorted(missing))}, named in some references")
    return ast.unparse(tree)
