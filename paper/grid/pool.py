"""Where the jobs of a grid are executed: in processes here, or on a Dask cluster."""

import concurrent.futures
import contextlib
import multiprocessing
import time

_PATIENCE = 30  # seconds to find a cluster


@contextlib.contextmanager
def open_pool(scheduler=None, workers=1):
    """Yields a `concurrent.futures.Executor`, or `None` for this process alone.

    Args:
        scheduler: Address of a Dask scheduler, such as `"tcp://10.0.0.1:8786"`, or
            `None`. It gives the jobs of workers that are lost to others.
        workers: Number of processes here if there is no scheduler.

    Raises:
        ValueError: If there is no scheduler at that address.
    """
    if scheduler is not None:
        with _client(scheduler) as client, client.get_executor(pure=False) as pool:
            yield pool
    elif workers > 1:
        # Not forked: TensorFlow's threads do not survive that.
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
            yield pool
    else:
        yield None


def run_jobs(pool, jobs, rows, execute, take, end):
    """Executes jobs, each as soon as the rows that it needs are there.

    Args:
        pool: What `open_pool` yielded, not `None`.
        jobs: A list of `Job`s.
        rows: The rows that there are by key; `take` adds to them.
        execute: Function of a job and a dict of the rows that it needs, which can be
            pickled; returns its rows.
        take: Function of a job and its rows, called in this process.
        end: No job is begun after this time, by `time.monotonic`.

    Raises:
        ChildProcessError: If a process here was killed.
    """
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            ready = [job for job in waiting if _keys_needed(job) <= rows.keys()]
            for job in ready if time.monotonic() < end else ():
                needed = {key: rows[key] for key in _keys_needed(job)}
                running[pool.submit(execute, job, needed)] = job
                waiting.remove(job)
            if not running:
                return
            timeout = None if end == float("inf") else max(0, end - time.monotonic())
            done, _ = concurrent.futures.wait(
                running, timeout, concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                take(running.pop(future), future.result())
            if not done:  # time is up: those that have begun are waited for
                running = {f: job for f, job in running.items() if not f.cancel()}
                end, waiting = float("inf"), []
    except concurrent.futures.BrokenExecutor as error:
        raise ChildProcessError(
            f"A process died that executed jobs ({error}). The rows so far are in the "
            "store; the same command goes on."
        ) from None
    finally:
        for future in running:
            future.cancel()


def _keys_needed(job):
    return {needed.keys[0] for needed in job.needs.values()}


def _client(scheduler):
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ValueError(
            f"`scheduler` needs Dask: pip install '.[cluster]'. Received: {scheduler!r}"
        ) from None
    try:
        return Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ValueError(
            "`scheduler` must be the address of a Dask scheduler. Received: "
            f"{scheduler!r} ({error})"
        ) from None
