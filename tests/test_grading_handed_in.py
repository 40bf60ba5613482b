"""What real students hand in: what passes in the notebook passes here, and what is written is read by a person.

Each case was lost once, or is a sibling of one that was: `theirs` is what was done to a lesson with right answers.
"""

import base64
import json

import nbformat
import pytest
from submissions import a_picture, answered, as_data, graded, lesson, statuses

from pgcourse.grading.judge import grade_submission
from pgcourse.grading.pages import feedback
from pgcourse.grading.submission import is_written, label, lessons_in, reassemble

FIVE, SEVEN = "05_gradient_step", "07_baselines"
CHANGE, PREDICTION, WRITTEN = "log_likelihood_change", "predicted_change", "written-gradient-step"
ESSAY = "A long step overshoots, because the first order says nothing of curvature."


@pytest.fixture(scope="module")
def course():
    return lesson(FIVE)


def right(course, *names):
    return answered(course, **dict.fromkeys(names or (CHANGE, PREDICTION), True))


def index(notebook, name):
    return next(n for n, cell in enumerate(notebook.cells) if label(cell).get("grade_id") == name)


def code(source):
    return nbformat.v4.new_code_cell(source)


def text(source):
    return nbformat.v4.new_markdown_cell(source)


def stripped(notebook):
    """As pasted into another program: no ids, no metadata."""
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        cell.pop("id", None)
        cell.metadata = {}
    return notebook


# Code


def sources(course):
    notebook = right(course)
    return [notebook.cells[index(notebook, name)].source for name in (CHANGE, PREDICTION)]


def merged(course):
    notebook, both = course.release, "\n\n".join(sources(course))
    notebook = nbformat.from_dict(notebook)
    notebook.cells[index(notebook, CHANGE)].source = both
    del notebook.cells[index(notebook, PREDICTION)]
    return notebook


def below_the_stubs(course):
    notebook = nbformat.from_dict(course.release)
    notebook.cells += [code("\n".join(sources(course)))]
    return notebook


def above_everything(course):
    notebook = nbformat.from_dict(course.release)
    notebook.cells.insert(2, code("\n".join(sources(course))))
    return notebook


def functions_alone(course):
    return nbformat.v4.new_notebook(cells=[code("import numpy as np"), *map(code, sources(course))])


def in_the_check(course):
    notebook = nbformat.from_dict(course.release)
    for name, source in zip((CHANGE, PREDICTION), sources(course), strict=True):
        cell = notebook.cells[index(notebook, f"check-{name}")]
        cell.source = f"{source}\n\n{cell.source}"
    return notebook


def under_another_name(course):
    notebook = nbformat.from_dict(course.release)
    for name, source in zip((CHANGE, PREDICTION), sources(course), strict=True):
        place = index(notebook, f"check-{name}")
        notebook.cells[place].source = f'check(mine, "{name}")'
        notebook.cells.insert(place, code(source.replace(name, "mine")))
    return notebook


def helper(course, place):
    """Both answers call a function of their own; place: before which cell it stands, or None for the end."""
    one, two = sources(course)
    notebook = answered(
        course,
        **{
            CHANGE: f"def {CHANGE}(*given):\n    return one(*given)",
            PREDICTION: f"def {PREDICTION}(*given):\n    return two(*given)",
        },
    )
    own = code("\n".join([one.replace(CHANGE, "one"), two.replace(PREDICTION, "two")]))
    notebook.cells.insert(len(notebook.cells) if place is None else index(notebook, place), own)
    return notebook


def second_try_below_the_check(course):
    notebook = answered(course, **{CHANGE: f"def {CHANGE}(*given):\n    return 0.0", PREDICTION: True})
    notebook.cells.insert(index(notebook, f"check-{CHANGE}") + 1, code(sources(course)[0]))
    return notebook


def bash(course):
    notebook = begun_with("from theirs import one")(course)
    notebook.cells.insert(3, code("%%bash\ncat > theirs.py << END\none = 1\nEND"))
    return notebook


