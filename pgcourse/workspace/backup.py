"""Work and progress in one zip, out of a working copy and into another: where nothing stays, as on Binder, or to move.

The zip holds what is the learner's: every file that is not as the course gave it, and the progress. Restoring it never
overwrites such a file: it is copied to a folder of its own first, and listed.
"""

import base64
import html
import io
import shutil
import time
import zipfile
from pathlib import Path, PurePosixPath

import ipywidgets

from pgcourse.files import parse_json, write_atomically
from pgcourse.publishing import manifest
from pgcourse.workspace import progress

LARGEST = 200_000_000  # bytes, unpacked: more is no course work, and might fill the disk
UPLOAD = 8_000_000  # bytes: JupyterLab's channel to a kernel takes 10 MiB a message, and hangs up on more
SKIPPED = {"__pycache__", "venv"}


def save(path=None):
    """Writes the zip, into the working copy unless a path is given; returns its path. Never overwrites a file."""
    folder = _working_copy()
    path = Path(path) if path else folder / _free_name(folder)
    content, names = pack(folder)
    with path.open("xb") as file:
        file.write(content)
    print(f"{path} holds {_count(names)}: {', '.join(names)}")
    return path


def restore(path):
    """Brings back what a zip from `save` holds, and says what it did; raises ValueError if the zip is not like that."""
    print("\n".join(unpack(_working_copy(), Path(path).read_bytes())))


def _working_copy():
    folder = progress.working_copy()
    if folder is None:
        raise ValueError(f"{Path.cwd()} is in no working copy of the course: `pgcourse lab` makes one")
    return folder


def _free_name(folder):
    stem = time.strftime("pgcourse-work-%Y-%m-%d")
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.zip" for n in range(1, 10**6))
    return next(name for name in names if not (folder / name).exists())


def _count(names):
    return f"{len(names)} file{'' if len(names) == 1 else 's'}"


# Out


def pack(folder):
    """The zip's bytes, and the names in it."""
    names = sorted(_yours(folder))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(folder / name, name)
    return buffer.getvalue(), names


def _yours(folder):
    """Names of the files that are the learner's, the progress among them; no links, nothing hidden, no earlier zip."""
    known = manifest.read(folder)["files"]
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") or part in SKIPPED for part in name.parts)
        zipped = name.match("pgcourse-work-*.zip")
        plain = path.is_file() and not path.is_symlink() and not hidden and not zipped
        if (plain or str(name) == progress.PROGRESS) and manifest.is_yours(folder, name.as_posix(), known):
            yield name.as_posix()


# In


def unpack(folder, content):
    """Restores a zip's bytes into a working copy; returns lines for a person. Raises ValueError before it writes."""
    files = _members(content)
    passed = progress.entries_of(parse_json(files.pop(progress.PROGRESS, b"")))
    for name in files:
        _refuse_place(folder, name)
    known = manifest.read(folder)["files"]
    kept_in, restored, kept = _new_folder(folder), [], []
    for name, new in files.items():
        if not manifest.is_yours(folder, name, {name: manifest.fingerprint(name, new)}) and (folder / name).exists():
            continue
        if manifest.is_yours(folder, name, known):
            (kept_in / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, kept_in / name)
            kept.append(name)
        write_atomically(folder / name, new)
        restored.append(name)
    progress.remember(folder, passed)
    return list(_account(restored, kept, kept_in.name, passed))


def _account(restored, kept, kept_in, passed):
    done = sum(entry["passed"] for entry in passed.values())
    yield f"Restored: {', '.join(restored) or 'nothing, all of it was here already'}"
    if kept:
        yield f"There was work of yours under the same name. It is kept in {kept_in}/: {', '.join(kept)}"
    if done:
        yield f"Progress: {done} exercise{'' if done == 1 else 's'} passed"
    if restored:
        yield "Lessons that are open show the old text still: File, Reload Notebook from Disk (should it ask: Revert)"


