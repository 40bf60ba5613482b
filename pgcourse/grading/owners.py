"""Whose each file of a place is: at which depth the students' names stand, which system gave them, and who it is.

Only names that somebody else than a student has made are read. Where a student could have made what looks like a class,
or two readings are possible, nothing is guessed: the instructor is asked.
"""

import re
from dataclasses import replace

from pgcourse.grading import systems
from pgcourse.grading.places import TIMESTAMP, NothingToGrade, stem

DEPTH = 4  # of folders around what a system gives
COPY = re.compile(r"(-\d+| ?\(\d+\)| - Copy|-Copy\d+)$", re.IGNORECASE)  # what is added to a name that is taken
ASK = (
    "{place}: everything is in one folder, {top}. If that is around a class, name {place}/{top}; if it is a student's "
    "own, say --from folders; if a learning system made it, say which: --from {known}"
)
MIXED = "{place}: some names are as {some} gives them and some are not, {other} for one: say --from {some} or folders"
FILES = "{place}: {name} is in no folder of a student's: if each file is called after its student, say --from files"
SECTIONS = (
    "{place}: the same names are in several of its folders, as {top}: name these one after another, with an --out for "
    "each, if they are around students; if they are students' own, say --from folders"
)


class LessonNames:
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

    def is_one(self, name):
        """Whether a file is called as a lesson, and no more."""
        return _plain(COPY.sub("", stem(name))) in self._lessons

    def without(self, name):
        """What a file's name says besides a lesson: whose it may be."""
        found = [lesson for plain, lesson in self._lessons.items() if plain in _plain(name)]
        if len(found) != 1:
            return name
        pattern = re.sub(r"[\W_]+", r"[\\W_]+", found[0])
        return re.sub(rf"[\W_]*{pattern}[\W_]*", " ", COPY.sub("", name), count=1, flags=re.IGNORECASE).strip()


def _plain(text):
    return re.sub(r"[\W_]+", "_", text.casefold())


def owned(place, found, lessons, system=None):
    """(files without what is around the students' names, {outermost part: systems.Entry}) of a place's files.

    system: a key of `systems.SYSTEMS`, where somebody says so. A file whose outermost part has no entry is nobody's.
    Raises NothingToGrade, which asks.
    """
    level = _Level(place, found, place.name, b"", lessons)
    if system not in (None, "folders", "files"):
        return level.as_from(system)
    while True:
        if system is None and (entries := level.recognised()):
            return level.found, entries
        inner = None if system == "folders" else level.inner()
        if inner is None:
            return level.plain(system)
        level = inner