def then(later, *, looped=False):
    """Right and checked in cells of their own, with the locked ones blank; and what comes later."""

    def theirs(course):
        notebook = nbformat.from_dict(course.release)
        for name, source in zip((CHANGE, PREDICTION), sources(course), strict=True):
            checked = f"ck = check\nfor f, what in [({name}, '{name}')]: ck(f, what)" if looped else f"check({name})"
            notebook.cells += [
                code(f"def {name}(*given):\n    return 0.0\ncheck({name})"),
                code(f"{source}\n{checked}"),
            ]
        notebook.cells += [code(later)]
        return notebook

    return theirs


def begun_with(line):
    def theirs(course):
        one, two = sources(course)
        return answered(course, **{CHANGE: f"{line}\n{one}", PREDICTION: f"{line}\n{two}"})

    return theirs


CODE = {
    "no metadata": lambda course: stripped(right(course)),
    "all in one cell": merged,
    "below the stubs": below_the_stubs,
    "above everything": above_everything,
    "functions alone": functions_alone,
    "in the cell of the check": in_the_check,
    "checked under another name": under_another_name,
    "a helper above": lambda course: helper(course, CHANGE),
    "a helper at the end": lambda course: helper(course, None),
    "a second try below the check": second_try_below_the_check,
    "broken after it passed": then(f"def {CHANGE}(*given):\n    return 1.0\n{PREDICTION} = None"),
    "gone after it passed": then(f"del {CHANGE}, {PREDICTION}"),
    "checked in a loop": then(f"{CHANGE} = {PREDICTION} = 3", looped=True),
    "prints what the lesson defines": begun_with("print(theta)"),
    "!pip": begun_with("!pip install numpy"),
    "a file that the shell wrote": begun_with("!echo 'one = 1' > mine.py\nfrom mine import one"),
    "a file that bash wrote": bash,
    "%pip": begun_with("%pip install numpy"),
    "a magic of another program": begun_with("%tensorflow_version 2.x"),
    "x = !ls": begun_with("files = !ls\nprint(files)"),
    "Colab's drive": begun_with("from google.colab import drive\ndrive.mount('/content/drive')"),
    "a question": begun_with("name = input('Who are you?')"),
    "%%time": begun_with("%%time"),
    "a cell magic of another program": begun_with("%%wandb"),
}


@pytest.mark.parametrize("way", CODE)
def test_what_passes_in_the_notebook_passes_here(course, warm, way):
    data = as_data(CODE[way](course))
    result = graded(course, data, warm)
    assert statuses(result) == {CHANGE: "passed", PREDICTION: "passed"}, result["exercises"]
    assert lessons_in([lesson(SEVEN), course], data) == {FIVE: 2}


def test_what_an_answer_leans_on_runs_and_the_page_says_so(warm):
    """A locked cell of the lesson, and one that is not: NameError, 0 of 4, without a remark."""
    course = lesson(SEVEN)
    answer = (
        "def bug_hunt_baseline(scores, returns, values):\n    return buggy_gradient(scores, returns[:, None], values)"
    )
    notebook = answered(course, bug_hunt_baseline=answer)
    notebook.cells.insert(index(notebook, "bug_hunt_baseline"), code("print('J =', J)"))
    result = graded(course, notebook, warm)
    assert statuses(result)["bug_hunt_baseline"] == "passed"
    page = feedback.page("ada", course, result)
    assert page.count("because your code leans on it") >= 2
    assert not result["remarks"]


def test_nothing_else_of_the_lesson_runs(course, warm):
    result = graded(course, right(course), warm)
    assert not any("pgcourse" in cell.metadata for cell in result["notebook"].cells)


def test_a_wrong_answer_stays_wrong_wherever_it_is(course, warm):
    for answer in (f"def {CHANGE}(*given):\n    return 0.0", f"print(nothing)\ndef {CHANGE}(*given):\n    return 0.0"):
        notebook = answered(course, **{CHANGE: answer})
        notebook.cells.append(code(f"check(lambda *given: 1.0, '{CHANGE}')\ndef {CHANGE}(*given):\n    return 2.0"))
        assert statuses(graded(course, notebook, warm)) == {CHANGE: "wrong", PREDICTION: "not attempted"}


