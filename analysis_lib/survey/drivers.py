"""What hours lost go with: average differences in hours per step of each term, all other terms as they are.

Associations among people of one survey, not effects of doing something. Formulas: `mean_model`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import DesignError, InputRejected, UsageError, did_you_mean
from analysis_lib.measures import needs_diary
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.driver_plan import FILE, DriverPlan, Form, Term, read_drivers
from analysis_lib.survey.linearisation import as_variable, estimate_domains, t_interval
from analysis_lib.survey.mean_model import (
    MeanModel,
    Step,
    average_effects,
    dependent_columns,
    deviance_residuals,
    explained,
    fit_mean,
    generalised_vif,
    link_test,
    variance_power,
    variances,
)
from analysis_lib.tables.contracts import CONTRACTS, check

MIN_RESIDUAL_DF = 10  # C13 of the disclosure rules: no model with fewer respondents to spare
BINS = 10
EFFECT = "effect"
BY_DRIVER = "driver"
CONSTANT, QUARTER = "constant", "quarter"
ESTIMATE_COLUMNS = list(CONTRACTS["estimates"].schema.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Drivers:
    """The models of a period, one per outcome.

    Attributes
    ----------
    effects : pandas.DataFrame
        Contract ``estimates``: measure = outcome, statistic = "effect", by = "driver", category = the term, or
        ``term.value`` for a category against its reference; ``n`` and ``n_psu`` count those who tell the two sides
        apart: members of the smaller side, or respondents off the commonest value; with ``residual_df``.
    coefficients : pandas.DataFrame
        outcome, term, category, estimate (log scale for the log form), se, t, p, df.
    terms : pandas.DataFrame
        outcome, term, columns, f, p (adjusted Wald test of all its columns), vif.
    fit : pandas.DataFrame
        Rows of outcome × form, so that the form chosen can be held against the other one: is_shown (the form of the
        other tables; never where too few are complete), n (respondents with the outcome), n_complete,
        weight_complete (their share of the weight), residual_df, df, deviance_explained, correlation_squared,
        link_t, link_p, variance_power, reason (why there is no number; empty where there is).
    calibration : pandas.DataFrame
        outcome, by ("fitted" or a column), category, n, n_psu, observed, fitted, difference and its interval, and the
        mean deviance residual; bins by fitted mean hold at least ``min_respondents`` people. Not for publication.
    influence : pandas.DataFrame
        outcome, category, change (of the effect when the work unit that matters most for it is left out), in_se.
    """

    effects: pd.DataFrame
    coefficients: pd.DataFrame
    terms: pd.DataFrame
    fit: pd.DataFrame
    calibration: pd.DataFrame
    influence: pd.DataFrame


def what_drives(
    official_quarters: pd.DataFrame, *, study: Study, period: str, quarters: list[str], region: str = NATION
) -> Drivers:
    """Fit the study's models of hours lost to the quarters of a period, pooled as one sample.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample; do not filter it.
    period : str
        What the quarters together are called.
    region : str
        People of this region only, as a subpopulation of the design.

    Returns
    -------
    Drivers
        Tables without rows where the study has no ``drivers.toml``; an outcome with fewer than `MIN_RESIDUAL_DF`
        complete respondents to spare has a row in ``fit`` only. One whose model cannot be fitted, for terms that cannot
        be told apart or iterations that do not settle, has effects without a number, and the reason in ``fit``.

    Raises
    ------
    UsageError
        When a term names an unknown column or reference category.

    Notes
    -----
    Respondents with all answers are fitted. Their weights are raised, stratum by stratum, to the weight of everybody
    with the outcome: a stratum without a complete respondent is stood for by the others. Missing is never set to a
    value. A period of several quarters has one level per quarter in the model, not shown among the effects.
    """
    plan = read_drivers(study)
    if plan is None:
        return _gathered([])
    rows = official_quarters[official_quarters["quarter"].isin(quarters)].reset_index(drop=True)
    sample = read_sample(rows, SurveyDesign.of_study(study))
    found = [
        _Fitted.of(prepare_cases(rows, outcome, plan, study=study, region=region), plan) for outcome in plan.outcomes
    ]
    return _gathered([_described(fitted, rows, sample, study, period, region) for fitted in found])


# -- who and what is in the model ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column of the model matrix: its term, its category (empty for a number), and what a step adds."""

    term: str
    category: str
    step: float

    @property
    def key(self) -> str:
        """Name among the effects."""
        return f"{self.term}.{self.category}" if self.category else self.term


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The complete respondents of an outcome, on the rows of the whole sample.

    Attributes
    ----------
    y, x : numpy.ndarray
        Outcome (rows,) and model matrix (rows, 1 + columns), zero where weight is zero.
    weight : numpy.ndarray
        Raised weight of complete respondents, zero for everybody else.
    base_weight : numpy.ndarray
        Weight of everybody with the outcome, zero for others.
    outcome : numpy.ndarray
        The outcome of everybody who has it, zero for others.
    columns : list of Column
        Of ``x`` from its second column on; the first is constant.
    """

    key: str
    unit: str
    y: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    base_weight: np.ndarray
    outcome: np.ndarray
    columns: list[Column]

    @property
    def residual_df(self) -> int:
        """Complete respondents less coefficients."""
        return int((self.weight > 0).sum()) - self.x.shape[1]

    def of_terms(self) -> dict[str, list[int]]:
        """Columns of ``x`` by term, in the order of the plan."""
        found: dict[str, list[int]] = {}
        for place, column in enumerate(self.columns, start=1):
            found.setdefault(column.term, []).append(place)
        return found


def prepare_cases(
    rows: pd.DataFrame,
    key: str,
    plan: DriverPlan,
    *,
    study: Study,
    region: str = NATION,
    groups: np.ndarray | None = None,
) -> Cases:
    """Complete respondents and the model matrix of an outcome; see the notes of `what_drives`.

    ``groups`` numbers groups to be compared: rows of zero are outside, weights are raised within each group, and
    quarters have no level of their own, since they may be what the groups differ by.
    """
    terms = dict(plan.terms)
    if groups is None and rows["quarter"].nunique() > 1:
        terms[QUARTER] = Term.model_validate({"column": "quarter", "reference": str(rows["quarter"].min())})
    groups = np.ones(len(rows), dtype=np.int64) if groups is None else groups
    measure = study.measures[key]
    weight = rows["diary_weight" if needs_diary(measure, study.measures) else "weight"].to_numpy(float)
    y = rows[key].to_numpy(float) if key in rows.columns else np.full(len(rows), np.nan)
    inside = np.isfinite(y) & (np.nan_to_num(weight) > 0) & (groups > 0) & _within(rows, region, study)
    known = inside.copy()
    for name, term in terms.items():
        known &= _is_known(rows, name, term)
    columns, parts = [], [np.ones(len(rows))]
    for name, term in terms.items():
        if not term.reference:
            columns.append(Column(name, "", term.step))
            parts.append(rows[term.column].to_numpy(float))
            continue
        values = rows[term.column].astype(str)
        present = sorted(set(values[known]) - {term.reference})
        if known.any() and not (values[known] == term.reference).any():
            raise UsageError(
                f"nobody is in the reference category {term.reference!r} of term {name!r}",
                where=FILE,
                fix=did_you_mean(term.reference, present),
            )
        columns += [Column(name, value, 1.0) for value in present]
        parts += [(values == value).to_numpy(float) for value in present]
    base = np.where(inside, weight, 0.0)
    raised = np.zeros(len(rows))
    for group in np.unique(groups[groups > 0]):
        mask = groups == group
        raised[mask] = _raised(np.where(known, base, 0.0)[mask], base[mask], rows["stratum"][mask])
    x = np.where(known[:, None], np.column_stack(parts), 0.0)
    outcome = np.where(inside, y, 0.0)
    return Cases(key, measure.unit, np.where(known, y, 0.0), x, raised, base, outcome, columns)


def _within(rows: pd.DataFrame, region: str, study: Study) -> np.ndarray:
    if region == NATION:
        return np.ones(len(rows), dtype=bool)
    level = str(study.regions.at[region, "level"])
    return (rows[level] == region).to_numpy() if level in rows.columns else np.zeros(len(rows), dtype=bool)


def _is_known(rows: pd.DataFrame, name: str, term: Term) -> np.ndarray:
    if term.column not in rows.columns:
        raise UsageError(
            f"term {name!r}: {term.column!r} is no column of the officials",
            where=FILE,
            fix=did_you_mean(term.column, [str(column) for column in rows.columns]),
        )
    values = rows[term.column]
    if term.reference:
        return (values.astype(object).fillna("") != "").to_numpy(bool)
    if not pd.api.types.is_numeric_dtype(values):
        raise UsageError(f"term {name!r}: {term.column!r} is not a number", where=FILE, fix="give a reference category")
    return np.isfinite(values.to_numpy(float))


def _raised(complete: np.ndarray, base: np.ndarray, stratum: pd.Series) -> np.ndarray:
    """Weights of complete rows raised to the whole weight of their stratum, then to the whole weight."""
    whole = pd.Series(base).groupby(stratum.to_numpy()).transform("sum").to_numpy()
    kept = pd.Series(complete).groupby(stratum.to_numpy()).transform("sum").to_numpy()
    raised = complete * np.divide(whole, kept, out=np.zeros_like(whole), where=kept > 0)
    return raised * (base.sum() / raised.sum()) if raised.sum() > 0 else raised


# -- one outcome --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """An outcome's cases, and its model; without one, why, and the effects that it would have had."""

    cases: Cases
    model: MeanModel | None
    steps: dict[str, Step]
    effects: np.ndarray
    scores: np.ndarray
    reason: str = ""

    @classmethod
    def of(cls, cases: Cases, plan: DriverPlan) -> _Fitted:
        none = np.empty(0), np.empty((len(cases.y), 0))
        if cases.residual_df < MIN_RESIDUAL_DF:
            return cls(cases, None, {}, *none, "too few complete respondents")
        steps = _steps(cases)
        try:
            refuse_dependent(cases)
            model = fit_mean(cases.y, cases.x, cases.weight, plan.form)
        except InputRejected as error:  # F35: no number, and the reason among the working papers
            unknown = np.full(len(steps), np.nan), np.zeros((len(cases.y), len(steps)))
            return cls(cases, None, steps, *unknown, str(error))
        return cls(cases, model, steps, *average_effects(model, list(steps.values())))


