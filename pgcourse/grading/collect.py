"""What was handed in: the notebooks of a class, found in folders or zips, whatever else lies there.

Three layouts are known: nbgrader's STUDENT/LESSON/LESSON.ipynb (also a course folder, whose submitted/ is meant), and
the zips of Moodle and Canvas, with all files side by side or a folder for each student. Their names are read by
nbgrader's zip_collect plugin, by an instructor's own `FileNameCollectorPlugin.named_regexp` first. Unpacking is ours:
nothing is written but numbered files in a scratch folder, no link is followed, and no file may grow beyond a limit.
"""

import hashlib
import logging
import os
import re
import stat
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path, PurePosixPath

from nbgrader.plugins.zipcollect import FileNameCollectorPlugin
from nbgrader.utils import parse_utc

from pgcourse.grading.submission import MAX_FILE, Submission
from pgcourse.judging.statuses import Status

MAX_FILES = 100_000  # in one zip
MAX_TOTAL = 2**35  # bytes that one zip may unpack to; a zip within it, MAX_FILE
MAX_NAME = 100  # characters of a student's name; databases have 128
MAX_BYTES = 200  # of it, where a file's name has 255
MAX_THEIRS = 100  # notebooks in a zip that a student handed in
MAX_ZIP = 2**24  # bytes of it: the list of its files alone would take a hundred times as much memory
DEPTH = 8  # of folders
MOODLE = r"(?P<student_id>[^/]+?_\d+)_assignsubmission_[a-z]+_?(?P<file_id>[^/]*(?:/.*)?)$"
CANVAS = r"(?P<student_id>[^/_]+(?:_LATE)?_\d+)_\d+_(?P<file_id>[^/]+(?:/.*)?)$"
COPY = re.compile(r"(-\d+| ?\(\d+\)| - Copy)$", re.IGNORECASE)  # what browsers, Canvas and Windows add to a name
MARKED = re.compile(r"~[0-9a-f]{8}$")  # on a name that is not the one given
IS_LINK = (Status.LINK, "it is a symbolic link, and links are not followed")
IGNORED = {"__MACOSX", ".ipynb_checkpoints"}


class NothingToGrade(ValueError):
    """There is no submission, or what should hold them cannot be read."""


@dataclass(frozen=True)
class _Found:
    """A file, or what stands in a file's place: parts of its path, where its bytes are, or why there are none."""

    parts: tuple[str, ...]
    path: Path | None
    time: float = 0.0
    refusal: tuple[str, str] | None = None
    inode: tuple[int, int] | None = None
    other: bool = False  # neither a notebook nor anything that could hold one: counts where there is nothing else


def collect(places, lessons, scratch, settings=None, apart=()):
    """The submissions in these folders and zips, sorted, exactly one for each student and lesson.

    lessons: the names of the course's. scratch: a folder for what comes out of zips. settings: nbgrader's.
    apart: folders of the grader's own, which may lie among those of the students.
    Raises NothingToGrade.
    """
    names, found = _Names(lessons, settings), []
    for number, place in enumerate(map(Path, places)):
        if place.is_dir():
            found += _not_too_high(_inner(place, lessons), lessons, apart)
        elif place.is_file():
            found += names.without_wrapper(list(_unpack(place, Path(scratch, str(number)))))
        else:
            raise NothingToGrade(f"{place} is neither a folder nor a zip")
    groups, others, times, given = defaultdict(list), {}, {}, {}
    for file in found:
        if file.parts[-1] == "timestamp.txt":
            if len(file.parts) == 3 and file.parts[1] in lessons and not names.match(file.parts):  # else a student's
                times[file.parts[:-1]] = _timestamp(file.path)
            continue
        owner, lesson = names.owner(file.parts)
        student, remarks = _presentable(owner, "student")
        if file.other:
            others[student, lesson if lesson in lessons else ""] = file
        else:
            groups[student, lesson].append(file)
        given[student] = remarks
    students = {student for student, _ in groups}
    for (student, lesson), file in others.items():
        if student not in students or (lesson and (student, lesson) not in groups):
            groups[student, lesson] = [file]
    if not groups:
        raise NothingToGrade(
            f"No notebook in {', '.join(map(str, places))}: expected STUDENT/LESSON/LESSON.ipynb, or the names that "
            "Moodle and Canvas give"
        )
    chosen = [_choose(student, lesson, files, lessons, times) for (student, lesson), files in groups.items()]
    remarked = [replace(one, remarks=(*given[one.student], *one.remarks)) for one in chosen]
    return sorted(remarked, key=lambda submission: (submission.student, submission.lesson))


