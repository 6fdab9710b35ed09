"""Looking every quarter without crying wolf: intervals for looks at one effect that hold at all of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from analysis_lib.effects import results
from analysis_lib.effects.difference_in_differences import Contrasts
from analysis_lib.effects.inference import MIN_REGIONS, cohort_of, cohort_scores, estimate_contrasts
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import EffectResult, row_of
from analysis_lib.effects.specification_curve import Alternatives, Choices, contrast, prepared
from analysis_lib.effects.verdicts import words
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.reforms import EVERY_QUARTER

Spending = Literal["obrien_fleming", "pocock"]

BY_LOOK, USUAL = "look", "usual"
ESTIMATED = ["estimate", "se", "df", "design_df"]
SO_FAR = "so far"
# Information, in multiples of the first look's, at which the sequence is narrowest beside the usual interval. Where
# regions are compared it levels off at two to six, for the quarters before the start stay as noisy as they were.
TUNED_AT = 4.0
# Growth of information that a look is at least taken to bring. More growth is less correlation and a wider bound, so
# this errs to the safe side where estimated standard errors hardly fall, or rise.
LEAST_GROWTH = 0.01
NODES_PER_SPREAD, BATCH = 4, 48  # of the integrals: ten digits; in batches, so that quadratures are used again
FARTHEST = 9.0  # standard errors beyond which there is nothing


def repeated_looks(
    looks: pd.DataFrame,
    *,
    plan_looks: str | Sequence[str] = EVERY_QUARTER,
    smallest_change: float,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """The usual interval and the repeated-look interval of every look at one effect, and the words it allows.

    Parameters
    ----------
    looks : pandas.DataFrame
        A row for each look, oldest first: ``look`` (number), ``quarter``, ``estimate``, ``se`` and ``df``. A look
        without a standard error or degrees of freedom has no interval. ``design_df``, where given as by
        `looks_at`, takes the place of ``df`` in repeated-look intervals.
    plan_looks : str or sequence of str
        ``plan.looks`` of the register: the quarters declared, or ``"every quarter"``.
    smallest_change : float
        Smallest change that matters, in the unit of the estimates.
    confidence_level : float
        Probability that all repeated-look intervals hold the effect at once.

    Returns
    -------
    pandas.DataFrame
        The looks with ``usual_low``, ``usual_high``, ``ci_low``, ``ci_high`` (the repeated-look interval), ``kind``
        (``spending`` or ``sequence``), ``price`` (width as a multiple of the usual one) and ``outcome`` (a key of
        `verdicts.words`, by the repeated-look interval).

    Raises
    ------
    UsageError
        When looks are not in order of quarters, or there is no look at all.

    Notes
    -----
    **Which interval.** In a quarter that the register declares: alpha spending, O'Brien–Fleming type. In any other,
    and always where it declares none: the confidence sequence, begun at the first look. The last bound of a plan is
    never used again: until look 20, that of a plan of 8 would raise false alarms from 5 to 12 %. Past a plan, or
    between its looks, the promises of both add up, to 2 (1 − ``confidence_level``) at the worst; docs/certificate.md
    has what they come to.

    **Dependence.** Looks share their quarters. Information at look k is 1 / se_k². For efficient estimators
    estimate_k / se_k² has independent increments, so that looks j < k correlate by se_k / se_j, however the quarters
    are correlated (Scharfstein, Tsiatis and Robins 1997; Jennison and Turnbull 1997). Ours weight quarters alike, so
    with autocorrelated quarters this holds nearly: looks that follow each other correlate as it says, distant ones
    less. Where it fails altogether, bounds on probabilities are left. No look of the sequence is nearer than 3.03
    standard errors, so N looks raise a false alarm with probability 0.0024 N at most: five years of looks keep 5 %
    whatever the dependence. Two-sided bounds of normal estimates do worst when looks are independent (Šidák 1967): a
    plan of 8 then keeps 9.1 %, of 12 11.5 %, of 20 16.2 %.

    **Time.** Alpha is spent by the looks declared that have come, information enters by the correlation alone (calendar
    time: Lan and DeMets 1989), because nobody knows what information the last look will have. A declared look that
    did not take place leaves its alpha to the next.

    **Few regions.** The bounds are probabilities of a normal estimate. Each becomes the quantile of Student's t with
    the same tail: at 18 degrees of freedom 3.03 becomes 3.5. A t mixture (Wang and Ramdas 2024) needs degrees of
    freedom that grow with time; ours are those of regions. Satterthwaite's are estimated: right on average, but too
    many when a cohort of two lies close together by chance, which decides so far out. First looks at two counties of
    thirty, which should cry wolf once in a thousand times, did so once in twenty. So the tails have the degrees of
    freedom of the design, and no interval is narrower than the usual one, which knows when regions with the reform
    vary more than others.

    **No running intersection.** The effect may fade; what is estimated at look k is its average over the quarters in
    force so far, not one constant. An intersection would keep the verdict of the best quarters for ever.

    References
    ----------
    Lan and DeMets (1983), Biometrika 70, 659–663; (1989), Statistics in Medicine 8, 1191–1198. Jennison and Turnbull
    (2000), Group Sequential Methods. Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics 49, 1055–1080.
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Annals of Statistics 52, 2613–2640.
    """
    quarters = looks["quarter"].tolist()
    if not quarters or quarters != sorted(set(quarters)):
        raise UsageError("looks are not one a quarter, oldest first", where="repeated looks", fix="sort them")
    estimate, se, df = (looks[name].to_numpy(float) for name in ("estimate", "se", "df"))
    is_told = np.isfinite(estimate) & (se > 0) & (df > 0)
    se, df = np.where(is_told, se, np.nan), np.where(is_told, df, np.nan)
    tail_df = looks["design_df"].to_numpy(float) if "design_df" in looks else df
    declared = [] if plan_looks == EVERY_QUARTER else sorted(plan_looks)
    is_declared = np.isin(quarters, declared)
    is_spent = is_told & is_declared
    alpha = 1 - confidence_level

    low, high = np.full((2, len(quarters)), np.nan)
    if is_told.any():
        tuned_for = se[is_told][0] / math.sqrt(TUNED_AT)
        low, high = confidence_sequence(
            estimate, se, df=tail_df, tuned_for=tuned_for, confidence_level=confidence_level
        )
    if is_spent.any():
        spent = [(declared.index(quarter) + 1) / len(declared) for quarter in looks.loc[is_spent, "quarter"]]
        bounds = spending_bounds(information_of(se[is_spent]), spent_at=spent, alpha=alpha)
        reach = with_student_tails(bounds, tail_df[is_spent]) * se[is_spent]
        low[is_spent], high[is_spent] = estimate[is_spent] - reach, estimate[is_spent] + reach
    usual = stats.t.isf(alpha / 2, df) * se
    low, high = np.minimum(low, estimate - usual), np.maximum(high, estimate + usual)
    return looks.assign(
        usual_low=estimate - usual,
        usual_high=estimate + usual,
        ci_low=low,
        ci_high=high,
        kind=np.where(is_declared, "spending", "sequence"),
        price=(high - low) / (2 * usual),
        outcome=[words(*ends, smallest_change) for ends in zip(low, high, strict=True)],
    )


def looks_at(panel: Panel, way: Choices) -> pd.DataFrame:
    """What each look finds: the average effect over the quarters in force so far, from the quarters up to it.

    Parameters
    ----------
    panel : Panel
        Up to the last look; the first is in the first quarter in which the reform is in force anywhere.
    way : Choices
        How regions are compared, as planned: the same at every look.

    Returns
    -------
    pandas.DataFrame
        A row for each look: ``look``, ``quarter``, ``estimate``, ``se``, ``df``, ``design_df`` (of the function of that
        name), ``n_treated``, ``n_comparison``. Numbers are missing while too few regions have begun to tell chance from
        effect. Standard errors are those between regions, also where a single look would draw its interval by
        randomisation: two hundred assignments cannot tell one chance in four hundred, which is what a look may use up.
    """
    rows = []
    for look, last in enumerate(range(min(panel.cohorts, default=len(panel.periods)), len(panel.periods)), start=1):
        so_far = prepared(panel, replace(way, window=SO_FAR), Alternatives(windows={SO_FAR: (0, last)}))
        try:
            found = _estimated(contrast(so_far, way), so_far)
        except DesignError:  # too few regions so far
            found = dict.fromkeys(ESTIMATED, math.nan)
        begun = int((panel.starts <= last).sum())
        counts = {"n_treated": begun, "n_comparison": len(panel.regions) - begun}
        rows.append({"look": look, "quarter": panel.periods[last]} | found | counts)
    return pd.DataFrame(rows, columns=pd.Index(["look", "quarter", *ESTIMATED, "n_treated", "n_comparison"]))


def _estimated(contrasts: Contrasts, panel: Panel) -> dict[str, float]:
    row = estimate_contrasts(contrasts, panel).frame.iloc[0]
    found = {name: float(row[name]) for name in ("estimate", "se", "df")}
    return found | {"design_df": design_df(contrasts.weights[0], panel)}


def design_df(weights: np.ndarray, panel: Panel) -> float:
    """Degrees of freedom of the variance of one contrast when all means vary alike (Bell and McCaffrey 2002).

    Nothing about them is estimated: the parts of cohorts in the variance follow from the weights, shape (R, T).
    """
    cohort = cohort_of(panel)
    is_alone = np.bincount(cohort)[cohort] < MIN_REGIONS
    block = np.where(is_alone, cohort.max() + 1, cohort)  # in the order of `cohort_scores`, which pools small cohorts
    parts = np.bincount(block, weights=(weights**2).sum(axis=1))[np.unique(block)]
    degrees = np.array([df for _, df in cohort_scores(weights[None], panel)])
    return float(parts.sum() ** 2 / (parts**2 / degrees).sum())


def as_rows(judged: pd.DataFrame, result: EffectResult) -> pd.DataFrame:
    """Looks as rows of the contract ``estimates``, two for each: ``by`` is ``look``.

    Parameters
    ----------
    judged : pandas.DataFrame
        Of `repeated_looks` on `looks_at`.
    result : EffectResult
        The effect as of the last look, for what all looks share.

    Returns
    -------
    pandas.DataFrame
        ``category`` is the reform and the look: ``docs.7`` has the repeated-look interval and its word in ``outcome``,
        ``docs.7.usual`` the interval of a single look. ``inference`` says which: ``spending``, ``sequence``, or what
        the look rests on. ``n`` is that of the panel up to the last look.
    """
    rows = []
    for look in judged.to_dict("records"):
        common = row_of(result, BY_LOOK, f"{result.reform}.{look['look']}") | {
            "period": f"{result.period.split('–')[0]}–{look['quarter']}",
            "inference": "cohort",
            **{name: look[name] for name in ("estimate", "se", "df", "n_treated", "n_comparison")},
        }
        repeated = {"inference": look["kind"], "outcome": look["outcome"]}
        rows += [
            common | repeated | {name: look[name] for name in ("ci_low", "ci_high")},
            common
            | {"category": f"{common['category']}.{USUAL}", "outcome": ""}
            | {"ci_low": look["usual_low"], "ci_high": look["usual_high"]},
        ]
    return results.as_rows(rows)


def information_of(se: np.ndarray) -> np.ndarray:
    """Information of looks, growing from each to the next by a little at least."""
    information = 1 / se**2
    for look in range(1, len(information)):
        information[look] = max(information[look], (1 + LEAST_GROWTH) * information[look - 1])
    return information


def with_student_tails(bound: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """Quantiles of Student's t beyond which lies as much as beyond a bound of the normal distribution."""
    return stats.t.isf(stats.norm.sf(bound), df)


