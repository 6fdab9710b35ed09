"""Accounts of a week: hours before and after, part by part, with one joint error.

Whatever is asked of an account is a linear combination a of the changes of its parts, so that parts that add up in value
add up in error::

    change of a part      δ = after − before                    Σ parts = change of the whole, exactly
    of a combination      a'δ, variance Σ_b |a'S_b|²            S_b: scores of block b
    degrees of freedom    (Σ_b |a'S_b|²)² / Σ_b (|a'S_b|⁴ / df_b)                     Satterthwaite (1946)

Between two periods there is one block: linearised scores of sampled work units (`survey.linearisation`), those of
calibration residuals where weights were calibrated. Of a reform, before is what there would have been without it, every
part has the same contrast of regions and periods (`effects.difference_in_differences`), and a block is a cohort of
regions.

Joint intervals hold for all parts of an account at once. They are those of the largest |t| among the parts (Hothorn,
Bretz and Westfall 2008): the level of each is taken from the joint distribution of their p values, given the correlation
of the parts. Parts of a week are few, and correlated because what one gains another loses: Bonferroni, which does not
know that, is wider, and Scheffé, which covers every combination, far wider. Where degrees of freedom are fewer than
parts their correlation is not known, and Bonferroni it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.effects.designs import Design
from analysis_lib.effects.inference import cohort_residuals, cohort_scores
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.rollout import measure_cells, reform_panels
from analysis_lib.effects.specification_curve import contrast, prepared
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.estimation import measured
from analysis_lib.survey.linearisation import Variable
from analysis_lib.time_use.activities import BURDEN, all_measures, read_classification

HOURS_PER_WEEK = 168.0
WORK, DAY, MEDIUM = "work", "day", "medium"
WORK_TIME, OUT_OF_HOURS, PARALLEL, COPING_ITEM = "work_time", "gross_out_of_hours", "parallel_digital", "coping"
OFFLINE, ONLINE = ("gross_on_paper", "gross_on_meeting_room"), ("gross_on_video", "gross_on_app", "gross_on_chat")
PENS, FINGERTIPS = ("document_on_paper", "form_on_paper"), ("form_on_app", "form_on_chat")
CUT = ("meeting", "document")  # groups that reforms of meetings and documents mean to cut
CUT_OUT_OF_HOURS = (
    "cut_out_of_hours"  # hours of these groups in evenings and on weekends, where the study measures them
)
COPING_WORK = ("activity_i1", "activity_d2", "group_for_show")  # evidence made up, reports drafted, study for show
EXACT = 1e-9  # hours that rounding leaves
SINGULAR = 1e-13  # share of the largest eigenvalue that rounding leaves
DRAWS, SEED = 100_000, 20264  # of the largest |t|: its level is then known to a hundredth of itself


@dataclass(frozen=True, slots=True)
class Partition:
    """How a whole is divided.

    Attributes
    ----------
    whole : str
        Measure that the parts add up to; empty for all the hours of a week.
    parts : tuple of str
        Measures; what none of them holds is a part of its own, ``rest``.
    """

    whole: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A change of hours with its interval."""

    estimate: float
    se: float
    df: float
    low: float
    high: float

    @property
    def p_value(self) -> float:
        """Two-sided, of no change."""
        return float(2 * stats.t.sf(abs(self.estimate) / self.se, self.df)) if self.se > 0 else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Hours before and after, by measure, with their joint error.

    Attributes
    ----------
    label : str
        Which reform, or what the change is called.
    period, region : str
        Of the estimates.
    keys : tuple of str
        K measures, in hours a week but for answers to items.
    partitions : dict of str to Partition
        ``work``, ``day`` (24 hours), ``medium``: those that the study measures.
    before, after : numpy.ndarray
        Means, shape (K,).
    blocks : list of tuple of numpy.ndarray and float
        Scores of the means before, then after, shape (2 K, scores), and the degrees of freedom of the block.
    most_df : float
        Degrees of freedom that no combination exceeds.
    n, n_psu : int
        Officials and work units behind it.
    confidence_level, smallest_change : float
        Of the intervals; and what matters, in hours a week.
    n_treated, n_comparison : float
        Regions with and without the reform; NaN of a change.
    cut : tuple of str
        Activity groups that were to be cut.
    burden : tuple of str
        Activity groups whose time is lost.
    """

    label: str
    period: str
    region: str
    keys: tuple[str, ...]
    partitions: dict[str, Partition]
    before: np.ndarray
    after: np.ndarray
    blocks: list[tuple[np.ndarray, float]] = field(repr=False)
    most_df: float
    n: int
    n_psu: int
    confidence_level: float
    smallest_change: float
    cut: tuple[str, ...]
    burden: tuple[str, ...]
    n_treated: float = math.nan
    n_comparison: float = math.nan

    def change(self, combination: Mapping[str, float]) -> Told:
        """The change of a sum of measures, each times its factor."""
        a = self._factors(combination)
        return self.told(np.array([a @ (self.after - self.before)]), np.hstack([-a, a])[None, :])[0]

    def total(self, keys: Sequence[str]) -> Told:
        """The change of the sum of measures."""
        return self.change(dict.fromkeys(keys, 1.0))

    def parts(self, name: str) -> pd.DataFrame:
        """The parts of a partition, then its whole, ready to draw.

        Returns
        -------
        pandas.DataFrame
            part, before, after (hours a week), before_se, after_se, estimate, se, df, ci_low, ci_high, joint_low,
            joint_high. Parts add up to ``whole``, which is none of those that the joint intervals are about.

        Raises
        ------
        UsageError
            When the study does not measure the partition.
        """
        if name not in self.partitions:
            raise UsageError(f"no account by {name!r}", where="account", fix=f"one of {sorted(self.partitions)}")
        partition, identity = self.partitions[name], np.eye(len(self.keys))
        rows = np.array([identity[self.keys.index(key)] for key in partition.parts])
        whole = self._factors({partition.whole: 1.0}) if partition.whole else np.zeros(len(self.keys))
        a = np.vstack([rows, whole - rows.sum(axis=0), whole])
        before, after = a @ self.before, a @ self.after
        if not partition.whole:  # all the hours of a week are as many after as before
            before[-2:], after[-2:] = before[-2:] + HOURS_PER_WEEK, after[-2:] + HOURS_PER_WEEK
        scores = self._scored(a)
        told = _told(after - before, scores, self)
        names = [*partition.parts, "rest", "whole"]
        has_rest = max(abs(before[-2]), abs(after[-2])) > EXACT
        kept = [place for place, each in enumerate(names) if each != "rest" or has_rest]
        among = [place for place in kept if names[place] != "whole" and told[place].se > EXACT]
        level = joint_level(
            correlation([block[among] for block, _ in scores]),
            self.confidence_level,
            df=min((told[place].df for place in among), default=math.inf),
        )
        frame = pd.DataFrame(
            {
                "part": names,
                "before": before,
                "after": after,
                "before_se": [each.se for each in self.told(before, np.hstack([a, 0 * a]))],
                "after_se": [each.se for each in self.told(after, np.hstack([0 * a, a]))],
                "estimate": [each.estimate for each in told],
                "se": [each.se for each in told],
                "df": [each.df for each in told],
                "ci_low": [each.low for each in told],
                "ci_high": [each.high for each in told],
            }
        )
        reach = frame["se"] * stats.t.ppf((1 + level) / 2, frame["df"])
        reach = reach.mask(frame["part"] == "whole")
        frame = frame.assign(joint_low=frame["estimate"] - reach, joint_high=frame["estimate"] + reach)
        return frame.iloc[kept].reset_index(drop=True)

    def told(self, estimates: np.ndarray, slopes: np.ndarray) -> list[Told]:
        """Errors and intervals of functions of the means, by their derivatives (delta method).

        Parameters
        ----------
        estimates : numpy.ndarray
            Shape (functions,).
        slopes : numpy.ndarray
            By the means before, then after, shape (functions, 2 K).
        """
        return _told(estimates, [(slopes @ scores, df) for scores, df in self.blocks], self)

    def _factors(self, combination: Mapping[str, float]) -> np.ndarray:
        a = np.zeros(len(self.keys))
        for key, factor in combination.items():
            if key not in self.keys:
                raise UsageError(f"{key!r} is not in the account", where="account", fix="measure it in the study")
            a[self.keys.index(key)] += factor
        return a

    def _scored(self, a: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Scores of combinations of changes, shape (combinations, scores), by block."""
        return [(np.hstack([-a, a]) @ scores, df) for scores, df in self.blocks]


