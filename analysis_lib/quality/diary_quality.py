"""How well each diary day is filled in: the metrics of time-use surveys (docs/methods.md), one row per diary day.

A metric is a number, a flag is a number beyond a cut of ``[quality]``, and neither removes a day.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl

from analysis_lib.study import Study
from analysis_lib.tables.contracts import MINUTES_PER_DAY
from analysis_lib.time_use.activities import read_classification

DAY = ["respondent_id", "quarter", "diary_date"]
SLOT_MINUTES = 10
_MINUTES_PER_HOUR = 60
METRICS = {
    "n_episodes": "episodes of the day",
    "unknown_minutes": "minutes without a listed activity",
    "missing_domains": "basic domains (sleep, eating, care, travel) without time; unknown where codes do not tell",
    "longest_activity": "minutes of the longest stretch of one work activity",
    "identical_slots": "ten-minute slots of the longest stretch in which nothing at all changes, personal time apart",
    "work_codes": "kinds of work; unknown on a day without work",
    "exact_hour_share": "share of the day's inner boundaries that fall on a full hour",
    "secondary_share": "share of known time with a second activity beside",
    "lag_hours": "hours from the end of the day to handing it in; unknown where the platform does not say",
}


def diary_quality(episodes: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """The metrics `METRICS` of every diary day told in episodes.

    Parameters
    ----------
    episodes : pandas.DataFrame
        Contract ``episodes``; ``submitted_at`` where the platform tells when a day was handed in.

    Returns
    -------
    pandas.DataFrame
        respondent_id, quarter, diary_date and a float per metric; NaN where a metric cannot be had.
    """
    classification = read_classification(study)
    told = {code: classification.listed(str(code)) for code in episodes["activity"].unique()}
    listed = episodes["activity"].map(told)
    is_work = listed.map(classification.activities["kind"]).fillna("personal").ne("personal")
    domains = study.config.quality.basic_domains
    frame = pl.from_pandas(
        episodes[
            [*DAY, "start_minute", "end_minute", "activity", "secondary_activity", "medium", "required_by"]
        ].assign(is_listed=listed.ne("").to_numpy(), is_work=is_work.to_numpy()),
        include_index=False,
    ).lazy()
    length = pl.col("end_minute") - pl.col("start_minute")
    same = pl.all_horizontal(
        *(
            pl.col(name) == pl.col(name).shift(1).over(DAY)
            for name in ("activity", "secondary_activity", "medium", "required_by")
        ),
        pl.col("start_minute") == pl.col("end_minute").shift(1).over(DAY),
    ).fill_null(value=False)
    activity_goes_on = (
        (pl.col("activity") == pl.col("activity").shift(1).over(DAY))
        & (pl.col("start_minute") == pl.col("end_minute").shift(1).over(DAY))
    ).fill_null(value=False)
    stretches = (
        frame.sort(*DAY, "start_minute")
        .with_columns(minutes=length, same=same, goes_on=activity_goes_on)
        .with_columns(stretch=(~pl.col("goes_on")).cum_sum(), alike=(~pl.col("same")).cum_sum())
        .with_columns(
            stretch_minutes=pl.col("minutes").sum().over("stretch"), alike_minutes=pl.col("minutes").sum().over("alike")
        )
    )
    inner = pl.col("start_minute") > 0
    at_work = pl.col("minutes").filter(pl.col("is_work"))
    known = pl.col("minutes").filter(pl.col("is_listed")).sum()
    days = (
        stretches.group_by(DAY)
        .agg(
            n_episodes=pl.len().cast(pl.Float64),
            unknown_minutes=(MINUTES_PER_DAY - known).cast(pl.Float64),
            longest_activity=pl.col("stretch_minutes").filter(pl.col("is_work")).max().fill_null(0).cast(pl.Float64),
            identical_slots=(pl.col("alike_minutes").filter(pl.col("is_work")).max().fill_null(0) / SLOT_MINUTES),
            work_codes=pl.when(at_work.sum() > 0)
            .then(pl.col("activity").filter(pl.col("is_work")).n_unique())
            .cast(pl.Float64),
            exact_hour_share=(pl.col("start_minute").filter(inner) % _MINUTES_PER_HOUR == 0).mean(),
            secondary_share=pl.col("minutes").filter(pl.col("secondary_activity") != "").sum()
            / pl.when(known > 0).then(known),
            **{
                f"has_{name}": pl.any_horizontal(*(pl.col("activity").str.starts_with(code) for code in codes)).any()
                for name, codes in domains.items()
            },
        )
        .sort(DAY)
        .collect()
        .to_pandas()
    )
    present = days.filter(like="has_")
    days["missing_domains"] = (~present.astype(bool)).sum(axis=1).astype(float) if domains else np.nan
    days["lag_hours"] = _lag(episodes, days)
    return days[[*DAY, *METRICS]]


def _lag(episodes: pd.DataFrame, days: pd.DataFrame) -> pd.Series:
    if "submitted_at" not in episodes.columns:
        return pd.Series(np.nan, index=days.index)
    handed_in = episodes.groupby(DAY, sort=True)["submitted_at"].max().reindex(pd.MultiIndex.from_frame(days[DAY]))
    ends = pd.to_datetime(days["diary_date"]) + pd.Timedelta(days=1)
    moments = pd.to_datetime(handed_in.replace("", None).to_numpy(), errors="coerce")
    return pd.Series((moments - pd.DatetimeIndex(ends)).total_seconds() / 3600, index=days.index)


def summarise_days(quality: pd.DataFrame, diary_days: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles of every metric, by day type: what a notebook shows."""
    typed = quality.merge(diary_days[[*DAY, "day_type"]], on=DAY, how="inner", validate="1:1")
    long = typed.melt([*DAY, "day_type"], list(METRICS), var_name="metric").dropna(subset=["value"])
    by = long.groupby(["metric", "day_type"])["value"]
    table = pd.DataFrame(
        {"lower quartile": by.quantile(0.25), "median": by.median(), "upper quartile": by.quantile(0.75)}
    )
    order = [(metric, kind) for metric in METRICS for kind in ("weekday", "weekend")]
    return table.reindex([row for row in order if row in table.index]).reset_index(names=["metric", "day type"])


def day_flags(quality: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """Which cut each diary day exceeds: a column per flag, missing where the metric is unknown.

    Where personal time is one code (no ``basic_domains``), a day off is one long episode, and few episodes are held
    against days with work only.
    """
    cuts = study.config.quality
    metric = {name: quality[name] for name in METRICS}
    has_work = metric["work_codes"].notna()
    tests = {
        "diary_few_episodes": (metric["n_episodes"] < cuts.min_episodes, has_work | bool(cuts.basic_domains)),
        "diary_unknown_time": (metric["unknown_minutes"] > cuts.max_unknown_minutes, metric["unknown_minutes"].notna()),
        "diary_missing_domains": (
            metric["missing_domains"] > cuts.max_missing_domains,
            metric["missing_domains"].notna(),
        ),
        "diary_long_activity": (metric["longest_activity"] > cuts.max_activity_minutes, has_work),
        "diary_few_kinds": (metric["work_codes"] < cuts.min_work_codes, has_work),
    }
    flags = quality[DAY].copy()
    for name, (holds, known) in tests.items():
        flags[name] = holds.astype("boolean").mask(~known)
    return flags
