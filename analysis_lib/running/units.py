"""Units of a run: what each is, what its result depends on, and whether it must run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analysis_lib.fingerprints import code_fingerprint, files_fingerprint, fingerprint
from analysis_lib.monitoring.ledger import Ending, EndingKind, Ledger
from analysis_lib.parameters import RunParameters, parse_day
from analysis_lib.quarters import Quarter
from analysis_lib.running.suite import REPOSITORY, Suite, check_parameters, read_cells
from analysis_lib.study import NATION, Study

LOCK_FILE = "requirements.lock"
EXECUTED, TABLES, MANIFEST, FAILED = "executed.ipynb", "tables", "unit.json", "failed"
_REASONS = {  # component of a key → what a person calls a difference in it
    "data": "data changed",
    "code": "code changed",
    "notebook": "notebook changed",
    "parameters": "parameters changed",
    "lock": "lock file changed",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A notebook run once: for a quarter, a region, and what was known on a day (empty: everything)."""

    notebook: str
    quarter: Quarter
    region: str = NATION
    as_of: str = ""

    @property
    def name(self) -> str:
        """The notebook, and the region of a regional unit."""
        return self.notebook if self.region == NATION else f"{self.notebook}/{self.region}"

    @property
    def id(self) -> str:
        """Its name in the ledger."""
        return f"{self.quarter}/{self.name}" + (f"@{self.as_of}" if self.as_of else "")

    def folder(self, study: Study) -> Path:
        """Where its results stand, whatever they were made from."""
        region = "" if self.region == NATION else f"--{quote(self.region, safe='')}"
        known = f"@{self.as_of}" if self.as_of else ""
        return study.results / str(self.quarter) / f"{self.notebook}{region}{known}"

    @property
    def parameters(self) -> dict[str, str]:
        """What the notebook is told beside the study and the folder for its results."""
        return {"quarter": str(self.quarter), "region": self.region, "as_of": self.as_of}


@dataclass(frozen=True, slots=True)
class Planned:
    """A unit with the key of the result it should have, and why it must run (empty: up to date)."""

    unit: Unit
    components: dict[str, str]
    reason: str

    @property
    def key(self) -> str:
        """Hash over all components."""
        return fingerprint(json.dumps(self.components, sort_keys=True))

    def folder(self, study: Study) -> Path:
        """The folder of exactly this result."""
        return self.unit.folder(study) / self.key


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a worker needs to run a unit, on this machine or another.

    Attributes
    ----------
    unit_id : str
        For messages.
    notebook : pathlib.Path
        The notebook as written.
    parameters : dict
        Values for its parameters cell; paths among them are relative to ``workdir``.
    workdir : pathlib.Path
        Folder in which it runs.
    folder : pathlib.Path
        Folder for the executed notebook and, in ``tables``, what it hands over.
    tables : tuple of str
        The tables it promised.
    seconds : float
        Limit of wall-clock time for the whole unit.
    """

    unit_id: str
    notebook: Path
    parameters: dict[str, Any]
    workdir: Path
    folder: Path
    tables: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: kind, one line without data, wall seconds, peak memory of the kernel in MB."""

    kind: EndingKind
    message: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def units_of(suite: Suite, study: Study, quarter: Quarter, as_of: str = "") -> list[Unit]:
    """Units of a quarter in the order of the suite and of ``regions.csv``."""
    estimation = study.config.estimation
    regions = study.regions_at(estimation.page_level) if estimation.levels else []
    return [
        Unit(stem, quarter, region, as_of)
        for stem, notebook in suite.notebooks.items()
        for region in ([NATION] if notebook.for_each == "nation" else regions)
    ]


def plan(
    suite: Suite,
    study: Study,
    ledger: Ledger,
    units: list[Unit],
    data_fingerprint: Callable[[RunParameters], str],
) -> list[Planned]:
    """What each unit's result depends on now, and why it must run, if it must.

    Every parameter is checked here, before anything runs.
    """
    planned = []
    for unit in units:
        path = suite.path(unit.notebook)
        run = RunParameters(study, unit.quarter, unit.region, parse_day(unit.as_of))
        check_parameters(path, {"study": "", "results_dir": "", **unit.parameters})
        components = {
            "notebook": fingerprint(json.dumps(read_cells(path))),
            "code": code_fingerprint(),
            "lock": files_fingerprint([REPOSITORY / LOCK_FILE], base=REPOSITORY),
            "parameters": fingerprint(json.dumps(unit.parameters, sort_keys=True)),
            "data": data_fingerprint(run),
        }
        fresh = Planned(unit, components, "")
        tables = suite.notebooks[unit.notebook].tables
        reason = _reason(fresh, ledger.last_ending(unit.id), fresh.folder(study), tables)
        planned.append(Planned(unit, components, reason))
    return planned


def _reason(planned: Planned, last: Ending | None, folder: Path, tables: list[str]) -> str:
    if last is None:
        return "never ran"
    if last.kind != "ok":
        return f"failed last time ({last.kind})"
    if last.key != planned.key:
        changed = [
            words for part, words in _REASONS.items() if last.components.get(part) != planned.components.get(part)
        ]
        return ", ".join(changed)
    if not (folder / MANIFEST).is_file():
        return "result missing"
    recorded = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["tables"]
    if any(recorded.get(name) != table_sha256(folder, name) for name in tables):
        return "result missing or edited"
    return ""


def table_path(folder: Path, name: str) -> Path:
    """Where a unit's folder holds a table that was handed over."""
    return folder / TABLES / f"{name}.json"


def table_sha256(folder: Path, name: str) -> str:
    """Hash of a table's bytes; empty when it is not there."""
    path = table_path(folder, name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
