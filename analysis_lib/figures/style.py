"""How every chart looks: fonts registered by file, one calm palette, panels of one width."""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.textpath import text_to_path

from analysis_lib.errors import EnvironmentProblem

FONTS = Path(__file__).resolve().parent / "fonts"
FONT_SHA256 = {
    "JianfuSansSC-Regular.otf": "f6d4568ad0a3c44152a9c9151732122fda3025626236d35113984df054616af5",
    "JianfuSansSC-Bold.otf": "0bd05db11bb255bc80b328ba21ebf2678751aa4ee9ec371256a8b2a860817bd5",
}
FAMILY = "Jianfu Sans SC"

PANEL_WIDTH = 288  # CSS px: what a phone of 320 px leaves between its margins
TEXT_PX, TITLE_PX = 12, 13.5
SMALL_PX = 11.5  # never below 11 CSS px at 320
ROW_PX, WRAPPED_PX = 25, 9  # a row of a horizontal chart, and what a second line adds
GAP_PX, VALUE_PX = 8, 44
LABEL_LIMIT_PX, LINE_LIMIT_PX = (
    126,
    150,
)  # beyond the first a label takes two lines; none of them is longer than the second
POINTS_PER_INCH = 72  # the SVG backend's unit; one point is drawn as one CSS px

INK = "#1d2733"
MUTED = "#55606b"
RULE = "#d5dbe1"
GHOST = "#e6eaee"
NATION = "#7b8691"  # the line one compares with
ACCENT = "#1b5e8c"
REFORM = "#8a2f62"
# Told apart by lightness too, so that they survive grey print and the common forms of colour blindness.
SERIES = ["#1b5e8c", "#b3541e", "#7a3e74", "#2e7d5b"]
KINDS = {"burden": "#1b5e8c", "service": "#2e8b67", "core": "#7b8691", "personal": "#8a949e"}

P = ParamSpec("P")
_COLONS = "：:"  # the best place to break a label of two parts
_OPENING, _CLOSING = "（《“", "）》”，。、；：？！"  # a line neither ends with the former nor begins with the latter


@functools.cache
def register_fonts() -> None:
    """Make the chart fonts known to matplotlib; both weights must be found, or matplotlib would swap them silently.

    Raises
    ------
    EnvironmentProblem
        When a font file is missing or another one.
    """
    if strange := strange_fonts():
        raise EnvironmentProblem(", ".join(strange), where=FONTS.name, fix="restore the fonts from version control")
    for name in FONT_SHA256:
        font_manager.fontManager.addfont(FONTS / name)
    for weight in ("normal", "bold"):
        wanted = font_manager.FontProperties(family=FAMILY, weight=weight)
        font_manager.findfont(wanted, fallback_to_default=False)


def strange_fonts() -> list[str]:
    """Fonts that are missing or not those that charts were made for: other outlines give other bytes, or boxes."""
    return [
        f"{name} is another file" if (FONTS / name).is_file() else f"{name} is missing"
        for name, expected in FONT_SHA256.items()
        if not (FONTS / name).is_file() or hashlib.sha256((FONTS / name).read_bytes()).hexdigest() != expected
    ]


def chart_settings() -> dict[str, object]:
    """Settings of seaborn's white theme with our font, inks and hairlines."""
    return {
        **sns.axes_style("white"),
        "font.family": [FAMILY],
        "font.size": TEXT_PX,
        "axes.unicode_minus": True,
        "axes.edgecolor": RULE,
        "axes.linewidth": 1,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.labelsize": SMALL_PX,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": SMALL_PX,
        "ytick.labelsize": SMALL_PX,
        "svg.fonttype": "none",  # text that readers can select and search, at a third of the bytes of outlines
        "svg.hashsalt": "jianfu",
    }


