"""How well marginal effects and parts of a difference are recovered: known populations, drawn again and again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.survey.decomposition import MeanParts, decompose_means
from analysis_lib.survey.design import Sample, SurveyDesign, read_sample
from analysis_lib.survey.driver_plan import Form
from analysis_lib.survey.mean_model import Step, average_effects, fit_mean, variances

STRATA, TOWNSHIPS, OFFICIALS = 6, 80, 25  # townships per stratum, officials per township
DRAWN_TOWNSHIPS = np.array([4, 5, 6, 7, 8, 10])  # by stratum, so that weights differ
DRAWN_OFFICIALS = 6
DESIGN = SurveyDesign(stratum="stratum", psu="township")
STEPS = [Step([1], None, np.ones(1)), Step([2], None, np.ones(1)), Step([3], np.zeros(1), np.ones(1))]
EFFECTS = ["one more meeting", "one more inspection", "leaders against staff"]
PARTS = ["composition", "composition of meetings", "rate", "whole change"]
LEVEL = 0.95


def certify(repetitions: int = 2000, seed: int = 20260101) -> pd.DataFrame:
    """Everything of this page in one table."""
    found = [recovered_effects(repetitions=repetitions, seed=seed), recovered_parts(repetitions=repetitions, seed=seed)]
    return pd.concat(found, ignore_index=True)


def recovered_effects(*, repetitions: int, seed: int = 20260101) -> pd.DataFrame:
    """Effects of both forms where the form is right: bias, coverage of the 95 % interval, se against spread."""
    frames = [_effects(form, repetitions, seed) for form in ("log", "identity")]
    return pd.concat(frames, ignore_index=True)


def recovered_parts(*, repetitions: int, seed: int = 20260102) -> pd.DataFrame:
    """Parts of the change between two quarters of a panel, against those of its whole population."""
    rng = np.random.default_rng(seed)
    population = _population(rng, "identity")
    later = _population(rng, "identity", like=population)
    y = np.concatenate([population.y, later.y])
    x = np.vstack([population.x, later.x])
    is_later = np.repeat([False, True], len(population.y))
    truth = _part_values(decompose_means(y, x, np.ones(len(y)), is_later))[0]
    found = []
    for chosen, weight, sample in _draws(rng, repetitions, quarters=2):
        both = np.concatenate([chosen, chosen + len(population.y)])
        parts = decompose_means(y[both], x[both], np.tile(weight, 2), is_later[both])
        values, scores = _part_values(parts)
        found.append(_row(values, np.sqrt(variances(sample, scores)), sample))
    return _summary("parts of a change", PARTS, truth, found, repetitions, seed)


class _Population:
    """Everybody: hours with many zeros and a long tail around a known mean that also differs by township."""

    def __init__(self, y: np.ndarray, x: np.ndarray, habit: np.ndarray) -> None:
        self.y, self.x, self.habit = y, x, habit


def _population(rng: np.random.Generator, form: Form, like: _Population | None = None, times: int = 1) -> _Population:
    n = STRATA * TOWNSHIPS * times * OFFICIALS
    stratum, township = np.repeat(np.arange(STRATA), n // STRATA), np.repeat(np.arange(n // OFFICIALS), OFFICIALS)
    if like is None:
        habit = rng.lognormal(-0.08, 0.4, n)
        leader = rng.random(n) < 0.2
        busy = rng.lognormal(-0.02, 0.2, n // OFFICIALS)[township]
    else:
        habit, leader, busy = like.habit, like.x[:, 3] > 0, 0.85
    meetings = rng.poisson((2 + 0.4 * stratum) * busy * np.where(leader, 1.5, 1))
    inspections = rng.poisson(1.5 * habit)
    x = np.column_stack([np.ones(n), meetings, inspections, leader]).astype(float)
    hours_per_meeting = 1.5 if like is None else 1.3
    mean = {"log": np.exp(x @ [1.6, 0.10, 0.06, -0.20]), "identity": x @ [4.0, hours_per_meeting, 0.6, -1.0]}[form]
    around = rng.lognormal(-0.02, 0.2, n // OFFICIALS)[township]
    takes_part = rng.random(n) < 0.85
    return _Population(mean * around * takes_part / 0.85 * rng.gamma(1.5, 1 / 1.5, n), x, habit)


def _draws(
    rng: np.random.Generator, repetitions: int, quarters: int = 1, times: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray, Sample]]:
    """Rows drawn, their weights, and the sample: townships by stratum, then officials by township."""
    there = TOWNSHIPS * times
    rows = np.arange(STRATA * there * OFFICIALS).reshape(STRATA, there, OFFICIALS)
    size = DRAWN_TOWNSHIPS * times * DRAWN_OFFICIALS
    stratum = np.repeat(np.arange(STRATA), size)
    weight = np.repeat(TOWNSHIPS / DRAWN_TOWNSHIPS * OFFICIALS / DRAWN_OFFICIALS, size)
    for _ in range(repetitions):
        chosen = np.concatenate(
            [
                rng.permuted(rows[place, rng.choice(there, count, replace=False)], axis=1)[:, :DRAWN_OFFICIALS]
                for place, count in enumerate(DRAWN_TOWNSHIPS * times)
            ]
        ).ravel()
        frame = pd.DataFrame({"stratum": stratum, "township": chosen // OFFICIALS, "weight": weight})
        yield chosen, weight, read_sample(pd.concat([frame] * quarters, ignore_index=True), DESIGN)


def _effects(form: Form, repetitions: int, seed: int) -> pd.DataFrame:
    truth, found = estimated_effects(form, repetitions, seed)
    return _summary(f"effects, {form} form", EFFECTS, truth, found, repetitions, seed)


def estimated_effects(
    form: Form, repetitions: int, seed: int, *, times: int = 1
) -> tuple[np.ndarray, list[np.ndarray]]:
    """True effects, and of each sample the effects, standard errors and half widths, shape (3, effects).

    ``times`` as many townships are there, and drawn.
    """
    rng = np.random.default_rng(seed)
    population = _population(rng, form, times=times)
    y, x = population.y, population.x
    truth, _ = average_effects(fit_mean(y, x, np.ones(len(y)), form), STEPS)
    found = []
    for chosen, weight, sample in _draws(rng, repetitions, times=times):
        effects, scores = average_effects(fit_mean(y[chosen], x[chosen], weight, form), STEPS)
        found.append(_row(effects, np.sqrt(variances(sample, scores)), sample))
    return truth, found


def _part_values(parts: MeanParts) -> tuple[np.ndarray, np.ndarray]:
    values = [parts.composition.sum(), parts.composition[1], parts.rate.sum(), parts.difference]
    composition, rate = parts.composition_scores.sum(axis=1), parts.rate_scores.sum(axis=1)
    return np.array(values), np.column_stack([composition, parts.composition_scores[:, 1], rate, composition + rate])


def _row(values: np.ndarray, se: np.ndarray, sample: Sample) -> np.ndarray:
    stage = sample.stages[0]
    df = len(stage.parent) - len(stage.sampled)
    return np.stack([values, se, stats.t.ppf((1 + LEVEL) / 2, df) * se])


def _summary(
    what: str, names: list[str], truth: np.ndarray, found: list[np.ndarray], repetitions: int, seed: int
) -> pd.DataFrame:
    values, se, half = np.stack(found, axis=1)
    spread = values.std(axis=0, ddof=1)
    return pd.DataFrame(
        {
            "what": [f"{what}: {name}" for name in names],
            "n": int((DRAWN_TOWNSHIPS * DRAWN_OFFICIALS).sum()),
            "repetitions": repetitions,
            "truth": truth,
            "bias": values.mean(axis=0) - truth,
            "bias_in_se": (values.mean(axis=0) - truth) / spread,
            "coverage": (np.abs(values - truth) <= half).mean(axis=0),
            "se_over_spread": np.sqrt((se**2).mean(axis=0)) / spread,
            "seed": seed,
        }
    )
