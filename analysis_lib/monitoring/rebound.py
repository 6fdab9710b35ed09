"""Whether a cut lasted: a chart that tells relapse from chance, the half-life of the effect, and what is left of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis_lib.effects import results
from analysis_lib.effects.difference_in_differences import Contrasts, untreated_residuals
from analysis_lib.effects.inference import cohort_residuals
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult, row_of
from analysis_lib.errors import DesignError
from analysis_lib.monitoring import ratios
from analysis_lib.monitoring.repeated_looks import with_student_tails
from analysis_lib.quarters import QUARTERS_PER_YEAR, Quarter

Lasting = Literal["holds", "relapsed", "cannot_tell"]
Spread = Literal["cohort", "serial", "sampling"]

BY_RELAPSE, BY_HALF_LIFE, BY_PERSISTENCE = "relapse", "half_life", "persistence"
REFERENCE = 2  # first quarters in force, whose mean is the level reached
LEAST_SINCE = QUARTERS_PER_YEAR  # quarters after them without which nothing is said to hold
FALSE_RELAPSE, WITHIN = 0.05, 12  # probability of a false relapse within so many charted quarters
TOLERABLE = 0.5  # share of the cut; it holds when the interval of the share lost stays below
FOLLOWED = 0.2  # of what the reform covers: a path lasts as long as cohorts with so much of it are followed
# What is taken of the scatter of quarters where too few regions or quarters tell it: as much of their own as sampling
# makes, and correlated; more where they show more. Means of officials are calmer than that in every study seen so far.
OWN_OVER_SAMPLING, AUTOCORRELATION = 1.0, 0.5
DECENT, ENOUGH = 2 * QUARTERS_PER_YEAR, 3 * QUARTERS_PER_YEAR  # quarters before that tell scatter, and tell it well
NEGLIGIBLE = 1e-12
DRAWS, SEED = 20_000, 2026  # bounds carry about 3 % of Monte Carlo error in the probability over twelve quarters
LEAST_DF = 3.0
SHORTEST_HALF_LIFE = 0.25  # quarters; what is shorter cannot be seen in quarters
RATES = np.linspace(0, math.log(2) / SHORTEST_HALF_LIFE, 2801)  # of decay by quarter


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Effects by quarters since the start, of which no step mixes regions.

    Attributes
    ----------
    estimate : numpy.ndarray
        Shape (K,), event times 0 … K − 1; a cut is below zero.
    root : numpy.ndarray
        Shape (K, S); ``root @ root.T`` is the covariance.
    df : float
        Degrees of freedom of the covariance; infinite where it is known or taken to be.
    spread : str
        What tells how much it scatters: ``cohort`` (regions beside each other), ``serial`` (the quarters before), or
        ``sampling`` (sampling errors, and as much again assumed, unless quarters show more).
    """

    estimate: np.ndarray
    root: np.ndarray
    df: float
    spread: Spread = "cohort"

    @property
    def covariance(self) -> np.ndarray:
        """Joint covariance of the effects, shape (K, K)."""
        return self.root @ self.root.T


@dataclass(frozen=True, slots=True)
class Share:
    """A number with its interval; infinite ends where it has none on that side."""

    estimate: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True, eq=False)
class Relapse:
    """What the relapse chart says.

    Attributes
    ----------
    outcome : str
        ``holds``, ``relapsed``, ``cannot_tell``.
    reached : Share
        Mean effect over the first quarters in force.
    lost : Share
        Share of it lost: since the relapse began where there is one, else over the last year charted.
    alarm, onset : int or None
        Quarter since the start in which the chart first crossed its bound, and from which the effect is lower.
    chart : pandas.DataFrame
        A row for each quarter charted: ``event_time``, ``statistic`` (largest t), ``bound``, ``onset``.
    """

    outcome: Lasting
    reached: Share
    lost: Share
    alarm: int | None
    onset: int | None
    chart: pd.DataFrame


