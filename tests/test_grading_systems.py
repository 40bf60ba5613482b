"""Whose a file is in what learning systems give: every shape as the system writes it, and as somebody forges it.

The shapes are of the systems' own code where that is public; docs/teaching.md names the sources.
"""

import os
import tempfile
import zipfile
from unicodedata import normalize

import pytest

from pgcourse import cli
from pgcourse.grading import collect, systems

FIVE, TEN = "05_gradient_step", "10_making_it_work"
LESSONS = [FIVE, "06_causality", TEN]
FILE = f"{FIVE}.ipynb"
NOTEBOOK = b'{"cells": []}'
YAML = """---
submission_11:
  :submitters:
  - :name: Ada
    :sid: '4711'
    :email: ada@example.edu
  - :name: Bob
    :email: bob@example.edu
  :created_at: 2026-03-01 12:00:00.861687000 Z
  :results:
    output: 'Don''t worry.

'
  :history: []
...
submission_12:
  :submitters:
  - :sid: 4712
submission_13:
  :submitters: []
"""


@pytest.fixture
def place(tmp_path):
    """Makes a zip, or with a name that ends in / a folder, of names, or of {name: bytes}."""

    def make(names, archive="class.zip"):
        files = (
            names if isinstance(names, dict) else {n: NOTEBOOK if "ipynb" in n or "." not in n else b"" for n in names}
        )
        if archive.endswith("/"):
            for name, data in files.items():
                path = tmp_path / archive / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        else:
            with zipfile.ZipFile(tmp_path / archive, "w") as file:
                for name, data in files.items():
                    file.writestr(name, data)
        return tmp_path / archive

    return make


@pytest.fixture
def found(place, tmp_path):
    def find(names, archive="class.zip", **more):
        made = place(names, archive)
        return {
            (one.student, one.lesson): one
            for one in collect.collect([made], LESSONS, tempfile.mkdtemp(dir=tmp_path), **more)
        }

    return find


def students(submissions):
    return sorted(student for student, _ in submissions)


