"""Why two means differ: other circumstances (composition), or other hours in the same circumstances (rate).

Each group has its own linear model, whose mean is exactly x̄'β. With the average of both groups as the yardstick::

    ȳ₂ − ȳ₁ = Σ (x̄₂ − x̄₁) (β₁ + β₂)/2  +  Σ (β₂ − β₁) (x̄₁ + x̄₂)/2
              composition, term by term      rate, term by term, and the rest (the constant)

For one categorical term this is Kitagawa's (1955) decomposition of rates; for several terms it is Oaxaca (1973) and
Blinder (1973) with equal weights (Reimers 1983). Neither group is the norm, and there is no interaction left over.

Two readings need a convention. Numbers count from zero: the rate part of meetings is what a meeting takes more or less
time, times meetings. Categories are taken against the mean of the term's categories, so that no part depends on which
of them is the reference (Yun 2005).

Every part has a linearised score per row, by the chain rule from those of x̄ and β; the scores add up as the parts do,
and people or PSUs in both groups give the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.driver_plan import DriverPlan, read_drivers
from analysis_lib.survey.drivers import MIN_RESIDUAL_DF, Cases, as_estimates, prepare_cases, refuse_dependent
from analysis_lib.survey.linearisation import as_variable, estimate_domains, t_interval
from analysis_lib.survey.mean_model import variances

PART = "part"
COMPOSITION, RATE, UNANSWERED = "composition", "rate", "unanswered"
REST = "rest"


@dataclass(frozen=True, slots=True, eq=False)
class MeanParts:
    """The difference of two means in parts.

    Attributes
    ----------
    composition, rate : numpy.ndarray
        One part per column of ``x``, shape (k,); together they are the difference.
    composition_scores, rate_scores : numpy.ndarray
        Their linearised scores, shape (rows, k).
    """

    composition: np.ndarray
    rate: np.ndarray
    composition_scores: np.ndarray
    rate_scores: np.ndarray

    @property
    def difference(self) -> float:
        """Mean of the second group less that of the first."""
        return float(self.composition.sum() + self.rate.sum())


def decompose_means(y: np.ndarray, x: np.ndarray, weight: np.ndarray, is_second: np.ndarray) -> MeanParts:
    """Decompose mean(second) − mean(first) by the columns of ``x``, of which the first is constant.

    Rows of weight zero are in neither group. The parts add up for any input; where a column is a combination of others
    within a group, how its coefficient is shared out among them is arbitrary (the smallest ones are taken).
    """
    means, betas, mean_scores, beta_scores = zip(
        *(_line(y, x, np.where(is_second == side, weight, 0.0)) for side in (False, True)), strict=True
    )
    apart, turned = means[1] - means[0], betas[1] - betas[0]
    middle, common = (means[0] + means[1]) / 2, (betas[0] + betas[1]) / 2
    return MeanParts(
        apart * common,
        turned * middle,
        (mean_scores[1] - mean_scores[0]) * common + apart * (beta_scores[0] + beta_scores[1]) / 2,
        (beta_scores[1] - beta_scores[0]) * middle + turned * (mean_scores[0] + mean_scores[1]) / 2,
    )


def _line(y: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means of ``x``, weighted least squares coefficients, and the scores of both."""
    share = weight / weight.sum()
    mean = share @ x
    root = np.sqrt(share)
    inverse = np.linalg.pinv(x * root[:, None])
    beta = inverse @ (y * root)
    mean_scores = share[:, None] * (x - mean)
    beta_scores = (x * (share * (y - x @ beta))[:, None]) @ (inverse @ inverse.T)
    return mean, beta, mean_scores, beta_scores


# -- the study's outcomes -----------------------------------------------------------------------------


