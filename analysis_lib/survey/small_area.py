"""Estimates for areas with too few diaries: a Fay–Herriot model beside the direct estimates, and which of the two is shown.

The model and its formulas stand in `fay_herriot`; here are its tables. It borrows strength in two ways: the regression
on what a large sample or a register knows of every area, and one variance per respondent for all areas together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis_lib.errors import DesignError, InputRejected, UsageError, did_you_mean
from analysis_lib.measures import needs_diary
from analysis_lib.study import NATION, Study, read_reference_csv
from analysis_lib.survey.estimation import estimate
from analysis_lib.survey.fay_herriot import (
    Diagnostics,
    FayHerriot,
    Method,
    benchmark,
    diagnose,
    fit,
    gap_variance,
    smooth_variances,
)
from analysis_lib.survey.linearisation import t_interval
from analysis_lib.tables.contracts import CONTRACTS, check

DIRECT, MODEL, WITHHELD = "direct", "model", "withheld"
OFFICIALS = "officials"  # the column of an auxiliary table that holds the size of an area, not a covariate
MODELLED = ("mean", "ratio")  # a share of people needs another model, a total its own scale
SERIES = ["measure", "statistic", "unit", "by", "category", "period"]
ESTIMATED = ["estimate", "se", "ci_low", "ci_high", "df", "deff"]
HOLDS = ["n_areas", "model_variance", "is_adjusted", "mean_shrinkage", "median_gain", "normality", "outlier",
         "variances", "agreement", "passes", "reason"]  # fmt: skip

Benchmark = Literal["ratio", "difference", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class SmallAreaResults:
    """What `model_areas` found.

    Attributes
    ----------
    estimates : pandas.DataFrame
        As `estimate_small_areas`.
    models : pandas.DataFrame
        As `describe_models`; not for publication.
    """

    estimates: pd.DataFrame
    models: pd.DataFrame


def model_areas(official_quarters: pd.DataFrame, *, study: Study, quarter: str, year: list[str]) -> SmallAreaResults:
    """The measures of ``[small_areas]`` for the lowest level of regions that are estimated.

    Parameters
    ----------
    quarter : str
        Quarter estimated.
    year : list of str
        Quarters pooled for the auxiliary means.

    Returns
    -------
    SmallAreaResults
        Without rows where the study names no measures, or estimates no level below that of its pages.
    """
    settings, levels = study.config.small_areas, study.config.estimation.levels
    areas = study.regions_at(levels[-1]) if levels and levels[-1] != study.config.estimation.page_level else []
    above = list(dict.fromkeys(str(study.regions.at[code, "parent"]) for code in areas))
    direct = estimate(
        official_quarters, settings.measures, study=study, periods={quarter: [quarter]}, regions=[*above, *areas]
    )
    if direct.empty:
        return SmallAreaResults(direct, pd.DataFrame(columns=[*SERIES, *HOLDS]))
    auxiliary = area_auxiliary(official_quarters, settings.auxiliary, study=study, level=levels[-1], quarters=year)
    asked = {"study": study, "level": levels[-1]}
    return SmallAreaResults(
        estimate_small_areas(direct, auxiliary, **asked), describe_models(direct, auxiliary, **asked)
    )


def area_auxiliary(
    official_quarters: pd.DataFrame, keys: list[str], *, study: Study, level: str, quarters: list[str]
) -> pd.DataFrame:
    """What is known of every area besides its diaries: means of questionnaire answers, and how many officials it has.

    Parameters
    ----------
    keys : list of str
        Questionnaire measures; all their respondents count, with and without a diary.
    level : str
        Level of the areas, such as ``"county"``.
    quarters : list of str
        Quarters pooled for the means. A year is better than a quarter: the answers then share few of their people
        with the diaries of one quarter, so that their errors hardly move together.

    Returns
    -------
    pandas.DataFrame
        Indexed by region code: one column per key, and ``officials`` from ``population.csv`` (the sum of weights in
        the last quarter where the study has no such file).
    """
    codes = study.regions_at(level)
    for key in keys:
        if key in study.measures and needs_diary(study.measures[key], study.measures):
            raise UsageError(f"{key!r} rests on the diaries", where="auxiliary", fix="take questionnaire measures")
    label = f"{quarters[0]}–{quarters[-1]}"
    means = estimate(official_quarters, keys, study=study, periods={label: quarters}, regions=codes)
    table = means.pivot(index="region", columns="measure", values="estimate").reindex(index=codes, columns=keys)
    return table.rename_axis(columns=None).assign(**{OFFICIALS: _officials(official_quarters, study, level, codes)})


def estimate_small_areas(
    direct: pd.DataFrame,
    auxiliary: pd.DataFrame,
    *,
    study: Study,
    level: str,
    method: Method = "reml",
    benchmark_to: Benchmark = "ratio",
) -> pd.DataFrame:
    """Estimate areas by model, and choose what each of them shows.

    Parameters
    ----------
    direct : pandas.DataFrame
        Rows of the contract ``estimates`` for the regions of ``level`` and for the regions above them (benchmarks).
        Every measure, statistic, category and period is modelled on its own.
    auxiliary : pandas.DataFrame
        As `area_auxiliary` makes it: indexed by region, ``officials`` and the covariates; an area without them is not modelled.
    method : str
        How the model variance is found: ``reml``, ``ml`` or ``moments``.
    benchmark_to : str
        How the areas' model estimates are made to average to the direct estimate of the region above.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates``, a row per area. Further columns: ``kind`` (``direct``, ``model``, ``withheld``),
        ``direct`` and ``direct_se`` (as estimated), ``smoothed_se`` (by the variance function), ``model`` and ``mse``
        (benchmarked), ``shrinkage`` (the weight of the direct estimate in the model's; 0 for an area without any).

    Notes
    -----
    What an area shows, in this order:

    - nothing (``withheld``) below ``min_respondents``: a model estimate leans on the few people of its area too, and
      rule C01 is about them (an area without respondents is withheld with the others);
    - its direct estimate, when that has a standard error and smoothed standard error ÷ model estimate is at most
      ``unreliable_cv``: an area whose standard error came out small, or whose hours came out high, by luck is not
      precise for that;
    - its model estimate, when the model passes `diagnose`; else nothing.

    Model estimates carry t intervals with areas less coefficients as degrees of freedom, and √mse as ``se``.
    """
    areas = study.regions_at(level)
    covariates, sizes = _read_auxiliary(auxiliary, areas)
    frames = [
        _areas_of_series(rows, areas, covariates, sizes, study, method, benchmark_to)[0]
        for _, rows in _series(direct, areas, study)
    ]
    if not frames:
        return check(direct.head(0), "estimates")
    return check(pd.concat(frames, ignore_index=True), "estimates")


def describe_models(
    direct: pd.DataFrame, auxiliary: pd.DataFrame, *, study: Study, level: str, method: Method = "reml"
) -> pd.DataFrame:
    """One row per model of `estimate_small_areas`: its variance, what it gains, and its diagnostics.

    Returns
    -------
    pandas.DataFrame
        The columns of the series, ``n_areas``, ``model_variance``, ``is_adjusted`` (the likelihood put it at zero),
        ``mean_shrinkage``, ``median_gain`` (mean squared error ÷ sampling variance, before benchmarking), the four
        p-values of the diagnostics, ``passes``, and ``reason``: why there is no model, empty where there is.
    """
    areas = study.regions_at(level)
    covariates, sizes = _read_auxiliary(auxiliary, areas)
    rows = []
    for names, series in _series(direct, areas, study):
        _, model, diagnostics, reason = _areas_of_series(series, areas, covariates, sizes, study, method, "none")
        named = dict(zip(SERIES, names, strict=True))
        if model is None or diagnostics is None:
            rows.append(named | {"passes": False, "reason": reason})
            continue
        rows.append(
            {
                **named,
                "reason": "",
                "n_areas": len(model.direct),
                "model_variance": model.model_variance,
                "is_adjusted": model.is_adjusted,
                "mean_shrinkage": float(model.shrinkage.mean()),
                "median_gain": float(np.median(model.mse / model.sampling_variance)),
                "normality": diagnostics.normality,
                "outlier": diagnostics.outlier,
                "variances": diagnostics.variances,
                "agreement": diagnostics.agreement,
                "passes": diagnostics.passes,
            }
        )
    return pd.DataFrame(rows, columns=[*SERIES, *HOLDS])


# -- one series ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Modelled:
    """Model estimates of all areas, those without a direct one included."""

    estimate: np.ndarray
    mse: np.ndarray
    shrinkage: np.ndarray


def _series(direct: pd.DataFrame, areas: list[str], study: Study) -> list[tuple[tuple, pd.DataFrame]]:
    """The rows of each measure, category and period that has rows for areas, in order of appearance."""
    check(direct, "estimates")
    others = sorted(set(direct["statistic"]) - set(MODELLED))
    if others:
        raise UsageError(
            f"no area model for {', '.join(others)}",
            where="estimate_small_areas",
            fix="pass means and ratios only; shares of people and totals stay direct",
        )
    for code in direct["region"].unique():
        study.region_name(code, "en")  # raises for an unknown code
    return [
        (names, rows.set_index("region"))
        for names, rows in direct.groupby(SERIES, sort=False)
        if rows["region"].isin(areas).any()
    ]


def _areas_of_series(
    rows: pd.DataFrame,
    areas: list[str],
    covariates: np.ndarray,
    sizes: np.ndarray,
    study: Study,
    method: Method,
    benchmark_to: Benchmark,
) -> tuple[pd.DataFrame, FayHerriot | None, Diagnostics | None, str]:
    own, is_known = rows.reindex(areas), np.isfinite(covariates).all(axis=1)
    covariates = np.nan_to_num(covariates)
    n = own["n"].fillna(0).to_numpy(np.int64)
    value, se, df = (own[name].to_numpy(float) for name in ("estimate", "se", "df"))
    has_direct = np.isfinite(value) & (n > 0) & is_known
    smoothed, model, diagnostics, reason = se**2, None, None, ""
    try:
        smoothed = smooth_variances(se**2, n, np.nan_to_num(df))
        model = fit(value[has_direct], smoothed[has_direct], covariates[has_direct], method)
        diagnostics = diagnose(model)
    except DesignError as error:  # F35: what is precise by itself is shown, nothing else
        model, reason = None, str(error)
    if model is None:
        # Held against the mean of all: an area whose own hours came out high by luck is not precise for that.
        middle = value[np.isfinite(value)].mean() if np.isfinite(value).any() else np.nan
        modelled = _Modelled(np.full(len(areas), middle), smoothed, np.full(len(areas), np.nan))
    else:
        modelled = _everywhere(model, covariates, has_direct)
        if benchmark_to != "none":
            modelled = _benchmarked(modelled, model, has_direct, rows["estimate"], areas, sizes, study, benchmark_to)

    limits = study.config.disclosure
    expected = np.abs(modelled.estimate)
    cv = np.divide(np.sqrt(smoothed), expected, out=np.full(len(n), np.inf), where=expected > 0)
    is_direct = np.isfinite(se) & (cv <= limits.unreliable_cv)
    kind = np.where(is_direct, DIRECT, MODEL if diagnostics is not None and diagnostics.passes else WITHHELD)
    kind = np.where((n < limits.min_respondents) | ((kind == MODEL) & ~is_known), WITHHELD, kind)

    root, model_df = np.sqrt(modelled.mse), np.nan if model is None else float(model.df)
    bounds = t_interval(
        modelled.estimate, root, np.full(len(areas), model_df), study.config.estimation.confidence_level
    )
    of_model = [modelled.estimate, root, *bounds, np.full(len(areas), model_df), np.full(len(areas), np.nan)]
    shown = {
        name: np.select([kind == DIRECT, kind == MODEL], [own[name].to_numpy(float), by_model], np.nan)
        for name, by_model in zip(ESTIMATED, of_model, strict=True)
    }
    frame = pd.DataFrame(
        {
            **{name: str(rows[name].iloc[0]) for name in SERIES},
            "region": areas,
            **shown,
            "n": n,
            "n_psu": own["n_psu"].fillna(0).to_numpy(np.int64),
            "kind": kind,
            "direct": value,
            "direct_se": se,
            "smoothed_se": np.sqrt(smoothed),
            "model": modelled.estimate,
            "mse": modelled.mse,
            "shrinkage": modelled.shrinkage,
        }
    )
    contract = list(CONTRACTS["estimates"].schema.columns)
    extra = [name for name in frame.columns if name not in contract]
    texts = dict.fromkeys(["region", "kind", *SERIES], str)
    return frame[[*contract, *extra]].astype(texts), model, diagnostics, reason


def _everywhere(model: FayHerriot, covariates: np.ndarray, has_direct: np.ndarray) -> _Modelled:
    """EBLUPs where there is a direct estimate, synthetic ones elsewhere."""
    estimates, mse = model.predict(covariates)
    shrinkage = np.zeros(len(covariates))
    estimates[has_direct], mse[has_direct], shrinkage[has_direct] = model.eblup, model.mse, model.shrinkage
    return _Modelled(estimates, mse, shrinkage)


def _benchmarked(
    modelled: _Modelled,
    model: FayHerriot,
    has_direct: np.ndarray,
    direct: pd.Series,
    areas: list[str],
    sizes: np.ndarray,
    study: Study,
    how: Literal["ratio", "difference"],
) -> _Modelled:
    """All areas of a region adjusted at once, whatever each of them will show."""
    parents = study.regions.loc[areas, "parent"].to_numpy()
    value, mse = modelled.estimate.copy(), modelled.mse.copy()
    for parent in dict.fromkeys(parents):
        target = float(direct.get(parent, np.nan))
        if parent in direct.index and np.isnan(target):
            continue  # a silent region: none of its areas shows anything
        if np.isnan(target):
            raise UsageError(
                f"region {parent} has no direct estimate to be the benchmark",
                where="estimate_small_areas",
                fix='estimate the regions above too, or take benchmark_to = "none"',
            )
        inside = parents == parent
        share = np.where(inside, sizes, 0.0) / sizes[inside].sum()
        variance = gap_variance(model, share[has_direct])
        fitted = benchmark(value[inside], mse[inside], share[inside], target, variance, how)
        value[inside], mse[inside] = fitted.estimate, fitted.mse
    return _Modelled(value, mse, modelled.shrinkage)


# -- what is known of areas ---------------------------------------------------------------------------


def _read_auxiliary(auxiliary: pd.DataFrame, areas: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Covariates with a column of ones first, and sizes, in the order of the areas."""
    if OFFICIALS not in auxiliary.columns:
        raise UsageError(
            "the sizes of the areas are missing", where="auxiliary", fix=did_you_mean(OFFICIALS, auxiliary.columns)
        )
    table = auxiliary.reindex(areas).astype(float)
    covariates = table.drop(columns=OFFICIALS)
    gaps = [str(column) for column in covariates if not np.isfinite(covariates[column]).any()]
    if gaps or not np.isfinite(table[OFFICIALS]).all():
        raise DesignError(
            f"columns {gaps or [OFFICIALS]} are not known for {'any' if gaps else 'every'} area",
            where="auxiliary",
            fix="drop them, or pool more quarters" if gaps else "list every area of today in reference/population.csv",
        )
    covariates = covariates.to_numpy()
    return np.column_stack([np.ones(len(areas)), covariates]), table[OFFICIALS].to_numpy()


def _officials(official_quarters: pd.DataFrame, study: Study, level: str, codes: list[str]) -> np.ndarray:
    path = study.reference / "population.csv"
    if path.is_file():
        listed = read_reference_csv(path, ["region", "officials"])
        if unknown := sorted(set(listed["region"]) - set(study.regions.index)):
            raise InputRejected(
                f"{unknown[0]!r} is not listed in regions.csv",
                where="reference/population.csv",
                fix="use the codes of today; add up or divide the officials of regions that merged or were split",
            )
        counted = listed["officials"].astype(float)
        if strangers := sorted({*listed["region"]} - {NATION, *study.regions.index}):
            raise InputRejected(
                f"{strangers[0]!r} is no region of regions.csv",
                where="reference/population.csv",
                fix="list the officials of the regions of today: those that merged, or the parts of one that was split",
            )
        above = listed["region"].map(lambda code: next((own for own in study.ancestors(str(code)) if own in codes), ""))
    else:
        last = official_quarters[official_quarters["quarter"] == official_quarters["quarter"].max()]
        counted, above = last["weight"].astype(float), last[level]
    return counted.groupby(above).sum().reindex(codes).to_numpy(float)