SHAPES = {
    "moodle, folders": (
        [f"Ada L_11_assignsubmission_file/{FILE}", f"Ada L_12_assignsubmission_file_/my work/{FILE}"],
        ["Ada L_11", "Ada L_12"],
    ),
    "moodle, flat": (
        [f"Ada L_11_assignsubmission_file_{FILE}", f"Bob_12_assignsubmission_file_x_9_assignsubmission_file_{FILE}"],
        ["Ada L_11", "Bob_12_assignsubmission_file_x_9"],
    ),
    "moodle, groups": (
        [f"Team_7_assignsubmission_file/{FILE}", f"Default group_assignsubmission_file/{FILE}"],
        ["Default group", "Team_7"],
    ),
    "canvas": (
        [f"adal_LATE_11_901_{FILE}", f"o_neilzoë_12_902_{TEN}-1.ipynb", "curie_13_text.html", "eve_14_903_essay.pdf"],
        ["adal_11", "curie_13", "eve_14", "o_neilzoë_12"],
    ),
    "canvas, a name that ends in a number": (
        [f"adal_77_90210_{FILE}", "adal_77_815_90333_work.ipynb"],
        ["adal_77", "adal_77_815"],
    ),
    "canvas, anonymous": (
        [f"anon_x7Qf2_901_{FILE}", f"LATE_anon_Bd93k_902_{FILE}"],
        ["anon_Bd93k", "anon_x7Qf2"],
    ),
    "blackboard": (
        [
            f"Lesson_5_jdoe_attempt_2026-03-01-10-00-00_{FILE}",
            f"Lesson_5_k_lee_attempt_2026-03-01-10-00-00_my_attempt_{FILE}",
            "Lesson_5_jdoe_attempt_2026-03-01-10-00-00.txt",
            "Lesson_5_mnoor_attempt_2026-03-01-10-00-00.txt",
        ],
        ["jdoe", "k_lee", "mnoor"],
    ),
    "brightspace, folders": (
        [
            "index.html",
            f"101-9 - Ada L - Mar 1, 2026 231 PM/{FILE}",
            f"102-9 - Ada L - Mar 1, 2026 1231 PM/{FILE}",
            f"103-9 - Group 2 - Jo - Mar 1, 2026 900 AM/{FILE}",
        ],
        ["Ada L_101", "Ada L_102", "Group 2 - Jo_103"],
    ),
    "brightspace, flat": (
        [f"101-9 - Ada L - May 6, 2020 231 PM - my - {FILE}", f"102-9 - Bo - 6 mai 2020 14 h 31 - {FILE}"],
        ["Ada L_101", "Bo_102"],
    ),
    "ilias": (
        [f"Blatt 5/Abgaben/Lovelace_Ada_al2_11/{FILE}", f"Blatt 5/Abgaben/Team 8/Au_von_x_12/{FILE}", "Blatt 5/B.xlsx"],
        ["Lovelace_Ada_al2_11", "Team 8"],
    ),
    "sakai": (
        [
            f"Lesson 5/Lovelace, Ada(al17)/Submission attachment(s)/{FILE}",
            f"Lesson 5/Chan, Mei(mc9)/Submission attachment(s)/{FILE}",
            "Lesson 5/grades.csv",
        ],
        ["Chan, Mei(mc9)", "Lovelace, Ada(al17)"],
    ),
    "github, a clone": (
        [f"lesson-5-submissions/lesson-5-ada-l/{FILE}", f"lesson-5-submissions/lesson-5-gh7/{FILE}"],
        ["ada-l", "gh7"],
    ),
    "github, the assistant": (
        [f"Lesson 5-03-01-2026-10-00-00/ada-l/{FILE}", f"Lesson 5-03-01-2026-10-00-00/gh7/{FILE}"],
        ["ada-l", "gh7"],
    ),
    "around everything": ([f"week 3/submissions/{name}/{FILE}" for name in ("ada", "bob")], ["ada", "bob"]),
    "nbgrader's, in its folder": ([f"nbgrader course/submitted/ada/{FIVE}/{FILE}"], ["ada"]),
    "by lesson": (
        [f"{lesson}/{name}/work.ipynb" for name in ("ada", "bob") for lesson in LESSONS[:2]],
        ["ada"] * 2 + ["bob"] * 2,
    ),
    "one student's edition": ([FILE, f"{TEN}.ipynb"], ["class", "class"]),
    "one student's course": ([f"{FIVE}/{FILE}", f"{TEN}/{TEN}.ipynb"], ["class", "class"]),
    "canvas, in a folder": (
        [f"download/submissions/adal_11_901_{FILE}", f"download/submissions/bo_12_902_{FILE}"],
        ["adal_11", "bo_12"],
    ),
    "moodle, flat, in a folder": (
        [f"week 3/Ada_11_assignsubmission_file_{FILE}", f"week 3/Bob_12_assignsubmission_file_{FILE}"],
        ["Ada_11", "Bob_12"],
    ),
    "sections": (
        [f"HW5/section 1/{name}/{FILE}" for name in ("ada", "bob")] + [f"HW5/section 2/cyd/{FILE}"],
        ["ada", "bob", "cyd"],
    ),
    "one name in two forms": (
        [f"{normalize(form, 'José')}/{name}.ipynb" for form, name in (("NFC", FIVE), ("NFD", TEN))],
        ["José", "José"],
    ),
    "what systems leave": (
        [
            f"ada/{FILE}",
            f"ada/.ipynb_checkpoints/{FIVE}-checkpoint.ipynb",
            f"ada/.git/refs/{FILE}",
            f"__MACOSX/ada/._{FILE}",
            f"ada/._{FILE}",
            f"ada/@eaDir/{FILE}/thumb.png",
            ".DS_Store",
            "Thumbs.db",
        ],
        ["ada"],
    ),
}


@pytest.mark.parametrize("archive", ["class.zip", "class/"])
@pytest.mark.parametrize("shape", SHAPES)
def test_everybody_is_found_under_the_own_name(found, shape, archive):
    names, due = SHAPES[shape]
    submissions = found(names, archive)
    assert students(submissions) == due
    assert all(one.refusal or one.path for one in submissions.values())


