"""Problems in data are data: one row for each thing rejected, changed or doubted, and a way to count them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import polars as pl

from analysis_lib.ingest.instruments import Rule
from analysis_lib.quarters import Quarter

Action = Literal["row_rejected", "value_rejected", "day_rejected", "fixed", "warned", "superseded"]
# Where a row came from, carried through every step of ingest.
SOURCE, ROW = "_source", "_row"  # position in the raw files
DROP, SUBMISSION = "_drop", "_submission"  # position of its drop; number of the submission it belongs to
DAY = "_day"  # position of its diary day in the order of respondents and dates
_KEY = ["quarter", "drop", "file", "sheet", "row", "column", "rule", "action", "cells", "message"]
_WHOLE = ["row", "cells"]
_NOT_A_ROW = 0  # the row number of a problem that concerns a whole column


@dataclass(frozen=True, slots=True)
class Source:
    """A sheet or file of a drop."""

    drop: str
    file: str
    sheet: str


@dataclass
class Problems:
    """The problems of a quarter as they are found.

    Attributes
    ----------
    quarter : Quarter
        The quarter whose drops are read.
    sources : list of Source
        Files and sheets met; the rest of ingest refers to them by position.
    """

    quarter: Quarter
    sources: list[Source] = field(default_factory=list)
    _found: list[pl.DataFrame] = field(default_factory=list)

    def register(self, drop: str, file: str, sheet: str) -> int:
        """Position of a new source."""
        self.sources.append(Source(drop, file, sheet))
        return len(self.sources) - 1

    def add(
        self, where: pl.DataFrame, column: str | pl.Series, rule: str, action: Action, message: str, *, cells: int = 1
    ) -> None:
        """One problem for every row of ``where``, a frame that still carries its positions in the source."""
        if where.height:
            self._found.append(
                where.select(
                    pl.col(SOURCE).cast(pl.Int32),
                    pl.col(ROW).cast(pl.Int64),
                    (pl.lit(column) if isinstance(column, str) else column).cast(pl.String).alias("column"),
                    rule=pl.lit(rule),
                    action=pl.lit(action),
                    cells=pl.lit(cells, dtype=pl.Int64),
                    message=pl.lit(message),
                )
            )

    def add_count(self, source: int, count: int, column: str, rule: str, action: Action, message: str) -> None:
        """One problem for a whole column of a source, with the number of cells in its message."""
        if count:
            where = pl.DataFrame({SOURCE: [source], ROW: [_NOT_A_ROW]})
            self.add(where, column, rule, action, f"{count} cell(s): {message}", cells=count)

    def frame(self) -> pd.DataFrame:
        """Everything found so far, in the order of drops, files and rows."""
        sources = {
            name: np.array([getattr(source, name) for source in self.sources], dtype=object)
            for name in ("drop", "file", "sheet")
        }
        if not self._found:
            return pd.DataFrame({name: pd.Series([], dtype="int64" if name in _WHOLE else "str") for name in _KEY})
        found = pl.concat(self._found).to_pandas()
        position = found[SOURCE].to_numpy()
        table = pd.DataFrame(
            {"quarter": str(self.quarter), **{name: texts[position] for name, texts in sources.items()}}
            | {"row": found[ROW].to_numpy(dtype="int64"), "cells": found["cells"].to_numpy(dtype="int64")}
            | {name: found[name].to_numpy() for name in ("column", "rule", "action", "message")}
        )
        return table.astype({name: "str" for name in _KEY if name not in _WHOLE})[_KEY].sort_values(
            _KEY, ignore_index=True
        )


def count_problems(problems: pd.DataFrame) -> pd.DataFrame:
    """Problems by drop, file, rule and action: how many, and the first row that has one."""
    return (
        problems.groupby(["drop", "file", "rule", "action"], as_index=False)
        .agg(problems=("cells", "sum"), first_row=("row", "min"), message=("message", "first"))
        .sort_values(["drop", "file", "action", "rule"], ignore_index=True)
    )


# -- one version of each row ---------------------------------------------------------------------------


def keep_newest(frame: pl.DataFrame, key: list[str], problems: Problems) -> pl.DataFrame:
    """One row per key: of the drop received last, there the one submitted last; in the order of the key."""
    if not frame.height:
        return frame
    order = [name for name in (DROP, "submitted_at", SOURCE, ROW) if name in frame.columns]
    ranked = frame.sort([*key, *order])
    is_newest = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in key)
    newest = ranked.filter(is_newest)
    if newest.height < ranked.height:
        _note_superseded(ranked.filter(~is_newest), newest, key, problems)
    return newest


def _note_superseded(older: pl.DataFrame, newest: pl.DataFrame, key: list[str], problems: Problems) -> None:
    content = [name for name in older.columns if not name.startswith("_") and name not in key]
    pairs = older.join(newest.select(*key, DROP, *content), on=key, how="left", suffix=" newest")
    is_copy = pl.all_horizontal(
        pl.lit(value=True), *(pl.col(name).eq_missing(pl.col(f"{name} newest")) for name in content)
    )
    is_same_drop = pl.col(DROP) == pl.col(f"{DROP} newest")
    column = "+".join(key)
    for which, rule, message in (
        (is_same_drop & is_copy, "duplicate", "an exact copy of another row"),
        (is_same_drop & ~is_copy, "I58", "handed in again: the last submitted stands"),
        (~is_same_drop, "F14", "sent again in a drop received later"),
    ):
        problems.add(pairs.filter(which), column, rule, "superseded", message)


def reject_conflicts(frame: pl.DataFrame, key: list[str], problems: Problems) -> pl.DataFrame:
    """Rows of a drop without those that share a key and differ: the instrument has no rule for which is right."""
    content = [name for name in frame.columns if not name.startswith("_")]
    versions = frame.select(content).unique().select(pl.len().over(key).alias("versions"), *key).unique()
    in_conflict = versions.filter(pl.col("versions") > 1)
    problems.add(
        frame.join(in_conflict, on=key, how="semi"),
        "+".join(key),
        "I58",
        "row_rejected",
        "handed in twice, differently",
    )
    return frame.join(in_conflict, on=key, how="anti")


def reject_unknown(frame: pl.DataFrame, known: pl.DataFrame, action: Action, problems: Problems) -> pl.DataFrame:
    """Rows of respondents that are known; the others are in nobody's sample."""
    if not frame.height:
        return frame
    ids = known.select("respondent_id")
    strangers = frame.join(ids, on="respondent_id", how="anti")
    problems.add(
        strangers, "respondent_id", "unknown_respondent", action, "no such respondent in this quarter's sample"
    )
    return frame.join(ids, on="respondent_id", how="semi", maintain_order="left")


