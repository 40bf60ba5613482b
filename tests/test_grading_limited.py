"""A stranger's file is read in a process of its own: what it costs, it costs that one."""

import json
import os
import signal
import time

import pytest
from submissions import lesson

from pgcourse.grading.limited import OverLimit, limited
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
