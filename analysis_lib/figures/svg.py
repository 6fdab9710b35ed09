"""Figure → SVG text that is deterministic, carries no metadata, and draws under a strict content security policy."""

from __future__ import annotations

import io
import logging
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from analysis_lib.errors import EnvironmentProblem
from analysis_lib.figures.style import INK, TEXT_PX, chart_settings, text_width

_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
# What our charts are made of. Anything else is left out: a policy without 'unsafe-inline' would not draw it anyway.
_ELEMENTS = {"svg", "g", "defs", "path", "use", "rect", "clipPath", "title", "desc", "text"}
_ATTRIBUTES = {"id", "d", "x", "y", "width", "height", "viewBox", "transform", "clip-path", "href", "fill"}
_PRESENTATION = {
    "fill", "fill-opacity", "fill-rule", "opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap",
    "stroke-linejoin", "stroke-miterlimit", "stroke-dasharray", "stroke-dashoffset",
    "font-size", "font-weight", "text-anchor",
}  # fmt: skip
_REFERENCE = re.compile(r"#[\w.-]+")
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_UNTURNED = re.compile(r"^(?:rotate\(-?0 .*\)|translate\((?P<x>[\d.-]+) (?P<y>[\d.-]+)\))$")
# What every text of ours is unless it says otherwise; the family is that of the page around the chart.
_USUAL = {"font-size": f"{TEXT_PX}px", "font-weight": "400", "text-anchor": "start", "fill": INK}


def to_svg(figure: Figure, *, id_prefix: str, title: str, description: str) -> Markup:
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
    described = {"title": title, "desc": description}
    svg = ElementTree.Element("svg", {
        "xmlns": _SVG, "viewBox": root.get("viewBox", ""), "role": "img",
        "aria-labelledby": " ".join(f"{id_prefix}-{tag}" for tag in described),
    })  # fmt: skip
    for tag, text in described.items():
        ElementTree.SubElement(svg, tag, {"id": f"{id_prefix}-{tag}"}).text = text
    # Who listens hears title and description, and the table beside; numbers without their axes would say nothing.
    drawn = {"aria-hidden": "true", "stroke-linejoin": "round", "font-size": _USUAL["font-size"], "fill": INK}
    ElementTree.SubElement(svg, "g", drawn).extend(_gathered(_cleaned(root)))
    _number_ids(svg[-1], id_prefix)
    return Markup(ElementTree.tostring(svg, encoding="unicode"))  # the writer has escaped every text in it


class _FontProblem(logging.Handler):
    """Turns matplotlib's log line about a font that it swapped into an error."""

    def emit(self, record: logging.LogRecord) -> None:
        raise EnvironmentProblem(
            record.getMessage(), where="charts", fix="install the package again: its fonts are gone"
        )


def _drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    fonts, handler = logging.getLogger("matplotlib.font_manager"), _FontProblem(logging.WARNING)
    before = fonts.disabled, fonts.level
    fonts.disabled = False  # whoever configured logging in this process may have silenced it
    fonts.setLevel(logging.WARNING)
    fonts.addHandler(handler)
    try:
        with mpl.rc_context(chart_settings()), warnings.catch_warnings():  # pyright: ignore[reportArgumentType]
            warnings.filterwarnings("error", message="Glyph .* missing")
            figure.savefig(
                buffer, format="svg", transparent=True, metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"])
            )
    except UserWarning as warning:
        raise EnvironmentProblem(
            f"the chart font lacks a character: {warning}",
            where="charts",
            fix="write the label with characters of GB 2312, or add it in figures/fonts/make_subset.py",
        ) from warning
    finally:
        fonts.removeHandler(handler)
        fonts.disabled = before[0]
        fonts.setLevel(before[1])
    return buffer.getvalue()


