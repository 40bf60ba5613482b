"""Executes notebooks in place, so that the same sources give the same file: `make notebooks`."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

# What outputs depend on besides the pinned versions; the tests start their kernels with the same.
KERNEL_ENVIRONMENT = {
    "COLUMNS": "80",
    "MPLBACKEND": "",  # the kernel then takes its inline backend
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "SDL_VIDEODRIVER": "dummy",
}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def execute(path):
    notebook = nbformat.read(path, 4)
    resources = {"metadata": {"path": str(path.parent)}}
    options = {"timeout": 300, "record_timing": False, "store_widget_state": False}
    NotebookClient(notebook, resources=resources, **options).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # Its random id means nothing without the kernel; without it a reader sees the picture that goes with it.
            output.get("data", {}).pop(WIDGET_VIEW, None)
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})  # how prints are cut into messages is chance
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ.update(KERNEL_ENVIRONMENT)
    for name in sys.argv[1:]:
        print("Executing", name, flush=True)
        execute(Path(name))
