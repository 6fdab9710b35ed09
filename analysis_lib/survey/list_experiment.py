"""The list experiment for behaviour that few admit: item count, combined with the direct question, with placebo tests.

A random half gets a list of harmless items (the short arm), the other half the same list and the sensitive item (the
long arm); each says only *how many* apply. The difference of the mean counts is the share for whom the sensitive item
holds (Blair and Imai 2012). Everybody is asked directly as well, so that the two can be combined and checked (Aronow,
Coppock, Crawford and Green 2015)::

    listed     L = mean count (long) − mean count (short)
    combined   C = p + (1 − p) H          p = share who admit it, H = L among those who do not
    placebo 1  L among those who admit it is one       nobody admits what they did not do, lists are answered truly
    placebo 2  the arms admit it equally often          the list does not change the direct answer

Standard errors are linearised over strata and PSUs as everywhere. The combined estimate needs two assumptions that the
placebo tests can refute, never prove: nobody confesses falsely, and the arm does not change the direct answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample, sum_by
from analysis_lib.survey.linearisation import t_interval
from analysis_lib.tables.contracts import blank, check

PERSON = ["respondent_id", "quarter"]
# Results by name: the value that a test holds each against (None: no test), and which two things it compares.
RESULTS: dict[str, tuple[float | None, str]] = {
    "direct": (None, ""),
    "listed": (None, ""),
    "combined": (None, ""),
    "hidden": (0.0, "direct→combined"),
    "placebo_admitting": (1.0, ""),
    "placebo_arms": (0.0, "short→long"),
}


@dataclass(frozen=True, slots=True)
class ListResult:
    """One number of a list experiment.

    Attributes
    ----------
    estimate, se, ci_low, ci_high, df : float
        Share, its linearised standard error, interval and degrees of freedom.
    p : float
        Two-sided probability of a value this far from the one tested; NaN where nothing is tested.
    n, n_psu : int
        People and PSUs that it rests on.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    df: float
    p: float
    n: int
    n_psu: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.ci_high - self.ci_low) / 2


def count_items(
    count: np.ndarray,
    is_long: np.ndarray,
    admits: np.ndarray,
    weight: np.ndarray,
    *,
    sample: Sample,
    confidence_level: float = 0.95,
) -> dict[str, ListResult]:
    """Direct, listed and combined share, the share hidden from the direct question, and the two placebo tests.

    Parameters
    ----------
    count : numpy.ndarray
        How many items apply, shape (rows,); NaN where nobody was asked or answered.
    is_long : numpy.ndarray
        Whether the sensitive item was on the list.
    admits : numpy.ndarray
        Answer to the direct question, 0 or 1; NaN where missing.
    weight : numpy.ndarray
        Sampling weights; rows with none or zero are left out, as are rows with anything missing.
    sample : Sample
        The whole sample: rows left out stay in their strata and PSUs.

    Returns
    -------
    dict of str to ListResult
        Keyed as `RESULTS`. NaN where an arm, or an arm among those who admit, has nobody.
    """
    inside = np.isfinite(count) & np.isfinite(admits) & (np.nan_to_num(weight) > 0)
    w = np.where(inside, weight, 0.0)
    y, d = np.where(inside, count, 0.0), np.where(inside, admits, 0.0)

    def mean(values: np.ndarray, where: np.ndarray) -> tuple[float, np.ndarray]:
        weights = np.where(where, w, 0.0)
        total = weights.sum()
        if total == 0:
            return float("nan"), np.full(len(w), np.nan)
        value = float(weights @ values / total)
        return value, weights * (values - value) / total

    def long_less_short(values: np.ndarray, where: np.ndarray) -> tuple[float, np.ndarray]:
        (long, long_score), (short, short_score) = mean(values, where & is_long), mean(values, where & ~is_long)
        return long - short, long_score - short_score

    admit, silent = inside & (d == 1), inside & (d == 0)
    p, p_score = mean(d, inside)
    h, h_score = long_less_short(y, silent)
    found = {
        "direct": (p, p_score, inside),
        "listed": (*long_less_short(y, inside), inside),
        "combined": (p + (1 - p) * h, (1 - h) * p_score + (1 - p) * h_score, inside),
        "hidden": ((1 - p) * h, -h * p_score + (1 - p) * h_score, inside),
        "placebo_admitting": (*long_less_short(y, admit), admit),
        "placebo_arms": (*long_less_short(d, inside), inside),
    }
    return {
        name: _result(value, score, where, RESULTS[name][0], sample, confidence_level)
        for name, (value, score, where) in found.items()
    }


def _result(
    value: float, score: np.ndarray, where: np.ndarray, tested: float | None, sample: Sample, confidence_level: float
) -> ListResult:
    unit = sample.stages[-1].unit
    n_units = int(unit.max(initial=-1)) + 1
    psu = np.unique(sample.psu[where])
    strata = np.unique(sample.stages[0].parent[psu])
    df = len(psu) - len(strata)
    se = float("nan")
    if np.isfinite(value) and df >= 1:
        totals = sum_by(unit, score[:, None], n_units)
        nothing = np.zeros(n_units, dtype=np.int64)
        se = float(np.sqrt(sample.variances(totals, nothing, np.arange(n_units), 1)[0, 0]))
    low, high = t_interval(np.array(value), np.array(se), np.array(float(max(df, 1))), confidence_level)
    distance = float("nan") if tested is None or not se > 0 else abs(value - tested) / se
    return ListResult(
        estimate=value,
        se=se,
        ci_low=float(low),
        ci_high=float(high),
        df=float(df),
        p=float(2 * stats.t.sf(distance, max(df, 1))),
        n=int(where.sum()),
        n_psu=len(psu),
    )


