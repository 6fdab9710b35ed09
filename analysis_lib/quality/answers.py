"""The answers of a wave as arrays: which questions there are, in which blocks, and of whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.ingest.instruments import Column, ColumnType, read_instrument
from analysis_lib.study import Study

ANSWERED: tuple[ColumnType, ...] = ("hours", "count", "percent", "scale")
BLOCK_ITEMS = 4  # questions of one kind that make a block


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What respondents answered in one quarter.

    Attributes
    ----------
    values : numpy.ndarray
        Answers, shape (respondents, items); NaN where there is none.
    items : list of str
        Column names.
    blocks : dict of str to list of int
        Runs of alike questions: kind and range → positions of its items.
    cell : numpy.ndarray
        Number of each respondent's group of alike people (the first category of the study), shape (respondents,).
    unit : numpy.ndarray
        Number of each respondent's work unit (PSU).
    """

    values: np.ndarray
    items: list[str]
    blocks: dict[str, list[int]]
    cell: np.ndarray
    unit: np.ndarray

    @property
    def scales(self) -> dict[str, list[int]]:
        """The blocks of rating scales: of one range, three items or more."""
        return {name: block for name, block in self.blocks.items() if name.startswith("scale") and len(block) >= 3}


def questions(respondents: pd.DataFrame, study: Study) -> dict[str, Column]:
    """Questions with a numeric answer, from the instruments that collected the respondents; in their order.

    A question that nobody answered this quarter is left out, as is the list experiment, whose arms differ by design.
    """
    experiment = study.config.list_experiment
    found: dict[str, Column] = {}
    for version in sorted(respondents["instrument"].unique()):
        for spec in read_instrument(study, str(version)).files.values():
            if spec.grain == "respondents":
                for name, column in spec.columns.items():
                    found.setdefault(name, column)
    skipped = {experiment.count} if experiment.arm else set()
    return {
        name: column
        for name, column in found.items()
        if column.type in ANSWERED
        and name not in skipped
        and name in respondents.columns
        and respondents[name].notna().any()
    }


def read_answers(respondents: pd.DataFrame, officials: pd.DataFrame, *, study: Study) -> Answers:
    """Answers of ``respondents`` (one quarter), grouped as ``officials`` (same rows by person) say."""
    asked = questions(respondents, study)
    people = respondents[["respondent_id"]].merge(officials, on="respondent_id", how="left", validate="1:1")
    category = next((name for name in study.config.estimation.categories if name in people.columns), "")
    blocks: dict[str, list[int]] = {}
    for position, column in enumerate(asked.values()):
        name = f"{column.type} {column.min:g} to {column.max:g}" if column.type == "scale" else column.type
        blocks.setdefault(name, []).append(position)
    return Answers(
        respondents[list(asked)].to_numpy(float),
        list(asked),
        blocks,
        pd.factorize(people[category].fillna(""))[0] if category else np.zeros(len(people), dtype=np.int64),
        pd.factorize(people["psu"].fillna(people["respondent_id"]))[0],
    )


def as_codes(values: np.ndarray) -> list[np.ndarray]:
    """Answers as small whole numbers, an array per item: equal answers have equal codes, no answer is 0.

    Distances between answers are lost; matches are all that is counted.
    """
    codes = []
    for column in values.T:
        known = ~np.isnan(column)
        given, code = np.unique(column[known], return_inverse=True)
        # One value stays free: a missing answer on the other side, so that no two missing answers match.
        item = np.zeros(len(column), dtype=np.uint8 if len(given) < np.iinfo(np.uint8).max else np.uint16)
        item[known] = code + 1
        codes.append(item)
    return codes
