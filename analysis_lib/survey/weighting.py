"""Weights that make those who answered stand for those who were asked, and these for the population.

In this order: non-response by weighting classes (where there is a sample list), trimming (where ``study.toml`` asks for
it), calibration to ``margins.csv`` (where there is one). Questionnaire and diary weights go through each step apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis_lib.errors import DesignError, InputRejected, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.calibration import Calibration, calibrate, margin, one_hot
from analysis_lib.tables.contracts import CONTRACTS, check

PERSON = ["respondent_id", "quarter"]
WEIGHTS = ["weight", "diary_weight"]
BEFORE = "{}_before_margins"  # the column that keeps a weight as it was before calibration
MAX_ROUNDS = 100


def final_weights(
    official_quarters: pd.DataFrame, sample: pd.DataFrame, *, study: Study
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Weights after non-response, trimming and calibration; and what was trimmed, as rows of ``problems``.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        Those who answered, with base weights.
    sample : pandas.DataFrame
        Contract ``sample``; empty where there is no sample list.

    Raises
    ------
    DesignError
        When a class has no answer or a margin cannot be reached.
    InputRejected
        When ``margins.csv`` does not fit the quarter or the respondents.
    """
    officials = adjust_for_nonresponse(official_quarters, sample, study=study)
    officials, rules = trim_weights(officials, study=study)
    officials = calibrate_to_margins(officials, study=study)
    return check(officials, "official_quarters"), check(_as_problems(rules), "problems")


# -- non-response -------------------------------------------------------------------------------------