def relapse(path: Path, *, bounds: np.ndarray | None = None, confidence_level: float = 0.95) -> Relapse:
    """Whether the cut reached in the first two quarters in force has been lost again, watched every quarter.

    Parameters
    ----------
    path : Path
        Of `path_of_panel` or `path_of_series`.
    bounds : numpy.ndarray, optional
        Of `alarm_bounds` on a path with the same correlations, where they are known already.
    confidence_level : float
        Of the intervals; the bound of the chart keeps its own promise.

    Notes
    -----
    **Chart.** In each quarter, for each quarter from which the effect may have been lower, the mean effect since then
    less the level reached, over its standard error; the largest of them is charted. That is the generalised likelihood
    ratio for a lasting step of unknown size and time (Siegmund and Venkatraman 1995; Lai 1995), except that
    quarters since are weighted alike: the covariance, estimated from few regions, is never inverted. A one-sided CUSUM
    is its special case for one size declared beforehand. The level reached is estimated, and its error is in every
    standard error and correlation.

    **False alarms.** Bounds spend ``FALSE_RELAPSE / WITHIN`` in each quarter: a false relapse within twelve charted
    quarters has probability 5 %, an in-control run lasts 240 quarters on average. They are found by drawing from the
    joint normal distribution that the path's covariance implies, so autocorrelation is accounted for as far as it is
    estimated; each becomes the quantile of Student's t with the same tail, for the regions are few.

    **Words.** Nothing is said where no cut can be told from zero. ``holds`` asks for a year after the level was reached
    and an interval of the share lost that stays below one half: no alarm is not enough. The interval after an alarm
    is that of a period chosen because it looked worst, so the share lost is overstated a little.

    References
    ----------
    Siegmund and Venkatraman (1995), Annals of Statistics 23, 255–271. Lai (1995), Journal of the Royal Statistical
    Society B 57, 613–658. Fieller (1954), Journal of the Royal Statistical Society B 16, 175–185.
    """
    k = len(path.estimate)
    chart = _chart(path, alarm_bounds(path) if bounds is None else bounds)
    crossed = chart[chart["statistic"] >= chart["bound"]]
    first = _mean_of(k, 0, min(REFERENCE, k))
    reached = _linear(path, first, confidence_level)
    alarm = None if crossed.empty else int(crossed["event_time"].iloc[0])
    onset = None if crossed.empty else int(crossed["onset"].iloc[0])
    lost = Share(math.nan, -math.inf, math.inf)
    if k > REFERENCE:
        since = max(REFERENCE, k - QUARTERS_PER_YEAR) if onset is None else onset
        left = fieller(path, _mean_of(k, since, k), first, confidence_level)
        lost = Share(1 - left.estimate, 1 - left.ci_high, 1 - left.ci_low)
    outcome: Lasting = "cannot_tell"
    if reached.ci_high < 0 and path.df >= LEAST_DF:
        if alarm is not None:
            outcome = "relapsed"
        elif k - REFERENCE >= LEAST_SINCE and lost.ci_high < TOLERABLE:
            outcome = "holds"
    return Relapse(outcome, reached, lost, alarm, onset, chart)


def half_life(path: Path, *, confidence_level: float = 0.95) -> Share:
    """Quarters in which half of the effect is gone, if it decays as a · exp(−λ · quarters).

    Returns
    -------
    Share
        In quarters. ``ci_high`` is infinite where no decay is compatible with the path: "at least ``ci_low`` quarters".
        The estimate is infinite where the effect does not shrink. NaN where no cut can be told from zero, or there is
        less than a year.

    Notes
    -----
    Generalised least squares, a and λ free. The interval holds the λ around the best whose score, a linear contrast of
    the path free of a, is not told from zero by its t: as Fieller's, it is right however weak the effect, and says so
    by having no end. The score's variance is that of the estimated joint covariance. Quarters are weighed by a simpler
    one, with the same variances and equal correlations: weights by the inverse of an estimated matrix made intervals
    of 95 % hold 84 to 94 % (22 quarters, 30 counties); these hold 91 to 97 %, and are a little wider.
    """
    k = len(path.estimate)
    if k < QUARTERS_PER_YEAR or path.df < LEAST_DF:
        return Share(math.nan, math.nan, math.nan)
    if not _linear(path, _mean_of(k, 0, QUARTERS_PER_YEAR), confidence_level).ci_high < 0:
        return Share(math.nan, math.nan, math.nan)
    precision = np.linalg.inv(_equally_correlated(path.covariance))
    critical = stats.t.isf((1 - confidence_level) / 2, path.df)
    scores = _score_weights(RATES, precision)
    is_allowed = np.abs(scores @ path.estimate) <= critical * np.linalg.norm(scores @ path.root, axis=1)
    best = _best_rate(path.estimate, precision)
    place = int(np.abs(RATES - best).argmin())
    # Far from the best rate a score has little power, and lets in rates again that nearer ones rule out.
    after = RATES[place:][np.logical_and.accumulate(is_allowed[place:])]
    before = RATES[: place + 1][::-1][np.logical_and.accumulate(is_allowed[: place + 1][::-1])]
    step = RATES[1]  # ends lie between the last rate let in and the next
    fastest, slowest = (after[-1] + step, before[-1] - step) if is_allowed[place] else (best, best)
    return Share(_half_life(best), _half_life(float(fastest)), _half_life(float(slowest)))