# -- a study's list experiment --------------------------------------------------------------------------


def list_experiment(
    official_quarters: pd.DataFrame, respondents: pd.DataFrame, *, study: Study, periods: dict[str, list[str]]
) -> pd.DataFrame:
    """The study's list experiment for the nation, by period.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        Design and weights of every quarter that a period names.
    respondents : pandas.DataFrame
        Answers of the same quarters: the columns that ``[list_experiment]`` of ``study.toml`` names.
    periods : dict of str to list of str
        Label → quarters pooled. Quarters in which the list was not asked add nothing; a year is one pooled period.

    Returns
    -------
    pandas.DataFrame
        Rows of the contract ``estimates`` with two further columns, ``p`` and ``half_width``. Measures are
        ``<key>_direct``, ``_listed``, ``_combined``, ``_hidden``, ``_placebo_admitting``, ``_placebo_arms`` and
        ``_half_width`` (that of the combined share, always printed). No rows when the study names no arm, or nobody
        was asked in the periods.

    Notes
    -----
    It refuses to print a precision that it does not have: where the half-width of a listed or combined share is above
    ``max_half_width``, estimate and interval are left out (the mark [x] on the way out) and the half-width says why.
    """
    settings = study.config.list_experiment
    columns = [settings.arm, settings.count, settings.direct]
    if not settings.arm or not set(columns[:2]) & set(respondents.columns):
        return _no_rows()
    for column in columns:
        if column not in respondents.columns:
            raise InputRejected(
                f"{column!r} is no column of the respondents",
                where="study.toml, [list_experiment]",
                fix=did_you_mean(column, [str(name) for name in respondents.columns]),
            )
    answers = official_quarters[PERSON].merge(
        respondents[[*PERSON, *columns]], on=PERSON, how="left", validate="1:1"
    )  # fmt: skip
    arm = answers[settings.arm].fillna("")
    strange = set(arm.unique()) - {"", settings.short, settings.long}
    if strange:
        raise UsageError(
            f"{len(strange)} arms are neither {settings.short!r} nor {settings.long!r}",
            where="study.toml, [list_experiment]",
            fix="name the categories of the instrument in short and long",
        )
    direct = answers[settings.direct].astype(float)
    rows = official_quarters.assign(
        _count=answers[settings.count].astype(float).where(arm != "").to_numpy(),
        _long=(arm == settings.long).to_numpy(),
        _admits=(direct >= settings.direct_at_least).astype(float).where(direct.notna()).to_numpy(),
    )
    frames = [
        _rows(rows[rows["quarter"].isin(quarters)], label, study)
        for label, quarters in periods.items()
        if rows.loc[rows["quarter"].isin(quarters), "_count"].notna().any()
    ]
    return check(pd.concat(frames, ignore_index=True), "estimates") if frames else _no_rows()


def _rows(rows: pd.DataFrame, label: str, study: Study) -> pd.DataFrame:
    settings = study.config.list_experiment
    found = count_items(
        rows["_count"].to_numpy(),
        rows["_long"].to_numpy(bool),
        rows["_admits"].to_numpy(),
        rows["weight"].to_numpy(float),
        sample=read_sample(rows, SurveyDesign.of_study(study)),
        confidence_level=study.config.estimation.confidence_level,
    )
    table = [
        _row(f"{settings.key}_{name}", name, result, label, settings.max_half_width) for name, result in found.items()
    ]
    width = found["combined"].half_width
    table.append(
        table[2]
        | {"measure": f"{settings.key}_half_width", "estimate": width, "se": 0.0, "ci_low": width, "ci_high": width}
    )
    frame = pd.DataFrame(table)
    return frame.astype(dict.fromkeys(("measure", "statistic", "unit", "region", "by", "category", "period"), str))


def _row(measure: str, name: str, result: ListResult, label: str, max_half_width: float) -> dict[str, object]:
    _, compared = RESULTS[name]
    half_width = result.half_width
    # Placebo tests are judged by their interval however wide it is; a share that is too wide is not printed.
    refused = name in ("listed", "combined", "hidden") and not half_width <= max_half_width
    nothing = float("nan")
    return {
        "measure": measure,
        "statistic": "share" if name == "direct" else "mean",
        "unit": "share",
        "region": NATION,
        "by": "",
        "category": "",
        "period": f"{label}: {compared}" if compared else label,
        "estimate": nothing if refused else result.estimate,
        "se": nothing if refused else result.se,
        "ci_low": nothing if refused else result.ci_low,
        "ci_high": nothing if refused else result.ci_high,
        "df": result.df,
        "deff": nothing,
        "n": result.n,
        "n_psu": result.n_psu,
        "p": result.p,
        "half_width": half_width,
    }


def _no_rows() -> pd.DataFrame:
    return blank("estimates").assign(p=np.nan, half_width=np.nan)
