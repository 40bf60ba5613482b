"""The student edition and the course folder, as an instructor makes and renews them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from nbgrader.api import Gradebook
from nbgrader.utils import compute_checksum

from pgcourse.publishing import manifest
from pgcourse.publishing.edition import ReleaseError
from pgcourse.publishing.release import release

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # of nbgrader's own models
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
STEMS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
SOLUTION = (
    "def average(rewards):\n    ### BEGIN SOLUTION\n    return rewards.sum() / len(rewards)\n    ### END SOLUTION"
)
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}
CHECK = 'check(average, "average")\n### BEGIN HIDDEN TESTS\ncheck(average, "average", seed=1)\n### END HIDDEN TESTS'


def metadata(grade_id, **flags):
    flags = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3} | flags
    return {"nbgrader": {"grade_id": grade_id, **flags}}


def lesson():
    """A small source notebook: text with a link, an import, an exercise with its check, and a written answer."""
    cells = [
        v4.new_markdown_cell("# A lesson\n\nThen [the next one](01_next.ipynb#later).", id="text"),
        v4.new_code_cell("from pgcourse import check", id="imports"),
        v4.new_code_cell(SOLUTION, id="average", metadata=metadata("average", solution=True)),
        v4.new_code_cell(CHECK, id="check", metadata=metadata("check-average", grade=True, locked=True, points=1)),
        v4.new_markdown_cell("why", id="why", metadata=metadata("why", grade=True, solution=True, points=2)),
    ]
    cells[3].outputs = [v4.new_output("stream", text="✓")]
    return v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def write_source(folder):
    folder.mkdir()
    nbformat.write(lesson(), folder / "00_start.ipynb")
    nbformat.write(
        v4.new_notebook(cells=[v4.new_markdown_cell("[back](00_start.ipynb)", id="a")]), folder / "01_next.ipynb"
    )
    return folder


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "notebooks")


def change(path, cell, text):
    """Replaces the source of a cell, as somebody who edits the notebook does."""
    notebook = nbformat.read(path, 4)
    next(c for c in notebook.cells if c.id == cell).source = text
    nbformat.write(notebook, path)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cells(folder, layout="{}.ipynb"):
    """(lesson, cell) of the notebooks in a folder."""
    return [(stem, cell) for stem in STEMS for cell in nbformat.read(folder / layout.format(stem), 4).cells]


# The edition of the real lessons


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """A folder with the edition made twice, "alone" and with its "course"."""
    folder = tmp_path_factory.mktemp("editions")
    release(folder / "alone")
    release(folder / "edition", course=folder / "course")
    return folder


def test_the_edition_is_flat_alone_and_the_same_bytes_every_time(editions):
    names = {f"{stem}.ipynb" for stem in STEMS} | {"README.md", manifest.MARKER}
    assert set(contents(editions / "edition")) == names
    assert contents(editions / "alone") == contents(editions / "edition")


def test_the_edition_gives_nothing_away(editions):
    for stem, cell in cells(editions / "edition"):
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)|grading_seed", cell.source), (stem, cell.id)
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
    assert all(b"grading_seed" not in content for content in contents(editions / "edition").values())


def test_cells_are_locked_and_their_checksums_hold(editions):
    graded = [cell for _, cell in cells(editions / "edition") if "nbgrader" in cell.metadata]
    assert len(graded) > 2 * len(STEMS)
    for cell in graded:
        assert cell.metadata.deletable is False
        assert cell.metadata.nbgrader.checksum == compute_checksum(cell)
        assert cell.metadata.get("editable", True) is bool(cell.metadata.nbgrader.solution)
    stubs = [cell for cell in graded if cell.cell_type == "code" and cell.metadata.nbgrader.solution]
    assert all("# YOUR CODE HERE\n    raise NotImplementedError()" in cell.source for cell in stubs)


def test_the_edition_is_what_nbgrader_released(editions):
    nested = [(s, c.source, c.metadata) for s, c in cells(editions / "course/release", "{0}/{0}.ipynb")]
    flat = [(s, c.source, c.metadata) for s, c in cells(editions / "edition")]
    assert [(s, re.sub(r"\.\./\w+/", "", text), m) for s, text, m in nested] == flat


@pytest.mark.parametrize("layout", ["course/source/{0}/{0}.ipynb", "course/release/{0}/{0}.ipynb", "edition/{0}.ipynb"])
def test_links_between_lessons_lead_somewhere(editions, layout):
    links = {
        (editions / layout.format(stem)).parent / target
        for stem, cell in cells(editions, layout)
        for target in re.findall(r"\]\(([^)#:]+\.ipynb)", cell.source)
    }
    assert links
    assert {link for link in links if not link.is_file()} == set()


def test_the_gradebook_knows_points_and_hidden_tests(editions):
    with Gradebook(f"sqlite:///{editions}/course/gradebook.db") as gradebook:
        assert [assignment.name for assignment in gradebook.assignments] == STEMS
        assert {assignment.course_id for assignment in gradebook.assignments} == {"pgcourse"}
        assert gradebook.find_grade_cell("check-average", STEMS[0], STEMS[0]).max_score == 1
        assert "grading_seed()" in gradebook.find_source_cell("check-average", STEMS[0], STEMS[0]).source


@pytest.mark.processes
def test_nbgrader_works_in_the_course_folder(course):
    before = contents(course / "release")
    shutil.rmtree(course / "release")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "--assignment=00_start"]
    subprocess.run(command, cwd=course, check=True, capture_output=True)
    assert contents(course / "release") == {n: c for n, c in before.items() if n.startswith("00_start")}


# What is refused


def set_points(notebook):
    notebook.cells[3].metadata.nbgrader.points = 3


def repeat_id(notebook):
    notebook.cells[4].metadata.nbgrader.grade_id = "average"


def put(cell, old, new):
    def edit(notebook):
        assert old in notebook.cells[cell].source
        notebook.cells[cell].source = notebook.cells[cell].source.replace(old, new)

    return edit


def drop_from(flag, cell):
    return lambda notebook: notebook.cells[cell].metadata.nbgrader.update({flag: False})


REFUSED = {
    "points": (set_points, "check-average: 3 points, expected 1"),
    "repeated id": (repeat_id, "average: 2 cells have this grade_id"),
    "no begin": (put(2, "    ### BEGIN SOLUTION\n", ""), "average: its markers are END SOLUTION"),
    "misspelt begin": (put(2, "BEGIN SOLUTION", "BEGIN SOLUTOIN"), "average: its markers are END SOLUTION"),
    "no end": (put(3, "\n### END HIDDEN TESTS", ""), "check-average: its markers are BEGIN HIDDEN TESTS"),
    "crossed": (put(3, "END HIDDEN TESTS", "END SOLUTION"), "check-average: its markers are BEGIN HIDDEN TESTS, END"),
    "small letters": (put(2, "BEGIN SOLUTION", "begin"), "average: its markers are END SOLUTION"),
    "no markers": (
        lambda n: n.cells[2].update(source="def average(r):\n    return 1"),
        "average: no solution is marked",
    ),
    "remains": (put(1, "from", "# begin-solution\nfrom"), "imports: 'begin-solution' is left over"),
    "marker in text": (
        put(0, "Then", "BEGIN SOLUTION then\nEND SOLUTION"),
        "text: a solution stands in a cell that is",
    ),
    "hidden in text": (
        put(1, "from", "# BEGIN HIDDEN TESTS\n# END HIDDEN TESTS\nfrom"),
        "imports: hidden tests stand in",
    ),
    "solution in text": (
        put(0, "Then", "return rewards.sum() / len(rewards)\n"),
        "text: says word for word a solution",
    ),
    "does not parse": (
        put(2, "    ### BEGIN", "  pass\n    ### BEGIN"),
        "average: does not parse without its solution",
    ),
    "not checked": (lambda n: n.cells[3].metadata.nbgrader.pop("points"), "00_start"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_notebook_and_cell_before_anything_is_written(source, tmp_path, name):
    edit, message = REFUSED[name]
    notebook = lesson()
    edit(notebook)
    nbformat.write(notebook, source / "00_start.ipynb")
    with pytest.raises(ReleaseError, match=re.escape(message)) as refused:
        release(tmp_path / "edition", course=tmp_path / "course", source=source)
    assert "00_start" in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks"]


def test_the_small_lesson_is_not_refused(source, tmp_path):
    update = release(tmp_path / "edition", source=source)
    assert update.added == ("README.md", "00_start.ipynb", "01_next.ipynb")


def test_magics_parse(source, tmp_path):
    change(source / "00_start.ipynb", "imports", "%matplotlib inline\n!ls\nfrom pgcourse import check")
    release(tmp_path / "edition", source=source)


def test_all_that_is_wrong_is_said_at_once(source, tmp_path):
    notebook = lesson()
    for name in ("points", "hidden in text"):
        REFUSED[name][0](notebook)
    nbformat.write(notebook, source / "00_start.ipynb")
    with pytest.raises(ReleaseError) as refused:
        release(tmp_path / "edition", source=source)
    assert len(str(refused.value).splitlines()) == 2


def test_places_that_are_refused(source, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    refused = {
        "is not empty: add --update": {"out": tmp_path / "full"},
        "is not a folder": {"out": tmp_path / "file"},
        "course's solutions away": {"out": tmp_path / "new", "course": tmp_path / "new/course"},
        "is where the source notebooks are": {"out": source, "update": True},
    }
    for message, where in refused.items():
        with pytest.raises(ReleaseError, match=message):
            release(**where, source=source)
    with pytest.raises(ReleaseError, match="is not empty"):
        release(tmp_path / "new", course=tmp_path / "full", source=source)
    assert contents(tmp_path / "full") == {"mine.txt": b"mine"}
    assert not (tmp_path / "new").exists()


def test_a_source_that_is_no_notebook_is_named(source, tmp_path):
    (source / "02_broken.ipynb").write_text("{")
    with pytest.raises(ReleaseError, match=r"02_broken\.ipynb is not a notebook"):
        release(tmp_path / "edition", source=source)


# Updates


def as_jupyterlab_saves(path):
    """Runs and saves a notebook without editing it: outputs, counts, layout of the file, an empty cell at the end."""
    notebook = json.loads(path.read_text())
    for count, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code":
            cell |= {"execution_count": count, "outputs": [v4.new_output("stream", text="hello")]}
            cell["metadata"]["collapsed"] = True
    notebook["cells"].append(v4.new_code_cell())
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.99"}
    path.write_text(json.dumps(notebook, indent=4, sort_keys=True))


def test_update_renews_the_unchanged_and_keeps_the_changed(source, tmp_path):
    out = tmp_path / "edition"
    release(out, source=source)
    (out / "notes.txt").write_text("mine")
    as_jupyterlab_saves(out / "01_next.ipynb")
    original = (out / "00_start.ipynb").read_bytes()
    change(out / "00_start.ipynb", "average", "def average(rewards):\n    return 0")
    mine = (out / "00_start.ipynb").read_bytes()
    change(source / "00_start.ipynb", "text", "# A better lesson")
    change(source / "01_next.ipynb", "a", "Better too")
    nbformat.write(v4.new_notebook(), source / "02_more.ipynb")

    update = release(out, source=source, update=True)
    assert (update.added, update.renewed) == (("02_more.ipynb",), ("01_next.ipynb",))
    assert update.kept == update.outdated == ("00_start.ipynb",)
    assert update.lines() == [
        "Added: 02_more.ipynb",
        "Renewed: 01_next.ipynb",
        "Kept, with your changes: 00_start.ipynb",
        "For a newer 00_start.ipynb, rename yours and update again",
    ]
    assert (out / "00_start.ipynb").read_bytes() == mine
    assert "Better too" in (out / "01_next.ipynb").read_text()
    assert (out / "notes.txt").read_text() == "mine"

    (out / "00_start.ipynb").rename(out / "mine.ipynb")
    (out / "00_start.ipynb").write_bytes(original)  # the change undone
    assert release(out, source=source, update=True).renewed == ("00_start.ipynb",)
    (out / "00_start.ipynb").unlink()
    assert release(out, source=source, update=True).added == ("00_start.ipynb",)
    assert (out / "mine.ipynb").read_bytes() == mine


def test_update_without_news_writes_nothing(source, tmp_path):
    out = tmp_path / "edition"
    release(out, source=source)
    as_jupyterlab_saves(out / "01_next.ipynb")
    before = contents(out)
    assert release(out, source=source, update=True).lines() == ["All lessons are up to date"]
    assert contents(out) == before


def test_executing_a_source_again_is_no_change(source, tmp_path):
    before = manifest.source_digest(source)
    release(tmp_path / "before", source=source)
    notebook = nbformat.read(source / "00_start.ipynb", 4)
    notebook.cells[1] |= {"execution_count": 1, "outputs": [v4.new_output("stream", text="hello")]}
    notebook.metadata.language_info = {"name": "python", "version": "3.99"}
    nbformat.write(notebook, source / "00_start.ipynb")
    release(tmp_path / "after", source=source)
    assert manifest.source_digest(source) == before
    assert contents(tmp_path / "after") == contents(tmp_path / "before")
    change(source / "00_start.ipynb", "text", "new")
    assert manifest.source_digest(source) != before


def test_update_never_touches_files_that_it_does_not_know(source, tmp_path):
    out = tmp_path / "edition"
    out.mkdir()
    (out / "00_start.ipynb").write_text("somebody else's")
    (out / "01_next.ipynb").mkdir()
    update = release(out, source=source, update=True)
    assert update.kept == ("00_start.ipynb", "01_next.ipynb")
    assert (out / "00_start.ipynb").read_text() == "somebody else's"


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """A folder with an edition and its course, in which somebody has handed in lesson 0 and has 1 point."""
    folder = tmp_path_factory.mktemp("handed_in")
    release(folder / "edition", course=folder / "course", source=write_source(folder / "notebooks"))
    with Gradebook(f"sqlite:///{folder}/course/gradebook.db") as gradebook:
        gradebook.add_student("ada")
        gradebook.add_submission("00_start", "ada")
        gradebook.find_grade("check-average", "00_start", "00_start", "ada").manual_score = 1
        gradebook.db.commit()
    return folder


@pytest.fixture
def course(source, tmp_path, handed_in):
    shutil.copytree(handed_in / "edition", tmp_path / "edition")
    return shutil.copytree(handed_in / "course", tmp_path / "course")


def score(course):
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        return gradebook.find_submission("00_start", "ada").score


def test_update_keeps_the_gradebook_and_what_an_instructor_changed(source, tmp_path, course):
    change(course / "source/00_start/00_start.ipynb", "imports", "from pgcourse import check  # for my class")
    (course / "nbgrader_config.py").write_text((course / "nbgrader_config.py").read_text() + "c.Execute.timeout = 7\n")
    (course / "source/my_own").mkdir()
    nbformat.write(lesson(), course / "source/my_own/my_own.ipynb")
    change(source / "01_next.ipynb", "a", "Better")

    release(tmp_path / "edition", course=course, source=source, update=True)
    assert "# for my class" in (tmp_path / "edition/00_start.ipynb").read_text()
    assert "Better" in (course / "release/01_next/01_next.ipynb").read_text()
    assert (tmp_path / "edition/my_own.ipynb").exists()
    assert (course / "nbgrader_config.py").read_text().endswith("timeout = 7\n")
    assert score(course) == 1


def test_a_new_cell_in_a_lesson_that_was_handed_in_is_refused(source, tmp_path, course):
    notebook = lesson()
    notebook.cells.append(v4.new_code_cell("x", metadata=metadata("bonus", solution=True)))
    nbformat.write(notebook, source / "00_start.ipynb")
    before, edition = contents(course), contents(tmp_path / "edition")
    with pytest.raises(ReleaseError, match="00_start: bonus came or went, but 1 submission"):
        release(tmp_path / "edition", course=course, source=source, update=True)
    assert contents(course) == before
    assert contents(tmp_path / "edition") == edition
    assert score(course) == 1


def test_a_configuration_that_does_not_run_is_named(source, tmp_path, course):
    (course / "nbgrader_config.py").write_text("c.Nonsense = = 1")
    with pytest.raises(ReleaseError, match=r"nbgrader_config\.py does not run: SyntaxError"):
        release(tmp_path / "edition", course=course, source=source, update=True)


def test_the_instructors_settings_shape_the_edition(source, tmp_path, course):
    (course / "nbgrader_config.py").write_text('c = get_config()\nc.ClearSolutions.text_stub = "your turn"\n')
    release(tmp_path / "other", course=course, source=source, update=True)
    assert "your turn" in (tmp_path / "other/00_start.ipynb").read_text()
    assert "your turn" in (course / "release/00_start/00_start.ipynb").read_text()
