"""Sentences on what reforms did: the word from the verdict, the design named, no cause where none is shown."""

from __future__ import annotations

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.effects.results import BY_CHECK, BY_EFFECT
from analysis_lib.publishing.sentences import Writer
from analysis_lib.reforms import Reform, read_reforms
from analysis_lib.study import Study


def effects_answer(effects: ProtectedTable, *, study: Study, language: str) -> str:
    """A sentence for each reform on the measure that its plan named, with interval, design and the choice of date."""
    writer = Writer(study, language)
    said = [_of_reform(effects.table, reform, writer) for reform in read_reforms(study)]
    return "\n\n".join(said) if said else writer.text("effect.no_reforms")


def checks_answer(checks: ProtectedTable, *, study: Study, language: str) -> str:
    """For each reform, which checks of its primary measure hold, fail, or cannot tell."""
    writer = Writer(study, language)
    table, said = checks.table, []
    for reform in read_reforms(study):
        primary = reform.plan.primary or study.config.estimation.headline
        mine = table[(table["by"] == BY_CHECK) & (table["measure"] == primary)]
        mine = mine[[category.split(".")[0] == reform.id and category.count(".") == 1 for category in mine["category"]]]
        counts = mine["outcome"].value_counts()
        names = [category.split(".")[1] for category in mine.loc[mine["outcome"] == "fails", "category"]]
        failed = writer.text("alt.separator").join(writer.text(f"check.{name}") for name in names)
        numbers = {outcome: int(counts.get(outcome, 0)) for outcome in ("holds", "fails", "cannot_tell")}
        said.append(
            writer.text("effect.checks_failed" if names else "effect.checks", reform=reform.titles[language],
                        title=writer.labels.measure(primary), failed=failed, total=len(mine), **numbers)
        )  # fmt: skip
    return "\n\n".join(said) if said else writer.text("effect.no_reforms")


def _of_reform(table: pd.DataFrame, reform: Reform, writer: Writer) -> str:
    primary = reform.plan.primary or writer.study.config.estimation.headline
    rows = table[(table["by"] == BY_EFFECT) & (table["measure"] == primary) & (table["outcome"] != "")]
    rows = rows[[category.split(".")[0] == reform.id for category in rows["category"]]]
    title = reform.titles[writer.language]
    if rows.empty:
        return writer.text("effect.none", reform=title)
    row = rows.iloc[0]  # the planned estimator comes first
    words = {
        "reform": title,
        "title": writer.labels.measure(primary),
        "amount": writer.amount(abs(row["value"]), row["unit"]),
        "signed": writer.amount(row["value"], row["unit"], signed=True),
        "level": writer.level,
        "design": writer.text(f"effect.{row['estimator']}"),
        "date": writer.text(f"effect.{row['treatment_date']}"),
        "treated": int(row["n_treated"]),
        "comparison": int(row["n_comparison"]),
    }
    has_interval = pd.notna(row["ci_low"]) and pd.notna(row["ci_high"])
    words["interval"] = writer.interval(row) if has_interval else writer.text("effect.no_interval")
    sentence = writer.text(f"effect.says_{row['outcome'].replace('.', '_')}", **words)
    alone = "effect.no_control" if row["comparison"] == "none" else "effect.design"
    return writer.text("point.with_change", value=sentence, change=writer.text(alone, **words))
