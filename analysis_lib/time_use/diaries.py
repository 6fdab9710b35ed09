"""Diary episodes → minutes per diary day and activity, and which diary days can be used.

Time counts under its main activity only; secondary activities keep the role ``secondary`` and enter no total.
Zeros appear later, when a person's week is made: here an activity without time has no row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pandas as pd
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from analysis_lib.errors import UsageError
from analysis_lib.study import Diary, Study, read_toml, validation_error
from analysis_lib.tables.contracts import MINUTES_PER_DAY, check
from analysis_lib.time_use.activities import Classification, read_classification

DAY = ["respondent_id", "quarter", "diary_date"]
SATURDAY = 6  # ISO weekday
TOO_LONG = MINUTES_PER_DAY + 0.5  # day totals given as decimals may miss 1,440 by rounding
PROBLEM_COLUMNS = ["quarter", "drop", "file", "sheet", "row", "column", "rule", "action", "cells", "message"]


class SpecialDays(BaseModel):
    """``calendar.toml``: days that do not have the day type of their weekday; its deadlines are read by the study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    holidays: list[dt.date] = []
    working_weekends: list[dt.date] = []
    deadlines: dict[str, dt.date] = {}


def day_activities(
    episodes: pd.DataFrame | pl.LazyFrame,
    day_totals: pd.DataFrame,
    *,
    study: Study,
    respondents: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Minutes by diary day and activity, the diary days with their fitness for use, and problems of days not used.

    Parameters
    ----------
    episodes : pandas.DataFrame or polars.LazyFrame
        Keeps the contract ``episodes``. A lazy scan is aggregated as a stream and never held whole.
    day_totals : pandas.DataFrame
        Keeps the contract ``day_totals``: sources that give no episodes.
    study : Study
        Its diary rules, calendar and activity classification.
    respondents : pandas.DataFrame, optional
        Where it has a column ``is_holiday``, true (or "yes") makes the respondent's diary day a holiday: for sources
        of one day per person that mark holidays so, instead of a calendar.

    Returns
    -------
    tuple of pandas.DataFrame
        Contract tables ``day_activities`` (with a column ``group``), ``diary_days`` and ``problems``.

    Notes
    -----
    *Avoidable* minutes are minutes of burden activities rated at or below ``avoidable_value_at_most``, repeated, or
    done for show; an episode without any rating is not avoidable.

    An activity with ``loss = "for_show"`` (training, say) is work like any other, except when the episode was done
    for show: then its minutes leave the activity's own group for its ``for_show_group``, a burden group. So they are
    gross hours lost, and avoidable ones, while the groups still add up to the day.

    *Out of hours* is all of a weekend day and a weekday's time outside ``work_hours``; an episode that crosses the
    boundary is split at it. Day totals carry neither clock nor rating, so hours under such conditions stay unknown
    for them, and so do who required them and by which medium (`burden.official_quarters`).

    Time without a code, or under a code that ``activities.csv`` does not list, is unknown time.
    """
    scan = episodes if isinstance(episodes, pl.LazyFrame) else _lazy(episodes)
    totals = _lazy(day_totals)
    with_day_type = _day_typing(study, respondents)
    minutes = pl.concat([minutes_of_episodes(scan, study=study), _minutes_of_totals(totals)])
    cells = (
        minutes.pipe(_grouped, read_classification(study))
        .pipe(with_day_type)
        .pipe(_place_in_hours)
        .filter(pl.col("minutes") > 0)
        .sort(*DAY, "activity", "role", "group", "required_by", "medium", "is_avoidable", "is_out_of_hours")
        .collect(engine="streaming")
    )
    known = cells.lazy().filter((pl.col("role") == "main") & (pl.col("group") != ""))
    days = (
        pl.concat([_days_of_episodes(scan), _days_of_totals(totals)])
        .join(known.group_by(DAY).agg(known_minutes=pl.sum("minutes")), on=DAY, how="left")
        .with_columns(pl.col("known_minutes").fill_null(0.0))
        .pipe(with_day_type)
        .pipe(_judged, study.config.diary)
        .sort(DAY)
        .collect(engine="streaming")
    )
    problems = pl.concat([_days_not_used(days), _codes_not_listed(cells)], how="diagonal").select(PROBLEM_COLUMNS)
    return (
        check(_pandas(cells.filter(pl.col("group") != "")), "day_activities"),
        check(_pandas(days.drop("drop", "is_total", "rule")), "diary_days"),
        check(_pandas(problems), "problems"),
    )


def minutes_of_episodes(episodes: pl.LazyFrame, *, study: Study) -> pl.LazyFrame:
    """Minutes by diary day, activity, role, requirer, medium and rating, in and out of a weekday's work hours.

    The streaming core: one pass over the episodes, lazy in and lazy out.
    """
    in_hours = sum(
        (_overlap(first, last) for first, last in _work_minutes(study.config.diary)), start=pl.lit(0, dtype=pl.Int64)
    )
    is_for_show = pl.col("is_for_show").fill_null(False)
    is_poor = (pl.col("value") <= study.config.diary.avoidable_value_at_most).fill_null(False)
    measured = {"in_hours": in_hours, "length": pl.col("end_minute") - pl.col("start_minute")}
    main = episodes.select(
        *DAY,
        "activity",
        "required_by",
        "medium",
        role=pl.lit("main"),
        is_for_show=is_for_show,
        is_poor=is_poor | pl.col("is_repeat").fill_null(False) | is_for_show,
        **measured,
    )
    # Ratings, the medium and who required it are about the main activity; of a secondary one only its time is known.
    secondary = episodes.filter(pl.col("secondary_activity") != "").select(
        *DAY,
        activity="secondary_activity",
        required_by=pl.lit(""),
        medium=pl.lit(""),
        role=pl.lit("secondary"),
        is_for_show=pl.lit(False),
        is_poor=pl.lit(False),
        **measured,
    )
    return (
        pl.concat([main, secondary])
        .group_by(*DAY, "activity", "required_by", "medium", "role", "is_for_show", "is_poor")
        .agg(pl.sum("in_hours").cast(pl.Float64), pl.sum("length").cast(pl.Float64))
        .with_columns(out_of_hours=pl.col("length") - pl.col("in_hours"))
        .drop("length")
    )


def read_special_days(study: Study) -> SpecialDays:
    """Read ``calendar.toml``; a study without the file has no special days."""
    path = study.reference / "calendar.toml"
    if not path.is_file():
        return SpecialDays()
    try:
        return SpecialDays.model_validate(read_toml(path))
    except ValidationError as error:
        raise validation_error(error, SpecialDays, where="reference/calendar.toml") from error


def _work_minutes(diary: Diary) -> list[tuple[int, int]]:
    """Work hours as minutes of the diary day: one stretch, or two when the day starts within them."""
    starts, first, last = (_minute_of_day(clock) for clock in (diary.day_starts, *_two_clocks(diary.work_hours)))
    first, last = (first - starts) % MINUTES_PER_DAY, (last - starts) % MINUTES_PER_DAY
    last = last or MINUTES_PER_DAY
    return [(first, last)] if first < last else [(0, last), (first, MINUTES_PER_DAY)]


def _two_clocks(work_hours: list[str]) -> tuple[str, str]:
    if len(work_hours) != 2:
        raise UsageError("two clock times are needed", where="study.toml, diary.work_hours", fix='["08:00", "18:00"]')
    return work_hours[0], work_hours[1]


def _minute_of_day(clock: str) -> int:
    try:
        time = dt.time.fromisoformat(clock)
    except ValueError as error:
        raise UsageError(f"{clock!r} is not a clock time", where="study.toml, [diary]", fix='like "08:00"') from error
    return 60 * time.hour + time.minute


def _overlap(first: int, last: int) -> pl.Expr:
    """Minutes of an episode within a stretch of the diary day."""
    until = pl.min_horizontal("end_minute", pl.lit(last, dtype=pl.Int64))
    since = pl.max_horizontal("start_minute", pl.lit(first, dtype=pl.Int64))
    return (until - since).clip(lower_bound=0)


def _minutes_of_totals(day_totals: pl.LazyFrame) -> pl.LazyFrame:
    return day_totals.select(
        *DAY,
        "activity",
        required_by=pl.lit(""),
        medium=pl.lit(""),
        role=pl.lit("main"),
        is_for_show=pl.lit(False),
        is_poor=pl.lit(False),
        in_hours=pl.col("minutes"),
        out_of_hours=pl.lit(0.0),
    )


def _grouped(minutes: pl.LazyFrame, classification: Classification) -> pl.LazyFrame:
    """Add each code's group (empty when it is not listed) and turn poor ratings into avoidable burden."""
    rows = classification.activities

    def look_up(column: str) -> pl.Expr:
        # The longest listed code that the code starts with decides: ATUS "050101" under a listed "0501".
        lengths = sorted({len(str(code)) for code in rows.index}, reverse=True)
        listed = {length: rows.index[rows.index.str.len() == length] for length in lengths}
        return pl.coalesce(
            *(
                pl.col("activity")
                .str.head(length)
                .replace_strict(listed[length].tolist(), rows.loc[listed[length], column].tolist(), default=None)
                for length in lengths
            ),
            pl.lit(""),
        )

    burden = classification.burden_groups
    moved = pl.col("is_for_show") & (pl.col("role") == "main") & (pl.col("for_show_group") != "")
    return (
        minutes.with_columns(group=look_up("group"), for_show_group=look_up("for_show_group"))
        .with_columns(group=pl.when(moved).then("for_show_group").otherwise("group"))
        .with_columns(is_avoidable=pl.col("is_poor") & pl.col("group").is_in(burden))
    )


def _day_typing(study: Study, respondents: pd.DataFrame | None) -> Callable[[pl.LazyFrame], pl.LazyFrame]:
    """A step that adds ``day_type`` to a frame of diary days."""
    special = read_special_days(study)
    date = pl.col("diary_date").str.to_date("%Y-%m-%d")
    is_weekend = (date.dt.weekday() >= SATURDAY) & ~date.is_in(special.working_weekends)
    is_holiday = date.is_in(special.holidays)

    def add_day_type(days: pl.LazyFrame) -> pl.LazyFrame:
        if study.config.diary.holiday_is == "as_dated":
            return days.with_columns(day_type=_day_type(is_weekend))
        if respondents is None or "is_holiday" not in respondents.columns:
            return days.with_columns(day_type=_day_type(is_weekend | is_holiday))
        is_marked = respondents["is_holiday"].isin([True, "yes"])
        marked = _lazy(respondents.loc[is_marked, ["respondent_id", "quarter"]]).with_columns(is_marked=pl.lit(True))
        return (
            days.join(marked, on=["respondent_id", "quarter"], how="left")
            .with_columns(day_type=_day_type(is_weekend | is_holiday | pl.col("is_marked").fill_null(False)))
            .drop("is_marked")
        )

    return add_day_type


def _day_type(is_weekend: pl.Expr) -> pl.Expr:
    return pl.when(is_weekend).then(pl.lit("weekend")).otherwise(pl.lit("weekday"))


def _place_in_hours(minutes: pl.LazyFrame) -> pl.LazyFrame:
    """One row in hours and one out of hours; a weekend day is out of hours throughout."""
    on_weekday = pl.col("day_type") == "weekday"
    inside = pl.when(on_weekday).then("in_hours").otherwise(0.0)
    total = pl.col("in_hours") + pl.col("out_of_hours")
    key = [*DAY, "day_type", "activity", "group", "role", "required_by", "medium", "is_avoidable"]
    parts = [
        minutes.select(*key, is_out_of_hours=pl.lit(False), minutes=inside),
        minutes.select(*key, is_out_of_hours=pl.lit(True), minutes=total - inside),
    ]
    return pl.concat(parts).group_by(*key, "is_out_of_hours").agg(pl.sum("minutes"))


def _days_of_episodes(episodes: pl.LazyFrame) -> pl.LazyFrame:
    return (
        episodes.group_by(DAY)
        .agg(drop=pl.min("drop"), n_episodes=pl.len().cast(pl.Int64))
        .with_columns(is_total=pl.lit(False))
    )


def _days_of_totals(day_totals: pl.LazyFrame) -> pl.LazyFrame:
    return (
        day_totals.group_by(DAY)
        .agg(drop=pl.min("drop"))
        .with_columns(n_episodes=pl.lit(0, dtype=pl.Int64), is_total=pl.lit(True))
    )


def _judged(days: pl.LazyFrame, diary: Diary) -> pl.LazyFrame:
    """Say whether a diary day is used, else by which rule and why not."""
    too_few = ~pl.col("is_total") & (pl.col("n_episodes") < diary.min_episodes)
    unknown = MINUTES_PER_DAY - pl.col("known_minutes")
    too_unknown = pl.lit(diary.must_fill_the_day) & (unknown > diary.max_unknown_minutes)
    faults = [
        (pl.col("known_minutes") > TOO_LONG, "I53", f"activities add up to more than {MINUTES_PER_DAY} minutes"),
        (too_few, "I55", f"fewer than {diary.min_episodes} episodes"),
        (too_unknown, "I52", f"more than {diary.max_unknown_minutes} minutes unknown"),
    ]
    rule, reason = pl.lit(""), pl.lit("")
    for is_fault, its_rule, its_reason in reversed(faults):  # the first that holds decides
        rule = pl.when(is_fault).then(pl.lit(its_rule)).otherwise(rule)
        reason = pl.when(is_fault).then(pl.lit(its_reason)).otherwise(reason)
    return days.with_columns(rule=rule, reason=reason).with_columns(
        is_used=pl.col("rule") == "", known_minutes=pl.col("known_minutes").clip(upper_bound=float(MINUTES_PER_DAY))
    )


def _days_not_used(days: pl.DataFrame) -> pl.DataFrame:
    return days.filter(~pl.col("is_used")).select(
        "quarter",
        "drop",
        "rule",
        column=pl.lit("diary_date"),
        action=pl.lit("day_rejected"),
        message="reason",
        file=pl.lit(""),
        sheet=pl.lit(""),
        row=pl.lit(0, dtype=pl.Int64),
        cells=pl.lit(1, dtype=pl.Int64),
    )


def _codes_not_listed(cells: pl.DataFrame) -> pl.DataFrame:
    """One problem per quarter and code: its time was counted as unknown."""
    seen = cells.filter((pl.col("group") == "") & (pl.col("activity") != ""))
    counted = seen.group_by("quarter", "activity").agg(days=pl.len()).sort("quarter", "activity")
    message = pl.format("activity {} is not in activities.csv; its time is unknown ({} cells)", "activity", "days")
    return counted.select(
        "quarter",
        message=message,
        cells=pl.col("days").cast(pl.Int64),
        rule=pl.lit("I64"),
        column=pl.lit("activity"),
        action=pl.lit("value_rejected"),
        drop=pl.lit(""),
        file=pl.lit(""),
        sheet=pl.lit(""),
        row=pl.lit(0, dtype=pl.Int64),
    )


def _lazy(frame: pd.DataFrame) -> pl.LazyFrame:
    return pl.from_pandas(frame, include_index=False).lazy()


def _pandas(frame: pl.DataFrame) -> pd.DataFrame:
    return frame.to_pandas()
