"""What others do with what comes out of grading, and what grading takes from where it happens to stand."""

import csv
import io
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from submissions import a_picture
from traitlets.config import Config

from pgcourse.grading import configure, journal, submission, workers
from pgcourse.grading.jail import wire
from pgcourse.grading.pages import markdown

# Spreadsheets

NAMES = [
    'a;=HYPERLINK("x","y").ipynb',
    "a;=1+1",
    "=1",
    "a\t=1",
    "a\n=1",
    "a,-1",
    "a; @x",
    'a;"=1',
    "a|+1",
    "a;＝1",
    "＠x",
    "−1",
    ";;=1",
    "'=1",
    "a;' =1",
    '"=1',
]


def row_of(name):
    values = {"student": name, "lesson": name, "status": "passed", "reason": f"{name}; {name}", "remarks": []}
    return values | {"score": 1.5, "max_score": 2.0, "seconds": -0.1, "cpu": 0.0, "exercises": []}


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_is_a_formula_whatever_ends_it(tmp_path, name):
    with journal.opened(tmp_path) as book:
        book.note("graded", row_of(name), "key")
    journal.write_grades(tmp_path / "grades.csv", [row_of(name)])
    for path in (tmp_path / "grades.csv", tmp_path / "log.csv"):
        for separator in ",;\t|":
            for line in csv.reader(io.StringIO(path.read_text("utf-8")), delimiter=separator):
                for cell in line:
                    assert (
                        not cell.lstrip(" \"'")
                        or cell[:1] == "'"
                        or cell.lstrip(' "')[0] not in "=+-@＝＠−"
                        or (cell == "-0.1")
                    ), (separator, cell)
    with journal.opened(tmp_path) as book:
        plain = " ".join(name.split())
        assert book.latest == {(plain, plain): "key"}


@pytest.mark.parametrize("name", ["Ada Lovelace", "Jean-Luc d'Arc, Jr.", "O'Neil; B", "a=b", "x (2)", "a, b"])
def test_names_that_are_none_stay_as_they_are(name):
    assert journal.inert(name) == name


# Formgrader


@pytest.mark.parametrize("source", ["match" + " " * 60_000, "x = 1\n" * 10_000, "match" + "\t\n" * 9_000])
def test_no_cell_holds_formgrader(source):
    config = Config()
    configure(config)
    notebook = new_notebook(cells=[new_code_cell(source), new_markdown_cell(source), new_code_cell("x = 'CODE'")])
    started = time.process_time()
    html, _ = HTMLExporter(config=config).from_notebook_node(notebook)
    assert time.process_time() - started < 5
    assert html.count(markdown.NOTE) == 2
    assert "<span class=\"s1\">'CODE'</span>" in html


@pytest.mark.parametrize("link", ["//evil.example", "///evil.example", "/\\evil.example", "/\t/evil.example"])
def test_no_link_leads_elsewhere_without_saying_so(link):
    assert "evil.example" not in markdown.clean_markdown({}, f'<a href="{link}">x</a>')
    assert 'href="../x.html"' in markdown.clean_markdown({}, '<a href="../x.html">x</a>')


# Pictures and names


def png(width, height):
    return b64encode(a_picture(width=width, height=height))


def jpeg(width, height):
    return b64encode(b"\xff\xd8\xff\xe0\0\4ab\xff\xc2\0\x11\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\0" * 20)


@pytest.mark.parametrize(("make", "kind"), [(png, "image/png"), (jpeg, "image/jpeg")])
def test_attached_pictures_are_no_larger_than_shown_ones(make, kind):
    for sizes, count in (((16_000, 16_000), 0), ((5000, 1), 0), ((0, 1), 0), ((800, 600), 1)):
        assert len(submission._pictures({"x": {kind: make(*sizes).decode()}})) == count
    for data in ("", "AAAA", "=", "iVBORw0KGgo", "/9j/", b64encode(b"\xff\xd8" + b"\xff\xe0\0\2" * 9999).decode()):
        assert not submission._pictures({"x": {kind: data}})


def test_a_name_of_a_megabyte_is_garbled():
    entries, blobs = wire.encode({"x" * 10**5: np.ones(1)})
    with pytest.raises(wire.Garbled):
        wire.decode(entries, blobs)


# Where grading stands

HOSTILE = "import sys\nopen('LEAK', 'a').write(__name__ + ' ')\n"
CLUSTER = """
import os, sys
from pgcourse.grading import workers
def main():
    os.chdir(sys.argv[1])
    with workers.cluster(1, 1) as client: print(client.submit(os.getpid).result() > 1)
if __name__ == "__main__": main()
"""


@pytest.fixture
def hostile(tmp_path):
    """A folder of strangers' modules."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("numpy", "gymnasium", "pkgutil", "argparse", "socket", "pickle", "signal", "multiprocessing", "yaml"):
        (folder / f"{name}.py").write_text(HOSTILE)
    return folder


def test_nothing_is_imported_from_where_one_stands(hostile):
    said = subprocess.run([sys.executable, "-m", "pgcourse", "--version"], cwd=hostile, capture_output=True, text=True)
    assert said.stdout.startswith("pgcourse "), said.stderr
    assert not (hostile / "LEAK").exists()


@pytest.mark.processes
def test_workers_import_nothing_from_there_either(hostile, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CLUSTER)
    said = subprocess.run([sys.executable, script, hostile], capture_output=True, text=True, timeout=100)
    assert not (hostile / "LEAK").exists(), (hostile / "LEAK").read_text()
    assert said.stdout == "True\n", said.stderr


def listening(pids):
    """The ports of TCP on which these processes listen."""
    inodes = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                inodes.add(os.readlink(path))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes}


@pytest.mark.processes
def test_nothing_is_told_without_tls():
    with workers.cluster(1, 1) as client:
        assert client.submit(os.getpid).result()
        pids = {os.getpid(), client.submit(os.getpid).result()}
        pids |= {int(Path(f"/proc/{pid}/stat").read_text().split()[3]) for pid in pids - {os.getpid()}}
        ports = listening(pids)
        assert ports
        for port in ports:
            for path in ("/", "/health", "/info/main/workers.html", "/json/counts.json", "/metrics"):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as connection:
                    connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                    assert b" 200 " not in connection.recv(1000).partition(b"\r\n")[0], (port, path)
