"""`pgcourse grade` over whole classes: every submission one row, whatever happens to it or to the run."""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dask
import nbformat
import psutil
import pytest
from classes import NAME, SPECIAL, hand_in, rows, scores, write
from nbgrader.api import Gradebook
from submissions import all_right, answered, as_data, lesson

from pgcourse import cli
from pgcourse.grading import classroom, collect, journal, workers
from pgcourse.grading.gradebook import Course
from pgcourse.grading.submission import label
from pgcourse.publishing.edition import ReleaseError

PROGRAM = str(Path(sys.executable).with_name("pgcourse"))
WRITTEN = next(
    i for i, cell in enumerate(lesson(NAME).source.cells) if label(cell).get("grade_id", "")[:7] == "written"
)
SLOW = 240  # seconds: a busy machine
COURSE = ("--course", "course")


def start(submitted, out, *options):
    command = [PROGRAM, "grade", str(submitted), "--out", str(out), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(submitted, out, *options):
    """(exit status, stdout, stderr) of `pgcourse grade` in this process, which has imported everything already."""
    said, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        code = cli.main(["grade", str(submitted), "--out", str(out), *map(str, options)])
    return code, *(stream.buffer.getvalue().decode() for stream in (said, errors))


def steady(out):
    """The rows without what differs from run to run."""
    return rows(out, [name for name in journal.COLUMNS if name != "seconds"])


def log(out):
    with open(out / "log.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def give(course, student, points, comment):
    """What an instructor does in Formgrader."""
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        grade = gradebook.find_grade("written-gradient-step", NAME, NAME, student)
        grade.manual_score, grade.needs_manual_grade = points, False
        gradebook.find_comment("written-gradient-step", NAME, NAME, student).manual_comment = comment
        gradebook.db.commit()


@pytest.fixture(scope="module")
def a_class(ready_course, tmp_path_factory, warm):
    """(folder of a class and its course, the scores due, what `pgcourse grade` said, undisturbed)."""
    folder = tmp_path_factory.mktemp("class")
    due = hand_in(folder / "submitted", 20)
    course = shutil.copytree(ready_course, folder / "course")

    def impatient(task):  # nobody waits ten seconds for what never ends
        from pgcourse.exercises import EXERCISES
        from pgcourse.grading.workers import grade_task

        seconds = 1 if task.student == "endless" else 10
        EXERCISES["log_likelihood_change"] = replace(EXERCISES["log_likelihood_change"], time_limit=seconds)
        return grade_task(task)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "grade_task", impatient)
        ended = run(folder / "submitted", folder / "out", "--course", course, "--workers", 2, "--export")
    return folder, due, ended


def test_a_class_with_a_hostile_an_endless_and_three_broken_ones(a_class):
    folder, due, (code, said, errors) = a_class
    out = folder / "out"
    assert code == 0, errors
    assert "20 submissions: 17 graded now, 0 known already, 3 refused\n" in said
    assert "Grading 20 of 20" in errors
    assert "submissions/s" in errors
    assert scores(out) == due
    found = rows(out)
    assert {row["max_score"] for row in found.values()} == {"7"}
    assert all(row["reason"] and float(row["seconds"]) >= 0 and row["lesson"] == NAME for row in found.values())
    assert [found[student]["status"] for student in sorted(SPECIAL)] == [
        *("empty", "not a notebook", "not a notebook", "timed out"),
        found["hostile"]["status"],
    ]
    assert found["student-000"]["status"] == "passed"
    with Gradebook(f"sqlite:///{folder}/course/gradebook.db") as gradebook:
        assert {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)} == due
    assert {path.parent.name for path in (out / "feedback").glob(f"*/{NAME}.html")} == set(due)
    report = (out / "report.html").read_text()
    assert all(student in report for student in ("hostile", "endless", "broken-2"))
    for path in out.rglob("*.html"):
        assert "HIDDEN TESTS" not in path.read_text()
        assert "grading_seed" not in path.read_text()
    with open(out / "export/nbgrader.csv") as file:
        assert {line["student_id"]: float(line["score"]) for line in csv.DictReader(file)} == due
    assert Counter(line["event"] for line in log(out)) == {"graded": 20}


