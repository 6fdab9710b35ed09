"""A panel of regions: means by region and period, and when each region's reform began."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis_lib.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Means of one measure by region and period: regions are the units to which a reform was given.

    Attributes
    ----------
    regions, periods : tuple of str
        R regions and T equally spaced periods, oldest first.
    values : numpy.ndarray
        Means, shape (R, T), none missing.
    starts : numpy.ndarray
        Position of the first period in which the reform is in force in each region, at least 1; T and above: not
        within the panel.
    weights : numpy.ndarray
        Officials that each region stands for, or ones when every region counts alike; shape (R,).
    exposures : dict of str to numpy.ndarray
        Other reforms: name → share of a region's officials under it, shape (R, T).
    sampling : numpy.ndarray or None
        Sampling covariance of the means of each region, shape (R, T, T); None where it is not known.
    n : int
        Officials behind the means; zero when made by hand.
    left_out : dict of str to str
        Region → why it is not in the panel.
    """

    regions: tuple[str, ...]
    periods: tuple[str, ...]
    values: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    exposures: dict[str, np.ndarray] = field(default_factory=dict)
    sampling: np.ndarray | None = None
    n: int = 0
    left_out: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.regions), len(self.periods))
        if self.values.shape != shape or self.starts.shape != shape[:1] or self.weights.shape != shape[:1]:
            raise UsageError("arrays do not fit the regions and periods", where="panel", fix="check their shapes")
        if not np.isfinite(self.values).all() or (self.starts < 1).any() or not (self.weights > 0).all():
            raise UsageError(
                "a mean is missing, a region was treated from the first period on, or a weight is not above zero",
                where="panel",
                fix="leave such regions out (Panel.of does), and say so",
            )

    @property
    def is_ever(self) -> np.ndarray:
        """Regions in which the reform begins within the panel, shape (R,)."""
        return self.starts < len(self.periods)

    @property
    def cohorts(self) -> list[int]:
        """Positions at which some region's reform begins, in order."""
        return sorted({int(start) for start in self.starts[self.is_ever]})

    @property
    def event_time(self) -> np.ndarray:
        """Periods since the start, shape (R, T); meaningless where there is none."""
        return np.arange(len(self.periods))[None, :] - self.starts[:, None]

    @property
    def in_force(self) -> np.ndarray:
        """True where the reform is in force, shape (R, T)."""
        return self.event_time >= 0

    @classmethod
    def of(cls, frame: pd.DataFrame, *, region: str, period: str, value: str, start: str, weight: str = "") -> Panel:
        """Panel of a long frame with a row per region and period.

        Parameters
        ----------
        start : str
            Column with the first period in force; missing or 0 where there is none.
        weight : str
            Column with what a region stands for (its mean over periods counts); empty: all count alike.
        """
        wide = frame.pivot(index=region, columns=period, values=value).sort_index(axis=1)
        firsts = frame.groupby(region)[start].first().reindex(wide.index)
        periods = list(wide.columns)
        starts = np.array([_position(first, periods) for first in firsts])
        weights = np.ones(len(wide))
        if weight:
            weights = frame.groupby(region)[weight].mean().reindex(wide.index).to_numpy(float)
        return make_panel([str(name) for name in wide.index], [str(each) for each in periods], wide.to_numpy(float),
                          starts, weights)  # fmt: skip


def make_panel(
    regions: list[str],
    periods: list[str],
    values: np.ndarray,
    starts: np.ndarray,
    weights: np.ndarray,
    *,
    exposures: dict[str, np.ndarray] | None = None,
    sampling: np.ndarray | None = None,
    n: int = 0,
) -> Panel:
    """A panel without the regions that cannot be in it: with a missing mean, or under the reform from the start.

    Raises
    ------
    UsageError
        When no region is left.
    """
    reasons = {
        region: "missing" if not np.isfinite(row).all() else "always"
        for region, row, start in zip(regions, values, starts, strict=True)
        if not np.isfinite(row).all() or start < 1
    }
    kept = np.array([region not in reasons for region in regions], dtype=bool)
    if not kept.any():
        raise UsageError("no region has a mean in every period and a period before the reform", where="panel",
                         fix="choose periods in which all regions were surveyed")  # fmt: skip
    return Panel(
        tuple(region for region in regions if region not in reasons),
        tuple(periods),
        values[kept],
        starts[kept],
        weights[kept],
        {name: share[kept] for name, share in (exposures or {}).items()},
        None if sampling is None else sampling[kept],
        n,
        reasons,
    )


def _position(first: object, periods: list) -> int:
    """Position of a first period in force: T where there is none or it comes later, 0 where it came before."""
    if pd.isna(first) or first == 0:  # pyright: ignore[reportArgumentType, reportCallIssue]
        return len(periods)
    return sum(period < first for period in periods)
