"""What charts are made of: rows, numbers, intervals, dots and bars, each drawn as one artist a panel.

The axis machinery of matplotlib is left off: ticks cost more time than all that they stand beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from analysis_lib.figures import style

_ROUND_STEPS = [1, 2, 2.5, 5, 10]
_MOST_DECIMALS = 6


def rows(axes: Axes, lines: Sequence[str]) -> None:
    """Row labels of a horizontal chart, first row on top."""
    axes.set_ylim(len(lines) - 0.5, -0.5)
    for place, line in enumerate(lines):
        axes.annotate(line, (0, place), (2 - style.GAP_PX, 0), xycoords=axes.get_yaxis_transform(), ha="right",
                      va="center_baseline", textcoords="offset points", fontsize=style.TEXT_PX, linespacing=1.0)  # fmt: skip


def values(axes: Axes, texts: Iterable[str], bold: ArrayLike = False) -> None:
    """The value of each row, right of the plot."""
    texts = list(texts)
    weights = np.where(np.broadcast_to(np.asarray(bold, bool), len(texts)), "bold", "normal")
    for place, (text, weight) in enumerate(zip(texts, weights.tolist(), strict=True)):
        axes.annotate(text, (1, place), (6, 0), xycoords=axes.get_yaxis_transform(), va="center",
                      textcoords="offset points", fontsize=style.TEXT_PX, fontweight=weight)  # fmt: skip


def numbers_below(axes: Axes, *, steps: int, as_percent: bool = False) -> None:
    """Hairlines at a few round numbers of a level axis, the numbers below, and the line that they stand on."""
    factor, sign = (100, "%") if as_percent else (1, "")
    ticks, texts = round_numbers(*(factor * end for end in axes.get_xlim()), steps=steps)
    ticks = ticks / factor
    base = [((0, 0), (1, 0))]
    _hairlines(axes, [((tick, 0), (tick, 1)) for tick in ticks], style.GHOST, axes.get_xaxis_transform())
    _hairlines(axes, base, style.RULE, axes.transAxes)
    words_below(axes, ticks, [f"{text}{sign}" for text in texts])


def numbers_beside(axes: Axes, *, steps: int) -> None:
    """Hairlines at a few round numbers of an upright axis, and the numbers left of it."""
    ticks, texts = round_numbers(*axes.get_ylim(), steps=steps)
    _hairlines(axes, [((0, tick), (1, tick)) for tick in ticks], style.RULE, axes.get_yaxis_transform())
    for tick, text in zip(ticks, texts, strict=True):
        axes.annotate(text, (0, tick), (-5, 0), xycoords=axes.get_yaxis_transform(), ha="right",
                      va="center_baseline", textcoords="offset points", fontsize=style.SMALL_PX, color=style.MUTED)  # fmt: skip


def words_below(axes: Axes, places: ArrayLike, texts: Sequence[str]) -> None:
    """Texts centred below places of a level axis."""
    for place, text in zip(np.asarray(places), texts, strict=True):
        axes.annotate(text, (place, 0), (0, -4), xycoords=axes.get_xaxis_transform(), ha="center", va="top",
                      textcoords="offset points", fontsize=style.SMALL_PX, color=style.MUTED)  # fmt: skip


def intervals(axes: Axes, places: ArrayLike, low: ArrayLike, high: ArrayLike, *, colour: str | Sequence[str],
              width: float = 2.0, upright: bool = False) -> None:  # fmt: skip
    """A line from ``low`` to ``high`` at each place; along the upright axis when asked."""
    place, start, end = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (places, low, high)))
    known = np.isfinite(start) & np.isfinite(end)
    ends = [np.column_stack([value, place] if not upright else [place, value]) for value in (start, end)]
    colours = (
        colour if isinstance(colour, str) else [each for each, is_known in zip(colour, known, strict=True) if is_known]
    )
    axes.add_collection(
        LineCollection(list(np.stack(ends, axis=1)[known]), colors=colours, linewidths=width, clip_on=False, zorder=2),
        autolim=False,
    )


def intervals_on_bars(axes: Axes, places: ArrayLike, low: ArrayLike, high: ArrayLike) -> None:
    """Level intervals that are seen on a bar as well as beside it."""
    intervals(axes, places, low, high, colour="white", width=3.2)
    intervals(axes, places, low, high, colour=style.INK, width=1.4)


def dots(axes: Axes, across: ArrayLike, up: ArrayLike, *, colour: str, fill: str | None = None, marker: str = "o",
         size: float = 6.0) -> None:  # fmt: skip
    """Markers of one look; missing values leave none."""
    points = np.asarray(across, float), np.asarray(up, float)
    axes.add_artist(
        Line2D(*points, linestyle="none", marker=marker, markersize=size, color=colour, markerfacecolor=fill or colour,
               clip_on=False)
    )  # fmt: skip


def bars(axes: Axes, places: ArrayLike, length: ArrayLike, *, height: float, colour: str | Sequence[str],
         start: ArrayLike = 0.0) -> None:  # fmt: skip
    """Level bars about their places; a missing length is none."""
    place, left, long = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (places, start, length)))
    right, below, above = left + np.nan_to_num(long), place - height / 2, place + height / 2
    corners = np.stack([left, below, right, below, right, above, left, above], axis=-1).reshape(-1, 4, 2)
    axes.add_collection(
        PolyCollection(list(corners), facecolors=colour, linewidths=0, clip_on=False, zorder=1), autolim=False
    )


def reference(axes: Axes, value: float, *, upright: bool = True) -> None:
    """The line that one compares with, behind everything."""
    across, up = ([value, value], [0, 1]) if upright else ([0, 1], [value, value])
    transform = axes.get_xaxis_transform() if upright else axes.get_yaxis_transform()
    axes.add_artist(Line2D(across, up, transform=transform, color=style.NATION, linewidth=1.2, zorder=0, clip_on=False))


def left_edge(axes: Axes) -> None:
    """The line on which level bars stand."""
    _hairlines(axes, [((0, 0), (0, 1))], style.RULE, axes.transAxes, zorder=2.5)


def round_numbers(low: float, high: float, *, steps: int) -> tuple[NDArray[np.float64], list[str]]:
    """Round numbers between two ends, about as many as steps, and their texts.

    >>> round_numbers(-1.2, 2.1, steps=4)[1]
    ['−1', '0', '1', '2']
    """
    low, high = sorted((low, high))
    ticks = np.asarray(MaxNLocator(steps, steps=_ROUND_STEPS).tick_values(low, high)) + 0.0
    ticks = ticks[(ticks >= low - 1e-9) & (ticks <= high + 1e-9)]
    decimals = next((d for d in range(_MOST_DECIMALS) if np.allclose(ticks.round(d), ticks)), _MOST_DECIMALS)
    return ticks, [f"{tick:.{decimals}f}".replace("-", "−") for tick in ticks.round(decimals) + 0.0]


def _hairlines(axes: Axes, lines: list, colour: str, transform, zorder: float = 0.5) -> None:
    axes.add_collection(
        LineCollection(lines, colors=colour, linewidths=0.8, transform=transform, clip_on=False, zorder=zorder),
        autolim=False,
    )
