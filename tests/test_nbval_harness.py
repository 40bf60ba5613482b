"""The comparison of notebooks (conftest.py in the root): every construct we use passes, every tampering fails.

One notebook holds each construct once, and once more for each tampering with it. It is executed and stored, as it is
and tampered with; then both run under pytest, in a folder laid out as the repository is.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import v4

HARNESS = Path(__file__).parents[1] / "conftest.py"
PINNED = {"COLUMNS": "80", "MPLBACKEND": "", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "SDL_VIDEODRIVER": "dummy"}
HOSTILE = {
    "COLUMNS": "133",
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "2",
    "PYTHONHASHSEED": "7",
    "SDL_VIDEODRIVER": "x11",
}

IMPORTS = """
import base64, io, json, os, shutil, sys, time, warnings
import ipywidgets as widgets
import matplotlib, matplotlib.pyplot as plt
from IPython.display import HTML, Image, Markdown, clear_output, display
from PIL import Image as Picture

def picture(left, size=(64, 48)):
    image = Picture.new("RGB", size, "white")
    image.paste("navy", (left, 10, left + 8, 20))
    return image

def encoded(format, first, *others):
    buffer = io.BytesIO()
    moving = {"save_all": True, "append_images": others, "duration": 100} if others else {}
    first.save(buffer, format, **moving)
    return buffer.getvalue()

def tag(format, *pictures):
    data = base64.b64encode(encoded(format, *pictures)).decode()
    return f'<img alt="a" src="data:image/{format};base64,{data}">'

class SliderFigure(widgets.VBox):
    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        image = base64.b64encode(encoded("png", picture(5))).decode()
        return bundle | {"image/png": image, "text/html": "<p>slope 0.25</p>"}
