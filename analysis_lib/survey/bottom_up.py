"""Hours from below: how many items × how long one takes, held against the hours of the diaries.

The Standard Cost Model of regulators counts obligations and multiplies by a standard time. Here the counts are answers
of the questionnaire and the standard time of an item comes from ``unit_minutes.csv``: minutes with a source, or
measured by the study itself. For an item with count c a week, standard time m, and diary hours h in its activities::

    bottom-up   c m
    counts      (e − c) (l + m) / 2        e items a week by the diaries, l = h / e hours each
    minutes     (l − m) (e + c) / 2
    h − c m   = counts + minutes           exactly: each part takes the other factor at its middle

Where an episode of the diary is one item (``is_episode``), e are the episodes. Where it is not, as with documents, the
diaries know no number of items: e = c, and the whole difference is one of minutes. Over groups::

    gap = diary − bottom-up = counts + minutes + not counted + remainder

*not counted*: diary hours of activities that no item covers; *remainder*: hours of the headline that are in no burden
group. All numbers are made from one sample (`derived`), so that parts add up and covariances are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.measures import QuestionnaireMeasure, by_diary
from analysis_lib.study import NATION, Study, read_reference_csv
from analysis_lib.survey.derived import MANY, Derived, given, mean_of, measured, zero
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.tables.contracts import CONTRACTS, check
from analysis_lib.time_use.activities import Classification, read_classification
from analysis_lib.time_use.episodes import episodes_per_week

FILE = "unit_minutes.csv"
COLUMNS = ["item", "group", "activities", "per", "minutes", "se_minutes", "is_episode", "source_zh", "source_en"]
WEEKS = {"week": 1.0, "month": 365.25 / 12 / 7, "quarter": 365.25 / 4 / 7}
MINUTES_PER_HOUR = 60
PARTS = ["counts", "minutes", "not_counted"]
_PART_TITLES = {
    "": ("缺口（日志减自下而上）", "gap (diary less bottom-up)"),
    "_counts": ("缺口：数量", "gap: number of items"),
    "_minutes": ("缺口：单件用时", "gap: time per item"),
    "_not_counted": ("缺口：未计数的活动", "gap: activities not counted"),
    "_remainder": ("缺口：其余", "gap: remainder"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is counted and takes time.

    Attributes
    ----------
    key : str
        Questionnaire measure that counts it.
    group, activities : str, tuple of str
        Burden group, and the activity codes in which its time is spent.
    weeks : float
        Weeks that the count is about.
    hours, se_hours : float or None
        Standard time and its standard error; None: the study's own.
    is_episode : bool
        Whether an episode of the diary is one item.
    """

    key: str
    group: str
    activities: tuple[str, ...]
    weeks: float
    hours: float | None
    se_hours: float
    is_episode: bool


def read_items(study: Study) -> list[Item]:
    """Read ``unit_minutes.csv``; a study without the file counts nothing.

    Raises
    ------
    InputRejected
        For an unknown measure, group, code or period, an activity counted twice, or minutes that are not positive.
    """
    path = study.reference / FILE
    if not path.is_file():
        return []
    classification = read_classification(study)
    items, taken = [], set()
    for line in read_reference_csv(path, COLUMNS).to_dict("records"):
        row = {str(name): str(text).strip() for name, text in line.items()}
        where = f"reference/{FILE}, {row['item']}"
        activities = tuple(row["activities"].split())
        _refuse_unknown_names(row, activities, study, classification, where)
        if taken & set(activities):
            raise InputRejected("an activity is counted twice", where=where, fix="give each activity to one item")
        taken |= set(activities)
        hours, se = (_hours(row[name], where) for name in ("minutes", "se_minutes"))
        if hours is not None and se is None:
            raise InputRejected(
                "minutes without a standard error", where=where, fix="fill se_minutes; 0 where the time is a convention"
            )
        is_episode = row["is_episode"] == "yes"
        items.append(Item(row["item"], row["group"], activities, WEEKS[row["per"]], hours, se or 0.0, is_episode))
    return items


