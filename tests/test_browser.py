"""JupyterLab as `pgcourse lab` opens it, in a real browser: Chromium, headless, and what a learner does there.

Each test has a working copy of its own, in a folder below the one that JupyterLab was opened on.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
from playwright.sync_api import expect, sync_playwright

from pgcourse import SITE
from pgcourse.publishing import manifest

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 90_000  # ms: a busy machine's start of a kernel that imports torch
START, LESSON = "00_start_here.ipynb", "01_log_gradient_trick.ipynb"
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    return tmp_path_factory.mktemp("lab") / "edition"


@pytest.fixture(scope="module")
def front_door(edition, tmp_path_factory):
    """The address that `pgcourse lab` prints, with its token; it made the edition, and uses nobody's own settings."""
    home = tmp_path_factory.mktemp("home")
    names = [f"JUPYTER_{kind}_DIR" for kind in ("CONFIG", "DATA", "RUNTIME")] + [
        "JUPYTERLAB_SETTINGS_DIR",
        "IPYTHONDIR",
    ]
    command = [f"{os.path.dirname(sys.executable)}/pgcourse", "lab", str(edition), f"--port={free_port()}"]
    command += ["--ip=127.0.0.1", "--no-browser", "--expose-app-in-browser"]
    with open(home / "log", "w") as log:
        environment = os.environ | {name: str(home / name) for name in names}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield printed_address(server, home / "log")
        finally:
            server.terminate()
            server.wait()


def free_port():
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def printed_address(server, log):
    deadline = time.monotonic() + SLOW / 1000
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\S+token=[0-9a-f]{8,}", log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"pgcourse lab printed no address:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, (
        "No Chromium on this machine: `make install` installs it with apt where it may; else install it yourself."
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield chromium.new_context(viewport={"width": 1200, "height": 900})  # one for all pages, with one cache
        chromium.close()


@pytest.fixture
def page(browser, front_door):
    """An empty page; the kernels that were started from it end with it."""
    page = browser.new_page()
    page.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    yield page
    page.evaluate("window.jupyterapp?.serviceManager.sessions.shutdownAll()")
    page.close()


@pytest.fixture
def new_copy(edition, front_door, request):
    """Makes working copies with lessons 0 and 1 below the edition, as the learner gets them; returns their folders."""

    def make(name):
        folder = edition / f"{request.node.name}-{name}"
        folder.mkdir()
        for path in (edition / manifest.MARKER, edition / START, edition / LESSON):
            shutil.copy(path, folder)
        return folder

    return make


# What a learner does


def open_lesson(page, front_door, path):
    """Opens a lesson of a copy, in a workspace of its own, and waits until its kernel has nothing to do."""
    server, _, query = front_door.replace("/lab/tree/", "?").split("?")
    folder = path.parent.name
    page.goto(f"{server}/lab/workspaces/{folder}/tree/{folder}/{path.name}?{query}")
    expect(page.locator(".jp-mod-current.lm-TabBar-tab", has_text=path.name)).to_be_visible()
    wait_for_kernel(page)


def wait_for_kernel(page):
    expect(page.locator(".jp-Toolbar-kernelName")).to_contain_text("Python 3")
    page.wait_for_selector(IDLE)


def choose(page, menu, item):
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def cell(page, text):
    """The code cell that begins with `text`."""
    return page.locator(".jp-CodeCell").filter(has=page.locator(".cm-line:first-child", has_text=text))


def run(page, text):
    """Runs a code cell by Shift + Enter and waits for its new number; returns its output."""
    prompt = cell(page, text).locator(".jp-InputPrompt")
    before = prompt.text_content()
    cell(page, text).locator(".cm-line").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "([prompt, before]) => /\\d/.test(prompt.textContent) && prompt.textContent != before",
        arg=[prompt.element_handle(), before],
    )
    page.wait_for_selector(IDLE)
    return cell(page, text).locator(".jp-Cell-outputArea")


def write_average(page, answer, over=1):
    """Types the answer over the last lines of the cell: the stub's two, or an earlier answer."""
    cell(page, "def average").locator(".cm-line").last.click()
    expect(cell(page, "def average").locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+End")
    for _ in range(over - 1):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(answer)
    run(page, "def average")


def save(page):
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url):
        page.keyboard.press("Control+s")


# What happens


def test_the_front_door_opens_lesson_0_with_its_contents_and_no_news(page, front_door):
    page.goto(front_door)
    wait_for_kernel(page)
    expect(page.locator(".jp-NotebookPanel h1")).to_contain_text("0 · Start here")
    expect(page.locator(".jp-TableOfContents").get_by_text("How an exercise works")).to_be_visible()
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0


