"""Diary days and answers → hours per official and week: one row per official and quarter, one column per measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.measures import (
    DAYS_PER_WEEK,
    CombinedMeasure,
    DiaryMeasure,
    ExcessMeasure,
    Measure,
    QuestionnaireMeasure,
)
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import check
from analysis_lib.time_use.activities import all_measures
from analysis_lib.time_use.recall import recalled

PERSON = ["respondent_id", "quarter"]
CELL = ["activity", "group", "role", "required_by", "medium", "is_avoidable", "is_out_of_hours"]
DAYS_OF = {"weekday": 5, "weekend": 2}
MINUTES_PER_HOUR = 60
# Text columns that say where a row came from, or that stand elsewhere in the table.
NOT_ATTRIBUTES = {"drop", "received", "instrument", "submitted_at", "is_holiday", "region", *PERSON}


def official_quarters(tables: dict[str, pd.DataFrame], *, study: Study) -> pd.DataFrame:
    """One row per official and quarter: design, attributes, and every measure in its unit.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        ``respondents``, ``diary_days``, ``day_activities``; ``sample`` and ``counts`` where the study has them.
    study : Study
        Its measures, design columns and regions.

    Returns
    -------
    pandas.DataFrame
        Contract ``official_quarters``. Zero hours for a person with a diary who did none of an activity, missing
        for a person without. Weights are base weights: from the sample list where there is one, else from the
        column of the respondents that the study names.

    Raises
    ------
    InputRejected
        When respondents are not on the sample list, or a design column or a region is nowhere.

    Notes
    -----
    ``weekday_weekend``: hours per week are 5 × the mean weekday + 2 × the mean weekend day, so a person needs a used
    day of each type. ``one_day``: 7 × the (mean) diary day. Hours per day are hours per week / 7.

    A measure's ``universe`` and ``among`` are conditions of estimation and leave its column alone.
    """
    respondents = tables["respondents"].reset_index(drop=True)
    counts, days = tables.get("counts"), _days_of_respondents(tables["diary_days"], respondents)
    people = _with_sample(respondents, tables.get("sample"), study)
    measures = all_measures(study)
    is_one_day = study.config.diary.represents == "one_day"

    share_of_week = _share_of_week(days, len(respondents), is_one_day=is_one_day)
    has_diary = np.asarray(share_of_week.sum(axis=1)).ravel() > 0
    asked = _asked(tables.get("episodes"), respondents)
    columns = _diary_hours(tables["day_activities"], days, share_of_week, measures, asked)
    parts = _parts_of_week(tables["day_activities"], days, share_of_week, measures, asked, is_one_day=is_one_day)
    for key, measure in measures.items():
        if isinstance(measure, QuestionnaireMeasure):
            columns[key] = measure.factor * recalled(respondents, counts, measure.columns)
    for key, measure in measures.items():
        if isinstance(measure, ExcessMeasure):
            columns[key] = (columns[measure.of] - recalled(respondents, counts, [measure.acceptable])).clip(lower=0)

    design = _design(people, study)
    frame = design.assign(
        **_region_levels(people["region"], study),
        **_attributes(people, study),
        **({"day_type": _day_types(days, len(respondents))} if is_one_day else {}),
        has_diary=has_diary,
        diary_weight=design["diary_weight"].where(has_diary),
    )
    in_order = pd.DataFrame({**{key: columns[key] for key in measures if key in columns}, **parts}, index=frame.index)
    return check(pd.concat([frame, in_order], axis=1), "official_quarters")


# -- hours --------------------------------------------------------------------------------------------


def _days_of_respondents(diary_days: pd.DataFrame, respondents: pd.DataFrame) -> pd.DataFrame:
    """The diary days that are used, each with the row of its respondent."""
    row = pd.MultiIndex.from_frame(respondents[PERSON]).get_indexer(pd.MultiIndex.from_frame(diary_days[PERSON]))
    return diary_days.assign(row=row)[diary_days["is_used"] & (row >= 0)].reset_index(drop=True)


def _asked(episodes: pd.DataFrame | None, respondents: pd.DataFrame) -> dict[str, np.ndarray]:
    """Of each respondent, whether the diary asked for ratings, a second activity, who required it and the medium.

    It did when anybody in the same drop gave one: a diary without the question leaves hours unknown, not zero.
    """
    if episodes is None or episodes.empty:
        return dict.fromkeys(["avoidable", "secondary", "required_by", "medium"], np.ones(len(respondents), dtype=bool))
    given = pd.DataFrame(
        {
            "avoidable": episodes[["value", "is_repeat", "is_for_show"]].notna().any(axis=1),
            "secondary": episodes["secondary_activity"] != "",
            "required_by": episodes["required_by"] != "",
            "medium": episodes["medium"] != "",
        }
    )
    by_drop = given.groupby(episodes["drop"]).transform("any")
    by_person = by_drop.groupby([episodes[key] for key in PERSON]).any()
    found = by_person.reindex(pd.MultiIndex.from_frame(respondents[PERSON]), fill_value=False)
    return {name: found[name].to_numpy(bool) for name in given.columns.astype(str)}


def _share_of_week(days: pd.DataFrame, n_respondents: int, *, is_one_day: bool) -> sparse.csr_array:
    """Respondents × days: how many days of the week each diary day stands for."""
    if is_one_day:
        stands_for = DAYS_PER_WEEK / days.groupby("row")["row"].transform("size")
    else:
        of_type = days["day_type"].map(DAYS_OF).astype(float) / days.groupby(["row", "day_type"])["row"].transform(
            "size"
        )
        stands_for = of_type.where(days.groupby("row")["day_type"].transform("nunique") == len(DAYS_OF), 0.0)
    cells = (stands_for.to_numpy(float), (days["row"].to_numpy(), np.arange(len(days))))
    return sparse.csr_array(cells, shape=(n_respondents, len(days)))


def _diary_hours(
    day_activities: pd.DataFrame,
    days: pd.DataFrame,
    share_of_week: sparse.csr_array,
    measures: dict[str, Measure],
    asked: dict[str, np.ndarray],
) -> dict[str, pd.Series]:
    """Hours of every diary measure: (respondents × days) · (days × cells) · (cells × measures)."""
    diary = {key: measure for key, measure in measures.items() if isinstance(measure, DiaryMeasure)}
    cell, cells = pd.factorize(pd.MultiIndex.from_frame(day_activities[CELL]))
    belongs = _belongs(pd.DataFrame(list(cells), columns=CELL), list(diary.values()))
    day_key = ["respondent_id", "diary_date"]
    day = pd.MultiIndex.from_frame(days[day_key]).get_indexer(pd.MultiIndex.from_frame(day_activities[day_key]))
    is_used = day >= 0
    minutes = sparse.csr_array(
        (day_activities["minutes"].to_numpy()[is_used], (day[is_used], cell[is_used])), shape=(len(days), len(cells))
    )
    hours_week = share_of_week @ (minutes @ belongs) / MINUTES_PER_HOUR
    has_diary = np.asarray(share_of_week.sum(axis=1)).ravel() > 0
    # Day totals know neither the clock, ratings, a second activity, who required it nor the medium: unknown, not zero.
    has_totals = np.isin(np.arange(len(has_diary)), days.loc[days["n_episodes"] == 0, "row"])
    columns = {}
    for position, (key, measure) in enumerate(diary.items()):
        known = has_diary.copy()
        for condition in _conditions(measure):
            known &= ~has_totals & asked.get(condition, True)
        hours = np.where(known, hours_week[:, position] / _weeks_to(measure), np.nan)
        columns[key] = pd.Series(hours)
    return columns


def _parts_of_week(
    day_activities: pd.DataFrame,
    days: pd.DataFrame,
    share_of_week: sparse.csr_array,
    measures: dict[str, Measure],
    asked: dict[str, np.ndarray],
    *,
    is_one_day: bool,
) -> dict[str, pd.Series]:
    """Hours on weekdays and on weekend days, of the measures that are estimated beyond a limit; none of a single day."""
    beyond = [
        measure
        for measure in measures.values()
        if isinstance(measure, CombinedMeasure) and measure.beyond and not is_one_day
    ]
    diaries = {measure.of: measures[measure.of] for measure in beyond}
    found = {}
    for position, day_type in enumerate(DAYS_OF):
        of_type = share_of_week @ sparse.diags_array((days["day_type"] == day_type).to_numpy(float))
        hours = _diary_hours(day_activities, days, sparse.csr_array(of_type), diaries, asked)
        found |= {measure.parts[position]: hours[measure.of] for measure in beyond}
    return found


def _conditions(measure: DiaryMeasure) -> list[str]:
    """What a diary must have asked about for the hours of a measure to be known."""
    beyond_time = {
        "secondary": measure.role == "secondary",
        "required_by": bool(measure.required_by),
        "medium": bool(measure.media),
    }
    return [*measure.only, *(name for name, is_needed in beyond_time.items() if is_needed)]


def _belongs(cells: pd.DataFrame, measures: list[DiaryMeasure]) -> np.ndarray:
    """Cells × measures: 1 where the time of a cell counts in a measure."""
    belongs = np.zeros((len(cells), len(measures)))
    for position, measure in enumerate(measures):
        code = cells["activity"].astype(str)
        counts = cells["group"].isin(measure.groups)
        if measure.include:
            counts |= code.str.startswith(tuple(measure.include))
        elif not measure.groups:
            counts |= True  # a measure that names no activity is about all time
        if measure.exclude:
            counts &= ~code.str.startswith(tuple(measure.exclude))
        counts &= cells["role"] == measure.role
        if measure.required_by:
            counts &= cells["required_by"].isin(measure.required_by)
        if measure.media:
            counts &= cells["medium"].isin(measure.media)
        for condition in measure.only:
            counts &= cells[f"is_{condition}"].astype(bool)
        belongs[:, position] = counts
    return belongs


def _weeks_to(measure: DiaryMeasure) -> int:
    """What hours per week are divided by to reach the unit of a measure."""
    if measure.unit not in ("hours_week", "hours_day"):
        raise UsageError(
            f"a diary measure is in hours_week or hours_day, not {measure.unit}",
            where=f"measures.toml, [{measure.key}]",
            fix="change its unit, or its kind",
        )
    return DAYS_PER_WEEK if measure.unit == "hours_day" else 1


def _day_types(days: pd.DataFrame, n_respondents: int) -> pd.Series:
    """Day type of each respondent's diary day; empty for a respondent without one."""
    first = days.drop_duplicates("row").set_index("row")["day_type"]
    return first.reindex(range(n_respondents)).fillna("").astype(str)