def test_gradescope_says_in_a_file_whose_a_folder_is(found):
    names = {f"assignment_9_export/submission_{n}/src/{FILE}": NOTEBOOK for n in (11, 12, 13)}
    submissions = found(names | {"assignment_9_export/submission_metadata.yml": YAML.encode()})
    assert students(submissions) == ["4711", "4712", "bob@example.edu", "submission_13"]
    assert submissions["4711", FIVE].time == "2026-03-01 12:00:00 UTC"
    assert "handed in together with bob@example.edu" in submissions["4711", FIVE].remarks
    forged = YAML + "submission_12:\n  :submitters:\n  - :sid: '4711'\n"
    entries = systems.gradescope(["submission_11", "submission_12"], metadata=forged.encode())
    assert [entry.student for entry in entries.values()] == ["4711", "submission_12"], "twice: whose, is not known"
    assert systems.gradescope(["submission_11"], metadata=b"\xff: [")["submission_11"].student == "submission_11"


def test_times_and_lateness_are_not_thrown_away(found, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    for number, (names, time) in enumerate(
        [
            (["L_jdoe_attempt_2026-03-01-10-20-30_" + FILE], "2026-03-01 10:20:30+00:00"),
            (["101-9 - Ada - Mar 1, 2026 231 PM/" + FILE], "2026-03-01 14:31:00+00:00"),
            (["101-9 - Ada - Mar 1, 2026 1205 AM/" + FILE], "2026-03-01 00:05:00+00:00"),
        ]
    ):
        (one,) = found(names, f"{number}.zip").values()
        assert one.time == time
    sakai = {
        f"Lesson 5/L, Ada(al)/A/{FILE}": NOTEBOOK,
        "Lesson 5/L, Ada(al)/timestamp.txt": b"2026-03-01T10:00:00Z",
    }
    (one,) = found(sakai, "sakai.zip").values()
    assert one.time == "2026-03-01T10:00:00Z"
    for names in ([f"adal_LATE_11_901_{FILE}"], [f"Abgaben/L_A_al_11/Verspätete Abgabe - {FILE}"]):
        (one,) = found(names, f"{names[0][:4]}.zip").values()
        assert systems.LATE in one.remarks


def test_of_several_attempts_the_newest_counts_by_the_systems_clock(found):
    times = ("Mar 9, 2026 940 AM", "Mar 10, 2026 1231 PM")
    submissions = found({f"101-9 - Ada - {time}/{FILE}": time.encode() for time in times})
    assert [one.path.read_bytes() for one in submissions.values()] == [times[1].encode()]


# Whose it is, is never chosen by whoever hands it in


FORGED = {
    "a display name of Moodle's": f"Ada_11_assignsubmission_file__77_assignsubmission_file/{FILE}",
    "a file name of Moodle's": f"Eve_77_assignsubmission_file_Ada_11_assignsubmission_file_{FILE}",
    "a folder in a folder": f"Eve_77_assignsubmission_file/Ada_11_assignsubmission_file/{FILE}",
}


@pytest.mark.parametrize("way", FORGED)
def test_nobody_hands_in_for_another(found, way):
    hers = f"Ada_11_assignsubmission_file{'_' if '.ipynb' in FORGED[way].split('/')[0] else '/'}{FILE}"
    submissions = found({hers: b"hers", FORGED[way]: b"forged"})
    assert submissions["Ada_11", FIVE].path.read_bytes() == b"hers"
    assert not submissions["Ada_11", FIVE].remarks
    assert len(submissions) == 2


@pytest.mark.parametrize(
    ("hers", "forged"),
    [
        (f"adal_77_90210_{FILE}", "adal_77_815_90333_x.ipynb"),
        (f"adal_77_90210_{FILE}", f"eve_66_90333_adal_77_90210_{FILE}"),
        (
            f"101-9 - Ada - Mar 1, 2026 231 PM/{FILE}",
            f"66-9 - Eve - Mar 2, 2026 900 AM/101-9 - Ada - Mar 2, 2026 231 PM/{FILE}",
        ),
        (f"101-9 - Ada - Mar 1, 2026 231 PM - {FILE}", f"66-9 - Ada - Mar 2, 2026 231 PM - 101-9 - Ada - {FILE}"),
        (
            f"L_ada_attempt_2026-03-01-10-00-00_{FILE}",
            f"L_eve_attempt_2026-03-01-10-00-00_ada_attempt_2026-03-02-10-00-00_{FILE}",
        ),
        (f"ada/{FILE}", f"eve/ada/{FILE}"),
        (f"ada/{FIVE}/{FILE}", f"eve/submitted/ada/{FIVE}/{FILE}"),
    ],
)
def test_nobody_hands_in_for_another_in_other_systems(found, hers, forged):
    alone = found({hers: b"hers"}, "alone.zip")
    submissions = found({hers: b"hers", forged: b"forged"})
    assert len(submissions) == 2
    for place, one in alone.items():
        assert submissions[place].path.read_bytes() == b"hers"
        assert submissions[place].remarks == one.remarks


def test_alone_in_an_archive_a_student_is_no_class(found):
    """Whoever hands in folders of others would have handed in for them all."""
    with pytest.raises(
        collect.NothingToGrade, match=r"in one folder, eve\. .* name .*class.zip/eve; .* --from folders"
    ):
        found([f"eve/ada/{FILE}", f"eve/bob/{FILE}"])
    assert students(found([f"eve/ada/{FILE}", f"eve/bob/{FILE}"], system="folders")) == ["eve"]


def test_a_name_that_two_systems_may_have_given_is_asked_for(found):
    name = f"eve_66_90333_x_ada_attempt_2026-03-01-10-00-00_{FILE}"
    with pytest.raises(collect.NothingToGrade, match="--from blackboard or --from canvas"):
        found([name])
    assert students(found([name], system="canvas")) == ["eve_66"]


ASKED = {
    "flat, in a folder of any name": ([f"eve/adal_11_901_{FILE}", f"eve/bo_12_902_{FILE}"], "in one folder, eve"),
    "a section's name twice": ([f"week {n}/ada/{FILE}" for n in (1, 2)], "same names are in several"),
    "two folders of classes": (
        [f"{a}/{b}/{FILE}" for a in ("x", "y") for b in ("ada", "bob")],
        "same names are in several",
    ),
    "files of any name": ([f"ada_{FILE}", "bob.ipynb"], "--from files"),
    "files of any name by lesson": ([f"{FIVE}/ada.ipynb", f"{FIVE}/bob.ipynb"], "--from files"),
    "one of canvas's and a stray": ([f"adal_11_901_{FILE}", f"bo_12_902_{FILE}", "dora.ipynb"], "as canvas gives them"),
}


@pytest.mark.parametrize("way", ASKED)
def test_nothing_is_guessed(found, way):
    names, question = ASKED[way]
    with pytest.raises(collect.NothingToGrade, match=question):
        found(names)


def test_what_the_instructor_says_is_done(found):
    named = found([f"ada_{FILE}", f"{FIVE} - bob (1).ipynb"], system="files")
    assert students(named) == ["ada", "bob"]
    assert set(found([f"{FIVE}/ada.ipynb", f"{TEN}/ada.ipynb"], system="files")) == {("ada", FIVE), ("ada", TEN)}
    mixed = [f"late ones/{n}_assignsubmission_file/{FILE}" for n in ("Bob_12", "Cyd_13")]
    assert students(found([f"Ada_11_assignsubmission_file/{FILE}", *mixed], system="moodle")) == [
        "Ada_11",
        "Bob_12",
        "Cyd_13",
    ]
    stray = found([f"adal_11_901_{FILE}", f"bo_12_902_{FILE}", f"dora/{FILE}"], system="canvas")
    assert students(stray) == ["adal_11", "bo_12", "dora"]


def test_names_of_two_kinds_are_asked_for(found):
    with pytest.raises(collect.NothingToGrade, match="some names are as moodle gives them and some are not, ada"):
        found([f"Bob_12_assignsubmission_file/{FILE}", f"ada/{FILE}"])


def test_a_system_that_named_nothing_of_it_is_refused(found):
    with pytest.raises(collect.NothingToGrade, match="no name in it is as canvas gives them"):
        found([f"ada/{FILE}"], system="canvas")


def test_a_folder_within_a_zip_may_be_named(place, tmp_path):
    made = place([f"eve/ada/{FILE}", f"eve/bob/{FILE}"])
    assert [one.student for one in collect.collect([made / "eve"], LESSONS, tmp_path / "s")] == ["ada", "bob"]
    with pytest.raises(collect.NothingToGrade, match="holds no folder adam"):
        collect.collect([made / "adam"], LESSONS, tmp_path / "s2")


def test_an_unknown_system_is_named(tmp_path, capsys):
    assert cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "out"), "--from", "teams"]) == 1
    assert "no system teams, expected one of moodle" in capsys.readouterr().err


