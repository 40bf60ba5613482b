"""The static site, built from the notebooks as they are stored."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4
from playwright.sync_api import sync_playwright
from yaml import safe_load

import pgcourse
from pgcourse.exercises import EXERCISES
from pgcourse.judging.messages import solution_link
from tools import build_book

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSON = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
WRITTEN = [e for e in EXERCISES.values() if any(path.name.startswith(f"{e.lesson:02}_") for path in NOTEBOOKS)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built pages; anything that Sphinx warns about has failed the build."""
    return build_book.build(tmp_path_factory.mktemp("book") / "book").parent


@pytest.fixture(scope="module")
def read(site):
    pages = {}

    def parsed(stem):
        if stem not in pages:
            pages[stem] = BeautifulSoup((site / f"{stem}.html").read_text(encoding="utf-8"), "html.parser")
        return pages[stem]

    return parsed


def graded_notebook():
    """An exercise as the source notebooks hold it, executed."""
    nbgrader = {"schema_version": 3, "task": False, "locked": False}
    source = "def f():\n    ### BEGIN SOLUTION\n    return 7\n    ### END SOLUTION"
    solution = {"grade_id": "f", "solution": True, "grade": False, **nbgrader}
    check = {"grade_id": "check-f", "solution": False, "grade": True, "points": 1, **nbgrader}
    hidden = 'check(f, "f")\n### BEGIN HIDDEN TESTS\ncheck(f, "f", seed=secret)\n### END HIDDEN TESTS'
    twice = v4.new_output("stream", text="✓ f\n✓ f\n")
    cells = [
        v4.new_code_cell(source, metadata={"nbgrader": solution}),
        v4.new_code_cell(hidden, metadata={"nbgrader": check}, outputs=[twice]),
        v4.new_code_cell("print(1)\nprint(1)", outputs=[v4.new_output("stream", text="1\n1\n")]),
    ]
    return v4.new_notebook(cells=cells)


def test_a_page_folds_the_solution_and_leaves_the_hidden_tests_out():
    solution, check, other = build_book.page(graded_notebook()).cells
    assert solution.cell_type == "markdown"
    assert solution.source.startswith('<details id="f">')
    assert "def f():\n    return 7\n" in solution.source
    assert check.source.strip() == 'check(f, "f")'
    assert check.outputs[0].text == "✓ f\n"
    assert other.outputs[0].text == "1\n1\n"


def test_a_solution_with_outputs_is_refused():
    notebook = graded_notebook()
    notebook.cells[0].outputs = [v4.new_output("stream", text="1")]
    with pytest.raises(ValueError, match="has outputs, expected none"):
        build_book.page(notebook)


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda exercise: exercise.name)
def test_the_link_of_a_check_leads_to_the_folded_solution(exercise, read):
    page, _, name = solution_link(exercise).removeprefix(pgcourse.SITE).partition(".html#")
    [solution] = read(page).find_all("details", id=name)
    assert "open" not in solution.attrs
    assert f"def {name}(" in solution.text
    assert "raise NotImplementedError" not in solution.text


@LESSON
def test_nothing_hidden_is_shown(path, read):
    text = read(path.stem).text
    assert not re.search("HIDDEN TESTS|grading_seed|(BEGIN|END) SOLUTION", text)


def pictures(html):
    return len(re.findall(r"<img[^>]+src=", html))


@LESSON
def test_every_stored_picture_is_shown(path, read):
    outputs = [o for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", ()) if "data" in o]
    stored = sum(pictures(output.data.get("text/html", "")) or ("image/png" in output.data) for output in outputs)
    article = read(path.stem).find("article")
    assert pictures(str(article)) == stored
    assert all(image.get("alt") for image in article.find_all("img") if image["src"].startswith("data:"))


@pytest.mark.parametrize("stem", ["index", "teaching", *(path.stem for path in NOTEBOOKS)])
def test_a_page_needs_no_other_host(stem, read):
    resources = [tag.get("src") for tag in read(stem).find_all(["script", "img", "iframe"])]
    resources += [tag.get("href") for tag in read(stem).find_all("link") if "canonical" not in tag.get("rel", ())]
    assert not [address for address in resources if address and re.match(r"(https?:)?//", address)]


def test_nothing_is_executed_and_the_address_is_the_package_s():
    config = safe_load((ROOT / "docs" / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["html"]["baseurl"] == pgcourse.SITE


def words(text):
    return " ".join(re.findall(r"\w+", text))  # Sphinx makes its own of quotes and dashes


def test_teaching_lists_every_mistake(read):
    text = words(read("teaching").text)
    for exercise in EXERCISES.values():
        assert words(f"{exercise.name}: {'; '.join(mistake.name for mistake in exercise.misconceptions)}") in text
    assert "version of this page" not in text  # it is the one


def test_in_a_browser_the_link_unfolds_the_solution_and_mathematics_is_set(site):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page()
        page.goto(f"file://{site}/04_reinforce.html#reinforce")  # the name of a heading, too
        page.wait_for_selector("details#reinforce[open]")
        page.wait_for_selector("mjx-container")
        assert page.locator("details#batch_update[open]").count() == 0
        page.evaluate("location.hash = '#batch_update'")
        page.wait_for_selector("details#batch_update[open]")
        assert 0 <= page.locator("details#batch_update").bounding_box()["y"] < 200  # and it is in sight
        page.set_viewport_size({"width": 1366, "height": 850})
        page.goto(f"file://{site}/03_sampled_gradients.html#exercise-policy-gradient-estimate")
        contents = page.locator(".bd-sidebar-secondary")
        contents.get_by_text("policy_gradient_estimate").wait_for()
        assert contents.evaluate("e => e.scrollWidth <= e.clientWidth")  # the long names of exercises wrap
        browser.close()
