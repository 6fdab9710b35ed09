"""Figure → SVG text that is deterministic, carries no metadata, and draws under a strict content security policy."""

from __future__ import annotations

import io
import logging
import re
import warnings
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis_lib.errors import EnvironmentProblem
from analysis_lib.figures.style import chart_settings

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
# What our charts are made of. Anything else is left out: a policy without 'unsafe-inline' would not draw it anyway.
_ELEMENTS = {"svg", "g", "defs", "path", "use", "rect", "clipPath", "title", "desc"}
_ATTRIBUTES = {"id", "d", "x", "y", "width", "height", "viewBox", "transform", "clip-path", "href", "fill"}
_PRESENTATION = {
    "fill", "fill-opacity", "fill-rule", "opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap",
    "stroke-linejoin", "stroke-miterlimit", "stroke-dasharray", "stroke-dashoffset",
}  # fmt: skip
_REFERENCE = re.compile(r"#([\w.-]+)")


def to_svg(figure: Figure, *, id_prefix: str, title: str, description: str) -> str:
    """Draw a figure as an inline ``<svg>`` element.

    Parameters
    ----------
    id_prefix : str
        Put before every id, so that several charts share a page.
    title, description : str
        Text alternative: what the chart is, and what it shows.

    Raises
    ------
    EnvironmentProblem
        When the chart fonts lack a character or a weight.
    """
    root = ElementTree.fromstring(_drawn(figure))
    view_box = root.get("viewBox", "")
    clean = _cleaned(root, id_prefix)
    clean.attrib = {
        "xmlns": _SVG, "viewBox": view_box, "role": "img", "aria-labelledby": f"{id_prefix}-title {id_prefix}-desc",
        "stroke-linejoin": "round", "stroke-linecap": "butt",
    }  # fmt: skip
    for place, (tag, text) in enumerate([("title", title), ("desc", description)]):
        element = ElementTree.Element(tag, {"id": f"{id_prefix}-{tag}"})
        element.text = text
        clean.insert(place, element)
    return ElementTree.tostring(clean, encoding="unicode")


class _FontProblem(logging.Handler):
    """Turns matplotlib's log line about a font that it swapped into an error."""

    def emit(self, record: logging.LogRecord) -> None:
        raise EnvironmentProblem(
            record.getMessage(), where="charts", fix="install the package again: its fonts are gone"
        )


def _drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    fonts, handler = logging.getLogger("matplotlib.font_manager"), _FontProblem(logging.WARNING)
    fonts.addHandler(handler)
    try:
        with mpl.rc_context(chart_settings()), warnings.catch_warnings():  # pyright: ignore[reportArgumentType]
            warnings.filterwarnings("error", message="Glyph .* missing")
            figure.savefig(buffer, format="svg", metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
    except UserWarning as warning:
        raise EnvironmentProblem(
            f"the chart font lacks a character: {warning}",
            where="charts",
            fix="write the label with characters of GB 2312, or add it in figures/fonts/make_subset.py",
        ) from warning
    finally:
        fonts.removeHandler(handler)
    return buffer.getvalue()


def _cleaned(element: ElementTree.Element, prefix: str) -> ElementTree.Element:
    """Copy of an element with allowed parts only; style attributes become presentation attributes."""
    copy = ElementTree.Element(element.tag.rpartition("}")[2])
    for name, value in _plain_attributes(element).items():
        if name == "id":
            copy.set("id", f"{prefix}-{value}")
        elif name == "href" or value.startswith("url("):
            copy.set(name, _REFERENCE.sub(rf"#{prefix}-\1", value))
        else:
            copy.set(name, value)
    for child in element:
        if isinstance(child.tag, str) and child.tag.rpartition("}")[2] in _ELEMENTS:
            cleaned = _cleaned(child, prefix)
            if len(cleaned) or cleaned.tag not in ("g", "defs"):
                copy.append(cleaned)
    return copy


def _plain_attributes(element: ElementTree.Element) -> dict[str, str]:
    attributes = {"href" if name == _HREF else name: value for name, value in element.attrib.items()}
    is_target = element.tag.rpartition("}")[2] in ("path", "clipPath")
    kept = {
        name: value
        for name, value in attributes.items()
        if name in _ATTRIBUTES and (name != "id" or is_target)  # ids of groups are referred to by nothing
    }
    for part in attributes.get("style", "").split(";"):
        name, _, value = (text.strip() for text in part.partition(":"))
        if name in _PRESENTATION:
            kept[name] = value
    return kept
