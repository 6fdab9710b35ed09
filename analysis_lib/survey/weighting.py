"""Weights that make those who answered stand for those who were asked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.errors import DesignError, InputRejected, did_you_mean
from analysis_lib.study import Study
from analysis_lib.tables.contracts import check

PERSON = ["respondent_id", "quarter"]


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
    """
    if sample.empty:
        return official_quarters
    classes = study.config.design.nonresponse_classes
    for column in classes:
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
    diary_weight[asked] = _adjusted(sample[asked], "diary_base_weight", with_diary[asked], classes, "diary")
    weights = sample[PERSON].assign(
        weight=_adjusted(sample, "base_weight", answered, classes, "questionnaire"), diary_weight=diary_weight
    )
    joined = official_quarters[PERSON].merge(weights, on=PERSON, how="left", validate="1:1")
    has_diary = official_quarters["has_diary"].to_numpy(bool)
    return check(
        official_quarters.assign(
            weight=joined["weight"].to_numpy(), diary_weight=np.where(has_diary, joined["diary_weight"], np.nan)
        ),
        "official_quarters",
    )


def _adjusted(sample: pd.DataFrame, weight: str, answered: np.ndarray, classes: list[str], what: str) -> np.ndarray:
    """Adjusted weight of each row of the sample; rows that did not answer get the weight they gave away."""
    label = _weighting_classes(sample, answered, classes, what)
    base = sample[weight].to_numpy(float)
    drawn = pd.Series(base).groupby(label).transform("sum")
    kept = pd.Series(np.where(answered, base, 0.0)).groupby(label).transform("sum")
    return base * (drawn / kept).to_numpy()


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
