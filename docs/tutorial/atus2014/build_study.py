"""Build a study folder from 240 diaries of the American Time Use Survey 2014, given as raw episodes.

The data are not part of this repository. The folder named by ``--data`` holds ``respondents.csv`` and
``episodes.csv.gz`` (case, number, start, stop, first-tier code). The script cuts both by quarter and receives them;
how they are read, and where a day starts and ends, is said in ``study/``.
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

RELEASED = dt.date(2015, 6, 24)


def main() -> None:
    """Read the two folders from the command line and build the study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the two files of the data set")
    parser.add_argument("--out", type=Path, required=True, help="study folder to make")
    asked = parser.parse_args()
    quarters = build(asked.data, asked.out)
    print(f"{asked.out}: {len(quarters)} quarters received")
    print(f"next: jianfu run --study {asked.out} --quarter {quarters[-1]}")


def build(data: Path, out: Path) -> list[Quarter]:
    """Copy the study's configuration to ``out`` and receive a drop for each quarter."""
    shutil.copytree(Path(__file__).parent / "study", out, dirs_exist_ok=True)
    study = Study.open(out)
    store = Store(study)
    respondents = pd.read_csv(data / "respondents.csv", dtype=str)
    episodes = pd.read_csv(data / "episodes.csv.gz", dtype=str)
    diary_days = pd.to_datetime(respondents["tudiarydate"], format="%Y%m%d").dt.date
    with tempfile.TemporaryDirectory() as folder:
        for quarter in study.config.calendar.quarters:
            files = {"respondents": Path(folder) / "respondents.csv", "episodes": Path(folder) / "episodes.csv"}
            of_quarter = respondents[diary_days.between(quarter.first_day, quarter.last_day)]
            of_quarter.to_csv(files["respondents"], index=False)
            episodes[episodes["tucaseid"].isin(of_quarter["tucaseid"])].to_csv(files["episodes"], index=False)
            store.receive(
                files,
                quarter=quarter,
                instrument="atus-2014-episodes",
                source="extract of 240 diaries, ATUS 2014",
                slug="atus-episodes",
                received=RELEASED,
            )
    return study.config.calendar.quarters


if __name__ == "__main__":
    main()