def test_the_same_again_grades_nothing_and_changes_nothing(submitted, course, tmp_path, in_this_process):
    hand_in(submitted, 6, special=False)
    out = tmp_path / "out"
    first = classroom.grade_class([submitted], out, course)
    assert (first.collected, first.graded, first.failed) == (6, 6, 0)
    before = {path: path.read_bytes() for path in [*out.rglob("*"), *course.rglob("*")] if path.is_file()}
    second = classroom.grade_class([submitted], out, course)
    assert (second.collected, second.graded) == (6, 0)
    after = {path: path.read_bytes() for path in [*out.rglob("*"), *course.rglob("*")] if path.is_file()}
    assert after == before
    again = classroom.grade_class([submitted], out, course, again=True)
    assert again.graded == 6
    assert [line["result"] for line in log(out)[:6]] == [
        line["result"] for line in log(out) if line["event"][1] == "r"
    ][6:]


def test_a_regrade_repeats_the_hidden_cases(submitted, course, tmp_path, in_this_process):
    hand_in(submitted, 2, special=False)
    seeds = []
    for again in (False, True):
        classroom.grade_class([submitted], tmp_path / "out", course, again=again)
        results = [json.loads(path.read_text()) for path in sorted((tmp_path / "out/results").iterdir())]
        seeds.append([result["seed"] for result in results])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 2


def test_a_newer_submission_replaces_and_nothing_is_lost(submitted, course, tmp_path, in_this_process):
    out, origin = tmp_path / "out", lesson(NAME)
    first, second = answered(origin, predicted_change=True), all_right(origin)
    first.cells[WRITTEN].source = "In my own words"
    write(submitted, "ada", first)
    write(submitted, "bob", second)
    classroom.grade_class([submitted], out, course)
    give(course, "ada", 1.5, "well said")
    classroom.grade_class([submitted], out, course)
    assert scores(out) == {"ada": 3.5, "bob": 5}
    assert "well said" in (out / f"feedback/ada/{NAME}.html").read_text()
    write(submitted, "ada", second)
    outcome = classroom.grade_class([submitted], out, course)
    assert outcome.graded == 1
    assert scores(out) == {"ada": 6.5, "bob": 5}, "the points that a person gave stay"
    told = [(line["event"], line["student"], float(line["score"])) for line in log(out)]
    assert told == [("graded", "ada", 2), ("graded", "bob", 5), ("replaced", "ada", 3.5), ("graded", "ada", 5)]
    assert (course / f"replaced/ada/{NAME}-1.ipynb").read_bytes() == as_data(first)
    assert (course / f"submitted/ada/{NAME}/{NAME}.ipynb").read_bytes() == as_data(second)


def test_only_an_answer_that_somebody_wrote_waits_for_a_person(submitted, course, tmp_path, in_this_process):
    blank, written = all_right(lesson(NAME)), all_right(lesson(NAME))
    blank.cells[WRITTEN].source = lesson(NAME).release.cells[WRITTEN].source
    written.cells[WRITTEN].source = "The offset cancels."
    write(submitted, "blank", blank)
    write(submitted, "written", written)
    classroom.grade_class([submitted], tmp_path / "out", course)
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        waiting = {s.student.id: s.needs_manual_grade for s in gradebook.assignment_submissions(NAME)}
    assert waiting == {"blank": False, "written": True}
    page = (tmp_path / f"out/feedback/written/{NAME}.html").read_text()
    assert "waits for a person" in page
    assert "waits for a person" not in (tmp_path / f"out/feedback/blank/{NAME}.html").read_text()


def test_earlier_weeks_stay_in_the_table(course, tmp_path, in_this_process):
    write(tmp_path / "one", "ada", all_right(lesson(NAME)))
    write(tmp_path / "two", "bob", all_right(lesson(NAME)))
    for week in ("one", "two"):
        classroom.grade_class([tmp_path / week], tmp_path / "out", course)
    assert scores(tmp_path / "out") == {"ada": 5, "bob": 5}


def test_what_is_no_submission_of_the_course_has_a_row_too(submitted, course, tmp_path, in_this_process):
    write(submitted, "ada", all_right(lesson(NAME)))
    write(submitted, "bob", as_data(lesson("02_trajectories").source))
    write(submitted, "cyd", b"{}", "99_other")
    (submitted / "dan" / NAME).mkdir(parents=True)
    os.symlink(submitted / f"ada/{NAME}/{NAME}.ipynb", submitted / "dan" / NAME / f"{NAME}.ipynb")
    outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    found = rows(tmp_path / "out")
    assert {student: (row["score"], row["status"]) for student, row in found.items()} == {
        "ada": ("5", "passed"),
        "bob": ("0", "another notebook"),
        "cyd": ("0", "unknown lesson"),
        "dan": ("0", "link"),
    }
    assert found["cyd"]["lesson"] == "99_other"
    assert all(row["reason"] for row in outcome.rows)
    assert (tmp_path / f"out/feedback/dan/{NAME}.html").exists()


