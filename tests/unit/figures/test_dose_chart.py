"""The chart of effects by burden before the reform, and its slope in words."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib.figures import style
from analysis_lib.figures.dose_response import dose_words, draw_dose_response, prepare_dose_response
from analysis_lib.figures.svg import to_svg

REFORM, MEASURE = "fewer-shorter", "gross_combined"
EFFECTS = {"high": -2.4, "low": -0.2, "middle": -1.1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def part(name, value, *, half=0.4, unit="hours_week", measure=MEASURE, n=812):
    numbers = row(measure, unit, "effect", value, half / 2, by="dose_response", category=f"{REFORM}.{name}", n=n)
    return numbers | {"residual_df": 400.0}


def table_of(study, slope=-0.3, half=0.1, *, placebo=None, n=812):
    rows = [part("slope", slope, half=half, unit="share"), part("slope", 0.5, half=0.1, unit="share", measure="gross")]
    rows += [part(name, value, n=n if name == "high" else 812) for name, value in EFFECTS.items()]
    if placebo is not None:
        rows.append(part("placebo", placebo, half=0.1, unit="share"))
    return protected(study, "dose", rows)


def asked(study, language="en"):
    return {"study": study, "language": language}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_thirds_stand_from_the_least_to_the_most_burdened_with_their_values(study, language):
    frame = prepare_dose_response(table_of(study), REFORM, MEASURE, **asked(study, language))
    assert frame["value"].tolist() == [-0.2, -1.1, -2.4]
    assert frame["text"].tolist() == ["−0.2", "−1.1", "−2.4"]
    assert frame["label"].is_unique
    assert frame["panel"].nunique() == 1


def test_the_chart_has_zero_on_it_an_interval_a_third_and_open_dots_where_it_holds_zero(study):
    axes = draw_dose_response(prepare_dose_response(table_of(study), REFORM, MEASURE, **asked(study))).axes[0]
    low, high = axes.get_xlim()
    assert low < -2.8
    assert high > 0.2
    (spans,) = [line for line in axes.collections if isinstance(line, LineCollection) and line.get_zorder() == 2]
    assert len(spans.get_segments()) == 3
    dots = {line.get_markerfacecolor(): len(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"}
    assert dots == {style.ACCENT: 2, "white": 1}
    assert {"−0.2", "−1.1", "−2.4"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_text_is_legible_and_within_the_figure(study, language):
    figure = draw_dose_response(prepare_dose_response(table_of(study), REFORM, MEASURE, **asked(study, language)))
    with mpl.rc_context({"text.hinting": "none"}):
        for text in [text for text in figure.axes[0].texts if text.get_text()]:
            box = text.get_window_extent()
            assert text.get_fontsize() >= 11
            assert -0.5 <= box.x0 < box.x1 <= figure.bbox.width + 0.5, text.get_text()
            assert -0.5 <= box.y0 < box.y1 <= figure.bbox.height + 0.5, text.get_text()


def test_the_same_frame_gives_the_same_bytes(study):
    frame = prepare_dose_response(table_of(study), REFORM, MEASURE, **asked(study, "zh"))
    first, second = (to_svg(draw_dose_response(frame), id_prefix="d", title="t", description="d") for _ in range(2))
    assert first == second


def test_a_withheld_third_keeps_its_row_with_its_mark(study):
    frame = prepare_dose_response(table_of(study, n=3), REFORM, MEASURE, **asked(study))
    assert frame["text"].iloc[2] == "[c]"
    assert np.isnan(frame["value"].iloc[2])
    assert len(draw_dose_response(frame).axes) == 1


@pytest.mark.parametrize(
    ("slope", "half", "placebo", "said"),
    [
        (-0.3, 0.1, 0.0, "more hours fell: −30% of each hour more (interval −40% to −20%)"),
        (0.3, 0.1, None, "fewer hours were returned: +30% of each hour more (interval 20% to 40%)"),
        (-0.3, 0.5, None, "cannot be told: −30% of each hour more"),
        (-0.3, 0.1, -0.2, "where the reform never came"),
        (np.nan, np.nan, 0.0, "not lasting enough for an interval"),
    ],
)  # fmt: skip
def test_the_slope_is_named_only_where_its_interval_says_so_and_the_placebo_does_not(study, slope, half, placebo, said):
    table = table_of(study, slope, half, placebo=placebo)
    assert said in dose_words(table, REFORM, MEASURE, **asked(study))
    assert dose_words(table, REFORM, MEASURE, **asked(study, "zh")).endswith("。")


def test_a_reform_without_a_slope_has_no_chart_and_no_words(study):
    table = protected(study, "dose", [])
    assert prepare_dose_response(table, REFORM, MEASURE, **asked(study)).empty
    assert dose_words(table, REFORM, MEASURE, **asked(study)) == ""