def decompose_change(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    earlier: list[str],
    later: list[str],
    label: str,
    region: str = NATION,
) -> pd.DataFrame:
    """How much of the change between two periods goes with changed circumstances, and how much does not.

    Parameters
    ----------
    earlier, later : list of str
        Quarters of the two periods; none may be in both. Without an earlier one there is no change and no row.
    label : str
        What the change is called in ``period``.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates`` with ``residual_df``, statistic "part": by "" is the whole difference, equal to that of
        `estimation.estimate_change`; by "composition" and "rate" with category "" are the two sums, with a term or
        "rest" their parts; by "unanswered" is what those who left a term unanswered make of the difference. No rows
        without a ``drivers.toml``, or for an outcome with too few complete respondents in a period. Where a term does
        not vary in one of the periods, its part is unknown: the outcome has the two sums without a number, and its
        reason in ``attrs["unfitted"]``.

    Raises
    ------
    UsageError
        When a quarter is in both periods.
    """
    if set(earlier) & set(later):
        raise UsageError("a quarter is in both periods", where=label, fix="compare periods that do not overlap")
    if not earlier:
        return as_estimates(pd.DataFrame())
    rows = official_quarters[official_quarters["quarter"].isin([*earlier, *later])].reset_index(drop=True)
    in_first, in_second = (rows["quarter"].isin(quarters).to_numpy(bool) for quarters in (earlier, later))
    return _decomposed(rows, in_first, in_second, read_drivers(study), study, label, region)


def decompose_groups(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    quarters: list[str],
    column: str,
    first: str,
    second: str,
    label: str,
    region: str = NATION,
) -> pd.DataFrame:
    """How much of the difference between two categories goes with their circumstances; result as `decompose_change`.

    The term made from ``column`` itself is left out: it is what the groups differ by.

    Raises
    ------
    UsageError
        When ``column`` is no column of the officials.
    """
    if column not in official_quarters.columns:
        fix = did_you_mean(column, [str(name) for name in official_quarters.columns])
        raise UsageError(f"{column!r} is no column of the officials", where=label, fix=fix)
    rows = official_quarters[official_quarters["quarter"].isin(quarters)].reset_index(drop=True)
    plan = read_drivers(study)
    if plan is not None:
        terms = {name: term for name, term in plan.terms.items() if term.column != column}
        plan = plan.model_copy(update={"terms": terms})
    in_first, in_second = (rows[column].eq(value).to_numpy(bool) for value in (first, second))
    return _decomposed(rows, in_first, in_second, plan, study, label, region)


def _decomposed(
    rows: pd.DataFrame,
    first: np.ndarray,
    second: np.ndarray,
    plan: DriverPlan | None,
    study: Study,
    label: str,
    region: str,
) -> pd.DataFrame:
    if plan is None:
        return as_estimates(pd.DataFrame())
    sample = read_sample(rows, SurveyDesign.of_study(study))
    frames, unfitted = [], {}
    for key in plan.outcomes:
        # Answers missing are weighed up within each group by itself.
        compared = prepare_cases(
            rows, key, plan, study=study, region=region, groups=np.select([first, second], [1, 2], 0)
        )
        spare = min(int(((compared.weight > 0) & side).sum()) for side in (first, second)) - compared.x.shape[1]
        if spare >= MIN_RESIDUAL_DF:
            try:
                for side, name in ((first, "the first group"), (second, "the second group")):
                    refuse_dependent(compared, side, name)
                parts = _parts(compared, first, second, sample, study)
            except InputRejected as error:  # F35: no number, and the reason among the working papers
                unfitted[key] = str(error)
                parts = _unknown_parts(compared, first, second, sample)
            frames.append(parts.assign(residual_df=spare))
    if not frames:
        return as_estimates(pd.DataFrame())
    found = as_estimates(pd.concat(frames, ignore_index=True).assign(statistic=PART, region=region, period=label))
    found.attrs["unfitted"] = unfitted
    return found


