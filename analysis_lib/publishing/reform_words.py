"""Sentences on what reforms did: the word from the verdict, the design named, no cause where none is shown."""

from __future__ import annotations

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_CHECK, BY_EFFECT
from analysis_lib.monitoring.repeated_looks import BY_LOOK
from analysis_lib.publishing.sentences import Writer
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import Study


def effects_answer(effects: ProtectedTable, *, study: Study, language: str) -> str:
    """A sentence for each reform on the measure that its plan named, with interval, design and the choice of date."""
    writer = Writer(study, language)
    said = [of_reform(effects.table, reform, writer, bold="**") for reform in read_reforms(study)]
    return "\n\n".join(said) if said else writer.text("effect.no_reforms")


def checks_answer(checks: ProtectedTable, *, study: Study, language: str) -> str:
    """For each reform, which checks of its primary measure hold, fail, or cannot tell."""
    writer = Writer(study, language)
    table, said = checks.table, []
    for reform in read_reforms(study):
        primary = reform.primary_in(writer.study)
        mine = table[(table["by"] == BY_CHECK) & (table["measure"] == primary)]
        mine = mine[_is_of(mine, reform) & (mine["category"].str.count(r"\.") == 1)]
        if mine.empty:
            said.append(writer.text("effect.no_checks", reform=reform.titles[language]))
            continue
        counts = mine["outcome"].value_counts()
        names = [category.split(".")[1] for category in mine.loc[mine["outcome"] == "fails", "category"]]
        failed = writer.text("alt.separator").join(writer.text(f"check.{name}") for name in names)
        numbers = {outcome: int(counts.get(outcome, 0)) for outcome in ("holds", "fails", "cannot_tell")}
        said.append(
            writer.text("effect.checks_failed" if names else "effect.checks", reform=reform.titles[language],
                        title=writer.labels.measure(primary), failed=failed, total=len(mine), **numbers)
        )  # fmt: skip
    return "\n\n".join(said) if said else writer.text("effect.no_reforms")


def planned_row(table: pd.DataFrame, reform: Reform, measure: str) -> pd.Series | None:
    """The planned estimate of a reform's effect on a measure; None where there is none, or it is withheld."""
    rows = table[(table["by"] == BY_EFFECT) & (table["measure"] == measure) & (table["outcome"] != "")]
    rows = rows[_is_of(rows, reform)]
    return None if rows.empty else rows.iloc[0]  # the planned estimator comes first


def followed(row: pd.Series | None, reform: Reform, looks: ProtectedTable | None) -> pd.Series | None:
    """An effect with the interval and the word of its latest look, which hold however often one looks.

    A causal word stays only where the look says the same as the estimate by itself.
    """
    if row is None or looks is None:
        return row
    rows = looks.table
    mine = rows[(rows["by"] == BY_LOOK) & (rows["measure"] == row["measure"]) & _is_of(rows, reform)]
    mine = mine[mine["category"].str.count(r"\.") == 1]
    if mine.empty:
        return row
    last, row = mine.iloc[-1], row.copy()
    word = str(last["outcome"] or "cannot_tell").split(".")[0]
    row["ci_low"], row["ci_high"] = last["ci_low"], last["ci_high"]
    if word != str(row["outcome"]).split(".")[0]:
        row["outcome"] = f"{word}.since"
    return row


def title_of_reform(table: pd.DataFrame, reform: Reform, writer: Writer, *, looks: ProtectedTable | None = None) -> str:
    """What changed since a reform, for a heading; by its latest look where there are any."""
    row = followed(planned_row(table, reform, reform.primary_in(writer.study)), reform, looks)
    title = reform.titles[writer.language]
    if row is None:
        return writer.text("reform.title_none", reform=title)
    return writer.text(
        f"reform.title_{row['outcome'].replace('.', '_')}",
        reform=title,
        title=writer.labels.measure(str(row["measure"])),
        amount=writer.amount(abs(row["value"]), row["unit"]),
    )


def of_reform(
    table: pd.DataFrame, reform: Reform, writer: Writer, *, bold: str = "", looks: ProtectedTable | None = None
) -> str:
    """A sentence on the primary measure with interval, design and the choice of date; by its latest look, if any."""
    row = followed(planned_row(table, reform, reform.primary_in(writer.study)), reform, looks)
    title = reform.titles[writer.language]
    if row is None:
        return writer.text("effect.none", reform=title).replace("**", bold)
    words = {
        "reform": title,
        "title": writer.labels.measure(str(row["measure"])),
        "amount": writer.amount(abs(row["value"]), row["unit"]),
        "signed": writer.amount(row["value"], row["unit"], signed=True),
        "design": writer.text(f"effect.{row['estimator']}"),
        "date": writer.text(f"effect.{row['treatment_date']}"),
        "treated": int(row["n_treated"]),
        "comparison": int(row["n_comparison"]),
    }
    has_interval = pd.notna(row["ci_low"]) and pd.notna(row["ci_high"])
    words["interval"] = (
        writer.text(
            "effect.interval" if looks is None else "effect.interval_of_looks",
            level=writer.level,
            interval=writer.interval(row),
        )
        if has_interval
        else writer.text("effect.no_interval")
    )
    sentence = writer.text(f"effect.says_{row['outcome'].replace('.', '_')}", **words).replace("**", bold)
    alone = "effect.no_control" if row["comparison"] == "none" else "effect.design"
    return writer.text("point.with_change", value=sentence, change=writer.text(alone, **words))


def _is_of(rows: pd.DataFrame, reform: Reform) -> pd.Series:
    return rows["category"].str.split(".").str[0] == reform.id
