"""Run jobs several at a time, each in a process of its own that ends with the run, come what may.

Each unit is forked from one process that has imported everything (`preload`), leads a process group, and forks its
kernel into that group: killing the group ends the unit with all it started.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

from analysis_lib.errors import Interrupted
from analysis_lib.running.units import Job, Outcome

LONGEST_TEMPORARY_FOLDER = 80  # of 107 bytes that the path of a socket may have
PRELOAD = ["analysis_lib.running.preload"]
# A fork copies the locks of a pool of threads but not its threads: pools are held at one, allocators start none.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the allocator of pyarrow
    "_RJEM_MALLOC_CONF": "background_thread:false",  # the allocator of polars
    "PYTHONHASHSEED": "0",  # the order of a set must not decide a digit
    # Read when matplotlib is imported, long before the kernel would say the same.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
OWN_VARIABLES = "JIANFU_"
# Two signals at once may both be taken by threads of libraries, which wakes nobody: Python calls a handler in the main
# thread alone, once that does something.
LONGEST_SLEEP_SECONDS = 0.5
GRACE_SECONDS = 5.0  # beyond its limit, for a unit to notice the limit itself and save its notebook


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Interrupted` within the block."""

    def stop(signum: int, _frame: object) -> None:
        # A second one must not cut the tidying short; one that is on its way already raises where it is set to ignore.
        for each in handled:
            signal.signal(each, lambda *_: None)
        raise Interrupted(signum)

    handled = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, stop) for each in handled}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def start_fork_server() -> None:
    """Start importing in the background; units that start later find everything there."""
    forkserver.set_forkserver_preload(PRELOAD)
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(eq=False)
class _Running:
    """A unit at work: its job, its process, the pipe that will tell its outcome, the folder of its sockets."""

    job: Job
    sockets: tempfile.TemporaryDirectory
    process: BaseProcess
    reader: connection.Connection
    started: float

    @property
    def ends(self) -> float:
        return self.started + self.job.seconds + GRACE_SECONDS

    def end(self) -> None:
        """Kill whatever is left of the unit's group and wait for its process."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # it may not have made its group yet
        self.process.join()
        self.reader.close()
        self.sockets.cleanup()


@dataclass
class LocalExecutor:
    """Workers on this machine.

    Attributes
    ----------
    workers : int
        Units at a time.
    in_flight : list of Job
        Jobs that were stopped before they ended; filled when the run is cut short.
    """

    workers: int
    in_flight: list[Job] = field(default_factory=list)

    def run(self, jobs: list[Job]) -> Generator[tuple[Job, Outcome]]:
        """Run jobs and yield each with its outcome as it ends; closing the iterator kills what still runs."""
        start_fork_server()
        waiting = deque(jobs)
        running: list[_Running] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    running.append(_start(waiting.popleft()))
                patience = max(0.0, min(unit.ends for unit in running) - time.monotonic())
                ready = connection.wait([unit.reader for unit in running], timeout=min(patience, LONGEST_SLEEP_SECONDS))
                for unit in list(running):
                    outcome = _outcome(unit, unit.reader in ready)
                    if outcome is not None:
                        unit.end()
                        running.remove(unit)
                        yield unit.job, outcome
        finally:
            self.in_flight = [unit.job for unit in running]
            for unit in running:
                unit.end()


@contextmanager
def warm_workers(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A ``map`` over processes that have everything imported, for plain functions such as drawing a page."""
    start_fork_server()
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_leave_with_the_run, initargs=(_own_variables(),)
    )

    def spread(function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterable[Any]:
        with _no_main_module():  # processes start with the first call
            return pool.map(function, *arguments)

    try:
        yield spread
    finally:
        pool.shutdown(cancel_futures=True)


def _own_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(OWN_VARIABLES)}


def _take_variables(variables: dict[str, str]) -> None:
    """Take the run's own variables for those of the server, which may have been started for another run."""
    for name in _own_variables():
        del os.environ[name]
    os.environ.update(variables)


def _leave_with_the_run(variables: dict[str, str]) -> None:
    """Do not outlive the run's process: a worker whose run was killed would wait for work for ever."""
    _take_variables(variables)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # the run itself says when to stop
    run = multiprocessing.parent_process()
    assert run is not None

    def watch() -> None:
        run.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start(job: Job) -> _Running:
    base = tempfile.gettempdir()
    sockets = tempfile.TemporaryDirectory(prefix="jf-", dir=base if len(base) <= LONGEST_TEMPORARY_FOLDER else "/tmp")
    context = multiprocessing.get_context("forkserver")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(
        target=_unit_process, args=(job, Path(sockets.name), writer, _own_variables()), daemon=True
    )
    with _no_main_module():
        process.start()
    writer.close()  # so that the reader sees the end when the process is gone
    return _Running(job, sockets, process, cast(connection.Connection, reader), time.monotonic())


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the program that started the run: multiprocessing would run its file again in every unit, to no use."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _outcome(unit: _Running, is_ready: bool) -> Outcome | None:
    seconds = time.monotonic() - unit.started
    if is_ready:
        try:
            return unit.reader.recv()
        except EOFError:
            unit.process.join()
            return Outcome("kernel_died", f"the unit's process ended with code {unit.process.exitcode}", seconds)
    if time.monotonic() >= unit.ends:
        return Outcome("timeout", f"did not end within the limit of {unit.job.seconds:g} s for the unit", seconds)
    return None


def _unit_process(job: Job, sockets: Path, writer: connection.Connection, variables: dict[str, str]) -> None:
    """Life of a unit's process: a group of its own, a kernel, an outcome."""
    _take_variables(variables)
    # papermill and Jupyter are imported in the process that units are forked from, never in the command's own.
    from analysis_lib.running.kernels import KernelDied, forked_kernel
    from analysis_lib.running.notebooks import run_notebook

    os.setsid()
    try:
        with forked_kernel(job.workdir, sockets) as manager:
            threading.Thread(
                target=_end_with_the_run, args=(sockets,), daemon=True
            ).start()  # no thread before the fork
            outcome = run_notebook(job, manager)
    except KernelDied as error:
        outcome = Outcome("kernel_died", str(error))
    except OSError as error:
        outcome = Outcome("output_missing", f"the executed notebook could not be written: {error.strerror}")
    writer.send(outcome)


def _end_with_the_run(sockets: Path) -> None:
    """Wait for the run's process; when it is gone, killed or not, end the whole group."""
    run = multiprocessing.parent_process()
    assert run is not None
    run.join()
    shutil.rmtree(sockets, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