"""

# nbclient can stall, until its timeout, where an Output widget talks to it just as its cell ends: hence the pauses.
CONSTRUCTS = {
    "print": 'print("one")\nsys.stdout.flush()\ntime.sleep(0.01)\nprint("two")',
    "silent": "x = 1",
    "result": "6 * 7",
    "last result": "_ + 1",
    "semicolon": "6 * 7;",
    "environment": f"print(*map(os.environ.get, {[*PINNED]}), os.path.basename(os.getcwd()))",
    "addresses": "print(object())\ndisplay(1, display_id=True)",
    "figure": 'fig, ax = plt.subplots()\nax.plot([0, 1, 2], [0, 1, 4])\nax.set_title("J = 0.13");',
    "two figures": "for k in (1, 2):\n    plt.plot([0, k, 3])\n    plt.show()",
    "image in HTML": 'HTML("<p>J = 3.14</p>" + tag("png", picture(5)))',
    "animation": 'HTML(tag("webp", *[picture(k) for k in (0, 9, 18)]))',
    "GIF": 'Image(encoded("gif", *[picture(k) for k in (0, 9, 18)]), format="gif")',
    "Markdown and JSON": 'display(Markdown("J is **2**"))\ndisplay({"application/json": {"b": 2, "a": [1]}}, raw=True)',
    "interact": "widgets.interact(lambda k: print(k), k=(0, 3))\ntime.sleep(0.2)",
    "Output": 'out = widgets.Output()\ndisplay(out)\nwith out:\n    print("inside")\nprint("outside")\ntime.sleep(0.2)',
    "VBox": 'SliderFigure([widgets.IntSlider(description="slope"), widgets.HTML("<b>x</b>")])',
    "clear_output": 'print("gone")\nclear_output()\nfor k in 0, 1, 2:\n    clear_output(wait=True)\n    print("at", k)',
    "display update": 'handle = display("before", display_id=True)\nhandle.update("after")',
    "later update": 'handle.update("from a later cell")',
    "exception": 'raise ValueError("P[2, 0] sums to 0.9")',
    "stderr": 'print(time.time_ns(), "it/s", file=sys.stderr)\nwarnings.warn(str(time.time_ns()))\nprint("done")',
}


def change(old, new):
    """Tampering by other code over the same stored outputs: what it shows now is not what is stored."""

    def edit(cell):
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return edit


def store(edit_outputs):
    """Tampering with the stored outputs."""

    def edit(cell):
        before = str(cell.outputs)
        edit_outputs(cell.outputs)
        assert str(cell.outputs) != before

    return edit


def strip(cell):
    cell.outputs, cell.execution_count = [], None


def forget_count(cell):
    cell.execution_count = None


# name: (the construct, how it is tampered with, what the failure must say, or "passed")
TAMPERINGS = {
    "changed text": ("print", change("two", "too"), "+too"),
    "changed space": ("print", change("two", "two "), "+two "),
    "changed result": ("result", store(lambda outputs: outputs[0].data.update({"text/plain": "41"})), "-41\n+42"),
    "changed number in HTML": ("image in HTML", change("3.14", "3.15"), "+<p>J = 3.15</p>"),
    "changed Markdown": ("Markdown and JSON", change("**2**", "**3**"), "**3**"),
    "changed JSON": ("Markdown and JSON", change("[1]", "[2]"), "+  2"),
    "curve moved": ("figure", change("[0, 1, 4]", "[0, 1.2, 4]"), "image 1 of 1: frame 1 of 1 ("),
    "one digit in a figure": ("figure", change("0.13", "0.18"), "(limit 2), in the worst tile"),
    "second of two figures": ("two figures", change("[0, k, 3]", "[0, min(k, 1), 3]"), "image 2 of 2: frame 1 of 1"),
    "figures swapped": ("two figures", store(lambda outputs: outputs.reverse()), "image 1 of 2"),
    "figure of another size": (
        "figure",
        change("subplots()", "subplots(figsize=(5, 5))"),
        "-<Figure size 640x480",
    ),
    "figure not stored": ("figure", store(lambda outputs: outputs.clear()), "+[image 1: image/png]"),
    "figure not drawn": ("figure", change("fig, ax = plt.subplots()", "ax = plt.Figure().subplots()"), "-[image 1"),
    "image in HTML moved": ("image in HTML", change("picture(5)", "picture(6)"), "image 1 of 1: frame 1 of 1 (64×48)"),
    "image in HTML of another size": (
        "image in HTML",
        change("picture(5)", "picture(5, (64, 49))"),
        "size 64×48 stored, 64×49 now",
    ),
    "whole image a little darker": (
        "image in HTML",
        change("picture(5)", "picture(5).point(lambda value: max(value - 5, 0))"),
        "(limit 2), in the worst tile 5.00 (limit 10)",
    ),
    "shade below the limit": (
        "image in HTML",
        change("picture(5)", "picture(5).point(lambda value: max(value - 1, 0))"),
        "passed",
    ),
    "frame altered": ("animation", change("9, 18", "9, 19"), "image 1 of 1: frame 3 of 3 (64×48)"),
    "frame removed": ("animation", change("0, 9, 18", "0, 9"), "image 1 of 1: 3 frames stored, 2 now"),
    "GIF frame altered": ("GIF", change("9, 18", "12, 18"), "image 1 of 1: frame 2 of 3"),
    "widget without its view": (
        "VBox",
        store(lambda outputs: outputs[0].data.pop("application/vnd.jupyter.widget-view+json")),
        "passed",
    ),
    "widget's image": ("VBox", store(lambda outputs: outputs[0].data.pop("image/png")), "+image/png"),
    "widget's HTML": ("VBox", store(lambda outputs: outputs[0].data.update({"text/html": "<p>slope 0.5</p>"})), "0.5"),
    "widget's text": ("VBox", change('"slope"', '"tilt"'), "tilt"),
    "widget's print outside": ("Output", change("outside", "beyond"), "+beyond"),
    "missing output": ("silent", change("x = 1", "x = 1\nx"), "+1"),
    "extra output": ("result", change("6 * 7", "x = 1"), "-42"),
    "another kind of output": ("result", change("6 * 7", "display(6 * 7)"), "+<display_data>"),
    "output before clear_output": ("clear_output", change("wait=True)", "wait=True) if k < 2 else 0"), "+at 1"),
    "changed update": ("display update", change("after", "afterwards"), "afterwards"),
    "changed error value": ("exception", change("0.9", "0.8"), "+ValueError: P[2, 0] sums to 0.8"),
    "changed error": ("exception", change("ValueError", "KeyError"), "+KeyError"),
    "no error any more": ("exception", change("raise", "err ="), "-ValueError"),
    "untagged error": ("exception", lambda cell: cell.metadata.pop("tags"), "Cell execution caused an exception"),
    "print beside stderr": ("stderr", change("done", "finished"), "+finished"),
    "stripped": ("print", strip, "no execution_count"),
    "stripped silent": ("silent", forget_count, "no execution_count"),
    "outputs without a count": ("figure", forget_count, "no execution_count"),
    "marked to be ignored": ("print", change('print("two")', 'print("2")\n# NBVAL_IGNORE_OUTPUT'), "+2"),
    "marked to be skipped": ("print", change('print("two")', 'print("2")\n# NBVAL_SKIP'), "+2"),
}
CELLS = ["imports", *CONSTRUCTS, *TAMPERINGS]


def new_cell(name):
    construct = TAMPERINGS[name][0] if name in TAMPERINGS else name
    cell = v4.new_code_cell(CONSTRUCTS.get(construct, IMPORTS))
    if construct == "exception":
        cell.metadata.tags = ["raises-exception"]
    return cell


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Why the cells of the notebooks below fail: {("faithful" or another, "Cell 0"): words, or None if not}."""
    root = tmp_path_factory.mktemp("nbval")
    folder = root / "notebooks"
    folder.mkdir()
    shutil.copy(HARNESS, root)
    (root / "pytest.ini").touch()

    notebook = v4.new_notebook(cells=[new_cell(name) for name in CELLS])
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_name="python3", record_timing=False, resources=resources, timeout=60)
    client.execute(env=os.environ | PINNED)
    nbformat.write(notebook, folder / "faithful.ipynb")
    for name, cell in zip(CELLS, notebook.cells, strict=True):
        if name in TAMPERINGS:
            TAMPERINGS[name][1](cell)
    nbformat.write(notebook, folder / "tampered.ipynb")
    for name, source in (("dying", "import os\nos._exit(0)"), ("greedy", "held = b'1' * 600_000_000")):
        cell = v4.new_code_cell(source, execution_count=1)
        nbformat.write(v4.new_notebook(cells=[cell]), folder / f"{name}.ipynb")

    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | HOSTILE
    subprocess.run(
        [*command, "--color=no", "--junitxml=report.xml", "notebooks"], cwd=root, env=environment, check=False
    )
    return {
        (case.get("classname").split(".")[-2], case.get("name")): case[0].text if len(case) else None
        for case in ElementTree.parse(root / "report.xml").iter("testcase")
    }


def outcome_of(name, notebook, outcomes):
    return outcomes[notebook, f"Cell {CELLS.index(name)}"]


@pytest.mark.parametrize("name", CELLS)
def test_what_is_stored_faithfully_passes(name, outcomes):
    assert outcome_of(name, "faithful", outcomes) is None


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_fails_and_says_what_differs(name, outcomes):
    _, _, words = TAMPERINGS[name]
    assert words in (outcome_of(name, "tampered", outcomes) or "passed")


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_tampering_fails_no_other_cell(name, outcomes):
    assert outcome_of(name, "tampered", outcomes) is None


def test_a_dead_kernel_fails(outcomes):
    assert "the kernel died in this cell" in outcomes["dying", "Cell 0"]


def test_a_kernel_that_needs_more_memory_than_binder_has_to_spare_fails(outcomes):
    assert "expected at most 600" in outcomes["greedy", "Cell 0"]
