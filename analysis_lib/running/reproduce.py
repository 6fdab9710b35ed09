"""A release made again: the quarter rerun from exactly the drops that the release read, and every byte compared."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis_lib.errors import NotReproducible, UnitFailed, UsageError, did_you_mean
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.executors import stopping_on_signals, warm_workers
from analysis_lib.running.runs import plan_quarters, run_quarters
from analysis_lib.running.units import Planned
from analysis_lib.study import PINS, Study
from analysis_lib.tables.snapshots import copy_decisions, snapshot, snapshot_digest
from analysis_lib.tables.store import Store, pinned_drops

if TYPE_CHECKING:
    from analysis_lib.disclosure.protect import ProtectedTable
    from analysis_lib.publishing.releases import Content

Results = dict[str, "dict[str, ProtectedTable]"]
Say = Callable[[str], object]
_HEADLINE_TABLE = "hours"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What a rerun of a release gave.

    Attributes
    ----------
    release : str
        Such as ``2026Q3/r1``.
    files : int
        Files of the release that were compared.
    differing : list of str
        Those that the rerun gives with other bytes, or only one of the two has.
    changed : list of str
        What the rerun did not have in common with the release: code, lock file, notebooks, data.
    headline : list of dict
        Headline and nested measures of the nation as released, as rerun and, where asked for, as known now.
    numbers : list of dict
        Numbers that the rerun gives otherwise, the most surprising first (`changed_numbers.rank_changes`).
    """

    release: str
    files: int
    differing: list[str]
    changed: list[str]
    headline: list[dict[str, Any]]
    numbers: list[dict[str, Any]] = field(default_factory=list)


def reproduce(study: Study, release: str, *, now: bool = False, workers: int = 0, progress: Say) -> Reproduction:
    """Rerun the quarter of a release from the drops and reference files that it pinned, in a folder of its own.

    Parameters
    ----------
    release : str
        Such as ``2026Q3/r1``.
    now : bool
        Run the quarter a second time as known now, to show its headline beside.
    workers : int
        Units at a time; 0: as the study says.

    Raises
    ------
    UsageError
        For a release that the ledger does not know.
    NotReproducible
        For a release without pins, or with a pinned drop that is gone.
    UnitFailed
        For a notebook that no longer runs.
    """
    from analysis_lib.publishing.changed_numbers import changes_between
    from analysis_lib.publishing.releases import Release, made_here, results_of, sha256

    facts = _facts(study, release)
    folder = study.reports / release
    quarter, number = Quarter.parse(release.partition("/r")[0]), int(release.partition("/r")[2])
    with _scratch(study, snapshot(study, facts["snapshot"]), facts["drops"]) as rerun:
        Ledger(study.ledger).copy(rerun.ledger, before=release)  # what had been published then
        changed = _what_changed(Ledger(rerun.ledger), plan_quarters(rerun, [quarter]))
        results = _rerun(rerun, quarter, workers, progress)
        again = _pages(rerun, quarter, results, number)
    manifest = json.loads((folder / "release.json").read_text(encoding="utf-8"))["files"]
    paths = sorted(made_here(manifest | dict.fromkeys(again, "")))  # of a PDF the page behind it is compared
    differing = [path for path in paths if sha256(again.get(path, "")) != sha256(_bytes(folder / path))]
    released = results_of(Release(quarter, number, folder))
    hours = {"released": _hours(released), "rerun": _hours(results)}
    if now and _is_as_known_now(study, quarter, facts):
        hours["now"] = hours["rerun"]
    elif now:
        with _scratch(study, study.root, None) as as_known_now:
            Ledger(study.ledger).copy(as_known_now.ledger)
            hours["now"] = _hours(_rerun(as_known_now, quarter, workers, progress))
    numbers = changes_between(released, results, level=study.config.estimation.confidence_level)
    return Reproduction(release, len(manifest), differing, changed, _side_by_side(study, quarter, hours), numbers)


def check_same(found: Reproduction) -> None:
    """Raise `NotReproducible` naming the files that differ, and what the rerun did not have in common."""
    if found.differing:
        shown = "\n".join(f"  {path}" for path in found.differing)
        because = f"since then: {', '.join(found.changed)}" if found.changed else "although nothing it reads changed"
        raise NotReproducible(
            f"{len(found.differing)} of {found.files} files differ, {because}\n{shown}",
            where=found.release,
            fix="rerun with the code and lock file of the release; or sign the difference: --sign NAME --reason WHY",
        )


