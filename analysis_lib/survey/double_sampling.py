"""Two instruments, one estimate: answers that everybody gave, corrected by the diaries that some kept; numbers only.

Double sampling for regression (Cochran 1977, ch. 12; Särndal, Swensson and Wretman 1992, ch. 9; Fuller 2009, ch. 3).
The first phase are all respondents with weight w and answers x, the second those with a diary, weight v and hours y.
Within a group of respondents β is fitted on its diaries, by least squares with the weights v, and then::

    estimate of a domain   Ŷ = (Σ_all w x'β + Σ_diaries v g e) / Σ_all w             e = y − x'β
    g-weight               g = (Σ_all w x)' (Σ_diaries v x x')⁻¹ x                   sums over the group

The first sum alone would carry the error of memory into every domain that the fit does not fit; the second takes it out
again, whatever the fit. Both are one sum of pseudo-values over all respondents::

    z = x'β + (v / w) g e                  Ŷ = Σ w z / Σ w

so that any mean, total, ratio or change of z is the two-phase estimate, and its variance between PSUs holds both
sampling errors and that of the fit. Over a whole group g leaves the estimate alone, because Σ v x e = 0; it weights the
residuals as the diaries that reproduce everybody's answers, without which errors are too small in small samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

MIN_DIARIES = 30  # that a fit rests on
LEAST_SPREAD = 0.01  # of the spread around the fit, the share that is at least true
COLLINEAR = 1e-10  # answers that say the same twice share their coefficient


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One group's regression of diaries on answers.

    Attributes
    ----------
    level, group : int
        Which of the nested groupings, finest first, and the group's number in it.
    respondents, unanswered, diaries : int
        Respondents whose pseudo-values it gives; those of them with an answer missing; diaries that it was fitted on.
    coefficients : numpy.ndarray
        Hours at the group's mean answers, then per unit of each answer; the former alone where nothing was fitted.
    r_squared : float
        Share of the diaries' spread that the answers explain.
    """

    level: int
    group: int
    respondents: int
    unanswered: int
    diaries: int
    coefficients: np.ndarray
    r_squared: float


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """Pseudo-values of all respondents.

    Attributes
    ----------
    values : numpy.ndarray
        What to average with the weights of all respondents; NaN outside the first phase, or without any diary.
    has_diary : numpy.ndarray
        The second phase: the rows on which precision rests.
    fits : tuple of Fit
        What was fitted, and where nothing could be.
    """

    values: np.ndarray
    has_diary: np.ndarray
    fits: tuple[Fit, ...]


def combine_hours(
    hours: np.ndarray,
    answers: np.ndarray,
    *,
    weight: np.ndarray,
    diary_weight: np.ndarray,
    groupings: Sequence[np.ndarray],
    min_diaries: int = MIN_DIARIES,
) -> Combined:
    """Combine everybody's answers with the hours of diaries.

    Parameters
    ----------
    hours : numpy.ndarray
        NaN without a diary, shape (rows,).
    answers : numpy.ndarray
        Of all respondents, shape (rows, answers). A missing one is taken to be the mean of its group: the respondent
        stays in the sample, and the diaries of others who did not answer keep the estimate unbiased.
    weight, diary_weight : numpy.ndarray
        Of all respondents, and of those with a diary. Rows without a positive ``weight`` are in neither phase.
    groupings : sequence of numpy.ndarray
        Number of each row's group, finest grouping first, each nested in the next and the last a single group.
    min_diaries : int
        A group with fewer takes the fit of the group that it is nested in. Where even the last has fewer, nothing is
        fitted: the estimate is the mean of the diaries.
    """
    phases = _Phases.of(hours, weight, diary_weight)
    predicted, factor, fits = _regress(hours[:, None], answers, phases, groupings, min_diaries)
    residual = np.where(phases.second, hours - predicted[:, 0], 0.0)
    return phases.combined(predicted[:, 0] + phases.ratio * factor * residual, fits)


