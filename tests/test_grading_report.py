"""The page that an instructor reads about a class."""

import re

import pytest
from test_grading_feedback import HOSTILE, Page, assert_harmless, is_in_order

from pgcourse.exercises import EXERCISES
from pgcourse.grading.pages import report
from pgcourse.judging.statuses import Status

NAMES = ("log_softmax", "softmax_score", "exact_bandit_gradient")
MISTAKE = EXERCISES["log_softmax"].misconceptions[0]


def exercise(name="log_softmax", status="passed", **more):
    return {
        "name": name,
        "status": status,
        "points": 2.0,
        "score": 2.0 if status == "passed" else 0.0,
        "message": "" if status == "passed" else "what happened",
        "misconception": None,
        "seconds": 0.1,
        "source": f"def {name}(x):\n    return x",
        "fingerprint": None,
        "size": 0,
        **more,
    }


def row(student="ada", exercises=(), lesson="01_log_gradient_trick", **more):
    exercises = list(exercises)
    return {
        "student": student,
        "lesson": lesson,
        "score": sum(e["score"] for e in exercises),
        "max_score": 6.0,
        "status": "passed",
        "reason": "every check passed",
        "seconds": 30.0,
        "cpu": 12.0,
        "remarks": [],
        "exercises": exercises,
        **more,
    }


def text(rows, **more):
    html = report.page(rows, **more)
    assert_harmless(html)
    assert is_in_order(html)
    return re.sub(r"\s+", " ", Page(html).text)


def test_the_head_counts():
    rows = [
        row("ada", [exercise(name) for name in NAMES]),
        row("ada", [exercise()], lesson="05_gradient_step"),
        row("bob", [exercise(status="timed out")]),
    ]
    found = text(rows, title="Spring <class>")
    for part in ("Spring <class>", "3 submissions", "2 students", "2 lessons", "33 % of the points", "1 to look at"):
        assert part in found
    assert "1.5 minutes" in found


def test_an_empty_class_has_a_report():
    assert "Nothing has been graded." in text([])


def test_a_row_of_a_file_that_could_not_be_graded():
    about = {"status": "not a notebook", "reason": "the file is no notebook", "score": 0.0, "max_score": 0.0}
    found = text([row("noise", [exercise(status="not a notebook", message="the file is no notebook")], **about)])
    assert found == text([row("noise", [], **about)])
    assert "not a notebook: the file is no notebook" in found
    assert "1 to look at" in found
    assert "log_softmax" not in found


@pytest.mark.parametrize(
    ("more", "reasons"),
    [
        ({}, []),
        ({"exercises": [exercise(status="wrong"), exercise(status="raised"), exercise(status="not attempted")]}, []),
        ({"exercises": [exercise(status="timed out")]}, ["log_softmax: timed out"]),
        ({"exercises": [exercise(status="out of memory")]}, ["log_softmax: out of memory"]),
        ({"exercises": [exercise(status="died")]}, ["log_softmax: died"]),
        ({"remarks": ["the cell check-x was edited"]}, ["the cell check-x was edited"]),
        ({"exercises": [], "status": "empty", "reason": "the file is empty"}, ["empty: the file is empty"]),
    ],
)
def test_who_needs_a_look(more, reasons):
    assert report.reasons_to_look(row("ada") | {"exercises": [exercise()]} | more) == reasons


def test_the_hardest_exercise_comes_first():
    outcomes = {"log_softmax": ["passed"] * 3, "softmax_score": ["passed", "shape", "raised"]}
    outcomes["exact_bandit_gradient"] = ["timed out", "not attempted", "not defined"]
    rows = [row(f"s{n}", [exercise(name, outcomes[name][n]) for name in NAMES]) for n in range(3)]
    found = report.exercises(rows)
    assert [e["name"] for e in found] == ["exact_bandit_gradient", "softmax_score", "log_softmax"]
    assert [dict(e["counts"]) for e in found] == [
        {"stopped": 1, "open": 2},
        {"right": 1, "wrong": 1, "raised": 1},
        {"right": 3},
    ]
    assert "1 right · 1 wrong · 1 raised an error" in text(rows)
    widths = [float(w) for w in re.findall(r'style="width: ([\d.]+)%"', report.page(rows))]
    assert sum(widths) == pytest.approx(300, abs=0.1)


def test_every_status_counts_somewhere():
    for status in (status for status in Status if status.outcome != "refused"):
        (found,) = report.exercises([row("ada", [exercise(status=status)])])
        assert found["counts"].total() == 1
        assert set(found["counts"]) <= set(report.OUTCOMES)
        assert ("right" in found["counts"]) == (status == "passed")