def refuse_dependent(cases: Cases, where: np.ndarray | None = None, among: str = "the respondents") -> None:
    """Raise `InputRejected` that names the terms which are combinations of others, within rows ``where``."""
    weight = cases.weight if where is None else np.where(where, cases.weight, 0.0)
    columns = dependent_columns(cases.x, weight)
    if len(columns):
        names = sorted({cases.columns[place - 1].key for place in columns if place})
        raise InputRejected(
            f"{', '.join(names)}: does not vary among {among}, or only together with other terms",
            where=FILE,
            fix="take the term out, or take its categories together",
        )


def _steps(cases: Cases) -> dict[str, Step]:
    """What each effect compares: a number raised by its step, or everybody in a category against the reference."""
    groups = cases.of_terms()
    steps = {}
    for place, column in enumerate(cases.columns, start=1):
        if column.term == QUARTER:
            continue
        if column.category:
            together = groups[column.term]
            after = np.array([1.0 if other == place else 0.0 for other in together])
            steps[column.key] = Step(together, np.zeros(len(together)), after)
        else:
            steps[column.key] = Step([place], None, np.array([column.step]))
    return steps


def _described(
    fitted: _Fitted, rows: pd.DataFrame, sample: Sample, study: Study, period: str, region: str
) -> dict[str, pd.DataFrame]:
    """Every table of `Drivers` for one outcome."""
    cases, model = fitted.cases, fitted.model
    unfitted = pd.DataFrame([{"outcome": cases.key, "is_shown": False, **_coverage(cases), "reason": fitted.reason}])
    if not fitted.steps:
        return {"fit": unfitted}
    df = design_df(cases, sample)
    level = study.config.estimation.confidence_level
    is_known = model is not None and df >= 1
    se = np.sqrt(variances(sample, fitted.scores)) if is_known else np.full(len(fitted.effects), np.nan)
    low, high = t_interval(fitted.effects, se, np.array(df), level)
    n, n_psu = zip(*(_members(step, cases, sample) for step in fitted.steps.values()), strict=True)
    effects = pd.DataFrame(
        {
            "measure": cases.key,
            "statistic": EFFECT,
            "unit": cases.unit,
            "region": region,
            "by": BY_DRIVER,
            "category": list(fitted.steps),
            "period": period,
            "estimate": fitted.effects,
            "se": se,
            "ci_low": low,
            "ci_high": high,
            "df": df,
            "deff": np.nan,
            "n": n,
            "n_psu": n_psu,
            "residual_df": cases.residual_df,
        }
    )
    if model is None:
        return {"effects": effects, "fit": unfitted}
    return {
        "effects": effects,
        "coefficients": _coefficients(cases, model, sample, df),
        "terms": _terms(cases, model, sample, df),
        "fit": _fit(cases, model, sample, df),
        "calibration": _calibration(cases, model, rows, sample, study),
        "influence": _influence(fitted, sample, se),
    }