def test_a_blank_lesson_runs_and_its_slider_redraws_the_figure(page, front_door, new_copy):
    open_lesson(page, front_door, new_copy("blank") / LESSON)
    choose(page, "Run", "Run All Cells")
    wrong = "[data-mime-type='application/vnd.jupyter.stderr']"  # what is on stderr, and tracebacks
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
    ended = f"{prompts}.every(text => /\\d/.test(text)) || document.querySelector(`{wrong}`)"
    page.wait_for_function(ended)
    page.wait_for_selector(IDLE)
    assert page.locator(wrong).all_inner_texts() == []

    image, readout = page.locator(".widget-html img"), page.locator(".widget-readout").first
    before = image.get_attribute("src")
    assert "from 30 pulls" in image.get_attribute("alt")
    expect(readout).to_have_text("30")
    page.locator(".widget-slider .noUi-handle").first.press("ArrowRight")
    expect(readout).to_have_text("100")
    expect(image).to_have_attribute("alt", re.compile("from 100 pulls"))
    assert image.get_attribute("src") != before
    assert image.evaluate("img => img.complete && img.naturalWidth > 0")


def test_a_wrong_answer_is_diagnosed_helped_and_put_right_and_the_progress_is_kept(page, front_door, new_copy):
    open_lesson(page, front_door, new_copy("answers") / START)
    run(page, "import sys")
    run(page, "def average")
    assert "not attempted" in run(page, "check(average").inner_text()

    write_average(page, "return rewards.sum()", over=2)
    solution = page.get_by_role("link", name=f"{SITE}00_start_here.html#average")
    for _ in range(5):
        expect(solution).to_have_count(0)
        said = run(page, "check(average").inner_text()
        assert "This looks like: the sum instead of the average." in said
    assert cell(page, "check(average").locator("caption").bounding_box()["height"] < 40  # pixels: one line
    expect(solution).to_have_count(1)

    write_average(page, "return rewards.mean()")
    said = run(page, "check(average")
    assert "✓ average: right in all" in said.inner_text()
    assert "not right" not in said.inner_text()

    save(page)
    page.reload()
    wait_for_kernel(page)
    choose(page, "Kernel", "Restart Kernel and Clear Outputs of All Cells…")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(cell(page, "check(average").locator(".jp-InputPrompt")).to_have_text("[ ]:")
    wait_for_kernel(page)
    expect(cell(page, "def average")).to_contain_text("return rewards.mean()")
    run(page, "import sys")
    expect(run(page, "progress()").locator("tr", has_text="average").first).to_contain_text("✓ done")


def test_validate_says_what_is_missing_and_then_that_nothing_is(page, front_door, new_copy):
    open_lesson(page, front_door, new_copy("handed-in") / START)
    results = page.locator(".jp-Dialog", has_text="Validation Results")
    page.get_by_role("button", name="Validate").click()
    expect(results).to_contain_text("average: not attempted yet")
    expect(results).to_contain_text("You did not provide a response.")
    results.get_by_role("button").click()

    write_average(page, "return rewards.mean()", over=2)
    written = page.locator(".jp-MarkdownCell", has_text="Your answer goes here")
    written.locator("em").dblclick()
    written.locator(".cm-line").click()
    expect(written.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("The gradient, twice.")
    page.keyboard.press("Shift+Enter")
    page.get_by_role("button", name="Validate").click()
    expect(results).to_contain_text("Success! Your notebook passes all the tests.")


def test_work_saved_in_one_copy_comes_back_in_another(page, front_door, new_copy, tmp_path):
    open_lesson(page, front_door, new_copy("old") / START)
    run(page, "import sys")
    write_average(page, "return rewards.mean()", over=2)
    run(page, "check(average")
    save(page)
    run(page, "backup.Panel()")
    page.get_by_role("button", name="Save my work").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="download the zip").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)

    new = new_copy("new")
    open_lesson(page, front_door, new / START)
    run(page, "import sys")
    panel = run(page, "backup.Panel()")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Restore").click()
    chooser.value.set_files(saved)
    expect(panel).to_contain_text(f"Restored: {START}")
    expect(panel).to_contain_text("Progress: 1 exercise passed")
    asked = page.locator(".jp-Dialog").get_by_role("button", name=re.compile("Reload|Revert"))
    page.add_locator_handler(asked, lambda button: button.click())  # the second, where an autosave came first
    choose(page, "File", "Reload Notebook from Disk")
    expect(cell(page, "def average")).to_contain_text("return rewards.mean()")
    expect(run(page, "progress()").locator("tr", has_text="average").first).to_contain_text("✓ done")
