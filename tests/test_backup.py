"""Work and progress in a zip: what goes in, what comes back, and what a zip may not do."""

import io
import json
import re
import stat
import zipfile
from base64 import b64decode
from types import SimpleNamespace

import pytest

from pgcourse import check
from pgcourse.publishing import manifest
from pgcourse.workspace import backup, progress

LESSON = json.dumps({"cells": [{"cell_type": "code", "source": "x", "metadata": {}, "outputs": []}]}).encode()
CHANGED = LESSON.replace(b'"x"', b'"my answer"')
EDITION = {"README.md": b"read me", "00_start_here.ipynb": LESSON, "01_log_gradient_trick.ipynb": LESSON}


@pytest.fixture
def make_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_memory", {})

    def make(name):
        manifest.place(tmp_path / name, EDITION, {"version": "0", "source": ""})
        monkeypatch.chdir(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def copy(make_copy):
    """A working copy with a changed lesson, a file of one's own, and an exercise passed."""
    folder = make_copy("copy")
    (folder / "00_start_here.ipynb").write_bytes(CHANGED)
    (folder / "mine").mkdir()
    (folder / "mine/notes.md").write_text("notes")
    check(lambda rewards: rewards.mean(), "average")
    return folder


MINE = {"00_start_here.ipynb", "mine/notes.md", progress.PROGRESS}


def zipped(**members):
    return zip_of(members.items())


def zip_of(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_zip_holds_what_is_the_learners(copy, capsys):
    (copy / ".ipynb_checkpoints").mkdir()
    (copy / ".ipynb_checkpoints/00.ipynb").write_text("not this")
    (copy / "link").symlink_to("/etc/passwd")
    (copy / "venv").mkdir()
    (copy / "venv/huge.py").write_text("not this")
    path = backup.save()
    assert re.fullmatch(r"pgcourse-work-\d{4}-\d\d-\d\d\.zip", path.name)
    assert f"{path} holds 3 files: {', '.join(sorted(MINE))}" in capsys.readouterr().out
    again = backup.save()
    assert again != path
    for saved in (path, again):
        assert set(zipfile.ZipFile(saved).namelist()) == MINE


def test_work_comes_back_into_a_new_copy(copy, make_copy, capsys):
    path = backup.save()
    new = make_copy("new")
    capsys.readouterr()
    backup.restore(path)
    out = capsys.readouterr().out
    assert "Restored: 00_start_here.ipynb, mine/notes.md\n" in out
    assert "Progress: 1 exercise passed" in out
    assert "kept in" not in out
    after = contents(new)
    assert after["00_start_here.ipynb"] == CHANGED
    assert after["mine/notes.md"] == b"notes"
    assert set(after) == set(EDITION) | MINE | {manifest.MARKER}
    progress.progress()
    assert "1 of " in capsys.readouterr().out
    before = contents(new)
    backup.restore(path)
    assert "Restored: nothing, all of it was here already" in capsys.readouterr().out
    assert contents(new) == before


def test_what_was_written_meanwhile_is_kept_aside_and_listed(copy, make_copy, capsys):
    path = backup.save()
    new = make_copy("new")
    (new / "00_start_here.ipynb").write_bytes(CHANGED.replace(b"my", b"other"))
    (new / "before-restore-1").mkdir()
    backup.restore(path)
    assert "It is kept in before-restore-2/: 00_start_here.ipynb" in capsys.readouterr().out
    assert (new / "before-restore-2/00_start_here.ipynb").read_bytes() == CHANGED.replace(b"my", b"other")
    assert (new / "00_start_here.ipynb").read_bytes() == CHANGED


def test_progress_is_joined_and_never_lost(copy, make_copy):
    path = backup.save()
    new = make_copy("new")
    progress.remember(new, {"log_softmax": {"passed": True, "attempts": 3}})
    backup.restore(path)
    entries = json.loads((new / progress.PROGRESS).read_text())["exercises"]
    assert {name: entry["passed"] for name, entry in entries.items()} == {"average": True, "log_softmax": True}


@pytest.mark.parametrize("broken", [b"", b"\xff", b"[]", b'{"format": "other"}', b'{"format": "pgcourse progress 1"}'])
def test_a_broken_progress_file_is_no_reason_to_lose_the_rest(make_copy, broken):
    new = make_copy("new")
    backup.unpack(new, zip_of([(progress.PROGRESS, broken), ("a.txt", b"a")]))
    assert (new / "a.txt").read_bytes() == b"a"


def member(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr = name, mode << 16
    return [(info, b"evil")]


HOSTILE = {
    "upwards": member("../evil.txt"),
    "upwards inside": member("a/../../evil.txt"),
    "absolute": member("/tmp/evil.txt"),
    "drive": member("C:evil.txt"),
    "backslash": member("..\\evil.txt"),
    "dot": member("./evil.txt"),
    "double slash": member("a//evil.txt"),
    "manifest": member(".pgcourse"),
    "hidden": member("a/.ipython/startup.py"),
    "settings": member(".jupyterlab/config/jupyter_server_config.py"),
    "not really the progress": member(f"a/{progress.PROGRESS}"),
    "control character": member("a\nb.txt"),
    "trailing dot": member("evil./a"),
    "link": member("evil", stat.S_IFLNK | 0o777),
    "device": member("evil", stat.S_IFCHR | 0o666),
    "twice": member("evil.txt") + member("EVIL.txt"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_refused_whole(make_copy, name):
    folder = make_copy("copy")
    before = contents(folder.parent)
    with pytest.raises(ValueError, match="in the zip"):
        backup.unpack(folder, zip_of([("good.txt", b"good"), *HOSTILE[name]]))
    assert contents(folder.parent) == before


def test_a_zip_that_unpacks_to_too_much_is_refused(make_copy, monkeypatch):
    folder = make_copy("copy")
    monkeypatch.setattr(backup, "LARGEST", 1000)
    with pytest.raises(ValueError, match="unpacks to 0 MB, expected at most 0"):
        backup.unpack(folder, zipped(a=b"0" * 1001))
    assert not (folder / "a").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no zip", zipped(a=b"long enough")[:-30]], ids=["nothing", "text", "cut short"]
)
def test_what_is_no_zip_is_refused(make_copy, content):
    with pytest.raises(ValueError, match="not a zip that can be read"):
        backup.unpack(make_copy("copy"), content)


def test_a_damaged_member_is_refused(make_copy):
    damaged = zipped(good=b"good", a=b"0123456789").replace(b"0123456789", b"0123456780")
    folder = make_copy("copy")
    with pytest.raises(ValueError, match="not a zip that can be read"):
        backup.unpack(folder, damaged)
    assert not (folder / "good").exists()


def test_places_that_a_file_cannot_go_to_are_refused(make_copy, tmp_path):
    folder = make_copy("copy")
    (tmp_path / "outside").mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "folder").mkdir()
    for name in ("link/evil.txt", "folder", "README.md/evil.txt"):
        with pytest.raises(ValueError, match="nothing was restored"):
            backup.unpack(folder, zip_of([("good.txt", b""), (name, b"")]))
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (folder / "good.txt").exists()


def test_outside_a_working_copy_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="in no working copy of the course"):
        backup.save()
    panel = backup.Panel()
    panel._save.click()
    assert "in no working copy of the course" in panel._said.value
    assert list(tmp_path.iterdir()) == []


def test_the_panel_saves_and_restores(copy, make_copy):
    panel = backup.Panel()
    panel._save.click()
    content = b64decode(re.search(r'href="data:application/zip;base64,([^"]+)"', panel._said.value).group(1))
    assert 'download="pgcourse-work-' in panel._said.value
    assert "mine/notes.md" in panel._said.value

    new = make_copy("new")
    panel._on_restore({"new": (SimpleNamespace(content=memoryview(content)),)})
    assert "Restored: 00_start_here.ipynb" in panel._said.value
    assert (new / "mine/notes.md").read_text() == "notes"
    panel._on_restore({"new": (SimpleNamespace(content=memoryview(b"<b>")),)})
    assert "That did not work" in panel._said.value


def test_the_panel_with_nothing_to_save(make_copy):
    make_copy("copy")
    panel = backup.Panel()
    panel._save.click()
    assert "Nothing to save yet" in panel._said.value


def test_a_large_zip_comes_with_a_way_to_restore_it(copy, monkeypatch):
    monkeypatch.setattr(backup, "UPLOAD", 10)
    panel = backup.Panel()
    panel._save.click()
    assert "file browser" in panel._said.value


def test_the_panel_reads_without_a_kernel():
    bundle = backup.Panel()._repr_mimebundle_()
    assert "Two buttons" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
