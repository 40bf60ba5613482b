"""What lies in the places that an instructor names: the files of a folder or a zip, whatever they are.

Nothing is written but numbered files in a scratch folder, no link is followed, and no file may grow beyond a limit.
"""

import hashlib
import json
import os
import re
import stat
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from unicodedata import normalize

from pgcourse.grading.limited import MEMORY, OverLimit, limited
from pgcourse.grading.submission import MAX_FILE, Submission
from pgcourse.grading.systems import METADATA
from pgcourse.judging.statuses import Status

MAX_FILES = 100_000  # in one zip
MAX_TOTAL = 2**35  # bytes that one zip may unpack to; a zip within it, MAX_FILE
MAX_THEIRS = 100  # notebooks in a zip that a student handed in
MAX_ZIP = 2**24  # bytes of it: the list of its files alone would take a hundred times as much memory
DEPTH = 12  # of folders
ZIPS = 3  # of a student's, one in another
MAX_PART = 255  # characters of a name, as files have
PACE = 2**22  # bytes of a zip, for which a second of the processor is enough
HEAD = 2**16  # bytes in which a notebook shows that it is one
TIMESTAMP = "timestamp.txt"
NOTEBOOK = re.compile(r"\.ipynb(\.(txt|json|ipynb))?$", re.IGNORECASE)
IS_LINK = (Status.LINK, "it is a symbolic link, and links are not followed")
HIDDEN = re.compile(  # what systems and programs leave, by the names of files and folders
    r"__MACOSX|\.DS_Store|\._.*|\.AppleDouble|\.LSOverride|\.Spotlight-V100|\.Trashes|\.fseventsd|\.TemporaryItems"
    r"|\.apdisk|Network Trash Folder|Icon\r|(eh)?thumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"
    r"|.*:Zone\.Identifier"
    r"|.+~|~\$.*|\..*\.swp|\.directory|\.Trash-\d+|\.nfs\w+|lost\+found|@eaDir|@Recycle|[#.]recycle|\.stfolder|\.~.*"
    r"|\.ipynb_checkpoints|\.virtual_documents|__pycache__|\.git(hub|ignore|keep|attributes)?|\.vscode|\.idea|\.venv"
    r"|\.devcontainer|node_modules|\.Rproj\.user|\.config|\.cache|\.local|\.jupyter|\.ipython|\.pgcourse.*|\.mypy_cache"
    r"|\.pytest_cache|\.ruff_cache",
    re.IGNORECASE,
)


class NothingToGrade(ValueError):
    """There is no submission, or what should hold them cannot be read, or whose they are cannot be told."""


@dataclass(frozen=True)
class Found:
    """A file, or what stands in a file's place: parts of its path, where its bytes are, or why there are none.

    other: neither a notebook nor anything that could hold one, which counts where there is nothing else
    """

    parts: tuple[str, ...]
    path: Path | None
    time: float = 0.0
    refusal: tuple[str, str] | None = None
    inode: tuple[int, int] | None = None
    other: bool = False

    @property
    def name(self):
        return self.parts[-1]

    def below(self, number):
        return replace(self, parts=self.parts[number:])

    def content(self, most=2**24):
        """Its first bytes; none where it cannot be read."""
        try:
            return Submission("", "", self.path, inode=self.inode).read()[:most]
        except OSError:
            return b""


def stem(name):
    """A file's name without what says that it is a notebook or a zip."""
    found = NOTEBOOK.search(name)
    return name[: found.start()] if found else name[:-4] if name.lower().endswith(".zip") else name


def lying(place, scratch, apart=()):
    """The files of a folder or a zip; `class.zip/week3` is a folder in a zip. Raises NothingToGrade.

    apart: folders of the grader's own, which may lie among those of the students.
    """
    place = Path(place)
    if place.is_dir():
        return list(_walk(place, scratch, apart))
    archive = next((path for path in (place, *place.parents) if path.is_file()), None)
    if archive is None:
        raise NothingToGrade(f"{place} does not exist, or is neither a folder nor a zip")
    inner = place.relative_to(archive).parts
    seconds = 60 + archive.stat().st_size // PACE
    found = _apart(_unpack, archive, scratch, seconds=seconds, memory=2 * MEMORY)
    found = [file.below(len(inner)) for file in found if file.parts[: len(inner)] == inner]
    if inner and not found:
        raise NothingToGrade(f"{archive} holds no folder {'/'.join(inner)}")
    return [file for file in found if file.parts]


def _is_wanted(name):
    return bool(NOTEBOOK.search(name)) or name in (TIMESTAMP, METADATA)


