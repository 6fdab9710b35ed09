"""Build a quarter's pages from complete results, once per state of what they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis_lib.disclosure.handover import read_results
from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.errors import UnitFailed
from analysis_lib.fingerprints import PACKAGE, files_fingerprint, fingerprint
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.runs import plan_quarters
from analysis_lib.running.units import TABLES, Planned
from analysis_lib.study import NATION, Study


@dataclass(frozen=True, slots=True)
class Build:
    """A quarter's release, whether it was built just now, and the first page of the site."""

    release: str
    is_new: bool
    index: Path


def build_quarter(study: Study, quarter: Quarter) -> Build:
    """Build release and site of a quarter unless they stand already.

    Raises
    ------
    UnitFailed
        When a unit of the quarter is missing, failed or stale: half an assessment is not published.
    """
    planned = plan_quarters(study, [quarter])
    waiting = [each for each in planned if each.reason]
    if waiting:
        listed = "; ".join(f"{each.unit.id}: {each.reason}" for each in waiting)
        raise UnitFailed(
            f"{len(waiting)} of {len(planned)} units are not up to date ({listed})",
            where="build",
            fix=f"jianfu run --quarter {quarter}",
        )
    publishing = PACKAGE / "publishing"
    made_from = fingerprint(
        *(each.key for each in planned),
        files_fingerprint(sorted(path for path in publishing.rglob("*.*") if path.is_file()), base=publishing),
        study.config.model_dump_json(exclude={"running"}),
    )
    ledger = Ledger(study.ledger)
    last = ledger.last_release(str(quarter))
    index = study.reports / "site" / "index.html"
    if last and last["made_from"] == made_from and index.is_file():
        return Build(last["release"], False, index)
    # Templates, figures and fonts are not loaded to find that nothing is to do.
    from analysis_lib.publishing.site import build_release, build_site

    release = build_release(study, quarter, _results(study, planned))
    build_site(study)
    ledger.record_release(str(quarter), release.name, made_from=made_from)
    return Build(release.name, True, index)


def headline(study: Study, quarter: Quarter, language: str) -> str:
    """The finding of a quarter in one sentence, from the tables that its notebooks handed over."""
    from analysis_lib.publishing import sentences

    national = [each for each in plan_quarters(study, [quarter]) if each.unit.region == NATION]
    tables = {name: table for handed in _results(study, national).values() for name, table in handed.items()}
    return sentences.hours_answer(tables["hours"], tables["change"], study=study, language=language)


def _results(study: Study, planned: list[Planned]) -> dict[str, dict[str, ProtectedTable]]:
    """Protected tables by unit."""
    return {each.unit.name: read_results(each.folder(study) / TABLES) for each in planned}
