"""`pgcourse release`: the student edition, flat, and the instructor's course, out of one source.

The same source gives the same bytes. All that could be wrong with a source is found before anything is written.
"""

from pathlib import Path

from pgcourse.publishing import manifest
from pgcourse.publishing.course import make_course, refuse_to_write
from pgcourse.publishing.edition import as_bytes, edition, read_sources, relink
from pgcourse.publishing.settings import ReleaseError

README = """# Policy gradients: your copy of the course

Open `00_start_here.ipynb` in JupyterLab, or run `pgcourse lab` with the name of this folder. The lessons are numbered.

What you write here is yours: `pgcourse lab --update` brings newer versions of the lessons that you have not changed and
leaves all other files alone. The file `.pgcourse` tells them apart, and `.pgcourse-progress.json` remembers what you
have passed: keep both with the lessons when you move the folder.
"""


def release(out, course=None, update=False, source=None):
    """Writes the student edition to the folder `out`, flat, and nothing else; returns the `manifest.Update`.

    course   the instructor's folder, made or renewed too: its source/ is then what the edition is made of
    update   whether folders that are not empty may be written to; what was changed in them is kept
    source   a folder of source notebooks, instead of the package's own
    Raises ReleaseError.
    """
    out = Path(out).absolute()
    if course is not None and _inside(Path(course), out):
        raise ReleaseError(f"{course} is inside {out}: the edition would give the course's solutions away")
    if _inside(out, Path(source or manifest.source_folder())) or out.resolve() == manifest.checkout():
        raise ReleaseError(f"{out} is where the source notebooks are: choose another folder for the edition")
    refuse_to_write(out, update)
    lessons, settings, identity = read_sources(source), None, manifest.identity(source)
    if course is not None:
        lessons, settings = make_course(course, update, source)
    students = edition(lessons, settings)
    files = {f"{stem}.ipynb": as_bytes(relink(notebook, "flat")) for stem, notebook in students.items()}
    return manifest.place(out, {"README.md": README.encode(), **files}, identity)


def _inside(inner, outer):
    return inner.resolve().is_relative_to(outer.resolve())
