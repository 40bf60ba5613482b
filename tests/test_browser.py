"""The lessons in JupyterLab in a real browser: Chromium, headless, on a copy of the notebooks."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # else cells out of sight are not in the page
}
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


def free_port():
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks, with settings and folders of its own."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "work", ignore=shutil.ignore_patterns(".*"))
    (folder / "config/labconfig").mkdir(parents=True)
    (folder / "config/labconfig/default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    homes = {f"JUPYTER_{kind.upper()}_DIR": str(folder / kind) for kind in ("config", "data", "runtime")}
    homes |= {f"JUPYTERLAB_{kind.upper()}_DIR": str(folder / kind) for kind in ("settings", "workspaces")}
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += ["--ip=127.0.0.1", f"--port={address.rpartition(':')[2]}", "--IdentityProvider.token=lesson"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={folder / 'work'}"], env=os.environ | homes, stdout=log, stderr=log
        )
        try:
            wait_for(address + "/api", server, folder / "log")
            yield address
        finally:
            server.terminate()
            server.wait()


def wait_for(url, server, log, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not answer at {url}:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, (
        "No Chromium on this machine: `make install` installs it with apt where it may; else install it yourself."
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    yield page
    page.close()


def open_lesson(page, lab, name):
    """Opens a lesson and waits until its kernel has a name and nothing to do."""
    page.goto(f"{lab}/lab/tree/{name}.ipynb?token=lesson&reset")
    expect(page.locator(".jp-Toolbar-kernelName")).to_contain_text("Python 3")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")


def run_all(page):
    """Clears all outputs, runs all cells, and waits until the last code cell has its number."""
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
    page.wait_for_function(f"{prompts}.every(text => !/\\d/.test(text))")
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(f"{prompts}.every(text => /\\d/.test(text))")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")


def test_a_lesson_runs_and_its_slider_redraws_the_figure(page, lab):
    open_lesson(page, lab, "01_log_gradient_trick")
    run_all(page)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    image = page.locator(".widget-html img")
    before = image.get_attribute("src")
    assert "from 30 pulls" in image.get_attribute("alt")
    page.locator(".widget-slider .noUi-handle").first.press("ArrowRight")
    expect(image).to_have_attribute("alt", re.compile("from 100 pulls"))
    assert image.get_attribute("src") != before
    assert image.evaluate("img => img.complete && img.naturalWidth > 0")