def test_scores_fall_into_bins():
    shares = (0, 0.01, 0.2, 0.21, 0.5, 0.8, 0.99, 1.0, 1.2)
    (found,) = report.lessons([row(f"s{n}", score=share * 10, max_score=10) for n, share in enumerate(shares)])
    assert [part["count"] for part in found["bins"]] == [1, 2, 1, 1, 1, 1, 2]
    assert found["median"] == 5
    html = report.page([row("ada", [exercise()])])
    (picture,) = [attributes for tag, attributes in Page(html).elements if tag == "svg"]
    assert picture["role"] == "img"
    assert "≤40: 1, ≤60: 0" in picture["aria-label"]


def test_misconceptions_are_counted_with_hint_and_example():
    made = {"status": "wrong", "misconception": MISTAKE.name}
    rows = [
        row("long", [exercise(**made, source="def log_softmax(x):\n    y = x\n    return y")]),
        row("short", [exercise(**made, source="def log_softmax(EXAMPLE): ...")]),
        row("blank", [exercise(**made, source="")]),
        row("other", [exercise("softmax_score", "wrong", misconception="no longer known", source="OLD")]),
        row("unknown", [exercise(status="wrong")]),
        row("right", [exercise()]),
    ]
    first, second = report.misconceptions(rows)
    assert (first["name"], first["count"], first["hint"], first["author"]) == (MISTAKE.name, 3, MISTAKE.hint, "short")
    assert (second["name"], second["count"], second["hint"]) == ("no longer known", 1, "")
    found = text(rows)
    for part in (MISTAKE.name, MISTAKE.hint, "3 students", "EXAMPLE", "1 wrong answer looks like no mistake"):
        assert part in found


def test_links_lead_to_the_feedback_pages():
    slow = row("Zoë / ?#%", [exercise(status="timed out")])
    html = report.page([slow, row("..", [exercise(status="died")])])
    addresses = Page(html).attributes("href")
    assert set(addresses) == {"feedback/Zo%C3%AB%20%2F%20%3F%23%25/01_log_gradient_trick.html"}
    assert not Page(report.page([slow | {"has_page": False}])).attributes("href")
    assert not Page(report.page([slow], feedback=None)).attributes("href")
    assert Page(report.page([slow], feedback="../pages")).attributes("href")[0].startswith("../pages/Zo")


def test_equal_code_is_shown():
    def answers(student):
        twin = "twin" if student in ("s03", "s04") else student
        return [exercise(f"exercise_{n}", fingerprint=f"{twin}-{n}", size=90) for n in range(5)]

    rows = [row(f"s{n:02}", answers(f"s{n:02}")) for n in range(30)]
    found = text(rows)
    place = found.index("Equal code")
    assert re.search(r"s03 ?s04 ?exercise_0 of 01_log_gradient_trick, written by 2", found[place:])
    assert found[place:].count("written by 2") == 5
    assert "no proof" in found
    known = {f"twin-{n}" for n in range(5)}
    assert "No students have more in common than chance explains." in text(rows, known=known)


def test_the_slowest_are_named():
    found = text([row(f"s{n}", [exercise()], seconds=n) for n in range(20)])
    slowest = found[found.index("The slowest") :]
    assert re.findall(r"s\d+", slowest) == ["s19", "s18", "s17", "s16", "s15"]


def test_tables_and_pictures_can_be_heard():
    html = report.page([row("ada", [exercise(status="timed out")], remarks=["a", "b"])])
    assert html.count("<table") == html.count("<caption")
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in Page(html).elements if tag == "th")


@pytest.mark.parametrize("nasty", HOSTILE, ids=lambda nasty: ascii(nasty[:20]))
def test_nothing_of_a_strangers_runs(nasty):
    strange = exercise(nasty, nasty, message=nasty + "!", misconception=nasty, source=nasty, fingerprint=nasty, size=99)
    rows = [row(nasty, [strange, exercise(status="died")], remarks=[nasty], status="died", reason=nasty)]
    rows += [row("noise", [], lesson=nasty, status=nasty, reason=nasty)]
    assert_harmless(report.page(rows, title=nasty))


def test_a_large_class_is_no_trouble():
    rows = [row(f"s{n}", [exercise(name, fingerprint=f"{n % 40}", size=50) for name in NAMES]) for n in range(1000)]
    assert "1000 students" in text(rows)
