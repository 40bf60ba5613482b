"""Fingerprints of code, and which students' answers are equal beyond chance."""

import random

import pytest
from submissions import NOTEBOOKS, lesson

from pgcourse.grading.similarity import LONG, fingerprint, known_answers, suspicious
from pgcourse.grading.submission import label

ANSWER = '''
def log_softmax(logits):
    """What it does."""
    shifted = logits - np.max(logits, axis=0)
    return shifted - np.log(sum(np.exp(shifted)))
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("shifted", "moved"),
        ("logits", "x"),
        ("log_softmax", "mine"),
        ('"""What it does."""', "# a comment"),
        ('"""What it does."""', "shifted: float"),
        ("shifted = ", "shifted: float = "),
        ("(logits):", "(logits: list) -> list:"),
        (" - ", "\\\n      -   "),
        ("logits - np.max(logits, axis=0)", "(logits - np.max(logits, axis=0))"),
        ("\ndef", "\n%matplotlib inline\ndef"),
    ],
)
def test_names_remarks_and_layout_do_not_count(before, after):
    changed = ANSWER.replace(before, after)
    assert changed != ANSWER
    assert fingerprint(changed) == fingerprint(ANSWER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("np.exp", "np.expm1"),
        ("np.", "torch."),
        ("sum(", "max("),
        ("axis=0", "axis=1"),
        ("axis=0", "axis=0.0"),
        ("axis=", "out="),
        (" - np.log", " + np.log"),
        ("np.exp(shifted)", "np.exp(logits)"),
        ("def log", "import math\ndef log"),
    ],
)
def test_what_the_code_does_counts(before, after):
    changed = ANSWER.replace(before, after)
    assert changed != ANSWER
    assert fingerprint(changed)[0] != fingerprint(ANSWER)[0]


def test_imports_keep_their_modules_and_lose_their_nicknames():
    nickname, other = "import numpy as np\nnp.log(1)", "import numpy as numbers\nnumbers.log(1)"
    assert fingerprint(nickname) == fingerprint(other) != fingerprint(nickname.replace("numpy", "torch"))


def test_the_size_grows_with_the_code():
    assert 0 < fingerprint("x = 1")[1] < fingerprint("x = 1\ny = x + 1")[1]
    assert fingerprint(ANSWER)[1] == fingerprint(ANSWER.replace("logits", "a_much_longer_name"))[1]


@pytest.mark.parametrize(
    "source",
    [
        "def f(:",
        "\0",
        "x = '\ud800' \ud800",
        "(" * 19_000,
        "[" * 9_000 + "]" * 9_000,
        "-" * 19_000 + "1",
        "1" + "+1" * 9_000,
        "x" + ".a" * 9_000,
        "0x" + "f" * 15_000,
        "x = 1\n" * 20_000,
        "\n".join(" " * depth + "if x:" for depth in range(150)),
    ],
    ids=lambda source: ascii(source[:12]),
)
def test_code_that_does_not_parse_has_none(source):
    assert fingerprint(source) == (None, 0)


def test_code_that_is_deep_but_parses_does_no_harm():
    digest, size = fingerprint("a=" * 9_000 + "1")
    assert len(digest) == 64
    assert size > 9_000
    fingerprint("lambda:" * 2_500 + "1")


def test_the_courses_own_answers_are_known():
    course = lesson("01_log_gradient_trick")
    known = known_answers(course)
    for notebook in (course.source, course.release):
        answers = [c.source for c in notebook.cells if c.cell_type == "code" and label(c).get("solution")]
        assert answers
        assert {fingerprint(answer)[0] for answer in answers} <= known
    assert fingerprint(ANSWER)[0] not in known


def test_every_lesson_of_some_length_has_answers_long_enough_to_tell_something():
    sizes = [
        fingerprint(cell.source)[1]
        for path in NOTEBOOKS.glob("*.ipynb")
        for cell in lesson(path.stem).source.cells
        if cell.cell_type == "code" and label(cell).get("solution")
    ]
    assert sum(size >= LONG for size in sizes) > len(sizes) / 3


# Made-up classes


def classroom(digests, size=LONG):
    """Rows from {student: [digest of each exercise]}."""
    return [
        {
            "student": student,
            "lesson": "06_causality",
            "exercises": [
                {"name": f"exercise_{number}", "fingerprint": digest, "size": size if digest else 0}
                for number, digest in enumerate(own)
            ],
        }
        for student, own in digests.items()
    ]


def independent(count, exercises=4):
    """Students who have nothing in common."""
    return {f"s{n:02}": [f"{n}-{e}" for e in range(exercises)] for n in range(count)}


def test_two_who_share_long_rare_answers_are_named():
    digests = independent(30)
    digests["s03"] = digests["s17"]
    (group,) = suspicious(classroom(digests))
    assert group["students"] == ["s03", "s17"]
    assert group["exercises"] == [("06_causality", f"exercise_{e}", 2) for e in range(4)]
    assert group["score"] == pytest.approx(4 * 4.858, abs=0.01)  # log2(29) each


def test_nobody_is_named_for_little():
    digests = independent(30)
    assert suspicious(classroom(digests)) == []
    digests["s03"] = digests["s17"][:2] + digests["s03"][2:]
    assert suspicious(classroom(digests)) == []
    digests["s03"] = digests["s17"]
    assert suspicious(classroom(digests, LONG - 1)) == []
    assert suspicious(classroom(digests), known=set(digests["s03"][:2])) == []
    assert suspicious(classroom(dict.fromkeys(digests, [None] * 9))) == []
    assert suspicious([]) == []


def test_what_many_wrote_says_nothing():
    digests = independent(40, exercises=30)
    for student in list(digests)[:20]:
        digests[student] = [f"usual-{e}" for e in range(30)]
    assert suspicious(classroom(digests)) == []


def test_three_who_share_are_one_group_and_two_pairs_are_two():
    digests = independent(30)
    digests["s01"] = digests["s02"] = digests["s03"]
    digests["s11"] = digests["s12"]
    found = [group["students"] for group in suspicious(classroom(digests))]
    assert found == [["s11", "s12"], ["s01", "s02", "s03"]]


def test_answers_of_several_lessons_add_up():
    digests = independent(30, exercises=2)
    digests["s03"] = digests["s17"]
    rows = classroom(digests)
    assert suspicious(rows) == []
    more = [row | {"lesson": "07_baselines"} for row in rows]
    (group,) = suspicious(rows + more)
    assert len(group["exercises"]) == 4


def test_honest_classes_are_left_alone():
    """Answers drawn independently, some popular and most not: at most a pair in 2 ** MARGIN classes."""
    named = 0
    for seed in range(100):
        draw = random.Random(seed)
        weights = [1 / rank for rank in range(1, 200)]
        digests = {f"s{n}": draw.choices(range(1, 200), weights, k=6) for n in range(60)}
        named += bool(suspicious(classroom({s: [f"a{d}" for d in own] for s, own in digests.items()})))
    assert named <= 8
