"""Sentences on what became of reforms: what this look allows to say, whether a cut held, and whether burden moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.publishing.sentences import Writer
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study

LOOK, RELAPSE, HALF_LIFE, MOVED = "look", "relapse", "half_life", "moved"
FINDINGS = ("offline_to_online", "pen_to_fingertip", "toothpaste")
INDEX = "disguised"


@dataclass(frozen=True)
class Line:
    """One question about a reform, its answer in a word, and in a sentence."""

    key: str
    title: str
    outcome: str
    sentence: str


def lasting_lines(
    looks: ProtectedTable,
    lasting: ProtectedTable,
    accounts: ProtectedTable,
    reform: str,
    measure: str,
    *,
    writer: Writer,
) -> list[Line]:
    """The latest look, whether the cut of a measure held and for how long, and each way in which burden can move."""
    lines = [
        _look(_rows(looks, LOOK, reform, measure), writer),
        held_line(lasting, reform, measure, writer=writer),
        _half_life(_rows(lasting, HALF_LIFE, reform, measure), writer),
        *moved_lines(accounts, reform, writer=writer),
    ]
    return [line for line in lines if line]


def moved_lines(accounts: ProtectedTable, label: str, *, writer: Writer) -> Iterator[Line]:
    """Each named way in which burden can move, and the index of disguised burden, by an account."""
    rows = accounts.table
    found = {row["category"]: row for row in rows[rows["by"] == MOVED].to_dict("records")}
    for key in FINDINGS:
        row = found.get(f"{label}.{key}")
        if row is not None:
            amount = "" if pd.isna(row["value"]) else writer.amount(row["value"], row["unit"], signed=True)
            plain = writer.amount(abs(row["value"]), row["unit"]) if amount else ""
            said = f"{row['outcome']}_unknown" if not amount else row["outcome"]
            sentence = writer.text(f"lasting.{key}_{said}", amount=amount, plain=plain, interval=_interval(row, writer))
            yield Line(key, writer.text(f"moved.{key}"), writer.text(f"effect.{row['outcome']}"), sentence)
    row = found.get(f"{label}.{INDEX}")
    if row is not None:
        is_told = not np.isnan([row["value"], row["ci_low"], row["ci_high"]]).any()
        share = writer.labels.number(row["value"], row["unit"]) if is_told else ""
        sentence = writer.text(
            "lasting.disguised" if is_told else "lasting.disguised_undefined",
            share=share,
            interval=_interval(row, writer),
        )
        word = writer.text("effect.undefined") if not is_told else share
        yield Line(INDEX, writer.text("moved.disguised"), word, sentence)


def lasting_answer(
    looks: ProtectedTable, lasting: ProtectedTable, accounts: ProtectedTable, *, study: Study, language: str
) -> str:
    """Reform by reform, what this look allows to say and whether burden moved."""
    writer = Writer(study, language)
    paragraphs = []
    for reform in read_reforms(study):
        lines = lasting_lines(looks, lasting, accounts, reform.id, reform.primary_in(study), writer=writer)
        if lines:
            paragraphs.append(f"**{reform.titles[language]}**\n" + "\n".join(f"- {line.sentence}" for line in lines))
    return "\n\n".join(paragraphs) or writer.text("effect.no_reforms")


def _look(rows: pd.DataFrame, writer: Writer) -> Line | None:
    numbered = rows[rows["category"].str.count(r"\.") == 1]
    if numbered.empty:
        return None
    last = numbered.iloc[-1]
    outcome = str(last["outcome"] or "cannot_tell").split(".")[0]
    words = {
        "look": len(numbered),
        "title": writer.labels.measure(str(last["measure"])),
        "amount": "" if pd.isna(last["value"]) else writer.amount(last["value"], last["unit"], signed=True),
        "interval": _interval(last, writer),
        "level": writer.level,
        "kind": writer.text(f"lasting.{last['inference'] or 'sequence'}"),
    }
    known = words["amount"] and words["interval"]
    sentence = writer.text(f"lasting.look_{outcome}" if known else "lasting.look_unknown", **words)
    return Line(LOOK, writer.text("lasting.look"), writer.text(f"effect.{outcome}_since"), sentence)


def relapse_rows(lasting: ProtectedTable, reform: str, measure: str) -> pd.DataFrame:
    """What the chart of a measure of a reform tells: rows ``lost``, ``reached``, and ``alarm`` where there was one."""
    return _rows(lasting, RELAPSE, reform, measure)


def held_line(lasting: ProtectedTable, reform: str, measure: str, *, writer: Writer) -> Line | None:
    """Whether the cut of a measure held; None where the reform is not watched."""
    parts = {row["category"].split(".")[-1]: row for row in relapse_rows(lasting, reform, measure).to_dict("records")}
    if "lost" not in parts:
        return None
    lost, outcome = parts["lost"], parts["lost"]["outcome"]
    is_known = not np.isnan([lost["value"], lost["ci_low"], lost["ci_high"]]).any()
    alarm = parts.get("alarm")
    words = {
        "share": writer.labels.number(lost["value"], "share") if is_known else "",
        "interval": _interval(lost, writer),
        "quarter": "" if alarm is None or pd.isna(alarm["value"]) else f"{alarm['value']:.0f}",
    }
    rests_on = parts.get("reached", lost)  # told even where the share lost is not
    is_since = rests_on["comparison"] == "none"  # no regions beside it: a change since, not an effect
    sentence = writer.text(f"lasting.{outcome if is_known else 'unknown'}{'_since' if is_since else ''}", **words)
    if rests_on["inference"] == "sampling":
        sentence += (" " if writer.language == "en" else "") + writer.text("lasting.assumed")
    return Line(RELAPSE, writer.text("lasting.relapse"), writer.text(f"effect.{outcome}"), sentence)


def _half_life(rows: pd.DataFrame, writer: Writer) -> Line | None:
    if rows.empty:
        return None
    row = rows.iloc[0]
    outcome = row["outcome"]
    known = {"between": ["value", "ci_low", "ci_high"], "at_least": ["ci_low"]}.get(outcome, [])
    if not known or row[known].isna().any():
        return None  # a half-life that is not told adds nothing to whether the cut held
    number = writer.labels.number
    words = {name: "" if pd.isna(row[name]) else number(row[name], "count") for name in ("value", "ci_low", "ci_high")}
    return Line(HALF_LIFE, writer.text("lasting.half_life"), writer.text(f"effect.{outcome}"),
                writer.text(f"lasting.half_life_{outcome}", **words))  # fmt: skip


def _rows(table: ProtectedTable, by: str, reform: str, measure: str) -> pd.DataFrame:
    rows = table.table
    rows = rows[(rows["by"] == by) & (rows["measure"] == measure)]
    return rows[rows["category"].str.split(".").str[0] == reform]


def _interval(row: pd.Series | dict, writer: Writer) -> str:
    return "" if pd.isna(row["ci_low"]) or pd.isna(row["ci_high"]) else writer.interval(row)
