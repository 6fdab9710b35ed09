"""Everyone there is: the frame of officials, and the panel drawn from it each quarter."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.places import read_population
from analysis_lib.ingest.simulate.streams import centred_lognormal, stream
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

_UNIT_SIZE = {"county": 45, "township": 36}  # officials of that tier in a mean bureau or township
_TAKEN = {"county": 9, "township": 5, "village": 4}  # officials drawn in each sampled unit
_BUREAUS_DRAWN = 2
_QUARTERS_IN_PANEL = 4  # each stays about a year, so a quarter of the panel is new each time
_DIARY_SHARE = 0.45
_LEADERS = {"county": 0.14, "township": 0.16, "village": 0.2}
_AGES = {"under_35": 0.34, "35_49": 0.41, "50_plus": 0.25}


def whole_frame(study: Study, *, seed: int) -> pd.DataFrame:
    """Every official of the country: one row each, in a fixed order.

    Returns
    -------
    pandas.DataFrame
        respondent_id, region (county), psu, tier, age_group, role, and place: a random rank within psu and tier, by
        which the panel rotates.
    """
    rng = stream(seed, "frame")
    rows = []
    for county, tiers in read_population(study).groupby("region", sort=True):
        officials = dict(zip(tiers["tier"], tiers["officials"], strict=True))
        rows += _units(str(county), "b", {"county": officials["county"]}, "county", rng)
        rows += _units(str(county), "u", {tier: officials[tier] for tier in ("township", "village")}, "township", rng)
    blocks = pd.DataFrame(rows, columns=pd.Index(["region", "psu", "tier", "officials"]))
    frame = blocks.loc[blocks.index.repeat(blocks["officials"])].reset_index(drop=True)
    size = len(frame)
    leader = frame["tier"].map(_LEADERS).to_numpy()
    return frame.assign(
        respondent_id=[f"E{number:06d}" for number in 100_000 + rng.permutation(size)],
        age_group=rng.choice(list(_AGES), size, p=list(_AGES.values())),
        role=np.where(rng.random(size) < leader, "leader", "staff"),
        place=frame.assign(key=rng.random(size)).groupby(["psu", "tier"])["key"].rank().astype("int64") - 1,
    )


def _units(
    county: str, kind: str, officials: dict[str, int], sized_by: str, rng: np.random.Generator
) -> list[tuple[str, str, str, int]]:
    n_units = max(4, round(officials[sized_by] / _UNIT_SIZE[sized_by]))
    sizes = centred_lognormal(rng, 0.2, n_units)
    rows = []
    for tier, total in officials.items():
        split = np.diff(np.round(np.cumsum(sizes) / sizes.sum() * total), prepend=0).astype(int)
        rows += [(county, f"{county}-{kind}{unit + 1}", tier, int(n)) for unit, n in enumerate(split)]
    return rows


def sampled_units(frame: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Work units drawn once for the whole study: two bureaus and four or five townships in each county.

    Returns
    -------
    pandas.DataFrame
        psu, unit_weight (units represented) and phase (0-3: units change their odd official in different quarters).
    """
    rng = stream(seed, "units")
    units = frame.drop_duplicates("psu").assign(kind=lambda table: table["tier"].eq("county"))
    drawn = []
    for (_, is_bureau), pool in units.groupby(["region", "kind"], sort=True):
        take = _BUREAUS_DRAWN if is_bureau else int(rng.integers(4, 6))
        chosen = pool.iloc[np.sort(rng.choice(len(pool), min(take, len(pool)), replace=False))]
        drawn.append(chosen[["psu"]].assign(unit_weight=len(pool) / len(chosen)))
    units = pd.concat(drawn, ignore_index=True)
    return units.assign(phase=np.arange(len(units)) % _QUARTERS_IN_PANEL)


def draw_sample(frame: pd.DataFrame, quarter: Quarter, *, first: Quarter, seed: int) -> pd.DataFrame:
    """The panel of a quarter: who is asked the questionnaire, and who of them two diary days as well.

    A window slides over each unit's officials in random order, so every quarter's panel is a simple random sample
    of the unit and about a quarter of it is new.

    Returns
    -------
    pandas.DataFrame
        A row per sampled official, indexed by the position in ``frame``, with the columns of the sample list.
    """
    panel = frame.reset_index(names="official").merge(sampled_units(frame, seed=seed), on="psu", validate="m:1")
    pool = panel.groupby(["psu", "tier"])["place"].transform("size")
    take = np.minimum(panel["tier"].map(_TAKEN), pool)
    step = ((quarter - first) * take + panel["phase"]) // _QUARTERS_IN_PANEL
    ahead = (panel["place"] - step) % pool
    panel = panel.assign(pool=pool, take=take, seat=step + ahead)[ahead < take]
    lead = (panel["take"] - 1 - panel["seat"]) * _QUARTERS_IN_PANEL + panel["phase"]
    entered = np.maximum(0, -(lead // panel["take"]))
    panel = panel.assign(
        quarter=str(quarter),
        stratum=panel["region"],
        base_weight=panel["unit_weight"] * panel["pool"] / panel["take"],
        first_quarter=[str(first.shift(int(step))) for step in entered],
        n_quarters=(quarter - first) - entered,
    ).sort_values("respondent_id")
    return _with_diary_task(panel, stream(seed, "diary task", quarter)).set_index("official")


def _with_diary_task(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    within_unit = panel.assign(luck=rng.random(len(panel))).groupby("psu")["luck"]
    size = within_unit.transform("size")
    # Nine officials times 0.45 is no whole number: round up or down at random, by unit, so that the share is kept.
    units = np.unique(panel["psu"])
    rounding = pd.Series(rng.random(len(units)), index=units)
    asked = (size * _DIARY_SHARE + panel["psu"].map(rounding)).astype(int).clip(lower=1)
    has_task = within_unit.rank() <= asked
    return panel.assign(
        has_diary_task=has_task,
        diary_base_weight=(panel["base_weight"] * size / asked).where(has_task),
    )
