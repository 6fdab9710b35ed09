"""What a machine must have for a run that others can repeat."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass

from analysis_lib.errors import JianfuError
from analysis_lib.fingerprints import PACKAGE
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.running.runs import ENOUGH_BYTES
from analysis_lib.running.suite import REPOSITORY
from analysis_lib.running.units import LOCK_FILE
from analysis_lib.study import Study

OLDEST_PYTHON = (3, 11)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_well: bool
    detail: str


def examine(study: Study) -> list[Finding]:
    """Look at Python, packages, fonts, disk and ledger."""
    return [_python(), _packages(), _fonts(), _disk(study), _ledger(study)]


def _python() -> Finding:
    return Finding("python", sys.version_info >= OLDEST_PYTHON, platform.python_version())


def _packages() -> Finding:
    """Compare what is installed with the lock file, which may pin one package per version of Python."""
    path = REPOSITORY / LOCK_FILE
    if not path.is_file():
        return Finding("packages", False, f"{LOCK_FILE} is not there")
    pinned: dict[str, set[str]] = defaultdict(set)
    for name, version in _PIN.findall(path.read_text(encoding="utf-8")):
        pinned[_normal(name)].add(version)
    installed = {_normal(each.metadata["Name"]): each.version for each in importlib.metadata.distributions()}
    differing = [
        f"{name} {installed[name]} (lock: {', '.join(sorted(versions))})"
        for name, versions in sorted(pinned.items())
        if name in installed and installed[name] not in versions
    ]
    if differing:
        return Finding("packages", False, f"differ from {LOCK_FILE}: {'; '.join(differing)}")
    return Finding("packages", True, f"{len(pinned.keys() & installed)} as in {LOCK_FILE}")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _fonts() -> Finding:
    fonts = sorted(path.name for path in (PACKAGE / "figures" / "fonts").glob("*.[ot]tf"))
    return Finding("fonts", bool(fonts), ", ".join(fonts) or "none in analysis_lib/figures/fonts")


def _disk(study: Study) -> Finding:
    free = shutil.disk_usage(study.root).free
    return Finding("disk", free >= ENOUGH_BYTES, f"{free / 1e9:.1f} GB free")


def _ledger(study: Study) -> Finding:
    try:
        return Finding("ledger", True, f"{Ledger(study.ledger).verify_chain()} entries, chain unbroken")
    except JianfuError as error:
        return Finding("ledger", False, error.what)