def _coverage(cases: Cases) -> dict[str, float]:
    """Who is in the model, among those who have the outcome."""
    whole, complete = cases.base_weight.sum(), cases.weight > 0
    return {
        "n": int((cases.base_weight > 0).sum()),
        "n_complete": int(complete.sum()),
        "weight_complete": float(cases.base_weight[complete].sum() / whole) if whole > 0 else np.nan,
        "residual_df": cases.residual_df,
    }


def _fit(cases: Cases, model: MeanModel, sample: Sample, df: float) -> pd.DataFrame:
    """How well each form of the mean describes the outcome."""
    other: Form = "identity" if model.form == "log" else "log"
    forms: list[Form] = [model.form]
    if other == "identity" or (cases.y >= 0).all():
        forms.append(other)
    records = []
    for form in forms:
        common = {"outcome": cases.key, "form": form, "is_shown": form == model.form, **_coverage(cases), "df": df}
        try:
            fitted = model if form == model.form else fit_mean(cases.y, cases.x, cases.weight, form)
            link, power = link_test(fitted), variance_power(fitted)
        except DesignError as error:
            records.append(common | {"reason": str(error)})
            continue
        link_t = link.beta[-1] / np.sqrt(variances(sample, link.influence[:, -1:])[0])
        deviance, squared = explained(fitted)
        records.append(
            common
            | {
                "deviance_explained": deviance,
                "correlation_squared": squared,
                "link_t": link_t,
                "link_p": 2 * stats.t.sf(abs(link_t), df),
                "variance_power": power.beta[-1],
                "reason": "",
            }
        )
    return pd.DataFrame(records)


