"""What was handed in: the notebooks of a class, exactly one for each student and lesson, whatever else lies there.

Whose a file is, is said by the outermost part of its path alone, see `systems`; what is below may be the student's own.
Of which lesson it is, its name or that of a folder around it says, and where they do not, what is in it.
"""

import hashlib
import logging
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path, PurePosixPath

from nbgrader.plugins.zipcollect import FileNameCollectorPlugin
from nbgrader.utils import parse_utc

from pgcourse.grading import systems
from pgcourse.grading.places import TIMESTAMP, Found, NothingToGrade, lying, stem
from pgcourse.grading.submission import Submission
from pgcourse.judging.statuses import Status

MAX_NAME = 100  # characters of a student's name; databases have 128
MAX_BYTES = 200  # of it, where a file's name has 255
AT_ONCE = 2  # seconds, zip's own precision: files that far apart are of one moment
COPY = re.compile(r"(-\d+| ?\(\d+\)| - Copy|-Copy\d+)$", re.IGNORECASE)  # what is added to a name that is taken
MARKED = re.compile(r"~[0-9a-f]{8}$")  # on a name that is not the one given
ASK = (
    "{place}: everything is in one folder, {top}. If that is around a class, name {place}/{top}; if it is a student's "
    "own, say --from folders; if a learning system made it, say which: --from {known}"
)
MIXED = "{place}: some names are as {some} gives them and some are not, {other} for one: say --from {known}"


@dataclass(frozen=True)
class _Owned:
    """A file and its owner: the student, the lesson by name ("" where no name says it), when it was handed in."""

    file: Found
    student: str
    lesson: str
    name: str
    is_named: bool = False  # it is called as the lesson is, in a folder called so
    time: str = ""
    remarks: tuple[str, ...] = ()
    answers: dict = field(default_factory=dict)  # by lesson, where somebody has looked into it


def collect(places, lessons, scratch, settings=None, apart=(), system=None, look=None):
    """The submissions in these folders and zips, sorted, exactly one for each student and lesson.

    lessons: the names of the course's. scratch: a folder for what comes out of zips. settings: nbgrader's.
    apart: folders of the grader's own, which may lie among those of the students. system: a key of `systems.SYSTEMS`.
    look: from a Submission to {lesson: number of answers} of those that it is of; without it only names tell.
    Raises NothingToGrade.
    """
    owned = []
    for number, place in enumerate(map(Path, places)):
        place = _submitted(place, lessons)
        owned += _of_place(place, lying(place, Path(scratch, str(number)), apart), lessons, settings, system)
    look = look or (lambda _: {})
    groups, others = defaultdict(list), {}
    for one in owned:
        student, remarks = _presentable(one.student, "student")
        one = replace(one, student=student, remarks=(*remarks, *one.remarks))
        if one.file.other:
            others[student, one.lesson if one.lesson in lessons else ""] = one
        else:
            if one.lesson not in lessons and one.file.path:
                one = _by_content(one, look)
            groups[student, one.lesson].append(one)
    students = {student for student, _ in groups}
    named = {student for student, lesson in others if lesson}
    for (student, lesson), one in others.items():
        if (lesson and (student, lesson) not in groups) or not (lesson or student in students | named):
            groups[student, lesson] = [one]
    if not groups:
        raise NothingToGrade(
            f"No notebook in {', '.join(map(str, places))}: expected STUDENT/LESSON/LESSON.ipynb, or what a learning "
            f"system gives ({', '.join(systems.SYSTEMS)})"
        )
    chosen = [_choose(student, lesson, ones, lessons, look) for (student, lesson), ones in groups.items()]
    return sorted(chosen, key=lambda submission: (submission.student, submission.lesson))


def _submitted(place, lessons):
    """The folder itself, or the `submitted` in it, which is nobody's: no student's folder is called so."""
    inner = place / "submitted"
    is_it = inner.is_dir() and not inner.is_symlink() and not any((inner / lesson).exists() for lesson in lessons)
    return inner if is_it else place


# Whose a file is, and of which lesson


def _of_place(place, found, lessons, settings, system):
    """The files of a place as _Owned."""
    own = FileNameCollectorPlugin(config=settings, log=logging.Logger("pgcourse.collect", logging.CRITICAL))
    taken, rest, by_name = [], [], _ByName(lessons)
    for file in found:
        path = "/".join([*file.parts[:-1], f"{stem(file.name)}.ipynb"])
        match = own.collect(path) if own.named_regexp else None
        if match:
            name = PurePosixPath(match["file_id"]).name
            lesson, time = by_name.lesson((*file.parts[:-1], name)), _when(match.get("timestamp") or "")
            taken.append(_Owned(file, match["student_id"], lesson, name, time=time))
        else:
            rest.append(file)
    rest, entries = _entries(place, rest, lessons, system)
    times = {
        file.parts[:-1]: time
        for file in rest
        if file.name == TIMESTAMP and _is_clock(file, lessons, entries) and (time := _time_in(file))
    }
    for file in rest:
        if file.name in (TIMESTAMP, systems.METADATA):
            continue
        entry = entries.get(file.parts[0])
        if entry is None:
            if file.other:  # of the system's, or lying about: nobody's
                continue
            is_odd = file.refusal and file.refusal[0] == Status.UNSAFE_NAME
            entry = systems.Entry(file.name if is_odd else by_name.without(stem(file.parts[0])) or place.stem)
        below = file.parts[1:] if len(file.parts) > 1 else ()
        names = (*filter(None, [entry.file]), *below) or (file.parts[0],)
        lesson, time = by_name.lesson(names), entry.time or times.get(file.parts[:-1]) or times.get(file.parts[:1], "")
        is_named = len(names) > 1 and names[-2] == lesson and names[-1] == f"{lesson}.ipynb"
        remarks = entry.remarks + (systems.LATE,) * systems.is_late_file(names[-1])
        group = (entry.student, *entry.others)
        for student in group:
            together = tuple(f"handed in together with {other}" for other in group if other != student)
            name = names[-1] or names[0]
            taken.append(_Owned(file, student, lesson, name, is_named, time, (*remarks, *together)))
    return taken