# Whose a file is


class _Names:
    """Who handed a file in, for which lesson. The first part of its path alone says who: what follows may be theirs."""

    def __init__(self, lessons, settings):
        quiet = logging.Logger("pgcourse.collect", logging.CRITICAL)  # it warns of each name that is another system's
        own = FileNameCollectorPlugin(config=settings, log=quiet)
        systems = [FileNameCollectorPlugin(named_regexp=pattern, log=quiet) for pattern in (MOODLE, CANVAS)]
        self.lessons, self.plugins = lessons, ([own] if own.named_regexp else []) + systems

    def without_wrapper(self, found):
        """The files of a zip without the one folder that they all are in, as `submitted`, if it is nobody's."""
        found = [file for file in found if not file.other or len(file.parts) > 1 or self.match(file.parts)]
        odd = [file for file in found if file.refusal and file.refusal[0] == Status.UNSAFE_NAME]
        found = [file for file in found if file not in odd]
        if not found:
            return odd
        inner = [replace(file, parts=file.parts[1:]) for file in found if len(file.parts) > 1]
        if len(inner) < len(found) or len({file.parts[0] for file in found}) != 1 or self.match(found[0].parts):
            return found + odd
        is_one = any((len(f.parts) > 2 and f.parts[1] in self.lessons) or self.match(f.parts) for f in inner)
        is_a_students = any(len(f.parts) > 1 and f.parts[0] in self.lessons for f in inner)
        return (inner if is_one and not is_a_students else found) + odd

    def match(self, parts):
        path = "/".join([*parts[:-1], PurePosixPath(parts[-1]).stem + ".ipynb"])
        return next((match for plugin in self.plugins if (match := plugin.collect(path))), None)

    def owner(self, parts):
        """(student, lesson); the lesson is the name as it was given where the course has none like it."""
        *folders, name = parts
        stem, match = PurePosixPath(name).stem, self.match(parts)
        if match:
            stem = PurePosixPath(match["file_id"]).stem
        of_folder = next((folder for folder in folders[1:] if folder in self.lessons), None)
        lesson = of_folder or self.lesson(stem)
        if lesson not in self.lessons and len(folders) > 1 and not match:
            lesson = folders[1]
        return (match["student_id"].replace("_LATE_", "_") if match else (folders or [stem])[0]), lesson

    def lesson(self, stem):
        plain = COPY.sub("", stem)
        inside = [lesson for lesson in self.lessons if lesson in plain]
        return inside[0] if len(inside) == 1 else plain


def _choose(student, lesson, files, lessons, times):
    """The Submission that several files of one student for one lesson are."""
    refusals = [file.refusal for file in files if file.refusal]
    if lesson not in lessons:
        shown = lesson and _presentable(lesson, "lesson")[0]
        unknown = Status.UNKNOWN_LESSON, f"the course has no lesson {shown}, expected one of {', '.join(lessons)}"
        return Submission(student, shown, None, refusal=refusals[0] if refusals else unknown)
    notebooks = [file for file in files if file.parts[-1].endswith(".ipynb")]
    if not notebooks:
        nothing = Status.NO_NOTEBOOK, "the folder holds no notebook"
        return Submission(student, lesson, None, refusal=refusals[0] if refusals else nothing)
    direct = [file for file in notebooks if len(file.parts) > 1 and file.parts[-2] == lesson]
    named = [file for file in direct if COPY.sub("", PurePosixPath(file.parts[-1]).stem) == lesson]
    exact = [file for file in named if file.parts[-1] == f"{lesson}.ipynb"]
    candidates = exact or named or direct or notebooks
    *older, newest = sorted(candidates, key=lambda file: (file.time, _number(file.parts[-1]), file.parts))
    if older and candidates is direct:
        names = ", ".join(sorted(_presentable(file.parts[-1], "file")[0] for file in candidates))
        sentence = f"there are several notebooks, none called {lesson}.ipynb: {names}"
        return Submission(student, lesson, None, refusal=(Status.SEVERAL_NOTEBOOKS, sentence))
    name, remarks = _presentable(newest.parts[-1], "file")[0], ()
    if direct and not exact:
        remarks += (f"the file is called {name}, expected {lesson}.ipynb",)
    if older:
        remarks += (f"of {len(candidates)} files for this lesson the newest counts, {name}",)
    time = times.get(newest.parts[:-1], "")
    return Submission(student, lesson, newest.path, time, remarks, newest.refusal, newest.inode)


