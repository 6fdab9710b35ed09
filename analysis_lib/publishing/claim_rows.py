"""Which claims the pages of a release make, from the same functions that word them, and how later releases score them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_CHECK
from analysis_lib.figures.labels import NO_CATEGORY
from analysis_lib.measures import by_requirer
from analysis_lib.monitoring.adjusting import BY_ADJUST, RECOMMENDED
from analysis_lib.monitoring.claims import Claim, Kind, Score, claims_in, scored
from analysis_lib.monitoring.guardrails import BY_VERDICT
from analysis_lib.publishing.lasting_words import FINDINGS, MOVED, RELAPSE
from analysis_lib.publishing.reform_words import followed, planned_row
from analysis_lib.publishing.sentences import Writer, change_word, compare_word, pick
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study

Tables = Mapping[str, ProtectedTable]
PAST, AGAIN = "past_claims", "claims_again"


def claims_of(results: Mapping[str, Tables], study: Study, quarter: Quarter, release: str = "") -> list[dict[str, Any]]:
    """Every claim of a release as rows to record: the words of its sentences with their conditions.

    Parameters
    ----------
    results : mapping
        Unit → table name → table, as a release is built from.
    release : str
        Name of the release, kept in each row where it is given.
    """
    named = {"release": release} if release else {}
    return [claim.row() | named for claim in _claims(results, study, quarter)]


def scores_of(results: Mapping[str, Tables], study: Study, quarter: Quarter) -> list[dict[str, Any]]:
    """How a release scores the claims of earlier ones, as rows to record: the claim, its release, the word now, the score."""
    return [
        claim.row() | {"claimed_in": release, "word_now": now.word if now else "", "score": result}
        for release, claim, now, result in scored_claims(_national(results), study, str(quarter))
    ]


def scored_claims(tables: Tables, study: Study, period: str) -> list[tuple[str, Claim, Claim | None, Score]]:
    """Claims of earlier releases with their releases, what is said of the same today, and the score."""
    if PAST not in tables or AGAIN not in tables:
        return []
    claims = claims_in(tables[PAST].table, level=study.config.estimation.confidence_level)
    writer = Writer(study, "en")
    now = [
        *_said_again([claim for _, claim in claims], tables[AGAIN], writer),
        *_of_reforms(tables, writer, period),
        *_of_verdicts(tables, writer, period),
    ]
    results = scored((claim for _, claim in claims), now)
    return [(release, *result) for (release, _), result in zip(claims, results, strict=True)]


def _claims(results: Mapping[str, Tables], study: Study, quarter: Quarter) -> Iterator[Claim]:
    writer, national = Writer(study, "en"), _national(results)  # words are chosen alike in every language
    settings, period = study.config.estimation, str(quarter)
    required = by_requirer(study.measures)
    guards = [key for key, each in study.measures.items() if each.low_is_good is False][:1]
    if "change" in national:
        shown = [key for key in study.measures if key not in required]
        yield from _changes(national["change"], shown, NATION, writer)
    for region, tables in _regional(results).items():
        if "region_change" in tables:
            yield from _changes(tables["region_change"], [settings.headline, *guards], region, writer)
    if "hours" in national:
        yield from _comparisons(national["hours"], period, writer)
    yield from _of_reforms(national, writer, period)
    yield from _of_verdicts(national, writer, period)


def _changes(change: ProtectedTable, keys: list[str], region: str, writer: Writer) -> Iterator[Claim]:
    for key in dict.fromkeys(keys):
        row = pick(change, measure=key, region=region, period=None)
        word = writer.word_for(row)
        if row is not None and word != "unknown":
            yield _change(row, word, writer)


def _change(row: pd.Series, word: str, writer: Writer) -> Claim:
    threshold = writer.smallest_change(row["unit"])
    return _claim("change", row, word, "interval_of_change", writer, threshold=threshold)


def _comparisons(hours: ProtectedTable, period: str, writer: Writer) -> Iterator[Claim]:
    settings = writer.study.config.estimation
    other = pick(hours, measure=settings.headline, region=NATION, period=period)
    for code in writer.study.regions_at(settings.page_level):
        row = pick(hours, measure=settings.headline, region=code, period=period)
        if row is not None and other is not None and not row[["value"]].isna().any() and pd.notna(other["value"]):
            yield _claim("comparison", row, compare_word(row, other), "intervals_apart", writer, subject=NATION)


def _said_again(claims: list[Claim], again: ProtectedTable, writer: Writer) -> Iterator[Claim]:
    """What today's numbers say of claims on changes and comparisons, by the rule of each."""
    for claim in claims:
        row = again.row(measure=claim.measure, region=claim.region, category=NO_CATEGORY, period=claim.period)
        if row is None or row[["value", "ci_low", "ci_high"]].isna().any():
            continue
        if claim.kind == "change":
            word = change_word(row["ci_low"], row["ci_high"], claim.threshold)
            yield _claim("change", row, word, claim.rule, writer, threshold=claim.threshold)
        if claim.kind == "comparison":
            other = again.row(measure=claim.measure, region=claim.subject, category=NO_CATEGORY, period=claim.period)
            if other is not None and pd.notna(other["value"]):
                yield _claim("comparison", row, compare_word(row, other), claim.rule, writer, subject=claim.subject)