def combine_hours_beyond(
    on_weekdays: np.ndarray,
    on_weekends: np.ndarray,
    limit: np.ndarray,
    answers: np.ndarray,
    *,
    weight: np.ndarray,
    diary_weight: np.ndarray,
    groupings: Sequence[np.ndarray],
    min_diaries: int = MIN_DIARIES,
) -> Combined:
    """Hours beyond a limit, max(0, hours − limit), free of the bias of days that scatter around the week.

    Parameters
    ----------
    on_weekdays, on_weekends : numpy.ndarray
        The two parts of the hours per week, each from diary days of its own; NaN without a diary.
    limit : numpy.ndarray
        In the same unit, NaN when unknown; it is the last of the answers that are fitted on.
    answers, weight, diary_weight, groupings, min_diaries
        As in `combine_hours`.

    Notes
    -----
    Two days give a person's week with noise, and max(0, ·) is convex, so its mean over diaries is too high: by half
    the variance of the noise times the density of hours − limit at zero. Here the true t = hours − limit of a person
    is N(μ, σ²). Noise does not bias μ = x'β. And σ² is what the two parts of a week have in common around the fit: with
    r₁ and r₂ their residuals and λ the weekdays' part of mean hours::

        σ² = Σ v g r₁ r₂ / (λ (1 − λ) Σ v g)
        h = E max(0, t) = μ Φ(μ/σ) + σ φ(μ/σ)
        z = h + (v / w) g [Φ(μ/σ) e + κ (r₁ r₂ / (λ (1 − λ)) − σ²)]             κ = mean of φ(μ/σ) / 2σ

    The bracket corrects h to first order by the diaries of the domain (∂h/∂μ = Φ, ∂h/∂σ² = φ/2σ), so that errors hold
    those of β and σ². Assumed: the noise of weekdays and weekend days is independent, hours that the fit leaves over
    are split between them as mean hours are, and t is normal around the fit.
    """
    beyond = on_weekdays + on_weekends - limit
    phases = _Phases.of(beyond, weight, diary_weight)
    parts = np.column_stack([beyond, on_weekdays, on_weekends])
    predicted, factor, fits = _regress(parts, np.column_stack([answers, limit]), phases, groupings, min_diaries)
    if not phases.second.any():
        return phases.combined(predicted[:, 0], fits)
    residual = np.where(phases.second[:, None], parts - predicted, 0.0)
    scale = phases.diary_weight * factor
    weekday, weekend = scale[phases.second] @ parts[phases.second, 1:]
    split = weekday * weekend / (weekday + weekend) ** 2 if weekday * weekend > 0 else np.inf
    common = residual[:, 1] * residual[:, 2] / split
    around_fit = np.average(residual[:, 0] ** 2, weights=scale)
    variance = np.clip(np.average(common, weights=scale), LEAST_SPREAD * around_fit, around_fit)
    if variance == 0:  # every diary says what the answers say
        return phases.combined(np.maximum(predicted[:, 0], 0.0), fits)
    sigma, mu = np.sqrt(variance), predicted[:, 0]
    chance, density = stats.norm.cdf(mu / sigma), stats.norm.pdf(mu / sigma)
    kappa = phases.weight @ density / (2 * sigma * phases.weight.sum())
    correction = chance * residual[:, 0] + kappa * (common - variance)
    return phases.combined(mu * chance + sigma * density + phases.ratio * factor * correction, fits)


@dataclass(frozen=True, slots=True, eq=False)
class _Phases:
    """Who is in which phase, and the weights, zero outside."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    diary_weight: np.ndarray

    @classmethod
    def of(cls, hours: np.ndarray, weight: np.ndarray, diary_weight: np.ndarray) -> _Phases:
        first = np.nan_to_num(weight) > 0
        second = first & np.isfinite(hours) & (np.nan_to_num(diary_weight) > 0)
        return cls(first, second, np.where(first, weight, 0.0), np.where(second, diary_weight, 0.0))

    @property
    def ratio(self) -> np.ndarray:
        """Diary weight by weight; zero without a diary."""
        return np.divide(self.diary_weight, self.weight, out=np.zeros(len(self.weight)), where=self.second)

    def combined(self, values: np.ndarray, fits: tuple[Fit, ...]) -> Combined:
        return Combined(np.where(self.first & self.second.any(), values, np.nan), self.second, fits)


def _regress(
    hours: np.ndarray, answers: np.ndarray, phases: _Phases, groupings: Sequence[np.ndarray], min_diaries: int
) -> tuple[np.ndarray, np.ndarray, tuple[Fit, ...]]:
    """Predictions of each column of ``hours``, g-weights, and the fits of its first column."""
    predicted, factor = np.zeros(hours.shape), np.ones(len(hours))
    known = np.where(phases.second[:, None], hours, 0.0)
    fits = []
    for level, group, rows, is_served, is_fitted in _groups(phases, groupings, min_diaries):
        w, v, x, y = phases.weight[rows], phases.diary_weight[rows], answers[rows], known[rows]
        design = np.column_stack([np.ones(len(rows)), _centred(x, w)[:, : None if is_fitted else 0]])
        inverse = np.linalg.pinv(design.T @ (v[:, None] * design), rcond=COLLINEAR, hermitian=True)
        coefficients = inverse @ (design.T @ (v[:, None] * y))
        of_group = design @ coefficients
        served = rows[is_served]
        predicted[served] = of_group[is_served]
        factor[served] = (design @ (inverse @ (w @ design)))[is_served]
        fits.append(
            Fit(
                level,
                group,
                respondents=len(served),
                unanswered=int(np.isnan(x[is_served]).any(axis=1).sum()),
                diaries=int(phases.second[rows].sum()),
                coefficients=coefficients[:, 0],
                r_squared=_explained(y[:, 0], of_group[:, 0], v),
            )
        )
    return predicted, factor, tuple(fits)


def _groups(
    phases: _Phases, groupings: Sequence[np.ndarray], min_diaries: int
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray, bool]]:
    """Groups with diaries enough: level, number, rows, which of them the fit serves, whether anything is fitted."""
    waiting = phases.first.copy()
    for level, grouping in enumerate(groupings):
        is_last = level == len(groupings) - 1
        diaries = np.bincount(grouping[phases.second], minlength=int(grouping.max(initial=0)) + 1)
        for group in np.unique(grouping[waiting]):
            is_fitted = bool(diaries[group] >= min_diaries)
            if is_fitted or (is_last and diaries[group] > 0):
                rows = np.flatnonzero(phases.first & (grouping == group))
                yield level, int(group), rows, waiting[rows], is_fitted
                waiting[rows] = False


def _centred(answers: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Answers less their weighted means; a missing one is the mean, so zero."""
    answered = np.isfinite(answers)
    total = weight @ answered
    mean = np.divide(weight @ np.where(answered, answers, 0.0), total, out=np.zeros(len(total)), where=total > 0)
    return np.where(answered, answers - mean, 0.0)


def _explained(hours: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    spread = weight @ (hours - weight @ hours / weight.sum()) ** 2
    return float(1 - weight @ (hours - predicted) ** 2 / spread) if spread > 0 else 0.0