class _ByName:
    """Which lesson the names of a file and of the folders around it say, whatever case and signs are between words."""

    def __init__(self, lessons):
        self._lessons = {_plain(lesson): lesson for lesson in lessons}

    def lesson(self, names):
        """Of the course, or how what is none of its lessons may be called: by its folder, or by itself."""
        for name in names[:-1]:
            if name in self._lessons.values():
                return name
        for name in reversed(names):
            inside = [lesson for plain, lesson in self._lessons.items() if plain in _plain(name)]
            if len(inside) == 1:
                return inside[0]
        return names[0] if len(names) > 1 else COPY.sub("", stem(names[-1]))

    def without(self, name):
        """What a file's name says besides a lesson: whose it may be."""
        found = [lesson for plain, lesson in self._lessons.items() if plain in _plain(name)]
        if len(found) != 1:
            return name
        pattern = re.sub(r"[\W_]+", r"[\\W_]+", found[0])
        return re.sub(rf"[\W_]*{pattern}[\W_]*", " ", COPY.sub("", name), count=1, flags=re.IGNORECASE).strip()


def _plain(text):
    return re.sub(r"[\W_]+", "_", text.casefold())


def _entries(place, found, lessons, system):
    """(the files without the folders around everything, {outermost part: systems.Entry}). Raises NothingToGrade."""
    around, metadata = place.name, b""
    while True:
        metadata = next((_bytes(file) for file in found if file.parts == (systems.METADATA,)), metadata)
        found = [file for file in found if file.parts[0] not in (TIMESTAMP, systems.METADATA)]
        tops = dict.fromkeys(file.parts[0] for file in found if len(file.parts) > 1 or not file.other)
        files = {file.parts[0] for file in found if len(file.parts) == 1}
        loose = {file.parts[0] for file in found if len(file.parts) == 1 and not file.other} & set(tops)
        everything = [*tops, *(files - set(tops))]  # a name of the system's may stand on what is no notebook

        def read(name, everything=everything, around=around, metadata=metadata):
            return systems.SYSTEMS[name](everything, lessons=lessons, around=around, metadata=metadata)

        entries = read(system) if system not in (None, "folders") else {}
        if entries and (len(tops) != 1 or set(tops) <= set(entries)):
            return found, entries
        if system is None and (entries := _recognised(place, read, tops, files)):
            return found, entries
        if system == "folders" or len(tops) != 1 or loose:
            break
        (top,) = tops
        inner = [file.below(1) for file in found if len(file.parts) > 1]
        if not _is_around(top, inner, lessons, place, system):
            break
        found, around = inner, top
    if system not in (None, "folders"):
        raise NothingToGrade(f"{place}: no name in it is as {system} gives them")
    folders = [top for top in tops if top not in loose]
    if folders and set(folders) <= set(lessons):
        return _turned(place, found, lessons)
    return found, systems.folders(folders)


def _recognised(place, read, tops, files):
    """The entries as the one system gives them that could have named all of them; {} where there is none."""
    fits, some = {}, {}
    for name in systems.SYSTEMS:
        if name == "folders" or (name in systems.FLAT and not all(top in files or _is_zip(top) for top in tops)):
            continue
        entries = read(name)
        named = [top for top in tops if top in entries]
        if named and len(named) == len(tops):
            fits[name] = entries
        elif named:
            some[name] = [top for top in tops if top not in entries]
    if len({tuple(sorted((top, entries[top].student) for top in tops)) for entries in fits.values()}) > 1:
        raise NothingToGrade(f"{place}: its names can be read in several ways: say --from {' or --from '.join(fits)}")
    if fits:
        return next(iter(fits.values()))
    for name, strangers in some.items():
        if name in ("moodle", "brightspace", "blackboard", "gradescope"):
            if all(top in files for top in strangers):
                return read(name)
            raise NothingToGrade(MIXED.format(place=place, some=name, other=strangers[0], known=f"{name} or folders"))
    return {}


def _is_zip(name):
    return name.lower().endswith(".zip")