def _of_reforms(tables: Tables, writer: Writer, period: str) -> Iterator[Claim]:
    """Verdicts on reforms: the effect by its latest look, its checks, whether the cut held, whether burden moved."""
    for reform in read_reforms(writer.study):
        primary = reform.primary_in(writer.study)
        found: list[tuple[Kind, str, pd.Series]] = []
        if "reform_effects" in tables:
            row = followed(
                planned_row(tables["reform_effects"].table, reform, primary), reform, tables.get("reform_looks")
            )
            if row is not None:
                found.append(("reform", reform.id, row))
        judged: list[tuple[Kind, str, str, set[str] | None]] = [
            ("check", "reform_checks", BY_CHECK, None),
            ("relapse", "reform_lasting", RELAPSE, {"lost"}),
            ("moved", "accounts", MOVED, {*FINDINGS}),
        ]
        for kind, name, by, parts in judged:
            if name not in tables:
                continue
            rows = tables[name].table
            rows = rows[(rows["by"] == by) & (rows["outcome"] != "") & (rows["category"].str.count(r"\.") == 1)]
            if kind != "moved":
                rows = rows[rows["measure"] == primary]
            of, part = (rows["category"].str.split(".").str[place] for place in (0, 1))
            rows = rows[(of == reform.id) & (True if parts is None else part.isin(parts))]
            for _, row in rows.iterrows():
                found.append((kind, str(row["category"]), row))
        for kind, subject, row in found:
            word = str(row["outcome"]).split(".")[0]
            yield _claim(
                kind, row, word, "verdict", writer, subject=subject, period=period, threshold=reform.smallest_change
            )


def _of_verdicts(tables: Tables, writer: Writer, period: str) -> Iterator[Claim]:
    """What was answered to the three distinctions, and recommended for each reform; what is withheld claims nothing."""
    judged: list[tuple[Kind, str, str, str]] = [
        ("distinction", "guardrails", BY_VERDICT, ""),
        ("recommendation", "adjustments", BY_ADJUST, f".{RECOMMENDED}"),
    ]
    # Many numbers stand behind such a verdict, others in another quarter: it is filed under the headline, without any.
    filed = {"measure": writer.study.config.estimation.headline, "region": NATION, "unit": "hours_week",
             "value": None, "ci_low": None, "ci_high": None}  # fmt: skip
    for kind, name, by, ending in judged:
        if name not in tables:
            continue
        rows = tables[name].table
        rows = rows[(rows["by"] == by) & (rows["outcome"] != "") & rows["category"].str.endswith(ending)]
        for subject, word in zip(rows["category"].str.removesuffix(ending), rows["outcome"], strict=True):
            yield _claim(kind, pd.Series(filed), str(word), "verdict", writer, subject=str(subject), period=period)


def _claim(
    kind: Kind, row: pd.Series, word: str, rule: str, writer: Writer, *, subject: str = "", period: str = "",
    threshold: float | None = None,
) -> Claim:  # fmt: skip
    numbers = {name: None if pd.isna(row[name]) else float(row[name]) for name in ("value", "ci_low", "ci_high")}
    return Claim(
        kind, str(row["measure"]), str(row["region"]), period or str(row["period"]), subject, word, str(row["unit"]),
        **numbers, threshold=threshold, level=writer.study.config.estimation.confidence_level, rule=rule,
    )  # fmt: skip


def _national(results: Mapping[str, Tables]) -> dict[str, ProtectedTable]:
    return {name: table for unit, tables in results.items() if "/" not in unit for name, table in tables.items()}


def _regional(results: Mapping[str, Tables]) -> dict[str, dict[str, ProtectedTable]]:
    found: dict[str, dict[str, ProtectedTable]] = {}
    for unit, tables in results.items():
        if "/" in unit:
            found.setdefault(unit.partition("/")[2], {}).update(tables)
    return found
