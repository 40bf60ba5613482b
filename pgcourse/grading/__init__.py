"""What an instructor uses: the student edition and its course folder, made and run by nbgrader.

`configure` is all that our nbgrader_config.py calls, so a course folder keeps up with the package.

How one submission is graded, from the bytes of its file to a dictionary that JSON can hold, without a gradebook:

    lesson = Lesson.of("06_causality", source, release)         # notebooks of the course, read by nbformat
    notebook, remarks, refusal = restore(lesson, data)          # never raises, whatever the bytes are
    seed = hidden_seed(secret, student, notebook)               # the same again for the same submission
    result = grade(lesson, notebook, seed, warm_nursery(), remarks, refusal)

`Lesson` and `restore` are in `submission`, `hidden_seed` and `grade` (which lists what is in a result) in `judge`,
`warm_nursery` in `execute`: one warm process for each process that grades, to be asked for in the process itself, not
before a fork. Only JailUnavailable is raised: then nothing can be graded there. `judge.without_hidden_tests` makes the
notebook of a result fit for its author's eyes; its Markdown is a stranger's, to be shown by `markdown.clean_markdown`.

nbgrader does the same with `execute.Restore` and `execute.JailedExecute` among its preprocessors; a result that was
found elsewhere, by a worker say, is entered by `c.JailedExecute.result = result`: then nothing is run.
"""

import os

WRITTEN = "*Your answer goes here: double-click this cell to write.*"


def configure_edition(c):
    """The part of it that shapes the student edition, which is made on every system."""
    c.ClearSolutions.text_stub = WRITTEN


def configure(c):
    """nbgrader's settings for a course; c is the `get_config()` of its nbgrader_config.py."""
    # here, because a course can be configured without nbgrader
    from nbgrader.converters import Autograde, GenerateFeedback
    from nbgrader.preprocessors import Execute

    from pgcourse.grading.execute import JailedExecute, Restore
    from pgcourse.grading.feedback import HideHiddenTests

    configure_edition(c)
    c.CourseDirectory.course_id = "pgcourse"
    if "PGCOURSE_DB" in os.environ:  # where a gradebook that holds a password in its address is named in no file
        c.CourseDirectory.db_url = os.environ["PGCOURSE_DB"]
    c.Execute.timeout = 20
    c.Execute.interrupt_on_timeout = True  # else an endless loop loses the whole submission
    c.OverwriteCells.add_missing_cells = True  # else a deleted cell does
    c.Autograde.sanitize_preprocessors = [Restore, *Autograde.sanitize_preprocessors.default()]
    engine = Autograde.autograde_preprocessors.default()
    c.Autograde.autograde_preprocessors = [JailedExecute if step is Execute else step for step in engine]
    c.GenerateFeedback.preprocessors = [*GenerateFeedback.preprocessors.default(), HideHiddenTests]
    # in Formgrader and on feedback pages a submission's Markdown may hold scripts
    c.HTMLExporter.filters = {"markdown2html": "pgcourse.grading.markdown.clean_markdown"}