def persistence(path: Path, *, confidence_level: float = 0.95) -> Share:
    """Effect in the last year as a multiple of the effect in the first, with Fieller's interval.

    Returns
    -------
    Share
        NaN with fewer than two years, or where the first year's effect is not told from zero; then without ends.
    """
    k = len(path.estimate)
    if k < 2 * QUARTERS_PER_YEAR or path.df < LEAST_DF:
        return Share(math.nan, math.nan, math.nan)
    last, first = _mean_of(k, k - QUARTERS_PER_YEAR, k), _mean_of(k, 0, QUARTERS_PER_YEAR)
    return fieller(path, last, first, confidence_level)


def path_of_panel(contrasts: Contrasts, panel: Panel) -> Path:
    """Effects by quarters since the start, chained so that cohorts may drop out.

    Parameters
    ----------
    contrasts : Contrasts
        Of `group_time` or `imputation`.

    Raises
    ------
    DesignError
        When too few cohorts have an effect in their first quarter, or nothing tells chance from effect.

    Notes
    -----
    It begins with the average effect in the first quarter. Each further step is the average change since the quarter
    before of the cohorts followed so far: where every cohort keeps its effect the path stays level, whereas an average
    over whoever is there would move as cohorts drop out. It lasts as long as cohorts with a fifth of what the
    reform covers are followed. Season and whatever else moves all regions alike is gone, for regions without the reform
    share it.

    The covariance is that of residuals about the cohorts' means, pooled over all regions: where cohorts are pairs of
    counties nothing else has degrees of freedom. It takes quarters to be correlated alike in all regions; how much they
    move may differ between regions with the reform and without. That regions gain unlike from a reform does no
    harm to the chart, which compares each cohort with itself.

    Where fewer than three degrees of freedom are left, and sampling errors are known, regions are taken to scatter of
    themselves as much as sampling makes them (`OWN_OVER_SAMPLING`), independently of each other, and more where cells without
    the reform show more (`_as_shown`).
    """
    at = {(start, time): row for row, (start, time) in enumerate(contrasts.index[["start", "event_time"]].to_numpy())}
    size = {start: panel.weights[panel.starts == start].sum() for start in panel.cohorts}
    followed = dict.fromkeys(size, 0)
    for start in size:
        while (start, followed[start]) in at:
            followed[start] += 1
    covered = FOLLOWED * sum(size.values())
    weights, before = [], np.zeros(panel.values.shape)
    for time in itertools.count():
        chosen = [start for start in size if followed[start] > time]
        total = sum(size[start] for start in chosen)
        if not chosen or total < covered:
            break
        for start in chosen:
            step = contrasts.weights[at[start, time]]
            step = step - contrasts.weights[at[start, time - 1]] if time else step
            before = before + size[start] / total * step
        weights.append(before)
    if not weights:
        raise DesignError(
            "too few regions have an effect in their first quarter", where="rebound", fix="take more periods or regions"
        )
    weights = np.stack(weights)
    estimate = np.tensordot(weights, panel.values, 2)
    if panel.sampling is not None and cohort_residuals(panel)[1].sum() < LEAST_DF:
        scatter = [_square_root(_with_own(known)) for known in panel.sampling]
        residuals = untreated_residuals(panel)
        shown = _as_shown(np.tensordot(residuals, panel.values, 2), _assumed(residuals, scatter))
        return Path(estimate, shown * _assumed(weights, scatter), math.inf, "sampling")
    root, df = _root_of_regions(weights, panel)
    return Path(estimate, root, df)