def _number(name):
    """Canvas counts repeated uploads: lesson-1.ipynb, lesson-2.ipynb."""
    match = re.search(r"-(\d+)$", PurePosixPath(name).stem)
    return int(match[1][:9]) if match else 0


def _presentable(name, what):
    """The name as files, databases and pages can hold it; and a remark in a tuple where it is not the one given."""
    clean = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name)
    clean = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), " ".join(clean.split()))
    fits = len(clean) <= MAX_NAME and len(clean.encode()) <= MAX_BYTES
    if clean == name and clean and fits and not MARKED.search(name):
        return name, ()
    mark = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    clean = clean[: MAX_NAME - 9].encode()[: MAX_BYTES - 9].decode(errors="ignore")
    clean = f"{clean}~{mark}"
    return clean, (f"the {what}'s name was given as {name!a:.200}, which became {clean}",)


def _timestamp(path):
    """The text of nbgrader's timestamp.txt, if it is one."""
    try:
        with open(path, "rb") as file:
            text = file.read(100).decode().strip()
        parse_utc(text)
        return text
    except (OSError, ValueError, AttributeError, OverflowError, TypeError):
        return ""


# Folders


def _inner(place, lessons):
    """The folder itself, or the `submitted` in it, which is nobody's: no student's folder is called so."""
    inner = place / "submitted"
    is_it = inner.is_dir() and not inner.is_symlink() and not any((inner / lesson).exists() for lesson in lessons)
    return inner if is_it else place


def _not_too_high(root, lessons, apart):
    """What is below a folder. Raises NothingToGrade if the students are one folder further down."""
    found = list(_walk(root, apart))
    first = {file.parts[0] for file in found}
    is_below = any(len(file.parts) > 3 and file.parts[2] in lessons for file in found)
    if len(first) == 1 and is_below and not any(len(f.parts) > 2 and f.parts[1] in lessons for f in found):
        raise NothingToGrade(f"{root} is one folder too high: name {root / first.pop()}")
    return found


def _walk(root, apart):
    """What is below a folder, but for the folders `apart`; a link is found and not followed."""
    apart = {path.resolve() for path in map(Path, apart)}
    if not root.is_dir():
        raise NothingToGrade(f"{root} is not a folder")
    pending = [((), root)]
    while pending:
        parts, folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield _Found((*parts, ""), None, refusal=(Status.NO_ACCESS, f"the folder cannot be read: {error.strerror}"))
            continue
        seen = False
        for entry in entries:
            here = (*parts, entry.name)
            if entry.is_symlink():
                if not (_is_wanted(entry.name) or (len(here) < 3 and (entry.is_dir() or not os.path.exists(entry)))):
                    continue
                seen = True
                yield _Found(_filled(here), None, refusal=IS_LINK)
            elif entry.is_dir(follow_symlinks=False):
                if len(here) < DEPTH and entry.name not in IGNORED and Path(entry.path).resolve() not in apart:
                    pending.append((here, Path(entry.path)))
            elif _is_wanted(entry.name):
                seen = True
                yield _regular(here, entry)
        if len(parts) == 2 and not seen:
            yield _Found((*parts, ""), None, refusal=(Status.NO_NOTEBOOK, "the folder holds no notebook"))


