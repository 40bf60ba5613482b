"""Files as the whole package writes and reads them: at once or not at all, and JSON that may not be there."""

import json
import os
import tempfile
from pathlib import Path


def write_atomically(path, content):
    """Writes bytes in one step, or nothing: whoever looks sees the old file or the new one. Makes the folders above."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:  # a full disk, a folder of that name, Ctrl-C
        Path(name).unlink(missing_ok=True)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_json(path):
    """What a JSON file holds; None where there is no file, none that may be read, or no whole JSON in it."""
    try:
        return parse_json(Path(path).read_bytes())
    except OSError:
        return None


def parse_json(content):
    """What JSON in UTF-8 says, as bytes; None for what is none, or nested beyond measure."""
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