class _Level:
    """Files by what stands outermost in their paths, when the folders `around` them have been taken away."""

    def __init__(self, place, found, around, metadata, lessons):
        self.place, self.around, self.lessons, self.by_name = place, around, lessons, LessonNames(lessons)
        self.metadata = next((f.content() for f in found if f.parts == (systems.METADATA,)), metadata)
        self.found = [file for file in found if file.parts[0] not in (TIMESTAMP, systems.METADATA)]
        self.files = {file.parts[0] for file in self.found if len(file.parts) == 1}
        self.tops = [*dict.fromkeys(f.parts[0] for f in self.found if len(f.parts) > 1 or not f.other)]
        self.loose = [file.parts[0] for file in self.found if len(file.parts) == 1 and not file.other]
        self.folders = [top for top in self.tops if top not in self.loose]

    def _read(self, name, tops):
        return systems.SYSTEMS[name](tops, lessons=self.lessons, around=self.around, metadata=self.metadata)

    def as_from(self, system):
        """Everything as a system gives it, in whatever folders it lies."""
        done, left, entries = [], [(file, file) for file in self.found], {}
        for _ in range(DEPTH):
            names = [*dict.fromkeys(file.parts[0] for _, file in left)]
            entries |= (more := self._read(system, names))
            done += [file for _, file in left if file.parts[0] in more]
            left = [(whole, file) for whole, file in left if file.parts[0] not in more]
            self.around = next((file.parts[0] for _, file in left), "")
            left = [(whole, file.below(1) if len(file.parts) > 1 else file) for whole, file in left]
        if not entries:
            raise NothingToGrade(f"{self.place}: no name in it is as {system} gives them")
        return done + [whole for whole, _ in left], entries

    def recognised(self):
        """The entries as the one system gives them that could have named all of them; {} where there is none."""
        everything = [
            *self.tops,
            *(self.files - set(self.tops)),
        ]  # a name of a system's may stand on what is no notebook
        fits, some = {}, {}
        for name in systems.SYSTEMS:
            if name in systems.FLAT and not all(top in self.files or _is_zip(top) for top in self.tops):
                continue
            entries = {} if name in ("folders", "files") else self._read(name, everything)
            strangers = [top for top in self.tops if top not in entries]
            if self.tops and not strangers:
                fits[name] = entries
            elif entries and len(strangers) < len(self.tops):
                some[name] = strangers
        readings = {tuple((top, entries[top].student) for top in self.tops) for entries in fits.values()}
        if len(readings) > 1:
            both = " or --from ".join(fits)
            raise NothingToGrade(f"{self.place}: its names can be read in several ways: say --from {both}")
        if fits:
            return next(iter(fits.values()))
        for name, strangers in some.items():
            if name in systems.UNMISTAKABLE or 2 * len(strangers) <= len(self.tops):
                raise NothingToGrade(MIXED.format(place=self.place, some=name, other=strangers[0]))
        return {}

    def inner(self):
        """The level below, where the folders of this one are around students and are none; else None."""
        if self.loose or not self.tops:
            return None
        if len(self.tops) > 1:
            return self._inner_of_sections()
        (top,) = self.tops
        below = self._below(top)
        if top in self.lessons:
            return below if below.folders and not below.loose and set(below.tops).isdisjoint(self.lessons) else None
        if systems.AROUND.search(top):
            is_a_students = below.loose and not below.recognised()
            return None if is_a_students and all(map(self.by_name.is_one, below.loose)) else below
        if below.is_a_class():
            raise NothingToGrade(ASK.format(place=self.place, top=top, known=", ".join(systems.SYSTEMS)))
        return None

    def _below(self, *tops):
        found = [file.below(1) for file in self.found if len(file.parts) > 1 and file.parts[0] in tops]
        return _Level(self.place, found, tops[0], self.metadata, self.lessons)

    def _inner_of_sections(self):
        """The level below several folders, each of which is around students."""
        sections = [self._below(top) for top in self.tops]
        homes = [name for section in sections for name in section.folders]
        is_around = all(map(systems.AROUND.search, self.tops)) and set(self.tops).isdisjoint(self.lessons)
        if (is_around and len(homes) > len(set(homes))) or all(section.holds_a_class() for section in sections):
            raise NothingToGrade(SECTIONS.format(place=self.place, top=self.tops[0]))
        return self._below(*self.tops) if is_around and homes else None

    def is_a_class(self):
        """Whether it looks like one, at this depth or further down."""
        return self.holds_a_class() or bool(self.recognised()) or bool((inner := self.inner()) and inner.is_a_class())

    def holds_a_class(self):
        """Whether several of its folders hold the same lesson, or students' folders those of lessons."""
        held = {(f.parts[:-1], self.by_name.lesson(f.parts)) for f in self.found if len(f.parts) > 1 and not f.other}
        lessons = [lesson for _, lesson in held]
        is_nbgraders = any(not set(self.lessons).isdisjoint(f.parts[1:-1]) for f in self.found)
        return is_nbgraders or len(lessons) > len(set(lessons))

    def plain(self, system):
        """A folder for each student; of folders that are called as lessons are, what is in them."""
        if self.folders and set(self.folders) <= set(self.lessons):
            return self._by_lesson(system)
        strays = [name for name in self.loose if not self.by_name.is_one(name)]
        if system == "files":
            return self.found, {name: systems.Entry(self.by_name.without(stem(name))) for name in self.loose}
        if strays and not self.folders and any(f.path for f in self.found):
            raise NothingToGrade(FILES.format(place=self.place, name=strays[0]))
        home = systems.Entry(self.place.stem)
        own = {name: home if self.by_name.is_one(name) else systems.Entry(name) for name in self.loose}
        return self.found, systems.folders(self.folders) | own

    def _by_lesson(self, system):
        found = [file for file in self.found if len(file.parts) > 1]
        loose = [file for file in found if len(file.parts) == 2 and not file.other and file.name != TIMESTAMP]
        strays = [file for file in loose if not self.by_name.is_one(file.name)]
        if system == "files":
            called = [(self.by_name.without(stem(f.parts[1])), f.parts[0], f.name) for f in loose]
            found = [replace(f, parts=parts) for f, parts in zip(loose, called, strict=True)]
        elif len(strays) > len({file.parts[0] for file in strays}):
            raise NothingToGrade(FILES.format(place=self.place, name=strays[0].name))
        elif loose:
            found = [replace(file, parts=(self.place.stem, *file.parts)) for file in found]
        else:
            found = [replace(f, parts=(f.parts[1], f.parts[0], *f.parts[2:])) for f in found if len(f.parts) > 2]
        return found, systems.folders(dict.fromkeys(file.parts[0] for file in found))


def _is_zip(name):
    return name.lower().endswith(".zip")