def _is_notebook(head):
    """Whether bytes, of whatever name, begin as a notebook does."""
    text = head.decode(json.detect_encoding(head), "replace").lstrip("\ufeff \t\r\n") if head else ""
    return text.startswith("{") and any(f'"{key}"' in text for key in ("cells", "nbformat", "worksheets"))


def _other(parts, time=0.0, path=None, inode=None):
    why = Status.NO_NOTEBOOK, f"there is {shown(parts[-1])}, and no notebook"
    return Found(parts, path, time, why, inode, other=True)


def shown(name):
    """A name as one line of a page can hold it."""
    return "".join(letter if letter.isprintable() else "_" for letter in name)[:100]


# Folders


def _walk(root, scratch, apart):
    """What is below a folder, but for the folders `apart`; a link is found and not followed."""
    apart = {path.resolve() for path in map(Path, apart)}
    pending, zips = [((), root)], 0
    while pending:
        parts, folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Found((*parts, ""), None, refusal=(Status.NO_ACCESS, f"the folder cannot be read: {error.strerror}"))
            continue
        entries = [one for one in entries if not HIDDEN.fullmatch(one.name) and _is_apart(one, apart) is False]
        if parts and not entries:
            empty = Status.NO_NOTEBOOK, "the folder holds no notebook"
            yield Found((*parts, ""), None, refusal=empty, other=True)
        for entry in entries:
            here = (*parts, normalize("NFC", entry.name))
            if entry.is_symlink():
                leads = _is_wanted(entry.name) or (len(here) < 3 and (entry.is_dir() or not os.path.exists(entry)))
                yield Found(here if _is_wanted(entry.name) else (*here, ""), None, refusal=IS_LINK, other=not leads)
            elif entry.is_dir(follow_symlinks=False):
                if len(here) < DEPTH:
                    pending.append((here, Path(entry.path)))
                else:
                    yield _other((*here, ""))
            elif _is_zip(entry.name, _head(entry.path)):
                zips += 1
                yield from _unpack_theirs(Path(entry.path), here, Path(scratch, f"theirs-{zips}"), ZIPS)
            else:
                yield _regular(here, entry)


def _is_apart(entry, apart):
    return bool(apart) and Path(entry.path).resolve() in apart


def _regular(parts, entry):
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return Found(parts, None, refusal=(Status.NO_ACCESS, f"the file cannot be read: {error.strerror}"))
    if not stat.S_ISREG(status.st_mode):
        sentence = "it is no file but a pipe, a socket or a device"
        return Found(parts, None, refusal=(Status.NOT_A_FILE, sentence), other=not _is_wanted(entry.name))
    if not _is_wanted(entry.name) and not _is_notebook(_head(entry.path)):
        return _other(parts, status.st_mtime, Path(entry.path), (status.st_dev, status.st_ino))
    if not os.access(entry.path, os.R_OK):
        return Found(parts, None, refusal=(Status.NO_ACCESS, "the file may not be read"))
    if status.st_size > MAX_FILE:
        return Found(parts, None, refusal=(Status.TOO_LARGE, f"it has more than {MAX_FILE // 2**20} MB"))
    return Found(parts, Path(entry.path), status.st_mtime, inode=(status.st_dev, status.st_ino))


def _head(path):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


# Zips


def _is_zip(name, head):
    """Whether it is called so, or called a notebook and is one; a document's file is a zip as well, and not meant."""
    return name.lower().endswith(".zip") or (bool(NOTEBOOK.search(name)) and head.startswith(b"PK\x03\x04"))


def _apart(function, archive, *arguments, **limits):
    """The Found of a function, which is called in a process of its own: a small zip can take hours, or all memory.

    Raises NothingToGrade.
    """
    try:
        found, why = limited(_told, function, archive, *arguments, **limits)
    except (OverLimit, RuntimeError) as error:
        raise NothingToGrade(f"{archive} {error}") from None
    if why:
        raise NothingToGrade(why)
    return [_found(**one) for one in found]


def _told(function, *arguments):
    try:
        return [asdict(one) | {"path": one.path and str(one.path)} for one in function(*arguments)], None
    except NothingToGrade as error:
        return [], str(error)


def _found(parts, path, refusal, **others):
    return Found(tuple(parts), path and Path(path), refusal=refusal and (Status(refusal[0]), refusal[1]), **others)


