"""Panels of a study's reforms: what was measured where, which regions had the reform when, and which others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.effects.panel import Panel, make_panel
from analysis_lib.measures import CombinedMeasure, DiaryMeasure, Measure
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import DateKind, Reform
from analysis_lib.study import Study
from analysis_lib.survey.cells import CellMeans, cell_means
from analysis_lib.time_use.activities import all_measures

NATIONAL = "nation"  # level of a reform that was given to all at once


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """What was measured in the regions of one level, by quarter.

    Attributes
    ----------
    rows : pandas.DataFrame
        Official-quarters behind it.
    level : str
        Column that holds the regions.
    regions, quarters : list of str
        With data, in the order of the means.
    means : dict of str to CellMeans
        By measure.
    """

    rows: pd.DataFrame
    level: str
    regions: list[str]
    quarters: list[str]
    means: dict[str, CellMeans]


def measure_cells(
    official_quarters: pd.DataFrame, keys: list[str], *, study: Study, level: str, quarters: list[str]
) -> Cells:
    """Means of measures by region of a level and quarter; reforms of one level share them.

    Raises
    ------
    UsageError
        For a measure that is no mean.
    """
    rows = official_quarters[official_quarters["quarter"].isin(quarters)]
    regions = [code for code in study.regions_at(level) if (rows[level] == code).any()]
    means = cell_means(rows, keys, study=study, level=level, regions=regions, quarters=quarters)
    return Cells(rows, level, regions, quarters, means)


def reform_panels(
    cells: Cells,
    keys: list[str],
    reform: Reform,
    *,
    study: Study,
    others: list[Reform],
    date: DateKind | None = None,
) -> dict[str, Panel]:
    """Panels of measures by the regions to which a reform was given.

    Parameters
    ----------
    cells : Cells
        Of the reform's level.
    keys : list of str
        Measures wanted; one that was not asked in the same quarters everywhere has no panel.
    others : list of Reform
        Further reforms of the study; of these, panels hold those that mean to cut some of the same hours.
    date : str, optional
        Which date of the register counts as the start; the one of the reform's plan unless given.

    Returns
    -------
    dict of str to Panel
        Measure → its panel, over the quarters in which it was asked.

    Raises
    ------
    UsageError
        When the register does not give the date, or no region is left.
    """
    starts = reform.starts_by(date or reform.plan.treatment_date)
    rows, regions, quarters = cells.rows, cells.regions, cells.quarters
    known, panels = all_measures(study), {}
    stands_for = rows.groupby(cells.level)["weight"].sum().reindex(regions).to_numpy(float) / len(quarters)
    for key in keys:
        asked = np.flatnonzero(np.isfinite(cells.means[key].values).any(axis=0))
        if not len(asked) or len(asked) < asked[-1] - asked[0] + 1:
            continue
        used = slice(int(asked[0]), int(asked[-1]) + 1)
        at = [Quarter.parse(quarter) for quarter in quarters[used]]
        cut_alike = [other for other in others if other.id != reform.id and _share_hours(known[key], other)]
        people = cells.means[key].people[:, used]
        panels[key] = make_panel(
            regions,
            [str(quarter) for quarter in at],
            cells.means[key].values[:, used],
            positions_of(starts, regions, at),
            stands_for,
            exposures=_that_vary({other.id: _exposure(rows, other, cells.level, regions, at) for other in cut_alike}),
            sampling=cells.means[key].covariance[:, used, used],
            n=int(people.sum()),
        )
    return panels


def positions_of(starts: dict[str, Quarter], regions: Sequence[str], quarters: Sequence[Quarter]) -> np.ndarray:
    """Starts of regions as positions among the quarters: their number where there is none, 0 where it came before."""
    return np.array(
        [
            min(max(0, starts[code] - quarters[0]), len(quarters)) if code in starts else len(quarters)
            for code in regions
        ]
    )


def n_units(official_quarters: pd.DataFrame, quarters: list[str]) -> int:
    """Work units that answered in any of the quarters."""
    return int(official_quarters.loc[official_quarters["quarter"].isin(quarters), "psu"].nunique())


def _share_hours(measure: Measure, other: Reform) -> bool:
    """Whether another reform means to cut some of what a measure holds; a count may hang on any of them."""
    if isinstance(measure, CombinedMeasure):
        return True
    return not isinstance(measure, DiaryMeasure) or not measure.groups or bool(set(measure.groups) & set(other.groups))


def _exposure(
    rows: pd.DataFrame, reform: Reform, level: str, regions: list[str], quarters: list[Quarter]
) -> np.ndarray:
    """Share of each region's officials under a reform, by quarter, shape (regions, quarters)."""
    weight = rows.groupby([level, "region"], observed=True)["weight"].sum()
    starts = [reform.starts.get(str(place)) for place in weight.index.get_level_values("region")]
    under = np.array([[start is not None and start <= quarter for quarter in quarters] for start in starts])
    summed = pd.DataFrame(weight.to_numpy()[:, None] * under).groupby(weight.index.get_level_values(level)).sum()
    return (summed.loc[regions].to_numpy().T / weight.groupby(level=level).sum()[regions].to_numpy()).T


def _that_vary(exposures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Exposures that change over the quarters; one that does not is part of what a region is."""
    return {name: share for name, share in exposures.items() if np.ptp(share, axis=1).any()}