def _is_around(top, inner, lessons, place, system):
    """Whether a folder in which everything is stands around a class, and is no student's. Raises NothingToGrade."""
    below = {file.parts[0] for file in inner if len(file.parts) > 1}
    named = (TIMESTAMP, systems.METADATA)
    loose = [file for file in inner if len(file.parts) == 1 and not file.other and file.name not in named]
    if loose or not below.isdisjoint(lessons):
        return top in lessons and below.isdisjoint(lessons) and bool(below)
    if not below:
        return False
    if system or top in lessons or systems.AROUND.search(top):
        return True
    by_name, seen, lessons_of = _ByName(lessons), set(), set(lessons)
    held = {(f.parts[:-1], by_name.lesson(f.parts[1:])) for f in inner if len(f.parts) > 1 and not f.other}
    is_nbgraders = any(not lessons_of.isdisjoint(file.parts[1:-1]) for file in inner)
    if is_nbgraders or any(lesson in seen or seen.add(lesson) for _, lesson in held):
        raise NothingToGrade(ASK.format(place=place, top=top, known=", ".join(systems.SYSTEMS)))
    return False


def _turned(place, found, lessons):
    """Folders that are called as lessons are: of one student, whose the place is, or LESSON/STUDENT."""
    if any(len(file.parts) == 2 and not file.other and file.name != TIMESTAMP for file in found):
        return [replace(file, parts=(place.stem, *file.parts)) for file in found], systems.folders([place.stem])
    found = [replace(f, parts=(f.parts[1], f.parts[0], *f.parts[2:])) for f in found if len(f.parts) > 2]
    return found, systems.folders(dict.fromkeys(file.parts[0] for file in found))


def _by_content(one, look):
    answers = look(_submission(one))
    if len(answers) == 1:
        return replace(one, lesson=next(iter(answers)), answers=answers)
    return one


def _submission(one):
    return Submission(one.student, one.lesson, one.file.path, inode=one.file.inode)


# Which of several


def _choose(student, lesson, ones, lessons, look):
    """The Submission that several files of one student for one lesson are."""
    refusals = [one.file.refusal for one in ones if one.file.refusal]
    remarks = tuple(dict.fromkeys(remark for one in ones for remark in one.remarks))
    if lesson not in lessons:
        name = lesson and _presentable(lesson, "lesson")[0]
        unknown = Status.UNKNOWN_LESSON, f"the course has no lesson {name}, expected one of {', '.join(lessons)}"
        return Submission(student, name, None, remarks=remarks, refusal=refusals[0] if refusals else unknown)
    if not (readable := [one for one in ones if one.file.path]):
        return Submission(student, lesson, None, remarks=remarks, refusal=refusals[0])
    if len(readable) > 1:
        readable = [replace(one, answers=one.answers or look(_submission(one))) for one in readable]
    answered = [one for one in readable if one.answers.get(lesson)] or readable
    latest = max(_clock(one) for one in answered)
    at_once = [one for one in answered if _clock(one) > latest - AT_ONCE]
    chosen = max(at_once, key=lambda one: (*_likeness(one, lesson), one.answers.get(lesson, 0), one.name))
    name = _presentable(chosen.name, "file")[0]
    remarks = tuple(dict.fromkeys(chosen.remarks))
    if len(chosen.file.parts) > 1 and chosen.file.parts[-2] == lesson and not chosen.is_named:
        remarks += (f"the file is called {name}, expected {lesson}.ipynb",)
    if len(readable) > 1:
        which = "the newest with answers" if any(one.answers.get(lesson) for one in readable) else "the newest"
        others = sorted({_presentable(one.name, "file")[0] for one in readable if one is not chosen})
        remarks += (f"of {len(readable)} files for this lesson {which} counts, {name}, not {', '.join(others)}",)
    return Submission(student, lesson, chosen.file.path, chosen.time, remarks, None, chosen.file.inode)


def _clock(one):
    return parse_utc(one.time).replace(tzinfo=UTC).timestamp() if one.time else one.file.time


def _likeness(one, lesson):
    """How much a file is called as it should be; and Canvas's number of a repeated upload: lesson-1, lesson-2."""
    match = re.search(r"-(\d+)$", stem(one.name))
    return one.is_named, COPY.sub("", stem(one.name)) == lesson, int(match[1][:9]) if match else 0


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


# Times


def _is_clock(file, lessons, entries):
    """Whether a timestamp.txt is nbgrader's, or Sakai's, and not a student's own."""
    if len(file.parts) == 2:
        return bool(systems.sakai([file.parts[0]]))
    entry = entries.get(file.parts[0])
    return len(file.parts) == 3 and file.parts[1] in lessons and entry is not None and entry.student == file.parts[0]


def _time_in(file):
    return _when(_bytes(file, 100).decode(errors="replace"))


def _bytes(file, most=systems.MAX_METADATA):
    try:
        return _submission(_Owned(file, "", "", "")).read()[:most]
    except OSError:
        return b""


def _when(text):
    """A time that nbgrader reads, or ""."""
    try:
        parse_utc(text.strip())
        return text.strip()
    except (ValueError, AttributeError, OverflowError, TypeError):
        return ""
