"""The instructor's course: nbgrader's folder, with source/LESSON/LESSON.ipynb, release/ likewise, and the gradebook."""

import os
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory

from pgcourse.files import write_atomically
from pgcourse.publishing import manifest
from pgcourse.publishing.edition import as_bytes, edition, grade_ids, read_notebook, read_sources, relink
from pgcourse.publishing.settings import CONFIG, CONFIG_NAME, ReleaseError, nbgrader_at, settings_of

COURSE_MANIFEST = ".pgcourse-course.json"


def refuse_to_write(folder, update):
    if os.path.lexists(folder) and not folder.is_dir():
        raise ReleaseError(f"{folder} is not a folder")
    if not update and folder.is_dir() and any(folder.iterdir()):
        raise ReleaseError(
            f"{folder} is not empty: add --update to renew what is unchanged in it, or name another folder"
        )


def make_course(folder, update=False, source=None, db=None):
    """Makes or renews nbgrader's folder; returns the source that is now in it, {lesson: notebook}, and its settings.

    update, source: as for `release`. db: the gradebook's address, instead of the one in the folder's settings.
    Raises ReleaseError.
    """
    folder, lessons = Path(folder).absolute(), read_sources(source)
    refuse_to_write(folder, update)
    files = {f"source/{stem}/{stem}.ipynb": as_bytes(relink(notebook, "nested")) for stem, notebook in lessons.items()}
    lessons = lessons | _instructors_own(folder, files)
    settings = settings_of(folder, db)
    edition(lessons, settings)  # refuses before anything is written
    with nbgrader_at(folder):
        if folder.is_dir():
            _refuse_what_submissions_forbid(folder, settings, lessons)
        manifest.place(folder, files, manifest.identity(source), COURSE_MANIFEST)
        if not (folder / CONFIG_NAME).exists():
            write_atomically(folder / CONFIG_NAME, CONFIG.encode())
    generate(folder, settings, lessons)
    return dict(sorted(lessons.items())), settings


def generate(folder, settings, lessons):
    """Has nbgrader make the release of lessons, and enter them in the gradebook. Raises ReleaseError."""
    with nbgrader_at(folder) as log:
        for stem in lessons:
            directory = CourseDirectory(config=settings, root=str(folder), assignment_id=stem)
            GenerateAssignment(coursedir=directory, config=settings, force=True, log=log).start()


def _instructors_own(folder, files):
    """{lesson: notebook} for what an instructor changed in, or added to, the source/ of a course."""
    names = {
        f"source/{path.stem}/{path.name}" for path in folder.glob("source/*/*.ipynb") if path.parent.name == path.stem
    }
    kept = manifest.compare(folder, files, COURSE_MANIFEST).kept
    return {Path(name).stem: read_notebook(folder / name) for name in names if name in kept or name not in files}


def _refuse_what_submissions_forbid(folder, settings, lessons):
    """nbgrader cannot add or remove cells of a lesson that somebody has handed in, and would stop half-way."""
    directory, problems = CourseDirectory(config=settings, root=str(folder)), []
    with Gradebook(directory.db_url, directory.course_id) as gradebook:
        for stem, notebook in lessons.items():
            try:
                known = gradebook.find_notebook(stem, stem)
            except MissingEntry:
                continue
            changed = {cell.name for cell in known.source_cells} ^ {*grade_ids(notebook)}
            if known.submissions and changed:
                problems.append(
                    f"{stem}: {', '.join(sorted(changed))} came or went, but {len(known.submissions)} submissions "
                    "of it are in the gradebook: release to another --course"
                )
    if problems:
        raise ReleaseError("\n".join(problems))
