"""What somebody handed in, put back into the shape of the lesson: their answers and additions, all else ours.

Only the text of cells is taken from a submission. Types, order, points and checks come from the course's own notebook,
so that a cell which was deleted, copied, moved, retyped or relabelled costs nobody a grade and brings nobody one.
"""

import hashlib
import json
import os
import re
import stat
from base64 import b64decode
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

from pgcourse import renamed
from pgcourse.grading.names import is_prose, names, texts
from pgcourse.grading.pictures import is_drawable
from pgcourse.judging.statuses import Status
from pgcourse.publishing.edition import flat_links
from pgcourse.publishing.settings import WRITTEN

__getattr__ = renamed.attributes(__name__)

MAX_FILE = 2**28  # bytes; a loop that prints leaves long outputs in an honest notebook
MAX_CELLS = 1000
MAX_SOURCE = 100_000  # characters of a cell
MAX_TEXT = 2**21  # characters of all cells
MAX_ATTACHMENTS = 2**22  # characters of a notebook's pictures
WORDS = 20  # of a text that may be an answer, far from where the question stands; letters by which a text has grown
MAX_COMPARED = 1000  # words of a text that are held against the lesson's
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Submission:
    """One notebook of one student.

    path     a file of the system's that holds it; None where there is a refusal
    lesson   a lesson of the course; another name only where there is a refusal
    time     when it was handed in, as a text that nbgrader reads, or ""
    remarks  sentences about what was odd
    refusal  None, or (status, sentence) for what cannot be graded at all
    inode    (device, number) of the file that was found, None for one of ours
    beside   (name, bytes) of small files that were handed in with it, such as modules and data
    """

    student: str
    lesson: str
    path: Path | None
    time: str = ""
    remarks: tuple[str, ...] = ()
    refusal: tuple[str, str] | None = None
    inode: tuple[int, int] | None = None
    beside: tuple[tuple[str, bytes], ...] = ()

    def read(self):
        """The bytes of the very file that was found, b"" without one; OSError if another took its place."""
        if self.path is None:
            return b""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            now = os.fstat(descriptor)
            if not stat.S_ISREG(now.st_mode) or self.inode not in (None, (now.st_dev, now.st_ino)):
                raise OSError("another file took its place")
            return file.read(MAX_FILE + 1)


@dataclass(frozen=True)
class Lesson:
    """A lesson as the course has it: `source`, with solutions and hidden tests, and `release`, as it was given out."""

    name: str
    source: nbformat.NotebookNode
    release: nbformat.NotebookNode

    @classmethod
    def of(cls, name, source, release=None):
        """From the source alone, if need be; ValueError if the two do not correspond cell by cell."""
        if release is None:
            release, resources = nbformat.from_dict(source), {}
            for preprocessor in (ClearSolutions(text_stub=WRITTEN), ClearHiddenTests()):
                release, resources = preprocessor.preprocess(release, resources)
        source, release = bare(source), bare(release)
        if [cell.cell_type for cell in source.cells] != [cell.cell_type for cell in release.cells]:
            raise ValueError(f"{name}: the release has other cells than the source: run pgcourse release again")
        return cls(name, source, release)

    @property
    def exercises(self):
        """The names of what is graded by running it, in order."""
        return [label(cell)["grade_id"].removeprefix("check-") for cell in self.source.cells if is_check(cell)]


