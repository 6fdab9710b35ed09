"""A run from lock to last entry: plan, prepare, execute what must, keep the books.

Nothing is half done: a unit's folder is complete or absent, an ending is in the ledger or the unit runs again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from analysis_lib.errors import EnvironmentProblem, Interrupted, JianfuError, LockHeld, UnitFailed
from analysis_lib.monitoring.ledger import Ending, Ledger
from analysis_lib.parameters import parse_day
from analysis_lib.quarters import Quarter
from analysis_lib.running.drift import LOCK_FILE, compare_packages
from analysis_lib.running.executors import LocalExecutor, start_fork_server, stopping_on_signals
from analysis_lib.running.notify import notify
from analysis_lib.running.suite import Suite
from analysis_lib.running.units import (
    EXECUTED,
    FAILED,
    MANIFEST,
    TABLES,
    Job,
    Outcome,
    Planned,
    file_sha256,
    plan,
    table_sha256,
    units_of,
)
from analysis_lib.study import Study

LOCK, HOLDER = ".lock", ".lock.holder"
ENOUGH_BYTES = 200_000_000  # free space below which no run starts: a quarter's tables and notebooks with room to spare


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did.

    Attributes
    ----------
    run_id : str
        Empty when everything was up to date, for then there was no run.
    endings : list of Ending
        One per unit that ran, in the order in which they ended.
    up_to_date : int
        Units that did not have to run.
    left : int
        Units that had to run and were left alone, for ``select`` did not take them.
    seconds : float
        Wall time.
    failed_notebooks : dict of str to pathlib.Path
        Unit that failed → the notebook as far as it came, relative to the study's folder.
    """

    run_id: str
    endings: list[Ending]
    up_to_date: int
    seconds: float
    left: int = 0
    failed_notebooks: dict[str, Path] = field(default_factory=dict)

    @property
    def failed(self) -> list[Ending]:
        """Endings other than ok."""
        return [ending for ending in self.endings if ending.kind != "ok"]


def plan_quarters(study: Study, quarters: list[Quarter], as_of: str = "", suite: Suite | None = None) -> list[Planned]:
    """What a run of these quarters would do, and why."""
    from analysis_lib import pipeline  # its libraries are slow to import and most commands do without

    suite = suite or Suite.find()
    units = [unit for quarter in quarters for unit in units_of(suite, study, quarter, as_of)]
    return plan(suite, study, Ledger(study.ledger), units, pipeline.data_parts)


def run_quarters(
    study: Study,
    quarters: list[Quarter],
    *,
    as_of: str = "",
    workers: int = 0,
    suite: Suite | None = None,
    select: Callable[[list[Planned]], list[Planned]] | None = None,
    allow_drift: bool = False,
    command: str = "run",
    progress: Callable[[str], object],
) -> RunResult:
    """Bring quarters up to date: run the units that are missing, failed or stale, and those only.

    Call it within `study_lock`. One unit's failure leaves the others alone, and a quarter whose drops are refused
    leaves the quarters before it alone: they are finished before the refusal is raised.

    Parameters
    ----------
    select : callable, optional
        Takes what must run, oldest quarter first, and gives what may.
    allow_drift : bool
        Run though packages differ from the lock file. The keys of the results, and the ledger, say that they did.

    Raises
    ------
    EnvironmentProblem
        When packages differ from the lock file, or results cannot be written.
    Interrupted
        After Ctrl-C or SIGTERM, with everything tidied.
    """
    started = time.monotonic()
    suite, ledger = suite or Suite.find(), Ledger(study.ledger)
    units = [unit for quarter in quarters for unit in units_of(suite, study, quarter, as_of)]
    if any(ledger.last_ending(unit.id) is None for unit in units):
        start_fork_server()  # surely needed: it imports while this process plans
    planned = plan_quarters(study, quarters, as_of, suite)
    must_run = sorted((each for each in planned if each.due), key=lambda each: each.unit.quarter)
    to_run = select(must_run) if select else must_run
    up_to_date, left = len(planned) - len(must_run), len(must_run) - len(to_run)
    if not to_run:
        return RunResult("", [], up_to_date, time.monotonic() - started, left)
    run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    about: dict[str, Any] = {"run_id": run_id, "quarters": sorted({str(each.unit.quarter) for each in to_run})}
    notify(study, "start", progress, **about, units=len(to_run))
    try:
        drift = _drift(allow_drift)
        start_fork_server()  # imports while this process prepares the tables
        check_room(study, study.results)
        _say_if_killed(ledger, progress)
        facts = {"drift": drift} if drift else {}
        ledger.start_run(run_id, command, units=len(to_run), host=socket.gethostname(), pid=os.getpid(), **facts)
        try:
            with stopping_on_signals():
                endings = _run(study, suite, to_run, run_id, workers, progress)
        except (Exception, Interrupted) as error:
            ledger.finish_run(run_id, getattr(error, "exit_code", 1))
            raise
    except (Exception, Interrupted) as error:
        notify(study, "failure", progress, **about, exit_code=getattr(error, "exit_code", 1), kind=type(error).__name__)
        raise
    seconds = time.monotonic() - started
    result = RunResult(run_id, endings, up_to_date, seconds, left, _failed_notebooks(study, to_run))
    exit_code = UnitFailed.exit_code if result.failed else 0
    ledger.finish_run(run_id, exit_code)
    notify(
        study,
        "failure" if result.failed else "success",
        progress,
        **about,
        units=len(endings),
        failed=[f"{each.unit_id}: {each.kind}" for each in result.failed],
        exit_code=exit_code,
        seconds=round(seconds),
    )
    return result


