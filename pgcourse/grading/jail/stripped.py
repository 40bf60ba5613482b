"""What a submission sees of the package: the modules that lessons use, without the answers.

No exercises, no judging but for how an answer is called, no grading, no command line. A function that some exercise
names among its `references` still imports, but its code is gone and calling it raises; `check` prints a line. What
other answers need stays (`KEPT`), and is watched while the exercise that it would answer is called.
"""

import ast
from pathlib import Path

import pgcourse
from pgcourse.exercises import EXERCISES

LEFT_OUT = {"__init__", "__main__", "checking", "cli", "files"}  # of the modules that lie flat
CALLING = ("judging.calling", "judging.statuses")  # and what else a submission's side of a call needs
KEPT = {"trajectories.Trajectories.total_rewards"}  # many answers take it from a batch that they were given
CHECKING = '''"""Stands in for the real one: answers are judged by somebody outside."""


class CheckFailed(AssertionError):
    pass


CHECKED = {}  # name: all that was checked as it, in order


def check(answer, name=None, *, seed=0):
    CHECKED.setdefault(name or getattr(answer, "__name__", None), []).append(answer)
    print("Checked when this is graded.")


def grading_seed():
    return 0


def line_up(name, number=1):
    def ask(*question):
        import numpy as np

        return np.zeros((6, *np.shape(question[0])[-1 if len(question) > 1 else 0 :]))

    return ask
'''
PROGRESS = '''"""Not here."""


def progress():
    print("Progress is not shown here.")
'''
EMPTY = '"""Not here."""\n'


def modules():
    """Dotted names, without "pgcourse.", of the modules that a submission may use, in order."""
    flat = sorted(path.stem for path in _folder().glob("*.py") if path.stem not in LEFT_OUT)
    return [*flat, *CALLING]


def stripped_package():
    """{path: text} of the package for the jail, beginning with pgcourse/; a workspace imports, and is empty."""
    folder, references = _folder(), {name for exercise in EXERCISES.values() for name in exercise.references} - KEPT
    files = {"pgcourse/checking.py": CHECKING, "pgcourse/__init__.py": (folder / "__init__.py").read_text("utf-8")}
    files |= {f"pgcourse/workspace/{path.name}": EMPTY for path in sorted((folder / "workspace").glob("*.py"))}
    files |= {"pgcourse/workspace/progress.py": PROGRESS}
    files |= {"pgcourse/judging/__init__.py": EMPTY}
    for module in modules():
        names = {name.partition(".")[2] for name in references if name.partition(".")[0] == module}
        path = f"{module.replace('.', '/')}.py"
        files[f"pgcourse/{path}"] = without((folder / path).read_text("utf-8"), names, module)
    return files


def _folder():
    return Path(pgcourse.__file__).parent


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