def _unpack(archive, folder, prefix=(), budget=MAX_TOTAL, zips=ZIPS):
    """What is in a zip, unpacked to numbered files in the folder; prefix: of a student's own, the parts it is at.

    zips: how deep those within it are unpacked. Raises NothingToGrade.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as file:
            infos = file.infolist()
            if len(infos) > MAX_FILES:
                raise NothingToGrade(f"{archive} holds {len(infos)} files, at most {MAX_FILES} are read")
            for number, info in enumerate(infos):
                own = _parts(_name(info))
                parts, path = (*prefix, *own), Path(folder, str(number))
                if info.is_dir() or not own or any(HIDDEN.fullmatch(part) for part in own):
                    continue
                head = _head_of(file, info)
                is_zip = _is_zip(own[-1], head) and zips > 0
                if not (is_zip or _is_wanted(own[-1]) or _is_notebook(head)):
                    if info.file_size <= HEAD and not info.flag_bits & 1 and _split(_name(info)) == own:
                        path.write_bytes(head)
                    yield _other(parts, _zip_time(info), path if path.exists() else None)
                    continue
                path, refusal, size = _extract(file, info, path, min(MAX_FILE, budget))
                budget -= size
                if is_zip and not refusal:
                    yield from _unpack_theirs(path, parts, path.with_name(f"{path.name}.files"), zips - 1)
                    path.unlink()
                else:
                    yield Found(parts, path, _zip_time(info), refusal)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, NothingToGrade):
            raise
        raise NothingToGrade(
            f"{archive} is no zip that can be read ({error}): unpack it, and name the folder"
        ) from None


def _name(info):
    """The name of a file in a zip; many programs write UTF-8 and do not say so."""
    try:
        return info.filename if info.flag_bits & 0x800 else info.filename.encode("cp437").decode()
    except ValueError:
        return info.filename


def _unpack_theirs(path, parts, scratch, zips):
    """A zip that a student handed in; one in which there is nothing to grade is found as one notebook that is none."""
    why = "a zip that holds no notebook"
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as archive:
            status = os.fstat(archive.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_ZIP:
                raise NothingToGrade("too large")
            found = _apart(_some, archive, scratch, parts, zips)
    except (NothingToGrade, OSError):
        found, why = [], "a zip that cannot be read, or larger than any that is"
    if all(file.other for file in found):
        found = [Found(parts, None, refusal=(Status.NOT_A_NOTEBOOK, f"the file is {why}"))]
    yield from found


def _some(archive, scratch, parts, zips):
    """What is in a student's zip, if that is not too much."""
    found, count = [], 0
    for file in _unpack(archive, scratch, parts, MAX_FILE, zips):
        found.append(file)
        count += not file.other
        if count > MAX_THEIRS or len(found) > HEAD:
            why = f"the file is a zip of more than {MAX_THEIRS} notebooks"
            return [Found(parts, None, refusal=(Status.NOT_A_NOTEBOOK, why))]
    return found


def _parts(name):
    """The parts of a name in a zip; one that leads out of the folder is one odd name."""
    parts = _split(name)
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return ("_".join(parts),)
    return parts


def _split(name):
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if len(parts) > DEPTH:
        parts[DEPTH - 1 :] = ["_".join(parts[DEPTH - 1 :])]
    return tuple(normalize("NFC", _as_long_as_a_files(part)) for part in parts)


def _as_long_as_a_files(name):
    """The name, as long as one of a file may be: then no pattern takes long; still another one for every name."""
    if len(name) <= MAX_PART:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[:100]}~{mark}{name[-100:]}"


def _head_of(archive, info):
    try:
        with archive.open(info) as file:
            return file.read(HEAD)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError, OSError):
        return b""


def _extract(archive, info, path, most):
    """(path, refusal, bytes written) of one file of a zip."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return None, IS_LINK, 0
    if info.flag_bits & 1:
        return None, (Status.NOT_A_NOTEBOOK, "it is locked with a password"), 0
    if _parts(info.filename) != _split(info.filename):
        return None, (Status.UNSAFE_NAME, "its name in the zip leads out of the folder, so it was not unpacked"), 0
    size = 0
    try:
        with archive.open(info) as file, open(path, "xb") as target:
            while part := file.read(2**20):
                size += len(part)
                if size > most:
                    path.unlink()
                    return None, (Status.TOO_LARGE, f"it unpacks to more than {most // 2**20} MB"), size
                target.write(part)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        path.unlink(missing_ok=True)
        return None, (Status.NOT_A_NOTEBOOK, f"it cannot be unpacked: {error}"), size
    return path, None, size


def _zip_time(info):
    try:
        return datetime(*info.date_time).timestamp()
    except (ValueError, OverflowError):
        return 0.0
