"""Units of a run: what each is, what its result depends on, and whether it must run again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from analysis_lib.fingerprints import files_fingerprint, fingerprint, imported_names, reached_code, tree_fingerprint
from analysis_lib.monitoring.ledger import Ending, EndingKind, Ledger
from analysis_lib.parameters import parse_day
from analysis_lib.quarters import Quarter
from analysis_lib.running.drift import LOCK_FILE, compare_packages
from analysis_lib.running.suite import REPOSITORY, Suite, check_parameters, read_code
from analysis_lib.study import NATION, Study
from analysis_lib.tables import drops

SHOWN = 3  # changed parts named in a reason; --json has them all
EXECUTED, TABLES, MANIFEST, FAILED = "executed.ipynb", "tables", "unit.json", "failed"
_CHANGED = {  # component of a key → what a person calls a difference in it
    "data": "data changed",
    "code": "code changed",
    "notebook": "notebook changed",
    "method": "method changed",
    "parameters": "parameters changed",
    "releases": "earlier releases changed",
    "lock": "lock file changed",
}
Due = Literal["", "missing", "failed", "stale"]
Parts = dict[str, str]  # what a component is made from: name → hash or value


@dataclass(frozen=True, slots=True)
class Unit:
    """A notebook run once: for a quarter, a region, and what was known on a day (empty: everything)."""

    notebook: str
    quarter: Quarter
    region: str = NATION
    as_of: str = ""

    @classmethod
    def parse(cls, unit_id: str) -> Unit:
        """Read the id that the ledger has."""
        quarter, notebook, *region = unit_id.partition("@")[0].split("/", 2)
        return cls(notebook, Quarter.parse(quarter), *(region or [NATION]), as_of=unit_id.partition("@")[2])

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
    """A unit with what its result should be made from, and whether it must run.

    Attributes
    ----------
    unit : Unit
        The unit.
    parts : dict of str to dict of str to str
        Component of its key → the parts of that component by name.
    components : dict of str to str
        Component → hash over its parts.
    due : str
        missing, failed or stale; empty when its result is up to date.
    reason : str
        The same in words; empty when it is up to date.
    changed : dict of str to list of str
        Of a stale unit: component → the parts that changed, went or came. Empty when they were not recorded.
    """

    unit: Unit
    parts: dict[str, Parts]
    components: dict[str, str]
    due: Due = ""
    reason: str = ""
    changed: dict[str, list[str]] = field(default_factory=dict)

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
    data_parts: Callable[[Study, Quarter, dt.date | None], Parts],
) -> list[Planned]:
    """What each unit's result depends on now, and why it must run, if it must.

    Every parameter is checked here, before anything runs.
    """
    data_of, releases_before = cache(partial(data_parts, study)), cache(partial(_releases_before, study, ledger))
    notebooks = {stem: _notebook_parts(suite, stem) for stem in {unit.notebook for unit in units}}
    settings = _settings(study)
    packages = compare_packages()
    lock = {
        LOCK_FILE: files_fingerprint([REPOSITORY / LOCK_FILE], base=REPOSITORY),
        **(packages.differing if packages else {}),
    }
    planned = []
    for unit in units:
        check_parameters(suite.path(unit.notebook), {"study": "", "results_dir": "", **unit.parameters})
        parts = {
            **notebooks[unit.notebook],
            "lock": lock,
            "parameters": unit.parameters | settings,
            "data": data_of(unit.quarter, parse_day(unit.as_of)),
        }
        if suite.notebooks[unit.notebook].reads_releases:
            parts["releases"] = releases_before(unit.quarter)
        fresh = Planned(unit, parts, {name: parts_fingerprint(each) for name, each in parts.items()})
        planned.append(_judged(fresh, study, ledger, suite.notebooks[unit.notebook].tables))
    return planned


def drift_of(planned: Planned) -> Parts:
    """Packages that a unit ran with and the lock file does not name: its result is up to date with these only."""
    return {name: versions for name, versions in planned.parts.get("lock", {}).items() if name != LOCK_FILE}


def parts_fingerprint(parts: Parts) -> str:
    """Hash of a component from its parts."""
    return fingerprint(json.dumps(parts, sort_keys=True, ensure_ascii=False))


def _notebook_parts(suite: Suite, stem: str) -> dict[str, Parts]:
    """What a notebook brings to the keys of its units; comments, layout and the text around its code do not count."""
    code = read_code(suite.path(stem))
    return {
        "notebook": {suite.path(stem).name: tree_fingerprint(code)},
        "code": reached_code(imported_names(code)),
        "method": {"version": str(suite.notebooks[stem].method)} | _methods_beside(suite, stem),
    }


def _methods_beside(suite: Suite, stem: str) -> Parts:
    """Method versions of the other notebooks, for one that says why their numbers moved."""
    if not suite.notebooks[stem].reads_releases:
        return {}
    return {other: str(each.method) for other, each in suite.notebooks.items() if other != stem}


def _settings(study: Study) -> Parts:
    """The sections of ``study.toml`` that shape results."""
    sections = study.config.model_dump(mode="json", exclude={"running", "publishing", "calendar"})
    return {f"[{name}]": fingerprint(json.dumps(values, sort_keys=True)) for name, values in sections.items()}


def _releases_before(study: Study, ledger: Ledger, quarter: Quarter) -> Parts:
    """What readers were shown of earlier quarters; building or publishing a quarter never makes its own units stale."""
    earlier = [each for each in study.config.calendar.quarters if each < quarter]
    published = [ledger.last_publication(str(each)) for each in earlier]
    return {each["quarter"]: each["release"] for each in published if each}


def _judged(fresh: Planned, study: Study, ledger: Ledger, tables: list[str]) -> Planned:
    last = ledger.last_ending(fresh.unit.id)
    if last is None:
        return replace(fresh, due="missing", reason="never ran")
    if last.kind != "ok":
        return replace(fresh, due="failed", reason=f"failed last time ({last.kind})")
    if last.key != fresh.key:
        changed = _changed_parts(fresh, last, ledger)
        return replace(fresh, due="stale", reason=_in_words(changed), changed=changed)
    folder = fresh.folder(study)
    if not (folder / MANIFEST).is_file():
        return replace(fresh, due="missing", reason="result missing")
    recorded = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["tables"]
    if any(recorded.get(name) != table_sha256(folder, name) for name in tables):
        return replace(fresh, due="missing", reason="result missing or edited")
    return fresh


def _changed_parts(fresh: Planned, last: Ending, ledger: Ledger) -> dict[str, list[str]]:
    """Component that changed → names of the parts that did; none where the ledger does not know the old ones."""
    changed: dict[str, list[str]] = {}
    for name in _CHANGED:
        if last.components.get(name) != fresh.components.get(name):
            before, now = ledger.parts(last.components.get(name, "")), fresh.parts.get(name, {})
            known = {} if before is None else before | now
            changed[name] = sorted(part for part in known if (before or {}).get(part) != now.get(part))
    return changed


def _in_words(changed: dict[str, list[str]]) -> str:
    return "; ".join(f"{_CHANGED[name]}{_listed(parts)}" for name, parts in changed.items())


def _listed(parts: list[str]) -> str:
    if not parts:
        return ""
    shown = ", ".join(part.removeprefix("analysis_lib.") for part in parts[:SHOWN])
    return f" ({shown}{f' and {len(parts) - SHOWN} more' if len(parts) > SHOWN else ''})"


def altered_result(folder: Path, manifest_sha256: str) -> list[str]:
    """What of a complete result is not what was recorded when it ended: the tables, the executed notebook, their list.

    Parameters
    ----------
    manifest_sha256 : str
        Of its ``unit.json``, as the ledger has it.
    """
    if file_sha256(folder / MANIFEST) != manifest_sha256:
        return [MANIFEST]
    recorded = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    wrong = [f"{TABLES}/{name}.json" for name, sha in recorded["tables"].items() if table_sha256(folder, name) != sha]
    return wrong + [EXECUTED] * (file_sha256(folder / EXECUTED) != recorded["executed"])


def table_path(folder: Path, name: str) -> Path:
    """Where a unit's folder holds a table that was handed over."""
    return folder / TABLES / f"{name}.json"


def table_sha256(folder: Path, name: str) -> str:
    """Hash of a table's bytes; empty when it is not there."""
    return file_sha256(table_path(folder, name))


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes; empty when it is not there."""
    return drops.file_sha256(path) if path.is_file() else ""
