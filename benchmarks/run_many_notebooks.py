"""How much faster a quarter of many regions runs and is published than by a shell loop of papermill and nbconvert.

Both sides do the same units of a simulated study, three national notebooks and a brief for each of eighteen districts,
and leave an executed notebook and an HTML page of each (here in one language). Tables are prepared beforehand for
both. Goal: 6 times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from analysis_lib import pipeline
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.quarters import Quarter
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.suite import Suite
from analysis_lib.running.units import Unit, units_of
from analysis_lib.study import Study

GOAL = 6.0
QUARTER = Quarter(2026, 3)
COUNTIES_PER_DISTRICT = 2


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder) / "world")
        units = units_of(Suite.find(), study, QUARTER)
        print(f"{len(units)} units, {os.cpu_count()} cores")
        ours = timed(lambda: jianfu(study))
        print(f"jianfu run --build      {ours:7.1f} s  {ours / len(units):5.2f} s per unit")
        loop = timed(lambda: shell_loop(study, units, Path(folder)))
        print(f"papermill and nbconvert {loop:7.1f} s  {loop / len(units):5.2f} s per unit")
        print(f"ratio {loop / ours:.1f} (goal {GOAL:g})")
        sys.exit(loop / ours < GOAL)


def make_study(folder: Path) -> Study:
    """A simulated study in which districts of a few counties have pages of their own, its tables prepared."""
    study = init_study(folder, simulated=True)
    simulate_study(study)
    regions = study.regions.reset_index()
    counties = regions[regions["level"] == "county"]
    place = counties.groupby("parent").cumcount() // COUNTIES_PER_DISTRICT
    districts = counties.assign(code=counties["parent"] + "-" + place.astype(str), level="district")
    regions.loc[counties.index, "parent"] = districts["code"]
    frame = pd.concat([regions, districts.drop_duplicates("code")])
    frame.to_csv(
        folder / "reference" / "regions.csv", index=False, columns=["code", "parent", "level", "name_zh", "name_en"]
    )
    path = folder / "study.toml"
    text = path.read_text(encoding="utf-8").replace('page_level = "province"', 'page_level = "district"')
    text = text.replace('["province", "county"]', '["province", "district"]')
    path.write_text(f'{text}\n[publishing]\nlanguages = ["en"]\n', encoding="utf-8")
    study = Study.open(folder)
    pipeline.prepare(study, QUARTER)
    return study


def jianfu(study: Study) -> None:
    """Our way, from a cold start."""
    run(["-m", "analysis_lib", "run", "--build", "--quarter", str(QUARTER), "--study", str(study.root)])


def shell_loop(study: Study, units: list[Unit], folder: Path) -> None:
    """What the manuals of the two tools say."""
    out = folder / "loop"
    out.mkdir()
    notebooks = Suite.find()
    for number, unit in enumerate(units):
        executed = out / f"{number}.ipynb"
        parameters = [each for name, value in unit.parameters.items() if value for each in ("-r", name, value)]
        parameters += ["-r", "study", str(study.root), "-r", "results_dir", str(out / str(number))]
        run(["-m", "papermill", str(notebooks.path(unit.notebook)), str(executed), *parameters])
        run(["-m", "nbconvert", "--to", "html", str(executed)])


def run(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr}")


def timed(work) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
