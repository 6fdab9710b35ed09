"""Sentences on what moved since the last release and on what became of earlier claims."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.monitoring.change_account import BY_ACCOUNT, LAST, MOVED, STEPS, THIS
from analysis_lib.monitoring.claims import SCORES, Claim
from analysis_lib.publishing.claim_rows import AGAIN, PAST, scored_claims
from analysis_lib.publishing.sentences import Writer
from analysis_lib.study import NATION, Study

STRANGE = ("with_method", "with_instrument", "with_mix", "unexplained")  # what a reader must be told of a step


def step_titles(language: str, *, study: Study) -> dict[str, str]:
    """What each row of an account is called."""
    text = Writer(study, language).text
    return {step: text(f"movement.{step}") for step in [LAST, *STEPS, THIS, MOVED]}


def movement(account: ProtectedTable, measure: str, writer: Writer, *, region: str = NATION) -> str:
    """A measure's movement in a sentence: from, to, by which steps, and whether chance alone could be as large."""
    rows = _rows(account, measure, region)
    if not rows:
        return ""
    text, labels = writer.text, writer.labels
    unit, moved = rows[THIS]["unit"], rows[MOVED]
    steps = [
        text("movement.step", step=text(f"movement.{step}"), amount=labels.signed(rows[step]["value"], unit))
        for step in STEPS
        if step in rows and rows[step]["value"] != 0
    ]
    words = {
        "title": labels.measure(measure),
        "last": labels.number(rows[LAST]["value"], unit),
        "this": labels.quantity(rows[THIS]["value"], unit),
        "signed": labels.signed(moved["value"], unit),
        "interval": writer.interval(moved) if pd.notna(moved["ci_low"]) else "",
        "level": writer.level,
        "steps": text("movement.join").join(steps),
    }
    kind = "same" if not steps else "unknown" if not words["interval"] else "told"
    if kind == "told" and moved["ci_low"] <= 0 <= moved["ci_high"]:
        kind = "chance"
    said = [text(f"movement.says_{kind}", **words)]
    said += [text(f"movement.how_{how}") for how in STRANGE if how in {row["outcome"] for row in rows.values()}]
    return (" " if writer.language == "en" else "").join(said)


def account_answer(account: ProtectedTable, reason: str, *, study: Study, language: str) -> str:
    """A sentence for each measure of the account, or why there is none (`history.no_account`)."""
    writer = Writer(study, language)
    if reason:
        return writer.text(f"movement.{reason}")
    said = [movement(account, str(measure), writer) for measure in account.table["measure"].unique()]
    return "\n\n".join(sentence for sentence in said if sentence) or writer.text("movement.withheld")


def record(tables: dict[str, ProtectedTable], period: str, writer: Writer) -> str:
    """How many earlier claims there are, and how many of them have each score."""
    found = Counter(score for *_, score in scored_claims(tables, writer.study, period))
    if not found:
        return writer.text("claims.none")
    return writer.text("claims.record", total=found.total(), **{score: found[score] for score in SCORES})


def record_answer(past: ProtectedTable, again: ProtectedTable, *, study: Study, period: str, language: str) -> str:
    """The same for the notebook, which re-estimates changes and comparisons; verdicts are scored with all results."""
    return record({PAST: past, AGAIN: again}, period, Writer(study, language))


def claim_text(claim: Claim, writer: Writer) -> str:
    """What a claim is about: the measure or finding, the place, the period, and the reform."""
    labels, text = writer.labels, writer.text
    if claim.kind == "distinction":
        return text("alt.separator").join([text(f"guard.{claim.subject}"), labels.period(claim.period)])
    reform, _, part = claim.subject.partition(".")
    if claim.kind == "recommendation":
        words = [labels.reform_titles.get(reform, reform), text("claims.recommendation"), labels.period(claim.period)]
        return text("alt.separator").join(words)
    about = labels.measure(claim.measure) if claim.kind not in ("check", "moved") else text(f"{claim.kind}.{part}")
    words = [
        *([labels.reform_titles.get(reform, reform)] if claim.rule == "verdict" else []),
        *([text("lasting.relapse")] if claim.kind == "relapse" else []),
        about,
        *([] if claim.rule == "verdict" else [labels.region(claim.region)]),
        *([writer.mean(claim.subject)] if claim.kind == "comparison" else []),
        labels.period(claim.period),
    ]
    return text("alt.separator").join(words)


def word_text(claim: Claim | None, writer: Writer) -> str:
    """The word of a claim, as its sentence has it; a dash where nothing can be said today."""
    if claim is None:
        return "–"
    key = {
        "change": f"change.word_{claim.word}",
        "comparison": f"claims.{claim.word}",
        "reform": f"effect.{claim.word}_since",
        "distinction": f"guard.{claim.word}",
        "recommendation": f"claims.{claim.word}",
    }.get(claim.kind, f"effect.{claim.word}")
    return writer.text(key)


def step_note(outcome: str, writer: Writer) -> str:
    """How a step was had."""
    return writer.text(f"movement.is_{outcome}") if outcome else ""


def _rows(account: ProtectedTable, measure: str, region: str) -> dict[str, dict[Any, Any]]:
    """Rows of one account by their step; none where it is withheld."""
    table = account.table
    rows = table[(table["by"] == BY_ACCOUNT) & (table["measure"] == measure) & (table["region"] == region)]
    return {} if rows["value"].isna().any() else {row["category"]: {**row} for row in rows.to_dict("records")}