def _members(content):
    """{name: bytes} of a zip in which every name is a plain path downwards; anything else is refused, with its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            for info in infos:
                _refuse_member(info)
            names = [info.filename.casefold() for info in infos]
            for info in infos:
                if names.count(info.filename.casefold()) > 1:
                    raise ValueError(f"{info.filename!r} is in the zip twice, expected once")
            size = sum(info.file_size for info in infos)
            if size > LARGEST:
                raise ValueError(f"the zip unpacks to {size / 1e6:.0f} MB, expected at most {LARGEST / 1e6:.0f}")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(f"this is not a zip that can be read: {error}") from None


def _refuse_member(info):
    name, kind = info.orig_filename, info.external_attr >> 16 & 0o170000
    path = PurePosixPath(name)
    odd = any(character in name for character in '\\:*?"<>|') or any(ord(character) < 32 for character in name)
    steps = [part for part in path.parts if part.startswith(".") or part != part.strip(" .")]
    if odd or path.is_absolute() or str(path) != name or (steps and name != progress.PROGRESS):
        raise ValueError(f"{name!r} in the zip is not a name that a saved zip has; nothing was restored")
    if kind not in (0, 0o100000) or info.flag_bits & 1:
        raise ValueError(f"{name!r} in the zip is a link, a device or encrypted; nothing was restored")


def _refuse_place(folder, name):
    target, root = folder / name, folder.resolve()
    if target.is_dir() or not target.resolve().is_relative_to(root):
        raise ValueError(f"{name} is a folder or a link here, so the zip's file cannot go there; nothing was restored")
    for parent in target.relative_to(folder).parents:
        if (folder / parent).exists() and not (folder / parent).is_dir():
            raise ValueError(f"{parent} is a file here, and a folder in the zip; nothing was restored")


def _new_folder(folder):
    return next(f for n in range(1, 10**6) if not (f := folder / f"before-restore-{n}").exists())


# Buttons


class Panel(ipywidgets.VBox):
    """Two buttons: one makes the zip and shows a link to it, the other takes one back."""

    def __init__(self):
        wide = ipywidgets.Layout(width="auto")
        self._save = ipywidgets.Button(description="Save my work", icon="download", layout=wide)
        self._restore = ipywidgets.FileUpload(accept=".zip", multiple=False, description="Restore", layout=wide)
        self._said = ipywidgets.HTML()
        self._save.on_click(self._on_save)
        self._restore.observe(self._on_restore, "value")
        super().__init__([ipywidgets.HBox([self._save, self._restore]), self._said])

    def _on_save(self, _):
        def link():
            folder = _working_copy()
            content, names = pack(folder)
            if not names:
                return "<p>Nothing to save yet: all lessons are as they were, and no exercise was tried.</p>"
            address = f"data:application/zip;base64,{base64.b64encode(content).decode()}"
            large = "" if len(content) < UPLOAD else f" To restore one so large, {_BY_HAND}"
            return (
                f'<p><a style="text-decoration: underline" href="{address}" download="{_free_name(folder)}">'
                f"Click here to download the zip</a> ({_count(names)}). {_UNSAVED}{large}</p>{_as_list(names)}"
            )

        self._say(link)

    def _on_restore(self, change):
        files = change["new"]
        if files:
            content = bytes(files[0].content)
            self._say(lambda: _as_list(unpack(_working_copy(), content)))
            self._restore.value = ()

    def _say(self, make):
        try:
            self._said.value = make()
        except (ValueError, OSError) as error:
            self._said.value = f"<p><strong>That did not work.</strong> {html.escape(str(error))}</p>"

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        view = "application/vnd.jupyter.widget-view+json"
        bundle = super()._repr_mimebundle_(include=include, exclude=exclude, **options)
        words = "Two buttons, where a kernel runs: Save my work, and Restore."
        return {"text/plain": words, "text/html": f"<p><em>{words}</em></p>", view: bundle[view]}


_UNSAVED = (
    "It holds what is on disk: where a lesson's tab has a dot in place of the ×, press Ctrl + S, then this button "
    "again."
)
_BY_HAND = "drag it into the file browser on the left and run <code>backup.restore('its name')</code>."


def _as_list(lines):
    named = ("your progress" if line == progress.PROGRESS else line for line in lines)
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in named)}</ul>"
