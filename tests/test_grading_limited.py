"""A stranger's file is read in a process of its own: what it costs, it costs that one."""

import json
import os
import signal
import time
import zipfile
from contextlib import suppress

import pytest
from submissions import lesson

from pgcourse.grading import collect, systems
from pgcourse.grading.limited import OverLimit, limited
from pgcourse.grading.names import is_prose, names
from pgcourse.grading.submission import reassemble


def test_what_comes_back_is_what_was_returned():
    assert limited(lambda *given: {"given": given}, 1, "é" * 10**6) == {"given": [1, "é" * 10**6]}
    assert limited(os.getpid) != os.getpid()


def test_time_and_memory_have_limits():
    def loop():
        while True:
            pass

    started = time.monotonic()
    with pytest.raises(OverLimit, match="too long"):
        limited(loop, seconds=1)
    assert time.monotonic() - started < 5
    with pytest.raises(OverLimit, match="too much memory"):
        limited(bytearray, 2**30, memory=2**28)


@pytest.mark.parametrize("fault", [lambda: 1 / 0, lambda: os.kill(os.getpid(), signal.SIGKILL), object])
def test_what_is_no_fault_of_the_files_is_an_error(fault):
    """A submission that was refused because of it would have 0."""
    with pytest.raises(RuntimeError):
        limited(fault)


def test_a_child_that_waits_for_ever_is_an_error(monkeypatch):
    monkeypatch.setattr("pgcourse.grading.limited.PATIENCE", 0.5)
    with pytest.raises(RuntimeError, match="was lost"):
        limited(time.sleep, 60, seconds=1)


def test_an_old_format_of_44_megabytes_costs_nobody_else():
    """It took a minute of the worker, and no row said so."""
    output = {"output_type": "pyout", "text": ["1"]}
    cell = {"cell_type": "code", "input": ["x"], "language": "python", "outputs": [output]}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell] * 400_000}]}
    data = json.dumps(old).encode()
    started = time.process_time()
    with pytest.raises(OverLimit):
        limited(reassemble, lesson("00_start_here"), data, seconds=2)
    assert time.process_time() - started < 1


def zip_of(path, names, text="x", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name in names:
            file.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("names", "text", "method"),
    [
        ([str(number) + "e\u0301\u0323" * 10_000 for number in range(20)], "x", zipfile.ZIP_DEFLATED),
        (["06" + "_-" * 32_000 + "x.ipynb"], "x", zipfile.ZIP_DEFLATED),
        (["a_1_" * 16_000, "a, b(" * 13_000], "{}", zipfile.ZIP_DEFLATED),
        (["lesson/" * 9_000 + "x.ipynb"], "{}", zipfile.ZIP_DEFLATED),
        ([f"{number}" for number in range(500)], b"\0" * 900_000, zipfile.ZIP_BZIP2),
    ],
)
def test_a_small_zip_takes_no_longer_than_a_file(tmp_path, names, text, method):
    """Signs that belong to a letter, names that a pattern goes through again and again, slow ways to make small."""
    path = zip_of(tmp_path / "x.zip", names, text, method)
    zip_of(tmp_path / "class.zip", ["ada/x.zip"], path.read_bytes())
    for place in (path, tmp_path / "class.zip"):
        started = time.monotonic()
        with suppress(collect.NothingToGrade):
            for one in collect.collect([place], ["06_causality"], tmp_path / place.stem):
                assert len(one.student) <= collect.MAX_NAME
        assert time.monotonic() - started < 15


def test_long_names_stay_those_of_several(tmp_path):
    path = zip_of(tmp_path / "x.zip", [f"{'a' * 400}{end}/06_causality/06_causality.ipynb" for end in "xy"], "{}")
    found = collect.collect([path], ["06_causality"], tmp_path / "scratch")
    assert len({one.student for one in found}) == 2


@pytest.mark.parametrize("source", ["!x\n" * 1500, "%x\nx = 1\n" * 900 + "y = 1\n" * 10_000, "x?\n" * 3000])
def test_a_cell_full_of_ipythons_own_syntax_is_read_in_time(source):
    """Each line of it had the whole cell read again: minutes, and an error at the end."""
    started = time.process_time()
    assert names(source).needs == frozenset()
    assert is_prose(source) in (True, False)
    assert time.process_time() - started < 2
    assert "x" in names("x = 1\n%time y = x\n!ls").binds


def test_names_in_gradescopes_list_that_stand_for_giants_are_nobodys():
    lines = [":a0: &a0 [x, x]", *(f":a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    text = "\n".join([*lines, "submission_1:", "  :submitters:", "  - :name: *a11"])
    started = time.process_time()
    assert systems.gradescope(["submission_1"], text.encode())["submission_1"].student == "submission_1"
    assert time.process_time() - started < 1