def test_answers_elsewhere_are_compared_with_the_neighbours(course, warm):
    """The stub was compared, wherever the answer stood."""
    notebook = right(course)
    own, elsewhere = (
        grade_submission(course, "ada", as_data(n), "secret", warm)["exercises"][0]
        for n in (notebook, second_try_below_the_check(course))
    )
    assert own["fingerprint"] == elsewhere["fingerprint"]


# Words


def with_words(course, *cells, at=0, instead=False, of=WRITTEN):
    notebook = right(course)
    place = index(notebook, of)
    notebook.cells[place + at + 1 - instead : place + at + 1] = cells
    return notebook


def question_with(essay):
    def theirs(course):
        notebook = right(course)
        notebook.cells[index(notebook, WRITTEN) - 1].source += f"\n\n{essay}"
        return notebook

    return theirs


def photo(course):
    notebook = right(course)
    picture = base64.b64encode(a_picture()).decode()
    notebook.cells[index(notebook, WRITTEN)].attachments = {"a.png": {"image/png": picture}}
    return notebook


def edited(change):
    """The text of the question, in other words or other signs."""

    def theirs(course):
        notebook = right(course)
        cell = notebook.cells[index(notebook, WRITTEN) - 1]
        cell.source = change(cell.source)
        return notebook

    return theirs


def without_the_question(course):
    notebook = with_words(course, text(ESSAY), instead=True)
    del notebook.cells[index(right(course), WRITTEN) - 1]
    return notebook


def far_away(course):
    notebook = right(course)
    notebook.cells.insert(3, text(f"{ESSAY} {ESSAY}"))
    return notebook


def as_raw(course):
    return with_words(course, nbformat.v4.new_raw_cell(ESSAY))


WORDS = {
    "in its cell": lambda course: answered(course, **{WRITTEN: ESSAY}),
    "no metadata": lambda course: stripped(answered(course, **{WRITTEN: ESSAY})),
    "below the stub": lambda course: with_words(course, text(ESSAY)),
    "above the stub": lambda course: with_words(course, text(ESSAY), at=-1),
    "in its place": lambda course: with_words(course, text(ESSAY), instead=True),
    "in place of the question, too": without_the_question,
    "at the end": lambda course: with_words(course, text(ESSAY), at=9),
    "far away, and long": far_away,
    "raw": as_raw,
    "as comments": lambda course: with_words(course, code(f"# {ESSAY}")),
    "as a text in code": lambda course: with_words(course, code(f"'''{ESSAY}'''")),
    "as no Python": lambda course: with_words(course, code(ESSAY)),
    "in the question": question_with(ESSAY),
    "as a comment in an answer": begun_with(f"# {ESSAY}\n#  {ESSAY}"),
    "as a variable": lambda course: with_words(course, code(f"mine = '{ESSAY} {ESSAY}'"), of=CHANGE),
    "shown by code": lambda course: with_words(course, code(f"display(Markdown('''{ESSAY} {ESSAY}'''))"), of=CHANGE),
    "over the question": edited(lambda source: ESSAY),
    "two words": lambda course: with_words(course, text("It overshoots.")),
    "no blanks": lambda course: with_words(course, text("步长太大就会越过最高点。")),
}


@pytest.mark.parametrize("way", WORDS)
def test_words_wait_for_a_person_wherever_they_stand(course, way):
    notebook, _, refusal = reassemble(course, as_data(WORDS[way](course)))
    cell = notebook.cells[index(notebook, WRITTEN)]
    assert refusal is None
    assert cell.source != next(c for c in course.release.cells if is_written(c)).source, "nbgrader takes it for blank"
    said = {"two words": "It overshoots.", "no blanks": "越过最高点"}.get(way, ESSAY)
    assert said in cell.source


