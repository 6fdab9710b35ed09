"""Scales of several items: how reliably they measure, and whether they measure the same in every group and wave.

Over the weighted covariance S of k items, reversed where they are worded the other way::

    alpha      k/(k − 1) (1 − tr S / 1'S1)            a lower bound if errors are unrelated (Cronbach 1951)
    omega      (Σλ)² / ((Σλ)² + Σθ)                   of a single factor, k ≥ 3 (McDonald 1999)
    item–rest  correlation of an item with the sum of the others

Each is a function of weighted moments, so its error is that of their scores under the design, by linearisation; the
intervals are symmetric in log(1 − reliability) and in Fisher's z. Weights are taken as given: what calibration takes
out of the variance is not credited.

A comparison of groups by a scale needs the same loadings (metric) and, for means, the same intercepts (scalar). By
Chen (2007) a step fails where CFI falls by 0.010 and RMSEA rises by 0.015 or SRMR by 0.030 (metric) or 0.010 (scalar);
up to 300 people by 0.005, and 0.010 or 0.025 or 0.005. It holds where neither is so, and in between cannot be told.
Items of five points are treated as numbers, which costs little (Rhemtulla, Brosseau-Liard and Savalei 2012).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import DesignError, UsageError, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.factor_model import LEVELS, TINY, Fit, Level, Moments, fit_groups
from analysis_lib.tables.contracts import CONTRACTS, check

Outcome = Literal["holds", "fails", "cannot_tell"]

PERSON = ["respondent_id", "quarter"]
BY_ITEM, BY_INVARIANCE = "item", "invariance"
STEP_NUMBERS = ["cfi", "rmsea", "srmr", "cfi_change", "rmsea_change", "srmr_change", "p_value"]
# Falls of CFI, rises of RMSEA, rises of SRMR from which a step fails (Chen 2007): large samples, then small ones.
CHEN: dict[Level, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "metric": ((0.010, 0.015, 0.030), (0.005, 0.010, 0.025)),
    "scalar": ((0.010, 0.015, 0.010), (0.005, 0.010, 0.005)),
}
SMALL_SAMPLE = 300
GOOD, BAD = (0.95, 0.06), (0.90, 0.10)  # CFI and RMSEA of a model that fits (Hu and Bentler 1999), and that does not


@dataclass(frozen=True, slots=True)
class Scale:
    """Items that are meant to measure one thing.

    Attributes
    ----------
    key : str
        Name of the scale in results.
    items : tuple of str
        Columns of answers.
    reverse : tuple of str
        Those of the items in which more means less.
    low, high : float
        Ends of the answer scale.
    """

    key: str
    items: tuple[str, ...]
    reverse: tuple[str, ...] = ()
    low: float = 1
    high: float = 5


def study_scales(study: Study) -> list[Scale]:
    """The scales of a study, as ``study.toml`` names them."""
    return [
        Scale(each.key, tuple(each.items), tuple(each.reversed), each.low, each.high) for each in study.config.scales
    ]


def scale_items(frame: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Answers to the items of a scale, all pointing the same way.

    Raises
    ------
    UsageError
        For an item that is no column, or a reversed one that is no item.
    """
    for item in (*scale.items, *scale.reverse):
        if item not in frame.columns or item not in scale.items:
            raise UsageError(f"{item!r} is no item", where=f"scale {scale.key}", fix=did_you_mean(item, frame.columns))
    answers = frame[list(scale.items)].astype(float)
    for item in scale.reverse:
        answers[item] = scale.low + scale.high - answers[item]
    return answers


def scale_score(frame: pd.DataFrame, scale: Scale) -> pd.Series:
    """Mean of the items, in points of the answer scale; missing where an item is."""
    return scale_items(frame, scale).mean(axis=1, skipna=False).rename(scale.key)


