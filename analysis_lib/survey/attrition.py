"""Who stops answering, who means to leave, and whether the young do so more: life tables and discrete-time hazards.

A panel is asked a few times. An official is at risk at time t when asked for the (t + 1)-th time after having answered
every time so far; the event is not to answer. Rotating out by design, and the end of the data, censor. So it is leaving
the *panel* that is seen: the sample list has no mark for those who left the post, who are among those that stop::

    hazard     h(t) = Σ w event / Σ w           of those at risk at t, a weighted share with its design error
    staying    S(t) = Π (1 − h(s)), s ≤ t       score of a row  −S Σ score of h(s) / (1 − h(s))
    model      g(h) = α(t) + x'β                g logit, or log(−log(1 − h)) for proportional hazards of which quarters
                                                are a coarse view (Prentice and Gloeckler 1978; Allison 1982)
    influence  A⁻¹ w (event − h) h'/(h(1 − h)) x        A = Σ w h'²/(h(1 − h)) x x'      (Binder 1983)
    difference Σ w [h(second) − h(first)] / Σ w         all else as it is; its score holds the model's and the people's

A person's several rows lie within one PSU, so their dependence is in every error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis_lib.errors import DesignError, UsageError, did_you_mean
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.estimation import difference, mean, share
from analysis_lib.survey.linearisation import share_interval, t_interval
from analysis_lib.survey.scales import with_answers
from analysis_lib.tables.contracts import CONTRACTS, blank, check

Link = Literal["logit", "cloglog"]

PERSON = ["respondent_id", "quarter"]
ESTIMATED = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]
BY_STAYING, BY_AGE_DIFFERENCE = "staying", "age_difference"
INTENTION, OTHERS = "leave_intention", "others"


def participation(sample: pd.DataFrame, officials: pd.DataFrame) -> pd.DataFrame:
    """The sample list of several quarters, with who was at risk of stopping and who stopped.

    Parameters
    ----------
    sample : pandas.DataFrame
        Officials drawn × quarter, answered or not.
    officials : pandas.DataFrame
        ``respondent_id`` and ``quarter`` of those who answered.

    Returns
    -------
    pandas.DataFrame
        The whole list in order of quarters, with ``time`` (how often asked before) and ``event``: 1 where an official
        who had answered every time did not, 0 where they did again, missing where they were not at risk.
    """
    answered = sample[PERSON].merge(officials[PERSON].assign(answered=1.0), on=PERSON, how="left", validate="1:1")
    frame = sample.assign(answered=answered["answered"].fillna(0.0).to_numpy())
    frame = frame.sort_values([*reversed(PERSON)], ignore_index=True)
    of_person = frame.groupby("respondent_id")
    time = of_person.cumcount()
    answers_before = of_person["answered"].cumsum() - frame["answered"]
    is_at_risk = (time > 0) & (answers_before == time)
    return frame.drop(columns="answered").assign(time=time, event=(1 - frame["answered"]).where(is_at_risk))


def life_table(
    periods: pd.DataFrame, *, design: SurveyDesign, by: str = "", confidence_level: float = 0.95
) -> pd.DataFrame:
    """Hazard of the event and share still without it, by time and group.

    Parameters
    ----------
    periods : pandas.DataFrame
        Person-periods of the whole sample: ``time`` (whole numbers) and ``event`` (0, 1, or missing outside the risk
        set).
    by : str
        Column whose categories are described apart; empty for everybody.

    Returns
    -------
    pandas.DataFrame
        ``category``, ``time``, ``at_risk`` and ``events`` (people), ``hazard`` and ``staying`` each with ``_se``,
        ``_low`` and ``_high`` (logit intervals), ``df``, ``n_psu``.
    """
    sample = read_sample(periods, design)
    weight, event = periods[design.weight].to_numpy(float), periods["event"].to_numpy(float)
    at_risk = np.isfinite(event) & (np.nan_to_num(weight) > 0)
    group = periods[by].to_numpy() if by else np.full(len(periods), "")
    rows = []
    for category in sorted(set(group[at_risk])):
        here = at_risk & (group == category)
        left, left_score = 1.0, np.zeros(len(periods))
        for time in sorted(set(periods["time"].to_numpy()[here])):
            now = here & (periods["time"] == time).to_numpy()
            w = np.where(now, weight, 0.0)
            hazard = float(w @ np.where(now, event, 0.0) / w.sum())
            score = w * (np.where(now, event, 0.0) - hazard) / w.sum()
            # Of (1 − h) S the score; with nobody left it is nothing, and so is what follows.
            left_score = (1 - hazard) * left_score - left * score
            left = left * (1 - hazard)
            df, n_psu = _degrees_of_freedom(sample, now)
            effective_n = w.sum() ** 2 / (w**2).sum()
            numbers = {"category": str(category), "time": int(time), "at_risk": int(now.sum())}
            numbers |= {"events": int(event[now].sum()), "df": float(df), "n_psu": n_psu}
            for name, value, scores in (("hazard", hazard, score), ("staying", left, left_score)):
                se = _se(sample, scores, df)
                low, high = share_interval(
                    np.array(value),
                    np.array(se),
                    np.array(float(max(df, 1))),
                    np.array(effective_n),
                    confidence_level,
                )
                numbers |= {name: value, f"{name}_se": se, f"{name}_low": float(low), f"{name}_high": float(high)}
            rows.append(numbers)
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True, eq=False)
class HazardModel:
    """A fitted discrete-time hazard.

    Attributes
    ----------
    table : pandas.DataFrame
        ``term`` (``time=…`` for the baseline), ``estimate``, ``se``, ``t``, ``p``, ``ci_low``, ``ci_high``.
    link : str
        ``logit`` or ``cloglog``.
    df : int
        Residual degrees of freedom of the design.
    n : int
        Person-periods at risk.
    influence : numpy.ndarray
        Linearised scores of the coefficients, shape (rows, terms).
    """

    table: pd.DataFrame
    link: Link
    df: int
    n: int
    influence: np.ndarray
    _x: np.ndarray
    _weight: np.ndarray
    _sample: Sample
    _confidence_level: float

    def average_difference(self, column: str, first: str, second: str) -> dict[str, float]:
        """Mean hazard if everybody at risk were of the category ``second``, less that if of ``first``.

        Returns
        -------
        dict of str to float
            ``estimate``, ``se``, ``ci_low``, ``ci_high``, ``df``.
        """
        terms = list(self.table["term"])
        own = [place for place, term in enumerate(terms) if term.startswith(f"{column}=")]
        if not own:
            raise UsageError(
                f"{column!r} has no categories in the model", where="hazard model", fix=did_you_mean(column, terms)
            )
        share_of = self._weight / self._weight.sum()
        beta = self.table["estimate"].to_numpy()
        hazards, gradients = [], []
        for category in (first, second):
            x = self._x.copy()
            x[:, own] = [float(terms[place] == f"{column}={category}") for place in own]
            hazard, slope = _hazard_and_slope(x @ beta, self.link)
            hazards.append(hazard)
            gradients.append((share_of * slope) @ x)
        change = hazards[1] - hazards[0]
        value = float(share_of @ change)
        se = _se(self._sample, share_of * (change - value) + self.influence @ (gradients[1] - gradients[0]), self.df)
        low, high = t_interval(np.array(value), np.array(se), np.array(float(self.df)), self._confidence_level)
        return {"estimate": value, "se": se, "ci_low": float(low), "ci_high": float(high), "df": float(self.df)}


def hazard_model(
    periods: pd.DataFrame,
    covariates: Sequence[str],
    *,
    design: SurveyDesign,
    link: Link = "cloglog",
    confidence_level: float = 0.95,
) -> HazardModel:
    """Discrete-time hazard by time and covariates, errors by the design.

    Parameters
    ----------
    periods : pandas.DataFrame
        As for `life_table`.
    covariates : sequence of str
        Columns; text becomes indicators of every category but the first in order. Rows with a gap leave the domain.
    link : str
        ``cloglog`` for proportional hazards, ``logit`` for proportional odds.

    Raises
    ------
    DesignError
        When at some time, or in some category, nobody or everybody had the event, or degrees of freedom run out.
    """
    for column in covariates:
        if column not in periods.columns:
            raise UsageError(
                f"{column!r} is no column", where="hazard model", fix=did_you_mean(column, periods.columns)
            )
    sample = read_sample(periods, design)
    weight = periods[design.weight].to_numpy(float)
    inside = periods[["event", *covariates]].notna().all(axis=1).to_numpy() & (np.nan_to_num(weight) > 0)
    event = periods["event"].to_numpy(float)[inside]
    terms, x = _terms(periods.loc[inside, ["time", *covariates]], event)
    beta = _fitted(event, x, weight[inside], link)
    hazard, slope = _hazard_and_slope(x @ beta, link)
    tilt = slope / (hazard * (1 - hazard))
    bread = (x * (weight[inside] * tilt * slope)[:, None]).T @ x
    influence = np.zeros((len(periods), len(terms)))
    influence[inside] = np.linalg.solve(bread, (x * (weight[inside] * tilt * (event - hazard))[:, None]).T).T
    df = _degrees_of_freedom(sample, inside)[0] + 1 - len(terms)
    if df < 1:
        raise DesignError(
            f"{len(terms)} terms leave no degrees of freedom", where="hazard model", fix="take fewer terms"
        )
    se = np.sqrt(np.diagonal(sample.covariance(influence)))
    low, high = t_interval(beta, se, np.full(len(se), float(df)), confidence_level)
    table = pd.DataFrame({"term": terms, "estimate": beta, "se": se, "t": beta / se, "p": 2 * stats.t.sf(np.abs(beta / se), df),
                          "ci_low": low, "ci_high": high})  # fmt: skip
    whole = np.zeros((len(periods), len(terms)))
    whole[inside] = x
    return HazardModel(
        table, link, df, int(inside.sum()), influence, whole, np.where(inside, weight, 0.0), sample, confidence_level
    )


def _terms(frame: pd.DataFrame, event: np.ndarray) -> tuple[list[str], np.ndarray]:
    """A baseline for each time, then covariates."""
    terms, columns = [], []
    for name in frame.columns:
        if name != "time" and pd.api.types.is_numeric_dtype(frame[name].dtype):
            terms.append(name)
            columns.append(frame[name].to_numpy(float))
            continue
        code, categories = pd.factorize(frame[name], sort=True)
        happened = np.bincount(code, event, minlength=len(categories)) / np.bincount(code, minlength=len(categories))
        for number, category in enumerate(categories):
            if happened[number] in (0.0, 1.0):
                raise DesignError(
                    f"{'nobody' if happened[number] == 0 else 'everybody'} at {name}={category} had the event",
                    where="hazard model",
                    fix="take it together with another",
                )
            if name == "time" or number > 0:
                terms.append(f"{name}={category}")
                columns.append((code == number).astype(float))
    return terms, np.column_stack(columns)


def _fitted(event: np.ndarray, x: np.ndarray, weight: np.ndarray, link: Link) -> np.ndarray:
    from statsmodels.genmod import families
    from statsmodels.genmod.generalized_linear_model import GLM

    links = {"logit": families.links.Logit, "cloglog": families.links.CLogLog}
    family = families.Binomial(link=links[link]())
    fitted = GLM(event, x, family=family, var_weights=weight / weight.mean()).fit(
        maxiter=100, tol=1e-12, rtol=1e-10, tol_criterion="params"
    )
    if not fitted.converged:
        raise DesignError("no solution", where="hazard model", fix="take rare categories together")
    return np.asarray(fitted.params)


def _hazard_and_slope(index: np.ndarray, link: Link) -> tuple[np.ndarray, np.ndarray]:
    """Hazard and its derivative by the linear predictor."""
    if link == "logit":
        hazard = special.expit(index)
        return hazard, hazard * (1 - hazard)
    rate = np.exp(index)
    return -np.expm1(-rate), rate * np.exp(-rate)


def _degrees_of_freedom(sample: Sample, inside: np.ndarray) -> tuple[int, int]:
    """PSUs less strata that hold the domain, and PSUs."""
    psu = np.unique(sample.psu[inside])
    return len(psu) - len(np.unique(sample.stages[0].parent[psu])), len(psu)


def _se(sample: Sample, scores: np.ndarray, df: int) -> float:
    """Standard error from the scores of every row; unknown without a degree of freedom."""
    return float(np.sqrt(sample.covariance(scores[:, None])[0, 0])) if df >= 1 else float("nan")


# -- a study's officials --------------------------------------------------------------------------------


def staying_table(
    sample: pd.DataFrame,
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    *,
    study: Study,
    period: str,
    quarters: list[str],
) -> pd.DataFrame:
    """Leaving the panel and meaning to leave the post, by age group, as rows of the contract ``estimates``.

    Parameters
    ----------
    sample : pandas.DataFrame
        Sample lists of every quarter up to the last of ``quarters``: whether somebody answered before is needed.
    official_quarters, respondents : pandas.DataFrame
        Of the same quarters: those who answered with their weights, and their answers.
    period, quarters : str, list of str
        What the rows are called, and the quarters in which events and answers count. Which age group is compared with
        all others, and the column of age groups, ``study.toml`` says.
    Returns
    -------
    pandas.DataFrame
        Measures ``leaving`` (hazard per quarter, ``share``) and ``leave_intention`` (``score``) with ``by`` the column;
        ``staying`` with ``by`` ``staying`` and the category ``<group>.<time>``: share that answered every time so far;
        both with ``by`` ``age_difference`` and the category ``young``: the young less the others, of leaving as the
        average difference of the hazard at the same time in the panel, of intention as difference of means. No rows
        without a sample list or age groups.
    """
    level, young, column = _settings(study)
    if not _has_column(column, sample, official_quarters):
        return blank("estimates")
    at_list = SurveyDesign.of_study(study, weight="base_weight")
    periods = participation(sample, official_quarters)
    periods["event"] = periods["event"].where(periods["quarter"].isin(quarters))
    answers, design = _answers(official_quarters, respondents, quarters), SurveyDesign.of_study(study)
    is_young = answers[column] == young
    frames = []
    if periods["event"].notna().any():
        frames += [
            share(periods, "event", design=at_list, by=column, confidence_level=level).assign(
                measure="leaving", by=column
            ),
            _staying_rows(life_table(periods, design=at_list, by=column, confidence_level=level)),
            _young_leave(periods, at_list, young, column, level),
        ]
    if answers[INTENTION].notna().any():
        frames += [
            mean(answers, INTENTION, design=design, by=column, confidence_level=level).assign(
                measure=INTENTION, by=column
            ),
            difference(
                answers, INTENTION, design=design, earlier=~is_young, later=is_young, confidence_level=level
            ).assign(measure=INTENTION, by=BY_AGE_DIFFERENCE, category=young),
        ]
    found = _as_estimates(frames, period)
    # A difference of two groups is read by its interval, as a change is: the arrow says so.
    compared = f"{period}: {OTHERS}→{young}"
    return found.assign(period=found["period"].mask(found["by"] == BY_AGE_DIFFERENCE, compared))


def young_changes(
    sample: pd.DataFrame,
    official_quarters: pd.DataFrame,
    respondents: pd.DataFrame,
    *,
    study: Study,
    label: str,
    earlier: list[str],
    later: list[str],
) -> pd.DataFrame:
    """How leaving and the intention to leave of the young changed: ``leaving_<young>``, ``leave_intention_<young>``.

    Rows of the contract ``estimates``, for the guardrails; parameters as in `staying_table`. A change without anybody
    in one of the periods has no row.
    """
    level, young, column = _settings(study)
    if not _has_column(column, sample, official_quarters):
        return blank("estimates")
    periods = participation(sample, official_quarters)
    answers = _answers(official_quarters, respondents, [*earlier, *later])
    frames = []
    for frame, outcome, name, weight in (
        (periods, "event", "leaving", "base_weight"),
        (answers, INTENTION, INTENTION, "weight"),
    ):
        known = (frame[column] == young) & frame[outcome].notna()
        before, after = (known & frame["quarter"].isin(quarters) for quarters in (earlier, later))
        if before.any() and after.any():
            design = SurveyDesign.of_study(study, weight=weight)
            found = difference(frame, outcome, design=design, earlier=before, later=after, confidence_level=level)
            frames.append(found.assign(measure=f"{name}_{young}", by=""))
    return _as_estimates(frames, label)


def _settings(study: Study) -> tuple[float, str, str]:
    """Level of intervals, the age group compared with all others, the column of age groups."""
    guarded = study.config.guardrails
    return study.config.estimation.confidence_level, guarded.young, guarded.age


def _has_column(column: str, sample: pd.DataFrame, official_quarters: pd.DataFrame) -> bool:
    """Whether there is a sample list, and age groups both there and among those who answered."""
    return len(sample) > 0 and column in sample.columns and column in official_quarters.columns


def _answers(official_quarters: pd.DataFrame, respondents: pd.DataFrame, quarters: list[str]) -> pd.DataFrame:
    rows = official_quarters[official_quarters["quarter"].isin(quarters)]
    return with_answers(rows, respondents, [INTENTION])


def _staying_rows(table: pd.DataFrame) -> pd.DataFrame:
    names = {
        "staying": "estimate",
        "staying_se": "se",
        "staying_low": "ci_low",
        "staying_high": "ci_high",
        "at_risk": "n",
    }
    category = [f"{group}.{time}" for group, time in zip(table["category"], table["time"], strict=True)]
    return table[[*names, "df", "n_psu"]].rename(columns=names).assign(
        measure="staying", by=BY_STAYING, category=category, deff=np.nan
    )  # fmt: skip


def _young_leave(periods: pd.DataFrame, design: SurveyDesign, young: str, column: str, level: float) -> pd.DataFrame:
    """The average difference; no row where the model cannot be fitted."""
    grouped = periods.assign(age=np.where(periods[column] == young, young, OTHERS))
    try:
        model = hazard_model(grouped, ["age"], design=design, confidence_level=level)
    except DesignError:
        return pd.DataFrame()
    n_psu = int(grouped.loc[grouped["event"].notna(), design.psu].nunique())
    row = model.average_difference("age", OTHERS, young) | {"n": model.n, "n_psu": n_psu, "deff": np.nan}
    return pd.DataFrame([row | {"measure": "leaving", "by": BY_AGE_DIFFERENCE, "category": young}])


def _as_estimates(frames: list[pd.DataFrame], period: str) -> pd.DataFrame:
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    frame = pd.concat([pd.DataFrame(columns=pd.Index(list(kinds))), *frames]) if not frames else pd.concat(frames)
    is_leaving = frame["measure"].astype(str).str.startswith(("leaving", "staying"))
    frame = frame.assign(
        statistic=np.where(is_leaving, "share", "mean"),
        unit=np.where(is_leaving, "share", "score"),
        region=NATION,
        period=period,
    )
    return check(frame[list(kinds)].astype(kinds).reset_index(drop=True), "estimates")
