"""The invented country: provinces, counties, and how many officials each county has."""

from __future__ import annotations

import pandas as pd

from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.study import NATION, Study, read_reference_csv

TIERS = ("county", "township", "village")
REGION_COLUMNS = ["code", "parent", "level", "name_zh", "name_en"]
POPULATION_COLUMNS = ["region", "tier", "officials"]

_STEMS = "甲乙丙丁戊己"
_NUMERALS = "一二三四五"
_FIRST_PROVINCE = 91  # no province of the national code list begins with 9
_MEAN_OFFICIALS = {"county": 320, "township": 360, "village": 450}


def place_table() -> pd.DataFrame:
    """Every region, a province before its counties; no name is that of a real place."""
    rows = []
    for step, stem in enumerate(_STEMS):
        letter, province = chr(ord("A") + step), str(_FIRST_PROVINCE + step)
        rows.append((province, NATION, "province", f"示例省{stem}", f"Example Province {letter}"))
        rows += [
            (f"{province}{number:02}", province, "county", f"{stem}{numeral}县", f"County {letter}{number}")
            for number, numeral in enumerate(_NUMERALS, start=1)
        ]
    return pd.DataFrame(rows, columns=pd.Index(REGION_COLUMNS))


def population_table() -> pd.DataFrame:
    """Officials by county and tier, between two thirds and one and a half of the mean."""
    places = place_table()
    counties = places.loc[places["level"] == "county", "code"]
    rng = stream(0, "population")
    rows = [
        (county, tier, round(_MEAN_OFFICIALS[tier] * size * rng.uniform(0.85, 1.15)))
        for county in counties
        for size in [rng.uniform(0.75, 1.3)]
        for tier in TIERS
    ]
    return pd.DataFrame(rows, columns=pd.Index(POPULATION_COLUMNS))


def write_places(study: Study) -> None:
    """Give a study the invented country where it has none of its own."""
    for name, make in {"regions.csv": place_table, "population.csv": population_table}.items():
        path = study.reference / name
        if not path.exists():
            make().to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def read_population(study: Study) -> pd.DataFrame:
    """``population.csv``: region, tier, officials (whole number)."""
    frame = read_reference_csv(study.reference / "population.csv", POPULATION_COLUMNS)
    return frame[POPULATION_COLUMNS].astype({"officials": "int64"})
