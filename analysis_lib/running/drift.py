"""Where the packages of this machine differ from the lock file."""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from analysis_lib.running.suite import REPOSITORY

LOCK_FILE = "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Packages:
    """What is installed beside what is locked.

    Attributes
    ----------
    n_alike : int
        Locked packages that are installed in a locked version.
    differing : dict of str to str
        Package → its version here, and in brackets those locked.
    """

    n_alike: int
    differing: dict[str, str]


@cache
def compare_packages() -> Packages | None:
    """Compare what is installed with the lock file, which may pin one package per version of Python.

    None where there is no lock file. A locked package that is not installed is for another platform or purpose.
    """
    path = REPOSITORY / LOCK_FILE
    if not path.is_file():
        return None
    pinned: dict[str, set[str]] = defaultdict(set)
    for name, version in _PIN.findall(path.read_text(encoding="utf-8")):
        pinned[_normal(name)].add(version)
    installed: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        installed.setdefault(_normal(each.metadata["Name"]), each.version)  # the first on the path is what is imported
    differing = {
        name: f"{installed[name]} (lock: {', '.join(sorted(versions))})"
        for name, versions in sorted(pinned.items())
        if name in installed and installed[name] not in versions
    }
    return Packages(len(pinned.keys() & installed) - len(differing), differing)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
