"""Charts drawn from small frames: what is on them, and what the SVG may hold."""

from __future__ import annotations

import logging
import re
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
import pytest
from sample_results import national_results, regional_results
from sample_study import write_combined_study

from analysis_lib.errors import EnvironmentProblem
from analysis_lib.figures import style
from analysis_lib.figures.comparison import draw_comparison, prepare_regions
from analysis_lib.figures.nested import draw_nested, prepare_nested
from analysis_lib.figures.response import draw_response, prepare_response
from analysis_lib.figures.svg import to_svg
from analysis_lib.figures.trend import draw_trend, prepare_trend, reform_lines
from analysis_lib.figures.working_week import draw_week, prepare_week

STYLE_ATTRIBUTES = re.compile(r"\sstyle=|<style|<script|<image|xlink|metadata|dc:")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def frames(study):
    tables = {name: table for tables in national_results(study).values() for name, table in tables.items()}
    asked = {"study": study, "language": "zh"}
    regional = regional_results(study, "P01")
    return {
        "week": prepare_week(tables["week"], **asked, by="tier"),
        "trend": prepare_trend(
            regional["region_series"],
            ["gross_combined", "avoidable_combined", "excess_combined"],
            **asked,
            region="P01",
        ),
        "regions": prepare_regions(tables["hours"], "gross_combined", **asked, regions=["P01", "P02"]),
        "nested": prepare_nested(tables["hours"], **asked),
        "response": prepare_response(tables["response"], **asked),
    }


def drawn(frames, study):
    return {
        "week": draw_week(frames["week"]),
        "trend": draw_trend(frames["trend"], reforms=reform_lines(study, language="zh")),
        "regions": draw_comparison(frames["regions"]),
        "nested": draw_nested(frames["nested"]),
        "response": draw_response(frames["response"]),
    }


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_panels_have_one_width_and_are_as_many_as_the_frame_asks_for(frames, study):
    figures = drawn(frames, study)
    assert {name: len(figure.axes) for name, figure in figures.items()} == {
        "week": 4, "trend": 3, "regions": 1, "nested": 1, "response": 2,
    }  # fmt: skip
    for figure in figures.values():
        assert figure.bbox.width == pytest.approx(len(figure.axes) * style.PANEL_WIDTH)


def test_no_text_is_smaller_than_eleven_pixels_in_a_panel(frames, study):
    for name, figure in drawn(frames, study).items():
        figure.draw_without_rendering()
        for axes in figure.axes:
            assert not axes.axison, name  # or ticks would be drawn beside our texts
            sizes = [text.get_fontsize() for text in axes.texts if text.get_text()]
            assert min(sizes) >= 11, name


def test_every_text_lies_within_the_figure(frames, study):
    with mpl.rc_context({"text.hinting": "none"}):  # as in an SVG: widths are not rounded to whole pixels
        for name, figure in drawn(frames, study).items():
            for axes in figure.axes:
                for text in axes.texts:
                    box = text.get_window_extent()
                    if text.get_text():
                        assert box.x0 >= -0.5, (name, text.get_text())
                        assert box.x1 <= figure.bbox.width + 0.5, (name, text.get_text())
                        assert box.y1 <= figure.bbox.height + 0.5, (name, text.get_text())


def test_the_small_panels_of_a_week_share_their_axis(frames, study):
    limits = {axes.get_xlim() for axes in drawn(frames, study)["week"].axes}
    assert limits == {(0.0, 25.5)}


def test_a_trend_starts_at_zero_draws_its_reform_and_the_nation(frames, study):
    axes = drawn(frames, study)["trend"].axes[0]
    assert axes.get_ylim()[0] == 0
    assert "少开会、开短会，少发文、发短文" in words(axes)
    assert style.NATION in [line.get_color() for line in axes.lines]
    assert "18.3" in words(axes)


