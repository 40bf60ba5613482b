"""The page that a student reads about a submission."""

import copy
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import nbformat
import pytest
from submissions import all_right, answered, graded, lesson
from test_grading_engine import NAME as ENGINE_NAME
from test_grading_engine import _with_programs_of_this_python, autograde, course, hand_in, shared  # noqa: F401

from pgcourse.exercises import LESSONS
from pgcourse.grading.judge import grade_notebook
from pgcourse.grading.pages import report
from pgcourse.grading.pages import shared as pages
from pgcourse.grading.pages.feedback import page, title
from pgcourse.grading.pages.mathml import mathml
from pgcourse.grading.submission import is_answer, is_check, label, reassemble
from pgcourse.judging.statuses import Status

NAME = "01_log_gradient_trick"
SCRIPT = "<script>alert('LEAK')</script>"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
VOID = {"meta", "br", "hr", "img", "mspace", "rect", "link", "input"}


class Page(HTMLParser):
    """Elements, balance and text of a page; raises AssertionError where a tag does not fit."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"{tag} {attrs}"
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data

    def tags(self):
        return {tag for tag, _ in self.elements}

    def attributes(self, *names):
        return [attrs[name] for _, attrs in self.elements for name in names if name in attrs]


def assert_harmless(html):
    """Nothing in it can run, or reach for anything outside."""
    found = Page(html)
    policy = found.elements[3][1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    assert "script" not in policy["content"]
    assert not found.tags() & {"script", "iframe", "object", "embed", "link", "base", "form", "foreignobject", "use"}
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("srcdoc", "formaction", "srcset")]
    for address in found.attributes("src"):
        assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", address)
    for address in found.attributes("href"):
        assert not re.match(r"\s*(javascript|data|vbscript):", address, re.IGNORECASE)
    html.encode()
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", html)


def is_in_order(html):
    """Whether there is one first heading, and no other skips a level."""
    levels = [int(tag[1]) for tag, _ in Page(html).elements if re.fullmatch("h[1-6]", tag)]
    return levels[0] == 1 and levels.count(1) == 1 and all(after <= before + 1 for before, after in pairwise(levels))


@pytest.fixture(scope="module")
def origin():
    return lesson(NAME)


@pytest.fixture(scope="module")
def mixed(origin, warm):
    """A result in which a good deal happens."""
    overflow = "def log_softmax(logits):\n    return np.log(np.exp(logits) / np.exp(logits).sum())"
    notebook = answered(origin, log_softmax=overflow, softmax_score=True, exact_bandit_gradient="def nothing(: pass")
    notebook.cells.insert(4, nbformat.v4.new_code_cell("print('MINE')\nplots.figure(2, 2)[0]"))
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and label(cell):
            cell.source = "Because $E[\\nabla\\log\\pi] < 1$."
    notebook.cells = [cell for cell in notebook.cells if label(cell).get("grade_id") != "check-softmax_score"]
    return graded(origin, notebook, warm, seed=987654321)


@pytest.fixture(scope="module")
def blank(origin, warm):
    return graded(origin, answered(origin), warm)


def marks_of(result, **written):
    marks = {
        f"check-{e['name']}": {"score": e["score"], "max_score": e["points"], "comment": None}
        for e in result["exercises"]
    }
    names = [label(c)["grade_id"] for c in result["notebook"].cells if c.cell_type == "markdown" and label(c)]
    return marks | {name: {"score": None, "max_score": 2.0, "comment": None} | written for name in names}


def test_everything_has_its_place(origin, mixed):
    html = page("Ada", origin, mixed)
    text = Page(html).text
    assert is_in_order(html)
    assert "1 of 4 exercises is right, 2 are not right yet, 1 is still open." in text
    assert "2 of 10 points" in text
    assert f"{title(origin)}: feedback for Ada" in text
    assert len(mixed["exercises"]) == 4
    for exercise in mixed["exercises"]:
        assert f"check-{exercise['name']}" in Page(html).attributes("id")
        if exercise["status"] != "not attempted":
            for line in filter(None, exercise["message"].splitlines()):
                assert line in text
    assert "log(softmax) that overflows" in text
    assert "cells that were deleted: check-softmax_score" in text
    places = [text.index(part) for part in ("You added this cell", "print('MINE')\n", "MINE\n", "def nothing(: pass")]
    assert places == sorted(places)
    (figure,) = [attributes for tag, attributes in Page(html).elements if tag == "img"]
    assert figure["alt"]
    assert_harmless(html)


def test_the_lesson_keeps_its_place(origin, mixed):
    html = page("Ada", origin, mixed)
    text = Page(html).text
    headings = re.findall(r"^#+ (?:Exercise · )?`?([^`\n]+)", "\n".join(c.source for c in origin.release.cells), re.M)
    places = [text.index(heading, text.index("Your notebook")) for heading in headings[:6]]
    assert places == sorted(places)
    code = [c for c in origin.release.cells if c.cell_type == "code" and not label(c)]
    assert html.count('<details class="lesson">') == len(code)
    assert "¶" not in text


def test_an_aligned_table_stays_aligned(origin, mixed):
    tables = re.findall(r"<pre[^>]*>(The smallest case.*?)</pre>", page("Ada", origin, mixed), re.DOTALL)
    assert len(tables) == 2
    assert re.search(r"\n  input {6}logits  \[1000\. +0\.\]\n  got", tables[0])


def test_no_hidden_test_is_shown(origin, mixed, warm):
    assert "BEGIN HIDDEN TESTS" in "".join(cell.source for cell in mixed["notebook"].cells)
    for result in (mixed, graded(origin, all_right(origin), warm, seed=987654321), graded(origin, b"x", warm)):
        html = page("Ada", origin, result, marks_of(result))
        for secret in ("HIDDEN", "grading_seed", "987654321"):
            assert secret not in html


def test_a_graded_notebook_may_have_been_json(origin, mixed):
    assert page("Ada", origin, json.loads(json.dumps(mixed))) == page("Ada", origin, mixed)


def test_what_a_person_gave_is_shown(origin, mixed):
    waiting = Page(page("Ada", origin, mixed, marks_of(mixed))).text
    assert "2 of 12 points" in waiting
    assert "One written answer waits for a person" in waiting
    assert "Not read yet · 2 points at most" in waiting
    marks = marks_of(mixed, score=1.5, comment=f"Good.\nAnd {SCRIPT}?")
    marks["check-log_softmax"]["score"] = 1.0
    html = page("Ada", origin, mixed, marks)
    text = Page(html).text
    assert "4.5 of 12 points" in text
    assert "1.5 of 2 points" in text
    assert f"Good.\nAnd {SCRIPT}?" in text
    assert "1 of 2, by hand" in text
    assert "waits for a person" not in text
    assert_harmless(html)


def test_a_blank_notebook_reads_kindly(origin, blank):
    text = Page(page("Ada", origin, blank)).text
    assert "No exercise has been attempted yet." in text
    assert "Nothing was written here." in text
    assert "waits for a person" not in text


def test_what_is_no_notebook_has_a_page_that_says_so(origin, warm):
    refusal = ("unreadable", "the file is no Jupyter notebook")  # a name that an answer's failure has, too
    result = grade_notebook(origin, reassemble(origin, b"")[0], 7, warm, refusal=refusal)
    text = Page(page("Ada", origin, result)).text
    assert "This file could not be graded: the file is no Jupyter notebook" in text
    assert "Your notebook" not in text
    for exercise in result["exercises"]:
        assert exercise["name"] in text


def test_every_status_has_words():
    for status in Status:
        assert status.outcome in (*report.OUTCOMES, "refused")
        assert status.sentence
        assert Status(json.loads(json.dumps(status))) is status
    graded = [status for status in Status if status.outcome != "refused"]
    assert graded == sorted(graded, key=lambda status: -status.gravity)
    assert graded[-1] is Status.PASSED


def test_an_edited_cell_of_the_lesson_is_marked(origin, blank):
    result = copy.deepcopy(blank)
    cell = next(cell for cell in result["notebook"].cells if cell.cell_type == "markdown" and not label(cell))
    cell.source += "\n\nMY NOTE"
    html = page("Ada", origin, result)
    assert html.count("You changed this cell of the lesson") == 1
    assert "You changed" not in page("Ada", origin, blank)


HOSTILE = [
    SCRIPT,
    "</pre></code></details></section>" + SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<svg onload=alert(1)><style>*{display:none}</style>",
    "[a](javascript:alert(1)) ![b](https://evil.example/x.png) <iframe src='https://evil.example'></iframe>",
    "![c](attachment:nowhere.png)",
    '$\\text{<script>alert(1)</script>}$ $$\\href{javascript:alert(1)}{x}$$ $\\text{" onload=alert(1) x="}$',
    '<img alt="a > $(x)$ $\\text{ onerror=alert(1) }$" src="data:image/png;base64,AAAA">',
    '<div id="check-log_softmax" class="check">forged</div>',
    "\ud800 \u202e gnp.exe \x1b[31mred\x1b[0m \x00 \x07 \r \u2067",
    "{{ 7 * 7 }} {% raw %} {{ config }}",
    "]]>--><!--",
    "<base href=https://evil.example><meta http-equiv=refresh content='0;url=https://evil.example'><form action=x>",
    "<b" * 3000 + "[" * 3000 + "$" * 3001 + "{" * 3000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_nothing_of_a_strangers_runs(origin, mixed, text):
    result = copy.deepcopy(mixed)
    result |= {"reason": text, "remarks": [text]}
    result["exercises"][0] |= {"message": f"{text}\n\n{text}\n{text}", "misconception": text}
    for cell in result["notebook"].cells:
        if is_answer(cell) or not label(cell):
            cell.source = text
        if cell.cell_type == "code" and not is_check(cell):
            png = {"image/png": text, "text/html": SCRIPT, "image/svg+xml": SCRIPT, "text/plain": text}
            cell.outputs = [
                nbformat.v4.new_output("stream", text=text),
                nbformat.v4.new_output("error", ename=text, evalue=text, traceback=[text]),
                nbformat.v4.new_output("display_data", data=png),
                nbformat.v4.new_output("display_data", data={"image/png": PNG + '" onerror="alert(1)'}),
                nbformat.v4.new_output("display_data", data={"image/png": PNG}),
            ]
    html = page(text, origin, result, marks_of(result, score=1.0, comment=text))
    assert_harmless(html)
    assert len(set(Page(html).attributes("id"))) == len(Page(html).attributes("id"))
    refused = {"status": text, "exercises": [exercise | {"message": text} for exercise in result["exercises"]]}
    html = page(text, origin, result | refused)
    assert "This file could not be graded" in html
    assert_harmless(html)


def test_hidden_characters_are_spelt_out():
    assert pages.visible("a\u202eb\ud800\x00\x1b[1mc\r\nd\te") == "a\\u202eb\\ud800\\x00c\nd\te"


def test_what_is_very_long_is_shown_as_it_is(origin, blank):
    result = copy.deepcopy(blank)
    for number in range(12):
        result["notebook"].cells.append(nbformat.v4.new_markdown_cell("**b** " * 1500, id=f"added-{number}"))
    html = page("Ada", origin, result)
    assert html.count("You added this cell") == 12
    assert html.count("<strong>b</strong>") == 11 * 1500
    assert html.count("**b**") == 1500


# Formulas


@pytest.mark.parametrize(
    ("tex", "part"),
    [
        ("x^2", "<msup><mi>x</mi><mrow><mn>2</mn></mrow></msup>"),
        ("x_{ij}", "<msub><mi>x</mi><mrow><mi>i</mi><mi>j</mi></mrow></msub>"),
        ("a<b", "<mo>&lt;</mo>"),
        ("\\tfrac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        ("\\frac{a}{bc}", "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi><mi>c</mi></mrow></mfrac>"),
        ("\\sum_a^T", "<munderover><mo>∑</mo><mi>a</mi><mrow><mi>T</mi></mrow></munderover>"),
        ("\\hat g", '<mover accent="true"><mi>g</mi>'),
        ("\\text{ for all }", "<mtext>&nbsp;for&nbsp;all&nbsp;</mtext>"),
        ("f'", "<msup><mi>f</mi><mrow><mo>′</mo></mrow></msup>"),
    ],
)
def test_tex_becomes_mathml(tex, part):
    assert part in mathml(tex)
    Page(mathml(tex))


def test_an_equation_keeps_its_number():
    text = Page(mathml("J = 1 \\tag{1.1}", display=True)).text
    assert text.endswith("(1.1)")
    assert "tag" not in text


@pytest.mark.parametrize(
    "tex", ["\\unknown{x}", "{x", "x}", "\\frac{a}", "x^", "\\text{a", "a & b", "{" * 99 + "}" * 99, "x" * 2001, "_"]
)
def test_what_is_no_known_tex_stays_as_it_was(tex):
    found = Page(mathml(tex))
    assert found.text == f"${tex}$"
    assert found.tags() == {"code"}


@pytest.mark.parametrize("name", LESSONS)
def test_every_formula_of_the_course_is_known(name):
    for cell in lesson(name).release.cells:
        if cell.cell_type == "markdown":
            assert not re.findall(r"<code>\$.*?</code>", pages.markdown(cell.source))


# nbgrader's own pages


def test_nbgraders_own_pages_have_no_hidden_test(course, shared):  # noqa: F811
    from nbgrader.converters import GenerateFeedback

    hand_in(course, "reader", nbformat.writes(all_right(lesson(ENGINE_NAME))).encode())
    autograde(course, "reader")
    autograde(course, "reader", GenerateFeedback)
    autograded = (course / "autograded" / "reader" / ENGINE_NAME / f"{ENGINE_NAME}.ipynb").read_text()
    html = (course / "feedback" / "reader" / ENGINE_NAME / f"{ENGINE_NAME}.html").read_text()
    assert "BEGIN HIDDEN TESTS" in autograded
    assert "HIDDEN TESTS" not in html
    assert "grading_seed" not in html
    assert "predicted_change" in html


def test_code_of_a_thousand_lines_and_more_stays_black_and_white():
    """Colouring 20 000 blank lines takes seconds."""
    assert "<span" in pages.code("x = 1\n" * pages.MAX_LINES)
    assert "<span" not in pages.code("x = 1\n" * (pages.MAX_LINES + 1))
