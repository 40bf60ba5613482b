"""Who began with 0.1.0 goes on: its lessons, copies, courses and names, under the package of now.

What is in the archive, and how 0.1.0 made it, says tools/pack_0_1_0.py.
"""

import ast
import csv
import importlib
import inspect
import json
import shutil
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

import pgcourse
from pgcourse import renamed
from pgcourse.grading import classroom, journal
from pgcourse.publishing import manifest
from pgcourse.workspace import backup, lab, progress
from tools.pack_0_1_0 import EDITED, grade_id, said

ARCHIVE = Path(__file__).parent / "data/0.1.0.tar.xz"
RUN = ("07_baselines", "08_off_policy", "00_start_here")  # they call whatever a lesson calls by an old name


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The folder of what 0.1.0 left; not to be written to."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extraction_filter = lambda member, _: member  # it is ours, and Pythons differ in what they refuse
        archive.extractall(folder)
    return folder


def executed(old, stem):
    """The cells of a lesson run blank, and the course's answers with their checks, run after them."""
    blank, solved = (nbformat.read(old / edition / f"{stem}.ipynb", 4) for edition in ("edition", "solved"))
    together = nbformat.from_dict(blank)
    together.cells += [cell for cell in solved.cells if cell.cell_type == "code" and grade_id(cell)]
    resources = {"metadata": {"path": str(old / "solved")}}
    NotebookClient(together, timeout=240, resources=resources).execute()
    return together.cells[: len(blank.cells)], together.cells[len(blank.cells) :]


@pytest.fixture(scope="module")
def runs(old):
    """{lesson: its run}, begun two at a time while other tests go on."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as two:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield {stem: two.submit(executed, old, stem) for stem in RUN}


def lessons(folder):
    return {path.stem: nbformat.read(path, 4) for path in sorted(folder.glob("*.ipynb"))}


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Lessons


def resolved(dotted):
    """What a dotted name is of, imported if need be. Raises ImportError or AttributeError where there is no such."""
    package, *parts = dotted.split(".")
    found = importlib.import_module(package)
    for end, part in enumerate(parts, 1):
        try:
            found = getattr(found, part)
        except AttributeError:
            if not inspect.ismodule(found):
                raise
            found = importlib.import_module(".".join([package, *parts[:end]]))
    return found


class Uses(ast.NodeVisitor):
    """`found`: (dotted name, the call or None) of all that code imports from the package, or reaches in it by a dot."""

    def __init__(self):
        self.found, self._names = [], {}

    def visit_Import(self, node):
        for alias in node.names:
            self._bind(alias.asname or "pgcourse", alias.name if alias.asname else "pgcourse", alias.name)

    def visit_ImportFrom(self, node):
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            self._bind(alias.asname or alias.name, name, name)

    def _bind(self, known_as, name, imported):
        if imported.split(".")[0] == "pgcourse":
            self._names[known_as] = name
            self.found.append((imported, None))

    def visit_FunctionDef(self, node):
        """Inside, an argument hides a module of its name."""
        outside, hidden = self._names, {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        self._names = {known_as: name for known_as, name in outside.items() if known_as not in hidden}
        self.generic_visit(node)
        self._names = outside

    visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_Call(self, node):
        if name := self._dotted(node.func):
            self.found.append((name, node))
        self.generic_visit(node)

    def visit_Attribute(self, node):
        if name := self._dotted(node):
            self.found.append((name, None))
        self.generic_visit(node)

    def _dotted(self, node):
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        home = self._dotted(node.value) if isinstance(node, ast.Attribute) else None
        return home and f"{home}.{node.attr}"


def problems(source):
    """What code asks of the package and the package does not have: a name, or a way to call it."""
    uses = Uses()
    uses.visit(ast.parse(source))
    for name, call in uses.found:
        try:
            found = resolved(name)
            if call and not any(isinstance(a, ast.Starred) for a in call.args) and all(k.arg for k in call.keywords):
                inspect.signature(found).bind(*call.args, **{keyword.arg: keyword for keyword in call.keywords})
        except (ImportError, AttributeError, TypeError) as error:
            yield f"{name}: {error}"


@pytest.mark.usefixtures("runs")  # begun here: they take their time
@pytest.mark.filterwarnings("ignore:.*is now called:FutureWarning")
@pytest.mark.parametrize("edition", ["edition", "solved", "half"])
def test_what_a_lesson_asks_of_the_package_is_there(old, edition):
    plain = TransformerManager().transform_cell
    notebooks = lessons(old / edition)
    assert len(notebooks) == 11
    for notebook in notebooks.values():
        code = "\n".join(plain(cell.source) for cell in notebook.cells if cell.cell_type == "code")
        assert list(problems(code)) == []


@pytest.mark.filterwarnings("ignore:.*is now called:FutureWarning")
def test_what_else_was_public_is_there():
    """What 0.1.0's papers and docstrings name, and what a script of an instructor's would call by its name."""
    source = """