def adjust_for_nonresponse(official_quarters: pd.DataFrame, sample: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """Hand the weight of those who did not answer to those of their weighting class who did.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        Those who answered, with base weights.
    sample : pandas.DataFrame
        Contract ``sample``: everyone drawn, whether or not they answered. An empty one changes nothing.
    study : Study
        Names the columns of the weighting classes: ``design.nonresponse_classes``, coarsest first.

    Returns
    -------
    pandas.DataFrame
        The same rows with ``weight`` and ``diary_weight`` adjusted. In every quarter ``weight`` adds up to the base
        weights of the sample, and ``diary_weight`` to the diary base weights of those with a diary task.

    Raises
    ------
    DesignError
        When nobody answered in a class that cannot be merged any further.

    Notes
    -----
    Weighting-class adjustment (Särndal and Lundström 2005, ch. 7): within a class c of a quarter every weight is
    multiplied by Σ(sampled in c) w / Σ(answered in c) w. Questionnaire and diary are adjusted apart: the diary's
    classes hold those with a diary task, and answering means a usable diary.

    A class without an answer is merged with its siblings under the next coarser column (the classes of its stratum,
    when the stratum comes first), again and again, but never across the coarsest column.

    A region without a single answer is known to nobody: its officials are stood for by the others of the region above
    it, or of the nation where that one is silent too (`silent_regions` says which, `survey/response.py` how many).
    """
    if sample.empty:
        return official_quarters
    for column in study.config.design.nonresponse_classes:
        if column not in sample.columns:
            raise InputRejected(
                f"column {column!r} is not in the sample list",
                where="study.toml, design.nonresponse_classes",
                fix=did_you_mean(column, sample.columns),
            )
    answers = sample[PERSON].merge(
        official_quarters[[*PERSON, "has_diary"]], on=PERSON, how="left", validate="1:1", indicator="found"
    )
    answered = (answers["found"] == "both").to_numpy()
    with_diary = answered & (answers["has_diary"].fillna(False).to_numpy(bool))
    # A quarter in which no diary came in has nothing that could stand for the others.
    has_diaries = pd.Series(with_diary).groupby(sample["quarter"].to_numpy()).transform("any").to_numpy()
    asked = sample["has_diary_task"].to_numpy(bool) & has_diaries
    diary_weight = np.full(len(sample), np.nan)
    diary_weight[asked] = _adjusted(sample[asked], "diary_base_weight", with_diary[asked], study, "diary")
    weights = sample[PERSON].assign(
        weight=_adjusted(sample, "base_weight", answered, study, "questionnaire"), diary_weight=diary_weight
    )
    joined = official_quarters[PERSON].merge(weights, on=PERSON, how="left", validate="1:1")
    has_diary = official_quarters["has_diary"].to_numpy(bool)
    return check(
        official_quarters.assign(
            weight=joined["weight"].to_numpy(), diary_weight=np.where(has_diary, joined["diary_weight"], np.nan)
        ),
        "official_quarters",
    )


def _adjusted(sample: pd.DataFrame, weight: str, answered: np.ndarray, study: Study, what: str) -> np.ndarray:
    """Adjusted weight of each row of the sample; rows that did not answer get the weight they gave away."""
    is_silent = silent_regions(sample, answered)
    base, adjusted = sample[weight].to_numpy(float), np.zeros(len(sample))
    heard, kept = sample[~is_silent], np.where(answered, base, 0.0)[~is_silent]
    label = _weighting_classes(heard, answered[~is_silent], study.config.design.nonresponse_classes, what)
    factor = pd.Series(base[~is_silent]).groupby(label).transform("sum") / pd.Series(kept).groupby(label).transform(
        "sum"
    )
    adjusted[~is_silent] = base[~is_silent] * factor.to_numpy()
    return _stand_for_silent(adjusted, sample, base, answered, is_silent, study)


def silent_regions(sample: pd.DataFrame, answered: np.ndarray) -> np.ndarray:
    """Rows of regions in which nobody answered in a quarter in which others did.

    Parameters
    ----------
    sample : pandas.DataFrame
        Contract ``sample``, or those of it who were asked.
    answered : numpy.ndarray
        Whether each row did.
    """
    silent = (
        _lacks(answered, _numbered(sample, ["quarter", "region"])) & ~sample["region"].isin(["", NATION]).to_numpy()
    )
    return silent & ~_lacks(answered, _numbered(sample, ["quarter"]))


def _stand_for_silent(
    weights: np.ndarray,
    sample: pd.DataFrame,
    base: np.ndarray,
    answered: np.ndarray,
    is_silent: np.ndarray,
    study: Study,
) -> np.ndarray:
    """Weights of those heard, raised by what silent regions weigh: within the nearest region above with enough answers.

    Enough is what a published number needs, so that no handful stands for a province; the nation always does.
    """
    quarter, region, enough = sample["quarter"], sample["region"], study.config.disclosure.min_respondents
    for when, silent in sorted({*zip(quarter[is_silent], region[is_silent], strict=True)}):
        lost = base[(is_silent & (quarter == when) & (region == silent)).to_numpy()].sum()
        heard = (~is_silent & (quarter == when)).to_numpy()
        above = [
            heard & region.isin([code for code in region.unique() if _is_within(code, place, study)]).to_numpy()
            for place in study.ancestors(silent)[1:]
        ]
        inside = next((each for each in above if (each & answered).sum() >= enough), heard)
        weights = np.where(inside, weights * (1 + lost / weights[inside].sum()), weights)
    return weights


def _is_within(code: str, place: str, study: Study) -> bool:
    return place == NATION or place in study.ancestors(code)


def _weighting_classes(sample: pd.DataFrame, answered: np.ndarray, classes: list[str], what: str) -> np.ndarray:
    """Class of each row, those without an answer merged with their siblings."""
    columns = ["quarter", *classes]
    label = _numbered(sample, columns)
    is_empty = _lacks(answered, label)
    for depth in range(len(columns) - 1, 1, -1):  # the quarter and the coarsest column are never merged across
        parent = _numbered(sample, columns[:depth])
        label = np.where(~_lacks(is_empty, parent), label.max(initial=-1) + 1 + parent, label)
        is_empty = _lacks(answered, label)
    if is_empty.any():
        first = sample.loc[is_empty, columns[: 2 if classes else 1]].iloc[0]
        raise DesignError(
            f"nobody answered the {what} in {' '.join(first.astype(str))}",
            where="design.nonresponse_classes",
            fix="put a coarser column first, or merge strata in the sample list",
        )
    return label


def _lacks(is_true: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether no row of a row's class is true."""
    return ~pd.Series(is_true).groupby(label).transform("any").to_numpy(bool)


def _numbered(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return frame.groupby(columns, observed=True, dropna=False).ngroup().to_numpy()


# -- trimming -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Trimmed:
    """Weights without extremes.

    Attributes
    ----------
    weights : numpy.ndarray
        They add up to what they added up to before.
    cap : float
        The greatest weight allowed.
    n : int
        Weights cut.
    moved : float
        Share of all weight that was taken from them and spread over the others.
    """

    weights: np.ndarray
    cap: float
    n: int
    moved: float


def trim(weights: np.ndarray, times_median: float) -> Trimmed:
    """Cut weights above so many times the median to that cap; spread what is cut over the others in proportion.

    Spreading may lift others above the cap: they are cut in turn until none is. Weights of zero take no part.

    Raises
    ------
    DesignError
        When the cap is below the mean weight, so that it cannot hold the sum.
    """
    weights = np.asarray(weights, dtype=float)
    positive = weights > 0
    if not positive.any():
        return Trimmed(weights, np.inf, 0, 0.0)
    cap = times_median * float(np.median(weights[positive]))
    whole = weights.sum()
    if cap * positive.sum() <= whole and (weights > cap).any():
        raise DesignError(
            f"a cap of {times_median:g} times the median weight is below the mean weight",
            where="study.toml, design.trim_weights_above",
            fix="raise it: weights this uneven are no few extremes",
        )
    trimmed, is_cut = weights, np.zeros(len(weights), dtype=bool)
    while (trimmed > cap).any():
        is_cut |= trimmed >= cap
        free = np.where(is_cut, 0.0, weights)
        trimmed = np.where(is_cut, cap, weights * (whole - cap * is_cut.sum()) / free.sum())
    moved = float(np.maximum(weights - trimmed, 0).sum() / whole)
    return Trimmed(trimmed, cap, int((weights > cap).sum()), moved)


def trim_weights(official_quarters: pd.DataFrame, *, study: Study) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
    """Trim every quarter's weights as ``design.trim_weights_above`` says; the rule and what it did, in words.

    Returns
    -------
    tuple of (pandas.DataFrame, dict)
        The same rows; (quarter, weight column) → sentence, for weights of which any was cut.
    """
    times = study.config.design.trim_weights_above
    if not times:
        return official_quarters, {}
    frame, rules = official_quarters.copy(), {}
    for quarter, rows in frame.groupby("quarter").indices.items():
        for name in WEIGHTS:
            weights = np.nan_to_num(frame[name].to_numpy(float)[rows])
            found = trim(weights, times)
            if found.n:
                values = frame[name].to_numpy(float, copy=True)
                values[rows] = np.where(weights > 0, found.weights, values[rows])
                frame[name] = values
                rules[str(quarter), name] = (
                    f"weights above {times:g} times the median were cut to {found.cap:.6g}: {found.n} of "
                    f"{int((weights > 0).sum())}; {found.moved:.2%} of all weight was spread over the others in proportion"
                )
    return frame, rules


def _as_problems(rules: dict[tuple[str, str], str]) -> pd.DataFrame:
    """What was trimmed, as warnings that are printed with the other problems of the quarter."""
    rows = [
        {
            "quarter": quarter,
            "drop": "",
            "file": "study.toml",
            "sheet": "",
            "row": 0,
            "column": name,
            "rule": "trimmed_weights",
            "action": "warned",
            "cells": 1,
            "message": sentence,
        }
        for (quarter, name), sentence in rules.items()
    ]
    columns = list(CONTRACTS["problems"].schema.columns)
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({column: "int64" if column in ("row", "cells") else str for column in columns})


# -- calibration --------------------------------------------------------------------------------------


def calibrate_to_margins(official_quarters: pd.DataFrame, *, study: Study) -> pd.DataFrame:
    """Bring weights to the population totals of ``margins.csv``, quarter by quarter; nothing where there is no file.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        With a column for every ``column`` of the margins, and no gap in it.

    Returns
    -------
    pandas.DataFrame
        The same rows with ``weight`` and ``diary_weight`` calibrated, and both as they were before in
        ``…_before_margins``, from which `stored_calibration` knows what the margins take out of a variance.

    Raises
    ------
    InputRejected
        When a quarter has no margins, or the respondents lack a column of them.
    DesignError
        When someone's category has no total, or totals cannot be reached.
    """
    if study.margins is None:
        return official_quarters
    config, frame = study.config.design, official_quarters.copy()
    for name in WEIGHTS:
        before = frame[name].to_numpy(float)
        after = before.copy()
        for quarter, rows in frame.groupby("quarter").indices.items():
            rows = rows[np.nan_to_num(before[rows]) > 0]
            if len(rows):  # a quarter without diaries has no diary weight to calibrate
                auxiliaries, totals = _auxiliaries(frame.iloc[rows], str(quarter), study)
                after[rows] = calibrate(
                    before[rows], auxiliaries, totals, method=config.calibration, bounds=config.calibration_bounds
                ).weights
        frame = frame.assign(**{name: after, BEFORE.format(name): before})
    return frame


def stored_calibration(official_quarters: pd.DataFrame, weight: str, *, study: Study) -> Calibration | None:
    """The calibration that a weight went through, for its variance; None where there was none."""
    if study.margins is None or BEFORE.format(weight) not in official_quarters.columns:
        return None
    before = np.nan_to_num(official_quarters[BEFORE.format(weight)].to_numpy(float))
    blocks, order = [], []
    for quarter, rows in official_quarters.groupby("quarter").indices.items():
        rows = rows[before[rows] > 0]
        if len(rows):
            blocks.append(_auxiliaries(official_quarters.iloc[rows], str(quarter), study)[0])
            order.append(rows)
    if not blocks:
        return None
    stacked = sparse.csr_array(sparse.block_diag(blocks, format="csr"))
    rows = np.concatenate(order)
    placed = sparse.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(before), len(rows)))
    after = np.nan_to_num(official_quarters[weight].to_numpy(float))
    return Calibration.of_weights(after, before, sparse.csr_array(placed @ stacked))


def _auxiliaries(people: pd.DataFrame, quarter: str, study: Study) -> tuple[sparse.csr_array, np.ndarray]:
    """Indicators of the categories of a quarter's margins, and their totals."""
    margins = study.margins
    places = {"region", *study.regions["level"]}
    of_quarter = None if margins is None else margins[margins["quarter"] == quarter]
    if of_quarter is None or of_quarter.empty:
        raise InputRejected(
            f"no totals for {quarter}", where="reference/margins.csv", fix="add the quarter, or take the file away"
        )
    columns, totals = [], []
    for name, rows in of_quarter.groupby("column", sort=False):
        if name not in people.columns:
            raise InputRejected(
                f"{name!r} is no column of the respondents",
                where="reference/margins.csv",
                fix=did_you_mean(str(name), [str(column) for column in people.columns]),
            )
        known = dict(zip(rows["category"], rows["total"], strict=True))
        if name in places:
            known = _totals_of_heard(known, set(people[name]), study)
        code, wanted = margin(people[name], known, name=f"{name} of {quarter}")
        columns.append(one_hot(code, len(wanted)))
        totals.append(wanted)
    return sparse.csr_array(sparse.hstack(columns, format="csr")), np.concatenate(totals)


def _totals_of_heard(totals: dict[str, float], heard: set[str], study: Study) -> dict[str, float]:
    """Totals of the regions with an answer, raised by those of silent ones as `adjust_for_nonresponse` raises weights."""
    known = {code: total for code, total in totals.items() if code in heard}
    for code, lost in totals.items():
        if code in heard or code not in study.regions.index or not lost:
            continue
        above = [*study.ancestors(code)[1:], NATION]
        inside = next(
            within for place in above if (within := [each for each in known if _is_within(each, place, study)])
        )
        whole = sum(known[each] for each in inside)
        known |= {each: known[each] * (1 + lost / whole) for each in inside}
    return known
