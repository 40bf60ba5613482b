"""A folder of lessons that belongs to somebody: which of its files are as the course gave them, and which are theirs.

The manifest remembers the fingerprint of each file that the course put there. A file that still has it may be replaced
by a newer one; every other file is its owner's and is never written to.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pgcourse
from pgcourse.files import read_json, write_atomically

MARKER = ".pgcourse"  # the manifest of a learner's copy; its presence makes a folder one
FORMAT = "pgcourse edition 1"


@dataclass(frozen=True)
class Update:
    """What `place` did, as names: files that were added, renewed, and kept because they are not the course's.

    outdated: those of the kept for which the course has a newer one.
    """

    added: tuple[str, ...]
    renewed: tuple[str, ...]
    kept: tuple[str, ...]
    outdated: tuple[str, ...]

    def lines(self):
        """The same for a person, one line each."""
        named = {"Added": self.added, "Renewed": self.renewed, "Kept, with your changes": self.kept}
        lines = [f"{what}: {', '.join(names)}" for what, names in named.items() if names]
        if self.outdated:
            lines.append(f"For a newer {self.outdated[0]}, rename yours and update again")
        return lines or ["All lessons are up to date"]


def checkout():
    """The root of the checkout that the package runs from, or None where it was installed."""
    root = Path(pgcourse.__file__).parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def source_folder():
    """The folder of the source notebooks: the checkout's, or the wheel's copy."""
    root = checkout()
    folder = root / "notebooks" if root else Path(pgcourse.__file__).parent / "notebooks"
    if not any(folder.glob("*.ipynb")):
        raise FileNotFoundError(f"{folder} holds no notebooks: was the package installed from a wheel or a checkout?")
    return folder


def source_digest(folder=None):
    """Changes when a source notebook does, but not when it is only executed again."""
    paths = sorted(Path(folder or source_folder()).glob("*.ipynb"))
    marks = [(path.name, fingerprint(path.name, path.read_bytes())) for path in paths]
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def identity(source=None):
    """What a manifest says of the edition besides its files: the package's version, and the source's digest."""
    return {"version": pgcourse.__version__, "source": source_digest(source)}


def fingerprint(name, content):
    """The part of a file that is its owner's, hashed: of a notebook its cells without outputs, of others every byte.

    Empty cells do not count (running the last cell of a notebook appends one), nor does what a program that saves a
    notebook decides: layout, outputs, counts, ids, and metadata other than nbgrader's and the tags.
    """
    if name.endswith(".ipynb"):
        try:
            cells = [_essence(cell) for cell in json.loads(content)["cells"]]
            content = json.dumps([cell for cell in cells if cell[1].strip()], sort_keys=True).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass  # not a notebook whatever its name, so its bytes count
    return hashlib.sha256(content).hexdigest()


def _essence(cell):
    metadata = cell.get("metadata", {})
    return [cell["cell_type"], "".join(cell["source"]), metadata.get("nbgrader"), metadata.get("tags", [])]


def read(folder, name=MARKER):
    """{"version", "source", "files": {name: fingerprint}} of a folder; empty where it has none that can be read."""
    stored = read_json(Path(folder) / name)
    if isinstance(stored, dict) and stored.get("format") == FORMAT and isinstance(stored.get("files"), dict):
        return stored
    return {"version": "", "source": "", "files": {}}


def is_yours(folder, name, known):
    """Whether a file exists and differs from the one that the course put there, known: {name: fingerprint}."""
    try:
        return fingerprint(name, (Path(folder) / name).read_bytes()) != known.get(name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # a folder of that name, or a file that must not be read: not ours to replace


def compare(folder, files, manifest_name=MARKER):
    """What `place` would do: the Update, given files {name: bytes}."""
    known = read(folder, manifest_name)["files"]
    added, renewed, kept, outdated = [], [], [], []
    for name, content in files.items():
        new = fingerprint(name, content)
        if not os.path.lexists(Path(folder) / name):
            added.append(name)
        elif not is_yours(folder, name, {name: new}):
            continue
        elif not is_yours(folder, name, known):
            renewed.append(name)
        else:
            kept.append(name)
            outdated += [name] * (new != known.get(name))
    return Update(tuple(added), tuple(renewed), tuple(kept), tuple(outdated))


def place(folder, files, edition, manifest_name=MARKER):
    """Writes files {name: bytes} into the folder, except over what is not the course's; returns the Update.

    edition: what the manifest says besides the fingerprints ({"version": …, "source": …}). The manifest is written
    last, so a run that is cut short can be repeated.
    """
    folder = Path(folder)
    update, known = compare(folder, files, manifest_name), read(folder, manifest_name)["files"]
    for name in (*update.added, *update.renewed):
        write_atomically(folder / name, files[name])
    marks = {name: fingerprint(name, content) for name, content in files.items()}
    marks |= {name: known[name] for name in update.kept if name in known}  # undoing one's changes makes it ours again
    for name in set(update.kept) - set(known):
        del marks[name]
    document = {"format": FORMAT, **edition, "files": marks}
    write_atomically(folder / manifest_name, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
    return update