def test_a_withheld_quarter_leaves_a_gap_in_the_line(frames):
    frame = frames["trend"].assign(value=lambda part: part["value"].where(part["quarter"] != "2025Q3"))
    line = next(line for line in draw_trend(frame).axes[0].lines if line.get_color() == style.SERIES[0])
    assert pd.isna(line.get_ydata()[2])


def test_the_svg_holds_nothing_that_a_strict_policy_blocks(frames, study):
    for name, figure in drawn(frames, study).items():
        svg = to_svg(figure, id_prefix=name, title="t<i>", description="d & e")
        assert not STYLE_ATTRIBUTES.search(svg)
        root = ElementTree.fromstring(svg)
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "g", "defs", "path", "use", "rect", "clipPath", "title", "desc", "text"}
        assert root.get("role") == "img"
        assert root[0].text == "t<i>"


def test_every_reference_of_an_svg_is_to_itself(frames, study):
    svg = to_svg(drawn(frames, study)["week"], id_prefix="week", title="t", description="d")
    ids = re.findall(r'\sid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([\w.-]+)', svg)) <= set(ids)


def test_the_same_frame_gives_the_same_bytes(frames, study):
    first, second = (
        {name: to_svg(figure, id_prefix=name, title="t", description="d") for name, figure in drawn(frames, study).items()}
        for _ in range(2)
    )  # fmt: skip
    assert first == second


def test_words_of_a_chart_are_text_as_wide_as_the_layout_took_them_to_be(frames):
    frame = frames["nested"].assign(text="16.8 <b>")
    svg = ElementTree.fromstring(to_svg(draw_nested(frame), id_prefix="n", title="t", description="d"))
    texts = {element.text: element for element in svg.iter() if element.tag.endswith("text")}
    assert {"会议、文件等总耗时", "16.8 <b>"} <= set(texts)
    width = float(texts["16.8 <b>"].get("textLength", "nan"))
    size = float(texts["16.8 <b>"].get("font-size", f"{style.TEXT_PX}px").removesuffix("px"))
    assert width == pytest.approx(style.text_width("16.8 <b>", size, "bold"), abs=0.06)
    assert "textLength" not in texts["会议、文件等总耗时"].attrib, "Han characters are square in every font"


def test_a_character_that_the_font_lacks_is_an_error(frames):
    frame = frames["nested"].assign(label="𠮷")
    with pytest.raises(EnvironmentProblem, match="lacks a character"):
        to_svg(draw_nested(frame), id_prefix="n", title="t", description="d")


@pytest.fixture(params=["logging as it starts", "logging silenced"])
def font_log(request):
    """The log of matplotlib's fonts, also as a program leaves it that disables loggers it did not make."""
    log = logging.getLogger("matplotlib.font_manager")
    before, log.disabled = log.disabled, request.param == "logging silenced"
    yield log
    log.disabled = before


def test_a_font_that_is_not_there_is_an_error(frames, font_log):
    figure = draw_nested(frames["nested"])
    figure.axes[0].texts[0].set_fontfamily(f"No Such Font {font_log.disabled}")
    with pytest.raises(EnvironmentProblem, match="No Such Font"):
        to_svg(figure, id_prefix="n", title="t", description="d")


def test_drawing_leaves_the_settings_of_others_alone(frames):
    before = dict(mpl.rcParams)
    to_svg(draw_nested(frames["nested"]), id_prefix="n", title="t", description="d")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("colour", [*style.SERIES, *style.KINDS.values(), style.NATION, style.REFORM])
def test_marks_stand_out_from_white(colour):
    assert contrast(colour, "#ffffff") >= 3


@pytest.mark.parametrize("colour", [style.INK, style.MUTED, style.REFORM, *style.SERIES])
def test_texts_stand_out_from_white(colour):
    assert contrast(colour, "#ffffff") >= 4.5


def contrast(colour: str, ground: str) -> float:
    """Contrast ratio of WCAG 2.2."""

    def luminance(text: str) -> float:
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in mpl.colors.to_rgb(text)
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    lighter, darker = sorted([luminance(colour), luminance(ground)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
