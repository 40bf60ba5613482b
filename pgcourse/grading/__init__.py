"""Grades submissions: `configure` is all that a course folder's nbgrader_config.py calls, so it keeps up with us.

How one submission is graded, from the bytes of its file to a dictionary that JSON can hold, without a gradebook:

    lesson = Lesson.of("06_causality", source, release)         # notebooks of the course, read by nbformat
    result = grade_submission(lesson, student, data, secret, warm_process())

`Lesson` is in `submission`, `grade_submission` in `judge`, `warm_process` in `jail.outside`: one for each process that
grades, to be asked for in the process itself, not before a fork. Only JailUnavailable is raised: then nothing can be
graded there. `judge.without_hidden_tests` makes the notebook of a result fit for its author's eyes; its Markdown is a
stranger's, to be shown by `pages.markdown.clean_markdown`.

nbgrader does the same with `execute.Reassemble` and `execute.JailedExecute` among its preprocessors; a result that was
found elsewhere, by a worker say, is entered by `c.JailedExecute.result = result`: then nothing is run.
"""


def __getattr__(name):
    from pgcourse import renamed  # here, because a package itself imports nothing

    return renamed.attributes(__name__)(name)


def configure(c):
    """nbgrader's settings for a course; c is the `get_config()` of its nbgrader_config.py."""
    # here, because a course can be configured without nbgrader
    from nbgrader.converters import Autograde, GenerateFeedback
    from nbgrader.preprocessors import Execute

    from pgcourse.grading.execute import JailedExecute, Reassemble
    from pgcourse.grading.pages.feedback import HideHiddenTests
    from pgcourse.publishing.settings import configure_course

    configure_course(c)
    c.Execute.timeout = 20
    c.Execute.interrupt_on_timeout = True  # else an endless loop loses the whole submission
    c.OverwriteCells.add_missing_cells = True  # else a deleted cell does
    c.Autograde.sanitize_preprocessors = [Reassemble, *Autograde.sanitize_preprocessors.default()]
    engine = Autograde.autograde_preprocessors.default()
    c.Autograde.autograde_preprocessors = [JailedExecute if step is Execute else step for step in engine]
    c.GenerateFeedback.preprocessors = [*GenerateFeedback.preprocessors.default(), HideHiddenTests]
    # in Formgrader and on feedback pages a submission's Markdown may hold scripts, and its code take minutes to colour
    pages = "pgcourse.grading.pages.markdown"
    c.HTMLExporter.filters = {"markdown2html": f"{pages}.clean_markdown", "highlight_code": f"{pages}.code"}