# Which of several, and nothing without a row


def looking(one):
    """What `Course.look` finds, by the first letter of the file."""
    return {b"5": {FIVE: 2}, b"0": {FIVE: 0}}.get(one.read()[:1], {})


def test_the_newest_with_answers_counts_and_the_others_are_named(found, tmp_path):
    for name, text in ((FILE, b"0 blank"), (f"{FIVE}-Copy1.ipynb", b"5 copy"), (f"{FIVE} (1).ipynb", b"5 older")):
        (tmp_path / "in/ada").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in/ada" / name).write_bytes(text)
        age = {b"0": 0, b"5": 100}[text[:1]] + 100 * text.endswith(b"older")
        os.utime(tmp_path / "in/ada" / name, (1e9 - age, 1e9 - age))
    (one,) = collect.collect([tmp_path / "in"], LESSONS, tmp_path / "s", look=looking)
    assert one.path.read_bytes() == b"5 copy"
    assert one.remarks[-1].startswith(
        f"of 3 files for this lesson the newest with answers counts, ada/{FIVE}-Copy1.ipynb"
    )


def test_the_lesson_is_what_is_in_it_where_no_name_says_it(found):
    names = {"ada/final_v2.ipynb": b"5", "bob/Lesson5": NOTEBOOK, "cyd/x.ipynb": b"?"}
    submissions = found(names, look=looking)
    assert set(submissions) == {("ada", FIVE), ("bob", "Lesson5"), ("cyd", "x")}


