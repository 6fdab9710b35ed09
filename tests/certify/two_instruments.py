"""Two instruments, one estimate: populations with a known truth, drawn again and again.

Errs: a population whose memory errs differently by tier and by hours, and whose gaps follow the hours. Demonstration:
the officials of the simulated study, through its own questionnaire and diary days. ``gain`` is how much smaller the
spread of the combined estimate is than that of the diaries alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sample_study import STUDY_TOML, write_study

from analysis_lib.ingest.simulate.diaries import draw_day
from analysis_lib.ingest.simulate.hours import BURDEN_CODES, TrueWeeks, live_quarter, settle_habits
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.recall import answer_questionnaire
from analysis_lib.ingest.simulate.scenarios import find_scenario
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate, estimate_change

DEMONSTRATION = Path(__file__).resolve().parents[2] / "data"
QUARTERS = ["2025Q4", "2026Q1"]
COUNTIES = ["C0101", "C0102", "C0201", "C0202"]
TOWNSHIPS, OFFICIALS = 60, 30  # townships per county, officials per township
DRAWN_TOWNSHIPS = np.array([10, 12, 15, 20])  # by county, so that weights differ
DRAWN_OFFICIALS, DRAWN_DIARIES = 9, 4
TIERS = ["county", "township", "village"]
MEMORY = np.array([1.20, 0.95, 0.75])  # recalled by true hours, by tier
ON_WEEKDAYS = 0.87
STANDARD_WEEK = 40.0
OF_HOURS = ["recall_gross", "gross", "gross_combined", "excess", "excess_combined"]
OF_RATIOS = ["gross_share", "gross_share_combined", "gross_fte", "gross_fte_combined"]
PERIODS = {"quarter": QUARTERS[1:], "year": QUARTERS}
Truth = dict[tuple[str, ...], float]  # by measure, region, category and period


def certify(repetitions: int = 500, seed: int = 20263) -> pd.DataFrame:
    """Both worlds, a row per measure and domain."""
    with tempfile.TemporaryDirectory() as folder:
        study = write_study(Path(folder) / "study", study_toml=STUDY_TOML + 'categories = ["tier"]\n')
        errs = where_memory_errs(study, repetitions=repetitions, seed=seed)
    worlds = {"errs": errs, "demonstration": in_the_demonstration(repetitions=repetitions, seed=seed + 2)}
    tables = [table.assign(what=f"{name}: " + table["what"]) for name, table in worlds.items()]
    return pd.concat(tables, ignore_index=True).drop(columns=["measure", "region", "category", "period"])


def where_memory_errs(
    study: Study,
    *,
    repetitions: int,
    seed: int = 20263,
    keys: Sequence[str] = (*OF_HOURS, *OF_RATIOS),
    periods: Sequence[str] = tuple(PERIODS),
) -> pd.DataFrame:
    """Bias, coverage and gain of combined estimates where memory errs by tier and by hours.

    Parameters
    ----------
    study : Study
        A study with the measures of the demonstration, tiers, and the four counties of `COUNTIES` in two provinces.

    Returns
    -------
    pandas.DataFrame
        A row per measure and domain, as `summary` has it.
    """
    population = _population(np.random.default_rng(seed))
    truth = _truths(population)
    found = []
    for draw in _draws(population, repetitions, seed + 1):
        levels = estimate(
            draw, list(keys), study=study, periods={label: PERIODS[label] for label in periods},
            regions=[NATION, "P01"], by=["", "tier"],
        )  # fmt: skip
        change = estimate_change(
            draw, ["gross", "gross_combined"], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="change",
            regions=[NATION], by=[""],
        )  # fmt: skip
        found.append(pd.concat([levels, change], ignore_index=True))
    return summary(found, truth, seed=seed)


def in_the_demonstration(*, repetitions: int, seed: int = 20265) -> pd.DataFrame:
    """The same for the officials of the demonstration: two diary days that scatter widely, recall as simulated."""
    world = World(Study.open(DEMONSTRATION), seed)
    found = [
        estimate(
            frame, OF_HOURS, study=world.study,
            periods={"quarter": [str(world.quarter)]}, regions=[NATION], by=["", "tier"],
        )
        for frame in world.draws(repetitions, seed + 1)
    ]  # fmt: skip
    return summary(found, world.truth(), seed=seed)


def summary(found: list[pd.DataFrame], truth: Truth, *, seed: int) -> pd.DataFrame:
    """How estimates did against the truth, by measure, region, category and period.

    Returns
    -------
    pandas.DataFrame
        ``what``, ``n`` (diaries, or respondents), ``repetitions``, ``truth``, ``bias``, ``bias_in_se`` (the bias by its
        own simulation error), ``coverage`` of 95 % intervals, ``se`` (root mean square), ``se_by_spread``, ``gain``
        (how much smaller the spread is than the diaries'), ``seed``.
    """
    key = ["measure", "region", "category", "period"]
    rows = []
    for names, one in pd.concat(found).groupby(key, sort=False):
        if (value := truth.get(tuple(map(str, names)))) is None:
            continue
        spread, se = float(one["estimate"].std()), float(np.sqrt((one["se"] ** 2).mean()))
        covered = (one["ci_low"] <= value) & (value <= one["ci_high"])
        bias = float(one["estimate"].mean() - value)
        rows.append(
            {
                **dict(zip(key, names, strict=True)),
                "n": round(one["n"].mean()), "repetitions": len(one), "truth": value, "bias": bias,
                "bias_in_se": bias / spread * np.sqrt(len(one)), "coverage": float(covered.mean()), "se": se,
                "spread": spread, "se_by_spread": se / spread,
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    combined = table["measure"].str.endswith("_combined")
    alone = table.assign(measure=table["measure"] + "_combined").set_index(key)["spread"]
    gain = 1 - table["spread"] / table[key].merge(alone.rename("alone"), on=key, how="left")["alone"]
    what = table[key].replace({"category": {"": "all"}}).agg(" · ".join, axis=1)
    return table.assign(what=what, gain=gain.where(combined), seed=seed)[
        ["what", *key, "n", "repetitions", "truth", "bias", "bias_in_se", "coverage", "se", "se_by_spread", "gain", "seed"]
    ]  # fmt: skip


# -- a population whose memory errs -------------------------------------------------------------------


def _population(rng: np.random.Generator) -> pd.DataFrame:
    """Officials of alike townships of unlike counties, true hours in two quarters."""
    county = np.repeat(np.arange(len(COUNTIES)), TOWNSHIPS * OFFICIALS)
    township = np.repeat(np.arange(len(COUNTIES) * TOWNSHIPS), OFFICIALS)
    tier = rng.integers(0, len(TIERS), len(county))
    level = 22 + 2 * county + 2.0 * tier + rng.normal(0, 2.5, len(COUNTIES) * TOWNSHIPS)[township]
    before = level * rng.gamma(12, 1 / 12, len(county))
    after = 0.92 * before * rng.gamma(60, 1 / 60, len(county))
    return pd.DataFrame(
        {
            "county": np.array(COUNTIES)[county],
            "township": [f"t{number}" for number in township],
            "tier": np.array(TIERS)[tier],
            QUARTERS[0]: before,
            QUARTERS[1]: after,
            "rest": rng.gamma(25, 1.0, len(county)),
            "acceptable": 0.75 * before * rng.gamma(30, 1 / 30, len(county)),
        }
    )


def _truths(population: pd.DataFrame) -> Truth:
    before, after = (population[quarter] for quarter in QUARTERS)
    excess = (after - population["acceptable"]).clip(lower=0)
    in_province = population["county"].str.startswith("C01")
    domains = {(NATION, ""): before > 0, ("P01", ""): in_province}
    domains |= {(NATION, tier): population["tier"] == tier for tier in TIERS}
    truth: Truth = {}
    for domain, rows in domains.items():
        values = {
            "gross": after[rows].mean(),
            "excess": excess[rows].mean(),
            "gross_share": after[rows].sum() / (after + population["rest"])[rows].sum(),
            "gross_fte": after[rows].sum() / STANDARD_WEEK,
        }
        for measure, value in values.items():
            truth[(measure, *domain, "quarter")] = truth[(f"{measure}_combined", *domain, "quarter")] = value
        truth[("recall_gross", *domain, "quarter")] = values["gross"]
        for measure in ("gross", "gross_combined"):
            truth[(measure, *domain, "year")] = (before[rows].mean() + after[rows].mean()) / 2
    for measure in ("gross", "gross_combined"):
        truth[(measure, NATION, "", "change")] = after.mean() - before.mean()
    return truth


def _draws(population: pd.DataFrame, repetitions: int, seed: int) -> Iterator[pd.DataFrame]:
    """A panel in two quarters: townships by county, officials by township, diaries of some of them each quarter."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(population)).reshape(len(COUNTIES), TOWNSHIPS, OFFICIALS)
    for _ in range(repetitions):
        chosen = [
            rng.permuted(rows[county, rng.permutation(TOWNSHIPS)[:drawn]], axis=1)[:, :DRAWN_OFFICIALS].ravel()
            for county, drawn in enumerate(DRAWN_TOWNSHIPS)
        ]
        panel = population.iloc[np.concatenate(chosen)].reset_index(drop=True)
        drawn = panel["county"].map(dict(zip(COUNTIES, DRAWN_TOWNSHIPS, strict=True)))
        panel = panel.assign(weight=TOWNSHIPS / drawn * OFFICIALS / DRAWN_OFFICIALS)
        yield pd.concat([_surveyed(panel, quarter, rng) for quarter in QUARTERS], ignore_index=True)


def _surveyed(panel: pd.DataFrame, quarter: str, rng: np.random.Generator) -> pd.DataFrame:
    hours, size = panel[quarter].to_numpy(), len(panel)
    tier = panel["tier"].map({name: number for number, name in enumerate(TIERS)}).to_numpy()
    has_diary = pd.Series(rng.random(size)).groupby(panel["township"].to_numpy()).rank().to_numpy() <= DRAWN_DIARIES
    # Days scatter around the week; some weekends are free.
    on_weekdays = ON_WEEKDAYS * hours * rng.gamma(14, 1 / 14, size)
    on_weekends = (1 - ON_WEEKDAYS) * hours * (rng.random(size) < 0.65) / 0.65 * rng.gamma(8, 1 / 8, size)
    gross = np.where(has_diary, on_weekdays + on_weekends, np.nan)
    rest = np.where(has_diary, panel["rest"] * rng.gamma(40, 1 / 40, size), np.nan)
    memory = MEMORY[tier] * (1 + 0.008 * (hours - 25))
    recalled = np.round(2 * hours * memory * rng.gamma(40, 1 / 40, size)) / 2
    forgets = rng.random(size) < np.clip(0.02 + 0.004 * hours, 0, 0.3)  # the busy leave out more
    work = np.round((hours * memory + panel["rest"]) * rng.gamma(150, 1 / 150, size))
    acceptable = panel["acceptable"].to_numpy()
    return pd.DataFrame(
        {
            "respondent_id": np.arange(size).astype(str), "quarter": quarter, "region": panel["county"],
            "province": "P" + panel["county"].str[1:3], "county": panel["county"], "tier": panel["tier"],
            "stratum": panel["county"], "psu": panel["township"], "weight": panel["weight"],
            "diary_weight": np.where(has_diary, panel["weight"] * DRAWN_OFFICIALS / DRAWN_DIARIES, np.nan),
            "has_diary": has_diary, "gross": gross, "work_time": gross + rest,
            "gross_on_weekdays": np.where(has_diary, on_weekdays, np.nan),
            "gross_on_weekends": np.where(has_diary, on_weekends, np.nan),
            "excess": np.maximum(0, gross - acceptable), "acceptable": acceptable,
            "recall_gross": np.where(forgets, np.nan, recalled), "recall_work_time": work,
        }
    )  # fmt: skip


# -- the officials of the demonstration ---------------------------------------------------------------


class World:
    """Two quarters of the simulator's population, without non-response or dirt."""

    def __init__(self, study: Study, seed: int) -> None:
        self.study, self.scenario, self.quarter = study, find_scenario("a"), Quarter(2026, 1)
        self.frame = whole_frame(study, seed=seed)
        habits = settle_habits(self.frame, seed=seed)
        self.two_before, self.before, self.now = (
            live_quarter(self.frame, habits, self.quarter.shift(-ago), scenario=self.scenario, reforms=[], seed=seed)
            for ago in (2, 1, 0)
        )

    def truth(self) -> Truth:
        hours = {"gross": self.now.gross, "excess": np.maximum(0, self.now.gross - self.now.acceptable)}
        hours |= {f"{measure}_combined": values for measure, values in hours.items()} | {"recall_gross": hours["gross"]}
        rows = {"": np.ones(len(self.frame), dtype=bool)}
        rows |= {tier: (self.frame["tier"] == tier).to_numpy() for tier in TIERS}
        return {
            (measure, NATION, tier, "quarter"): float(values[inside].mean())
            for measure, values in hours.items()
            for tier, inside in rows.items()
        }

    def draws(self, repetitions: int, seed: int, *, both_quarters: bool = False) -> Iterator[pd.DataFrame]:
        """Samples of the quarter, or of it after the one before it: three in four of the panel are in both."""
        first = self.quarter.shift(-1) if both_quarters else self.quarter
        weeks = [(self.two_before, self.before), (self.before, self.now)][0 if both_quarters else 1 :]
        for repetition in range(repetitions):
            rng = np.random.default_rng([seed, repetition])
            # The simulator's panel slides over a fixed order of officials: another order in every draw.
            luck = pd.Series(rng.random(len(self.frame))).groupby([self.frame["psu"], self.frame["tier"]])
            frame = self.frame.assign(place=luck.rank().astype("int64") - 1)
            luck_of_panel = int(rng.integers(2**31))
            yield pd.concat(
                [
                    self._surveyed(draw_sample(frame, now.quarter, first=first, seed=luck_of_panel), before, now, rng)
                    for before, now in weeks
                ],
                ignore_index=True,
            )

    def _surveyed(
        self, panel: pd.DataFrame, before: TrueWeeks, now: TrueWeeks, rng: np.random.Generator
    ) -> pd.DataFrame:
        answers = answer_questionnaire(panel, now, before, scenario=self.scenario, rng=rng)
        has_diary = panel["has_diary_task"].to_numpy()
        parts = {}
        for day_type, days in (("weekday", 5), ("weekend", 2)):
            hours = np.full(len(panel), np.nan)
            hours[has_diary] = days * _lost_on(now, panel.index.to_numpy()[has_diary], day_type, rng)
            parts[f"gross_on_{day_type}s"] = hours
        gross = parts["gross_on_weekdays"] + parts["gross_on_weekends"]
        acceptable = answers["acceptable_hours"].to_numpy(float)
        recalled = answers[[f"{group}_hours" for group in ("meeting", "document", "form", "inspection", "digital")]]
        return panel.reset_index(drop=True).assign(
            quarter=str(now.quarter), weight=panel["base_weight"].to_numpy(),
            diary_weight=panel["diary_base_weight"].to_numpy(), has_diary=has_diary, gross=gross,
            excess=np.maximum(0, gross - acceptable), acceptable=acceptable,
            recall_gross=recalled.sum(axis=1).to_numpy(), recall_work_time=answers["work_hours"].to_numpy(float),
            **parts,
        )  # fmt: skip


def _lost_on(weeks: TrueWeeks, officials: np.ndarray, day_type: str, rng: np.random.Generator) -> np.ndarray:
    """Hours lost on a diary day of each official."""
    day = draw_day(weeks, officials, day_type, rounded_to=None, moved=0.0, rng=rng)
    lost = day["activity"].isin(BURDEN_CODES) | (day["activity"].eq("T1") & day["is_for_show"])
    hours = (day["end"] - day["start"]) / 60 * lost
    return np.bincount(day["row"], hours, minlength=len(officials))