BLANK = {
    "untouched": right,
    "emptied": lambda course: answered(course, **{WRITTEN: " "}),
    "deleted": lambda course: with_words(course, instead=True),
    "a heading elsewhere": lambda course: with_words(course, text("# My solutions"), at=9),
    "a name at the top": lambda course: with_words(course, text("Ada Lovelace, 4711"), of=CHANGE, at=-4),
    "functions alone": functions_alone,
    "a typo mended": edited(lambda source: source.replace("the", "teh", 1)),
    "another heading": edited(lambda source: source.replace("In your own words", "My essay")),
    "a formatter": edited(lambda source: source.replace(" ", "  ").replace("*", "_").replace("'", "’")),
    "the stub, formatted": lambda course: answered(
        course, **{WRITTEN: "_Your answer goes here: double-click this cell to write._"}
    ),
    "a rule": lambda course: with_words(course, text("---\n&nbsp;")),
}


@pytest.mark.parametrize("way", BLANK)
def test_a_blank_waits_for_nobody(course, way):
    notebook, _, _ = reassemble(course, as_data(BLANK[way](course)))
    cell = notebook.cells[index(notebook, WRITTEN)]
    assert cell.source == next(c for c in course.release.cells if is_written(c)).source


def test_no_page_says_that_nothing_was_written_above_an_essay(course, warm):
    for theirs, said in ((WORDS["below the stub"], 0), (WORDS["in the question"], 0), (BLANK["untouched"], 1)):
        page = feedback.page("ada", course, graded(course, theirs(course), warm))
        assert page.count("Nothing was written") == said


def test_a_photo_on_the_stub_is_an_answer(course):
    notebook, _, _ = reassemble(course, as_data(photo(course)))
    cell = notebook.cells[index(notebook, WRITTEN)]
    assert "![](attachment:a.png)" in cell.source
    assert "a.png" in cell.attachments


def test_pictures_of_one_name_from_two_cells_are_both_there(course):
    cells = [text("![](attachment:a.png)"), text("![](attachment:a.png)")]
    pictures = [base64.b64encode(a_picture(end)).decode() for end in (b"a", b"b")]
    for cell, data in zip(cells, pictures, strict=True):
        cell.attachments = {"a.png": {"image/png": data}}
    notebook, _, _ = reassemble(course, as_data(with_words(course, *cells)))
    cell = notebook.cells[index(notebook, WRITTEN)]
    assert {name: bundle["image/png"] for name, bundle in cell.attachments.items()} == {
        "a.png": pictures[0],
        "1-a.png": pictures[1],
    }
    assert "attachment:1-a.png" in cell.source


# Files


def test_encodings_of_other_systems(course, warm):
    whole = as_data(right(course)).decode()
    for data in (b"\xef\xbb\xbf" + whole.encode(), whole.encode("utf-16"), whole.replace("\n", "\r\n").encode()):
        assert graded(course, data, warm)["score"] == 5
    latin = json.dumps(json.loads(whole), ensure_ascii=False).replace("θ", "é").encode("latin-1", "replace")
    assert graded(course, latin, warm)["score"] == 5


def test_a_lesson_as_it_was_given_out_is_not_handed_in(course, warm):
    run = nbformat.from_dict(course.release)
    run.cells.append(code(""))
    for cell in run.cells:  # an edition's links lead elsewhere
        cell.source = cell.source.replace("../06_causality/06_causality.ipynb", "06_causality.ipynb")
    assert grade_submission(course, "ada", as_data(run), "secret", warm)["status"] == "unchanged"
    explored = with_words(course, code("print(theta)"), of=CHANGE)
    assert grade_submission(course, "ada", as_data(explored), "secret", warm)["status"] != "unchanged"


def test_a_file_says_what_lesson_it_is_of(course):
    seven = lesson(SEVEN)
    assert lessons_in([course, seven], as_data(course.release)) == {FIVE: 0}
    assert lessons_in([course, seven], as_data(stripped(nbformat.from_dict(seven.release)))) == {SEVEN: 0}
    assert lessons_in([course, seven], b"{}") == {}
    assert lessons_in([course, seven], as_data(nbformat.v4.new_notebook(cells=[code("x = 1")]))) == {}
    assert lessons_in([course, course], as_data(course.release)) == {FIVE: 0}