def sign_difference(study: Study, found: Reproduction, signer: str, reason: str) -> None:
    """Record in the ledger how a rerun differs from its release, who stands for that, and why; the release stays.

    Raises
    ------
    UsageError
        Without a name or a reason, or when nothing differs.
    """
    if not signer.strip() or not reason.strip():
        raise UsageError(
            "a difference is signed with a name and a reason", where="reproduce", fix="--sign NAME --reason WHY"
        )
    if not found.differing:
        raise UsageError("nothing differs, so there is nothing to sign", where=found.release, fix="leave out --sign")
    facts = {"files": found.files, "differing": found.differing, "changed": found.changed}
    Ledger(study.ledger).record_difference(found.release, signer.strip(), reason.strip(), found.numbers, **facts)


def _facts(study: Study, release: str) -> dict[str, Any]:
    quarter = release.partition("/")[0]
    known = {entry["release"]: entry for entry in Ledger(study.ledger).releases()}
    if release not in known:
        raise UsageError(f"no release {release!r} of {quarter}", where="release", fix=did_you_mean(release, known))
    if "drops" not in known[release] or "snapshot" not in known[release]:
        raise NotReproducible(
            "the release was made before releases pinned their drops", where=release, fix="build the quarter again"
        )
    return known[release]


def _is_as_known_now(study: Study, quarter: Quarter, facts: dict[str, Any]) -> bool:
    store = Store(study)
    read = [each for each in store.quarters_with_data() if each <= quarter]
    return pinned_drops(store, read) == facts["drops"] and snapshot_digest(study.root) == facts["snapshot"]


@contextmanager
def _scratch(study: Study, decisions: Path, pins: dict[str, str] | None) -> Iterator[Study]:
    """A study folder of the same name with the same raw drops, of which it reads the pinned ones."""
    with tempfile.TemporaryDirectory(prefix="jianfu-rerun-") as folder:
        root = Path(folder) / study.root.name
        root.mkdir()
        copy_decisions(decisions, root)
        (root / "raw").symlink_to(study.raw, target_is_directory=True)
        reports = Study.open(root).reports
        reports.symlink_to(study.reports, target_is_directory=True)  # read only: earlier releases
        Study.open(root).private.symlink_to(study.private, target_is_directory=True)
        if pins is not None:
            (root / PINS).write_text(json.dumps(pins), encoding="utf-8")
        yield Study.open(root)


def _rerun(study: Study, quarter: Quarter, workers: int, progress: Say) -> Results:
    from analysis_lib.running.builds import results_together

    run = run_quarters(study, [quarter], workers=workers, command="reproduce", progress=progress)
    if run.failed:
        listed = "\n".join(f"  {each.unit_id}: {each.kind}: {each.message}" for each in run.failed)
        fix = "rerun with the code and lock file of the release"
        raise UnitFailed(f"{len(run.failed)} units no longer run\n{listed}", where="rerun", fix=fix)
    return results_together(study, plan_quarters(study, [quarter]), Ledger(study.ledger))


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _pages(study: Study, quarter: Quarter, results: Results, number: int) -> dict[str, Content]:
    from analysis_lib.publishing.releases import release_files

    with stopping_on_signals(), warm_workers(study.config.running.workers or os.cpu_count() or 1) as spread:
        return release_files(study, quarter, results, number, spread)


def _what_changed(ledger: Ledger, planned: list[Planned]) -> list[str]:
    """Components of the units' keys that are others than in the last run before the release."""
    changed: set[str] = set()
    for each in planned:
        if last := ledger.last_ending(each.unit.id):
            parts = {*each.components, *last.components}
            changed |= {part for part in parts if each.components.get(part) != last.components.get(part)}
    return sorted(changed)


# -- the headline -------------------------------------------------------------------------------------


def _hours(results: Results) -> ProtectedTable:
    return next(tables[_HEADLINE_TABLE] for tables in results.values() if _HEADLINE_TABLE in tables)


def _side_by_side(study: Study, quarter: Quarter, hours: dict[str, ProtectedTable]) -> list[dict[str, Any]]:
    from analysis_lib.publishing.sentences import pick

    settings = study.config.estimation
    rows = []
    for measure in dict.fromkeys([settings.headline, *settings.nested]):
        cells: dict[str, Any] = {"measure": measure}
        for name, table in hours.items():
            row = pick(table, measure=measure, period=str(quarter))
            value, low, high = (None, None, None) if row is None else (row["value"], row["ci_low"], row["ci_high"])
            cells |= {name: value, f"{name}_low": low, f"{name}_high": high}
        rows.append(cells)
    return rows
