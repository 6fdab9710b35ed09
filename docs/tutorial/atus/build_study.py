"""Build a study folder from the American Time Use Survey 2009–2012: sixteen quarters of raw drops.

The data are not part of this repository. The folder named by ``--data`` holds what the R package ``atus`` 0.2 gives::

    respondents.csv.gz        one row per respondent: attributes, diary day, person-day weight
    activity_totals.parquet   one row per respondent and activity code: minutes of the diary day

The script cuts both files by quarter and receives them, no more. How ids, codes and dates are read is said by
``study/reference/instruments``; the rules of the survey (weights, holidays, zeros, who counts as employed) are in
``study/`` too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

# A year of the survey is published in the following June; drops are dated then, so that `--as-of` tells the years apart.
RELEASED = {
    2009: dt.date(2010, 6, 22),
    2010: dt.date(2011, 6, 22),
    2011: dt.date(2012, 6, 22),
    2012: dt.date(2013, 6, 20),
}


def main() -> None:
    """Read the two folders from the command line and build the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the two files of the data set")
    parser.add_argument("--out", type=Path, required=True, help="study folder to make")
    parser.add_argument("--from", dest="first", default="2009Q1", help="first quarter received")
    asked = parser.parse_args()
    quarters = build(asked.data, asked.out, first=asked.first)
    print(f"{asked.out}: {len(quarters)} quarters received, {quarters[0]} to {quarters[-1]}")
    print(f"next: jianfu run --study {asked.out} --quarter {quarters[-1]}")


def build(data: Path, out: Path, *, first: str = "2009Q1") -> list[Quarter]:
    """Copy the study's configuration to ``out`` and receive a drop for each quarter from ``first`` on."""
    shutil.copytree(Path(__file__).parent / "study", out, dirs_exist_ok=True)
    study = Study.open(out)
    store = Store(study)
    respondents = pd.read_csv(data / "respondents.csv.gz", dtype=str, keep_default_na=False)
    day_totals = pd.read_parquet(data / "activity_totals.parquet")
    received = [quarter for quarter in study.config.calendar.quarters if quarter >= Quarter.parse(first)]
    with tempfile.TemporaryDirectory() as folder:
        for quarter in received:
            files = {"respondents": Path(folder) / "respondents.csv", "day_totals": Path(folder) / "day_totals.parquet"}
            of_quarter = respondents[diary_quarter(respondents) == str(quarter)]
            of_quarter.to_csv(files["respondents"], index=False)
            is_theirs = day_totals["tucaseid"].isin(of_quarter["tucaseid"].astype("int64"))
            day_totals[is_theirs].to_parquet(files["day_totals"], index=False)
            store.receive(
                files,
                quarter=quarter,
                instrument="atus-2009",
                source="R package atus 0.2",
                slug="atus",
                received=RELEASED[quarter.year],
            )
    return received


def diary_quarter(respondents: pd.DataFrame) -> pd.Series:
    """Quarter of each diary day, as text."""
    number = (respondents["diary_mo"].astype(int) + 2) // 3
    return respondents["tuyear"] + "Q" + number.astype(str)


if __name__ == "__main__":
    main()