def reliability(
    frame: pd.DataFrame,
    scale: Scale,
    *,
    design: SurveyDesign,
    where: pd.Series | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Alpha, omega and item–rest correlations with intervals.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample; name a domain in ``where``. People with an item missing leave the domain.

    Returns
    -------
    pandas.DataFrame
        ``statistic`` (``alpha``, ``omega``, ``item_rest``), ``item``, ``estimate``, ``se``, ``ci_low``, ``ci_high``,
        ``df``, ``n``, ``n_psu``. Omega is missing for two items, which do not say how much each measures, and where
        the single factor does not settle.

    Raises
    ------
    DesignError
        When fewer than two people, or a single PSU, answered every item; or an item has one answer only.
    """
    answers = scale_items(frame, scale)
    sample = read_sample(frame, design)
    inside = _inside(frame, answers, design, where)
    df, n_psu = _degrees_of_freedom(sample, inside)
    if df < 1:
        raise DesignError(
            "answers within one unit of a stratum show no error", where=scale.key, fix="take more of them"
        )
    values = answers.to_numpy()
    moments, scores = _moments(values, frame[design.weight].to_numpy(float), np.where(inside, 0, -1), 1)
    covariance = moments.covariance[0]
    if (np.ptp(values[inside], axis=0) == 0).any():
        raise DesignError("an item has one answer only", where=scale.key, fix="leave it out")
    of_covariance = scores[:, values.shape[1] :]
    quantile = stats.t.ppf((1 + confidence_level) / 2, df)

    def row(statistic: str, item: str, value: float, score: np.ndarray) -> dict:
        se = math.sqrt(sample.covariance(score[:, None])[0, 0])
        if statistic == "item_rest":
            low, high = np.tanh(np.arctanh(value) + quantile * se / (1 - value**2) * np.array([-1, 1]))
        else:
            low, high = 1 - (1 - value) * np.exp(quantile * se / (1 - value) * np.array([1, -1]))
        numbers = {"estimate": value, "se": se, "ci_low": float(low), "ci_high": float(high)}
        return {"statistic": statistic, "item": item, **numbers}

    rows = [row("alpha", "", *_with_score(_alpha, covariance, of_covariance))]
    omega, score = _omega(moments, scores)
    blank = dict.fromkeys(("estimate", "se", "ci_low", "ci_high"), float("nan"))
    rows.append({"statistic": "omega", "item": "", **blank} if math.isnan(omega) else row("omega", "", omega, score))
    for place, item in enumerate(scale.items):
        value, score = _with_score(lambda s, place=place: _item_rest(s, place), covariance, of_covariance)
        rows.append(row("item_rest", item, value, score))
    return pd.DataFrame(rows).assign(df=float(df), n=int(inside.sum()), n_psu=n_psu)


def _inside(frame: pd.DataFrame, answers: pd.DataFrame, design: SurveyDesign, where: pd.Series | None) -> np.ndarray:
    inside = answers.notna().all(axis=1).to_numpy() & (np.nan_to_num(frame[design.weight].to_numpy(float)) > 0)
    return inside if where is None else inside & where.to_numpy(bool)


def _degrees_of_freedom(sample: Sample, inside: np.ndarray) -> tuple[int, int]:
    """PSUs less strata that hold the domain, and PSUs."""
    psu = np.unique(sample.psu[inside])
    return len(psu) - len(np.unique(sample.stages[0].parent[psu])), len(psu)


def _moments(values: np.ndarray, weight: np.ndarray, group: np.ndarray, n_groups: int) -> tuple[Moments, np.ndarray]:
    """Weighted moments of each group, and the linearised score of each row on all of them, shape (rows, moments)."""
    n_items = values.shape[1]
    row, column = np.tril_indices(n_items)
    size = n_items + len(row)
    means, covariances = np.zeros((n_groups, n_items)), np.zeros((n_groups, n_items, n_items))
    scores = np.zeros((len(values), n_groups * size))
    for number in range(n_groups):
        here = group == number
        share = weight[here] / weight[here].sum()
        means[number] = share @ values[here]
        off = values[here] - means[number]
        covariances[number] = (share[:, None] * off).T @ off
        products = off[:, row] * off[:, column] - covariances[number][row, column]
        scores[here, number * size : (number + 1) * size] = share[:, None] * np.concatenate([off, products], axis=1)
    return Moments(means, covariances, np.bincount(group[group >= 0], minlength=n_groups).astype(float)), scores


def _with_score(
    function: Callable[[np.ndarray], complex], covariance: np.ndarray, scores: np.ndarray
) -> tuple[float, np.ndarray]:
    """A function of a covariance matrix, and the score of each row on it by the delta method."""
    gradient = []
    for row, column in zip(*np.tril_indices(len(covariance)), strict=True):
        step = covariance.astype(complex)
        step[row, column] += 1j * TINY
        step[column, row] = step[row, column]
        gradient.append(function(step).imag / TINY)
    return float(function(covariance).real), scores @ np.array(gradient)


def _alpha(covariance: np.ndarray) -> complex:
    k = len(covariance)
    return k / (k - 1) * (1 - np.trace(covariance) / covariance.sum())


def _item_rest(covariance: np.ndarray, place: int) -> complex:
    rest = covariance.sum(axis=1) - covariance[:, place]
    of_rest = rest.sum() - rest[place]
    return rest[place] / np.sqrt(covariance[place, place] * of_rest)


def _omega(moments: Moments, scores: np.ndarray) -> tuple[float, np.ndarray]:
    n_items = moments.mean.shape[1]
    if n_items < 3:
        return float("nan"), np.zeros(len(scores))
    try:
        fit = fit_groups(moments, np.zeros(n_items, dtype=np.int64))
    except DesignError:
        return float("nan"), np.zeros(len(scores))
    common, error = fit.loadings.sum(), fit.residuals.sum()
    total = common**2 + error
    gradient = np.repeat([2 * common * error / total**2, -(common**2) / total**2], n_items)
    return float(common**2 / total), scores @ (gradient @ fit.of_moments)


# -- the same thing in every group ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Invariance:
    """Whether scales measure the same in every group.

    Attributes
    ----------
    steps : pandas.DataFrame
        By ``level``: ``chi_square`` (scaled), ``df``, ``scaling``, ``cfi``, ``rmsea``, ``srmr``, their changes from the
        level before, ``p_value`` of the step, and ``outcome``. Of the configural level the outcome is whether the model
        fits at all; it holds without being tried where the model has no degrees of freedom.
    differs : tuple of (str, str)
        Level and item: those whose release, the largest gain first, takes a step from failing. Within a scale of two
        items either of them could be meant.
    is_partial : bool
        Whether no step fails any more once those are released.
    groups : tuple of str
        What was compared.
    n : int
        People with every item answered.
    """

    steps: pd.DataFrame
    differs: tuple[tuple[Level, str], ...]
    is_partial: bool
    groups: tuple[str, ...]
    n: int


def invariance(
    frame: pd.DataFrame,
    scales: Sequence[Scale],
    group: str,
    *,
    design: SurveyDesign,
    where: pd.Series | None = None,
) -> Invariance:
    """Try whether scales, taken together, measure the same thing in every category of a column.

    Parameters
    ----------
    frame : pandas.DataFrame
        The whole sample; name a domain in ``where``. Waves of a panel are groups like others: the people and PSUs
        they share are in the covariance of their moments.
    scales : sequence of Scale
        One of three items or more, or several of two or more; a scale of two items alone says nothing.

    Raises
    ------
    DesignError
        When there is one group only, too few items, or a model does not settle.
    """
    answers = pd.concat([scale_items(frame, scale) for scale in scales], axis=1)
    items = list(answers.columns)
    inside = _inside(frame, answers, design, where) & frame[group].notna().to_numpy()
    code, names = pd.factorize(frame[group].where(inside), sort=True)
    if len(names) < 2:
        raise DesignError("one group is nothing to compare", where=group, fix="choose a column with categories")
    moments, scores = _moments(answers.to_numpy(), frame[design.weight].to_numpy(float), code, len(names))
    sampling = read_sample(frame, design).covariance(scores)
    moments = Moments(moments.mean, moments.covariance, moments.n, sampling)
    factor_of = np.repeat(np.arange(len(scales)), [len(scale.items) for scale in scales])
    before = fit_groups(moments, factor_of)
    rows = [{"level": LEVELS[0], **_fit_numbers(before), "outcome": _fits(before)}]
    released: list[tuple[Level, int]] = []
    differs: list[tuple[Level, str]] = []
    is_partial = True
    for level in LEVELS[1:]:
        fit = fit_groups(moments, factor_of, level, released=released)
        outcome = _step(before, fit, level, moments.n.sum())
        rows.append({"level": level, **_fit_numbers(fit), **_changes(before, fit), "outcome": outcome})
        while outcome == "fails":
            candidates = [
                item
                for item in range(len(items))
                if (level, item) not in released
                and sum(what == level and factor_of[one] == factor_of[item] for what, one in released)
                < (factor_of == factor_of[item]).sum() - 1
            ]
            if not candidates:
                is_partial = False
                break
            fits = {
                item: fit_groups(moments, factor_of, level, released=[*released, (level, item)]) for item in candidates
            }
            best = min(fits, key=lambda item: fits[item].chi_square)
            released.append((level, best))
            differs.append((level, items[best]))
            fit = fits[best]
            outcome = _step(before, fit, level, moments.n.sum())
        before = fit
        # An item that is measured in another unit has no intercept to compare (Byrne, Shavelson and Muthén 1989).
        also: list[tuple[Level, int]] = [("scalar", item) for what, item in released if what == level == "metric"]
        released += also
    return Invariance(pd.DataFrame(rows), tuple(differs), is_partial, tuple(map(str, names)), int(moments.n.sum()))


def _fit_numbers(fit: Fit) -> dict[str, float]:
    scaled = fit.chi_square / fit.scaling
    return {
        "chi_square": scaled,
        "df": fit.df,
        "scaling": fit.scaling,
        "cfi": fit.cfi,
        "rmsea": fit.rmsea,
        "srmr": fit.srmr,
    }


def _fits(fit: Fit) -> Outcome:
    if fit.df == 0 or (fit.cfi >= GOOD[0] and fit.rmsea <= GOOD[1]):
        return "holds"
    return "fails" if fit.cfi < BAD[0] or fit.rmsea > BAD[1] else "cannot_tell"


def _step(before: Fit, fit: Fit, level: Level, n: float) -> Outcome:
    cfi, rmsea, srmr = CHEN[level][int(n <= SMALL_SAMPLE)]
    falls = before.cfi - fit.cfi >= cfi
    # A model without degrees of freedom fits exactly; its RMSEA of zero is nothing to rise from.
    rises = (before.df > 0 and fit.rmsea - before.rmsea >= rmsea) or fit.srmr - before.srmr >= srmr
    return "fails" if falls and rises else "cannot_tell" if falls or rises else "holds"


def _changes(before: Fit, fit: Fit) -> dict[str, float]:
    """Changes of the indices, and p of the scaled difference (Satorra and Bentler 2001); NaN where its scale is not positive."""
    df = fit.df - before.df
    scaling = (fit.df * fit.scaling - before.df * before.scaling) / df
    p = stats.chi2.sf((fit.chi_square - before.chi_square) / scaling, df) if scaling > 0 else float("nan")
    changes = {f"{name}_change": getattr(fit, name) - getattr(before, name) for name in ("cfi", "rmsea", "srmr")}
    return {**changes, "p_value": float(p)}


# -- a study's scales -----------------------------------------------------------------------------------


def with_answers(official_quarters: pd.DataFrame, respondents: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Official-quarters with columns of answers beside them; a question that was never asked is missing."""
    asked = [column for column in columns if column in respondents.columns]
    joined = official_quarters.drop(columns=asked, errors="ignore").merge(
        respondents[[*PERSON, *asked]], on=PERSON, how="left", validate="1:1"
    )
    return joined.assign(**{column: np.nan for column in columns if column not in joined.columns})


def scales_table(
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    *,
    study: Study,
    periods: dict[str, list[str]],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Reliability of the study's scales by period, as rows of the contract ``estimates``, and why there is none.

    Measures are ``<scale>_alpha``, ``<scale>_omega``, and ``<scale>_item_rest`` with ``by`` ``item``. A scale that
    nobody answered in a period has no rows, one whose reliability cannot be had (F35) its two coefficients without a number;
    both stand among the reasons, as ``<scale>.<period>``.
    """
    design, level, scales = SurveyDesign.of_study(study), study.config.estimation.confidence_level, study_scales(study)
    rows, impossible = [], {}
    for label, quarters in periods.items():
        frame = official_quarters[official_quarters["quarter"].isin(quarters)]
        frame = with_answers(frame, respondents, [item for scale in scales for item in scale.items])
        for scale in scales:
            answered = frame[scale_items(frame, scale).notna().all(axis=1)]
            if answered.empty:
                impossible[f"{scale.key}.{label}"] = "nobody answered all of its items"
                continue
            try:
                found = reliability(frame, scale, design=design, confidence_level=level)
            except DesignError as error:
                impossible[f"{scale.key}.{label}"] = str(error)
                found = pd.DataFrame({"statistic": ["alpha", "omega"], "item": ""})
                found = found.assign(n=len(answered), n_psu=answered["psu"].nunique(), estimate=np.nan)
            rows.append(
                found.assign(
                    measure=[f"{scale.key}_{name}" for name in found["statistic"]],
                    by=np.where(found["item"] == "", "", BY_ITEM),
                    category=found["item"],
                    period=label,
                    statistic="ratio",
                    unit="coefficient",
                )
            )
    return _as_estimates(pd.concat(rows) if rows else pd.DataFrame()), impossible


def invariance_table(
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    *,
    study: Study,
    groups: Sequence[str],
    period: str,
    scales: Sequence[Scale],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Whether scales measure the same in every category of columns (tier, quarter, …), as rows of ``estimates``; or why not.

    Rows have ``by`` ``invariance``, the category ``<column>.<level>`` with the change of CFI and the ``outcome``
    (of the configural level CFI itself), ``<column>.<level>.<index>`` for the other numbers, and
    ``<column>.<level>.<item>`` with the outcome ``differs`` for items that do not mean the same. A model that cannot be
    fitted has one row, ``<column>.configural``, with the outcome ``cannot_tell``, and its reason as ``<scales>.<column>``.
    ``residual_df`` are people to spare behind the moments of the groups.
    """
    frame = with_answers(official_quarters, respondents, [item for scale in scales for item in scale.items])
    design, measure = SurveyDesign.of_study(study), "_".join(scale.key for scale in scales)
    items = [item for scale in scales for item in scale.items]
    answered = int(frame[items].notna().all(axis=1).sum())
    rows, impossible = [], {}
    for group in groups:
        try:
            found = invariance(frame, scales, group, design=design)
        except DesignError as error:
            impossible[f"{measure}.{group}"] = str(error)
            rows.append({"category": f"{group}.configural", "outcome": "cannot_tell", "residual_df": answered})
            continue
        rest = {"residual_df": answered - len(found.groups) * len(items) * (len(items) + 3) // 2}
        for step in found.steps.to_dict("records"):
            category, value = f"{group}.{step['level']}", "cfi" if step["level"] == LEVELS[0] else "cfi_change"
            rows.append({"category": category, "estimate": step[value], "outcome": step["outcome"], **rest})
            rows += [
                {"category": f"{category}.{name}", "estimate": step[name], **rest}
                for name in STEP_NUMBERS
                if name != value and np.isfinite(step.get(name, np.nan))
            ]
        rows += [{"category": f"{group}.{level}.{item}", "outcome": "differs", **rest} for level, item in found.differs]
    whole = {"measure": measure, "by": BY_INVARIANCE, "period": period, "statistic": "effect", "unit": "fit"}
    return _as_estimates(pd.DataFrame(rows).assign(n=answered, n_psu=int(frame["psu"].nunique()), **whole)), impossible


def _as_estimates(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the contract, what they lack filled in."""
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= {"outcome": "str", "residual_df": "float64"}
    blank = {"unit": "coefficient", "region": NATION, "n": 0, "n_psu": 0, "outcome": ""}
    lacking = {name: blank.get(name, np.nan) for name in kinds if name not in frame.columns}
    whole = frame.assign(**lacking)[list(kinds)].fillna({"outcome": ""})
    return check(whole.astype(kinds).reset_index(drop=True), "estimates")
