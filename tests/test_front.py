"""The front page and the papers beside it: what they say is so."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from yaml import safe_load

import pgcourse
from pgcourse.exercises import LESSONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| \[(.+)\]\(notebooks/(\w+)\.ipynb\) \| (\d+) \| .+ \|$", re.MULTILINE)
LINK = re.compile(r"\]\(\s*([^)\s]+)\s*\)")
PAGES = ("README.md", "CONTRIBUTING.md", "docs/teaching.md", "docs/architecture.md", "CHANGELOG.md")


def minutes(stem):
    """What the lesson itself says, in its first cell."""
    text = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", 4).cells[0].source
    [number] = re.findall(r"(\d+|fifteen) minutes", text)
    return 15 if number == "fifteen" else int(number)


def test_the_map_has_the_lessons_and_their_minutes():
    assert ROW.findall(README) == [
        (str(number), title, stem, str(minutes(stem))) for number, (stem, title) in enumerate(LESSONS.items())
    ]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = [target for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")) if "://" not in target]
    assert not [target for target in targets if not ((ROOT / page).parent / target.partition("#")[0]).exists()]


def test_the_house_is_drawn_as_it_stands():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    package = ROOT / "pgcourse"
    drawing = re.search(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1]
    rooms = {path.name for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {room.removesuffix(".py") for room in rooms} - {"__init__", "__main__"} <= set(re.findall(r"\w+", drawing))
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in [*package.rglob("*.py"), *(ROOT / "tests").glob("*.py")]
    )
    for name in re.findall(r"`([\w./]+)`", text.partition("## Where things go")[2]):
        if "/" in name or name.endswith(".py"):
            place = name.replace("lesson_N/NAME", "lesson_0/average")
            assert (package / place).exists() or (ROOT / place).exists(), name
        else:
            assert name in ("NAME", "grades.csv", "check-NAME") or re.search(rf"\b{name.rpartition('.')[2]}\b", code), (
                name
            )


def test_the_picture_is_the_one_in_the_lesson():
    shown = base64.b64encode((ROOT / "docs" / "estimates.png").read_bytes()).decode()
    assert shown in (ROOT / "notebooks" / f"{[*LESSONS][3]}.ipynb").read_text(encoding="utf-8")


def test_the_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    texts = [makefile.partition("\n\n")[0], *((ROOT / page).read_text() for page in (*PAGES, ".ci/run"))]
    named = {name for text in texts for name in re.findall(r"(?:`|^|# |  )make ([\w-]+)", text, re.MULTILINE)}
    assert {"lab", "quick", "test", "test-doors", "book", "bench"} <= named
    assert named <= targets


def test_the_addresses_are_the_package_s():
    assert pgcourse.SITE in README


def test_citation_and_changelog_have_the_version():
    citation = safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)  # what the format asks for
    heading = re.search(r"^## (\d.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert citation["version"] == pgcourse.__version__
    assert heading == f"{citation['version']} ({citation['date-released']})"
    assert citation["url"] == pgcourse.SITE
