"""The site of a small study as readers find it: every kind of page, a quarter in two releases, and a correction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from analysis_lib.study import Study

CORRECTION = {
    "release": "2026Q2/r1", "kind": "correction", "text_zh": "甲省的数字有误", "text_en": "Province A was wrong",
    "date": "2026-09-01",
}  # fmt: skip
PUBLISHED = {"2026Q2/r1": dt.date(2026, 8, 12), "2026Q2/r2": dt.date(2026, 9, 1), "2026Q3/r1": dt.date(2026, 11, 17)}


@dataclass(frozen=True)
class ReaderSite:
    """A study and the folder of its site."""

    study: Study
    folder: Path

    @property
    def pages(self) -> dict[str, str]:
        """Address → text of each page."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(self.folder.rglob("*.html"))
        }


def write_reader_site(folder: Path) -> ReaderSite:
    """Build three releases and put them together; the last quarter has a page of every kind that results can give."""
    # Loaded here: most tests need no pages.
    from sample_pages import all_tables, register_reforms
    from sample_results import COUNTIES, all_results, hours_rows, national_results, protected
    from sample_study import write_combined_study

    from analysis_lib.publishing.releases import build_release
    from analysis_lib.publishing.site import Contents, assemble
    from analysis_lib.quarters import Quarter

    study = register_reforms(write_combined_study(folder))
    second, third = Quarter(2026, 2), Quarter(2026, 3)
    before = national_results(study, "2026Q2")
    early = {name: tables for name, tables in before.items() if name == "03-hours-lost"}
    old = build_release(study, second, {**before, "03-hours-lost": _lower(study, early["03-hours-lost"])})
    revised = build_release(study, second, all_results(study, "2026Q2"), published=1)
    results = {**all_results(study, "2026Q3"), "04-reform-effects": all_tables(study)}
    for code in ("P01", "P02"):  # regions beside the nation
        hours = hours_rows(["all", code, *COUNTIES[code]], by_for=code)
        results[f"10-region-brief/{code}"]["region_hours"] = protected(study, "region_hours", hours)
    latest = build_release(study, third, results)
    contents = Contents([revised, latest], [old], [CORRECTION], PUBLISHED)
    return ReaderSite(study, assemble(study, contents))


def _lower(study: Study, tables: dict) -> dict:
    """The same tables with another headline, as a release had them before late diaries came in."""
    from sample_results import HOURS, hours_rows, protected

    rows = [{**row, "period": "2026Q2"} for row in hours_rows(["all", "P01", "P02"], keys=list(HOURS))]
    for row in rows:
        row |= {
            name: row[name] - 0.4 for name in ("estimate", "ci_low", "ci_high") if row["measure"] == "gross_combined"
        }
    return {**tables, "hours": protected(study, "hours", rows)}
