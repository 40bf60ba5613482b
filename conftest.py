"""Makes `pytest --nbval` compare everything that a cell shows, and runs notebooks as the stored outputs were made.

A notebook is run once, whole, and nbclient gathers the outputs, as it did those stored: with history, Output widgets,
clear_output and display updates. Then every cell is compared with what is stored: the text exactly, the figures by
pixels, wherever they stand (a MIME bundle or a data URI). Stock nbval looks at no image, and skips a cell without an
execution_count. This file is in the root, not in tests/, because `pytest --nbval notebooks` would not load it there.
"""

import base64
import contextlib
import copy
import difflib
import io
import json
import os
import re
import time
from pathlib import Path
from unittest import mock

import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image, ImageSequence

from tools.execute_notebooks import KERNEL_ENVIRONMENT, WIDGET_VIEW

MAX_RMS = 2  # of 255, over a whole frame
MAX_TILE_RMS = 10  # over any tile: one changed digit vanishes in the mean over a frame, not in the mean over its tile
TILE = 32
MAX_MEMORY = 600e6  # bytes, of a kernel that has run a lesson: Binder gives 2 GB to it, the server and a second kernel

DATA_URI = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,([A-Za-z0-9+/=\s]+)")
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
RANDOM_IDS = {r"\b0x[0-9a-f]{6,16}\b": "0xADDRESS", r"\b[0-9a-f]{32}\b": "UUID"}


def transcript(outputs):
    """The outputs of a cell, without stderr, as one text, and the base64 images that were cut out of it."""
    parts, images = [], []

    def cut(image_type, encoded):
        images.append(encoded)
        return f"[image {len(images)}: {image_type}]"

    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stdout":
                parts.append(output.text)
        elif output.output_type == "error":
            parts.append(f"\n<error>\n{output.ename}: {output.evalue}\n")
        else:
            parts.append(f"\n<{output.output_type}>\n")
            for mime, value in sorted(output.data.items()):
                if mime in IMAGE_TYPES:
                    value = cut(mime, value)
                elif mime == WIDGET_VIEW:
                    continue
                else:
                    value = value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)
                    value = DATA_URI.sub(lambda match: cut(*match.groups()), value)
                parts.append(f"{mime}:\n{value}\n")
    return "".join(parts), images


def frames(encoded):
    """The frames of a base64 image on white, as (height, width, 3) arrays."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    white = Image.new("RGBA", image.size, "white")
    layers = (Image.alpha_composite(white, frame.convert("RGBA")) for frame in ImageSequence.Iterator(image))
    return [np.asarray(layer.convert("RGB"), dtype=float) for layer in layers]


def rms(stored, fresh):
    """Root mean square difference of two frames of one size: over all of it, and over the worst tile."""
    square = np.square(stored - fresh).mean(axis=2)
    height, width = square.shape
    padded = np.pad(square, ((0, -height % TILE), (0, -width % TILE)))
    tiles = padded.reshape(padded.shape[0] // TILE, TILE, -1, TILE).mean(axis=(1, 3))
    return np.sqrt(square.mean()), np.sqrt(tiles.max())


def image_difference(stored, fresh):
    """What differs between two base64 images, in words; empty where they look the same."""
    if stored == fresh:
        return ""
    stored, fresh = frames(stored), frames(fresh)
    if len(stored) != len(fresh):
        return f"{len(stored)} frames stored, {len(fresh)} now"
    for number, (old, new) in enumerate(zip(stored, fresh, strict=True), start=1):
        if old.shape != new.shape:
            sizes = [f"{array.shape[1]}×{array.shape[0]}" for array in (old, new)]
            return f"size {sizes[0]} stored, {sizes[1]} now"
        whole, tile = rms(old, new)
        if whole > MAX_RMS or tile > MAX_TILE_RMS:
            return (
                f"frame {number} of {len(stored)} ({old.shape[1]}×{old.shape[0]}): RMS difference {whole:.2f} "
                f"(limit {MAX_RMS}), in the worst tile {tile:.2f} (limit {MAX_TILE_RMS})"
            )
    return ""


def difference(stored, fresh, sanitize=str):
    """What differs between two lists of outputs, in words; empty where they agree."""
    (old_text, old_images), (new_text, new_images) = transcript(stored), transcript(fresh)
    old_text, new_text = sanitize(old_text), sanitize(new_text)
    if old_text != new_text:
        lines = difflib.unified_diff(old_text.splitlines(), new_text.splitlines(), "stored", "now", lineterm="")
        return "\n".join(lines) or "line ends differ"
    found = [image_difference(old, new) for old, new in zip(old_images, new_images, strict=True)]
    return "\n".join(f"image {number} of {len(found)}: {words}" for number, words in enumerate(found, 1) if words)


def run_notebook(file):
    """Replaces IPyNbFile.setup: start nbval's kernel and run a copy of the notebook in it."""
    with mock.patch.dict(os.environ, KERNEL_ENVIRONMENT):
        start_kernel(file)
    file.sanitize_patterns.update(RANDOM_IDS)
    file.fresh = copy.deepcopy(file.nb)
    client = NotebookClient(file.fresh, km=file.kernel.km, record_timing=False)
    client.kc = file.kernel.kc
    for index, cell in enumerate(file.fresh.cells):
        if cell.cell_type == "code":
            run_cell(client, index, cell, file.config.option.nbval_cell_timeout)
    held = peak_memory(file.kernel.km.provisioner.pid)
    if held > MAX_MEMORY:
        raise RuntimeError(f"the kernel held {held / 1e6:.0f} MB at its peak, expected at most {MAX_MEMORY / 1e6:.0f}")


def peak_memory(pid):
    """The most memory, in bytes, that a process has held; 0 where the system does not say, as Linux does."""
    status = Path(f"/proc/{pid}/status")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) if status.exists() else 0


def run_cell(client, index, cell, seconds):
    """Run a cell and gather its outputs as nbclient does, whose own loop can stall while an Output widget is in use."""
    cell.outputs = []
    client.clear_before_next_output = False
    deadline = time.monotonic() + seconds
    request = client.kc.execute(cell.source, allow_stdin=False, stop_on_error=False)
    with contextlib.suppress(CellExecutionComplete):
        while time.monotonic() < deadline:
            if client.kc.iopub_channel.socket.poll(1000):
                message = client.kc.get_iopub_msg()
                if message["parent_header"].get("msg_id") == request:
                    client.process_message(message, cell, index)
            elif not client.km.is_alive():
                raise RuntimeError(f"the kernel died in this cell:\n{cell.source}")
        raise TimeoutError(f"this cell takes more than {seconds:g} s:\n{cell.source}")


def compare_cell(item):
    """Replaces IPyNbCell.runtest; the markers by which nbval skips a cell or ignores its output have no effect."""
    if item.cell.source.strip() and item.cell.execution_count is None:
        item.raise_cell_error("the stored notebook was not run: no execution_count")
    fresh = [cell for cell in item.parent.fresh.cells if cell.cell_type == "code"][item.cell_num]
    errors = [output for output in fresh.outputs if output.output_type == "error"]
    if errors and not item.options["check_exception"]:
        item.raise_cell_error("Cell execution caused an exception", "\n".join(errors[0].traceback))
    if words := difference(item.cell.outputs, fresh.outputs, item.sanitize):
        item.raise_cell_error("Cell outputs differ", words)


start_kernel = IPyNbFile.setup
IPyNbFile.setup = run_notebook
IPyNbCell.runtest = compare_cell
