"""The gates that a site passes before readers see it, and what could not be checked on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from analysis_lib import pipeline
from analysis_lib.errors import PublicationBlocked
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

if TYPE_CHECKING:
    from analysis_lib.publishing.releases import Release

SHOWN = 20  # problems in a message


def pass_gates(study: Study, site: Path, release: Release) -> list[str]:
    """Hold a site against every gate.

    Returns
    -------
    list of str
        What was not checked, and why; it belongs into the record of the publication.

    Raises
    ------
    PublicationBlocked
        Naming what is wrong, never what leaked.
    """
    from analysis_lib.publishing.gates import problems_of_site
    from analysis_lib.publishing.releases import lacks_pdf

    why = f"{release.manifest.get('lacking', '')}; build again where Chromium is, or set [publishing] pdf = false"
    refuse([f"pdf: {path} was not made: {why}" for path in lacks_pdf(study, release)], release.name)
    refuse(problems_of_site(study, site, release, private=respondents(study, release)), release.name)
    return _looked_at(study, site, release)


def respondents(study: Study, release: Release) -> set[str]:
    """Ids of everybody whose answers a release may rest on, as far as their tables are on this machine."""
    store, found = Store(study), set()
    for quarter in store.quarters_with_data():
        known = pipeline.ingest_fingerprint(store, quarter)
        if quarter <= release.quarter and store.has(quarter, known):
            ids = store.scan("respondents", quarter, known).select(pl.col("respondent_id").cast(pl.String).unique())
            found |= set(ids.collect().to_series().drop_nulls())
    return found


def refuse(found: list[str], name: str) -> None:
    """Raise `PublicationBlocked` when a gate found anything."""
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise PublicationBlocked(
            "\n".join([*found[:SHOWN], *more]), where=name, fix="mend what the gates name, then build and sign again"
        )


def _looked_at(study: Study, site: Path, release: Release) -> list[str]:
    """Run the gate that needs a browser; what keeps it from running is returned."""
    from analysis_lib.publishing.gates import browser, new_files

    if not study.config.publishing.accessibility:
        return ["accessibility: switched off in study.toml"]
    if lacking := browser.missing():
        return [f"accessibility: {lacking} not on this machine"]
    pages = [path for path in new_files(site, release) if path.endswith(".html")]
    names = {str(code): f"{row['name_zh']}{row['name_en']}" for code, row in study.regions.iterrows()}
    kinds = browser.one_of_each_kind(pages, names)
    refuse([f"accessibility: {each}" for each in browser.barriers(site, kinds)], release.name)
    return []
