"""Method versions of notebooks: which are in force, and whether CHANGELOG.md says why each was raised."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis_lib.errors import PublicationBlocked
from analysis_lib.study import read_toml

SUITE_VARIABLE = "JIANFU_NOTEBOOKS"  # another folder of notebooks than the repository's
REPOSITORY = Path(__file__).resolve().parents[1]


def suite_folder() -> Path:
    """The notebooks of the repository, or the folder named by ``JIANFU_NOTEBOOKS``."""
    return Path(os.environ.get(SUITE_VARIABLE) or REPOSITORY / "notebooks").resolve()


def method_versions(folder: Path | None = None) -> dict[str, int]:
    """Stem of each notebook → the version of its method, 1 where ``suite.toml`` names none."""
    entries = read_toml((folder or suite_folder()) / "suite.toml")["notebook"]
    return {str(entry["file"]).removesuffix(".ipynb"): int(entry.get("method", 1)) for entry in entries}


@dataclass(frozen=True)
class MethodChange:
    """A raised version of a method: when, and in each language what changed, by how much and why."""

    version: int
    date: dt.date
    words: dict[str, str]


@dataclass(frozen=True)
class NotebookMethod:
    """The method of a notebook as readers are told of it.

    Attributes
    ----------
    stem : str
        Name of the notebook's file without its ending.
    titles : dict
        Title of the notebook by language.
    version : int
        Version in force.
    changes : list of MethodChange
        Those that ``suite.toml`` dates, oldest first.
    """

    stem: str
    titles: dict[str, str]
    version: int
    changes: list[MethodChange]

    @property
    def untold(self) -> set[int]:
        """Versions that readers are not told of."""
        return set(range(2, self.version + 1)) - {change.version for change in self.changes}


def method_record(folder: Path | None = None) -> list[NotebookMethod]:
    """The method of each notebook in the order of ``suite.toml``, with its dated changes."""
    entries = read_toml((folder or suite_folder()) / "suite.toml")["notebook"]
    return [
        NotebookMethod(
            str(entry["file"]).removesuffix(".ipynb"),
            {language: str(entry[f"title_{language}"]) for language in ("zh", "en")},
            int(entry.get("method", 1)),
            sorted((_change(each) for each in entry.get("changed", [])), key=lambda change: change.version),
        )
        for entry in entries
    ]


def _change(told: dict[str, Any]) -> MethodChange:
    return MethodChange(int(told["method"]), told["date"], {"zh": str(told["zh"]), "en": str(told["en"])})


def refuse_unexplained_methods(folder: Path | None = None) -> None:
    """Raise unless the change log beside the notebooks has an entry for each raised version.

    An entry is a line that names the notebook and the version: ``03-hours-lost, method 2: …``.

    Raises
    ------
    PublicationBlocked
        Naming the first notebook and version without an entry.
    """
    folder = folder or suite_folder()
    log = folder.parent / "CHANGELOG.md"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    for stem, version in method_versions(folder).items():
        for raised in range(2, version + 1):
            entry = re.compile(rf"{re.escape(stem)}\b.*\bmethod {raised}\b")
            if not any(entry.search(line) for line in lines):
                raise PublicationBlocked(
                    f"{stem} has method {raised}, and nothing says what changed",
                    where="CHANGELOG.md",
                    fix=f"add a line: {stem}, method {raised}: what changed, by how much, why",
                )