def _unknown_parts(cases: Cases, first: np.ndarray, second: np.ndarray, sample: Sample) -> pd.DataFrame:
    """The two sums of a decomposition, without a number."""
    n, n_psu, df = _size(cases.weight, first, second, sample)
    unknown = dict.fromkeys(("estimate", "se", "ci_low", "ci_high", "deff"), np.nan)
    rows = [{"by": by, "category": "", **unknown} for by in (COMPOSITION, RATE)]
    return pd.DataFrame(rows).assign(measure=cases.key, unit=cases.unit, df=df, n=n, n_psu=n_psu)


def _parts(cases: Cases, first: np.ndarray, second: np.ndarray, sample: Sample, study: Study) -> pd.DataFrame:
    terms = cases.of_terms()
    shifted = cases.x.copy()
    for places in terms.values():
        if cases.columns[places[0] - 1].category:
            shifted[:, places] -= 1 / (len(places) + 1)  # from the mean of the categories, the reference among them
    found = decompose_means(cases.y, shifted, cases.weight, second)
    share = [np.where(side, cases.base_weight, 0.0) / cases.base_weight[side].sum() for side in (first, second)]
    means = [part @ cases.outcome for part in share]
    whole_scores = share[1] * (cases.outcome - means[1]) - share[0] * (cases.outcome - means[0])
    whole = means[1] - means[0]

    rest = {REST: [0]}
    table: dict[tuple[str, str], tuple[float, np.ndarray]] = {("", ""): (whole, whole_scores)}
    kinds = [
        (COMPOSITION, found.composition, found.composition_scores, terms),
        (RATE, found.rate, found.rate_scores, terms | rest),
    ]
    for by, values, scores, groups in kinds:
        table[by, ""] = values.sum(), scores.sum(axis=1)
        table |= {(by, name): (values[places].sum(), scores[:, places].sum(axis=1)) for name, places in groups.items()}
    answered_scores = (found.composition_scores + found.rate_scores).sum(axis=1)
    table[UNANSWERED, ""] = whole - found.difference, whole_scores - answered_scores

    value = np.array([number for number, _ in table.values()])
    n, n_psu, df = _size(cases.weight, first, second, sample)
    se = np.sqrt(variances(sample, np.column_stack([score for _, score in table.values()])))
    if df < 1:
        se = np.full(len(se), np.nan)
    low, high = t_interval(value, se, np.array(df), study.config.estimation.confidence_level)
    names = pd.DataFrame(list(table), columns=pd.Index(["by", "category"]))
    smallest = {name: _smallest_side(cases, places, first, second, n) for name, places in terms.items()}
    return names.assign(
        measure=cases.key,
        unit=cases.unit,
        estimate=value,
        se=se,
        ci_low=low,
        ci_high=high,
        df=df,
        deff=np.nan,
        n=[smallest.get(name, n) for name in names["category"]],
        n_psu=n_psu,
    )


def _size(weight: np.ndarray, first: np.ndarray, second: np.ndarray, sample: Sample) -> tuple[int, int, float]:
    """Respondents and PSUs of the smaller group, and degrees of freedom of the two together."""
    inside = weight > 0
    domain = np.select([first & inside, second & inside], [0, 1], -1)
    variable = as_variable(np.zeros(len(weight)), np.ones(len(weight)), weight, "mean")
    found = estimate_domains(sample, domain, 2, [variable], 0.95, contrasts=True)
    return int(found["n"][0, 0]), int(found["n_psu"][0, 0]), float(found["df"][0, 0])


def _smallest_side(cases: Cases, places: list[int], first: np.ndarray, second: np.ndarray, n: int) -> int:
    """Members of the smallest category of a term in either group; the group's size for a number."""
    if not cases.columns[places[0] - 1].category:
        return n
    counts = []
    for side in (first, second):
        dummies = cases.x[side & (cases.weight > 0)][:, places]
        counts += [*dummies.sum(axis=0), len(dummies) - dummies.sum()]
    return int(min(counts))
