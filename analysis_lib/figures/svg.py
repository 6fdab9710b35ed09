"""Figure → SVG text that is deterministic, carries no metadata, and draws under a strict content security policy."""

from __future__ import annotations

import functools
import io
import logging
import re
import warnings
from collections import Counter
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
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_GLYPH_ID = re.compile(r"^JianfuSansSC-(R|B)[a-z]+-([0-9a-f]+)$")
_GLYPH = re.compile(r'<path id="(glyph-[RB][0-9a-f]+)"[^>]*/>')
_TEXT = re.compile(r"<g((?: (?:transform|fill)=\"[^\"]*\")+)>((?:<use href=\"#glyph-[^>]*/>)+)</g>")
_SHIFT = re.compile(r"^translate\((-?[\d.]+) 0\)$")
# matplotlib writes outlines in 6,400ths of the font size. 256ths, 0.05 px in a text of 12 px, look the same at three
# times the size and take a third of the bytes.
_COARSER = 25
_NUMBERS = {"M": 2, "L": 2, "Q": 4, "C": 6, "z": 0}  # that follow a path command
_OUTLINE_SCALE = f"scale({_COARSER / 64})"


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


def share_glyphs(charts: list[str]) -> tuple[str, list[str]]:
    """Move the outlines of characters, and texts that occur more than once, into one hidden sheet for a page.

    The charts refer to them by id; half of a page would otherwise be the same outlines over and over.
    """
    outlines: dict[str, str] = {}
    for chart in charts:
        outlines |= {match[1]: match[0] for match in _GLYPH.finditer(chart)}
    charts = [_GLYPH.sub("", chart).replace("<defs></defs>", "") for chart in charts]
    counted = Counter(match[2] for chart in charts for match in _TEXT.finditer(chart))
    texts = {text: f"text-{place}" for place, text in enumerate(text for text, times in counted.items() if times > 1)}
    sheet = [*outlines.values(), *(f'<g id="{name}">{text}</g>' for text, name in texts.items())]
    hidden = f'<svg xmlns="{_SVG}" class="glyphs" aria-hidden="true"><defs>{"".join(sheet)}</defs></svg>'
    return hidden, [_TEXT.sub(lambda found: _by_name(found, texts), chart) for chart in charts]


def _by_name(found: re.Match[str], texts: dict[str, str]) -> str:
    return f'<use href="#{texts[found[2]]}"{found[1]} />' if found[2] in texts else found[0]


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


def _cleaned(element: ElementTree.Element, prefix: str) -> ElementTree.Element:
    """Copy of an element with allowed parts only; style attributes become presentation attributes."""
    copy = ElementTree.Element(_tag(element), _plain_attributes(element, prefix))
    for child in element:
        if isinstance(child.tag, str) and _tag(child) in _ELEMENTS:
            cleaned = _cleaned(child, prefix)
            if cleaned.get("fill") == "none" and "stroke" not in cleaned.attrib:
                continue  # the background, left transparent so that a chart sits on any ground
            if cleaned.tag == "g" and not cleaned.attrib:
                copy.extend(cleaned)  # a group that groups for the drawing program alone
            elif len(cleaned) or cleaned.tag not in ("g", "defs"):
                copy.append(cleaned)
    return copy


def _plain_attributes(element: ElementTree.Element, prefix: str) -> dict[str, str]:
    attributes = {"href" if name == _HREF else name: value for name, value in element.attrib.items()}
    kept = {name: value for name, value in attributes.items() if name in _ATTRIBUTES}
    for part in attributes.get("style", "").split(";"):
        name, _, value = (text.strip() for text in part.partition(":"))
        if name in _PRESENTATION:
            kept[name] = value
    if _tag(element) not in ("path", "clipPath"):
        kept.pop("id", None)  # nothing refers to a group
    if _tag(element) == "use" and (shift := _SHIFT.match(kept.get("transform", ""))):
        del kept["transform"]
        kept["x"] = shift[1]
    if "id" in kept and _GLYPH_ID.match(kept["id"]):
        kept["d"], kept["transform"] = _coarser(kept.get("d", "")), _OUTLINE_SCALE  # a space has no outline
    elif "d" in kept:
        kept["d"] = " ".join(_DECIMALS.sub(_hundredth, kept["d"]).split())
    if "id" in kept:
        kept["id"] = _renamed(kept["id"], prefix)
    return {name: _REFERENCE.sub(lambda found: f"#{_renamed(found[1], prefix)}", value)
            if name == "href" or value.startswith("url(") else value for name, value in kept.items()}  # fmt: skip


def _hundredth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}"


@functools.lru_cache(maxsize=8192)
def _renamed(name: str, prefix: str) -> str:
    glyph = _GLYPH_ID.match(name)
    return f"glyph-{glyph[1]}{glyph[2]}" if glyph else f"{prefix}-{name}"


@functools.lru_cache(maxsize=8192)
def _coarser(outline: str) -> str:
    """The outline of a character on a coarser grid in relative steps; rounding does not add up along the way."""
    words, shortened, place = outline.split(), [], 0
    position = start = (0, 0)
    for count, command in ((_NUMBERS[word], word) for word in words if word in _NUMBERS):
        numbers = [round(float(word) / _COARSER) for word in words[place + 1 : place + 1 + count]]
        place += 1 + count
        if command == "z":
            position = start
            shortened.append("z")
            continue
        shortened.append(_step(command, [number - position[axis % 2] for axis, number in enumerate(numbers)]))
        position = (numbers[-2], numbers[-1])
        start = position if command == "M" else start
    return "".join(shortened)


def _step(command: str, steps: list[int]) -> str:
    """One path command in relative steps; most strokes of Han characters are level or upright, and take one number."""
    if command == "L" and 0 in steps:
        across, up = steps
        return f"v{up}" * (up != 0) if across == 0 else f"h{across}"
    return command.lower() + "".join(f" {step}" if step >= 0 else str(step) for step in steps).lstrip()


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