def account_of_change(
    official_quarters: pd.DataFrame,
    *,
    study: Study,
    earlier: Sequence[str],
    later: Sequence[str],
    label: str,
    region: str = NATION,
    cut: Sequence[str] = CUT,
) -> Account:
    """How the week changed between two periods; nothing says why.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    earlier, later : sequence of str
        Quarters of the two periods; of like seasons, or the account is also one of seasons.
    region : str
        Whose week.
    cut : sequence of str
        Activity groups that were to be cut.

    Raises
    ------
    UsageError
        When a period is empty, both share a quarter, or a measure of the account was not asked in one of them.
    """
    if set(earlier) & set(later) or not (earlier and later):
        raise UsageError("two periods without a common quarter are needed", where=label, fix="name other quarters")
    rows = official_quarters[official_quarters["quarter"].isin([*earlier, *later])].reset_index(drop=True)
    keys, partitions = _measures_of(study, rows)
    variables = measured(rows, keys, study=study)
    inside = np.ones(len(rows), dtype=bool)
    if region != NATION:
        inside = (rows[str(study.regions.at[region, "level"])] == region).to_numpy()
    is_later = rows["quarter"].isin(later).to_numpy()
    sides = [inside & ~is_later, inside & is_later]
    kept = [key for key in keys if all((variables[key].weight[side] > 0).any() for side in sides)]
    who = {key: (variables[key].weight > 0)[inside] for key in keys}
    partitions = _of_the_same_people(partitions, who, label)
    found = [_mean_and_scores(variables[key], side) for side in sides for key in kept]
    means = np.array([mean for mean, _ in found])
    sample = read_sample(rows, SurveyDesign.of_study(study))
    covariance = sample.covariance(np.column_stack([scores for _, scores in found]))
    described = [side & (variables[WORK_TIME].weight > 0) for side in sides]
    units = np.unique(sample.psu[described[0] | described[1]])
    df = len(units) - len(np.unique(sample.stages[0].parent[units]))
    settings = study.config.estimation
    return Account(
        label=label, period=f"{_span(earlier)}→{_span(later)}", region=region, keys=tuple(kept), partitions=partitions,
        before=means[: len(kept)], after=means[len(kept) :], blocks=[(_root(covariance), float(df))], most_df=math.inf,
        n=int(min(side.sum() for side in described)),
        n_psu=int(min(len(np.unique(sample.psu[side])) for side in described)),
        confidence_level=settings.confidence_level, smallest_change=settings.smallest_change, cut=tuple(cut),
        burden=tuple(read_classification(study).burden_groups),
    )  # fmt: skip


