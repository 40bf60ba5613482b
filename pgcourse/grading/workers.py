"""Grading in other processes: on this machine, or on a Dask cluster. JSON comes back, and nothing else.

A task is everything that grading one submission needs, so a worker needs the package, bubblewrap, and no file of the
course. No student's code runs in the worker itself: a worker that dies was killed by somebody else, and its tasks are
given to another one.
"""

import contextlib
import json
import os
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache

import dask
import nbformat
from distributed import CancelledError, Client, KilledWorker, LocalCluster, wait

from pgcourse.grading.jail.outside import JailUnavailable, warm_process
from pgcourse.grading.judge import grade_submission
from pgcourse.grading.submission import Lesson

PATIENCE = 30  # seconds for a scheduler's first answer
PAUSE = 3  # seconds without a result, after which lost workers are replaced
TRIES = 2  # at a task whose worker dies, each of them Dask's own three
_one_at_a_time = threading.Lock()  # a worker may have several threads: what is printed and the seed are the process's


class ClusterLost(RuntimeError):
    """There is no cluster, or none any more; what has been graded is kept."""


@dataclass(frozen=True)
class Task:
    """A submission, as the bytes of its file, and what it is held against: notebooks of the course, as text.

    secret: of the course's, for the seed of hidden cases. refusal: None, or why there is nothing to grade.
    """

    lesson: str
    source: str
    release: str
    student: str
    data: bytes
    secret: str
    remarks: tuple = ()
    refusal: tuple | None = None
    unsafe: bool = False
    beside: tuple = ()


def grade_task(task):
    """The result of `judge.grade_submission`, as JSON."""
    with _one_at_a_time:
        lesson, warm = _lesson(task.lesson, task.source, task.release), warm_process(unsafe=task.unsafe)
        given = task.student, task.data, task.secret, warm, task.remarks, task.refusal, task.beside
        result = grade_submission(lesson, *given)
    return json.dumps(result)


@lru_cache(maxsize=16)
def _lesson(name, source, release):
    return Lesson.of(name, nbformat.reads(source, 4), nbformat.reads(release, 4))


@contextlib.contextmanager
def cluster(workers=None, tasks=1, scheduler=None):
    """A Dask client: of the cluster at that address, or of as many processes here (as many as there are cores, but no
    more than tasks).

    The processes here speak through TLS with a certificate of the moment: nobody else on the machine may give them
    work. Raises ClusterLost if nothing answers.
    """
    settings = {
        "distributed.logging.distributed": "error",
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.deploy.lost-worker-timeout": "1s",
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        if scheduler is None:
            os.environ["PYTHONSAFEPATH"] = "1"  # or a worker would import what lies where this process stands
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgcourse-workers-"))
            threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
            number = min(workers or len(os.sched_getaffinity(0)), tasks)
            scheduler = stack.enter_context(
                LocalCluster(
                    n_workers=number,
                    threads_per_worker=1,
                    memory_limit=0,
                    host="127.0.0.1",
                    dashboard_address=None,
                    worker_dashboard_address=None,
                    security=True,
                    local_directory=folder,
                    env=threads,
                )
            )
        try:
            client = stack.enter_context(Client(scheduler, timeout=PATIENCE))
        except OSError as error:
            raise ClusterLost(f"No Dask scheduler answers at {scheduler}: {error}") from None
        yield client


def graded(client, tasks):
    """Grades Tasks, given as pairs (key, function that makes the Task), and yields (key, result) as they are done.

    A result is the dictionary, or a sentence where there is none: then the grader failed, not the submission.
    At most two tasks for each thread of the cluster are under way. Raises JailUnavailable, ClusterLost.
    """
    waiting, under_way = iter(tasks), {}

    def submit(key, make, attempt):
        future = client.submit(grade_task, make(), key=f"pgcourse-{key}-{attempt}", pure=False)
        under_way[future] = key, make, attempt

    def fill():
        room = 2 * max(1, sum(client.nthreads().values())) - len(under_way)
        for _ in range(room):
            task = next(waiting, None)
            if task is None:
                return
            submit(*task, attempt=1)

    fill()
    while under_way:
        for future in _next(client, under_way):
            key, make, attempt = under_way.pop(future)
            error = future.exception()
            if error is None:
                yield key, json.loads(future.result())
            elif isinstance(error, JailUnavailable):
                raise error
            elif isinstance(error, KilledWorker) and attempt < TRIES:
                submit(key, make, attempt + 1)
            else:
                yield key, f"{type(error).__name__}: {error}"
            future.release()
        fill()


def _next(client, futures):
    """Those of the futures that are done, as soon as there is one. Raises ClusterLost."""
    while True:
        try:
            done = wait(list(futures), timeout=PAUSE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            if client.cluster is not None:  # a worker that dies while it starts is not started again by itself
                client.cluster.scale(len(client.cluster.worker_spec))
            continue
        except CancelledError:
            raise ClusterLost(
                "The Dask scheduler is gone: what has been graded is kept, run this again for the rest"
            ) from None
        # one that is lost was done, and its worker died with the result: Dask does it again
        if done := [future for future in done if future.status in ("finished", "error")]:
            return done
