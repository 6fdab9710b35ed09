"""What a quarter may know of earlier ones: what was published of them, from which drops, and what it claimed.

Apart from `pipeline`, so that only notebooks which look back depend on the ledger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pandas as pd

from analysis_lib import pipeline
from analysis_lib.disclosure.handover import read_results
from analysis_lib.disclosure.members import Roster, differing
from analysis_lib.disclosure.over_releases import count_changed
from analysis_lib.disclosure.policy import KEPT
from analysis_lib.ingest.instrument_versions import concept_changes
from analysis_lib.methods import method_versions
from analysis_lib.monitoring.change_account import Circumstances, Link, account_for_change, no_rows
from analysis_lib.monitoring.claims import Claim
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.monitoring.linking import hours_by_new, in_part, link_between, read_links
from analysis_lib.parameters import RunParameters
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.store import Store


@dataclass(frozen=True, slots=True)
class PastRelease:
    """The release in force of the quarter before.

    Attributes
    ----------
    name : str
        Such as ``2026Q2/r1``.
    hours : pandas.DataFrame
        Its numbers of that quarter as printed: measure, region, value, ci_low, ci_high, mark.
    pins : dict of str to str
        Drops that it read, id → hash; empty where the ledger does not say.
    method_changed : bool or None
        Whether the notebook behind the numbers had another method version; None where the release does not say.
    """

    name: str
    quarter: Quarter
    hours: pd.DataFrame
    pins: dict[str, str]
    method_changed: bool | None


def last_release(run: RunParameters) -> PastRelease | None:
    """What was published last of the quarter before; None where nothing was, or its numbers are not there."""
    before, ledger = run.quarter.shift(-1), Ledger(run.study.ledger)
    shown = ledger.last_publication(str(before))
    if shown is None:
        return None
    name = str(shown["release"])
    folder = run.study.reports / name
    found = sorted((folder / "results").glob("*/hours.json"))
    if not found:
        return None
    stem = found[0].parent.name
    rows = read_results(found[0].parent)["hours"].table
    rows = rows[(rows["by"] == "") & (rows["period"] == str(before))]
    rows = rows.assign(region=[run.study.region_changes.as_published(code, before) for code in rows["region"]])
    methods = json.loads((folder / "release.json").read_text(encoding="utf-8")).get("methods")
    built = [told for told in ledger.releases() if told["release"] == name]
    return PastRelease(
        name,
        before,
        rows[["measure", "region", "value", "ci_low", "ci_high", "mark"]],
        dict(built[-1].get("drops") or {}) if built else {},
        None if methods is None else methods.get(stem) != method_versions().get(stem),
    )


def instrument_changes(run: RunParameters) -> pd.DataFrame:
    """What each version of an instrument that came into use this quarter changed against the one that went."""
    versions = pipeline.instruments(run)
    before, now = (versions.get(str(quarter), frozenset()) for quarter in (run.quarter.shift(-1), run.quarter))
    return concept_changes(run.study, before, now)


def account_measures(study: Study) -> list[str]:
    """Measures whose movement is accounted for: the headline and those shown with it."""
    return list(dict.fromkeys([study.config.estimation.headline, *study.config.estimation.nested]))


def account(run: RunParameters, officials: pd.DataFrame) -> pd.DataFrame:
    """Why the headline measures moved since the last release, in the nation and in regions with a page.

    No rows where nothing was published of the quarter before, or it has no data now: `no_account` says which.
    """
    past, measures = last_release(run), account_measures(run.study)
    if past is None or no_account(run):
        return no_rows()
    versions, links = pipeline.instruments(run), read_links(run.study)
    earlier, later = str(past.quarter), str(run.quarter)
    regions = [NATION, *pipeline.page_regions(run.study)]
    linked: dict[tuple[str, str], Link] = {}
    asked_by = {quarter: is_new for quarter, is_new in pipeline.asked_by(run).items() if quarter == later}
    by_new = hours_by_new(officials, asked_by, measures, study=run.study, regions=regions)
    for measure, region in product(measures, regions):
        if (share := float(by_new.get((measure, region, later), 0.0))) > 0:
            link = link_between(links, measure, versions[earlier], versions[later])
            linked[measure, region] = Link(*in_part(link, share)) if link else Link(None)
    # The same drops and the same code give the same tables, read from where they were kept.
    known_then = pipeline.officials_of(Store(run.study, only=past.pins), past.quarter) if past.pins else None
    few = _few_revised(run, past, known_then, officials[officials["quarter"] == earlier], measures, regions)
    circumstances = Circumstances(known_then, past.method_changed, linked, few)
    return account_for_change(
        past.hours, officials, circumstances, study=run.study, earlier=earlier, later=later, measures=measures,
        regions=regions,
    )  # fmt: skip


def _few_revised(
    run: RunParameters,
    past: PastRelease,
    known_then: pd.DataFrame | None,
    known_now: pd.DataFrame,
    measures: list[str],
    regions: list[str],
) -> frozenset[tuple[str, str]]:
    """Measures and regions of which a step of revised data would tell what a few late returns said."""
    kept = past.hours[past.hours["mark"].str.endswith(KEPT)]  # its number is of an earlier release
    found = set(zip(kept["measure"], kept["region"], strict=True))
    if known_then is not None:
        common = [name for name in known_now.columns if name in known_then.columns]
        then, now = (
            Roster.of(each[common], study=run.study, key=b"", method="") for each in (known_then, known_now)
        )  # kept nowhere, so under no key
        changed = differing(then, now).assign(quarter=str(past.quarter))
        cells = pd.DataFrame(product(measures, regions), columns=["measure", "region"])
        cells = cells.assign(by="", category="", period=str(past.quarter))
        counts = count_changed(cells, changed, study=run.study)
        few = cells[counts.between(1, run.study.config.disclosure.min_respondents - 1)]
        found |= set(zip(few["measure"], few["region"], strict=True))
    return frozenset(found)


def no_account(run: RunParameters) -> str:
    """Why the movement since the last release has no account: ``no_release``, ``no_data``; empty where it has one."""
    if last_release(run) is None:
        return "no_release"
    return "" if str(run.quarter.shift(-1)) in pipeline.instruments(run) else "no_data"


def past_claims(run: RunParameters) -> list[tuple[str, Claim]]:
    """Claims of the release in force of every earlier quarter, with the name of the release."""
    ledger = Ledger(run.study.ledger)
    in_force = _in_force_before(run, ledger)
    claims = [(row["release"], Claim.of_row(row)) for row in ledger.claims() if row["release"] in in_force]
    return [(release, _of_today(claim, release, run.study)) for release, claim in claims]


def past_forecasts(run: RunParameters) -> list[dict[str, Any]]:
    """Forecasts of the release in force of every earlier quarter, as the ledger recorded them when they were published."""
    ledger = Ledger(run.study.ledger)
    in_force = _in_force_before(run, ledger)
    return [row for row in ledger.forecasts() if row["release"] in in_force]


def _in_force_before(run: RunParameters, ledger: Ledger) -> set[str]:
    earlier = [quarter for quarter in run.study.config.calendar.quarters if quarter < run.quarter]
    shown = [ledger.last_publication(str(quarter)) for quarter in earlier]
    return {str(publication["release"]) for publication in shown if publication}


def _of_today(claim: Claim, release: str, study: Study) -> Claim:
    """A claim under the code that its region has now; one on borders that are gone can no longer be scored."""
    made = Quarter.parse(release.partition("/")[0])
    region = study.region_changes.as_published(claim.region, made)
    if claim.kind != "comparison":
        return replace(claim, region=region)
    return replace(claim, region=region, subject=study.region_changes.as_published(claim.subject, made))
