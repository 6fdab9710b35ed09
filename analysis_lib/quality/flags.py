"""Every doubt about a return in one table, and what the headline would be without the returns that are doubted.

``suspicion`` gives a probability per respondent and sign: how often an honest return looks as suspicious. A flag is a
probability at or below ``[quality] false_alarm`` (for cuts on a scale of their own, 0 or 1). Nothing is removed: flags
are columns, and `effect_on_headline` shows the headline with and without them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputRejected
from analysis_lib.measures import by_diary, needs_diary
from analysis_lib.quality.answers import read_answers
from analysis_lib.quality.careless import careless_p
from analysis_lib.quality.diary_quality import day_flags, diary_quality
from analysis_lib.quality.dictated import same_as_before_p, same_time_p
from analysis_lib.quality.duplicates import (
    colleague_p,
    copied_day_p,
    day_slots,
    is_identical,
    stranger_p,
    work_codes,
)
from analysis_lib.quality.recall_diary import is_out_of_range
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, mean, share
from analysis_lib.survey.linearisation import MEASURED
from analysis_lib.tables.contracts import CONTRACTS, check
from analysis_lib.time_use.activities import all_measures, read_classification

PERSON = ["respondent_id", "quarter"]
ANY = "any_of_answers"  # flagged by any sign of copying or carelessness in the questionnaire
SIGNS: dict[str, str] = {
    "fast": "answered much faster than usual",
    "longstring": "straight-lined: long runs of equal answers on scales",
    "variability": "hardly any variation on scales",
    "consistency": "even and odd items contradict each other",
    "distance": "an unusual combination of answers on scales",
    "near_duplicate": "too many answers shared with somebody of another unit",
    "colleague_duplicate": "too many answers shared with a colleague",
    "alike_unit": "the whole unit answers too much alike",
    "same_time": "the unit's forms were handed in one after another",
    "same_as_before": "the very answers of last quarter",
    "diary_few_episodes": "a diary day of too few episodes",
    "diary_unknown_time": "a diary day with too much unknown time",
    "diary_missing_domains": "a diary day without sleep, meals, care or travel",
    "diary_long_activity": "a diary day with a very long stretch of one work activity",
    "diary_few_kinds": "a working day of too few kinds of work",
    "diary_copied": "a diary day too much like a colleague's",
    "diary_identical": "a diary day equal to somebody else's, minute by minute",
    "diary_repeated": "a diary day equal to one of last quarter",
    "recall_ratio": "recalled hours far from the diary's",
}
OF_ANSWERS = ["longstring", "variability", "distance", "near_duplicate", "colleague_duplicate", "alike_unit", "fast"]


@dataclass(frozen=True, slots=True)
class Wave:
    """What a quarter brought, in tidy tables of that quarter only.

    Attributes
    ----------
    respondents, episodes, diary_days : pandas.DataFrame
        Answers, diary episodes, and the day type of each diary day.
    """

    respondents: pd.DataFrame
    episodes: pd.DataFrame
    diary_days: pd.DataFrame


def suspicion(
    now: Wave, officials: pd.DataFrame, *, study: Study, quarter: Quarter, before: Wave | None = None, seed: int = 0
) -> pd.DataFrame:
    """How often an honest return would look as suspicious, by respondent and sign.

    Parameters
    ----------
    now : Wave
        The quarter's returns.
    officials : pandas.DataFrame
        Official-quarters of the same quarter: units, groups and hours.
    before : Wave, optional
        The returns of the quarter before, for repeated answers and diaries.
    seed : int
        Of the simulated nulls; the same seed gives the same flags.

    Returns
    -------
    pandas.DataFrame
        respondent_id, quarter and a float per sign of `SIGNS`; NaN where a sign cannot be judged.
    """
    officials = officials[officials["quarter"] == str(quarter)]
    order = pd.Index(officials["respondent_id"]).get_indexer(pd.Index(now.respondents["respondent_id"]))
    if (order < 0).any() or len(order) != len(officials):
        raise InputRejected(
            "respondents and official-quarters are not the same people",
            where=f"quality of {quarter}",
            fix="give the tables of one quarter",
        )
    officials = officials.iloc[order].reset_index(drop=True)
    found = officials[PERSON].copy()
    for name, p in _of_answers(now, officials, before, study, quarter, seed).items():
        found[name] = p
    for name, p in _of_diaries(now, officials, before, study, quarter, seed).items():
        found[name] = p
    found["recall_ratio"] = _as_p(is_out_of_range(officials, study=study))
    return found[[*PERSON, *SIGNS]]


def flag_returns(suspicions: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """Contract ``flags``: whether each sign is at or below the false-alarm rate; missing where it cannot be judged."""
    signs = [name for name in suspicions.columns if name not in PERSON]
    p = suspicions[signs]
    flags = (p <= study.config.quality.false_alarm).astype("boolean").mask(p.isna())
    known = flags[[name for name in OF_ANSWERS if name in flags]]
    flags[ANY] = known.fillna(value=False).any(axis=1).astype("boolean").mask(known.isna().all(axis=1))
    return check(pd.concat([suspicions[PERSON], flags], axis=1), "flags")


def _of_answers(
    now: Wave, officials: pd.DataFrame, before: Wave | None, study: Study, quarter: Quarter, seed: int
) -> dict[str, np.ndarray]:
    respondents, cuts = now.respondents, study.config.quality
    answers = read_answers(respondents, officials, study=study)
    unknown = np.full(len(respondents), np.nan)
    found = {"fast": _fast(respondents, cuts.speeder_share), "same_time": unknown, "same_as_before": unknown}
    if answers.items:
        index = careless_p(answers, false_alarm=cuts.false_alarm, rng=_random(seed, "careless", quarter))
        found |= {str(name): index[name].to_numpy() for name in index}
        found["near_duplicate"] = stranger_p(
            answers, false_alarm=cuts.false_alarm, rng=_random(seed, "strangers", quarter)
        )
        found["colleague_duplicate"], found["alike_unit"] = colleague_p(
            answers, rng=_random(seed, "colleagues", quarter)
        )
    if "submitted_at" in respondents.columns:
        moment = pd.to_datetime(respondents["submitted_at"].replace("", None), errors="coerce")
        seconds = (moment - moment.min()).dt.total_seconds().to_numpy(float)
        found["same_time"] = same_time_p(seconds, answers, rng=_random(seed, "times", quarter))
    if before is not None:
        found["same_as_before"] = same_as_before_p(respondents, before.respondents, answers.items)
    return {
        name: found.get(name, unknown) for name in SIGNS if not name.startswith("diary_") and name != "recall_ratio"
    }


def _fast(respondents: pd.DataFrame, share_of_median: float) -> np.ndarray:
    if "duration_s" not in respondents.columns:
        return np.full(len(respondents), np.nan)
    seconds = respondents["duration_s"]
    usual = seconds.groupby(respondents["instrument"]).transform("median")
    return _as_p((seconds < share_of_median * usual).astype("boolean").mask(seconds.isna()))


def _of_diaries(
    now: Wave, officials: pd.DataFrame, before: Wave | None, study: Study, quarter: Quarter, seed: int
) -> dict[str, np.ndarray]:
    names = [name for name in SIGNS if name.startswith("diary_")]
    if now.episodes.empty:
        return dict.fromkeys(names, np.full(len(officials), np.nan))
    classification = read_classification(study)
    quality = diary_quality(now.episodes, study=study)
    days = day_flags(quality, study=study)
    person = pd.Index(officials["respondent_id"]).get_indexer(pd.Index(days["respondent_id"]))
    days, person = days[person >= 0], person[person >= 0]
    slots = day_slots(now.episodes, days, classification)
    is_work = work_codes(classification)
    category = next((name for name in study.config.estimation.categories if name in officials.columns), "")
    cell = pd.factorize(officials[category])[0][person] if category else np.zeros(len(days), dtype=np.int64)
    unit = pd.factorize(officials["psu"])[0][person]
    types = now.diary_days.set_index(["respondent_id", "diary_date"])["day_type"]
    day_type = types.reindex(pd.MultiIndex.from_frame(days[["respondent_id", "diary_date"]]))
    is_weekend = (day_type == "weekend").to_numpy().astype(np.int64)
    days["diary_copied"] = copied_day_p(
        slots, is_work, 2 * unit + is_weekend, 2 * cell + is_weekend, rng=_random(seed, "diaries", quarter)
    )
    least = study.config.quality.min_episodes
    days["diary_identical"] = _as_p(pd.Series(is_identical(slots, min_stretches=least)).astype("boolean"))
    if before is None or before.episodes.empty:
        days["diary_repeated"] = np.nan
    else:
        earlier = day_slots(
            before.episodes, before.episodes[["respondent_id", "diary_date"]].drop_duplicates(), classification
        )
        repeated = is_identical(slots, min_stretches=least, also=earlier)
        days["diary_repeated"] = _as_p(pd.Series(repeated).astype("boolean"))
    for name in days.columns.intersection(names):
        if days[name].dtype == "boolean":
            days[name] = _as_p(days[name])
    worst = days.groupby(person)[names].min()  # the most suspicious of a person's days
    return {name: worst[name].reindex(range(len(officials))).to_numpy() for name in names}


def _as_p(holds: pd.Series) -> np.ndarray:
    """0 where a cut is exceeded, 1 where it is not, NaN where it cannot be judged."""
    return (1.0 - holds.astype("Float64")).to_numpy(dtype=float, na_value=np.nan)


def _random(seed: int, purpose: str, quarter: Quarter) -> np.random.Generator:
    """Random numbers of a purpose and quarter: no draw depends on how many came before it."""
    return np.random.default_rng([seed, quarter.year, quarter.number, zlib.crc32(purpose.encode())])


# -- what flags amount to -------------------------------------------------------------------------------


def flag_shares(officials: pd.DataFrame, flags: pd.DataFrame, *, study: Study, quarter: Quarter) -> pd.DataFrame:
    """Weighted share of returns that carry each flag, among those that can be judged: rows of ``estimates``.

    Measures ``flag_<name>``. For the nation only: a ranking of places by doubt would invite more of it.
    """
    rows = _joined(officials[officials["quarter"] == str(quarter)], flags)
    frames = []
    for name in _flag_names(flags):
        weight = "diary_weight" if name.startswith(("diary_", "recall_")) else "weight"
        found = share(
            rows,
            name,
            design=SurveyDesign.of_study(study, weight=weight),
            confidence_level=study.config.estimation.confidence_level,
        )
        frames.append(found[found["n"] > 0].assign(measure=f"flag_{name}", statistic="share", unit="share", by=""))
    return _as_estimates(frames, str(quarter))


def effect_on_headline(
    officials: pd.DataFrame, flags: pd.DataFrame, *, study: Study, measure: str = ""
) -> pd.DataFrame:
    """The headline with everybody, without those under each flag, and the difference: rows of ``estimates``.

    Parameters
    ----------
    officials : pandas.DataFrame
        Official-quarters; rows of quarters without flags are left out.
    flags : pandas.DataFrame
        Contract ``flags``.
    measure : str
        A measure of hours; the study's headline by default, of a combined one the diaries' part.

    Returns
    -------
    pandas.DataFrame
        ``by`` "" : everybody. ``by`` "without", ``category`` a flag: those whom it does not mark; and, with the period
        ``<quarter>: all→unflagged``, that less everybody's. ``n`` of both is the number of people left out (with
        hours), so that what a handful makes is withheld on the way out. Flags that mark nobody with hours have no
        row.

    Notes
    -----
    Both are domains of one sample, and the difference has their covariance: each row enters once for everybody and
    once for the unflagged, under the same PSU. Weights are not adjusted again for those left out.
    """
    measure = measure or by_diary(study.config.estimation.headline, study.measures)
    weight = "diary_weight" if needs_diary(study.measures[measure], all_measures(study)) else "weight"
    design, level = SurveyDesign.of_study(study, weight=weight), study.config.estimation.confidence_level
    rows = _joined(officials[officials["quarter"].isin(flags["quarter"])], flags)
    has_hours = rows[measure].notna() & (rows[weight] > 0)
    period = "–".join(sorted(set(flags["quarter"]))[:: max(1, flags["quarter"].nunique() - 1)])
    frames = [mean(rows, measure, design=design, confidence_level=level).assign(by="", period=period)]
    twice = pd.concat([rows, rows], ignore_index=True)
    is_second = np.arange(len(twice)) >= len(rows)
    for name in _flag_names(flags):
        marked = rows[name].fillna(0.0).astype(bool)
        left_out = int((marked & has_hours).sum())
        if not 0 < left_out < int(has_hours.sum()):
            continue
        without = mean(rows, measure, design=design, where=~marked, confidence_level=level)
        kept = pd.Series(is_second & np.tile(~marked.to_numpy(), 2))
        moved = difference(
            twice, measure, design=design, earlier=pd.Series(~is_second), later=kept, confidence_level=level
        )
        frames += [
            without.assign(by="without", category=name, period=period, n=left_out),
            moved.assign(by="without", category=name, period=f"{period}: all→unflagged", n=left_out),
        ]
    unit = study.measures[measure].unit
    return _as_estimates([frame.assign(measure=measure, statistic="mean", unit=unit) for frame in frames], "")


def _joined(officials: pd.DataFrame, flags: pd.DataFrame) -> pd.DataFrame:
    """Officials with their flags as 1.0, 0.0 or NaN."""
    names = _flag_names(flags)
    numbers = pd.concat([flags[PERSON], flags[names].astype("Float64").astype(float)], axis=1)
    return officials.merge(numbers, on=PERSON, how="left", validate="1:1")


def _flag_names(flags: pd.DataFrame) -> list[str]:
    return [str(name) for name in flags.columns if name not in PERSON]


def _as_estimates(frames: list[pd.DataFrame], period: str) -> pd.DataFrame:
    columns = CONTRACTS["estimates"].schema.columns
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=str(column.dtype)) for name, column in columns.items()})
    frame = pd.concat(frames, ignore_index=True).assign(region=NATION)
    frame = frame if "period" in frame.columns else frame.assign(period=period)
    texts = [name for name in columns if name not in MEASURED]
    return check(frame[list(columns)].astype(dict.fromkeys(texts, str)), "estimates")
