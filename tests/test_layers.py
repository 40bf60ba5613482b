import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import pgcourse

PACKAGE = Path(pgcourse.__file__).parent

# "Imports point one way": what each module may import of the package. A new module needs a place here first.
CORE = {"trajectories", "mdp", "environments", "policies", "finite_differences"}
MAY_IMPORT = {
    **{name: set() for name in CORE},
    "workcopy": set(),
    "doctor": set(),
    "exact": CORE,
    "rollouts": CORE,
    "probes": CORE,
    "estimators": CORE | {"exact", "rollouts"},
    "reinforce": CORE | {"exact", "rollouts", "estimators"},
    "distributed": CORE | {"rollouts", "estimators", "reinforce"},
    "plots": CORE | {"exact", "rollouts", "estimators", "reinforce"},
    "widgets": CORE | {"exact", "rollouts", "estimators", "reinforce", "plots"},
    "exercises": CORE | {"exact", "rollouts", "probes"},  # an oracle does not import what it judges
    "judging": CORE | {"exact", "rollouts", "probes", "exercises"},
    "checking": CORE | {"exact", "rollouts", "probes", "exercises", "judging", "workcopy"},
    "backup": {"checking", "workcopy"},
}
MAY_IMPORT["grading"] = set(MAY_IMPORT)
MAY_IMPORT["publishing"] = set(MAY_IMPORT)
MAY_IMPORT["grading"] |= {"publishing"}
MAY_IMPORT["lab"] = {"workcopy", "publishing"}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
MAY_IMPORT["__main__"] = {"cli"}
MATHS = CORE | {"exact", "rollouts", "probes", "estimators", "reinforce", "exercises", "judging"}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def layer(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


def layers_in(source):
    """The modules of the package that a source imports."""
    names = (name.split(".") for name in imported(ast.parse(source)))
    return {name[1] for name in names if name[0] == "pgcourse" and len(name) > 1} & set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    assert layer(path) in MAY_IMPORT, f"{layer(path)} has no place in the order of layers yet"
    wrong = layers_in(path.read_text()) - MAY_IMPORT[layer(path)] - {layer(path)}
    assert not wrong, f"{layer(path)} imports {sorted(wrong)}"


@pytest.mark.parametrize("path", [path for path in FILES if layer(path) in MATHS], ids=lambda path: path.name)
def test_no_maths_module_draws(path):
    tops = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    assert not tops & {"matplotlib", "ipywidgets", "IPython"}


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
    assert "estimators" in layers_in(source)


def test_the_order_has_no_circle():
    placed = set()
    while placed != set(MAY_IMPORT):
        free = {
            name
            for name in MAY_IMPORT
            if name not in placed and MAY_IMPORT[name] - {name, "cli", "grading", "lab", "publishing"} <= placed
        }
        assert free
        placed |= free


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
    names = {name for _, name, _ in pkgutil.iter_modules([str(PACKAGE)]) if name not in ("cli", "grading", "publishing", "__main__")}
    assert names <= set(dir(pgcourse))
    for name in names:
        assert getattr(pgcourse, name) is importlib.import_module(f"pgcourse.{name}")


def test_what_does_not_exist_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'pgcourse' has no attribute 'reinforcement'"):
        _ = pgcourse.reinforcement