# -- answers -------------------------------------------------------------------------------------------

_EXTREME_WEIGHT = 50  # times the median


def warn_extreme_weights(frame: pl.DataFrame, column: str, problems: Problems) -> None:
    """List weights far above the others; whether to trim them is for people to decide."""
    if column in frame.columns:
        is_extreme = pl.col(column) > _EXTREME_WEIGHT * pl.col(column).median()
        problems.add(
            frame.filter(is_extreme), column, "I61", "warned", f"a weight above {_EXTREME_WEIGHT} times the median"
        )


def apply_rules(respondents: pl.DataFrame, rules: list[Rule], problems: Problems) -> pl.DataFrame:
    """Hold each respondent's answers against the rules of the instrument."""
    for rule in rules:
        named = [*rule.parts, rule.whole]
        if not set(named) <= set(respondents.columns):
            continue
        # Unanswered parts count as nothing: the known ones alone must not exceed the whole.
        is_broken = (pl.sum_horizontal(rule.parts) > pl.col(rule.whole)).fill_null(value=False)
        column = " + ".join(rule.parts)
        broken = respondents.filter(is_broken)
        problems.add(broken, column, "parts_exceed_whole", rule.action, f"more than {rule.whole}")
        if rule.action == "value_rejected":
            respondents = respondents.with_columns(
                pl.when(is_broken).then(None).otherwise(pl.col(name)).alias(name) for name in rule.parts
            )
    return respondents


# -- episodes ------------------------------------------------------------------------------------------


def drop_copies(episodes: pl.DataFrame, content: list[str], problems: Problems) -> pl.DataFrame:
    """Episodes or slots in order of day and start without exact copies of the row before."""
    is_copy = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in content)
    flagged = episodes.with_columns(is_copy.fill_null(value=False).alias("_is_copy"))
    problems.add(flagged.filter("_is_copy"), "start", "duplicate", "superseded", "an exact copy of another row")
    return flagged.filter(~pl.col("_is_copy")).drop("_is_copy")


def reject_overlaps(episodes: pl.DataFrame, problems: Problems) -> pl.DataFrame:
    """Episodes in order of day and start without the days in which one begins before another ends."""
    # Days are far enough apart on one long axis that a running maximum never reaches into the next.
    end_so_far = (pl.col(DAY) * _DAY_SPACING + pl.col("end_minute")).cum_max().shift(1)
    overlaps = (pl.col(DAY) * _DAY_SPACING + pl.col("start_minute") < end_so_far).fill_null(value=False)
    overlapping = episodes.filter(overlaps)
    if not overlapping.height:
        return episodes
    problems.add(overlapping, "start", "I51", "day_rejected", "begins before an earlier episode of the day has ended")
    return episodes.join(overlapping.select(DAY).unique(), on=DAY, how="anti", maintain_order="left")


_DAY_SPACING = 2_000  # more than the minutes of a day