def _say_if_killed(ledger: Ledger, progress: Callable[[str], object]) -> None:
    """Name the last run when it never ended: whoever holds the lock of the study knows that it is dead."""
    last = ledger.last_run()
    if last and last.exit_code is None:
        progress(f"run {last.run_id} of {last.started} never ended: it was killed; what it left is cleared away")


def _drift(is_allowed: bool) -> dict[str, str]:
    """Packages that differ from the lock file; raises unless that is allowed."""
    packages = compare_packages()
    if packages is None or not packages.differing:
        return {}
    if not is_allowed:
        raise EnvironmentProblem(
            f"packages differ from {LOCK_FILE}: "
            + "; ".join(f"{name} {versions}" for name, versions in packages.differing.items()),
            where="run",
            fix="make setup installs what is locked; --allow-drift runs all the same, and nobody can repeat the result",
        )
    return packages.differing


def _failed_notebooks(study: Study, ran: list[Planned]) -> dict[str, Path]:
    paths = {each.unit.id: each.unit.folder(study) / FAILED / EXECUTED for each in ran}
    return {unit_id: path.relative_to(study.root) for unit_id, path in paths.items() if path.is_file()}


def _run(
    study: Study, suite: Suite, to_run: list[Planned], run_id: str, workers: int, progress: Callable[[str], object]
) -> list[Ending]:
    from analysis_lib import pipeline

    refused: JianfuError | None = None
    prepared: set[Quarter] = set()
    for quarter in sorted({each.unit.quarter for each in to_run}):
        try:
            pipeline.prepare(study, quarter, parse_day(to_run[0].unit.as_of), progress)
        except JianfuError as error:
            refused = error
            break
        prepared.add(quarter)
    to_run = [each for each in to_run if each.unit.quarter in prepared]
    ledger = Ledger(study.ledger)
    for component, parts in {
        each.components[name]: parts for each in to_run for name, parts in each.parts.items()
    }.items():
        ledger.record_parts(component, parts)
    jobs = {each.unit.id: (_job(study, suite, each), each) for each in to_run}
    executor = LocalExecutor(workers or study.config.running.workers or os.cpu_count() or 1)
    endings: list[Ending] = []

    def settle(job: Job, outcome: Outcome) -> None:
        planned = jobs[job.unit_id][1]
        kept = _keep(study, planned, job, outcome)
        ending = Ending(
            run_id,
            job.unit_id,
            outcome.kind,
            planned.key,
            planned.components,
            outcome.message,
            round(outcome.seconds, 3),
            round(outcome.peak_mb, 1),
            kept,
        )
        ledger.record_ending(ending)
        endings.append(ending)

    try:
        with (
            contextlib.closing(executor.run([job for job, _ in jobs.values()])) as outcomes,
            _progress_bar(len(jobs), progress) as tick,
        ):
            for job, outcome in outcomes:
                settle(job, outcome)
                tick(endings[-1])
    except Interrupted:
        for job in executor.in_flight:
            settle(job, Outcome("interrupted", "the run was stopped"))
        raise
    if refused:
        raise refused
    return endings