# -- design and attributes ----------------------------------------------------------------------------


def _with_sample(respondents: pd.DataFrame, sample: pd.DataFrame | None, study: Study) -> pd.DataFrame:
    """Respondents with what the sample list says about them; the list goes first where both speak."""
    if sample is None or sample.empty:
        return respondents
    listed = sample.rename(columns={"base_weight": study.config.design.weight, "diary_base_weight": "diary_weight"})
    own = [column for column in respondents.columns if column in PERSON or column not in listed.columns]
    people = respondents[own].merge(listed, on=PERSON, how="left", validate="1:1", indicator="listed")
    strangers = int((people["listed"] == "left_only").sum())
    if strangers:
        raise InputRejected(
            f"{strangers} respondents are not on the sample list",
            where="table respondents",
            fix="complete the sample list of the quarter, or let ingest reject the unknown ids",
        )
    return people.drop(columns="listed")


def _design(people: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Identity, region, stratum, PSU and weights; a design column without a name means there is none."""
    design = study.config.design
    for column in filter(None, [design.stratum, design.psu, design.weight]):
        if column not in people.columns:
            raise InputRejected(
                f"column {column!r} is in neither the respondents nor the sample list",
                where="study.toml, [design]",
                fix='name a column that the instrument reads, or "" when the design has none',
            )
    weight = people[design.weight].astype(float) if design.weight else pd.Series(1.0, index=people.index)
    return pd.DataFrame(
        {
            **{column: people[column] for column in [*PERSON, "region"]},
            "stratum": people[design.stratum].astype(str) if design.stratum else NATION,
            "psu": people[design.psu].astype(str) if design.psu else people["respondent_id"],
            "weight": weight,
            "diary_weight": people["diary_weight"].astype(float) if "diary_weight" in people.columns else weight,
        }
    ).astype({"stratum": str, "psu": str})


def _region_levels(region: pd.Series, study: Study) -> dict[str, pd.Series]:
    """For each level of ``regions.csv``, the code of the region of that level in which a person is."""
    codes = [str(code) for code in region.unique() if code not in ("", NATION)]
    if not codes:
        return {}
    unknown = len(set(codes) - {*study.regions.index, *study.region_changes.former})
    if unknown:
        raise InputRejected(
            f"{unknown} region codes are not listed", where="table respondents, region", fix="add them to regions.csv"
        )
    levels = study.regions["level"].drop(NATION, errors="ignore")
    level = study.region_changes.level
    above = {code: {level(ancestor): ancestor for ancestor in study.ancestors(code)} for code in codes}
    return {
        level: region.map({code: own.get(level, "") for code, own in above.items()}).fillna("").astype(str)
        for level in levels.unique()
    }


def _attributes(people: pd.DataFrame, study: Study) -> dict[str, pd.Series]:
    """Every text column that describes a person; missing is an empty text."""
    design = study.config.design
    apart = NOT_ATTRIBUTES | {design.stratum, design.psu, "stratum", "psu"}
    return {
        column: people[column].astype(object).fillna("").astype(str)
        for column in people.columns
        if column not in apart and pd.api.types.is_string_dtype(people[column].dtype)
    }
