"""From 1,000,000 official-quarters to effects by start and quarter with intervals, beside the library diff-diff.

83,000 officials in each of twelve quarters, in 200 regions whose reform begins at three dates or never, with survey
weights and a few people's work units. Ours averages by region and quarter, with sampling covariances, and estimates on
the panel of regions; diff-diff's ``CallawaySantAnna`` takes the same repeated cross-section, its errors clustered by
region and its places and quarters numbered beforehand. Both must agree on every effect to nine digits. diff-diff is no
dependency and nothing is installed here: name an interpreter that has it (``--python``). Without it the comparison is
with two-way fixed effects by statsmodels on means by pandas: one number instead of an effect by start and quarter, wrong
when effects change, and without sampling errors. Times are the best of three (once for what takes over 30 s), without
reading the data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SLOW = 30.0  # seconds after which once is enough
REGIONS, UNITS = 200, 20  # units in each region
QUARTERS = [f"{year}Q{quarter}" for year in (2024, 2025, 2026) for quarter in range(1, 5)]
STARTS = (4, 6, 8, len(QUARTERS))  # the last: never


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--python", default=sys.executable, help="an interpreter that has diff-diff")
    asked.add_argument("--diff-diff", type=Path, metavar="DATA", help="time diff-diff in this interpreter")
    options = asked.parse_args()
    if options.diff_diff:
        print(json.dumps(of_diff_diff(pd.read_parquet(options.diff_diff))))
        return
    rows = made(options.rows)
    print(f"{len(rows):,} official-quarters, {REGIONS} regions, {len(QUARTERS)} quarters; seconds")
    mine = ours(rows)
    print(f"jianfu                              {mine['seconds']:8.2f}")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.parquet"
        rows.to_parquet(data)
        theirs = timed_elsewhere(options.python, data)
    if not theirs:
        seconds = of_statsmodels(rows)
        print(f"statsmodels, two-way fixed effects  {seconds:8.2f}")
        print(f"ratio {seconds / mine['seconds']:.1f}; diff-diff, which does more, is not there (--python)")
        return
    print(f"diff-diff {theirs['version']:26}{theirs['seconds']:8.2f}")
    if not np.allclose(mine["effects"], theirs["effects"], rtol=0, atol=1e-9):
        sys.exit("diff-diff finds other effects")
    print(f"standard errors, ours over theirs {np.median(np.divide(mine['errors'], theirs['errors'])):.3f}")
    print(f"ratio {theirs['seconds'] / mine['seconds']:.1f}")


def made(n: int) -> pd.DataFrame:
    """Officials with an effect that grows; the weights of a region add up to its officials in every quarter."""
    rng = np.random.default_rng(20267)
    region, quarter = np.arange(n) % REGIONS, np.arange(n) // REGIONS % len(QUARTERS)
    unit, start = region * UNITS + rng.integers(0, UNITS, n), np.resize(STARTS, REGIONS)[region]
    officials, weight = rng.lognormal(7, 0.5, REGIONS), rng.uniform(1, 30, n)
    cell = region * len(QUARTERS) + quarter
    hours = 16 + rng.normal(0, 2, REGIONS)[region] + rng.normal(0, 0.7, REGIONS * len(QUARTERS))[cell]
    hours += rng.normal(0, 1, REGIONS * UNITS)[unit] + rng.normal(0, 6, n) - 0.5 * np.maximum(quarter - start + 1, 0)
    texts = {
        "county": np.array([f"{91 + code // 20}{code % 20:02}" for code in range(REGIONS)])[region],
        "psu": np.array([f"unit-{code}" for code in range(REGIONS * UNITS)])[unit],
        "quarter": np.array(QUARTERS)[quarter],
    }
    return pd.DataFrame(
        {
            **texts,
            "respondent_id": np.arange(n),
            "stratum": texts["county"],
            "weight": weight * (officials[region] / np.bincount(cell, weight)[cell]),
            "diary_weight": np.nan,
            "recall_gross": hours,
            "at": quarter,
            "start": start,
        }
    )


def best(task: Callable[[], object]) -> float:
    """Shortest of three times; one when it is long."""
    times = []
    while len(times) < 3 and (not times or times[-1] < SLOW):
        begun = time.perf_counter()
        task()
        times.append(time.perf_counter() - begun)
    return min(times)


def ours(rows: pd.DataFrame) -> dict:
    """Seconds, effects and standard errors of our own functions, sampling errors included."""
    from analysis_lib.effects.difference_in_differences import group_time
    from analysis_lib.effects.inference import estimate_contrasts
    from analysis_lib.effects.panel import make_panel
    from analysis_lib.running.scaffold import DEMONSTRATION
    from analysis_lib.study import Study
    from analysis_lib.survey.cells import cell_means

    study, key = Study.open(DEMONSTRATION), "recall_gross"
    by_region = rows.drop_duplicates("county").set_index("county")["start"].sort_index()
    regions = [str(code) for code in by_region.index]

    def estimated() -> pd.DataFrame:
        means = cell_means(rows, [key], study=study, level="county", regions=regions, quarters=QUARTERS)[key]
        weights = means.weight.mean(axis=1)
        panel = make_panel(
            regions, QUARTERS, means.values, by_region.to_numpy(), weights, sampling=means.covariance, n=len(rows)
        )
        return estimate_contrasts(group_time(panel), panel).frame

    found = estimated()
    return {"seconds": best(estimated), "effects": found["estimate"].tolist(), "errors": found["se"].tolist()}


def of_diff_diff(rows: pd.DataFrame) -> dict:
    """Seconds, effects and standard errors of diff-diff."""
    import diff_diff

    first = np.where(rows["start"] < len(QUARTERS), rows["start"], 0)
    rows = rows.assign(first=first, region=pd.factorize(rows["county"])[0])
    design = diff_diff.SurveyDesign(weights="weight", psu="region")
    estimator = diff_diff.CallawaySantAnna(
        control_group="not_yet_treated", base_period="universal", estimation_method="reg", panel=False
    )

    def estimated() -> dict:
        return estimator.fit(
            rows, outcome="recall_gross", unit="respondent_id", time="at", first_treat="first", survey_design=design
        ).group_time_effects

    found, begun = {}, time.perf_counter()
    found = {(int(start), int(at)): cell for (start, at), cell in estimated().items() if at != start - 1}
    seconds = time.perf_counter() - begun
    cells = [found[where] for where in sorted(found)]
    return {
        "version": diff_diff.__version__,
        "seconds": seconds if seconds > SLOW else min(seconds, best(estimated)),
        "effects": [float(cell["effect"]) for cell in cells],
        "errors": [float(cell["se"]) for cell in cells],
    }


def of_statsmodels(rows: pd.DataFrame) -> float:
    """Seconds for means by pandas and a weighted regression on regions and quarters, errors clustered by region."""
    import statsmodels.formula.api as smf

    def estimated() -> object:
        weighted = rows.assign(hours=rows["recall_gross"] * rows["weight"])
        cells = weighted.groupby(["county", "quarter", "at", "start"])[["hours", "weight"]].sum().reset_index()
        cells = cells.assign(hours=cells["hours"] / cells["weight"], reform=1.0 * (cells["at"] >= cells["start"]))
        model = smf.wls("hours ~ reform + C(county) + C(quarter)", cells, weights=cells["weight"])
        return model.fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(cells["county"])[0]}).conf_int()

    return best(estimated)


def timed_elsewhere(python: str, data: Path) -> dict:
    """What another interpreter finds with diff-diff; nothing where it has none."""
    if subprocess.run([python, "-c", "import diff_diff"], capture_output=True, check=False).returncode:
        return {}
    done = subprocess.run([python, "-W", "ignore", __file__, "--diff-diff", data], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
