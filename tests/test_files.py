import os
import resource
import stat

import pytest

from pgcourse.files import parse_json, read_json, write_atomically


@pytest.fixture
def full():
    """No file can grow beyond a thousand bytes: like a full disk, the write itself fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_made_with_the_folders_above(tmp_path):
    path = tmp_path / "deep" / "down" / "file"
    write_atomically(str(path), b"new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert os.listdir(path.parent) == ["file"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_others_may_read_what_they_could_read_before_and_new_files_as_any(mask, tmp_path):
    before = os.umask(mask)
    try:
        new, old = tmp_path / "new", tmp_path / "old"
        old.touch()
        old.chmod(0o640)
        for path in (new, old):
            write_atomically(path, b"content")
        assert [stat.S_IMODE(path.stat().st_mode) for path in (new, old)] == [0o666 & ~mask, 0o640]
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, full):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="too large"):
        write_atomically(path, bytes(100_000))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_where_a_folder_has_the_name_nothing_is_left_behind(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "folder", b"content")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == ["inner"]


def test_what_is_no_bytes_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "file", "text")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"name": "Zo\xc3\xab", "scores": [1, 2.5]}', {"name": "Zoë", "scores": [1, 2.5]}),
        (b"[]", []),
        (b"", None),
        (b'{"name": ', None),
        (b'{"name": "Zo\xeb"}', None),
        ('{"name": "Zoë"}'.encode("utf-16"), None),
        (b"[" * 100_000, None),
    ],
)
def test_json_is_read_whole_or_not_at_all(content, value, tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    assert parse_json(content) == read_json(path) == read_json(str(path)) == value


def test_where_no_file_can_be_read_there_is_no_json(tmp_path):
    assert read_json(tmp_path / "missing") is None
    assert read_json(tmp_path) is None
