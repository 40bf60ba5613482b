"""The jail that the grading's tests share."""

import os

import pytest


@pytest.fixture(scope="session")
def nursery():
    """A warm Nursery with short limits. Where there can be none the tests fail, and name the remedy."""
    if os.environ.get("PGCOURSE_NO_JAIL") == "1":
        pytest.skip("PGCOURSE_NO_JAIL=1: nothing of the jail is tested, and nothing may be graded here")
    from pgcourse.grading.jail import JailUnavailable, Limits, Nursery

    limits = Limits(cell_seconds=4, total_seconds=30, memory=2**28, cpu=35, processes=16, disk=2**24, text=2000)
    try:
        warm = Nursery(limits)
    except JailUnavailable as error:
        pytest.fail(f"{error}\nTo run the tests without: PGCOURSE_NO_JAIL=1", pytrace=False)
    with warm:
        yield warm
