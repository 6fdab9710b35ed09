"""Pages of regions in two languages: seconds and ratio against rendering that remembers nothing between pages.

The baseline reads texts, templates and fonts anew for each page, as a script would that is called once a page.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import sample_results
from sample_study import write_combined_study

from analysis_lib.figures import style
from analysis_lib.publishing import catalogue, pages
from analysis_lib.quarters import Quarter
from analysis_lib.running.executors import warm_workers

LANGUAGES = ("zh", "en")
BASELINE_PAGES = 8  # enough for a mean: nothing is remembered, so each page costs the same
CACHES: list[functools._lru_cache_wrapper] = [catalogue._read, style.text_width, style.register_fonts]


def made_up(count: int, folder: Path) -> list[pages.Report]:
    """Reports of so many regions, each with the tables that the regional notebook hands over."""
    study = write_combined_study(folder)
    codes = [f"R{place:04d}" for place in range(count)]
    lines = [f"{code},,province,示例省{code},Example Province {code}" for code in codes]
    with (study.reference / "regions.csv").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    sample_results.PLACES |= dict.fromkeys(codes, 1.0)
    sample_results.COUNTIES |= {code: [] for code in codes}
    reports = []
    for code in codes:
        tables = sample_results.regional_results(study, code)
        named = {name.removeprefix("region_"): table for name, table in tables.items()}
        reports.append(pages.Report(study, Quarter(2026, 3), code, named, codes, 1))
    return reports


def remembering_nothing(report: pages.Report, language: str) -> str:
    """A page as the first of a process would be, but for the import of packages."""
    for cache in CACHES:
        cache.cache_clear()
    if pages._ENVIRONMENT.cache is not None:
        pages._ENVIRONMENT.cache.clear()
    return pages.render_report(report, language)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        asked = list(product(made_up(count, Path(folder) / "s"), LANGUAGES))
        few = asked[:BASELINE_PAGES]
        baseline = seconds(lambda: [remembering_nothing(*each) for each in few]) / len(few)
        alone = seconds(lambda: [pages.render_report(*each) for each in few]) / len(few)
        with warm_workers(workers) as spread:
            list(spread(pages.render_report, *zip(*asked[:workers], strict=True)))  # processes have started
            together = seconds(lambda: list(spread(pages.render_report, *zip(*asked, strict=True))))
    print(f"{len(asked):,d} pages by {workers} processes {together:8.1f} s")
    for name, each in [("baseline", baseline), ("one process", alone), ("all", together / len(asked))]:
        print(f"{name:12s} {1000 * each:8.0f} ms a page {baseline / each:6.2f} times as fast as the baseline")


if __name__ == "__main__":
    main()