def count_episodes(
    episodes: pd.DataFrame, diary_days: pd.DataFrame, official_quarters: pd.DataFrame, *, study: Study
) -> pd.DataFrame:
    """Episodes a week of the activities of every item, by official and quarter; for `estimate_bottom_up`."""
    codes = [code for item in read_items(study) if item.is_episode for code in item.activities]
    return episodes_per_week(episodes, diary_days, official_quarters, codes, study=study)


def estimate_bottom_up(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    quarter: str,
    base: list[str],
    regions: list[str],
    episodes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Bottom-up hours, the gap to the diaries and its parts, by region.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarter and of the base quarters.
    quarter : str
        Quarter estimated.
    base : list of str
        Quarters in which the standard time of items without minutes of their own is measured, as diary hours ÷ items,
        and held from then on; the first year of the study, for example. Items that are episodes take the mean length
        of an episode in the quarter itself.
    regions : list of str
        Region codes; ``"all"`` is the nation. Small regions have noisy standard times of their own.
    episodes : pandas.DataFrame, optional
        As `count_episodes` makes it for rows of the quarter; needed when an item is an episode.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates`` with ``residual_df`` (respondents behind a part, less the means it is made from), hours
        per official and week (statistic ``mean``, and ``part`` for what is a difference):
        ``bottom_up_<group>`` and ``bottom_up_total``, ``group_<group>`` and the headline beside them;
        ``bottom_up_gap_<group>`` = ``…_counts`` + ``…_minutes`` + ``…_not_counted``;
        ``bottom_up_gap`` = ``bottom_up_gap_counts`` + ``_minutes`` + ``_not_counted`` + ``_remainder``;
        and for each item ``bottom_up_items_<item>`` (a week) and ``bottom_up_minutes_<item>`` (each).
        Without items, no rows.
    """
    items = read_items(study)
    columns = list(CONTRACTS["estimates"].schema.columns)
    if not items:
        kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
        return check(pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()}), "estimates")
    if episodes is None and any(item.is_episode for item in items):
        raise UsageError(
            "an item is an episode of the diary", where=FILE, fix="pass episodes = count_episodes(…) of the quarter"
        )
    rows = official_quarters[official_quarters["quarter"].isin([quarter, *base])]
    rows = rows if episodes is None else rows.join(episodes.add_prefix("episodes_"))
    sample = read_sample(rows, SurveyDesign.of_study(study))
    frames = []
    for region in regions:
        means = _Means(rows, sample, _inside(rows, region, study), quarter, base)
        numbers = _reconciled(items, means, study)
        found = measured(sample, [number for number, _ in numbers.values()], study.config.estimation.confidence_level)
        _as_many_as_the_headline(found, list(numbers).index(diary_headline(study)))
        statistics = [statistic for _, statistic in numbers.values()]
        frames.append(pd.DataFrame({"measure": list(numbers), "statistic": statistics, "region": region, **found}))
    frame = pd.concat(frames, ignore_index=True).assign(
        unit="hours_week", by="", category="", period=quarter, deff=np.nan
    )
    is_count = frame["measure"].str.startswith("bottom_up_items_")
    frame["unit"] = frame["unit"].mask(is_count, "count")
    is_unit = frame["measure"].str.startswith("bottom_up_minutes_")
    frame["unit"] = frame["unit"].mask(is_unit, "minutes")
    frame["residual_df"] = (frame["n"] - 2 * len(items) - 1).clip(lower=0).astype(float)
    texts = ["measure", "statistic", "unit", "region", "by", "category", "period"]
    return check(frame[[*columns, "residual_df"]].astype(dict.fromkeys(texts, str)), "estimates")


def diary_headline(study: Study) -> str:
    """The measure that items are held against: the headline, as the diaries alone have it."""
    return by_diary(study.config.estimation.headline, study.measures)


def bottom_up_titles(study: Study) -> dict[str, tuple[str, str]]:
    """Title in Chinese and in English of every measure of `estimate_bottom_up` that is not one of the study's."""
    classification = read_classification(study)
    titles = {"bottom_up_total": ("自下而上的总耗时", "Bottom-up hours lost")}
    for group in classification.burden_groups:
        zh, en = (str(classification.groups.at[group, f"name_{language}"]) for language in ("zh", "en"))
        titles[f"bottom_up_{group}"] = (f"{zh}：自下而上", f"{en}: bottom-up")
        for part in ["", *(f"_{part}" for part in PARTS)]:
            of = _PART_TITLES[part]
            titles[f"bottom_up_gap_{group}{part}"] = (f"{zh}：{of[0]}", f"{en}: {of[1]}")
    for part, (zh, en) in _PART_TITLES.items():
        titles[f"bottom_up_gap{part}"] = (zh, en[0].upper() + en[1:])
    for item in read_items(study):
        measure = study.measures[item.key]
        titles[f"bottom_up_items_{item.key}"] = (f"{measure.title_zh}（每周）", f"{measure.title_en} (a week)")
        titles[f"bottom_up_minutes_{item.key}"] = (
            f"{measure.title_zh}：每件分钟数",
            f"{measure.title_en}: minutes each",
        )
    return titles


# -- the account --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Means of one region, in the quarter and in the base."""

    rows: pd.DataFrame
    sample: Sample
    inside: np.ndarray
    quarter: str
    base: list[str]

    def now(self, columns: list[str], weight: str) -> Derived:
        return self._mean(columns, weight, [self.quarter])

    def before(self, columns: list[str], weight: str) -> Derived:
        return self._mean(columns, weight, self.base)

    def _mean(self, columns: list[str], weight: str, quarters: list[str]) -> Derived:
        for column in columns:
            if column not in self.rows.columns:
                raise UsageError(
                    "no such column of official-quarters",
                    where=f"{FILE}, {column}",
                    fix="leave activities empty for the whole group where a study has too many codes",
                )
        y = self.rows[columns].to_numpy(float).sum(axis=1)
        inside = self.inside & self.rows["quarter"].isin(quarters).to_numpy()
        return mean_of(self.sample, y, self.rows[weight].to_numpy(float), inside)


def _reconciled(items: list[Item], means: _Means, study: Study) -> dict[str, tuple[Derived, str]]:
    """Every number of the account with its statistic, in the order in which it is read."""
    classification = read_classification(study)
    groups = classification.burden_groups
    none = zero(means.sample)
    headline = means.now([diary_headline(study)], "diary_weight")
    total, summed, parts = none, none, dict.fromkeys(PARTS, none)
    by_group: dict[str, tuple[Derived, str]] = {}
    by_item: dict[str, tuple[Derived, str]] = {}
    for group in groups:
        diary = means.now([f"group_{group}"], "diary_weight")
        own, left, counted = dict.fromkeys(PARTS, none), diary, none
        for item in (item for item in items if item.group == group):
            count, unit, hours, counts = _of_item(item, means)
            product = count * unit
            counted, left = counted + product, left - hours
            own["counts"] = own["counts"] + counts
            own["minutes"] = own["minutes"] + (hours - product - counts)
            by_item |= {
                f"bottom_up_items_{item.key}": (count, "mean"),
                f"bottom_up_minutes_{item.key}": (unit.times(MINUTES_PER_HOUR), "mean"),
            }
        own["not_counted"] = left
        if any(item.group == group for item in items):
            by_group[f"bottom_up_{group}"] = (counted, "mean")
        by_group |= {f"group_{group}": (diary, "mean"), f"bottom_up_gap_{group}": (diary - counted, "part")}
        by_group |= {f"bottom_up_gap_{group}_{part}": (own[part], "part") for part in PARTS}
        total, summed = total + counted, summed + diary
        parts = {part: parts[part] + own[part] for part in PARTS}
    whole = {
        "bottom_up_total": (total, "mean"),
        diary_headline(study): (headline, "mean"),
        "bottom_up_gap": (headline - total, "part"),
        **{f"bottom_up_gap_{part}": (number, "part") for part, number in parts.items()},
        "bottom_up_gap_remainder": (headline - summed, "part"),
    }
    return {**whole, **by_group, **by_item}


def _of_item(item: Item, means: _Means) -> tuple[Derived, Derived, Derived, Derived]:
    """Items a week, standard hours of one, diary hours, and the part of the gap that is one of counts."""
    columns = [f"activity_{code.lower()}" for code in item.activities] or [f"group_{item.group}"]
    count = means.now([item.key], "weight").times(1 / item.weeks)
    hours = means.now(columns, "diary_weight")
    by_diary = count
    if item.is_episode:
        by_diary = means.now([f"episodes_{code}" for code in item.activities], "diary_weight")
    if item.hours is not None:
        unit = given(means.sample, item.key, item.hours, item.se_hours)
    elif item.is_episode:
        unit = hours / by_diary
    else:
        unit = means.before(columns, "diary_weight") / means.before([item.key], "weight").times(1 / item.weeks)
    if not item.is_episode:
        return count, unit, hours, zero(means.sample)
    return count, unit, hours, ((by_diary - count) * (hours / by_diary + unit)).times(0.5)


def _as_many_as_the_headline(found: dict[str, np.ndarray], headline: int) -> None:
    """Standard times from outside, and parts that are zero by construction, stand behind as many as the headline."""
    from_outside = found["n"] == MANY
    for name in ("n", "n_psu", "df"):
        found[name] = np.where(from_outside, found[name][headline], found[name])


def _inside(rows: pd.DataFrame, region: str, study: Study) -> np.ndarray:
    study.region_name(region, "en")  # raises for an unknown code
    if region == NATION:
        return np.ones(len(rows), dtype=bool)
    level = str(study.regions.at[region, "level"])
    return (rows[level] == region).to_numpy() if level in rows.columns else np.zeros(len(rows), dtype=bool)


# -- the file -----------------------------------------------------------------------------------------


def _refuse_unknown_names(
    row: dict[str, str], activities: tuple[str, ...], study: Study, classification: Classification, where: str
) -> None:
    counted = [key for key, measure in study.measures.items() if isinstance(measure, QuestionnaireMeasure)]
    checks: list[tuple[str, list[str], Callable[[str], str]]] = [
        (row["item"], counted, lambda seen: f"{seen!r} is no questionnaire measure"),
        (row["group"], classification.burden_groups, lambda seen: f"{seen!r} is no burden group"),
        (row["per"], list(WEEKS), lambda seen: f"unknown period {seen!r}"),
        (row["is_episode"], ["yes", "no"], lambda seen: f"is_episode is yes or no, not {seen!r}"),
    ]
    codes = classification.activities.index[classification.activities["group"] == row["group"]]
    checks += [
        (code, list(map(str, codes)), lambda seen: f"{seen!r} is no activity of the group") for code in activities
    ]
    for seen, allowed, say in checks:
        if seen not in allowed:
            raise InputRejected(say(seen), where=where, fix=did_you_mean(seen, allowed))
    if row["is_episode"] == "yes" and not activities:
        raise InputRejected("an episode needs its activities", where=where, fix="list the codes")


def _hours(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        minutes = float(text)
    except ValueError as error:
        raise InputRejected("minutes are not a number", where=where, fix="write them like 90 or 7.5") from error
    if not (np.isfinite(minutes) and minutes >= 0):
        raise InputRejected("minutes are negative or not finite", where=where, fix="write them like 90 or 7.5")
    return minutes / MINUTES_PER_HOUR
