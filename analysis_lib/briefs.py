"""What the briefs of a quarter are made from: estimates of all regions that have a page, made in one go.

One pass over a sample estimates all its regions for hardly more than one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis_lib import pipeline
from analysis_lib.measures import listed
from analysis_lib.monitoring import linking
from analysis_lib.parameters import RunParameters
from analysis_lib.study import NATION
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.time_use.activities import all_measures


@dataclass(frozen=True, slots=True, eq=False)
class Brief:
    """Estimates of a region and of the nation, as tables of the contract ``estimates``.

    Attributes
    ----------
    hours : pandas.DataFrame
        The study's measures in the quarter and the pooled period: of the nation, the region, and the regions below it.
    categories : pandas.DataFrame
        The same of the quarter, by category, in the region alone.
    change : pandas.DataFrame
        How the measures changed since the quarter compared with.
    series : pandas.DataFrame
        The nested measures in every quarter, on the scale of the latest instrument, with ``is_break``.
    week : pandas.DataFrame
        The groups of activities in the quarter.
    """

    hours: pd.DataFrame
    categories: pd.DataFrame
    change: pd.DataFrame
    series: pd.DataFrame
    week: pd.DataFrame


def load_brief(run: RunParameters) -> Brief:
    """Estimates for the brief of the run's region, and of the nation beside it.

    The first brief of a quarter makes them for all regions that have a page; those of any other region are made anew.
    """
    pages = pipeline.page_regions(run.study)
    if run.region in pages:
        tables = pipeline.made_once(run, __name__, lambda: _estimated(run, pages))
    else:
        tables = _estimated(run, [run.region])
    shown = [NATION, *pipeline.regions_shown(run)]
    return Brief(
        hours=_of(tables["hours"], shown),
        categories=_of(tables["categories"], [run.region]),
        **{name: _of(tables[name], [NATION, run.region]) for name in ("change", "series", "week")},
    )


def _of(table: pd.DataFrame, regions: list[str]) -> pd.DataFrame:
    return table[table["region"].isin(regions)].reset_index(drop=True)


def _estimated(run: RunParameters, pages: list[str]) -> dict[str, pd.DataFrame]:
    """The tables of `Brief` for the nation and all regions with a page, in the order of the list of regions."""
    officials, periods, settings = pipeline.load_officials(run), pipeline.periods(run), run.study.config.estimation
    measures = listed(run.study.measures)
    groups = [key for key in all_measures(run.study) if key.startswith("group_")]
    below = [code for level in settings.levels for page in pages for code in run.study.regions_at(level, page)]
    label, earlier, later = periods.change
    asked = {"study": run.study, "regions": list(dict.fromkeys([NATION, *pages]))}
    every_quarter = estimate(officials, settings.nested, periods=periods.series, **asked)
    linked = linking.linked_series(
        every_quarter,
        pipeline.instruments(run),
        linking.read_links(run.study),
        by_new=linking.hours_by_new(officials, pipeline.asked_by(run), settings.nested, **asked),
        confidence_level=settings.confidence_level,
    )
    everywhere = {"study": run.study, "regions": list(dict.fromkeys([NATION, *pages, *below]))}
    return {
        "hours": estimate(officials, measures, periods=periods.pooled, **everywhere),
        "categories": estimate(
            officials, measures, study=run.study, periods=periods.quarter, regions=pages, by=settings.categories
        ),
        "change": estimate_change(officials, measures, earlier=earlier, later=later, label=label, **asked),
        "series": linking.with_gaps(linking.broken_at_borders(linked, run.study.region_changes)),
        "week": estimate(officials, groups, periods=periods.quarter, **asked),
    }
