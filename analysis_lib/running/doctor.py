"""What a machine must have for a run that others can repeat."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass

from analysis_lib.errors import JianfuError
from analysis_lib.ingest.platforms.confined import CAN_CONFINE, LIMITS_MEMORY
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.drift import LOCK_FILE, compare_packages
from analysis_lib.running.runs import ENOUGH_BYTES
from analysis_lib.study import Study

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_well: bool
    detail: str


def examine(study: Study) -> list[Finding]:
    """Look at Python, packages, fonts, disk, the limits of what reads files, and the ledger."""
    return [_python(), _packages(), _fonts(), _disk(study), _limits(study), _ledger(study)]


def _python() -> Finding:
    return Finding("python", sys.version_info >= OLDEST_PYTHON, platform.python_version())


def _packages() -> Finding:
    packages = compare_packages()
    if packages is None:
        return Finding("packages", False, f"{LOCK_FILE} is not there")
    if packages.differing:
        listed = "; ".join(f"{name} {versions}" for name, versions in packages.differing.items())
        return Finding("packages", False, f"differ from {LOCK_FILE}: {listed}")
    return Finding("packages", True, f"{packages.n_alike} as in {LOCK_FILE}")


def _fonts() -> Finding:
    from analysis_lib.figures.style import FONT_SHA256, strange_fonts  # matplotlib is slow to import

    strange = strange_fonts()
    return Finding("fonts", not strange, ", ".join(strange or FONT_SHA256))


def _disk(study: Study) -> Finding:
    free = shutil.disk_usage(study.root).free
    return Finding("disk", free >= ENOUGH_BYTES, f"{free / 1e9:.1f} GB free")


def _limits(study: Study) -> Finding:
    """What holds the reading of a file from outside; a platform that lacks some of it is no reason not to go on."""
    running = study.config.running
    memory = f"{running.input_memory_mb} MiB" if LIMITS_MEMORY else "no limit of memory on this platform"
    limits = f"a process of its own, {memory}, {running.input_seconds} s"
    return Finding("files read in", True, limits if CAN_CONFINE else "this process, limited by size alone")


def _ledger(study: Study) -> Finding:
    try:
        return Finding("ledger", True, f"{Ledger(study.ledger).verify_chain()} entries, chain unbroken")
    except JianfuError as error:
        return Finding("ledger", False, error.what)
