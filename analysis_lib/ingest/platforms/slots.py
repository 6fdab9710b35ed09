"""Slot diaries: one row per time slot of a day; what goes on unchanged from slot to slot is one episode."""

from __future__ import annotations

import polars as pl

from analysis_lib.ingest.platforms.plain import read


def collapse(slots: pl.DataFrame, same: list[str]) -> pl.DataFrame:
    """Runs of slots that touch and agree in everything named → one row each, from the first start to the last end.

    Parameters
    ----------
    slots : polars.DataFrame
        In order of day and ``start_minute``, with ``_day`` and ``end_minute``.
    same : list of str
        Columns in which the slots of an episode agree.
    """
    begins = pl.any_horizontal(
        pl.col("start_minute") != pl.col("end_minute").shift(1),
        *(pl.col(name).ne_missing(pl.col(name).shift(1)) for name in ["_day", *same]),
    ).fill_null(value=True)
    first = slots.select(begins.alias("begins"))["begins"].arg_true()
    last = pl.concat([first.slice(1), pl.Series([slots.height], dtype=first.dtype)]) - 1
    return slots[first].with_columns(end_minute=slots["end_minute"].gather(last))


__all__ = ["collapse", "read"]