def path_of_series(series: pd.DataFrame, *, start: str, autocorrelation: float = AUTOCORRELATION) -> Path:
    """Departures of one series, quarter by quarter since a start, from its level and season before.

    Parameters
    ----------
    series : pandas.DataFrame
        ``period`` (``2025Q1``, in order, none missing) and ``estimate``; with ``se`` (sampling error) and ``df``, one
        year before the start is enough.
    start : str
        First quarter in force.
    autocorrelation : float
        Of quarters that follow each other, assumed: a dozen quarters hardly tell it, and 0.5 errs to the safe side of
        what means of officials show. It enters the spread, its degrees of freedom and every correlation.

    Raises
    ------
    DesignError
        When quarters are missing, or there are too few before the start to tell season, and scatter, from chance.

    Notes
    -----
    Level and season come from the quarters before alone (phase I of a control chart), so a cut or a relapse does not
    touch them. Season takes four numbers: eight quarters are the least to tell the spread too, twelve are decent. Where
    sampling errors are known and fewer than twelve quarters lie before, quarters are taken to scatter of themselves as
    much as sampling makes them (`OWN_OVER_SAMPLING`), and more where quarters before, or steps since, show more
    (`_as_shown`). From twelve on the quarters before tell the spread, never less than by sampling alone. A trend is not
    taken out: a slow rise of everything counts as relapse.
    """
    periods = [Quarter.parse(period) for period in series["period"]]
    if any(later != earlier.shift(1) for earlier, later in itertools.pairwise(periods)):
        raise DesignError("quarters are missing or out of order", where="rebound", fix="give every quarter, in order")
    if not np.isfinite(series["estimate"]).all():
        raise DesignError("a quarter was not measured", where="rebound", fix="give quarters in which it was")
    before = sum(period < Quarter.parse(start) for period in periods)
    least = QUARTERS_PER_YEAR if "se" in series else DECENT
    if before < least or before == len(periods):
        raise DesignError(
            f"{before} quarters before the start and {len(periods) - before} since",
            where="rebound",
            fix=f"take a longer series (at least {least} before, one since), or compare regions",
        )
    season = np.equal.outer([period.number for period in periods], np.arange(1, QUARTERS_PER_YEAR + 1)).astype(float)
    departs = np.eye(len(periods))
    departs[:, :before] -= season @ np.linalg.pinv(season[:before])
    departures = departs @ series["estimate"].to_numpy(float)
    if "se" in series and before < ENOUGH:
        scatter = _square_root(_with_own(np.diag(series["se"].to_numpy(float) ** 2), autocorrelation))
        without_effect = np.vstack([np.eye(before, len(periods)), np.diff(np.eye(len(periods))[before:], axis=0)])
        shown = _as_shown(without_effect @ departures, without_effect @ departs @ scatter)
        known_df = float(series["df"].min()) if "df" in series else math.inf
        return Path(departures[before:], shown * departs[before:] @ scatter, known_df, "sampling")
    correlation = _correlated(len(periods), autocorrelation)
    residual = departs[:before] @ correlation @ departs[:before].T
    trace = float(np.trace(residual))
    variance = float(departures[:before] @ departures[:before]) / trace
    spread = math.sqrt(max(variance, (series["se"] ** 2).mean() if "se" in series else 0.0))
    root = spread * departs[before:] @ np.linalg.cholesky(correlation)
    return Path(departures[before:], root, trace**2 / (residual**2).sum(), "serial")


def _assumed(weights: np.ndarray, scatter: Sequence[np.ndarray]) -> np.ndarray:
    """Square root of the covariance of contrasts, weights of shape (K, R, T), of regions independent of each other."""
    return np.hstack([of @ root for of, root in zip(weights.swapaxes(0, 1), scatter, strict=True)])


def _as_shown(observed: np.ndarray, root: np.ndarray) -> float:
    """Standard deviations shown by contrasts that hold no effect, over those assumed, never below one.

    Of regions these are residuals without the reform; of one series the quarters before and the steps since (the moving
    range of a chart of single values: Montgomery 2012, ch. 6), which hardly feel a cut that is lost once. ``root @ root.T``
    is the covariance that was assumed of the contrasts.
    """
    assumed = float((root**2).sum())
    return math.sqrt(max(1.0, float(observed @ observed) / assumed)) if assumed > NEGLIGIBLE else 1.0


def _with_own(sampling: np.ndarray, autocorrelation: float = AUTOCORRELATION) -> np.ndarray:
    """Sampling covariance of quarters, shape (T, T), with what each quarter is taken to have of its own."""
    own = OWN_OVER_SAMPLING * np.diag(sampling).mean()
    return sampling + own * _correlated(len(sampling), autocorrelation)


def _correlated(n_quarters: int, autocorrelation: float) -> np.ndarray:
    time = np.arange(n_quarters)
    return autocorrelation ** np.abs(np.subtract.outer(time, time))