def design_df(cases: Cases, sample: Sample) -> float:
    """Degrees of freedom that the design leaves for the complete respondents."""
    return float(_counted(cases.weight, cases.y, sample)["df"][0, 0])


def _counted(weight: np.ndarray, y: np.ndarray, sample: Sample) -> dict[str, np.ndarray]:
    variable = as_variable(y, np.ones(len(y)), weight, "mean")
    return estimate_domains(sample, np.where(weight > 0, 0, -1), 1, [variable], 0.95)


def _members(step: Step, cases: Cases, sample: Sample) -> tuple[int, int]:
    """Respondents and PSUs that tell the two sides of a step apart: those of the smaller side.

    For a number these are the respondents off its commonest value: where there are few, it is a dummy for them.
    """
    inside = cases.weight > 0
    values = cases.x[inside][:, step.columns]
    if step.before is None:
        found, counts = np.unique(values, return_counts=True)
        sides = [values[:, 0] != found[counts.argmax()]]
    else:
        sides = [(values == value).all(axis=1) for value in (step.before, step.after)]
    psu = sample.psu[inside]
    return min(int(side.sum()) for side in sides), min(len(np.unique(psu[side])) for side in sides)


def _coefficients(cases: Cases, model: MeanModel, sample: Sample, df: float) -> pd.DataFrame:
    se = np.sqrt(variances(sample, model.influence))
    t = model.beta / se
    return pd.DataFrame(
        {
            "outcome": cases.key,
            "term": [CONSTANT, *(column.term for column in cases.columns)],
            "category": ["", *(column.category for column in cases.columns)],
            "estimate": model.beta,
            "se": se,
            "t": t,
            "p": 2 * stats.t.sf(np.abs(t), df),
            "df": df,
        }
    )


