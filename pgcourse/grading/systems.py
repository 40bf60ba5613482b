"""How learning systems name what they give an instructor: whose an entry of an archive is, and from when.

An entry is a file or a folder that stands in the archive's outermost level; all below it is its owner's own making. A
name is made of parts that the system chooses, and of parts that students do, such as what they are called and what they
call a file. So the reading of it is always one that makes nobody another: where a number or a mark of the system's
occurs twice, all up to the last one is the owner's name. Sources of the shapes: docs/teaching.md.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import yaml

METADATA = "submission_metadata.yml"  # of Gradescope's, and says whose a folder is
AROUND = re.compile(  # what a folder around a class is called, and no student
    r"submi(ss|tt)|abgabe|hand.?in|home.?work|assignment|exercise|lesson|class|course|students|download|export|upload"
    r"|archive|collected|exam|spring|summer|autumn|winter|semester|\b20\d\d\b|-\d\d-\d\d-\d{4}-\d\d-\d\d-\d\d$"
    r"|\b(hw|ps|lab|ex|task|sheet|week|blatt|übung|section|kurs|term|fall|all)\b|\b(hw|ps|lab|ex|week)\d+\b",
    re.IGNORECASE,
)
_MOODLE = re.compile(r"(?P<student>.+)_assignsubmission_[a-z]+(?:_(?P<file>.*))?$", re.DOTALL)
_CANVAS = re.compile(
    r"(?P<student>.+?)(?P<late>_LATE)?_(?P<id>\d+)_(?:\d+_(?P<file>.+)|(?:text|link)\.html)$", re.DOTALL
)
_ANONYMOUS = re.compile(r"(?P<late>LATE_)?(?P<student>anon_[^_]+)_\d+_(?P<file>.+)$", re.DOTALL)
_BLACKBOARD = re.compile(r"(?P<head>.+?)_attempt_(?P<time>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)$", re.DOTALL)
_BRIGHTSPACE = re.compile(
    r"(?P<id>\d+)-\d+ - (?P<student>.+?) - "
    r"(?P<time>(?:(?! - ).)*?\b\d{4}\b(?:[^-]*?[AP]M|[\d:h. ]*))(?: - (?P<file>.+))?$",
    re.DOTALL,
)
_BRIGHTSPACE_TIME = re.compile(r"(\w{3})\w* (\d+), (\d{4}) (\d{1,2}):?(\d\d) ([AP]M)$")
_GRADESCOPE = re.compile(r"submission_\d+$")
_ILIAS = re.compile(r"(?P<student>[^/]+_[^/]+_[^/_]+_\d+|Team \d+)$")
_SAKAI = re.compile(r"(?P<student>[^/]+, [^/]+\([^()/]+\))$")
_LATE_FILE = re.compile(r"(Late Submission|Verspätete Abgabe) - ", re.IGNORECASE)  # ILIAS's, on a file


@dataclass(frozen=True)
class Entry:
    """Whose an entry is. file: what is left of its name, for a file; time: as a text that nbgrader reads, or "".

    others: who handed it in together with the student
    """

    student: str
    file: str = ""
    time: str = ""
    remarks: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


LATE = "the learning system marked it as late"
TWO_WAYS = "its name can be read in two ways: it is taken for that of somebody called {}, whom nobody else can be"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's values, and None for what only Ruby knows."""


_Loader.add_multi_constructor("!", lambda *_: None)


def moodle(names, **_):
    """`Ada Lovelace_12_assignsubmission_file_x.ipynb`, or a folder `Ada Lovelace_12_assignsubmission_file`."""
    entries = {}
    for name in names:
        if found := _MOODLE.match(name):
            is_odd = "_assignsubmission_" in found["student"]
            remarks = (TWO_WAYS.format(found["student"]),) * is_odd
            entries[name] = Entry(found["student"], found["file"] or "", remarks=remarks)
    return entries


def canvas(names, lessons=(), **_):
    """`lovelaceada_LATE_4711_90210_x.ipynb`: name, number of the person, number of the file."""
    return {name: entry for name in names if (entry := _of_canvas(name, lessons))}


def _of_canvas(name, lessons):
    if found := _ANONYMOUS.match(name):
        return Entry(found["student"], found["file"], remarks=(LATE,) * bool(found["late"]))
    if not (found := _CANVAS.match(name)):
        return None
    student, file, remarks = f"{found['student']}_{found['id']}", found["file"] or "", (LATE,) * bool(found["late"])
    # a number may be the file's first, or it is the file's own, and the one before it the person's
    number, _, rest = file.partition("_")
    is_theirs = any(file.startswith(lesson) for lesson in lessons) or number.startswith("0") or len(number) < 3
    if number.isdigit() and rest and not is_theirs:
        student, file = name[: -len(file) - 1], rest
        remarks += (TWO_WAYS.format(student),)
    return Entry(student, file, remarks=remarks)