def fieller(path: Path, numerator: np.ndarray, denominator: np.ndarray, confidence_level: float) -> Share:
    """Ratio of two linear combinations of a path (Fieller 1954); none where the denominator is not told from zero."""
    both = np.stack([numerator, denominator])
    top, bottom = both @ path.estimate
    (var_top, cov), (_, var_bottom) = both @ path.covariance @ both.T
    t = float(stats.t.isf((1 - confidence_level) / 2, path.df))
    low, high = ratios.fieller(top, bottom, var_top, var_bottom, cov, t)
    if math.isnan(low):
        return Share(math.nan, -math.inf, math.inf)
    return Share(float(top / bottom), low, high)


def as_rows(
    result: EffectResult, *, relapsed: Relapse, lived: Share | None = None, persisted: Share | None = None
) -> pd.DataFrame:
    """Rows of the contract ``estimates``: ``by`` is ``relapse``, ``half_life`` or ``persistence``.

    Returns
    -------
    pandas.DataFrame
        ``category`` is the reform and the part: of ``relapse`` ``reached`` (in the measure's unit), ``lost`` (share,
        with the word in ``outcome``), ``alarm`` and ``onset`` (quarters since the start, where there are any); of
        ``half_life`` ``quarters``, with ``outcome`` ``between``, ``at_least`` where it has no upper end, ``grows``
        where no half-life is long enough, or ``cannot_tell``; of ``persistence`` ``ratio``. Infinite ends are missing.
    """
    parts = [(BY_RELAPSE, "reached", relapsed.reached, result.unit, ""),
             (BY_RELAPSE, "lost", relapsed.lost, "share", relapsed.outcome)]  # fmt: skip
    for name, quarter in (("alarm", relapsed.alarm), ("onset", relapsed.onset)):
        if quarter is not None:
            parts.append((BY_RELAPSE, name, Share(quarter, math.nan, math.nan), "count", ""))
    if lived is not None:
        is_told = not math.isnan(lived.ci_low)
        outcome = "at_least" if math.isinf(lived.ci_high) else "between" if is_told else "cannot_tell"
        outcome = "grows" if math.isinf(lived.ci_low) else outcome
        parts.append((BY_HALF_LIFE, "quarters", lived, "count", outcome))
    if persisted is not None:
        parts.append((BY_PERSISTENCE, "ratio", persisted, "share", ""))
    return results.as_rows(
        [
            row_of(result, by, f"{result.reform}.{part}")
            | {"unit": unit, "outcome": outcome}
            | {
                name: value if math.isfinite(value) else math.nan
                for name, value in (("estimate", number.estimate), ("ci_low", number.ci_low),
                                    ("ci_high", number.ci_high))
            }
            for by, part, number, unit, outcome in parts
        ]
    )  # fmt: skip


def is_cut_told(rows: pd.DataFrame) -> bool:
    """Whether rows of `as_rows` on one measure of a reform tell of a cut; one that is not told can neither hold nor be lost.

    A number that is withheld counts as told, so that nothing is said more freely for its being hidden.
    """
    return not (rows.loc[rows["category"].str.endswith(".reached"), "ci_high"] >= 0).any()


def _root_of_regions(weights: np.ndarray, panel: Panel) -> tuple[np.ndarray, float]:
    """Square root of the covariance of contrasts, weights of shape (K, R, T), and its degrees of freedom.

    Degrees of freedom are those of the pooled correlations, or those of the two spreads (Welch 1947) if that is fewer.
    """
    residuals, left = cohort_residuals(panel)
    moves = residuals - residuals.mean(axis=1, keepdims=True)
    if left.sum() < LEAST_DF or not (moves**2).sum() > 0:
        raise DesignError(
            "too few regions began together to tell chance from effect, or none varies",
            where="rebound",
            fix="take more regions",
        )
    spread = np.full(len(left), math.sqrt((moves**2).sum() / left.sum()))
    degrees = np.full(len(left), left.sum())
    for group in (panel.is_ever, ~panel.is_ever):
        if left[group].sum() >= LEAST_DF:
            spread[group] = math.sqrt((moves[group] ** 2).sum() / left[group].sum())
            degrees[group] = left[group].sum()
    scores = (weights * spread[:, None]) @ (residuals / spread[:, None]).T / math.sqrt(left.sum())
    of_region = (scores**2).sum(axis=(0, 2))
    parts = [(of_region[group].sum(), degrees[group]) for group in (panel.is_ever, ~panel.is_ever) if group.any()]
    of_spreads = sum(part for part, _ in parts) ** 2 / sum(part**2 / of_group[0] for part, of_group in parts)
    scores = scores.reshape(len(weights), -1)
    return _square_root(scores @ scores.T), float(min(left.sum(), (len(panel.periods) - 1) * of_spreads))


