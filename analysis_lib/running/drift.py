"""Where the packages of this machine differ from the lock file."""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from analysis_lib.running.suite import REPOSITORY

LOCK_FILE = "requirements.lock"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)  # with the lines that go on
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


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
    pinned, installed = locked_packages(), installed_packages()
    if not pinned:
        return None
    differing = {
        name: f"{installed[name].version} (lock: {', '.join(sorted(versions))})"
        for name, versions in sorted(pinned.items())
        if name in installed and installed[name].version not in versions
    }
    return Packages(len(pinned.keys() & installed) - len(differing), differing)


@cache
def locked_packages() -> dict[str, dict[str, list[str]]]:
    """Package → version → SHA-256 of each of its files, as the lock file has them; empty where there is none."""
    path = REPOSITORY / LOCK_FILE
    pinned: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for pin in _PIN.finditer(path.read_text(encoding="utf-8") if path.is_file() else ""):
        pinned[normal_name(pin[1])][pin[2]] = _HASH.findall(pin[3])
    return pinned


@cache
def installed_packages() -> dict[str, importlib.metadata.Distribution]:
    """Package → what is installed of it: the first on the path is what is imported."""
    installed: dict[str, importlib.metadata.Distribution] = {}
    for each in importlib.metadata.distributions():
        installed.setdefault(normal_name(each.metadata["Name"]), each)
    return installed


def normal_name(name: str) -> str:
    """The name of a package as indexes compare it.

    >>> normal_name("Pure_Eval")
    'pure-eval'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