class Chart(Figure):
    """A figure that shows itself at the end of a notebook cell, whichever backend is active."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=2 * POINTS_PER_INCH)  # sharp on dense screens, shown at its own size
        width, height = (round(inches * POINTS_PER_INCH) for inches in self.get_size_inches())
        return image.getvalue(), {"width": width, "height": height}


def styled(draw: Callable[Concatenate[pd.DataFrame, P], Figure]) -> Callable[Concatenate[pd.DataFrame, P], Figure]:
    """Give a draw function the chart style without changing anyone else's settings; no rows give an empty figure."""

    @functools.wraps(draw)
    def wrapper(frame: pd.DataFrame, *args: P.args, **kwargs: P.kwargs) -> Figure:
        if frame.empty:
            return Chart(figsize=(PANEL_WIDTH / POINTS_PER_INCH, ROW_PX / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
        register_fonts()
        with mpl.rc_context(chart_settings()):  # pyright: ignore[reportArgumentType]
            return draw(frame, *args, **kwargs)

    return wrapper


def new_panels(count: int, *, height: float, left: float, right: float, top: float, bottom: float) -> list[Axes]:
    """Axes side by side in one figure, each in a panel of `PANEL_WIDTH`; sizes and margins in px.

    Fixed margins instead of a fitted layout: panels of one family line up, and the same frame gives the same bytes.
    """
    width = count * PANEL_WIDTH
    figure = Chart(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
    panels = [
        figure.add_axes(
            (
                (place * PANEL_WIDTH + left) / width,
                bottom / height,
                (PANEL_WIDTH - left - right) / width,
                (height - top - bottom) / height,
            )
        )
        for place in range(count)
    ]
    for axes in panels:
        axes.set_axis_off()  # rows and numbers are written by `marks`
    return panels


def figure_of(axes: list[Axes]) -> Figure:
    """The figure that holds the panels."""
    figure = axes[0].get_figure(root=True)
    assert figure is not None  # axes made by new_panels always have one
    return figure


def tint(colour: str, strength: float = 0.18) -> str:
    """A colour mixed with white; no transparency, so that prints and SVG viewers agree."""
    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float = TEXT_PX, weight: str = "normal") -> float:
    """Width of a text in px, of its widest line."""
    font = font_manager.FontProperties(family=FAMILY, size=size, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # `svg` refuses to draw it, and says why
        widths = [text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n")]
    return max(widths, default=0.0)


def wrapped(label: str, size: float = TEXT_PX) -> str:
    """The label on two lines when it would take more than `LABEL_LIMIT_PX`; broken after a colon, or at a space,
    where there is one.

    Without one it is broken in the middle, but neither after a mark that opens nor before one that closes. What two lines
    cannot hold ends in an ellipsis: a chart keeps room for what it shows, and the table beside it has the whole name.
    """
    if text_width(label, size) <= LABEL_LIMIT_PX:
        return label
    anywhere = [
        place for place in range(1, len(label)) if label[place - 1] not in _OPENING and label[place] not in _CLOSING
    ]
    breaks = [place for place, character in enumerate(label) if character == " "] or anywhere
    colons = [place for place in breaks if label[place - 1] in _COLONS and _fits(label, place, size)]
    middle = min(colons or breaks, key=lambda place: abs(2 * place - len(label)))
    if not _fits(label, middle, size):
        most = _longest_start(label, LINE_LIMIT_PX, size)
        fitting = [place for place in breaks if place <= most] or [place for place in anywhere if place <= most]
        middle = max(fitting)
    return f"{label[:middle]}\n{shortened(label[middle:].strip(), LINE_LIMIT_PX, size)}"


def _fits(label: str, place: int, size: float) -> bool:
    return max(text_width(part.strip(), size) for part in (label[:place], label[place:])) <= LINE_LIMIT_PX


def shortened(text: str, limit: float, size: float = TEXT_PX) -> str:
    """The text, cut with an ellipsis where it would be wider than ``limit`` px."""
    if text_width(text, size) <= limit:
        return text
    most = _longest_start(text, limit - text_width("…", size), size)
    return f"{text[:most].rstrip()}…"


def _longest_start(text: str, limit: float, size: float) -> int:
    """How many characters fit into ``limit`` px."""
    return max(0, bisect_right(range(len(text) + 1), limit, key=lambda count: text_width(text[:count], size)) - 1)


def label_column(labels: list[str], size: float = TEXT_PX) -> tuple[list[str], float, float]:
    """Labels wrapped to fit, the width that they need, and the height of a row."""
    lines = [wrapped(label, size) for label in labels]
    width = max((text_width(line, size) for line in lines), default=0.0)
    return lines, width + GAP_PX, ROW_PX + (WRAPPED_PX if any("\n" in line for line in lines) else 0)


def value_column(texts: list[str], size: float = TEXT_PX) -> float:
    """Width that the values beside a chart need; short ones share one width, so that panels line up."""
    return max([VALUE_PX, *(text_width(text, size, "bold") + GAP_PX for text in texts)])


def largest(frame: pd.DataFrame, columns: list[str]) -> float:
    """Largest number in some columns; one when there is none, so that an axis has a length."""
    numbers = frame[columns].to_numpy(float)
    return float(numbers[numbers == numbers].max(initial=0)) or 1.0


def title(axes: Axes, text: str, *, left: float, top: float) -> None:
    """Title at the left edge of the panel, above a plot with these margins, shortened to the width of the panel.

    Set apart by size, not by weight: a bold Chinese title would put every character into the page a second time.
    """
    text = shortened(text, PANEL_WIDTH, TITLE_PX)
    axes.annotate(text, (0, 1), (-left, top - 2), xycoords="axes fraction", textcoords="offset points", va="top",
                  fontsize=TITLE_PX)  # fmt: skip
