"""What a hostile student or an unlucky instructor once could do to `pgcourse grade`, and no longer can."""

import base64
import csv
import os
import threading
import time
import zipfile

import nbformat
import pytest
from classes import NAME, write
from submissions import all_right, answered, as_data, graded, lesson

from pgcourse.grading import classroom, collect, exports
from pgcourse.grading.jail.outside import JailDied
from pgcourse.grading.pages import shared


def rows(out):
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(text, attachments=None):
    """Everything right, and this as the answer in words."""
    notebook = all_right(lesson(NAME))
    cell = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == "written-gradient-step")
    cell.source = text
    if attachments:
        cell.attachments = attachments
    return notebook


# Memory of the machine


HIDDEN_MEMORY = {  # each holds some 700 MB, where 320 MB is the limit
    "memfd": """
for number in range(22):
    fd = os.memfd_create(str(number))
    for _ in range(32): os.write(fd, bytes(2**20))
""",
    "System V": """
libc = ctypes.CDLL(None)
libc.shmat.restype, libc.shmdt.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for _ in range(7):
    address = libc.shmat(libc.shmget(0, 10**8, 0o1666), None, 0)
    if address in (None, 2**64 - 1): raise OSError
    ctypes.memset(address, 1, 10**8)
    libc.shmdt(address)
""",
    "not resident": """
for _ in range(3): os.fork()
shared = mmap.mmap(-1, 90 * 2**20)
for number in range(90):
    shared.write(bytes(2**20))
    shared.madvise(mmap.MADV_DONTNEED, number * 2**20, 2**20)
""",
    "sockets": """
for _ in range(3): os.fork()
kept = []
try:
    while True:
        kept += (pair := socket.socketpair())
        for end in pair:
            try: end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10**7)
            except PermissionError: pass
            end.setblocking(False)
            try:
                while True: end.send(bytes(65536))
            except BlockingIOError: pass
except OSError: pass
""",
    "pipes": """
libc = ctypes.CDLL(None)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
kept = []
for _ in range(22):
    huge = mmap.mmap(-1, 34 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    huge.madvise(14)
    start = ctypes.addressof(ctypes.c_char.from_buffer(huge))
    start += -start % 2**21
    kept.append(os.pipe())
    for number in range(16):
        ctypes.memset(start + number * 2**21, 1, 2**21)
        if libc.vmsplice(kept[-1][1], ctypes.byref(Piece(start + number * 2**21, 1)), 1, 2) < 0: raise OSError
    libc.munmap(ctypes.c_void_p(start), 32 * 2**20)
""",
}


@pytest.mark.parametrize("way", HIDDEN_MEMORY)
def test_memory_that_is_in_no_process_counts(warm, way):
    """None of it was in RssAnon or RssShmem, so a submission could take all memory of the machine."""
    source = f"import ctypes, mmap, os, socket, time\n{HIDDEN_MEMORY[way]}\ntime.sleep(1)\nprint('held')"
    with warm.jail() as jail:
        try:
            status, shown = jail.run(source, 4)
        except JailDied as death:
            status, shown = death.kind, ""
        assert status in ("raised", "out of memory"), shown
        assert not any("held" in output.get("text", "") for output in shown if "stream" in output)


# Time (cells that hang when they run again: see test_grading_attacks_on_classes.py)


def test_a_result_of_many_dimensions_is_shown_in_few_words(warm):
    """A message of megabytes, thrice in the result, after seconds of formatting in the judge itself."""
    course = lesson(NAME)
    answer = "def log_likelihood_change(*a):\n    return np.zeros((6,) * 7)"
    result = graded(course, answered(course, log_likelihood_change=answer), warm)
    assert len(result["exercises"][0]["message"]) < 20_000


# One student stops the run


def test_a_formula_that_is_too_deep_stops_nobody(submitted, course, tmp_path, in_this_process):
    r"""$\hat\hat\hat…$ raised RecursionError while the pages were written: no grades.csv for anybody."""
    write(submitted, "ada", all_right(lesson(NAME)))
    write(submitted, "eve", written("$" + r"\hat" * 490 + "x$"))
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert {row["student"]: row["score"] for row in rows(tmp_path / "out")} == {"ada": "5", "eve": "5"}


def test_a_picture_that_is_shown_a_thousand_times_is_not_there_a_thousand_times():
    """4 MB times the 1000 references that fit in a cell, in the instructor's own process: out of memory."""
    picture = {"a": {"image/png": base64.b64encode(os.urandom(300_000)).decode()}}
    assert len(shared.markdown("![](attachment:a)\n" * 300, picture)) < 30 * 2**20


