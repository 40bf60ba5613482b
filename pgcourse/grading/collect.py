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
from pgcourse.grading.owners import COPY, LessonNames, owned
from pgcourse.grading.places import HEAD, TIMESTAMP, Found, NothingToGrade, lying, shown, stem
from pgcourse.grading.submission import Submission
from pgcourse.judging.statuses import Status

MAX_NAME = 100  # characters of a student's name; databases have 128
MAX_BYTES = 200  # of it, where a file's name has 255
NEEDED = re.compile(r"[\w-]+\.(py|csv|tsv|json|npy|npz|txt)", re.IGNORECASE)  # what code may read
READ = re.compile(
    r"(?!README|LICEN[CS]E|feedbackText).*\.(pdf|docx?|odt|rtf|md|tex|html?|png|jpe?g|heic)", re.IGNORECASE
)
MAX_BESIDE = 10  # files that come with a notebook
MAX_SHOWN = 5  # files that are named beside the one that counts
AT_ONCE = 2  # seconds, zip's own precision: files that far apart are of one moment
MARKED = re.compile(r"~[0-9a-f]{8}$")  # on a name that is not the one given


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
    all_owned = []
    for number, place in enumerate(map(Path, places)):
        place = _submitted(place, lessons)
        all_owned += _of_place(place, lying(place, Path(scratch, str(number)), apart), lessons, settings, system)
    look = look or (lambda _: {})
    groups, others, beside = defaultdict(list), {}, defaultdict(list)
    for one in all_owned:
        student, remarks = _presentable(one.student, "student")
        one = replace(one, student=student, remarks=(*remarks, *one.remarks))
        if one.file.other:
            others[student, one.lesson if one.lesson in lessons else ""] = one
            beside[student].append(one)
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
    chosen = [
        _with_files(
            one,
            [other for other in beside[one.student] if other.lesson in ("", one.lesson) or other.lesson not in lessons],
        )
        for one in chosen
    ]
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
    taken, rest, by_name = [], [], LessonNames(lessons)
    for file in found:
        path = "/".join([*file.parts[:-1], f"{stem(file.name)}.ipynb"])
        match = own.collect(path) if own.named_regexp else None
        if match:
            name = PurePosixPath(match["file_id"]).name
            lesson, time = by_name.lesson((*file.parts[:-1], name)), _when(match.get("timestamp") or "")
            taken.append(_Owned(file, match["student_id"], lesson, name, time=time))
        else:
            rest.append(file)
    rest, entries = owned(place, rest, lessons, system)
    clocks = [file for file in rest if file.name == TIMESTAMP and _is_clock(file, lessons, entries)]
    times = {file.parts[:-1]: _when(file.content(100).decode(errors="replace")) for file in clocks}
    for file in rest:
        if file.name in (TIMESTAMP, systems.METADATA):
            continue
        entry = entries.get(file.parts[0])
        if entry is None:
            if file.other:  # of the system's, or lying about: nobody's
                continue
            entry = systems.Entry(file.parts[0])
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
    if not (readable := [one for one in ones if one.file.path and not one.file.refusal]):
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
    if others := [one for one in readable if one is not chosen and one.file.content() != chosen.file.content()]:
        which = "the newest with answers" if any(one.answers.get(lesson) for one in readable) else "the newest"
        names = [shown("/".join(one.file.parts[-3:])) for one in (chosen, *others[:MAX_SHOWN])]
        remarks += (
            f"of {1 + len(others)} files for this lesson {which} counts, {names[0]}, not {', '.join(names[1:])}",
        )
    return Submission(student, lesson, chosen.file.path, chosen.time, remarks, None, chosen.file.inode)


def _with_files(submission, others):
    """A submission with what was handed in beside it: what code may need is kept, what is to be read is named."""
    if submission.path is None:
        return submission
    names = {one.name: one for one in others if one.name}
    data = {name: one.file.content(HEAD + 1) for name, one in names.items() if NEEDED.fullmatch(name) and one.file.path}
    small = sorted((name, content) for name, content in data.items() if len(content) <= HEAD)[:MAX_BESIDE]
    texts = sorted(name for name in names if READ.fullmatch(name))[:MAX_SHOWN]
    remarks = [f"handed in beside it, for you to read: {', '.join(map(shown, texts))}"] * bool(texts)
    return replace(submission, beside=tuple(small), remarks=(*submission.remarks, *remarks))


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


def _when(text):
    """A time that nbgrader reads, or ""."""
    try:
        parse_utc(text.strip())
        return text.strip()
    except (ValueError, AttributeError, OverflowError, TypeError):
        return ""
