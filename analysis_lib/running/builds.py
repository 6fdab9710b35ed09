"""Build pages from complete results, once per state of what they are made from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis_lib.errors import PublicationBlocked, UnitFailed
from analysis_lib.fingerprints import PACKAGE, files_fingerprint, fingerprint
from analysis_lib.methods import method_versions, refuse_unexplained_methods
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.executors import stopping_on_signals, warm_workers
from analysis_lib.running.late_returns import keep_published
from analysis_lib.running.releases import last_published, numbered_above, preview, settle
from analysis_lib.running.runs import check_room, plan_quarters
from analysis_lib.running.suite import Suite
from analysis_lib.running.units import TABLES, Planned, drift_of
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY
from analysis_lib.tables.snapshots import keep_snapshot
from analysis_lib.tables.store import Store, pinned_drops

if TYPE_CHECKING:
    import pandas as pd

    from analysis_lib.publishing.releases import Release, Results


@dataclass(frozen=True, slots=True)
class Build:
    """What was built.

    Attributes
    ----------
    releases : dict of Quarter to str
        The newest release of each quarter that is complete.
    new : list of Quarter
        Quarters whose release was written just now.
    incomplete : list of Quarter
        Quarters left alone because a unit of theirs is missing, failed or stale.
    index : pathlib.Path
        The first page of the preview.
    without_pdf : dict of str to str
        Release that should have a PDF and has none → why.
    """

    releases: dict[Quarter, str]
    new: list[Quarter]
    incomplete: list[Quarter]
    index: Path
    without_pdf: dict[str, str] = field(default_factory=dict)


def build_quarters(study: Study, quarters: list[Quarter]) -> Build:
    """Build the candidate of each complete quarter that lacks it, and the preview; what readers see is left alone.

    Raises
    ------
    UnitFailed
        When the last of the quarters is not complete: half an assessment is not published.
    PublicationBlocked
        When a method version was raised and the change log does not say why.
    InputRejected
        When a quarter between others has no data and is not declared as not held.
    """
    refuse_unexplained_methods()
    Store(study).refuse_gaps(max(quarters))
    ledger = Ledger(study.ledger)
    settle(study)
    index = study.reports / "preview" / "index.html"
    planned = {quarter: plan_quarters(study, [quarter]) for quarter in quarters}
    incomplete = [quarter for quarter, units in planned.items() if any(each.reason for each in units)]
    if quarters[-1] in incomplete:
        raise _not_complete(quarters[-1], planned[quarters[-1]])
    current = {quarter: made_from(study, units) for quarter, units in planned.items() if quarter not in incomplete}
    releases = {quarter: ledger.last_release(str(quarter)) for quarter in current}
    stand = {
        quarter: last["release"]
        for quarter, last in releases.items()
        if last and last["made_from"] == current[quarter] and _is_whole(study, last["release"])
    }
    to_build = [quarter for quarter in current if quarter not in stand]
    if to_build:
        check_room(study, study.reports)
        _refuse_older_numbering(study, ledger, to_build)
    pinned = {quarter: _pinned(study, quarter, planned[quarter]) for quarter in to_build}
    built = _build(study, ledger, {quarter: planned[quarter] for quarter in to_build}, pinned) if to_build else {}
    for quarter, release in built.items():
        ledger.record_release(
            str(quarter),
            release.name,
            made_from=current[quarter],
            manifest_sha256=release.manifest_sha256,
            **pinned[quarter],
            state=study.state_of(quarter, study.today()),
            snapshot=keep_snapshot(study),
        )
    if built or not index.is_file():
        preview(study)
    names = stand | {quarter: release.name for quarter, release in built.items()}
    without = {each.name: each.manifest["lacking"] for each in built.values() if "lacking" in each.manifest}
    return Build(names, [quarter for quarter, release in built.items() if release.is_new], incomplete, index, without)


def headline(study: Study, quarter: Quarter, language: str) -> str:
    """The finding of a quarter in one sentence, from the tables that its notebooks handed over."""
    from analysis_lib.publishing import sentences

    national = [each for each in plan_quarters(study, [quarter]) if each.unit.region == NATION]
    tables = {name: table for handed in _results(study, national).values() for name, table in handed.items()}
    return sentences.hours_answer(tables["hours"], tables["change"], study=study, language=language)


def _build(
    study: Study, ledger: Ledger, planned: dict[Quarter, list[Planned]], pinned: dict[Quarter, dict[str, Any]]
) -> dict[Quarter, Release]:
    # Templates, figures and fonts are not loaded to find that nothing is to do.
    from analysis_lib.publishing.releases import build_release
    from analysis_lib.running.sbom import bill_of_materials

    with stopping_on_signals(), warm_workers(study.config.running.workers or os.cpu_count() or 1) as spread:
        return {
            quarter: build_release(
                study,
                quarter,
                results_together(study, units, ledger),
                published=last_published(ledger, quarter),
                facts=pinned[quarter],
                sbom=bill_of_materials(),
                spread=spread,
            )
            for quarter, units in planned.items()
        }


def results_together(study: Study, units: list[Planned], ledger: Ledger) -> Results:
    """Protected tables by unit, as they may stand beside each other and beside what readers have.

    Raises
    ------
    PublicationBlocked
        When the tables together give away what each of them withholds.
    """
    from analysis_lib.disclosure.handover import read_evidence
    from analysis_lib.disclosure.linked import protect_together

    evidence = {each.unit.name: read_evidence(each.folder(study) / TABLES) for each in units}
    quarter = units[0].unit.quarter
    results, readers = keep_published(_results(study, units), study=study, quarter=quarter, ledger=ledger)
    earlier = _compared_with(study, ledger, evidence)
    return protect_together(results, evidence, study=study, earlier=earlier, readers=readers)


def _compared_with(study: Study, ledger: Ledger, evidence: dict[str, pd.DataFrame]) -> list[Results]:
    """What readers have of the quarters with which estimates are compared, where they are not among the estimates."""
    from analysis_lib.disclosure.policy import CHANGE_ARROW
    from analysis_lib.publishing.releases import release_of, results_of

    cells = {
        cell for rows in evidence.values() for cell in rows[ESTIMATE_KEY].fillna("").itertuples(index=False, name=None)
    }
    compared = {(*cell, period.partition(CHANGE_ARROW)[0]) for *cell, period in cells if CHANGE_ARROW in period}
    bases = sorted({period for *_, period in compared - cells})
    published = [each["release"] for base in bases if (each := ledger.last_publication(base)) is not None]
    return [results_of(release_of(study, name)) for name in published]


def _results(study: Study, units: list[Planned]) -> Results:
    """Protected tables by unit."""
    from analysis_lib.disclosure.handover import read_results

    return {each.unit.name: read_results(each.folder(study) / TABLES) for each in units}


def _is_whole(study: Study, name: str) -> bool:
    from analysis_lib.publishing.releases import lacks_pdf, release_of

    return (study.reports / name / "release.json").is_file() and not lacks_pdf(study, release_of(study, name))


def _pinned(study: Study, quarter: Quarter, units: list[Planned]) -> dict[str, Any]:
    """What a rerun of a release, and the next one, need to know.

    drops, as_of (the last day of their receipt), methods, tables (unit → those its notebook promised), and drift: packages
    that differ from the lock file, where any do.
    """
    store, suite = Store(study), Suite.find()
    read = [each for each in store.quarters_with_data() if each <= quarter]
    drift = next((drift_of(each) for each in units), {})  # the same for all
    return {
        "drops": pinned_drops(store, read),
        "as_of": max(
            (each.received for one in read for each in store.drops(one)), default=quarter.last_day
        ).isoformat(),
        "methods": method_versions(),
        "tables": {each.unit.name: suite.notebooks[each.unit.notebook].tables for each in units},
        **({"drift": drift} if drift else {}),
    }


def _refuse_older_numbering(study: Study, ledger: Ledger, quarters: list[Quarter]) -> None:
    """Refuse to number a candidate below releases that stand there: they are of a time before publications were recorded."""
    for quarter in quarters:
        if above := numbered_above(study, ledger, quarter):
            raise PublicationBlocked(
                f"{', '.join(above)} stand there, and the ledger knows of no publication before them",
                where=f"reports/{quarter}",
                fix="keep a copy of that folder elsewhere, take it away, and build again",
            )


def made_from(study: Study, units: list[Planned]) -> str:
    """Hash over all that the release of a quarter is made from."""
    # Templates, texts, charts and disclosure rules shape a page as much as the numbers do.
    folders = [PACKAGE / name for name in ("publishing", "figures", "disclosure")]
    files = sorted(path for folder in folders for path in folder.rglob("*.*") if path.suffix not in (".pyc", ".otf"))
    return fingerprint(
        *(each.key for each in units),
        files_fingerprint(files, base=PACKAGE),
        study.config.model_dump_json(exclude={"running"}),
    )


def _not_complete(quarter: Quarter, units: list[Planned]) -> UnitFailed:
    waiting = [each for each in units if each.reason]
    listed = "; ".join(f"{each.unit.name}: {each.reason}" for each in waiting)
    return UnitFailed(
        f"{len(waiting)} of {len(units)} units of {quarter} are not up to date ({listed})",
        where="build",
        fix=f"jianfu run --quarter {quarter}",
    )