def confidence_sequence(
    estimate: np.ndarray,
    se: np.ndarray,
    *,
    tuned_for: float,
    df: np.ndarray | float = math.inf,
    confidence_level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals that hold the effect at every look at once, however many there will be.

    Parameters
    ----------
    estimate, se : numpy.ndarray
        Of each look, shape (looks,).
    tuned_for : float
        Standard error at which the interval is narrowest beside the usual one; to be settled at the first look.
    df : numpy.ndarray or float
        Degrees of freedom of the standard errors.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits.
    """
    reach = with_student_tails(sequence_factor(se, tuned_for=tuned_for, confidence_level=confidence_level), df) * se
    return estimate - reach, estimate + reach


def sequence_factor(se: np.ndarray, *, tuned_for: float, confidence_level: float = 0.95) -> np.ndarray:
    """Half-widths of the normal-mixture confidence sequence in standard errors.

    Notes
    -----
    With information v = 1 / se² and the mixing precision ρ the half-width is √((1 + ρ/v) ln((v + ρ) / (ρ α²)))
    standard errors (Howard et al. 2021; Waudby-Smith et al. 2024). Its derivative by r = v / ρ is
    zero where r = ln(1 + r) − 2 ln α, and there it is √(1 + r): 3.035 at 95 %.
    """
    alpha = 1 - confidence_level
    best = _root(lambda ratio: ratio - math.log1p(ratio) + 2 * math.log(alpha), 1e-9, 1e6)
    ratio = best * (tuned_for / np.asarray(se, dtype=float)) ** 2
    return np.sqrt((1 + 1 / ratio) * (np.log1p(ratio) - 2 * math.log(alpha)))


def spending_bounds(
    information_fractions: np.ndarray | Sequence[float],
    *,
    kind: Spending = "obrien_fleming",
    alpha: float = 0.05,
    spent_at: np.ndarray | Sequence[float] | None = None,
) -> np.ndarray:
    """Two-sided critical values, in standard errors, of looks that spend alpha as they come (Lan and DeMets 1983).

    Parameters
    ----------
    information_fractions : sequence of float
        Information of each look, rising; its unit does not matter where ``spent_at`` is given.
    kind : str
        ``obrien_fleming``: 4 (1 − Φ(z / √t)), z being the normal quantile of 1 − α/4; strict early. ``pocock``:
        α ln(1 + (e − 1) t).
    spent_at : sequence of float, optional
        Share of the plan that is over at each look, when that is not its share of the information.

    Raises
    ------
    UsageError
        When fractions do not rise, or a share spent lies outside (0, 1].
    """
    information = np.asarray(information_fractions, dtype=float)
    shares = information if spent_at is None else np.asarray(spent_at, dtype=float)
    if (np.diff(shares, prepend=0) <= 0).any() or (shares > 1 + 1e-9).any():
        raise UsageError(f"shares of a plan {shares.tolist()}", where="looks", fix="give rising ones up to 1")
    if kind == "pocock":
        spent = alpha * np.log1p((math.e - 1) * shares)
    else:
        spent = 4 * stats.norm.sf(stats.norm.isf(alpha / 4) / np.sqrt(shares))
    walk, bounds = _Walk(information), []
    for wanted in np.diff(spent, prepend=0):
        bound = _root(lambda bound, wanted=wanted: walk.beyond(bound) - wanted, 0.0, 40.0)
        walk.go_on(bound)
        bounds.append(bound)
    return np.array(bounds)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-12))  # pyright: ignore[reportArgumentType]


def pocock(n_looks: int, *, alpha: float = 0.05) -> np.ndarray:
    """Critical values of looks after equal steps of information, the same at each (Pocock 1977)."""
    return _classical(lambda shares: np.ones_like(shares), n_looks, alpha)


def obrien_fleming(n_looks: int, *, alpha: float = 0.05) -> np.ndarray:
    """Critical values of looks after equal steps of information, C √(K / k) at look k (O'Brien and Fleming 1979)."""
    return _classical(lambda shares: 1 / np.sqrt(shares), n_looks, alpha)


def _classical(shape: Callable[[np.ndarray], np.ndarray], n_looks: int, alpha: float) -> np.ndarray:
    shares = np.arange(1, n_looks + 1) / n_looks
    bounds = shape(shares)
    constant = _root(lambda constant: false_alarm(constant * bounds, shares) - alpha, 0.5, 20.0)
    return constant * bounds


def false_alarm(bounds: np.ndarray, information: np.ndarray) -> float:
    """Probability that an efficient estimate of no effect lies beyond its bound at one look or more.

    Parameters
    ----------
    bounds : numpy.ndarray
        In standard errors, shape (looks,).
    information : numpy.ndarray
        Of each look, rising, in any unit.
    """
    walk, found = _Walk(information), 0.0
    for bound in bounds:
        found += walk.beyond(bound)
        walk.go_on(bound)
    return found


class _Walk:
    """Density of an estimate over looks, in standard errors, on the paths within all bounds so far.

    Armitage, McPherson and Rowe (1969): z_k = √(v_{k−1}/v_k) z_{k−1} + √(1 − v_{k−1}/v_k) ε, integrated by
    Gauss–Legendre quadrature between the bounds.
    """

    def __init__(self, information: np.ndarray) -> None:
        kept = np.concatenate([[0.0], information[:-1] / information[1:]])
        if not (information > 0).all() or (kept >= 1).any():
            raise UsageError(
                f"information {np.round(information, 6).tolist()}", where="looks", fix="give rising values"
            )
        self._steps = iter(zip(np.sqrt(kept), np.sqrt(1 - kept), strict=True))
        self._places, self._mass = np.zeros(1), np.ones(1)
        self._carry, self._spread = next(self._steps)

    def beyond(self, bound: float) -> float:
        """Probability that the next look is the first beyond its bound."""
        moved = self._carry * self._places
        upper, lower = (special.ndtr((side * moved - bound) / self._spread) for side in (1, -1))
        return float(self._mass @ (upper + lower))

    def go_on(self, bound: float) -> None:
        """Take the next look, and keep the paths within its bound."""
        reach, carry, spread = min(bound, FARTHEST), self._carry, self._spread
        self._carry, self._spread = next(self._steps, (1.0, 1.0))
        batches = math.ceil(NODES_PER_SPREAD * reach / min(spread, self._spread) / BATCH)
        nodes, weights = _legendre(BATCH * batches)
        steps = (reach * nodes[:, None] - carry * self._places) / spread
        density = np.exp(-(steps**2) / 2) @ self._mass / (spread * math.sqrt(2 * math.pi))
        self._places, self._mass = reach * nodes, reach * weights * density


@functools.cache
def _legendre(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(n_nodes)