def test_a_file_that_cannot_be_read_any_more_has_a_row(submitted, course, tmp_path, in_this_process, monkeypatch):
    write(submitted, "ada", all_right(lesson(NAME)))
    path = write(submitted, "eve", all_right(lesson(NAME)))
    found = collect.collect

    def then_it_is_swapped(*arguments):
        submissions = found(*arguments)
        path.unlink()
        path.symlink_to(submitted / f"ada/{NAME}/{NAME}.ipynb")
        return submissions

    monkeypatch.setattr(collect, "collect", then_it_is_swapped)
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert scores(tmp_path / "out") == {"ada": 5, "eve": 0}
    assert rows(tmp_path / "out")["eve"]["status"] == "no access"


def test_without_a_course_one_is_made(submitted, tmp_path, in_this_process):
    write(submitted, "ada", all_right(lesson("00_start_here")), "00_start_here")
    write(submitted, "ada", all_right(lesson(NAME)))
    outcome = classroom.grade_class([submitted], tmp_path / "out")
    assert [(row["lesson"], row["score"]) for row in outcome.rows] == [("00_start_here", 1), (NAME, 5)]
    assert (tmp_path / "out/course/nbgrader_config.py").is_file()


def test_a_lesson_that_the_gradebook_does_not_know_is_entered_first(submitted, course, tmp_path, in_this_process):
    (course / "gradebook.db").unlink()
    shutil.rmtree(course / "release")
    write(submitted, "ada", all_right(lesson(NAME)))
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert scores(tmp_path / "out") == {"ada": 5}


def test_what_is_printed_and_kept_has_a_limit(submitted, course, tmp_path, in_this_process, monkeypatch):
    from pgcourse.grading import judge

    monkeypatch.setattr(judge, "MAX_SHOWN", 3100)
    notebook = all_right(lesson(NAME))
    notebook.cells += [nbformat.v4.new_code_cell("print('x' * 1000)") for _ in range(5)]
    write(submitted, "ada", notebook)
    classroom.grade_class([submitted], tmp_path / "out", course)
    page = (tmp_path / f"out/feedback/ada/{NAME}.html").read_text()
    assert page.count("x" * 1000) == 3
    assert "this notebook shows more than is kept" in page
    assert scores(tmp_path / "out") == {"ada": 5}


# What stops a run


@pytest.fixture
def without_bubblewrap(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), str(tmp_path / "empty")]))


@pytest.mark.usefixtures("without_bubblewrap")
def test_without_a_jail_nothing_is_graded(submitted, course, tmp_path):
    hand_in(submitted, 2, special=False)
    code, _, errors = run(submitted, tmp_path / "out", "--course", course, "--workers", 1)
    assert code == 1
    assert "bubblewrap is not installed" in errors
    assert "Remedies" in errors
    assert not (tmp_path / "out/grades.csv").exists()
    assert not (course / "autograded").exists()


