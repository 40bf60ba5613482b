"""A course folder and its gradebook, without a lesson in it: nothing is graded here."""

import pytest

from pgcourse.grading.gradebook import REPLACED, Course
from pgcourse.publishing.settings import CONFIG, CONFIG_NAME


@pytest.fixture
def course(tmp_path):
    (tmp_path / CONFIG_NAME).write_text(CONFIG)
    return Course(tmp_path)


@pytest.mark.parametrize("student", ["ada", "ada[1]", "a*", "Zoë ?"])
def test_every_submission_that_another_took_the_place_of_is_kept(course, student):
    course.file_away("ada1", "lesson", b"of a neighbour", "")
    course.file_away("ada1", "lesson", b"of a neighbour, again", "")
    for data in (b"first", b"second", b"second", b"third"):
        path = course.file_away(student, "lesson", data, "")
        assert path.read_bytes() == data
    kept = course.folder / REPLACED / student
    assert {older.name: older.read_bytes() for older in kept.iterdir()} == {
        "lesson-1.ipynb": b"first",
        "lesson-2.ipynb": b"second",
    }


def test_a_link_in_the_submissions_place_is_set_aside_and_not_followed(course, tmp_path):
    path = course.file_away("ada", "lesson", b"first", "")
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"second")
    path.symlink_to(tmp_path / "elsewhere")
    course.file_away("ada", "lesson", b"second", "")
    assert not path.is_symlink()
    assert (path.read_bytes(), (tmp_path / "elsewhere").read_bytes()) == (b"second", b"second")


def test_when_it_was_handed_in_stands_beside_it(course):
    path = course.file_away("ada", "lesson", b"first", "2024-05-01 12:00:00 UTC")
    stamp = path.with_name("timestamp.txt")
    assert stamp.read_bytes() == b"2024-05-01 12:00:00 UTC"
    course.file_away("ada", "lesson", b"second", "")
    assert stamp.read_bytes() == b"2024-05-01 12:00:00 UTC"
    course.file_away("ada", "lesson", b"second", "2024-05-02 12:00:00 UTC")
    assert stamp.read_bytes() == b"2024-05-02 12:00:00 UTC"


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # of nbgrader's own doing
def test_a_late_penalty_takes_points_down_to_none(course):
    penalties = {"ada": 0, "bob": 2, "cleo": 3, "dan": 5}
    with course.gradebook() as gradebook:
        gradebook.add_assignment("lesson")
        gradebook.add_notebook("lesson", "lesson")
        gradebook.add_grade_cell("check", "lesson", "lesson", max_score=4, cell_type="code")
        for student, penalty in penalties.items():
            gradebook.add_student(student)
            gradebook.add_submission("lesson", student)
            gradebook.find_grade("check", "lesson", "lesson", student).manual_score = 3
            gradebook.find_submission_notebook("lesson", "lesson", student).late_submission_penalty = penalty
        gradebook.db.commit()
    rows = {row["student_id"]: row for row in course.table()}
    assert {student: row["late_submission_penalty"] for student, row in rows.items()} == penalties
    assert {student: row["score"] for student, row in rows.items()} == {"ada": 3, "bob": 1, "cleo": 0, "dan": 0}
    assert {(row["assignment"], row["raw_score"], row["max_score"]) for row in rows.values()} == {("lesson", 3, 4)}
