"""Heaping: how much more often answers fall on round numbers than an even spread would have it (Whipple's index)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.quality.answers import questions
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import share
from analysis_lib.survey.linearisation import MEASURED
from analysis_lib.tables.contracts import CONTRACTS, check

BASES = (1.0, 5.0, 10.0)
HOURS_STEP = 0.5  # the finest answer that people give in hours
_TAILS = (0.05, 0.95)
_EVEN = 100.0


def whole_cycles(values: np.ndarray, weight: np.ndarray, base: float) -> np.ndarray:
    """Which answers lie in the whole cycles of ``base`` that fit into the middle nine tenths of the distribution.

    In a whole cycle every terminal digit stands once, as in the ages 23 to 62 of Whipple's index; the ends of a
    distribution would favour some of them. Nothing lies inside when not one cycle fits.
    """
    known = np.isfinite(values) & (np.nan_to_num(weight) > 0)
    if not known.any():
        return known
    order = np.argsort(values[known])
    reached = np.cumsum(weight[known][order]) / weight[known].sum()
    low, high = (values[known][order][np.searchsorted(reached, tail)] for tail in _TAILS)
    first, last = np.ceil(low / base + 0.5) * base, np.floor(high / base - 0.5) * base  # centres of cycles
    return known & (values > first - base / 2) & (values <= last + base / 2) & (first <= last)


def whipple(values: np.ndarray, base: float, *, step: float, weight: np.ndarray | None = None) -> float:
    """Whipple's index: share of answers on multiples of ``base``, in per cent of the share ``step / base`` of a cycle.

    100: no preference; 100 · base / step: every answer is a multiple. NaN without a whole cycle of answers.

    >>> whipple(np.arange(20.0, 50), 5, step=1)
    100.0
    """
    weight = np.ones(len(values)) if weight is None else weight
    inside = whole_cycles(values, weight, base)
    if not inside.any():
        return float("nan")
    round_share = weight[inside & _is_multiple(values, base)].sum() / weight[inside].sum()
    return float(_EVEN * round_share * base / step)


def heaping(respondents: pd.DataFrame, officials: pd.DataFrame, *, study: Study, quarter: Quarter) -> pd.DataFrame:
    """Whipple's index of every question in hours at 1, 5 and 10 hours, as rows of the contract ``estimates``.

    Measure ``heaping_<question>``, ``by`` "base", ``category`` the base; unit "index". The interval is that of the
    design-based share, scaled. A question into whose middle no whole cycle of a base fits has no row for it.
    """
    people = officials.merge(
        respondents.drop(columns=[c for c in respondents if c in officials and c != "respondent_id"]),
        on="respondent_id",
        how="left",
        validate="1:1",
    )
    hours = [name for name, column in questions(respondents, study).items() if column.type == "hours"]
    frames = []
    for name in hours:
        values, weight = people[name].to_numpy(float), people["weight"].to_numpy(float)
        for base in BASES:
            inside = pd.Series(whole_cycles(values, weight, base), index=people.index)
            if not inside.any():
                continue
            rows = people.assign(_round=np.where(np.isfinite(values), _is_multiple(values, base), np.nan).astype(float))
            found = share(
                rows,
                "_round",
                design=SurveyDesign.of_study(study),
                where=inside,
                confidence_level=study.config.estimation.confidence_level,
            )
            scaled = {
                column: _EVEN * base / HOURS_STEP * found[column] for column in ("estimate", "se", "ci_low", "ci_high")
            }
            frames.append(found[MEASURED].assign(**scaled, measure=f"heaping_{name}", category=f"{base:g}"))
    labels = {"statistic": "mean", "unit": "index", "region": NATION, "by": "base", "period": str(quarter)}
    columns = list(CONTRACTS["estimates"].schema.columns)
    if not frames:
        return pd.DataFrame(
            {name: pd.Series(dtype=str(CONTRACTS["estimates"].schema.columns[name].dtype)) for name in columns}
        )
    frame = pd.concat(frames, ignore_index=True).assign(**labels)
    texts = [name for name in columns if name not in MEASURED]
    return check(frame[columns].astype(dict.fromkeys(texts, str)), "estimates")


def _is_multiple(values: np.ndarray, base: float) -> np.ndarray:
    return np.mod(values, base) == 0