from pgcourse import CheckFailed, backup, check, doctor, lab, probes, progress, widgets, workcopy
from pgcourse.checking import CheckFailed, as_html, as_text, check, grading_seed, progress
from pgcourse.exercises import EXERCISES, LESSONS, Exercise, Misconception
from pgcourse.exercises.cases import case, rewards_like
from pgcourse.grading import WRITTEN, classroom, configure, configure_edition, feedback, report
from pgcourse.grading.execute import JailedExecute, Restore, warm_nursery
from pgcourse.grading.jail import JailUnavailable, Limits, Nursery
from pgcourse.grading.judge import grade, hidden_seed, without_hidden_tests
from pgcourse.grading.markdown import clean_markdown
from pgcourse.grading.release import make_course, release
from pgcourse.grading.submission import Lesson, restore
from pgcourse.judging import Verdict, judge, run
import pgcourse.judging.__main__

configure(c)
lab.write_settings(config, workspaces)
release(out, course, update, source)
make_course(folder, update, source, db)
classroom.grade(places, out, course, count=2, scheduler=None, db=db, unsafe=False, again=False, export=True)
lesson = Lesson.of("06_causality", source, release)
notebook, remarks, refusal = restore(lesson, data)
seed = hidden_seed(secret, student, notebook)
result = grade(lesson, notebook, seed, warm_nursery(), remarks, refusal)
Nursery(Limits(cell_seconds=4), unsafe=True)
check(answer, "average", seed=grading_seed())
run(answer, inputs, "function", 1)
judge(exercise, call, 0)
widgets.SliderFigure, pgcourse.__version__
"""
    assert list(problems(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pgcourse.nothing",
        "from pgcourse import nothing as n",
        "from pgcourse.exact import nothing",
        "import pgcourse\npgcourse.nothing",
        "import pgcourse.exact as e\ne.nothing(1)",
        "from pgcourse import exact as e\ndef late(x):\n    return lambda y: e.nothing(x).mean()",
        "def late():\n    from pgcourse import exact\n    exact.nothing",
        "from pgcourse import policies\npolicies.SoftmaxTable.nothing",
        "from pgcourse import exact\nexact.gradient(mdp)",
        "from pgcourse.exact import gradient\ngradient(mdp, policy, nothing=1)",
    ],
)
def test_what_is_missing_is_noticed(source):
    assert [*problems(source)]


def test_what_belongs_to_the_learner_is_let_alone():
    source = "from pgcourse import mdp\nimport numpy as np\ndef f(mdp, n):\n    return np.nothing, mdp.P, n.nothing"
    assert list(problems(source)) == []


@pytest.mark.filterwarnings("ignore:.*is now called:FutureWarning")
def test_an_answer_is_judged_as_it_was(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_memory", {})
    now = {name: status for notebook in lessons(old / "half").values() for name, status in said(notebook).items()}
    then = json.loads((old / "half/said.json").read_text())
    assert now == then
    assert {*then.values()} == {"passed", "wrong", "not attempted"}


# A learner's copy


@pytest.fixture
def in_copy(old, tmp_path, monkeypatch):
    """Copies a folder of 0.1.0, goes there, and returns where that is."""
    monkeypatch.setattr(progress, "_memory", {})

    def go(name):
        monkeypatch.chdir(shutil.copytree(old / name, tmp_path / name))
        return tmp_path / name

    return go


def test_a_copy_goes_on(old, in_copy, capsys):
    copy = in_copy("work")
    before = files(copy)
    assert lab.prepare(copy) == copy
    assert "The course has changed since this copy was made" in capsys.readouterr().out
    pgcourse.progress()
    passed = [*json.loads((old / "half/said.json").read_text()).values()].count("passed")
    assert f"\n{passed} of " in capsys.readouterr().out
    assert files(copy) == before


def test_an_update_renews_what_the_learner_has_not_touched(in_copy, capsys):
    copy = in_copy("work")
    before = files(copy)
    lab.prepare(copy, update=True)
    told = capsys.readouterr().out
    assert f"Kept, with your changes: {EDITED}.ipynb\n" in told
    assert "rename yours and update again" in told
    mine = [copy / name for name in (f"{EDITED}.ipynb", "thoughts.md", progress.PROGRESS)]
    assert all(path.read_bytes() == before[path] for path in mine)
    made = manifest.read(copy)
    assert made["source"] == manifest.source_digest()
    others = {path.name for path in copy.glob("*.ipynb")} - {f"{EDITED}.ipynb"}
    assert len(others) >= 10
    assert not [name for name in others if manifest.is_yours(copy, name, made["files"])]


def test_a_saved_zip_comes_back(old, in_copy):
    copy = in_copy("edition")
    backup.restore(old / "saved.zip")
    for name in (f"{EDITED}.ipynb", "thoughts.md"):
        assert (copy / name).read_bytes() == (old / "work" / name).read_bytes()
    then, now = (json.loads((folder / progress.PROGRESS).read_text()) for folder in (old / "work", copy))
    assert now == then


# An instructor's course


@pytest.fixture(params=["course made by the way", "course of their own"])
def term(request, old, tmp_path):
    """(what was handed in, the --out folder of 0.1.0, its --course or None)."""
    submitted, out = (shutil.copytree(old / name, tmp_path / name) for name in ("submitted", "graded"))
    own = shutil.move(out / "course", tmp_path / "course") if "own" in request.param else None
    return submitted, out, own


def rows(out, *columns):
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return {line["student"]: [line[column] for column in columns] for line in csv.DictReader(file)}


def seeds(out):
    """{student: the seed of the hidden cases} of the results that count."""
    book = journal.Journal(out)
    return {student: book.load(key).get("seed") for (student, _), key in book.latest.items()}


def test_what_was_graded_is_known(term, in_this_process):
    submitted, out, course = term
    grades, log = (out / "grades.csv").read_bytes(), (out / "log.csv").read_bytes()
    sources = files((course or out / "course") / "source")
    outcome = classroom.grade_class([submitted], out, course)
    assert (outcome.collected, outcome.graded, outcome.failed, outcome.not_entered) == (7, 0, 0, {})
    assert (out / "grades.csv").read_bytes() == grades
    assert (out / "log.csv").read_bytes() == log
    assert files((course or out / "course") / "source") == sources


@pytest.mark.parametrize("term", ["course of their own"], indirect=True)
def test_graded_again_it_is_the_same(term, in_this_process):
    submitted, out, course = term
    told = rows(out, "lesson", "score", "max_score", "status")
    before = seeds(out)
    outcome = classroom.grade_class([submitted], out, course, again=True)
    assert (outcome.graded, outcome.refused, outcome.unchanged, len(outcome.unusable)) == (4, 1, 1, 1)
    assert rows(out, "lesson", "score", "max_score", "status") == told
    assert seeds(out) == before
    assert told["right"][1:] == ["6.5", "7", "passed"], "with the points that a person gave"
    assert len({*before.values()}) == 7


# Names


WAYS = {
    "import": "import {home}.{name} as found",
    "from": "from {home} import {name} as found",
    "attribute": "import {home}\nfound = {home}.{name}",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("old_name", renamed.NOW)
def test_an_old_name_is_of_the_same_thing_and_says_so(old_name, way):
    new, (home, _, name) = renamed.NOW[old_name], f"pgcourse.{old_name}".rpartition(".")
    thing, found = resolved(f"pgcourse.{new}"), {}
    if inspect.ismodule(thing):  # nobody has asked for it by its old name yet
        sys.modules.pop(f"{home}.{name}", None)
        vars(resolved(home)).pop(name, None)
    elif way == "import":
        way = "from"  # what is no module is imported from one
    with pytest.warns(FutureWarning, match=f"^pgcourse.{old_name} is now called pgcourse.{new}, and goes in 0.3$"):
        exec(WAYS[way].format(home=home, name=name), found)
    assert found["found"] is thing


@pytest.mark.parametrize("home", sorted({old.rpartition(".")[0] for old in renamed.NOW}))
def test_a_name_that_never_was_is_none(home):
    place = f"pgcourse.{home}".strip(".")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = resolved(place).nothing
    with pytest.raises(ImportError, match="nothing"):
        exec(f"from {place} import nothing")
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        importlib.import_module(f"{place}.nothing")


def test_the_table_is_short():
    assert len(renamed.NOW) <= 30


# The lessons that were begun above


def printed(cells, stream):
    """{grade_id of a cell: what it printed}; cells without one have theirs under ""."""
    texts = {}
    for cell in cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == stream:
                texts[grade_id(cell)] = texts.get(grade_id(cell), "") + output.text
    return texts


@pytest.mark.parametrize("stem", RUN)
def test_a_lesson_runs_blank_and_with_its_answers(runs, stem):
    blank, solved = runs[stem].result()
    before, after = printed(blank, "stdout"), printed(solved, "stdout")
    checks = [name for name in after if name.startswith("check-")]
    assert checks == [grade_id(cell) for cell in solved if grade_id(cell).startswith("check-")]
    assert all("not attempted yet" in before[name] for name in checks)
    assert all(after[name].startswith("✓") for name in checks)
    told = printed(blank, "stderr")[""]
    assert "FutureWarning: pgcourse." in told
    assert told.count("Warning") == told.count("is now called pgcourse.")
