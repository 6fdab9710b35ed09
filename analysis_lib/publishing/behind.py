"""Sentences on what lies behind the headline: how it is made, what it goes with, what would change it.

Each is empty where a study, or a quarter, has nothing to say; none names a cause.
"""

from __future__ import annotations

import pandas as pd

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.areas import prepare_areas
from analysis_lib.figures.drivers import prepare_drivers
from analysis_lib.figures.instruments import prepare_instruments
from analysis_lib.figures.waterfall import GAP, STEPS, TOTAL
from analysis_lib.measures import by_diary
from analysis_lib.publishing.sentences import Writer, pick
from analysis_lib.publishing.titles import WITHOUT, category_title
from analysis_lib.study import NATION, Study
from analysis_lib.survey.bottom_up import diary_headline
from analysis_lib.survey.decomposition import COMPOSITION, RATE

MOST_NAMED = 3
_SUMS = {"": "whole", COMPOSITION: "circumstances", RATE: "rest"}  # of a difference: by → its place in the sentence

Tables = dict[str, ProtectedTable]


def instruments(tables: Tables, writer: Writer, *, region: str = NATION, period: str | None = None) -> str:
    """What memory, diaries and both together give, and how much narrower the combined interval is."""
    if "hours" not in tables:
        return ""
    frame = prepare_instruments(
        tables["hours"], study=writer.study, language=writer.language, region=region, period=period
    )
    by_kind = {row["kind"]: row for _, row in frame.iterrows() if pd.notna(row["value"])}
    if not {"questionnaire", "diary", "combined"} <= set(by_kind):
        return ""
    diary, combined = by_kind["diary"], by_kind["combined"]
    gain = 1 - (combined["ci_high"] - combined["ci_low"]) / (diary["ci_high"] - diary["ci_low"])
    numbers = {kind: writer.labels.number(row["value"], row["unit"]) for kind, row in by_kind.items()}
    return writer.text(
        "behind.instruments" if gain > 0 else "behind.instruments_no_gain",
        **numbers,
        interval=writer.interval(combined),
        level=writer.level,
        gain=writer.labels.number(gain, "share"),
    )


def drivers(tables: Tables, writer: Writer) -> str:
    """The steps that go with more or fewer diary hours, as far as their intervals tell."""
    if "drivers" not in tables:
        return ""
    frame = prepare_drivers(tables["drivers"], study=writer.study, language=writer.language)
    if frame.empty:
        return ""
    frame = frame[frame["panel"] == _outcome(frame, writer)]
    apart = frame[(frame["ci_low"] > 0) | (frame["ci_high"] < 0)]
    if apart.empty:
        return writer.text("behind.no_drivers")
    listed = [
        writer.text("behind.driver", label=row["label"], amount=writer.with_interval(row["text"], row))
        for _, row in apart.head(MOST_NAMED).iterrows()
    ]
    unit = writer.labels.unit(str(apart["unit"].iloc[0]))
    return writer.text("behind.drivers", items=writer.text("alt.separator").join(listed), unit=unit, level=writer.level)


def parts(tables: Tables, writer: Writer) -> str:
    """How much of the change goes with other circumstances, and how much does not."""
    if "parts" not in tables or tables["parts"].table.empty:
        return ""
    table = tables["parts"].table
    outcome = by_diary(writer.study.config.estimation.headline, writer.study.measures)
    if outcome not in set(table["measure"]):
        outcome = str(table["measure"].iloc[0])
    sums = table[(table["measure"] == outcome) & (table["category"] == "") & table["value"].notna()]
    rows = {str(row["by"]): row for _, row in sums.iterrows()}
    if not set(_SUMS) <= set(rows):
        return ""
    amounts = {
        name: writer.with_interval(writer.amount(rows[by]["value"], rows[by]["unit"], signed=True), rows[by])
        for by, name in _SUMS.items()
    }
    return writer.text("behind.parts", base=writer.base(rows[""]), **amounts)


def counties(tables: Tables, writer: Writer) -> str:
    """How many areas show their own estimate, how many the model's, and how many neither, for the first measure."""
    measures = writer.study.config.small_areas.measures
    if "areas" not in tables or not measures:
        return ""
    frame = prepare_areas(tables["areas"], measures[0], study=writer.study, language=writer.language)
    if frame.empty:
        return ""
    counts = frame["kind"].value_counts()
    shown = {kind: int(counts.get(kind, 0)) for kind in ("direct", "model", "")}
    return writer.text("behind.counties", title=writer.labels.measure(measures[0]), total=len(frame),
                       direct=shown["direct"], model=shown["model"], none=shown[""])  # fmt: skip


