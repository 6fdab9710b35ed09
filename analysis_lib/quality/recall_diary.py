"""Recall against diary, person by person: hours remembered over hours written down."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError, did_you_mean
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import ratio
from analysis_lib.survey.linearisation import MEASURED
from analysis_lib.tables.contracts import CONTRACTS, check


def is_out_of_range(officials: pd.DataFrame, *, study: Study) -> pd.Series:
    """Whether any pair of ``[quality] recall_pairs`` has a ratio outside ``recall_ratio``; missing without a pair.

    A person with diary hours of zero has no ratio. Two diary days scatter around the week, so many honest ratios lie
    outside: this flag is weak alone.
    """
    low, high = study.config.quality.recall_ratio
    ratios = [_ratio(officials, *pair) for pair in _pairs(officials, study)]
    if not ratios:
        return pd.Series(pd.NA, index=officials.index, dtype="boolean")
    table = np.array(ratios)
    known = ~np.isnan(table)
    outside = pd.DataFrame(((table < low) | (table > high)) & known, columns=officials.index).any()
    return outside.astype("boolean").mask(~pd.DataFrame(known, columns=officials.index).any())


def recall_over_diary(officials: pd.DataFrame, *, study: Study, quarter: Quarter) -> pd.DataFrame:
    """Ratio of totals, recalled over diary hours of the same people, for all and by category: rows of ``estimates``.

    Measure ``recall_ratio_<diary measure>``; 1 (100 %) is agreement. Weighted with the diary weight.
    """
    design = SurveyDesign.of_study(study, weight="diary_weight")
    frames = []
    for recalled, diary in _pairs(officials, study):
        for by in ["", *(name for name in study.config.estimation.categories if name in officials.columns)]:
            found = ratio(
                officials,
                recalled,
                diary,
                design=design,
                by=by,
                where=officials[diary].notna(),
                confidence_level=study.config.estimation.confidence_level,
            )
            named = found[found["category"] != ""] if by else found  # people without a category are in none
            frames.append(named.assign(measure=f"recall_ratio_{diary}", by=by))
    columns = CONTRACTS["estimates"].schema.columns
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=str(column.dtype)) for name, column in columns.items()})
    frame = pd.concat(frames, ignore_index=True).assign(
        statistic="ratio", unit="share", region=NATION, period=str(quarter)
    )
    texts = [name for name in columns if name not in MEASURED]
    return check(frame[list(columns)].astype(dict.fromkeys(texts, str)), "estimates")


def _pairs(officials: pd.DataFrame, study: Study) -> list[tuple[str, str]]:
    pairs = study.config.quality.recall_pairs
    for name in [*pairs, *pairs.values()]:
        if name not in study.measures:
            raise UsageError(
                f"{name!r} is not a measure",
                where="study.toml, [quality] recall_pairs",
                fix=did_you_mean(name, study.measures),
            )
    return [(recalled, diary) for recalled, diary in pairs.items() if {recalled, diary} <= set(officials.columns)]


def _ratio(officials: pd.DataFrame, recalled: str, diary: str) -> np.ndarray:
    hours = officials[diary].to_numpy(float)
    return np.divide(officials[recalled].to_numpy(float), hours, out=np.full(len(hours), np.nan), where=hours > 0)
