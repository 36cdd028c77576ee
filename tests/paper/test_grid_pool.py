"""Jobs are executed as soon as the rows that they need are there."""

import concurrent.futures
import math
import time

import pytest

from paper.grid.cells import Job
from paper.grid.pool import open_pool, run_jobs


def _job(name, **needs):
    return Job("run", ({"name": name},), {}, needs)


FIRST, OTHER = _job("first"), _job("other")
LAST = _job("last", first=FIRST, other=OTHER)


def _execute(job, rows):
    """A job's row: its name, and those of the rows that it was given."""
    given = sorted(row["name"] for row in rows.values())
    return [{"key": job.keys[0], "name": job.cell["name"], "given": given}]


def _run(pool, jobs, rows=None, execute=_execute, end=math.inf):
    rows, taken = dict(rows or {}), []

    def take(job, found):
        assert [row["key"] for row in found] == job.keys
        taken.extend(found)
        rows.update({row["key"]: row for row in found})

    run_jobs(pool, jobs, rows, execute, take, end)
    return {row["name"]: row["given"] for row in taken}


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


def test_a_job_waits_for_what_it_needs(threads):
    """And is given that, also if it was there before."""
    found = _run(threads, [LAST, FIRST, OTHER])
    assert list(found)[-1] == "last" and len(found) == 3
    assert found["last"] == ["first", "other"] and found["first"] == []
    rows = {job.keys[0]: {"name": job.cell["name"]} for job in (FIRST, OTHER)}
    assert _run(threads, [LAST], rows) == {"last": ["first", "other"]}


def test_what_is_needed_and_nowhere_is_left(threads):
    assert _run(threads, [LAST, FIRST]) == {"first": []}


def test_after_the_end_nothing_is_begun(threads):
    """What was begun before is waited for."""
    assert _run(threads, [FIRST, OTHER], end=0.0) == {}
    jobs, begun = [_job(str(i)) for i in range(20)], []

    def slowly(job, rows):
        begun.append(job.cell["name"])
        time.sleep(0.2)
        return _execute(job, rows)

    found = _run(threads, jobs, execute=slowly, end=time.monotonic() + 0.3)
    assert sorted(found) == sorted(begun) and 2 <= len(found) < 20


def test_a_process_that_died():
    """One line, and the jobs that were done are kept."""

    class Broken(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *_):
            raise concurrent.futures.BrokenExecutor("killed")

    with Broken() as pool, pytest.raises(ChildProcessError, match="died.*killed"):
        _run(pool, [FIRST])


def test_one_process_needs_no_pool():
    with open_pool() as pool:
        assert pool is None