def account_of_reform(
    official_quarters: pd.DataFrame, design: Design, *, study: Study, quarters: Sequence[str]
) -> Account:
    """What a reform did to each part of the week, on average over officials and quarters in force.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    design : Design
        How the reform is judged (`effects.designs.settle_designs`); every part is, in that way.

    Raises
    ------
    DesignError
        When no regions can be compared: take `account_of_change` of the quarters before and after.

    Notes
    -----
    Other reforms that mean to cut any of the hours are taken out of every part alike, so that effects add up; the
    effect on a part can so differ a little from that on the same measure assessed by itself. Intervals are those of
    cohorts of regions also where few regions make them wide.
    """
    if design.is_for_all_at_once:
        raise DesignError("it came to all at once", where=design.reform.id, fix="take an account of the change since")
    level, reform = design.reform.level, design.reform
    rows = official_quarters[official_quarters["quarter"].isin(quarters)]
    keys, partitions = _measures_of(study, rows)
    cells = measure_cells(rows, keys, study=study, level=level, quarters=list(quarters))
    panels = reform_panels(cells, [WORK_TIME], reform, study=study, others=read_reforms(study))
    if WORK_TIME not in panels:
        raise DesignError("it was not asked in the same quarters everywhere", where=f"{reform.id}, {WORK_TIME}",
                          fix="take an account of the change since")  # fmt: skip
    panel = prepared(panels[WORK_TIME], design.way)
    effect = contrast(panel, design.way).weights[0]
    at = np.ix_(
        [cells.regions.index(name) for name in panel.regions], [cells.quarters.index(name) for name in panel.periods]
    )
    values = {key: cells.means[key].values[at] for key in keys}
    kept = [key for key in keys if np.isfinite(values[key]).all()]
    partitions = _of_the_same_people(partitions, {key: cells.means[key].people[at] for key in keys}, reform.id)
    before, after, blocks = contrasted({key: values[key] for key in kept}, panel, effect)
    return Account(
        label=reform.id, period=f"{panel.periods[0]}–{panel.periods[-1]}", region=NATION, keys=tuple(kept),
        partitions=partitions, before=before, after=after, blocks=blocks,
        most_df=float(cohort_residuals(panel)[1].sum()), n=panel.n, n_psu=design.n_units,
        confidence_level=design.confidence_level,
        smallest_change=reform.smallest_change or study.config.estimation.smallest_change, cut=reform.groups,
        burden=tuple(read_classification(study).burden_groups), n_treated=float(panel.is_ever.sum()),
        n_comparison=float((~panel.is_ever).sum()),
    )  # fmt: skip