def _filled(parts):
    """The parts of what stands in the place of a student's or a lesson's folder, as of a file in it."""
    return parts if parts[-1].endswith((".ipynb", ".txt")) else (*parts, "")


def _regular(parts, entry):
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return _Found(parts, None, refusal=(Status.NO_ACCESS, f"the file cannot be read: {error.strerror}"))
    if not stat.S_ISREG(status.st_mode):
        return _Found(parts, None, refusal=(Status.NOT_A_FILE, "it is no file but a pipe, a socket or a device"))
    if not os.access(entry.path, os.R_OK):
        return _Found(parts, None, refusal=(Status.NO_ACCESS, "the file may not be read"))
    if status.st_size > MAX_FILE:
        return _Found(parts, None, refusal=(Status.TOO_LARGE, f"it has more than {MAX_FILE // 2**20} MB"))
    return _Found(parts, Path(entry.path), status.st_mtime, inode=(status.st_dev, status.st_ino))


def _is_wanted(name):
    return name.endswith(".ipynb") or name == "timestamp.txt"


# Zips


def _unpack(archive, folder, prefix=(), budget=MAX_TOTAL):
    """What is in a zip, unpacked to numbered files in the folder. Raises NothingToGrade."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as file:
            infos = file.infolist()
            if len(infos) > MAX_FILES:
                raise NothingToGrade(f"{archive} holds {len(infos)} files, at most {MAX_FILES} are read")
            for number, info in enumerate(infos):
                parts = (*prefix, *_parts(info.filename))
                if info.is_dir() or not parts or IGNORED & set(parts):
                    continue
                is_zip = parts[-1].lower().endswith(".zip") and not prefix
                if not (is_zip or _is_wanted(parts[-1])):
                    if not prefix:
                        why = f"there is {_presentable(parts[-1], 'file')[0]}, and no notebook"
                        yield _Found(parts, None, _zip_time(info), (Status.NO_NOTEBOOK, why), other=True)
                    continue
                path, refusal, size = _extract(file, info, folder / str(number), min(MAX_FILE, budget))
                budget -= size
                if is_zip and not refusal:
                    yield from _unpack_theirs(path, parts)
                    path.unlink()
                else:
                    parts = (*parts[:-1], f"{parts[-1]}.ipynb") if is_zip else parts
                    yield _Found(parts, path, _zip_time(info), refusal)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        if isinstance(error, NothingToGrade):
            raise
        raise NothingToGrade(f"{archive} is no zip that can be read: {error}") from None


def _unpack_theirs(path, parts):
    """A zip that a student handed in; one in which there is nothing to grade is found as one notebook that is none."""
    inside, why = (*parts[:-1], parts[-1][: -len(".zip")]), "a zip that holds no notebook"
    try:
        if path.stat().st_size > MAX_ZIP:
            raise NothingToGrade("too large")
        unpacked = _unpack(path, path.with_name(f"{path.name}.files"), inside, MAX_FILE)
        found = list(islice(unpacked, MAX_THEIRS + 1))
    except NothingToGrade:
        found, why = [], "a zip that cannot be read, or larger than any that is"
    if len(found) > MAX_THEIRS:
        found, why = [], f"a zip of more than {MAX_THEIRS} notebooks"
    refusal = Status.NOT_A_NOTEBOOK, f"the file is {why}"
    yield from found or [_Found((*inside[:-1], f"{inside[-1]}.ipynb"), None, refusal=refusal)]


def _parts(name):
    """The parts of a name in a zip; one that leads out of the folder is one odd name."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return ("_".join(parts),) if parts[-1].endswith((".ipynb", ".zip")) else ()
    return tuple(parts)


def _extract(archive, info, path, most):
    """(path, refusal, bytes written) of one file of a zip."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return None, IS_LINK, 0
    if _parts(info.filename) != tuple(p for p in info.filename.replace("\\", "/").split("/") if p not in ("", ".")):
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
