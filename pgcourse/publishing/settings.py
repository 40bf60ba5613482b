"""nbgrader's settings of a course folder, and what nbgrader needs around it when it runs there."""

import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from nbgrader.converters.base import NbGraderException
from traitlets.config import Config, PyFileConfigLoader

WRITTEN = "*Your answer goes here: double-click this cell to write.*"
CONFIG_NAME = "nbgrader_config.py"
CONFIG = """# nbgrader's settings for this course: what pgcourse needs, then your own.
from pgcourse.grading import configure

c = get_config()  # noqa: F821
configure(c)
"""


class ReleaseError(ValueError):
    """No edition is made of this source, or not in this place; str() lists the reasons, one a line."""


def configure_edition(c):
    """The settings that shape the student edition, which is made on every system; c: traitlets' Config."""
    c.ClearSolutions.text_stub = WRITTEN


def configure_course(c):
    """Those of a course folder, but for what grades in it: see `pgcourse.grading.configure`."""
    configure_edition(c)
    c.CourseDirectory.course_id = "pgcourse"
    if os.environ.get("PGCOURSE_DB"):  # where a gradebook that holds a password in its address is named in no file
        c.CourseDirectory.db_url = os.environ["PGCOURSE_DB"]


def settings_of(folder, db=None):
    """nbgrader's settings of a course folder, ours where it has none yet; db: another gradebook's address."""
    settings = Config()
    if not (folder / CONFIG_NAME).is_file():
        configure_course(settings)
    else:
        try:
            settings = PyFileConfigLoader(CONFIG_NAME, path=str(folder)).load_config()
        except Exception as error:  # whatever an instructor's own lines raise
            raise ReleaseError(f"{folder / CONFIG_NAME} does not run: {error!r}") from error
    if db:
        settings.CourseDirectory.db_url = db
    return settings


@contextmanager
def nbgrader_at(folder):
    """What nbgrader needs around it: alembic on the path, and a log, whose errors come out in a ReleaseError."""
    errors = _Errors()
    log = logging.Logger("pgcourse.release")
    log.addHandler(errors)
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])
    try:
        yield log
    except NbGraderException as error:
        raise ReleaseError(f"nbgrader refuses {folder}: {errors.said or error}") from error
    finally:
        os.environ["PATH"] = path


class _Errors(logging.Handler):
    said = ""

    def __init__(self):
        super().__init__(logging.ERROR)

    def emit(self, record):
        if "Traceback" in record.getMessage():
            *_, self.said = (line for line in record.getMessage().splitlines() if line[:1] not in (" ", "\t", "(", ""))