def _cleaned(element: ElementTree.Element) -> ElementTree.Element:
    """Copy of an element with allowed parts only; style attributes become presentation attributes."""
    copy = ElementTree.Element(_tag(element), _plain_attributes(element))
    if copy.tag == "text":
        return _placed(copy, element.text or "")
    for child in element:
        if isinstance(child.tag, str) and _tag(child) in _ELEMENTS:
            cleaned = _cleaned(child)
            if cleaned.get("fill") == "none" and "stroke" not in cleaned.attrib:
                continue  # the background, left transparent so that a chart sits on any ground
            if cleaned.tag == "g" and not cleaned.attrib:
                copy.extend(cleaned)  # a group that groups for the drawing program alone
            elif len(cleaned) or cleaned.text or cleaned.tag not in ("g", "defs", "text"):
                copy.append(cleaned)
    return copy


def _gathered(elements: Iterable[ElementTree.Element]) -> Iterator[ElementTree.Element]:
    """Neighbours of one look say it once: lines become one path, marks one group; a chart of many weighs half."""
    for (tag, look), alike in groupby(elements, key=_look):
        first, *others = alike
        if tag == "path" and others and look.get("fill") == "none":
            first.set("d", " ".join(each.attrib["d"] for each in (first, *others)))
            yield first
        elif tag == "use" and others:
            shared = {name: value for name, value in look.items() if name != "href"}
            group = ElementTree.Element("g", shared)
            for each in (first, *others):
                each.attrib = {name: value for name, value in each.attrib.items() if name not in shared}
                group.append(each)
            yield group
        else:
            for each in (first, *others):
                each[:] = _gathered(list(each))
                yield each


def _look(element: ElementTree.Element) -> tuple[str, dict[str, str]]:
    return element.tag, {name: value for name, value in element.attrib.items() if name not in ("d", "x", "y")}


def _number_ids(drawn: ElementTree.Element, prefix: str) -> None:
    """Short ids, told apart by the prefix from those of other charts of the page."""
    names = {element.attrib["id"]: element for element in drawn.iter() if "id" in element.attrib}
    short = {f"#{name}": f"#{prefix}-{place}" for place, name in enumerate(names)}
    for name, element in names.items():
        element.set("id", short[f"#{name}"][1:])
    for element in drawn.iter():
        for name in {"href", "clip-path"} & set(element.attrib):
            element.set(name, _REFERENCE.sub(lambda found: short[found[0]], element.attrib[name]))


def _placed(element: ElementTree.Element, text: str) -> ElementTree.Element:
    """A text where the layout put it, as wide as the chart font would draw it, in whatever font the reader has.

    Han characters are square in every font; other letters are not, and would run into what stands beside them.
    """
    element.text = text
    size, weight = float(element.get("font-size", _USUAL["font-size"]).removesuffix("px")), element.get("font-weight")
    if unturned := _UNTURNED.match(element.get("transform", "")):
        del element.attrib["transform"]
        element.attrib |= {name: _DECIMALS.sub(_tenth, place) for name, place in unturned.groupdict().items() if place}
    if any(unicodedata.east_asian_width(letter) not in "WF" for letter in text):
        width = text_width(text, size, "bold" if weight else "normal")
        element.attrib |= {"textLength": f"{width:.1f}", "lengthAdjust": "spacingAndGlyphs"}
    return element


def _plain_attributes(element: ElementTree.Element) -> dict[str, str]:
    attributes = {"href" if name == _HREF else name: value for name, value in element.attrib.items()}
    kept = {name: value for name, value in attributes.items() if name in _ATTRIBUTES}
    for part in attributes.get("style", "").split(";"):
        name, _, value = (text.strip() for text in part.partition(":"))
        if name in _PRESENTATION and _USUAL.get(name) != value:
            kept[name] = value
    if _tag(element) not in ("path", "clipPath"):
        kept.pop("id", None)  # nothing refers to a group
    for name in {"d", "x", "y"} & set(kept):
        kept[name] = " ".join(_DECIMALS.sub(_tenth, kept[name]).split())
    return kept


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
