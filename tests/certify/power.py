"""How large a change, difference or effect must be to be found, with samples like those of the demonstration.

Found: a nominal 95 % interval excludes no difference, on the side where the difference lies. Sizes are hours a week,
those of the list experiment shares; half an hour is the smallest change that matters to the study. Samples are drawn
once and their intervals shifted by each size, since hours added alike for all concerned move an estimate and both
bounds by just that much (list experiment: nearly so). The quarters have about 790 diaries and 1,740 answers each, and
three in four people in common. By both intervals: as pages have it, which call a county higher or lower only where its
interval and the nation's lie apart. A small area is one whose hours the model describes, against a level given
beforehand; where an area is unlike what the model expects, its model estimate finds less.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from certify import bottom_up, drivers, list_experiment, small_areas
from certify.two_instruments import DEMONSTRATION, World

from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.survey.linearisation import t_interval

SIZES = (0.5, 2.0)  # hours a week
SIZES_OF_SHARES = (0.05, 0.15)
INSTRUMENTS = {"gross": "diaries alone", "gross_combined": "combined"}
AS_MANY = {"drivers": 3, "bottom-up": 4}  # times the sample of the section of that name: about 720 and 768 diaries
MODEL_VARIANCE = 3.0
LEVEL = 0.95


def certify(repetitions: int = 400, seed: int = 20266) -> pd.DataFrame:
    """Chance to find differences of given sizes, and the size found four times in five, for each kind of estimate.

    ``n`` are the diaries of the smaller quarter, of a county, of an area; in the list experiment, its respondents.
    """
    tables = [
        _changes_and_counties(repetitions, seed),
        _drivers(5 * repetitions, seed + 1),
        _list_experiment(5 * repetitions, seed + 2),
        _small_areas(5 * repetitions, seed + 3),
        _bottom_up(repetitions, seed + 4),
    ]
    return pd.concat(tables, ignore_index=True)


def _power(
    what: str, *, n: float, repetitions: int, error: np.ndarray, half: np.ndarray, sizes: tuple[float, ...], seed: int
) -> pd.DataFrame:
    """A row per size, from errors of estimates and half the widths of their intervals, of any one shape.

    The interval about truth + error reaches ``half`` to both sides: a difference upwards is found from half − error
    on, one downwards from half + error on. Both ways count alike.
    """
    found_from = np.concatenate([(half - error).ravel(), (half + error).ravel()])
    rows = [
        {
            "what": what,
            "n": round(n),
            "repetitions": repetitions,
            "size": size,
            "power": float((found_from < size).mean()),
            "size_for_80_percent": float(np.quantile(found_from, 0.8)),
            "seed": seed,
        }
        for size in sizes
    ]
    return pd.DataFrame(rows)


# -- the panel of the demonstration -------------------------------------------------------------------


def _changes_and_counties(repetitions: int, seed: int) -> pd.DataFrame:
    """Changes between two quarters, and counties in the later one."""
    world = World(Study.open(DEMONSTRATION), seed)
    counties = sorted(world.frame["region"].unique())
    earlier, later = str(world.quarter.shift(-1)), str(world.quarter)
    changes, levels, shares = [], [], []
    for frame in world.draws(repetitions, seed + 100, both_quarters=True):
        changes.append(
            estimate_change(
                frame, list(INSTRUMENTS), study=world.study, earlier=[earlier], later=[later], label="change",
                regions=[NATION],
            )
        )  # fmt: skip
        now = frame[frame["quarter"] == later].assign(county=lambda rows: rows["region"])
        levels.append(
            estimate(
                now, list(INSTRUMENTS), study=world.study, periods={"quarter": [later]}, regions=[NATION, *counties]
            )
        )
        weight = now.groupby("region")["diary_weight"].sum()
        shares.append((weight / weight.sum()).loc[counties].to_numpy())
    change, level = (pd.concat(frames).set_index(["measure", "region"]) for frames in (changes, levels))
    return pd.concat(
        [
            _of_instrument(key, name, change.loc[key], level.loc[key], np.array(shares), counties, world, seed)
            for key, name in INSTRUMENTS.items()
        ]
    )


def _of_instrument(
    key: str,
    name: str,
    change: pd.DataFrame,
    level: pd.DataFrame,
    share: np.ndarray,
    counties: list[str],
    world: World,
    seed: int,
) -> pd.DataFrame:
    now, before = (pd.Series(weeks.gross) for weeks in (world.now, world.before))
    asked = {"repetitions": len(change), "sizes": SIZES, "seed": seed}
    error = change["estimate"].to_numpy() - (now.mean() - before.mean())
    changes = _power(
        f"change between two quarters of the panel, {name}",
        n=change["n"].mean(), error=error, half=_half(change), **asked,
    )  # fmt: skip
    national, of_county = level.loc[[NATION]], level.drop(index=NATION)
    by_county = {
        column: of_county[column].to_numpy(float).reshape(len(national), len(counties))
        for column in ("estimate", "se", "df", "ci_low", "ci_high", "n")
    }
    truth = now.groupby(world.frame["region"].to_numpy()).mean().loc[counties].to_numpy() - now.mean()
    error = by_county["estimate"] - national[["estimate"]].to_numpy(float) - truth
    # Counties are strata: of the nation's variance a county contributes its own, by the square of its share.
    variance = (1 - 2 * share) * by_county["se"] ** 2 + national[["se"]].to_numpy(float) ** 2
    low, high = t_interval(np.zeros_like(error), np.sqrt(variance), by_county["df"], LEVEL)
    apart = (by_county["ci_high"] - by_county["ci_low"]) / 2 + _half(national)[:, None]
    asked["n"] = by_county["n"].mean()
    return pd.concat(
        [
            changes,
            _power(f"a county against the nation, {name}", error=error, half=(high - low) / 2, **asked),
            _power(f"a county against the nation by both intervals, {name}", error=error, half=apart, **asked),
        ]
    )


def _half(rows: pd.DataFrame) -> np.ndarray:
    return (rows["ci_high"] - rows["ci_low"]).to_numpy(float) / 2


# -- the worlds of other sections ---------------------------------------------------------------------


def _drivers(repetitions: int, seed: int) -> pd.DataFrame:
    times = AS_MANY["drivers"]
    truth, found = drivers.estimated_effects("identity", repetitions, seed, times=times)
    values, _, half = np.stack(found, axis=1)
    n = float((drivers.DRAWN_TOWNSHIPS * drivers.DRAWN_OFFICIALS).sum() * times)
    return pd.concat(
        [
            _power(
                f"effect of a driver: {name}", n=n, repetitions=repetitions, error=values[:, place] - truth[place],
                half=half[:, place], sizes=SIZES, seed=seed,
            )
            for place, name in enumerate(drivers.EFFECTS)
        ]
    )  # fmt: skip


def _list_experiment(repetitions: int, seed: int) -> pd.DataFrame:
    truth, found = list_experiment.estimated("as assumed", repetitions, seed)
    asked = {"hidden": "hidden share against none", "combined": "share against a given one"}
    return pd.concat(
        [
            _power(
                f"list experiment: {what}", n=found[key][0].n, repetitions=repetitions,
                error=np.array([result.estimate for result in found[key]]) - truth[key],
                half=np.array([result.half_width for result in found[key]]), sizes=SIZES_OF_SHARES, seed=seed,
            )
            for key, what in asked.items()
        ]
    )  # fmt: skip


def _small_areas(repetitions: int, seed: int) -> pd.DataFrame:
    simulated = small_areas.simulate(MODEL_VARIANCE, repetitions, seed)
    tables = []
    for kind in simulated.kinds:
        error, _, half = simulated.errors(kind)
        tables.append(
            _power(
                f"a small area against a given level, {kind}", n=simulated.respondents.mean(), repetitions=repetitions,
                error=error, half=half, sizes=SIZES, seed=seed,
            )
        )  # fmt: skip
    return pd.concat(tables)


def _bottom_up(repetitions: int, seed: int) -> pd.DataFrame:
    truth, found = bottom_up.estimated(repetitions, seed, times=AS_MANY["bottom-up"])
    gap = pd.DataFrame([frame.loc["bottom_up_gap"] for frame in found])
    diaries = bottom_up.STRATA * bottom_up.DRAWN_TOWNSHIPS * bottom_up.DIARIES * AS_MANY["bottom-up"]
    return _power(
        "bottom-up gap", n=diaries, repetitions=repetitions,
        error=gap["estimate"].to_numpy(float) - truth["bottom_up_gap"], half=_half(gap), sizes=SIZES, seed=seed,
    )  # fmt: skip
