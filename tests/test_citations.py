"""Docstrings cite equations by the tags that the notebooks give them."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r"\bEqs?\.\s+\((\d+)\.(\d+)\)")
TAG = re.compile(r"\\tag\{(\d+)\.(\d+)\}")
REFERENCE = re.compile(r"(?<![\w}])\((\d{1,2})\.(\d{1,2})\)")
UNWRITTEN = set()  # lessons that docstrings cite ahead of their notebooks


def notebooks():
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def markdown(path):
    return "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")


def tags():
    return [tuple(map(int, tag)) for path in notebooks() for tag in TAG.findall(markdown(path))]


def test_docstrings_cite_only_equations_that_exist():
    written = {int(path.name[:2]) for path in notebooks()}
    assert not written & UNWRITTEN, "a lesson that is written now is still listed as unwritten"
    cited = {
        (path.name, *map(int, citation))
        for path in (ROOT / "pgcourse").rglob("*.py")
        for citation in CITATION.findall(path.read_text())
    }
    assert len(cited) > 10
    unknown = [c for c in sorted(cited) if c[1:] not in tags() and c[1] not in UNWRITTEN]
    assert not unknown, f"cited in docstrings, but no equation has the tag: {unknown}"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_tags_count_from_one_and_references_lead_somewhere(path):
    lesson, text = int(path.name[:2]), markdown(path)
    untagged = [equation for equation in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL) if not TAG.search(equation)]
    assert not untagged, "a displayed equation has a tag"
    own = [(int(a), int(b)) for a, b in TAG.findall(text)]
    assert own == [(lesson, n + 1) for n in range(len(own))]
    known = tags()
    prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    lost = {(int(a), int(b)) for a, b in REFERENCE.findall(prose)} - set(known)
    assert not {r for r in lost if r[0] not in UNWRITTEN}, f"{path.name} refers to equations that do not exist"
