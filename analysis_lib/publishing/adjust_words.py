"""Sentences on what to adjust: the recommendation with its reasons, what a scenario gives, and what is foreseen."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.monitoring.adjusting import (
    BY_ADJUST,
    LATE,
    MOVED,
    NOT_COMPARED,
    RECOMMENDED,
    RELAPSED,
    RETURNED,
    UNKEPT,
)
from analysis_lib.monitoring.forecasts import BY_FORECAST, COVERED, ERROR, INNER_LEVEL, NAIVE_ERROR
from analysis_lib.publishing.forecast_rows import WITHIN
from analysis_lib.publishing.sentences import Writer
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import Study

SAID_BESIDE = (f"{UNKEPT}.yes", f"{RELAPSED}.since")  # reservations with a sentence of their own


@dataclass(frozen=True)
class Advice:
    """What is recommended for a reform: a heading, and the sentences that give the reasons."""

    reform: Reform
    title: str
    text: str


def advice(adjustments: ProtectedTable, *, writer: Writer) -> list[Advice]:
    """Each reform's recommendation in the order of the register; those without any are left out."""
    found = {row["category"]: row for row in _rows(adjustments).to_dict("records")}
    told = []
    for reform in read_reforms(writer.study):
        row = found.get(f"{reform.id}.{RECOMMENDED}")
        if row is None:
            continue
        word = str(row["outcome"]) or "hidden"
        title = writer.text(f"adjust.title_{word}", reform=reform.titles[writer.language])
        told.append(Advice(reform, title, _why(row, found, reform, writer)))
    return told


def adjust_answer(adjustments: ProtectedTable, *, study: Study, language: str) -> str:
    """Every recommendation with its reasons, as paragraphs."""
    writer = Writer(study, language)
    told = [f"**{each.title}** {each.text}" for each in advice(adjustments, writer=writer)]
    return "\n\n".join(told) or writer.text("effect.no_reforms")


def forecast_words(forecasts: ProtectedTable, scores: ProtectedTable | None, *, writer: Writer) -> str:
    """The headline as foreseen for the next quarter, and how forecasts made anew fared; empty without any."""
    headline = writer.study.config.estimation.headline
    rows = forecasts.table
    rows = rows[(rows["by"] == BY_FORECAST) & (rows["measure"] == headline) & rows["value"].notna()]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    said = [
        writer.text(
            "adjust.foreseen",
            title=writer.labels.measure(headline),
            period=writer.labels.period(str(row["period"])),
            **writer.words(row),
        )
    ]
    fared: dict[str, dict] = {}
    if scores is not None:
        mine = scores.table[scores.table["measure"] == headline].to_dict("records")
        fared = {row["category"]: row for row in mine if pd.notna(row["value"])}
    if {ERROR, NAIVE_ERROR, COVERED} <= set(fared):
        said.append(
            writer.text(
                "adjust.fared",
                covered=writer.labels.number(fared[COVERED]["value"], "share"),
                level=writer.level,
                error=writer.amount(fared[ERROR]["value"], fared[ERROR]["unit"]),
                naive=writer.amount(fared[NAIVE_ERROR]["value"], fared[NAIVE_ERROR]["unit"]),
            )
        )
    return (" " if writer.language == "en" else "").join(said)


def record_words(scored: list[dict], *, writer: Writer) -> str:
    """How many published forecasts of quarters that have come were within their intervals."""
    if not scored:
        return writer.text("adjust.no_record")
    with_inner = [each for each in scored if each["inner"]]
    counts = {
        "total": len(scored),
        "within": sum(each["score"] == WITHIN for each in scored),
        "level": writer.level,
        "inner_total": len(with_inner),
        "inner_within": sum(each["inner"] == WITHIN for each in with_inner),
        "inner_level": writer.labels.number(INNER_LEVEL, "share"),
    }
    return writer.text("adjust.record" if with_inner else "adjust.record_of_one_level", **counts)


def answer_word(name: str, answer: str, writer: Writer) -> str:
    """An answer to a question about a reform; where there is none, why."""
    if not answer:
        return ""
    return writer.text(f"adjust.{name}_none" if answer == "not_asked" else f"effect.{answer}")


def number_of(row: dict, writer: Writer) -> str:
    """The number behind an answer, with its interval where it has one."""
    if pd.isna(row["value"]):
        return ""
    if row["category"].endswith(f".{RETURNED}") or row["unit"] == "hours_week":
        number = writer.amount(row["value"], row["unit"], signed=True)
    else:
        number = writer.labels.number(row["value"], row["unit"])
    has_interval = pd.notna(row["ci_low"]) and pd.notna(row["ci_high"])
    return writer.with_interval(number, row) if has_interval else number


def _why(row: dict, found: dict[str, dict], reform: Reform, writer: Writer) -> str:
    reasons, _, reservations = str(row["reasons"]).partition("|")
    said = []
    decided = reasons.split()
    if NOT_COMPARED in decided:  # says why hours could not be compared, too
        said.append(writer.text("adjust.not_compared"))
        decided = [reason for reason in decided if reason not in (NOT_COMPARED, f"{RETURNED}.not_asked")]
    said += [_sentence(reason, found, reform, writer) for reason in decided]
    beside = reservations.split()
    said += [_sentence(each, found, reform, writer) for each in beside if each in SAID_BESIDE]
    unclear = [each.split(".")[0] for each in beside if each not in (*SAID_BESIDE, LATE)]
    if unclear:
        items = writer.text("alt.separator").join(writer.text(f"adjust.{name}_short") for name in unclear)
        said.append(writer.text("adjust.beside", items=items))
    if LATE in beside:
        said.append(writer.text("adjust.late"))
    return (" " if writer.language == "en" else "").join(said)


def _sentence(reason: str, found: dict[str, dict], reform: Reform, writer: Writer) -> str:
    name, _, answer = reason.partition(".")
    row = found.get(f"{reform.id}.{name}")
    number = "" if row is None else number_of(row, writer)
    kind = f"measured_{name}" if name in (UNKEPT, MOVED, RELAPSED) else "measured"
    measured = writer.text(f"adjust.{kind}", number=number) if number else ""
    return writer.text(f"adjust.{name}_{answer}", measured=measured)


def _rows(adjustments: ProtectedTable) -> pd.DataFrame:
    rows = adjustments.table
    return rows[rows["by"] == BY_ADJUST]