def contrasted(
    values: Mapping[str, np.ndarray], panel: Panel, effect: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, float]]]:
    """Means of measures without a reform and with it, over regions and periods in force, and their scores by cohort.

    Parameters
    ----------
    values : mapping of str to numpy.ndarray
        Means of each measure by region and period, shape (R, T).
    panel : Panel
        The rollout; its own values are not read.
    effect : numpy.ndarray
        Weights of the contrast that is the effect, shape (R, T): those of cells in force add up to one.

    Raises
    ------
    DesignError
        When nothing tells chance from effect.
    """
    inside = np.where(panel.in_force, effect, 0.0)
    weights = np.stack([inside - effect, inside])
    means = np.array([np.tensordot(weights, each, 2) for each in values.values()])
    scored = [cohort_scores(weights, replace(panel, values=each, sampling=None)) for each in values.values()]
    if not scored[0]:
        raise DesignError("no two regions began together, so nothing tells chance from effect", where="account",
                          fix="take an account of the change since")  # fmt: skip
    blocks = [
        (np.vstack([of_measure[place][0][side] for side in (0, 1) for of_measure in scored]), scored[0][place][1])
        for place in range(len(scored[0]))
    ]
    return means[:, 0], means[:, 1], blocks


# -- errors -------------------------------------------------------------------------------------------


def joint_level(correlation: np.ndarray, confidence_level: float, *, df: float = math.inf) -> float:
    """Level at which each of several intervals holds so that all hold at the confidence level.

    Parameters
    ----------
    correlation : numpy.ndarray
        Of the estimates, shape (k, k); may be singular, as that of parts of a fixed whole is.
    df : float
        Degrees of freedom behind it.
    """
    k = len(correlation)
    if k <= 1:
        return confidence_level
    if df < k:
        return 1 - (1 - confidence_level) / k
    z = np.random.default_rng(SEED).standard_normal((DRAWS, k)) @ _root(correlation).T
    largest = np.quantile(np.abs(z).max(axis=1), confidence_level)
    return float(1 - 2 * stats.norm.sf(largest))


