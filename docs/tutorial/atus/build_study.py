"""Build a study folder from the American Time Use Survey 2009–2012: sixteen quarters of raw drops.

The data are not part of this repository. The folder named by ``--data`` holds what the R package ``atus`` 0.2 gives::

    respondents.csv.gz        one row per respondent: attributes, diary day, person-day weight
    activity_totals.parquet   one row per respondent and activity code: minutes of the diary day

The script does what a research group does by hand each quarter: it cuts the delivery by quarter, writes activity codes
the way the lexicon does (50101 → 050101), puts the date of the diary day beside each total, and receives the two files.
Every rule of the survey (weights, holidays, zeros, who counts as employed) is in ``study/``, none is here.
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

INSTRUMENT = "atus-2009"
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
    respondents, day_totals = read(data)
    received = [quarter for quarter in study.config.calendar.quarters if quarter >= Quarter.parse(first)]
    with tempfile.TemporaryDirectory() as folder:
        for quarter in received:
            files = {"respondents": Path(folder) / "respondents.csv", "day_totals": Path(folder) / "day_totals.parquet"}
            of_quarter(respondents, quarter).to_csv(files["respondents"], index=False)
            of_quarter(day_totals, quarter).to_parquet(files["day_totals"], index=False)
            store.receive(
                files,
                quarter=quarter,
                instrument=INSTRUMENT,
                source="R package atus 0.2",
                slug="atus",
                received=RELEASED[quarter.year],
            )
    return received


def read(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables, respondent ids as text, with the date of the diary day."""
    respondents = pd.read_csv(data / "respondents.csv.gz", dtype=str, keep_default_na=False).assign(
        diary_date=lambda rows: (
            rows["tuyear"] + "-" + rows["diary_mo"].str.zfill(2) + "-" + rows["diary_day"].str.zfill(2)
        )
    )
    day_totals = pd.read_parquet(data / "activity_totals.parquet").assign(
        tucaseid=lambda rows: rows["tucaseid"].astype(str),
        tiercode=lambda rows: rows["tiercode"].astype(str).str.zfill(6),
    )
    dated = day_totals.merge(respondents[["tucaseid", "diary_date"]], on="tucaseid", validate="m:1")
    return respondents, dated


def of_quarter(rows: pd.DataFrame, quarter: Quarter) -> pd.DataFrame:
    """Rows whose diary day lies in a quarter."""
    days = rows["diary_date"]
    return rows[(days >= quarter.first_day.isoformat()) & (days <= quarter.last_day.isoformat())]


if __name__ == "__main__":
    main()