@pytest.mark.usefixtures("without_bubblewrap")
def test_unsafe_is_loud_and_works(submitted, course, tmp_path):
    hand_in(submitted, 1, special=False)
    options = ("--course", course, "--workers", 1, "--unsafe-no-jail")
    code, _, errors = run(submitted, tmp_path / "out", *options)
    assert code == 0, errors
    assert errors.count("***") == 2
    assert scores(tmp_path / "out") == {"student-000": 5}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing", "--out", "out", *COURSE], "missing does not exist"),
        (["empty", "--out", "out", "--course", "empty"], "is no course folder"),
        (["one", "--out", "out", *COURSE, "--scheduler", "tcp://127.0.0.1:1"], "No Dask scheduler answers"),
        (["one", "--out", "out", "--workers", "0"], "0 is no number of processes"),
        (["one", "--out", "out", "--db", "postgresql+psycopg://127.0.0.1:1/x"], "Connection refused"),
        (["one"], "--out"),
    ],
)
def test_what_the_instructor_can_mend_is_a_line(course, tmp_path, arguments, said, monkeypatch, capsys):
    monkeypatch.setattr(workers, "PATIENCE", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    hand_in(tmp_path / "one", 1, special=False)
    with contextlib.suppress(SystemExit):
        assert cli.main(["grade", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_two_runs_do_not_write_to_one_folder(submitted, course, tmp_path):
    hand_in(submitted, 1, special=False)
    with journal.opened(tmp_path / "out"), pytest.raises(journal.Busy, match="another pgcourse grade"):
        classroom.grade_class([submitted], tmp_path / "out", course)


def test_a_grader_that_fails_says_so_and_tries_again_next_time(
    submitted, course, tmp_path, in_this_process, monkeypatch
):
    hand_in(submitted, 3, special=False)
    whole = workers.graded

    def one_fails(client, tasks):
        yield from ((key, "ZeroDivisionError: division by zero") if i == 1 else (key, result)
                    for i, (key, result) in enumerate(whole(client, tasks)))  # fmt: skip

    monkeypatch.setattr(workers, "graded", one_fails)
    outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    assert (outcome.graded, outcome.failed) == (2, 1)
    row = rows(tmp_path / "out")["student-001"]
    assert (row["score"], row["status"]) == ("0", "not graded")
    assert "ZeroDivisionError" in row["reason"]
    monkeypatch.setattr(workers, "graded", whole)
    outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    assert (outcome.graded, outcome.failed) == (1, 0)
    assert rows(tmp_path / "out")["student-001"]["status"] == "passed"


def test_what_nbgrader_does_not_take_stops_nobody_and_is_entered_next_time(
    submitted, course, tmp_path, in_this_process, monkeypatch, capsys
):
    due, whole = hand_in(submitted, 3, special=False), Course.enter

    def refuses_one(self, student, *arguments):
        if student == "student-000":
            raise ReleaseError("nbgrader refuses it: disk full")
        whole(self, student, *arguments)

    monkeypatch.setattr(Course, "enter", refuses_one)
    command = ["grade", str(submitted), "--out", str(tmp_path / "out"), "--course", str(course)]
    assert cli.main(command) == 1
    assert "1 could not be graded" in capsys.readouterr().err
    found = rows(tmp_path / "out")
    assert (found["student-000"]["status"], found["student-001"]["status"]) == ("not graded", "passed")
    assert "disk full" in found["student-000"]["reason"]
    monkeypatch.setattr(Course, "enter", whole)
    outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    assert (outcome.graded, outcome.not_entered, scores(tmp_path / "out")) == (0, {}, due)


# What became of each


def test_what_became_of_each_is_told_apart(submitted, course, tmp_path, in_this_process, capsys):
    """ "Known already" and "not of this course" were one number, and the exit status was 0 for both."""
    write(submitted, "ada", all_right(lesson(NAME)))
    write(submitted, "bob", b"{")
    write(submitted, "cyd", lesson(NAME).release)
    (submitted / "dan").mkdir()
    (submitted / "dan" / "notes.ipynb").write_bytes(b"{}")
    command = ["grade", str(submitted), "--out", str(tmp_path / "out"), "--course", str(course), "--export"]
    for graded, known in ((1, 0), (0, 1)):
        assert cli.main(command) == 3
        said = capsys.readouterr()
        counts = f"{graded} graded now, {known} known already, 1 refused, 1 unchanged, 1 unusable"
        assert f"4 submissions: {counts}\n" in said.out
        assert "unusable: dan, notes: the course has no lesson notes" in said.err
    assert {name: row["status"] for name, row in rows(tmp_path / "out").items()} == {
        "ada": "passed",
        "bob": "not a notebook",
        "cyd": "unchanged",
        "dan": "unknown lesson",
    }
    assert "One lesson came back as it was given out" in (tmp_path / "out/report.html").read_text()
    for path in (tmp_path / "out/export").iterdir():
        assert "cyd" not in path.read_text()
    assert cli.main([*command, "--lesson", NAME]) == 0
    assert "left out, of other lessons: 1" in capsys.readouterr().out
    assert cli.main([*command, "--lesson", "5"]) == 1
    assert f"no lesson 5, expected one of {NAME}" in capsys.readouterr().err


@pytest.mark.parametrize("later", [as_data(lesson(NAME).release), b""], ids=["blank", "empty"])
def test_a_file_with_nothing_in_it_takes_nothing_away(submitted, course, tmp_path, in_this_process, capsys, later):
    write(submitted, "ada", all_right(lesson(NAME)))
    classroom.grade_class([submitted], tmp_path / "out", course)
    write(submitted, "ada", later)
    for _ in range(2):
        cli.main(["grade", str(submitted), "--out", str(tmp_path / "out"), "--course", str(course)])
        assert scores(tmp_path / "out") == {"ada": 5}
        assert f"kept: ada, {NAME}: the earlier one still counts" in capsys.readouterr().err
        assert "a later file was left aside" in (tmp_path / "out/report.html").read_text()
    assert [line["event"] for line in log(tmp_path / "out")] == ["graded", "left aside"]
    kept = [path.read_bytes() for path in (course / "submitted/ada" / NAME).glob("*.ipynb")]
    assert kept == [as_data(all_right(lesson(NAME)))]
    assert len(list((course / "replaced").rglob("*.ipynb"))) == 1


def test_files_beside_a_notebook_are_there_or_named(submitted, course, tmp_path, in_this_process):
    """A module beside the notebook was missing, and an essay in a document had no row and no word."""
    source = "from own import one\ndef log_likelihood_change(*given):\n    return one(*given)"
    right = next(c.source for c in lesson(NAME).source.cells if label(c).get("grade_id") == "log_likelihood_change")
    path = write(
        submitted, "ada", answered(lesson(NAME), log_likelihood_change=source, predicted_change="import scipy_x")
    )
    path.with_name("own.py").write_text(f"import numpy as np\n{right.replace('log_likelihood_change', 'one')}")
    path.with_name("essay.docx").write_bytes(b"PK")
    for _ in range(2):
        outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    assert outcome.known == 1
    assert scores(tmp_path / "out") == {"ada": 3}
    remarks = outcome.rows[0]["remarks"]
    assert "handed in beside it, for you to read: essay.docx" in remarks
    assert "it imports what is not installed here: scipy_x" in remarks
    path.with_name("own.py").write_text("def one(*given): return 0.0")
    assert classroom.grade_class([submitted], tmp_path / "out", course).graded == 1
    assert scores(tmp_path / "out") == {"ada": 0}


def test_a_lesson_under_anothers_name_is_told_which_it_is(submitted, tmp_path, in_this_process):
    write(submitted, "ada", all_right(lesson("00_start_here")))
    (row,) = classroom.grade_class([submitted], tmp_path / "out").rows
    assert row["status"] == "another notebook"
    assert "all it has is of 00_start_here" in row["reason"]


def test_points_that_fall_are_named(submitted, course, tmp_path, in_this_process, capsys):
    """An older archive after a newer one took three points, and only the log said so."""
    command = ["grade", str(submitted), "--out", str(tmp_path / "out"), "--course", str(course)]
    for answers, points in ((all_right(lesson(NAME)), 5), (answered(lesson(NAME), predicted_change=True), 2)):
        write(submitted, "ada", answers)
        assert cli.main(command) == 0
        assert scores(tmp_path / "out") == {"ada": points}
    assert f"fell: ada, {NAME}: 5 → 2 points, by another file" in capsys.readouterr().err


def test_an_essay_beside_its_cell_waits_in_formgrader(submitted, course, tmp_path, in_this_process):
    for student, essay in (("ada", "It overshoots."), ("bob", "")):
        notebook = answered(lesson(NAME), log_likelihood_change=True, predicted_change=True)
        number = next(
            n for n, cell in enumerate(notebook.cells) if label(cell).get("grade_id") == "written-gradient-step"
        )
        notebook.cells.insert(number + 1, nbformat.v4.new_markdown_cell(essay))
        write(submitted, student, notebook)
    classroom.grade_class([submitted], tmp_path / "out", course)
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        waits = {
            s: gradebook.find_grade("written-gradient-step", NAME, NAME, s).needs_manual_grade for s in ("ada", "bob")
        }
    assert waits == {"ada": True, "bob": False}
    assert "One written answer waits" in (tmp_path / f"out/feedback/ada/{NAME}.html").read_text()


# Killed


def children(process, *words):
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if any(word in " ".join(child.cmdline()) for word in words):
                found.append(child)
        except psutil.Error:
            continue
    return found


def when_graded(process, out, number):
    """Waits until so many lines are in the log, or the run has ended."""
    deadline = time.monotonic() + SLOW
    while time.monotonic() < deadline and process.poll() is None:
        path = out / "log.csv"
        if path.exists() and path.read_bytes().count(b"\n") > number:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def undisturbed(a_class, tmp_path_factory):
    """(folder of twelve of the class, the rows of the run that nobody disturbed)."""
    folder, _, _ = a_class
    twelve, wanted = tmp_path_factory.mktemp("twelve"), {}
    for student, row in list(steady(folder / "out").items())[-12:]:
        shutil.copytree(folder / "submitted" / student, twelve / student)
        wanted[student] = row
    return twelve, wanted


def assert_the_same(out, course, wanted):
    assert steady(out) == wanted
    assert Counter(line["student"] for line in log(out)) == Counter(list(wanted))  # nobody was graded twice
    with Gradebook(f"sqlite:///{course}/gradebook.db") as gradebook:
        found = {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)}
    assert found == {student: float(row["score"]) for student, row in wanted.items()}


def test_workers_may_be_killed(undisturbed, course, tmp_path):
    submitted, wanted = undisturbed
    out, rng = tmp_path / "out", random.Random(0)
    process = start(submitted, out, "--course", course, "--workers", 2)
    for number in sorted(rng.sample(range(1, 9), 2)):
        assert when_graded(process, out, number)
        victims = [child for child in children(process, "spawn_main") if not children(child, "resource_tracker")]
        rng.choice(victims).send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=SLOW)
    assert process.returncode == 0, errors
    assert_the_same(out, course, wanted)


def test_the_whole_run_may_be_killed(undisturbed, course, tmp_path, in_this_process):
    submitted, wanted = undisturbed
    out, rng = tmp_path / "out", random.Random(1)
    for number in (0, rng.randrange(1, 9)):
        process = start(submitted, out, "--course", course, "--workers", 1)
        assert when_graded(process, out, number)
        time.sleep(rng.random() / 5)
        family = children(process, "")
        process.kill()
        process.communicate()
        psutil.wait_procs(family, timeout=30)
        assert not [child for child in family if child.is_running()], "everything that a run starts ends with it"
    assert classroom.grade_class([submitted], out, course).graded < len(wanted)
    assert_the_same(out, course, wanted)


def test_a_submission_whose_graders_all_die_has_a_row(submitted, course, tmp_path, warm, monkeypatch, request):
    """Nothing that a student writes can do that, as far as we know."""
    due = hand_in(submitted, 4, special=False)

    def dying(task):
        from pgcourse.grading.workers import grade_task

        if task.student == "student-002":
            os.kill(os.getpid(), signal.SIGKILL)
        return grade_task(task)

    monkeypatch.setattr(workers, "grade_task", dying)
    monkeypatch.setattr(workers, "TRIES", 1)
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        outcome = classroom.grade_class([submitted], tmp_path / "out", course, count=1)
    assert outcome.failed >= 1, "whoever was beside it may have to come again too"
    assert outcome.graded + outcome.failed == len(due) == len(rows(tmp_path / "out"))
    row = rows(tmp_path / "out")["student-002"]
    assert (row["score"], row["status"]) == ("0", "not graded")
    assert "KilledWorker" in row["reason"]
    monkeypatch.undo()
    request.getfixturevalue("in_this_process")
    assert classroom.grade_class([submitted], tmp_path / "out", course).failed == 0
    assert scores(tmp_path / "out") == due


# On a cluster


def test_a_dask_cluster_grades(submitted, course, tmp_path, warm):
    due = hand_in(submitted, 3, special=False)
    file = tmp_path / "scheduler.json"
    dask = str(Path(sys.executable).with_name("dask"))
    flags = ["--scheduler-file", file, "--host", "127.0.0.1"]
    where = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([dask, "scheduler", *flags, "--port", "0", "--no-dashboard"], **where)
    threads = ["--nthreads", "2", "--no-dashboard", "--local-directory", tmp_path]
    worker = subprocess.Popen([dask, "worker", *flags, *threads], **where)
    try:
        deadline = time.monotonic() + SLOW
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        code, _, errors = run(submitted, tmp_path / "out", "--course", course, "--scheduler", address)
    finally:
        for process in (worker, scheduler):
            process.terminate()
            process.wait()
    assert code == 0, errors
    assert scores(tmp_path / "out") == due
