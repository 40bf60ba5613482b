"""Calls what reads a stranger's file in a child process of its own, so that a file can take no more than that."""

import ctypes
import json
import os
import resource
import select
import signal
import time
import warnings
from contextlib import suppress

PDEATHSIG = 1
MEMORY = 2**31  # bytes: a small file can describe a giant
SECONDS = 20  # of the processor; of the clock, PATIENCE times as many
PATIENCE = 6
MAX_RESULT = 2**28  # bytes


class OverLimit(Exception):
    """The call took too much time or memory; str() says which."""


def limited(function, *arguments, seconds=SECONDS, memory=MEMORY):
    """What function(*arguments) returns, which JSON must hold.

    Raises OverLimit; RuntimeError for what is no fault of the file's.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child only computes
        child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, function, arguments, seconds, memory)
    os.close(writer)
    try:
        said = _read(reader, time.monotonic() + PATIENCE * seconds)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    try:
        outcome, value = json.loads(said)
    except ValueError:
        if os.waitstatus_to_exitcode(status) == -signal.SIGXCPU or usage.ru_utime + usage.ru_stime > seconds / 2:
            raise OverLimit("takes too long to be read") from None
        outcome, value = "error", "the process that read the file was lost"
    if outcome == "memory":
        raise OverLimit("takes too much memory to be read")
    if outcome == "error":
        raise RuntimeError(value)
    return value


def _answer(writer, function, arguments, seconds, memory):
    """In the child: writes what came of it as JSON, and ends."""
    try:
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)  # else it keeps the sockets of a parent that was killed
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        for name, most in (("AS", now + memory), ("CPU", seconds), ("CORE", 0)):
            _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, hard))
        try:
            said = json.dumps(["value", function(*arguments)])
        except MemoryError:
            said = json.dumps(["memory", ""])
        except Exception as error:
            said = json.dumps(["error", f"{type(error).__name__}: {error}"])
        with open(writer, "wb") as file:
            file.write(said.encode())
    finally:
        os._exit(0)  # whatever came of it, nothing of ours may run twice


def _read(reader, deadline):
    """All that comes; b"" if it does not end in time or has no end."""
    parts, size = [], 0
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        part = os.read(reader, 2**20)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MAX_RESULT:
            break
    return b""