def alarm_bounds(path: Path) -> np.ndarray:
    """Values of t reached by chance with the probability promised, of each quarter charted, shape (K − 2,).

    They depend on the correlations of the path and its degrees of freedom alone.
    """
    spend = int(DRAWS * FALSE_RELAPSE / WITHIN)  # draws that may cross in each quarter
    noise = np.random.default_rng(SEED).standard_normal((DRAWS, path.root.shape[1]))
    has_not_crossed = np.ones(DRAWS, dtype=bool)
    bounds = []
    for now in range(REFERENCE, len(path.estimate)):
        root = _steps(path, now) @ path.root
        peaks = (noise @ (root / np.linalg.norm(root, axis=1, keepdims=True)).T).max(axis=1)
        bounds.append(np.partition(peaks[has_not_crossed], -spend)[-spend])
        has_not_crossed &= peaks < bounds[-1]
    return with_student_tails(np.array(bounds), path.df)


def _chart(path: Path, bounds: np.ndarray) -> pd.DataFrame:
    rows = []
    for now, bound in enumerate(bounds, start=REFERENCE):
        steps = _steps(path, now)
        t = steps @ path.estimate / np.linalg.norm(steps @ path.root, axis=1)
        worst = int(t.argmax())
        rows.append((now, t[worst], bound, REFERENCE + worst))
    return pd.DataFrame(rows, columns=pd.Index(["event_time", "statistic", "bound", "onset"]))


def _steps(path: Path, now: int) -> np.ndarray:
    """Weights of the mean effect from each possible onset to now, less the level reached."""
    k = len(path.estimate)
    onsets = range(REFERENCE, now + 1)
    return np.stack([_mean_of(k, onset, now + 1) for onset in onsets]) - _mean_of(k, 0, REFERENCE)


def _mean_of(k: int, first: int, end: int) -> np.ndarray:
    """Weights of the mean over event times first … end − 1."""
    weights = np.zeros(k)
    weights[first:end] = 1 / (end - first)
    return weights


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _linear(path: Path, weights: np.ndarray, confidence_level: float) -> Share:
    estimate = float(weights @ path.estimate)
    reach = float(stats.t.isf((1 - confidence_level) / 2, path.df) * np.linalg.norm(weights @ path.root))
    return Share(estimate, estimate - reach, estimate + reach)


def _equally_correlated(covariance: np.ndarray) -> np.ndarray:
    """The covariance with its variances, and its average correlation in place of each."""
    se, k = np.sqrt(np.diag(covariance)), len(covariance)
    average = ((covariance / np.outer(se, se)).sum() - k) / (k * (k - 1))
    return np.outer(se, se) * (average + (1 - average) * np.eye(k))


def _score_weights(rates: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Weights of the score of λ at each rate, shape (rates, K), orthogonal to the decaying path itself."""
    times = np.arange(len(precision))
    decay = np.exp(-np.outer(rates, times))
    weighted, slope = decay @ precision, -times * decay
    along = (slope * weighted).sum(axis=1) / (decay * weighted).sum(axis=1)
    return slope @ precision - along[:, None] * weighted


def _best_rate(estimate: np.ndarray, precision: np.ndarray) -> float:
    """λ of least squares, found on a grid and then between its neighbours."""

    def explained(rates: np.ndarray) -> np.ndarray:
        decay = np.exp(-np.outer(rates, np.arange(len(estimate))))
        weighted = decay @ precision
        return (weighted @ estimate) ** 2 / (decay * weighted).sum(axis=1)

    grid = np.concatenate([[-RATES[1]], RATES])
    best = float(grid[explained(grid).argmax()])
    around = (best - RATES[1], best + RATES[1])
    found = optimize.minimize_scalar(lambda rate: -explained(np.array([rate]))[0], bounds=around)
    return float(found.x)  # pyright: ignore[reportAttributeAccessIssue]


def _half_life(rate: float) -> float:
    return math.log(2) / rate if rate > 0 else math.inf
