"""The gradebook in PostgreSQL: `make test-doors`, because it needs a server."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from classes import NAME, hand_in, scores, write
from nbgrader.api import Gradebook
from submissions import all_right, lesson

from pgcourse.grading import classroom


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The address of a server of our own, started here; it may not run as root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "missing")]
    assert found[-1].exists(), "PostgreSQL is not installed: on Debian or Ubuntu, apt install postgresql"
    folder = tmp_path_factory.mktemp("postgres")
    as_nobody = []
    if os.getuid() == 0:
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for parent in [folder, *list(folder.parents)[:-2]]:
            os.chmod(parent, 0o755)
        os.chown(folder, 65534, 65534)
    programs = found[-1].parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "cwd": folder, "check": True}
    command = [programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "teacher", "-E", "UTF8", "--no-sync"]
    subprocess.run([*as_nobody, *command], **quiet)
    port = 20000 + os.getpid() % 20000
    server = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-F"]
    process = subprocess.Popen([*as_nobody, *server, "-c", "listen_addresses=127.0.0.1"], stderr=subprocess.DEVNULL)
    try:
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, capture_output=True).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        yield f"postgresql+psycopg://teacher@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def test_the_gradebook_may_be_postgresql(postgres, submitted, course, tmp_path, in_this_process):
    due = hand_in(submitted, 10, special=False)
    (course / "gradebook.db").unlink()
    write(submitted, "Ünï çødé 学生", all_right(lesson(NAME)))
    classroom.grade_class([submitted], tmp_path / "out", course, db=postgres)
    assert scores(tmp_path / "out") == due | {"Ünï çødé 学生": 5}
    assert not (course / "gradebook.db").exists()
    with Gradebook(postgres) as gradebook:
        assert len(gradebook.assignment_submissions(NAME)) == 11
    outcome = classroom.grade_class([submitted], tmp_path / "out", course, db=postgres)
    assert (outcome.collected, outcome.graded) == (11, 0)
    text = (course / "nbgrader_config.py").read_text() + (tmp_path / "out/log.csv").read_text()
    assert "postgresql" not in text