def _job(study: Study, suite: Suite, planned: Planned) -> Job:
    """Describe a unit's work with paths relative to the study's parent: no machine's paths enter a notebook."""
    unit, workdir = planned.unit, study.root.parent
    # One name for all attempts, so that an attempt that was killed is cleared away by the next.
    folder = unit.folder(study) / f".{planned.key}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    return Job(
        unit_id=unit.id,
        notebook=suite.path(unit.notebook),
        parameters={
            "study": study.root.name,
            **unit.parameters,
            "results_dir": (folder / TABLES).relative_to(workdir).as_posix(),
        },
        workdir=workdir,
        folder=folder,
        tables=tuple(suite.notebooks[unit.notebook].tables),
        seconds=study.config.running.unit_seconds,
    )


def _keep(study: Study, planned: Planned, job: Job, outcome: Outcome) -> str:
    """Put a complete result in its place, the executed notebook of a failed unit beside it; clear the rest.

    Returns the hash of the list of what a complete result holds; empty for a failed unit.
    """
    parent = planned.unit.folder(study)
    if outcome.kind == "ok":
        manifest = {
            "notebook": planned.unit.notebook,
            **planned.unit.parameters,
            "name": planned.unit.name,
            "key": planned.key,
            "components": planned.components,
            "tables": {
                path.stem: table_sha256(job.folder, path.stem) for path in sorted((job.folder / TABLES).glob("*.json"))
            },
            "executed": file_sha256(job.folder / EXECUTED),
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (job.folder / MANIFEST).write_text(text, encoding="utf-8")
        job.folder.chmod(0o750)  # C19: an executed notebook is as confidential as the returns
        # Older results go first: never are there two complete ones to choose from.
        for other in parent.iterdir():
            if other != job.folder:
                shutil.rmtree(other)
        job.folder.rename(planned.folder(study))
        return file_sha256(planned.folder(study) / MANIFEST)
    failed = parent / FAILED
    shutil.rmtree(failed, ignore_errors=True)
    if (job.folder / EXECUTED).is_file():
        failed.mkdir()
        (job.folder / EXECUTED).rename(failed / EXECUTED)
    shutil.rmtree(job.folder, ignore_errors=True)
    return ""


@contextmanager
def _progress_bar(total: int, say: Callable[[str], object]) -> Iterator[Callable[[Ending], None]]:
    """A bar when a terminal looks, a line per unit when not."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit="unit", file=sys.stderr, leave=False) as bar:

            def tick(ending: Ending) -> None:
                if ending.kind != "ok":
                    bar.write(f"{ending.unit_id}: {ending.kind}: {ending.message}", file=sys.stderr)
                bar.set_postfix_str(ending.unit_id, refresh=False)
                bar.update()

            yield tick
    else:
        count = 0

        def line(ending: Ending) -> None:
            nonlocal count
            count += 1
            message = f": {ending.message}" if ending.message else ""
            say(f"[{count}/{total}] {ending.unit_id}: {ending.kind} in {ending.seconds:.1f} s{message}")

        yield line


def check_room(study: Study, folder: Path) -> None:
    """Raise `EnvironmentProblem` before computing when what comes of it could not be written to a folder."""
    where = f"{study.root.name}/{folder.name}"
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder.name} cannot be written: {error.strerror}",
            where=where,
            fix="give the account that runs this the right to write there",
        ) from error
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_BYTES:
        raise EnvironmentProblem(
            f"{free / 1e6:.0f} MB are free, {ENOUGH_BYTES / 1e6:.0f} MB are needed",
            where=where,
            fix="free space on the disk of that folder",
        )


@contextmanager
def study_lock(study: Study) -> Iterator[None]:
    """Be the only one that writes to a study.

    The operating system frees the lock of a process that died, so none is ever broken by hand.

    Raises
    ------
    LockHeld
        Naming the holder.
    """
    holder = study.root / HOLDER
    lock = FileLock(study.root / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LockHeld(
            f"another run works on this study: {_read(holder)}",
            where=study.root.name,
            fix="wait until it ends, or stop that process",
        ) from error
    except OSError as error:
        raise EnvironmentProblem(
            f"the lock cannot be made: {error.strerror}", where=study.root.name, fix="make the study folder writable"
        ) from error
    try:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}, started {now}\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else "holder not recorded yet"