def bare(notebook):
    """A copy without what running it leaves: outputs, counts, and the empty cell after the last."""
    notebook = nbformat.from_dict(notebook)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip() or label(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def label(cell):
    """nbgrader's metadata of a cell, {} without."""
    value = cell.get("metadata", {}).get("nbgrader")
    return value if isinstance(value, dict) else {}


def is_answer(cell):
    return bool(label(cell).get("solution"))


def is_check(cell):
    """Whether it is graded by running it."""
    return cell["cell_type"] == "code" and bool(label(cell).get("grade")) and not is_answer(cell)


def is_written(cell):
    """Whether it is for an answer in words, which a person grades."""
    return cell["cell_type"] == "markdown" and is_answer(cell)


def reassemble(lesson, data):
    """(notebook, remarks, refusal) for the bytes of a submitted file.

    notebook  the lesson with their answers and added cells, no outputs; the blank lesson where there is a refusal
    remarks   sentences about what had been changed
    refusal   None, or (status, sentence) for a file in which there is nothing to grade
    """
    try:
        cells = read_cells(data)
    except Unusable as error:
        return _assemble(lesson, {}, {}), [], error.args
    if not _exercises_in(lesson, cells):
        sentence = f"the file has none of the exercises of {lesson.name}"
        return _assemble(lesson, {}, {}), [], (Status.ANOTHER_NOTEBOOK, sentence)
    answers, added, remarks = _sort(lesson, cells)
    remarks += _gather_words(lesson, answers, added)
    return _assemble(lesson, answers, added), remarks, None


def lessons_in(lessons, data):
    """{name: how many exercises and questions are answered} for the bytes of a file: of the one lesson that it is of.

    Empty where it is of none; several where it may be of each.
    """
    try:
        cells = read_cells(data)
    except Unusable:
        return {}
    there = {lesson.name: len(_exercises_in(lesson, cells)) for lesson in lessons}
    return {
        lesson.name: _answers_in(lesson, cells) for lesson in lessons if 0 < there[lesson.name] == max(there.values())
    }


def is_blank(lesson, notebook):
    """Whether a reassembled notebook is the lesson as it was given out."""
    return content_hash(notebook) == content_hash(_assemble(lesson, {}, {}))


def _answers_in(lesson, cells):
    answers, added, _ = _sort(lesson, cells)
    _gather_words(lesson, answers, added)
    changed = {n: cell for n, cell in answers.items() if not _is_unchanged(lesson, n, cell)}
    theirs = [*changed.values(), *(cell for cells in added.values() for cell in cells)]
    bound = {name for cell in theirs for name in _says(cell)} & set(lesson.exercises)
    return len({_name(source) for n in changed if is_answer(source := lesson.source.cells[n])} | bound)


def _exercises_in(lesson, cells):
    """The names of the lesson's labelled cells, and of its exercises' functions, that are there in any form."""
    there = set()
    known = [
        (_name(s), s.get("id"), r.source)
        for s, r in zip(lesson.source.cells, lesson.release.cells, strict=True)
        if label(s)
    ]
    names_of = {name: name for name, _, _ in known} | {text: name for name, _, text in known if text != WRITTEN}
    ids = {cell_id: name for name, cell_id, _ in known if cell_id}
    for cell in cells:
        for key, table in ((label(cell).get("grade_id"), names_of), (cell["id"], ids), (cell["source"], names_of)):
            if isinstance(key, str) and key in table:
                there.add(table[key])
        there |= _says(cell) & set(lesson.exercises)
    return there


def _says(cell):
    """The names that a cell binds, or checks something as."""
    found = _names_in(cell)
    return found.binds | found.checked


def _names_in(cell):
    return names(cell["source"] if cell["cell_type"] == "code" else "")


def content_hash(notebook):
    """Of what is graded: types and texts of the cells, in order."""
    return hashlib.sha256(json.dumps([[c.cell_type, c.source] for c in notebook.cells]).encode()).hexdigest()


class Unusable(Exception):
    """There is nothing to grade in a file; the arguments are the refusal, (status, sentence)."""


def read_cells(data):
    """[{cell_type, source, id, metadata, attachments}] of a file; raises Unusable."""
    if len(data) > MAX_FILE:
        raise Unusable(Status.TOO_LARGE, f"the file has {len(data) // 2**20} MB, at most {MAX_FILE // 2**20} are read")
    if not data.strip():
        raise Unusable(Status.EMPTY, "the file is empty")
    try:
        notebook = json.loads(data.decode(json.detect_encoding(data), "replace"))
        if not isinstance(notebook, dict):
            raise ValueError("no dictionary")
        if not isinstance(notebook.get("cells"), list):
            notebook = nbformat.convert(nbformat.from_dict(notebook), 4)
        cells = [_cell(cell) for cell in notebook["cells"][:MAX_CELLS] if isinstance(cell, dict)]
        _limit_pictures(cells)
    except Exception as error:  # nbformat's conversions raise anything, json RecursionError
        sentence = f"the file is no Jupyter notebook{_what_it_is(data) or f' ({type(error).__name__})'}"
        raise Unusable(Status.NOT_A_NOTEBOOK, sentence) from None
    if (length := sum(len(cell["source"]) for cell in cells)) > MAX_TEXT:
        raise Unusable(Status.TOO_LARGE, f"its cells hold {length} characters, at most {MAX_TEXT} are read")
    if not any(cell["source"].strip() for cell in cells):
        raise Unusable(Status.EMPTY, "the notebook has no cell with anything in it")
    return cells


def _what_it_is(data):
    kinds = {b"<": "a web page", b"PK": "a zip, or a document", b"%PDF": "a PDF", b"<<<<": "one with git's conflicts"}
    found = [kind for start, kind in kinds.items() if data.lstrip()[:4].startswith(start)]
    if not found and b"<<<<<<< " in data:
        found = [kinds[b"<<<<"]]
    if not found and data.lstrip()[:1] == b"{" and data.rstrip()[-1:] != b"}":
        found = ["the beginning of one"]
    return f" but {found[-1]}" if found else ""


def _cell(cell):
    source, metadata, kind = cell.get("source", ""), cell.get("metadata"), cell.get("cell_type")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return {
        "cell_type": kind if kind in ("code", "markdown", "raw") else "raw",
        "source": _clean(source[:MAX_SOURCE]) if isinstance(source, str) else "",
        "id": cell.get("id") if isinstance(cell.get("id"), str) else None,
        "metadata": metadata if isinstance(metadata, dict) else {},
        "attachments": _pictures(cell.get("attachments")),
    }


def _clean(text):
    return _UNPRINTABLE.sub("", text).encode("utf-8", "replace").decode()


def _pictures(attachments):
    kept = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for kind in ("image/png", "image/jpeg"):
            data = bundle.get(kind) if isinstance(bundle, dict) else None
            if isinstance(data, str) and re.fullmatch(r"[A-Za-z0-9+/=\s]*", data) and _is_drawable(data):
                kept[_clean(name)] = {kind: data}
    return kept


def _is_drawable(text):
    try:
        return is_drawable(b64decode(text))
    except ValueError:
        return False


def _limit_pictures(cells):
    """Leaves out the pictures for which there is no room."""
    left = MAX_ATTACHMENTS
    for cell in cells:
        for name, bundle in [*cell["attachments"].items()]:
            size = len(name) + sum(map(len, bundle.values()))
            left -= size
            if left < 0:
                left += size
                del cell["attachments"][name]


def _counterpart(lesson, cell):
    """The number of the lesson's cell that this one was, or None: by nbgrader's id, by Jupyter's, or by its text."""
    name = label(cell).get("grade_id")
    tests = (
        lambda source, _: isinstance(name, str) and label(source).get("grade_id") == name,
        lambda source, _: cell["id"] is not None and source.get("id") == cell["id"],
        lambda _, release: bool(cell["source"].strip()) and flat_links(release.source) == flat_links(cell["source"]),
    )
    pairs = list(enumerate(zip(lesson.source.cells, lesson.release.cells, strict=True)))
    return next((number for test in tests for number, pair in pairs if test(*pair)), None)


def _sort(lesson, cells):
    """({number: cell that answers or edits it}, {number, or -1: cells added after it}, remarks)."""
    answers, added, remarks, after = {}, {}, [], -1
    found = [_counterpart(lesson, cell) for cell in cells]
    cells = [_with_our_links(lesson, number, cell) for number, cell in zip(found, cells, strict=True)]
    last = {}
    for position, number in enumerate(found):
        if number is not None and (number not in last or not _is_unchanged(lesson, number, cells[position])):
            last[number] = position
    for position, (cell, number) in enumerate(zip(cells, found, strict=True)):
        if number is None:
            if cell["source"].strip():
                added.setdefault(after, []).append(cell)
            continue
        source = lesson.source.cells[number]
        if _is_ours(source) and not _is_known(lesson, number, cell) and _says(cell):
            added.setdefault(min(after, number - 1), []).append(cell)  # what they wrote into it may be their answer
        if last[number] == position:
            after, answers[number] = number, cell
            if label(source) and source.cell_type != cell["cell_type"]:
                remarks.append(f"the type of the cell {_name(source)} was changed")
        elif not is_check(source) and not _is_unchanged(lesson, number, cell):
            remarks.append(f"the cell {_name(source)} was there more than once")
            added.setdefault(after, []).append(cell)
    labelled = {number: source for number, source in enumerate(lesson.source.cells) if label(source)}
    missing = [_name(source) for number, source in labelled.items() if number not in answers]
    checks = [number for number, source in labelled.items() if number in answers and is_check(source)]
    edited = [_name(labelled[number]) for number in checks if not _is_known(lesson, number, answers[number])]
    for what, which in (("cells that were deleted", missing), ("checks that were edited, and ours used", edited)):
        remarks += [f"{what}: {', '.join(which)}"] * bool(which)
    added = {_past_deleted(lesson, answers, number): theirs for number, theirs in added.items()}
    order = [number for number in found if number is not None and label(lesson.source.cells[number])]
    if list(dict.fromkeys(order)) != sorted(set(order)):
        remarks.append("cells were in another order")
    return answers, added, remarks


def _past_deleted(lesson, answers, number):
    """A cell that was written in the place of a deleted one comes after it, so that the stub does not undo it."""
    cells = lesson.source.cells
    while number + 1 < len(cells) and number + 1 not in answers and not is_check(cells[number + 1]):
        number += 1
    return number


def _gather_words(lesson, answers, added):
    """Puts what was written beside a blank or missing cell for an answer in words into it, and returns the remarks.

    Beside it is what is new between it and its neighbours, or what was added to these; if there is nothing, new text
    further below; if there is none either, a longer one anywhere, also in the comments and texts of code.
    """
    remarks = []
    for number, source in enumerate(lesson.source.cells):
        theirs = answers.get(number, {"source": "", "attachments": {}})
        blank = "", _letters(lesson.release.cells[number].source)
        if not is_written(source) or _letters(theirs["source"]) not in blank:
            continue
        if theirs["attachments"]:
            answers[number] = {
                **theirs,
                "source": " ".join(f"![](attachment:{name})" for name in theirs["attachments"]),
            }
            continue
        after = min((n for n in answers if n > number), default=len(lesson.source.cells))
        before = max((n for n in answers if n < number), default=after)  # nothing is beside what has no place any more
        between = [(place, cell) for place in range(before, after) for cell in added.get(place, [])]
        near = [cell for place, cell in between if _is_prose(cell) or _is_no_answer(lesson, cell, number - place)]
        near += [new for n in (before, after) if (new := _new_words(lesson, answers, n))]
        below = [cell for place in sorted(added) if place >= after for cell in added[place] if _is_prose(cell)]
        words = near or below or _long_words(lesson, answers, added)
        if not words:
            answers.pop(number, None)  # emptied is as good as blank
        else:
            answers[number] = _joined(words)
            remarks.append(f"what may be the answer to {_name(source)} stood in another cell")
        for place, cells in added.items():
            added[place] = [cell for cell in cells if not (_is_prose(cell) and any(cell is one for one in words))]
    return remarks


def _is_prose(cell):
    """Whether it says something: a heading alone does not, unless it is a long one."""
    text = re.sub(r"^\s*#.*$", "", cell["source"], flags=re.MULTILINE)
    is_text = bool(_letters(text)) or _is_long(cell["source"])
    return is_prose(cell["source"]) if cell["cell_type"] == "code" else is_text


def _is_no_answer(lesson, cell, distance):
    """Whether it is code right before or after a place for words, which answers no exercise."""
    return distance in (0, 1) and cell["cell_type"] == "code" and _names_in(cell).binds.isdisjoint(lesson.exercises)


def _letters(text):
    """A text without what a formatter changes, and without HTML."""
    return re.sub(r"[\W_]+", "", re.sub(r"<[^>]*>|&\w+;", "", text))


def _is_long(text):
    return len(text.split()) >= WORDS or len(_letters(text)) >= 5 * WORDS  # not all languages have blanks


def _long_words(lesson, answers, added):
    """Cells of all new texts that are long, and of those within code."""
    theirs = [cell for place in sorted(added) for cell in added[place]]
    words = [cell for cell in theirs if _is_prose(cell)]
    words += [new for n in answers if (new := _new_words(lesson, answers, n))]
    ours = {
        text for notebook in (lesson.release, lesson.source) for cell in notebook.cells for text in texts(cell.source)
    }
    changed = [cell for n, cell in answers.items() if not _is_unchanged(lesson, n, cell)]
    codes = [cell for cell in [*changed, *theirs] if cell["cell_type"] == "code"]
    inside = [text for cell in codes for text in texts(cell["source"]) if text not in ours]
    words += [{**_joined([]), "source": text} for text in inside]
    return [cell for cell in words if _is_long(cell["source"])]


def _new_words(lesson, answers, number):
    """A cell of what they wrote into a text of the lesson's, or None."""
    if number not in answers or label(lesson.source.cells[number]) or lesson.source.cells[number].cell_type == "code":
        return None
    given, theirs = lesson.release.cells[number].source.strip(), answers[number]["source"].strip()
    start, found, end = theirs.partition(given)
    if not found and not _is_rewritten(given, theirs):
        return None
    new = f"{start}\n\n{end}".strip() if found else theirs
    return {**answers[number], "source": new} if _letters(new) else None


def _is_rewritten(given, theirs):
    """Whether there is more in it than another's typing: a typo mended, a heading renamed, other quotes."""
    if _letters(given) == _letters(theirs):
        return False
    before, after = re.findall(r"\w+", given), re.findall(r"\w+", theirs)[:MAX_COMPARED]
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    gained = sum(len("".join(after[j:k])) for _, _, _, j, k in changes)
    lost = sum(len("".join(before[i:j])) for _, i, j, _, _ in changes)
    return gained - lost >= WORDS or (gained >= WORDS and matcher.ratio() < 0.5)


def _joined(cells):
    """A cell of text that says what all of these say, code as code, with their pictures."""
    texts, pictures = [], {}
    for number, cell in enumerate(cells):
        text = cell["source"].strip()
        if cell["cell_type"] == "code":
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            text = f"{fence}python\n{text}\n{fence}"
        for name, bundle in cell["attachments"].items():
            new = f"{number}-{name}" if name in pictures else name
            text, pictures[new] = text.replace(f"(attachment:{name})", f"(attachment:{new})"), bundle
        texts.append(text)
    return {"cell_type": "markdown", "source": "\n\n".join(texts), "id": None, "metadata": {}, "attachments": pictures}


def _is_ours(source):
    """Whether a labelled cell's text is the course's, whatever a submission has there."""
    return bool(label(source)) and (bool(label(source).get("locked")) or is_check(source)) and not is_answer(source)


def _is_known(lesson, number, cell):
    known = lesson.release.cells[number].source.strip(), lesson.source.cells[number].source.strip()
    return cell["source"].strip() in known


def _with_our_links(lesson, number, cell):
    """The cell, with the lesson's text where theirs differs only in where its links lead, as in a flat edition."""
    ours = cell["source"] if number is None else lesson.release.cells[number].source
    return {**cell, "source": ours} if flat_links(cell["source"]) == flat_links(ours) else cell


def _is_unchanged(lesson, number, cell):
    return cell["source"].strip() == lesson.release.cells[number].source.strip()


def _name(cell):
    return label(cell).get("grade_id") or cell.get("id")


def _assemble(lesson, answers, added):
    notebook = nbformat.from_dict({**lesson.source, "cells": []})
    notebook.cells = [_added(lesson, cell, f"added-{-1}-{i}") for i, cell in enumerate(added.get(-1, []))]
    for number, (source, release) in enumerate(zip(lesson.source.cells, lesson.release.cells, strict=True)):
        cell = nbformat.from_dict(source)
        if "outputs" in cell:
            cell.outputs, cell.execution_count = [], None
        if "checksum" in label(release):  # by which nbgrader knows an answer that nobody wrote
            cell.metadata.nbgrader.checksum = label(release)["checksum"]
        if not (label(source).get("locked") or is_check(source)):
            theirs = answers.get(number)
            cell.source = release.source if theirs is None else theirs["source"]
            if theirs and theirs["attachments"] and cell.cell_type == "markdown":
                cell.attachments = theirs["attachments"]
        notebook.cells.append(cell)
        notebook.cells += [_added(lesson, c, f"added-{number}-{i}") for i, c in enumerate(added.get(number, []))]
    return notebook


def _added(lesson, cell, cell_id):
    make = nbformat.v4.new_code_cell if cell["cell_type"] == "code" else nbformat.v4.new_markdown_cell
    new = make(cell["source"], id=cell_id)
    if new.cell_type == "markdown" and cell["attachments"]:
        new.attachments = cell["attachments"]
    return new