def test_a_name_longer_than_a_file_may_have_stops_nobody(course, tmp_path, in_this_process):
    """100 characters of four bytes are 400 bytes, and a file's name has at most 255."""
    names = ["学" * 100, "🐍" * 90, "." + "🐍" * 62, "ada"]
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        for name in names:
            archive.writestr(f"{name}/{NAME}/{NAME}.ipynb", as_data(all_right(lesson(NAME))))
    outcome = classroom.grade_class([tmp_path / "class.zip"], tmp_path / "out", course)
    assert [row["score"] for row in outcome.rows] == [5] * 4
    assert len(rows(tmp_path / "out")) == 4


def test_a_giant_file_with_nothing_in_it_is_not_read(submitted, course, tmp_path, in_this_process):
    """Files in folders had no limit: a sparse one of 100 GB was read into memory, MemoryError, traceback."""
    write(submitted, "ada", all_right(lesson(NAME)))
    os.truncate(write(submitted, "eve", b""), 10**12)
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert {row["student"]: row["status"] for row in rows(tmp_path / "out")} == {"ada": "passed", "eve": "too large"}


@pytest.mark.parametrize("swap", ["link", "folder", "pipe", "gone"])
def test_what_is_swapped_after_it_was_found_is_not_followed(
    submitted, course, tmp_path, monkeypatch, swap, in_this_process
):
    """A link put in after the scan was followed (a neighbour's answers, any file of the instructor's); a pipe
    made the run wait for ever; a file that was gone stopped it."""
    write(submitted, "ada", all_right(lesson(NAME)))
    path, whole = write(submitted, "eve", b"{}"), classroom._Run.grade

    def swapped(*arguments):
        path.unlink()
        if swap == "link":
            os.symlink(submitted / f"ada/{NAME}/{NAME}.ipynb", path)
        elif swap == "folder":
            path.parent.rmdir()
            os.symlink(submitted / f"ada/{NAME}", path.parent)
        elif swap == "pipe":
            os.mkfifo(path)
            for wait in (3, 6, 9):  # so that who waits for the pipe need not wait for ever
                threading.Timer(wait, lambda: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))).start()
        return whole(*arguments)

    monkeypatch.setattr(classroom._Run, "grade", swapped)
    started = time.monotonic()
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert {row["student"]: row["score"] for row in rows(tmp_path / "out")} == {"ada": "5", "eve": "0"}
    assert time.monotonic() - started < 3 or swap != "pipe"


# One row for each, and one student for each row


def test_a_name_with_two_spaces_has_one_row_also_the_second_time(submitted, course, tmp_path, in_this_process):
    """The log joins spaces, so that the second run knew "Ada  L" under another name, and wrote two rows."""
    write(submitted, "Ada  L", all_right(lesson(NAME)))
    write(submitted, "Ada L", answered(lesson(NAME), predicted_change=True))
    for _ in range(2):
        outcome = classroom.grade_class([submitted], tmp_path / "out", course)
    assert outcome.graded == 0
    assert len(rows(tmp_path / "out")) == 2
    assert len({row["student"] for row in rows(tmp_path / "out")}) == 2
    assert len((tmp_path / "out/log.csv").read_bytes().splitlines()) == 3


def test_nobody_takes_the_name_that_anothers_became(submitted, tmp_path):
    """Whoever is called as an odd name comes out was taken for its owner, and the newer file counted."""
    write(submitted, "Ad\ta", b"hers")
    (one,) = collect.collect([submitted], [NAME], tmp_path / "scratch")
    write(submitted, one.student, b"forged")
    found = {one.student: one.path.read_bytes() for one in collect.collect([submitted], [NAME], tmp_path / "scratch")}
    assert sorted(found.values()) == [b"forged", b"hers"]


def test_a_zip_of_ten_thousand_notebooks_is_one_row(tmp_path):
    """Each became a row, a file in results/ and a line in the log that is forced onto the disk."""
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}.ipynb", b"{}")
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr(f"Ada_101_assignsubmission_file_{NAME}.ipynb", b"hers")
        archive.write(tmp_path / "inner.zip", "Eve_666_assignsubmission_file_work.zip")
    found = collect.collect([tmp_path / "class.zip"], [NAME], tmp_path / "scratch")
    assert [one.student for one in found].count("Eve_666") == 1


def test_a_students_own_timestamp_in_a_zip_of_moodles_does_not_count(tmp_path):
    """Whoever hands in a timestamp.txt besides was never late."""
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr(f"Eve_666_assignsubmission_file_/{NAME}.ipynb", b"1")
        archive.writestr("Eve_666_assignsubmission_file_/timestamp.txt", b"2020-01-01 00:00:00 UTC")
    (one,) = collect.collect([tmp_path / "class.zip"], [NAME], tmp_path / "scratch")
    assert one.time == ""


# What others open