def _terms(cases: Cases, model: MeanModel, sample: Sample, df: float) -> pd.DataFrame:
    """Adjusted Wald test of each term (Korn and Graubard 1990): F = (df − p + 1)/(df p) β'V⁻¹β on p and df − p + 1."""
    groups = cases.of_terms()
    vif = generalised_vif(model, list(groups.values()))
    records = []
    for (term, columns), inflation in zip(groups.items(), vif, strict=True):
        count, left = len(columns), df - len(columns) + 1
        beta = model.beta[columns]
        f = p = np.nan
        if left > 0:
            f = left / (df * count) * beta @ np.linalg.solve(sample.covariance(model.influence[:, columns]), beta)
            p = stats.f.sf(f, count, left)
        records.append((cases.key, term, count, f, p, inflation))
    return pd.DataFrame(records, columns=pd.Index(["outcome", "term", "columns", "f", "p", "vif"]))


def _calibration(cases: Cases, model: MeanModel, rows: pd.DataFrame, sample: Sample, study: Study) -> pd.DataFrame:
    """Observed and fitted means by tenth of the fitted mean and by group, coefficients taken as known."""
    inside = cases.weight > 0
    config = study.config
    level = config.estimation.confidence_level
    bins = min(BINS, int(inside.sum() // max(1, config.disclosure.min_respondents)))
    rank = pd.Series(model.mean[inside]).rank(method="first").to_numpy() - 1
    tenth = np.full(len(rows), -1)
    tenth[inside] = np.floor(rank * bins / inside.sum())
    groups = {"fitted": (tenth, [str(number) for number in range(1, bins + 1)])}
    for column in [*config.estimation.categories, config.estimation.page_level, "quarter"]:
        if column in rows.columns:
            code, values = pd.factorize(rows[column].where(inside & (rows[column] != "")), sort=True)
            groups[column] = (code, [str(value) for value in values])
    y, fitted, one = cases.y, model.mean, np.ones(len(rows))
    columns = (y, fitted, y - fitted, deviance_residuals(model))
    variables = [as_variable(values, one, cases.weight, "mean") for values in columns]
    frames = []
    for by, (code, values) in groups.items():
        found = estimate_domains(sample, code, len(values), variables, level)
        numbers = dict(zip(("observed", "fitted", "difference", "deviance_residual"), found["estimate"].T, strict=True))
        bounds = {name: found[name][:, 2] for name in ("se", "ci_low", "ci_high", "n", "n_psu")}
        frames.append(pd.DataFrame({"outcome": cases.key, "by": by, "category": values, **numbers, **bounds}))
    frame = pd.concat(frames, ignore_index=True)
    return frame[frame["n"] >= config.disclosure.min_respondents].reset_index(drop=True)


def _influence(fitted: _Fitted, sample: Sample, se: np.ndarray) -> pd.DataFrame:
    """For each effect the PSU with the largest summed score is left out, and everything fitted again."""
    cases, model = fitted.cases, fitted.model
    assert model is not None  # asked for fitted outcomes only
    by_psu = pd.DataFrame(fitted.scores).groupby(sample.psu).sum().abs()
    largest = by_psu.idxmax().to_numpy()
    change = np.full(len(fitted.effects), np.nan)
    for psu in np.unique(largest):
        weight = np.where(sample.psu == psu, 0.0, cases.weight)
        if len(dependent_columns(cases.x, weight)):
            continue  # a category of that unit alone: its effect cannot do without it
        try:
            without = fit_mean(cases.y, cases.x, weight, model.form, start=model.beta)
        except DesignError:  # that unit alone keeps the model together
            continue
        effects, _ = average_effects(without, list(fitted.steps.values()))
        change = np.where(largest == psu, effects - fitted.effects, change)
    return pd.DataFrame(
        {"outcome": cases.key, "category": list(fitted.steps), "change": change, "in_se": np.abs(change) / se}
    )


def _gathered(parts: list[dict[str, pd.DataFrame]]) -> Drivers:
    def table(name: str) -> pd.DataFrame:
        frames = [part[name] for part in parts if name in part]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    return Drivers(
        as_estimates(table("effects")),
        *(table(name) for name in ("coefficients", "terms", "fit", "calibration", "influence")),
    )


def as_estimates(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the contract ``estimates`` with ``residual_df``, also when there are none."""
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds["residual_df"] = "int64"
    if frame.empty:
        frame = pd.DataFrame(columns=pd.Index(list(kinds)))
    return check(frame.astype(kinds)[list(kinds)], "estimates")