def bottom_up(tables: Tables, writer: Writer) -> str:
    """Counted items times their minutes, and what the diaries hold beyond them."""
    if "bottom_up" not in tables:
        return ""
    keys = {"total": TOTAL, "diary": diary_headline(writer.study), "gap": GAP, "uncounted": STEPS[2]}
    found = {name: pick(tables["bottom_up"], measure=key) for name, key in keys.items()}
    rows = {name: row for name, row in found.items() if row is not None and pd.notna(row["value"])}
    if len(rows) < len(keys):
        return ""
    return writer.text(
        "behind.bottom_up",
        **{name: writer.labels.number(row["value"], row["unit"]) for name, row in rows.items()},
        unit=writer.labels.unit(rows["total"]["unit"]),
        interval=writer.interval(rows["total"]),
        level=writer.level,
    )


def doubts(tables: Tables, writer: Writer) -> str:
    """Which doubted returns would move the headline most if left out."""
    if "flag_effects" not in tables:
        return ""
    table = tables["flag_effects"].table
    moves = table[table["period"].str.contains("→") & (table["by"] == WITHOUT) & table["value"].notna()]
    if moves.empty:
        return writer.text("behind.no_doubts")
    largest = moves.iloc[int(moves["value"].abs().to_numpy().argmax())]
    return writer.text(
        "behind.doubts",
        flag=category_title(writer.labels, writer.text, WITHOUT, str(largest["category"])),
        amount=writer.with_interval(writer.amount(largest["value"], largest["unit"], signed=True), largest),
    )


def coping(tables: Tables, writer: Writer) -> str:
    """What is admitted when asked, and what the list experiment finds."""
    if "coping" not in tables or tables["coping"].table.empty:
        return ""
    key = writer.study.config.list_experiment.key
    found = {str(row["measure"]).removeprefix(f"{key}_"): row for _, row in tables["coping"].table.iterrows()}
    direct, combined = found["direct"], found["combined"]
    if pd.isna(direct["value"]):
        return ""
    admitted = writer.labels.number(direct["value"], "share")
    if pd.isna(combined["value"]):
        width = found["half_width"]["value"]
        points = "" if pd.isna(width) else writer.amount(width, "share")
        return writer.text("behind.coping_imprecise", direct=admitted, width=points)
    return writer.text("behind.coping", direct=admitted, combined=writer.labels.number(combined["value"], "share"),
                       interval=writer.interval(combined), level=writer.level)  # fmt: skip


def own_burden(tables: Tables, writer: Writer) -> str:
    """Hours that the survey itself took, and how many were asked no more than was promised."""
    if "own_burden" not in tables:
        return ""
    values = {
        str(row["measure"]).removeprefix("own_"): writer.labels.number(row["value"], row["unit"], row["statistic"])
        for _, row in tables["own_burden"].table.iterrows()
        if pd.notna(row["value"])
    }
    if not {"total_hours", "minutes", "minutes_promised", "promise_kept"} <= set(values):
        return ""
    return writer.text("behind.own_burden", **values)


def of_page(tables: Tables, writer: Writer) -> list[str]:
    """Sentences of the national page, in the order of the page that they lead to."""
    found = [instruments(tables, writer), drivers(tables, writer), parts(tables, writer), bottom_up(tables, writer),
             doubts(tables, writer)]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _outcome(frame: pd.DataFrame, writer: Writer) -> str:
    by_diaries = writer.labels.measure(by_diary(writer.study.config.estimation.headline, writer.study.measures))
    panels = list(frame["panel"].unique())
    return by_diaries if by_diaries in panels else panels[0]


# -- answers of the notebooks -------------------------------------------------------------------------


def answer(name: str, table: ProtectedTable, *, study: Study, language: str) -> str:
    """One of the sentences above, from the one table that it needs: ``instruments``, ``drivers``, ``parts``, …"""
    tables = {{"instruments": "hours", "counties": "areas", "doubts": "flag_effects"}.get(name, name): table}
    return _ANSWERS[name](tables, Writer(study, language))


_ANSWERS = {
    "instruments": instruments,
    "drivers": drivers,
    "parts": parts,
    "counties": counties,
    "bottom_up": bottom_up,
    "doubts": doubts,
    "coping": coping,
    "own_burden": own_burden,
}