@pytest.mark.parametrize("name", [f"{FIVE}.IPYNB", f"{FILE}.txt", f"{FILE}.json", FIVE, f"{FIVE}.json"])
def test_a_notebook_of_another_extension_is_one(found, name):
    (one,) = found({f"ada/{name}": NOTEBOOK}).values()
    assert (one.lesson, one.refusal) == (FIVE, None)


@pytest.mark.parametrize("archive", ["class.zip", "class/"])
def test_everybody_has_a_row_with_a_reason(found, archive):
    names = {
        f"ada/{FIVE}/{FILE}": NOTEBOOK,
        f"bob/{FIVE}/timestamp.txt": b"2026-03-01 12:00:00 UTC",
        f"bob/{FIVE}/{FIVE}.html": b"<p>",
        "cyd/essay.pdf": b"%PDF",
        f"dan/{FIVE}/work.tar.gz": b"\x1f\x8b",
        "eve/data.json": b'{"a": 1}',
    }
    submissions = found(names, archive)
    refused = {place: one.refusal[1] for place, one in submissions.items() if one.refusal}
    assert refused == {
        ("bob", FIVE): f"there is {FIVE}.html, and no notebook",
        ("cyd", ""): "there is essay.pdf, and no notebook",
        ("dan", FIVE): "there is work.tar.gz, and no notebook",
        ("eve", ""): "there is data.json, and no notebook",
    }


def test_a_zip_of_ones_own_is_opened_in_a_folder_as_well(place, found, tmp_path):
    inner = place([FILE, f"deep/{TEN}.ipynb"], "inner.zip").read_bytes()
    submissions = found({"ada/work.zip": inner, "bob.zip": inner}, "class/")
    assert set(submissions) == {(name, lesson) for name in ("ada", "bob") for lesson in (FIVE, TEN)}
