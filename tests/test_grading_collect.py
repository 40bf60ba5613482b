"""What is found in folders and zips: every submission once, under the name of the one who handed it in."""

import io
import os
import stat
import zipfile

import pytest
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from pgcourse.grading import collect, places

LESSONS = ["01_log_gradient_trick", "02_trajectories", "05_gradient_step"]
ONE, TWO, FIVE = LESSONS
DATA = b'{"cells": []}'


@pytest.fixture
def scratch(tmp_path):
    return tmp_path / "scratch"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "submitted"
    folder.mkdir()
    return folder


def put(folder, name, data=DATA):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zipped(path, files, when=(2026, 3, 1, 12, 0, 0)):
    """A zip of {name: bytes, or bytes and a time, or a ready ZipInfo: bytes}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            data, time = data if isinstance(data, tuple) else (data, when)
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, time)
            archive.writestr(info, data)
    return path


def found(places, scratch, **more):
    submissions = collect.collect(places, LESSONS, scratch, **more)
    assert len({(one.student, one.lesson) for one in submissions}) == len(submissions)
    assert all((one.path is None) == (one.refusal is not None) for one in submissions)
    return {(one.student, one.lesson): one for one in submissions}


def kinds(submissions):
    return {place: one.refusal[0] if one.refusal else one.path.read_bytes() for place, one in submissions.items()}


def test_nbgraders_layout(folder, scratch):
    for student in ("ada", "bob"):
        put(folder, f"{student}/{FIVE}/{FIVE}.ipynb", student.encode())
    put(folder, f"ada/{ONE}/{ONE}.ipynb", b"1")
    put(folder, f"ada/{ONE}/notes.txt", b"none")
    put(folder, f"ada/{ONE}/.ipynb_checkpoints/{ONE}-checkpoint.ipynb", b"old")
    submissions = found([folder], scratch)
    assert kinds(submissions) == {("ada", FIVE): b"ada", ("bob", FIVE): b"bob", ("ada", ONE): b"1"}
    assert not any(one.remarks for one in submissions.values())


def test_a_course_folder_means_its_submitted(folder, scratch, tmp_path):
    put(folder, f"ada/{FIVE}/{FIVE}.ipynb")
    put(tmp_path, f"source/{FIVE}/{FIVE}.ipynb")
    put(tmp_path, "nbgrader_config.py", b"c = get_config()")
    assert set(found([tmp_path], scratch)) == {("ada", FIVE)}


def test_a_file_of_another_name_is_taken_if_it_is_the_only_one(folder, scratch):
    put(folder, f"ada/{FIVE}/homework.ipynb", b"one")
    put(folder, f"cyd/{FIVE}/{FIVE} (1).ipynb", b"two")
    put(folder, f"cyd/{FIVE}/scratch.ipynb")
    (folder / "dan" / FIVE).mkdir(parents=True)
    put(folder, "eve/06_unknown/06_unknown.ipynb")
    submissions = found([folder], scratch)
    assert kinds(submissions) == {
        ("ada", FIVE): b"one",
        ("cyd", FIVE): b"two",
        ("dan", FIVE): "no notebook",
        ("eve", "06_unknown"): "unknown lesson",
    }
    assert "homework.ipynb" in submissions["ada", FIVE].remarks[0]
    assert FIVE in submissions["eve", "06_unknown"].refusal[1]


def test_a_file_in_the_students_folder_is_known_by_its_name(folder, scratch):
    put(folder, f"ada/{FIVE}.ipynb", b"1")
    put(folder, f"ada/my {ONE} final.ipynb", b"2")
    put(folder, "ada/notes.ipynb", b"3")
    assert kinds(found([folder], scratch)) == {
        ("ada", FIVE): b"1",
        ("ada", ONE): b"2",
        ("ada", "notes"): "unknown lesson",
    }


def test_links_pipes_and_folders_in_the_place_of_files_are_found_and_not_followed(folder, scratch, tmp_path):
    secret = put(tmp_path, "secret.ipynb", b"LEAK")
    neighbour = put(folder, f"ada/{FIVE}/{FIVE}.ipynb", b"hers")
    for student, target in (("eve", secret), ("eva", neighbour), ("evi", "/proc/self/environ"), ("evo", "nowhere")):
        (folder / student / FIVE).mkdir(parents=True)
        os.symlink(target, folder / student / FIVE / f"{FIVE}.ipynb")
    (folder / "fay").mkdir()
    os.symlink(neighbour.parent, folder / "fay" / FIVE)
    os.symlink(folder / "ada", folder / "gus")
    (folder / "hal" / FIVE).mkdir(parents=True)
    os.mkfifo(folder / "hal" / FIVE / f"{FIVE}.ipynb")
    (folder / "ian" / FIVE / f"{FIVE}.ipynb").mkdir(parents=True)
    submissions = found([folder], scratch)
    assert kinds(submissions) == {
        ("ada", FIVE): b"hers",
        **{(student, FIVE): "link" for student in ("eve", "eva", "evi", "evo", "fay")},
        ("gus", ""): "link",
        ("hal", FIVE): "not a file",
        ("ian", FIVE): "no notebook",
    }


def test_a_giant_is_not_read_and_a_file_that_changed_its_kind_neither(folder, scratch, tmp_path):
    path = put(folder, f"ada/{FIVE}/{FIVE}.ipynb")
    with open(put(folder, f"eve/{FIVE}/{FIVE}.ipynb"), "wb") as file:
        file.truncate(10**12)
    assert kinds(found([folder], scratch)) == {("ada", FIVE): DATA, ("eve", FIVE): "too large"}
    ada = found([folder], scratch)["ada", FIVE]
    assert ada.read() == DATA
    path.rename(folder / "elsewhere")
    for replace in (
        lambda: path.symlink_to(tmp_path / "secret"),
        lambda: os.mkfifo(path),
        lambda: path.write_text("x"),
    ):
        replace()
        with pytest.raises(OSError, match=r"symbolic link|another file"):
            ada.read()
        path.unlink()


def test_a_time_is_read_if_it_is_one(folder, scratch):
    for student, text in (("ada", "2026-03-01 12:00:00 UTC"), ("bob", "now"), ("cyd", ""), ("dan", "9" * 10**6)):
        put(folder, f"{student}/{FIVE}/{FIVE}.ipynb")
        put(folder, f"{student}/{FIVE}/timestamp.txt", text.encode())
    (folder / "eve" / FIVE).mkdir(parents=True)
    put(folder, f"eve/{FIVE}/{FIVE}.ipynb")
    os.symlink("/etc/hostname", folder / "eve" / FIVE / "timestamp.txt")
    times = {student: one.time for (student, _), one in found([folder], scratch).items()}
    assert times == {"ada": "2026-03-01 12:00:00 UTC", "bob": "", "cyd": "", "dan": "", "eve": ""}


@pytest.mark.parametrize(
    "name",
    [
        "Ünï çødé 学生",
        "[ab]*?",
        "a+b",
        "{student_id}",
        "%s",
        "-rf",
        "=1+1",
        "'; DROP TABLE student;--",
        "<b>",
        "a b",
        "~",
    ],
)
def test_odd_names_of_students_stay_as_they_are(folder, scratch, name):
    put(folder, f"{name}/{FIVE}/{FIVE}.ipynb")
    assert set(found([folder], scratch)) == {(name, FIVE)}


@pytest.mark.parametrize("name", ["new\nline", "\x1b[31m", "\u202egnp", " ", ".hidden", "x" * 200, "\udcff", "a\u200b"])
def test_impossible_names_become_possible_and_stay_different(folder, scratch, name):
    put(folder, f"{name}/{FIVE}/{FIVE}.ipynb", b"1")
    put(folder, f"{name}-/{FIVE}/{FIVE}.ipynb", b"2")
    submissions = found([folder], scratch)
    assert sorted(kinds(submissions).values()) == [b"1", b"2"]
    for (student, _), one in submissions.items():
        assert student.isprintable()
        assert student == student.strip()
        assert not student.startswith(".")
        assert 0 < len(student) <= 100
        if one.path.read_bytes() == b"1":
            assert "name was given as" in one.remarks[0]


def test_the_graders_own_folders_may_lie_beside_the_students(folder, scratch):
    put(folder, f"ada/{FIVE}/{FIVE}.ipynb")
    put(folder, f"graded/course/{FIVE}/{FIVE}.ipynb")
    assert set(found([folder], scratch, apart=[folder / "graded"])) == {("ada", FIVE)}


# Zips


@pytest.mark.parametrize("wrapper", ["", "submitted/", "./"])
def test_a_zip_of_nbgraders_layout(tmp_path, scratch, wrapper):
    files = {f"{wrapper}{student}/{FIVE}/{FIVE}.ipynb": student.encode() for student in ("ada", "bob")}
    archive = zipped(tmp_path / "class.zip", files | {f"{wrapper}ada/{FIVE}/timestamp.txt": b"2026-03-01 12:00:00 UTC"})
    submissions = found([archive], scratch)
    assert kinds(submissions) == {("ada", FIVE): b"ada", ("bob", FIVE): b"bob"}
    assert submissions["ada", FIVE].time == "2026-03-01 12:00:00 UTC"


def test_a_zip_of_one_student(tmp_path, scratch):
    archive = zipped(tmp_path / "class.zip", {f"ada/{FIVE}/{FIVE}.ipynb": b"1", f"ada/{ONE}/{ONE}.ipynb": b"2"})
    assert kinds(found([archive], scratch)) == {("ada", FIVE): b"1", ("ada", ONE): b"2"}


def test_moodles_zips(tmp_path, scratch):
    beside = zipped(
        tmp_path / "flat.zip",
        {
            f"Ada Lovelace_101_assignsubmission_file_{FIVE}.ipynb": b"1",
            f"Bob O'Hara_102_assignsubmission_file_{FIVE}-1.ipynb": b"2",
            "Cyd_103_assignsubmission_file_homework.ipynb": b"3",
        },
    )
    assert kinds(found([beside], scratch)) == {
        ("Ada Lovelace_101", FIVE): b"1",
        ("Bob O'Hara_102", FIVE): b"2",
        ("Cyd_103", "homework"): "unknown lesson",
    }
    folders = zipped(
        tmp_path / "folders.zip",
        {
            f"Ada Lovelace_101_assignsubmission_file_/{FIVE}.ipynb": b"1",
            f"Ada Lovelace_101_assignsubmission_file_/{ONE}.ipynb": b"2",
            "Ada Lovelace_101_assignsubmission_onlinetext_/onlinetext.html": b"<p>",
            f"Bob_102_assignsubmission_file/{FIVE}.ipynb": b"3",
        },
    )
    assert kinds(found([folders], scratch / "2")) == {
        ("Ada Lovelace_101", FIVE): b"1",
        ("Ada Lovelace_101", ONE): b"2",
        ("Bob_102", FIVE): b"3",
    }


def test_who_handed_in_something_else_has_a_row(tmp_path, scratch):
    files = {
        f"Ada_101_assignsubmission_file_{FIVE}.ipynb": b"1",
        "Ada_101_assignsubmission_file_data.csv": b"1,2",
        "Ada_101_assignsubmission_onlinetext_/onlinetext.html": b"<p>",
        "Bob_102_assignsubmission_file_essay.pdf": b"%PDF",
        "Cyd_103_assignsubmission_onlinetext_/onlinetext.html": b"<p>",
        "README.txt": b"of the system's",
    }
    submissions = found([zipped(tmp_path / "moodle.zip", files)], scratch)
    assert kinds(submissions) == {
        ("Ada_101", FIVE): b"1",
        ("Bob_102", ""): "no notebook",
        ("Cyd_103", ""): "no notebook",
    }
    assert "essay.pdf" in submissions["Bob_102", ""].refusal[1]
    files = {
        f"submitted/ada/{FIVE}/{FIVE}.ipynb": b"1",
        f"submitted/ada/{FIVE}/notes.txt": b"",
        f"submitted/ada/{ONE}/essay.pdf": b"",
        f"submitted/bob/{FIVE}/essay.pdf": b"",
        "README.txt": b"",
    }
    submissions = found([zipped(tmp_path / "nbgrader.zip", files)], scratch / "2")
    assert kinds(submissions) == {
        ("ada", FIVE): b"1",
        ("ada", ONE): "no notebook",
        ("bob", FIVE): "no notebook",
    }


def test_canvas_zips_and_the_newest_of_several_uploads(tmp_path, scratch):
    late = (2026, 3, 2, 0, 0, 0)
    archive = zipped(
        tmp_path / "submissions.zip",
        {
            f"lovelaceada_201_9001_{FIVE}.ipynb": b"old",
            f"lovelaceada_201_9002_{FIVE}-1.ipynb": b"new",
            f"ohara_LATE_202_9003_{FIVE}.ipynb": (b"late", late),
            f"ohara_202_9004_{FIVE}-7.ipynb": b"early",
        },
    )
    submissions = found([archive], scratch)
    assert kinds(submissions) == {("lovelaceada_201", FIVE): b"new", ("ohara_202", FIVE): b"late"}
    assert "of 2 files" in submissions["lovelaceada_201", FIVE].remarks[0]


def test_an_instructors_own_pattern_comes_first(tmp_path, scratch):
    archive = zipped(tmp_path / "class.zip", {f"ps1_ada_attempt_2026_{FIVE}.ipynb": b"1"})
    settings = Config()
    settings.FileNameCollectorPlugin.named_regexp = r"ps1_(?P<student_id>\w+)_attempt_\d+_(?P<file_id>.+)"
    CourseDirectory(config=settings)
    assert set(found([archive], scratch, settings=settings)) == {("ada", FIVE)}


def test_a_zip_that_a_student_handed_in_is_theirs_whatever_is_in_it(tmp_path, scratch):
    inner = zipped(tmp_path / "inner.zip", {f"Ada_101_assignsubmission_file_/{FIVE}.ipynb": b"forged"}).read_bytes()
    path = zipped(tmp_path / "path.zip", {f"ada/{FIVE}/{FIVE}.ipynb": b"forged"}).read_bytes()
    archive = zipped(
        tmp_path / "class.zip",
        {
            f"Ada_101_assignsubmission_file_{FIVE}.ipynb": b"hers",
            "Eve_666_assignsubmission_file_work.zip": inner,
            "Eva_667_assignsubmission_file_/work.zip": path,
            "Evi_668_assignsubmission_file_work.zip": b"no zip",
            f"Evo_669_assignsubmission_file_/Ada_101_assignsubmission_file_/{FIVE}.ipynb": b"forged",
            f"Evu_670_assignsubmission_file_/ada/{FIVE}/{FIVE}.ipynb": b"forged",
        },
    )
    submissions = found([archive], scratch)
    assert submissions["Ada_101", FIVE].path.read_bytes() == b"hers"
    assert not submissions["Ada_101", FIVE].remarks
    assert {student for student, _ in submissions} == {f"{n}" for n in ("Ada_101", "Eve_666", "Eva_667", "Evi_668")} | {
        "Evo_669",
        "Evu_670",
    }
    assert submissions["Evi_668", "work"].refusal


def test_a_folder_of_a_students_own_making_belongs_to_them(folder, scratch):
    put(folder, f"ada/{FIVE}/{FIVE}.ipynb", b"hers")
    for forged in (f"ada/{FIVE}/{FIVE}.ipynb", f"ada_101_9_{FIVE}.ipynb", f"{FIVE}/ada/{FIVE}/{FIVE}.ipynb"):
        put(folder, f"eve/{forged}", b"forged")
    submissions = found([folder], scratch)
    assert submissions["ada", FIVE].path.read_bytes() == b"hers"
    assert {student for student, _ in submissions} == {"ada", "eve"}


def test_nothing_leaves_the_scratch_folder(tmp_path, scratch):
    link = zipfile.ZipInfo(f"eve/{FIVE}/{FIVE}.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    files = {
        f"ada/{FIVE}/{FIVE}.ipynb": b"hers",
        link: b"/etc/passwd",
        f"../../{FIVE}.ipynb": b"out",
        f"/tmp/pgcourse-escaped/{FIVE}.ipynb": b"out",
        f"C:\\{FIVE}.ipynb": b"out",
        f"..\\{FIVE}.ipynb": b"out",
        f"bob/../ada/{FIVE}/{FIVE}.ipynb": b"forged",
        f"{'x' * 300}/{FIVE}/{FIVE}.ipynb": b"long",
    }
    archive = zipped(tmp_path / "class.zip", files)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    submissions = found([archive], scratch)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and scratch not in path.parents]
    assert {path: path.read_bytes() for path in outside} == before
    assert not os.path.exists("/tmp/pgcourse-escaped")
    assert kinds(submissions)["ada", FIVE] == b"hers"
    assert kinds(submissions)["eve", FIVE] == "link"
    assert sorted(map(str, kinds(submissions).values())).count("unsafe name") == 5
    assert str(b"long") in map(str, kinds(submissions).values())


def test_a_bomb_does_not_go_off(tmp_path, scratch, monkeypatch):
    monkeypatch.setattr(places, "MAX_FILE", 2**20)
    inner = zipped(tmp_path / "inner.zip", {f"{FIVE}.ipynb": b"0" * 2**19, f"{ONE}.ipynb": b"0" * 2**20}).read_bytes()
    archive = zipped(
        tmp_path / "class.zip",
        {
            f"ada/{FIVE}/{FIVE}.ipynb": b"hers",
            f"eve/{FIVE}/{FIVE}.ipynb": b"0" * 2**24,
            f"eva/{FIVE}/work.zip": inner,
        },
    )
    submissions = found([archive], scratch)
    assert kinds(submissions)["ada", FIVE] == b"hers"
    assert kinds(submissions)["eve", FIVE] == "too large"
    assert sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file()) < 2**21


def test_damaged_and_locked_zips(tmp_path, scratch):
    whole = zipped(tmp_path / "class.zip", {f"ada/{FIVE}/{FIVE}.ipynb": DATA * 50, f"bob/{FIVE}/{FIVE}.ipynb": b"his"})
    data = bytearray(whole.read_bytes())
    data[80] ^= 0xFF
    whole.write_bytes(data)
    assert kinds(found([whole], scratch)) == {("ada", FIVE): "not a notebook", ("bob", FIVE): b"his"}
    cut = tmp_path / "cut.zip"
    cut.write_bytes(data[:60])
    with pytest.raises(collect.NothingToGrade, match=r"cut\.zip is no zip"):
        found([cut], scratch)
    locked = bytearray(whole.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = -1
        while (position := locked.find(mark, position + 1)) >= 0:
            locked[position + at] |= 1
    whole.write_bytes(locked)
    assert set(kinds(found([whole], scratch / "2")).values()) == {"not a notebook"}


def test_where_there_is_nothing_it_says_what_was_expected(folder, scratch, tmp_path):
    with pytest.raises(collect.NothingToGrade, match=r"STUDENT/LESSON/LESSON\.ipynb"):
        found([folder], scratch)
    with pytest.raises(collect.NothingToGrade, match="neither a folder nor a zip"):
        found([tmp_path / "missing"], scratch)
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    put(tmp_path, "empty.zip", empty.getvalue())
    with pytest.raises(collect.NothingToGrade, match="No notebook"):
        found([tmp_path / "empty.zip"], scratch)