def blackboard(names, **_):
    """`Lesson 5_jdoe3_attempt_2026-03-01-10-00-00_x.ipynb`, and a receipt that ends in `.txt` behind the time."""
    found = {name: match for name in names if (match := _BLACKBOARD.match(name))}
    pieces = {tuple(match["head"].split("_")) for match in found.values()}
    shortest = min(map(len, pieces), default=1) - 1  # of a title, as much as all have in common, a name left over
    same = next((i for i in range(shortest) if len({piece[i] for piece in pieces}) > 1), shortest)
    return {
        name: Entry(
            "_".join(match["head"].split("_")[same:]),
            match["file"] or "",
            _local(datetime.strptime(match["time"], "%Y-%m-%d-%H-%M-%S")),
        )
        for name, match in found.items()
    }


def brightspace(names, **_):
    """`57006-96739 - Ada Lovelace - Mar 1, 2026 231 PM - x.ipynb`, or a folder; the first number is the person's."""
    entries = {}
    for name in names:
        if found := _BRIGHTSPACE.match(name):
            time = _BRIGHTSPACE_TIME.match(found["time"])
            when = time and _parsed("{} {} {} {:0>2}{} {}".format(*time.groups()), "%b %d %Y %I%M %p")
            entries[name] = Entry(
                f"{found['student']}_{found['id']}", found["file"] or "", _local(when) if when else ""
            )
    return entries


def gradescope(names, metadata=b"", **_):
    """A folder `submission_409194023`; only the archive's `submission_metadata.yml` says whose it is."""
    people = _loaded(metadata)
    if people is None:  # a student's own lines are always indented, so these parts are the system's
        parts = re.split(rb"^(?=submission_\d+:)", metadata, flags=re.MULTILINE)
        heads = [
            _loaded(re.split(rb"^  :(?!submitters|created_at)", part, maxsplit=1, flags=re.MULTILINE)[0])
            for part in parts
        ]
        keys = [key for head in heads if head for key in head]
        people = {key: head[key] for head in heads if head for key in head if keys.count(key) == 1}
    return {name: _of_gradescope(name, people.get(name)) for name in names if _GRADESCOPE.match(name)}


def _loaded(text):
    """The dictionary that YAML is, or None."""
    try:
        found = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _of_gradescope(name, about):
    submitters = about.get(":submitters") if isinstance(about, dict) else None
    people = [one for one in submitters if isinstance(one, dict)] if isinstance(submitters, list) else []
    known = [one.get(":sid") or one.get(":email") or one.get(":name") for one in people]
    known = [str(who) for who in known if who and isinstance(who, str | int)]  # an alias may stand for a giant
    if not known:
        return Entry(name, remarks=(f"{METADATA} does not say whose it is",))
    when = about.get(":created_at")
    time = f"{when:%Y-%m-%d %H:%M:%S} UTC" if isinstance(when, datetime) else ""
    return Entry(known[0], time=time, others=tuple(known[1:]))


def ilias(names, **_):
    """A folder `Lovelace_Ada_alove2s_4711`, or that of a team."""
    return {name: Entry(name) for name in names if _ILIAS.match(name)}


def sakai(names, **_):
    """A folder `Lovelace, Ada(al17)`."""
    return {name: Entry(name) for name in names if _SAKAI.match(name)}


def github(names, around="", **_):
    """In a folder `lesson-5-submissions` a repository `lesson-5-ada-l` for each."""
    slug = around.removesuffix("submissions")
    if not slug.endswith("-") or slug == around or not all(name.startswith(slug) for name in names):
        return {}
    return {name: Entry(name[len(slug) :]) for name in names if len(name) > len(slug)}


def folders(names, **_):
    """A folder for each student, of the student's name, or a zip."""
    return {name: Entry(name[: -len(".zip")] if name.lower().endswith(".zip") else name) for name in names}


FLAT = {"blackboard": blackboard, "canvas": canvas}  # files side by side
SYSTEMS = {
    "moodle": moodle,
    "brightspace": brightspace,
    "gradescope": gradescope,
    "sakai": sakai,
    "ilias": ilias,
    "github": github,
    **FLAT,
    "folders": folders,
    "files": folders,
}
UNMISTAKABLE = ("moodle", "brightspace", "blackboard", "gradescope")  # one name of theirs is no chance


def is_late_file(name):
    return bool(_LATE_FILE.match(name))


def _parsed(text, form):
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _local(time):
    """A time without a zone is of the place where the class is, and this machine."""
    return time.astimezone().isoformat(" ", "seconds")
