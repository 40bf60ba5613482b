"""The jail and the course of one lesson that the grading's tests share, and which tests `make quick` leaves out."""

import contextlib
import json
import os
import shutil

import pytest

STARTERS = {"warm", "ready_course", "kernel", "outcomes", "front_door", "site", "built", "followed", "runs"}


def pytest_collection_modifyitems(items):
    """Marks what starts processes, and puts its files first: short ones last, so that all workers end together."""
    for item in items:
        if STARTERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("processes")
    slow = {item.path for item in items if item.get_closest_marker("processes") or item.path.suffix == ".ipynb"}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def warm():
    """A warm WarmProcess with short limits. Where there can be none the tests fail, and name the remedy."""
    if os.environ.get("PGCOURSE_NO_JAIL") == "1":
        pytest.skip("PGCOURSE_NO_JAIL=1: nothing of the jail is tested, and nothing may be graded here")
    from pgcourse.grading.jail.outside import JailUnavailable, Limits, WarmProcess

    limits = Limits(cell_seconds=4, total_seconds=30, memory=2**28, cpu=35, processes=16, disk=2**24, text=2000)
    try:
        warm = WarmProcess(limits)
    except JailUnavailable as error:
        pytest.fail(f"{error}\nTo run the tests without: PGCOURSE_NO_JAIL=1", pytrace=False)
    with warm:
        yield warm


@pytest.fixture(scope="session")
def ready_course(tmp_path_factory):
    from classes import NAME
    from submissions import NOTEBOOKS

    from pgcourse.publishing.course import make_course

    folder = tmp_path_factory.mktemp("class")
    (folder / "source").mkdir()
    shutil.copy(NOTEBOOKS / f"{NAME}.ipynb", folder / "source")
    make_course(folder / "course", source=folder / "source")
    return folder / "course"


@pytest.fixture
def course(ready_course, tmp_path):
    """A course of one lesson, of the test's own."""
    return shutil.copytree(ready_course, tmp_path / "course")


@pytest.fixture
def submitted(tmp_path):
    return tmp_path / "submitted"


@pytest.fixture
def in_this_process(warm, monkeypatch):
    """`classroom.grade_class` starts no processes: the tests' own jail grades."""
    from pgcourse.grading import workers

    def graded(_, tasks):
        return ((key, json.loads(workers.grade_task(make()))) for key, make in tasks)

    monkeypatch.setattr(workers, "warm_process", lambda **_: warm)
    monkeypatch.setattr(workers, "cluster", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(workers, "graded", graded)
