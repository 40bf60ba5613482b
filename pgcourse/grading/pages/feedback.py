"""What a student reads about a submission: one HTML page, in which no hidden test is and nothing of theirs can run.

A page has no script at all and needs no network: code is coloured and formulas are drawn when it is made.
"""

import re

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor

from pgcourse.grading.judge import without_hidden_tests
from pgcourse.grading.pages import shared
from pgcourse.grading.submission import is_answer, is_check, label
from pgcourse.judging.statuses import Status

MAX_THEIRS = 100_000  # characters: what they wrote beyond that is shown as it is, so that no page takes long
_PNG = re.compile(r"iVBORw0KGgo[A-Za-z0-9+/]+={0,2}")
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)


class HideHiddenTests(NbGraderPreprocessor):
    """Takes the hidden tests out of nbgrader's own feedback pages."""

    def preprocess(self, nb, resources):
        return without_hidden_tests(nb), resources


def page(student, lesson, result, marks=None):
    """The HTML of a submission's feedback.

    lesson: the submission.Lesson. result: what `judge.grade_notebook` returned.
    marks: {grade_id: {"score": float or None, "max_score": float, "comment": str or None}}, what the gradebook says
    about each graded cell, where None waits for a person; without it only the automatic points are shown.
    """
    notebook = without_hidden_tests(nbformat.from_dict(result["notebook"]))
    exercises = [{**e, **_points(e, (marks or {}).get(f"check-{e['name']}"))} for e in result["exercises"]]
    is_refused = shared.is_refused(result)
    cells = [] if is_refused else _cells(notebook, lesson, {e["name"]: e for e in exercises}, marks)
    written = [cell for cell in cells if cell["kind"] == "written"]
    score, max_score = result["score"], result["max_score"]
    if marks is not None:
        score = sum(mark["score"] or 0 for mark in marks.values())
        max_score = sum(mark["max_score"] or 0 for mark in marks.values())
    return shared.rendered(
        "feedback.html",
        student=student,
        title=title(lesson),
        score=score,
        max_score=max_score,
        summary=_summary(result, is_refused),
        waiting=sum(not cell["is_empty"] and (not cell["mark"] or cell["mark"]["score"] is None) for cell in written),
        exercises=exercises,
        written=written,
        remarks=result["remarks"],
        cells=cells,
    )


def title(lesson):
    """A lesson's own heading, or its name."""
    for cell in lesson.release.cells:
        found = _HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if found:
            return found[1]
    return lesson.name


def _points(exercise, mark):
    """The points of an exercise, by hand where the gradebook has others."""
    given = exercise["score"] if mark is None or mark["score"] is None else mark["score"]
    return {"given": given, "by_hand": given != exercise["score"]}


def _summary(result, is_refused):
    """What became of it, in a sentence or two."""
    outcomes = [Status(exercise["status"]).outcome for exercise in result["exercises"]]
    right, left, count = outcomes.count("right"), outcomes.count("open"), len(outcomes)
    if is_refused:
        return f"This file could not be graded: {result['reason']}."
    if right == count:
        return "Every exercise is right. Well done!"
    if left == count:
        return "No exercise has been attempted yet."
    wrong = count - right - left
    parts = [f"{right} of {count} exercises {'is' if right == 1 else 'are'} right" if right else "None is right yet"]
    parts += [f"{wrong} {'is' if wrong == 1 else 'are'} not right yet"] * bool(wrong and right)
    parts += [f"{left} {'is' if left == 1 else 'are'} still open"] * bool(left)
    return ", ".join(parts) + ". The checks below say what happened."


def _cells(notebook, lesson, exercises, marks):
    """What the template shows of each cell, in order."""
    released = {cell.get("id"): cell.source for cell in lesson.release.cells}
    shown, left = [], MAX_THEIRS
    for cell in notebook.cells:
        name, is_code = label(cell).get("grade_id"), cell.cell_type == "code"
        changed = released.get(cell.get("id")) != cell.source
        if is_check(cell):
            kind = "check"
        elif is_answer(cell):
            kind = "answer" if is_code else "written"
        elif cell.get("id") not in released:
            kind = "added"
        else:
            leaned_on = cell.metadata.get("pgcourse", {}).get("leaned_on")
            kind = "changed" if changed else "leaned_on" if leaned_on else "lesson"
        left -= len(cell.source) if changed else 0
        if not changed:
            body = (shared.course_code if is_code else shared.course_markdown)(cell.source)
        elif left < 0:
            body = shared.plain(cell.source)
        else:
            body = shared.code(cell.source) if is_code else shared.markdown(cell.source, cell.get("attachments"))
        shown.append(
            {
                "kind": kind,
                "is_code": is_code or left < 0,
                "name": name,
                "body": body,
                "head": cell.source.strip().partition("\n")[0][:80],
                "is_empty": not cell.source.strip() or (kind == "written" and not changed),
                "outputs": [] if kind == "check" else _outputs(cell),
                "exercise": exercises.get(str(name).removeprefix("check-")) if kind == "check" else None,
                "points": float(label(cell).get("points") or 0),
                "mark": (marks or {}).get(name),
            }
        )
    return shown


def _outputs(cell):
    """[(kind, text)] of what a cell showed, kind being "text", "error", or "figure" with the text in Base64."""
    shown = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.output_type == "error":
            shown.append(("error", "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"))
        elif output.output_type == "stream":
            shown.append(("text", output.text))
        elif _PNG.fullmatch(str(data.get("image/png", "")).replace("\n", "")):
            shown.append(("figure", data["image/png"].replace("\n", "")))
        else:
            shown.append(("text", str(data.get("text/plain", ""))))
    return [(kind, text) for kind, text in shown if text.strip()]