def test_an_attribute_cannot_be_cut_out_of_another_ones_value():
    """Taking ids and classes away by a search left a style of the student's own in the page."""
    html = shared.markdown("""<img title='a class="' alt="b" height="' style=position:fixed;inset:0 z='"> it's""")
    from html.parser import HTMLParser

    names = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: names.extend(name for name, _ in attributes)
    parser.feed(html)
    assert set(names) <= {"title", "alt", "height"}


@pytest.mark.parametrize("start", "=+-@")
def test_a_table_computes_nothing(submitted, course, tmp_path, in_this_process, start):
    """Spreadsheets run a cell that begins so; a file's name is the student's choice, and became a cell."""
    place = submitted / "eve" / f"{start}HYPERLINK(A1)"
    place.mkdir(parents=True)
    (place / "x.ipynb").write_bytes(b"{}")
    write(submitted, f"{start}cmd", all_right(lesson(NAME)))
    classroom.grade_class([submitted], tmp_path / "out", course, export=True)
    for path in (tmp_path / "out/grades.csv", *(tmp_path / "out/export").iterdir()):
        with open(path, encoding="utf-8", newline="") as file:
            assert not any(cell.startswith(start) for line in csv.reader(file) for cell in line), path.name


def test_pages_have_a_size(submitted, course, tmp_path, in_this_process):
    """1000 cells of 100 000 characters, each of up to six bytes in HTML: a page of 600 MB, made in memory."""
    notebook = all_right(lesson(NAME))
    notebook.cells += [nbformat.v4.new_markdown_cell("\u202e" * 100_000) for _ in range(100)]
    write(submitted, "eve", notebook)
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert (tmp_path / f"out/feedback/eve/{NAME}.html").stat().st_size < 20 * 2**20


# The unlucky instructor


def test_two_runs_with_one_course_do_not_enter_at_once(submitted, course, tmp_path, in_this_process, monkeypatch):
    """Only --out was locked; two runs removed each other's .pgcourse-entering, and nbgrader stopped one."""
    write(submitted, "ada", all_right(lesson(NAME)))
    whole, refused = classroom._Run.grade, []

    def meanwhile(*arguments):
        monkeypatch.setattr(classroom._Run, "grade", whole)
        try:
            classroom.grade_class([submitted], tmp_path / "other", course)
        except RuntimeError as error:
            refused.append(str(error))
        return whole(*arguments)

    monkeypatch.setattr(classroom._Run, "grade", meanwhile)
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert "another pgcourse grade" in refused[0]


def test_the_most_points_of_a_lesson_do_not_depend_on_who_was_not_graded(tmp_path):
    """Canvas's "Points Possible" was that of the last student, 0 where the grader had failed there."""

    class Course:
        lessons = (NAME,)

        def table(self):
            return []

    made = [
        {"student": name, "lesson": NAME, "score": 0, "max_score": most, "status": "wrong"}
        for name, most in (("a", 7), ("z", 0))
    ]
    exports.write(tmp_path, made, Course())
    assert "7" in (tmp_path / "canvas.csv").read_text().splitlines()[1]


def test_a_folder_too_high_is_seen_through_or_refused(tmp_path):
    """It made one student of the whole class, with one row."""
    for student in ("ada", "bob"):
        write(tmp_path / "course/submitted", student, b"1")
        write(tmp_path / "week/inner", student, b"1")
    found = collect.collect([tmp_path / "course"], [NAME], tmp_path / "scratch")
    assert [one.student for one in found] == ["ada", "bob"]
    with pytest.raises(collect.NothingToGrade, match=r"in one folder, inner. .* name .*week/inner; .* --from folders"):
        collect.collect([tmp_path / "week"], [NAME], tmp_path / "scratch")


def test_a_zip_without_a_notebook_has_a_row(tmp_path):
    """Who handed in a zip of other files was in no row at all."""
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        archive.writestr("essay.docx", b"")
    with zipfile.ZipFile(tmp_path / "class.zip", "w") as archive:
        archive.writestr(f"Ada_101_assignsubmission_file_{NAME}.ipynb", b"hers")
        archive.write(tmp_path / "inner.zip", f"Eve_666_assignsubmission_file_{NAME}.zip")
    found = collect.collect([tmp_path / "class.zip"], [NAME], tmp_path / "scratch")
    assert {one.student for one in found} == {"Ada_101", "Eve_666"}


def test_a_name_with_brackets_stops_nobody(submitted, course, tmp_path, in_this_process):
    """Nbgrader takes the folder "Eve [x]" for a pattern, finds no notebook, and the run ended there."""
    for student in ("Ada", "Eve [x]", "Zoe"):
        write(submitted, student, all_right(lesson(NAME)))
    classroom.grade_class([submitted], tmp_path / "out", course)
    assert {row["student"]: row["score"] for row in rows(tmp_path / "out")} == {"Ada": "5", "Eve [x]": "5", "Zoe": "5"}
