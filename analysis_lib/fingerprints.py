"""Fingerprints: what a rebuilt table or a unit of work was made from, as one short hash."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LENGTH = 16  # 64 bits: no accidental collision among the tables of one study


def fingerprint(*parts: str) -> str:
    """Short hash of texts, order kept.

    >>> fingerprint("a", "b") == fingerprint("b", "a")
    False
    """
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:LENGTH]


@cache
def code_fingerprint(*modules: str) -> str:
    """Hash of the sources of modules or packages of ``analysis_lib`` (all of it when none is named).

    Parameters
    ----------
    modules : str
        Dotted names below ``analysis_lib``, such as ``"ingest"`` or ``"survey.weighting"``.
    """
    files: set[Path] = set()
    for module in modules or ("",):
        path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
        files |= set(path.rglob("*.py")) if path.is_dir() else {path.with_suffix(".py")}
    return files_fingerprint(sorted(files), base=PACKAGE)


def files_fingerprint(files: list[Path], *, base: Path) -> str:
    """Hash of files' names (relative to ``base``) and bytes; a file that is absent counts as absent."""
    parts: list[str] = []
    for file in files:
        parts.append(file.relative_to(base).as_posix())
        parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "absent")
    return fingerprint(*parts)
