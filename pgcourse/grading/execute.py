"""nbgrader's autograder with two preprocessors of ours: what was handed in is put right, and it runs in a jail.

`Reassemble` comes first of those that sanitize, `JailedExecute` takes the place of nbgrader's Execute; all else is
nbgrader's. The lesson comes from the course's source/ and release/.
"""

from functools import lru_cache
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Dict

from pgcourse import renamed
from pgcourse.grading.jail.outside import warm_process
from pgcourse.grading.judge import grade_submission
from pgcourse.grading.submission import Lesson, reassemble

__getattr__ = renamed.attributes(__name__)


class Reassemble(NbGraderPreprocessor):
    """The submitted cells in the lesson's own shape, see `submission.reassemble`."""

    def preprocess(self, nb, resources):
        notebook, remarks, refusal = reassemble(_lesson(self, resources), _bytes(nb))
        for remark in remarks:
            self.log.warning("%s: %s", resources["nbgrader"]["student"], remark)
        notebook.metadata["pgcourse"] = {"remarks": remarks, "refusal": refusal}
        return notebook, resources


class JailedExecute(NbGraderPreprocessor):
    """Runs a submission's cells in a jail, and its checks outside, see `judge.grade_submission`."""

    unsafe_no_jail = Bool(False, help="Run strangers' code with your own rights, beside the answers.").tag(config=True)
    result = Dict(help="What `judge.grade_submission` found elsewhere; nothing is run then.").tag(config=True)

    def preprocess(self, nb, resources):
        result = self.result or self._grade(nb, resources)
        notebook = nbformat.from_dict(result["notebook"])
        notebook.metadata["pgcourse"] = {key: value for key, value in result.items() if key != "notebook"}
        self.log.info("%s: %s (%s)", resources["nbgrader"]["student"], result["status"], result["reason"])
        return notebook, resources

    def _grade(self, nb, resources):
        about, found = resources["nbgrader"], nb.metadata.get("pgcourse", {})
        with Gradebook(about["db_url"]) as gradebook:
            secret = gradebook.find_assignment(about["assignment"]).id
        refusal = found.get("refusal") and tuple(found["refusal"])
        warm = warm_process(unsafe=self.unsafe_no_jail)
        given = _lesson(self, resources), about["student"], _bytes(nb), secret, warm
        return grade_submission(*given, found.get("remarks", []), refusal)


def _bytes(notebook):
    return nbformat.writes(notebook).encode("utf-8", "replace")


def _lesson(preprocessor, resources):
    """The Lesson that a notebook of this course belongs to."""
    directory = preprocessor.parent.parent.coursedir
    name, assignment = resources["nbgrader"]["notebook"], resources["nbgrader"]["assignment"]
    folders = (directory.source_directory, directory.release_directory)
    paths = [Path(directory.format_path(folder, ".", assignment), f"{name}.ipynb") for folder in folders]
    return _read(name, tuple((path, path.stat().st_mtime_ns) for path in paths if path.exists()))


@lru_cache(maxsize=16)
def _read(name, files):
    return Lesson.of(name, *(nbformat.read(path, as_version=4) for path, _ in files))
