"""`make bench`: a class graded by `pgcourse grade` beside a sample of it graded by plain `nbgrader autograde`.

CPU seconds of the whole machine, because a jail's processes are nobody's children: leave it alone meanwhile. Start-up
is counted on both sides.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pgcourse.publishing.course import make_course

TESTS = Path(__file__).parents[1] / "tests"
PROGRAMS = Path(sys.executable).parent
PLAIN = """
from nbgrader.converters import Autograde

c.Autograde.autograde_preprocessors = Autograde.autograde_preprocessors.default()
c.Autograde.sanitize_preprocessors = Autograde.sanitize_preprocessors.default()
"""


def measured(command, folder):
    """(CPU seconds, seconds) of a command that has to succeed."""
    before, started = psutil.cpu_times(), time.monotonic()
    environment = os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        sys.exit(done.stderr.decode()[-3000:])
    after = psutil.cpu_times()
    busy = ("user", "nice", "system", "irq", "softirq")
    return sum(getattr(after, kind) - getattr(before, kind) for kind in busy), time.monotonic() - started


def compare(count=200, sample=12):
    """(what, peer, our CPU seconds for a submission, theirs)."""
    sys.path.insert(0, str(TESTS))
    from classes import ANSWERS, NAME, hand_in

    with tempfile.TemporaryDirectory(prefix="pgcourse-bench-") as place:
        folder = Path(place)
        make_course(folder / "ours")
        shutil.copytree(folder / "ours", folder / "plain")
        with open(folder / "plain/nbgrader_config.py", "a") as file:
            file.write(PLAIN)
        hand_in(folder / "submitted", count)
        for number in range(
            sample
        ):  # as many of each kind of answer as the class has; nothing hostile, nothing endless
            student = f"student-{number * len(ANSWERS) // sample + number // len(ANSWERS) * len(ANSWERS):03}"
            shutil.copytree(folder / "submitted" / student, folder / "plain/submitted" / student, dirs_exist_ok=True)
        sample = len(list((folder / "plain/submitted").iterdir()))
        command = [PROGRAMS / "pgcourse", "grade", folder / "submitted", "--out", folder / "out", "--course", "ours"]
        ours, seconds = measured(command, folder)
        plain, slow = measured([PROGRAMS / "nbgrader", "autograde", NAME], folder / "plain")
    rates = f"{60 * count / seconds:.0f} a minute, plain {60 * sample / slow:.0f}"
    return f"a class of {count}, each ({rates})", "plain nbgrader autograde", ours / count, plain / sample
