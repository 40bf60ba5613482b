import ast
import importlib
import pkgutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import pgcourse

PACKAGE = Path(pgcourse.__file__).parent

# "Imports point one way": to a module's own line, or to one above it. A module that lies flat and is in no line is new
# mathematics; one in a room of its own has to be given a line here.
LINES = (
    ("pgcourse", "renamed", "files"),
    ("trajectories", "mdp", "environments", "policies", "finite_differences"),
    ("exact", "rollouts", "judging.calling", "judging.statuses"),
    ("estimators",),
    ("reinforce",),
    ("distributed", "plots"),
    ("widgets", "explorers", "explorers.*"),
    ("exercises", "exercises.*"),
    ("judging", "judging.*"),
    ("publishing", "publishing.*"),
    ("workspace", "workspace.*"),
    ("checking",),
    ("grading", "grading.*"),
    ("cli", "__main__"),
)
JUDGED = range(3, 7)  # the lines that what stands below them may not import: an oracle knows nothing of what it judges
DRAWS = {"plots", "widgets"}  # and all other mathematics does without matplotlib

FILES = sorted(path for path in PACKAGE.rglob("*.py") if "notebooks" not in path.relative_to(PACKAGE).parts)


def name_of(path):
    """Dotted, below pgcourse; an __init__ has its package's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "pgcourse"


NAMES = {name_of(path): path for path in FILES}


def line_of(name):
    known = (number for number, line in enumerate(LINES) if any(fnmatch(name, pattern) for pattern in line))
    return next(known, None if "." in name else JUDGED[-1])


def may_import(importer, imported):
    mine, theirs = line_of(importer), line_of(imported)
    return theirs <= mine and not (theirs in JUDGED and mine > JUDGED[-1])


def imported(tree):
    """Dotted names of everything that is imported, anywhere in the module, or reached as an attribute of pgcourse."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "write imports from the root: pgcourse.…"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pgcourse":
            yield f"pgcourse.{node.attr}"


def modules_in(source):
    """The modules of the package that a source imports, the package itself left out."""
    for name in imported(ast.parse(source)):
        below = name.removeprefix("pgcourse.").split(".") if name.startswith("pgcourse.") else []
        found = [".".join(below[:n]) for n in range(len(below), 0, -1) if ".".join(below[:n]) in NAMES]
        yield from found[:1]


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_one_way(name):
    assert line_of(name) is not None, f"the room of {name} has no line in the order yet"
    wrong = [other for other in modules_in(NAMES[name].read_text()) if not may_import(name, other)]
    assert not wrong, f"{name} imports {wrong}"


@pytest.mark.parametrize("name", [name for name in NAMES if line_of(name) <= line_of("exercises")])
def test_no_mathematics_draws_but_that_of_pictures(name):
    tops = {found.split(".")[0] for found in imported(ast.parse(NAMES[name].read_text()))}
    assert name in DRAWS or name.startswith("explorers") or not tops & {"matplotlib", "ipywidgets", "IPython"}


@pytest.mark.parametrize("name", [name for name, path in NAMES.items() if path.name == "__init__.py"])
def test_packages_import_nothing_of_ours_before_they_are_asked(name):
    top = ast.Module([node for node in ast.parse(NAMES[name].read_text()).body if "def " not in ast.unparse(node)], [])
    assert set(modules_in(ast.unparse(top))) <= {"renamed"}


@pytest.mark.parametrize(
    "source",
    [
        "import pgcourse.estimators",
        "import pgcourse.estimators as e",
        "from pgcourse import exact, estimators",
        "from pgcourse.estimators import rewards_to_go",
        "def late():\n    from pgcourse import estimators",
        "import pgcourse\npgcourse.estimators.rewards_to_go",
    ],
)
def test_every_way_to_import_is_seen(source):
    assert "estimators" in modules_in(source)


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("exercises.cases", "judging.calling", True),
        ("exercises.cases", "judging.verdicts", False),
        ("exercises.lesson_6.rewards_to_go", "estimators", False),
        ("checking", "workspace.progress", True),
        ("grading.judge", "reinforce", False),
        ("estimators", "reinforce", False),
        ("widgets", "plots", True),
        ("new_mathematics", "estimators", True),
        ("new_mathematics", "workspace.lab", False),
        ("exact", "new_mathematics", False),
    ],
)
def test_the_order_is_that_of_the_design(importer, imported, allowed):
    assert may_import(importer, imported) == allowed


def test_a_room_without_a_line_is_noticed():
    assert line_of("attic.box") is None


def loaded_by(statement):
    """What a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_top_level_is_light():
    loaded = loaded_by("import pgcourse")
    assert "pgcourse" in loaded
    assert not loaded & {"torch", "matplotlib", "ipywidgets", "scipy", "pgcourse.mdp"}


def test_maths_runs_without_matplotlib():
    loaded = loaded_by("import pgcourse.reinforce, pgcourse.exact")
    assert "pgcourse.reinforce" in loaded
    assert not loaded & {"matplotlib", "ipywidgets", "IPython"}


def test_submodules_come_when_they_are_asked_for():
    assert "pgcourse.estimators" in loaded_by("import pgcourse\npgcourse.estimators")
    for name in (name for _, name, _ in pkgutil.iter_modules([str(PACKAGE)]) if name != "__main__"):
        assert name in dir(pgcourse)
        assert getattr(pgcourse, name) is importlib.import_module(f"pgcourse.{name}")


def test_what_does_not_exist_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'pgcourse' has no attribute 'reinforcement'"):
        _ = pgcourse.reinforcement
    with pytest.raises(ImportError, match="cannot import name 'reinforcement'"):
        from pgcourse import reinforcement  # noqa: F401
