"""Means, totals and ratios of 500 domains from 1,000,000 rows, beside the libraries svy and samplics.

The other libraries are no dependencies: they are installed into a throwaway environment when an index can be reached,
and the comparison is left out when it cannot. Same rows, same design (100 strata of 20 PSUs, drawn with replacement),
linearised standard errors; times are the best of three (once for what takes over 30 s), without reading the data. Every
library must agree with ours to nine digits. Goal: 10 times the best of them.
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

GOAL = 10.0
LIBRARIES = ["svy", "samplics"]
SLOW = 30.0  # seconds after which once is enough
LIMIT = 300.0  # seconds after which a library is given up; it then counts as no competitor


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--domains", type=int, default=500)
    asked.add_argument("--library", choices=LIBRARIES, help="time one library of this interpreter on --data")
    asked.add_argument("--data", type=Path)
    options = asked.parse_args()
    if options.library:
        print(json.dumps(OTHERS[options.library](options.data)))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.parquet"
        make_rows(data, options.rows, options.domains)
        print(f"{options.rows:,} rows, {options.domains} domains; seconds")
        results = {"jianfu": ours(data)}
        python = other_environment(Path(folder) / "others")
        for library in LIBRARIES if python else []:
            results[library] = timed_elsewhere(python, library, data)
        report(results)


def report(results: dict[str, dict[str, float]]) -> None:
    """Print the table, the ratio to the best library of each task, and fail when one misses the goal or disagrees."""
    mine, others = results["jianfu"], {name: found for name, found in results.items() if name != "jianfu"}
    tasks = [task for task in mine if task != "check"]
    print(f"{'':10}" + "".join(f"{task:>10}" for task in tasks))
    for name, found in results.items():
        print(f"{name:10}" + "".join(f"{found.get(task, float('nan')):10.3f}" for task in tasks))
    for name, found in others.items():
        if not found:
            print(f"{name}: not done after {LIMIT:g} s")
        elif abs(found["check"] / mine["check"] - 1) > 1e-9:
            sys.exit(f"{name} disagrees: {found['check']!r} against {mine['check']!r}")
    others = {name: found for name, found in others.items() if found}
    if others:
        ratios = {task: min(found[task] for found in others.values()) / mine[task] for task in tasks}
        print("ratio to the best of the others: " + ", ".join(f"{task} {ratio:.1f}" for task, ratio in ratios.items()))
        print(f"goal {GOAL:g}")
        sys.exit(min(ratios.values()) < GOAL)
    print("svy and samplics could not be installed or did not finish; nothing to compare with")


def make_rows(path: Path, n: int, domains: int) -> None:
    """Hours and work time of people in PSUs of unlike strata."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(20261)
    psu = rng.integers(0, 2000, n)
    level = rng.normal(16, 4, 2000)[psu]
    pd.DataFrame(
        {
            "stratum": psu // 20,
            "psu": psu,
            "weight": rng.uniform(1, 30, n),
            "domain": rng.integers(0, domains, n),
            "hours": np.maximum(0, level + rng.normal(0, 8, n)),
            "work": 40 + rng.gamma(2, 4, n),
        }
    ).to_parquet(path)


def best(task: Callable[[], object]) -> float:
    """Shortest of three times; one when it is long."""
    times = []
    while len(times) < 3 and (not times or times[-1] < SLOW):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def ours(data: Path) -> dict[str, float]:
    """Times of our own functions, from the frame to the table of estimates, design included every time."""
    import pandas as pd

    from analysis_lib.survey.design import SurveyDesign
    from analysis_lib.survey.estimation import mean, ratio, total

    frame = pd.read_parquet(data)
    design = SurveyDesign(stratum="stratum", psu="psu")
    found = mean(frame, "hours", design=design, by="domain")
    return {
        "mean": best(lambda: mean(frame, "hours", design=design, by="domain")),
        "total": best(lambda: total(frame, "hours", design=design, by="domain")),
        "ratio": best(lambda: ratio(frame, "hours", "work", design=design, by="domain")),
        "check": float(found["estimate"].sum() + found["se"].sum()),
    }


def of_svy(data: Path) -> dict[str, float]:
    """Times of svy, its design object made beforehand."""
    import polars as pl
    import svy

    sample = svy.Sample(pl.read_parquet(data), svy.Design(stratum="stratum", psu="psu", wgt="weight", wr=True))
    found = sample.estimation.mean("hours", by="domain").to_polars()
    return {
        "mean": best(lambda: sample.estimation.mean("hours", by="domain")),
        "total": best(lambda: sample.estimation.total("hours", by="domain")),
        "ratio": best(lambda: sample.estimation.ratio("hours", "work", by="domain")),
        "check": float(found["est"].sum() + found["se"].sum()),
    }


def of_samplics(data: Path) -> dict[str, float]:
    """Times of samplics."""
    import numpy as np
    import polars as pl
    from samplics.estimation import TaylorEstimator
    from samplics.utils.types import PopParam

    frame = {name: column.to_numpy() for name, column in pl.read_parquet(data).to_dict().items()}
    where = {"samp_weight": frame["weight"], "stratum": frame["stratum"], "psu": frame["psu"]}

    def run(parameter: PopParam, **more: np.ndarray) -> TaylorEstimator:
        estimator = TaylorEstimator(parameter)
        estimator.estimate(y=frame["hours"], domain=frame["domain"], **where, **more)
        return estimator

    found = run(PopParam.mean)
    values = list(found.point_est.values()), list(found.stderror.values())
    return {
        "mean": best(lambda: run(PopParam.mean)),
        "total": best(lambda: run(PopParam.total)),
        "ratio": best(lambda: run(PopParam.ratio, x=frame["work"])),
        "check": float(np.sum(values)),
    }


OTHERS = {"svy": of_svy, "samplics": of_samplics}


def other_environment(folder: Path) -> Path | None:
    """An interpreter that has the other libraries; None where they cannot be installed."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *LIBRARIES]
    return python if subprocess.run(install, capture_output=True).returncode == 0 else None


def timed_elsewhere(python: Path, library: str, data: Path) -> dict[str, float]:
    """Times of a library in its own environment; none when it takes too long."""
    command = [python, "-W", "ignore", __file__, "--library", library, "--data", data]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