def _told(estimate: np.ndarray, scored: list[tuple[np.ndarray, float]], account: Account) -> list[Told]:
    """Estimates with their errors, Satterthwaite's degrees of freedom and intervals."""
    variances = np.array([(scores**2).sum(axis=1) for scores, _ in scored])
    degrees = np.array([df for _, df in scored])[:, None]
    total, spread = variances.sum(axis=0), (variances**2 / degrees).sum(axis=0)
    df = np.divide(total**2, spread, out=np.full(len(total), degrees.min()), where=spread > 0)
    df, se = np.minimum(df, account.most_df), np.sqrt(total)
    reach = stats.t.ppf((1 + account.confidence_level) / 2, df) * se
    columns = (estimate, se, df, estimate - reach, estimate + reach)
    return [Told(*(float(value) for value in row)) for row in zip(*columns, strict=True)]


def correlation(blocks: list[np.ndarray]) -> np.ndarray:
    """Correlation of combinations, shape (k, k), from their scores in each block, shape (k, scores)."""
    covariance = sum((scores @ scores.T for scores in blocks), np.zeros((len(blocks[0]), len(blocks[0]))))
    se = np.sqrt(np.diag(covariance))
    return covariance / np.outer(se, se)


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R' the covariance, also where that is singular: what rounding leaves of a zero is taken out."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.where(values > SINGULAR * values.max(initial=0.0), values, 0.0))


# -- how accounts are made ----------------------------------------------------------------------------


def _measures_of(study: Study, rows: pd.DataFrame) -> tuple[list[str], dict[str, Partition]]:
    """What an account of a study holds, and how it is divided."""
    known, classification = all_measures(study), read_classification(study)
    groups = {key: f"group_{key}" for key in classification.groups.index if f"group_{key}" in known}
    personal = [groups[key] for key in groups if classification.groups.at[key, "kind"] == "personal"]
    at_work = tuple(key for key in groups.values() if key not in personal)
    if not at_work:
        raise UsageError("no activity group of work", where="activities.csv", fix="name the groups of work")
    if WORK_TIME not in known:
        raise UsageError("no total to divide", where="measures.toml", fix=f"define the measure {WORK_TIME}")
    partitions = {WORK: Partition(WORK_TIME, at_work)}
    if personal:
        partitions[DAY] = Partition("", (*at_work, *personal))
    # A medium that nobody named, as the unsaid one where every diary says it, would be a row of zeros.
    media = tuple(key for key in known if key.startswith("gross_on_") and key in rows.columns and rows[key].gt(0).any())
    if media:
        others = [groups[key] for key in groups if classification.groups.at[key, "kind"] != BURDEN]
        partitions[MEDIUM] = Partition(WORK_TIME, (*media, *(key for key in others if key in at_work)))
    beside = [
        *PENS, *FINGERTIPS, CUT_OUT_OF_HOURS, OUT_OF_HOURS, PARALLEL, COPING_ITEM, *COPING_WORK,
    ]  # fmt: skip
    return list(
        dict.fromkeys([WORK_TIME, *at_work, *personal, *media, *(key for key in beside if key in known)])
    ), partitions


def _of_the_same_people(
    partitions: Mapping[str, Partition], who: Mapping[str, np.ndarray], label: str
) -> dict[str, Partition]:
    """Partitions whose parts all describe those whom total work time describes: means of others would not add up.

    Raises
    ------
    UsageError
        When not even the hours of work do.
    """
    apart = sorted(key for key in who if not np.array_equal(who[key], who[WORK_TIME]))
    kept = {name: each for name, each in partitions.items() if not set(each.parts) & set(apart)}
    if WORK not in kept:
        named = [key for key in apart if key in partitions[WORK].parts]
        raise UsageError(f"{named} were not asked throughout", where=label, fix="choose periods in which they were")
    return kept


def _mean_and_scores(variable: Variable, side: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean over one side of a change, and the linearised score of every row."""
    w = np.where(side, variable.weight, 0.0)
    mean = float(w @ variable.y / w.sum())
    u = np.where(w > 0, (variable.y - mean) / w.sum(), 0.0)
    if variable.calibration is None:
        return mean, w * u
    return mean, variable.calibration.weights * variable.calibration.residuals(u[:, None])[:, 0]


def _span(quarters: Sequence[str]) -> str:
    first, last = min(quarters), max(quarters)
    return first if first == last else f"{first}–{last}"
