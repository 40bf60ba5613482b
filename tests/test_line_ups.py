"""Line-ups: all are dealt out, nothing written down beforehand passes, and each working copy has its own draw."""

import importlib
import json

import numpy as np
import pytest

from pgcourse import check, checking
from pgcourse.exercises import EXERCISES
from pgcourse.exercises.line_ups import LETTERS, LINE_UPS, SIZE
from pgcourse.grading.jail import stripped
from pgcourse.judging.verdicts import verdict_on
from pgcourse.publishing.manifest import MARKER
from pgcourse.workspace import progress

JUDGES = [pytest.param(e, id=e.name) for e in EXERCISES.values() if e.line_up]
QUESTIONS = {"convict": ([[1, 2], [-2, 1]], [3, 1]), "acquit_or_convict": ([[1, 4, 1]],)}
DRAWS = range(50)


def catalogue(exercise):
    return importlib.import_module(f"pgcourse.exercises.lesson_{exercise.lesson}.{exercise.name}").CATALOGUE


def guilty(exercise, seed):
    """(LINE_UPS, SIZE) of bool."""
    return np.stack([who for _, who in catalogue(exercise).deal(exercise.cases(seed)[0]["draw"])])


@pytest.mark.parametrize("exercise", JUDGES)
def test_every_draw_deals_out_everybody(exercise):
    known = catalogue(exercise)
    for seed in DRAWS:
        dealt = known.deal(seed)
        assert len(dealt) == LINE_UPS
        assert all(len(suspects) == len(who) == SIZE and 2 <= who.sum() <= 4 for suspects, who in dealt)
        wrong = [s for suspects, who in dealt for s, is_guilty in zip(suspects, who, strict=True) if is_guilty]
        right = [s for suspects, who in dealt for s, is_guilty in zip(suspects, who, strict=True) if not is_guilty]
        assert len(wrong) == len(known.wrong)
        assert set(wrong) == set(known.wrong)
        assert set(right) == set(known.right)


@pytest.mark.parametrize("exercise", JUDGES)
def test_a_right_procedure_passes_in_every_draw_and_a_wrong_one_in_none(exercise):
    for seed in DRAWS:
        assert verdict_on(exercise, exercise.accepts[0], seed).status == "passed"
        for misconception in exercise.misconceptions:
            assert verdict_on(exercise, misconception.wrong, seed).misconception is misconception


@pytest.mark.parametrize("exercise", JUDGES)
def test_what_was_written_down_for_one_draw_fails_in_the_others(exercise):
    """Somebody who asks, to look busy, and then reads last year's verdicts from a list, one line-up after the other."""
    lists = [guilty(exercise, seed) for seed in DRAWS]
    passing = [(one, other) for one in DRAWS for other in DRAWS if one != other and (lists[one] == lists[other]).all()]
    assert passing == []
    first = np.mean([(known[0] == other).all(1).mean() for known in lists for other in lists if other is not known])
    assert first < 0.05  # of line-ups, 1 in 50: there are 15 + 20 + 15 ways to place two to four

    def copied(ask):
        ask(*map(np.array, QUESTIONS[exercise.name]))
        return next(verdicts)

    verdicts = iter(lists[0])
    assert verdict_on(exercise, copied, 1).status == "wrong"


@pytest.mark.parametrize("exercise", JUDGES)
def test_the_message_names_one_suspect_and_does_not_tell_who_is_guilty(exercise):
    with pytest.raises(checking.CheckFailed) as failed:
        check(exercise.misconceptions[-1].wrong, exercise.name)
    assert sum(f"suspect {letter}" in str(failed.value) for letter in LETTERS) == 1
    assert "expected" not in {what for what, _, _ in failed.value.verdict.rows}


@pytest.mark.parametrize("exercise", JUDGES)
def test_each_working_copy_draws_its_own(exercise, tmp_path, monkeypatch):
    said = []
    for name in ("mine", "yours"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / MARKER).write_text("{}")
        monkeypatch.chdir(folder)
        monkeypatch.setattr(progress.secrets, "randbits", lambda bits, name=name: len(name))
        said.append(checking.line_up(exercise.name)(*QUESTIONS[exercise.name]))
        assert json.loads((folder / progress.DRAW).read_text()) == 1 + len(name)
        monkeypatch.setattr(progress.secrets, "randbits", lambda bits: 99)
        assert (checking.line_up(exercise.name)(*QUESTIONS[exercise.name]) == said[-1]).all()  # and keeps it
        check(exercise.accepts[0], exercise.name)
    assert not np.array_equal(*said)


def test_a_copy_that_cannot_be_written_to_has_the_common_draw(tmp_path, monkeypatch):
    (tmp_path / MARKER).write_text("{}")
    (tmp_path / progress.DRAW).mkdir()
    monkeypatch.chdir(tmp_path)
    assert progress.own_draw() == 0


def test_the_check_of_a_copy_plays_the_line_up_that_was_shown(tmp_path, monkeypatch):
    (tmp_path / MARKER).write_text("{}")
    monkeypatch.chdir(tmp_path)
    shown, heard = checking.line_up("convict")(*QUESTIONS["convict"]), []

    def listening(ask):
        heard.append(ask(*map(np.array, QUESTIONS["convict"])))
        return np.zeros(SIZE)

    with pytest.raises(checking.CheckFailed):
        check(listening, "convict")
    np.testing.assert_array_equal(heard[0], shown)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda ask: ask(np.ones((4, 1)), np.ones(4)), "at most 3 trajectories and 3 parameters"),
        (lambda ask: ask(np.ones((2, 1)), np.ones(3)), r"expected \(N, P\) and \(N,\)"),
        (lambda ask: ask(np.ones((2, 1))), "asked with 1 arrays, expected two"),
        (lambda ask: ask(), "asked with 1 arrays, expected two"),
        (lambda ask: ask(np.full((2, 1), 0.5), np.ones(2)), "whole numbers up to ±3"),
        (lambda ask: ask(np.full((2, 1), np.nan), np.ones(2)), "whole numbers up to ±3"),
        (lambda ask: ask("scores", 3), "put a question that cannot be read"),
        (lambda ask: ask(np.random.default_rng().integers(-3, 4, (3, 2)), np.ones(3)), "asks something else each time"),
        (lambda ask: (ask([[1]], [2]), None)[1], "returned None"),
        (lambda ask: ask([[1]], [2]), r"returned an array of shape \(6, 1\) expected \(6,\)"),
        (lambda ask: list("ABCDEF"), "returned text"),
        (lambda ask: np.arange(6), "expected True"),
    ],
)
def test_what_cannot_be_asked_or_answered_is_said(answer, message):
    with pytest.raises(checking.CheckFailed, match=message):
        check(answer, "convict")


def test_a_line_up_says_what_it_does_not_take_and_knows_its_exercises():
    with pytest.raises(ValueError, match="whole numbers"):
        checking.line_up("convict")([[0.5]], [1])
    with pytest.raises(ValueError, match="expected an exercise with suspects"):
        checking.line_up("average")


def test_the_stand_in_of_the_jail_gives_what_has_the_right_shape():
    names = {}
    exec(stripped.CHECKING, names)
    for name, question in QUESTIONS.items():
        assert names["line_up"](name)(*question).shape == checking.line_up(name)(*question).shape


def test_no_suspect_and_no_catalogue_is_in_a_jail():
    files = stripped.stripped_package()
    assert not any("line_ups" in path or "exercises" in path for path in files)
