"""Charts of what a reform did: what each is given to draw, and what is on it."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib.figures import style
from analysis_lib.figures.effect_paths import draw_effect_path, prepare_event_study, prepare_group_time
from analysis_lib.figures.effect_rows import (
    draw_four_series,
    prepare_four_series,
)
from analysis_lib.figures.exposure_trends import draw_exposure_trends, prepare_exposure_trends
from analysis_lib.figures.specification_curve import draw_specification_curve, prepare_specification_curve
from analysis_lib.figures.svg import to_svg

REFORM = "fewer-shorter"
HOURS = ("gross_combined", "hours_week")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


def effect(by, category, value, *, se=0.2, measure="gross_combined", unit="hours_week", **domain):
    return row(measure, unit, "effect", value, se, by=by, category=f"{REFORM}.{category}",
               **{"residual_df": 400.0, **domain})  # fmt: skip


@pytest.fixture(scope="module")
def frames(study):
    path = {-3: 0.1, -2: -0.11, -1: 0.0, 0: -0.8, 1: -1.4, 2: -1.6}
    rows = [
        effect("event_time", str(time), value * scale, measure=measure)
        for measure, scale in [("avoidable_combined", 0.5), ("gross_combined", 1.0)]
        for time, value in path.items()
    ]
    quarters = ["2024Q4", "2025Q1", "2025Q2", "2025Q3", "2025Q4"]
    rows += [
        effect("group_time", f"{start}.{quarter}", -1.2 if quarter >= start else 0.1)
        for start in ("2025Q1", "2025Q3")
        for quarter in quarters
    ]
    rows += [
        row(*HOURS, "mean", level, 0.3, by="exposure", category=f"{REFORM}.{series}", period=quarter)
        for series, levels in [
            ("treated", [19, 17, 16, 15.5, 15]),
            ("comparison", [17, 17, 16.8, 16.5, 16.7]),
            ("without", [19, 19, 18.8, 18.5, 18.7]),
        ]
        for quarter, level in zip(quarters, levels, strict=True)
    ]
    rows += [
        effect("specification", f"{'planned' if value == -1.3 else 'other'}.{how}", value)
        for how, value in [
            ("group_time.never.local_start.others_out.equal.early_0.all", -1.3),
            ("group_time.not_yet.local_start.others_out.equal.early_0.all", -1.1),
            ("imputation.not_yet.local_start.others_out.equal.early_0.all", -1.5),
            ("group_time.never.public.others_out.equal.early_0.all", 0.2),
        ]
    ]  # fmt: skip
    share = {"unit": "share", "se": 0.02}
    rows += [
        effect("four_series", "claimed.meetings_attended", -0.35, measure="meetings_attended", unit="share", se=0.0,
               n=300) | {"ci_low": float("nan"), "ci_high": float("nan")},
        effect("four_series", "counted.meetings_attended", -0.21, measure="meetings_attended", **share),
        effect("four_series", "measured.gross_combined", -1.3),
        effect("four_series", "measured_relative.gross_combined", -0.08, **share),
        effect("four_series", "felt.gross_combined", 0.1, unit="score"),
    ]  # fmt: skip
    table = protected(study, "effects", rows)
    made = {}
    for language in ("en", "zh"):
        asked = {"study": study, "language": language}
        made[language] = {
            "event": prepare_event_study(table, REFORM, ["gross_combined", "avoidable_combined"], **asked),
            "group": prepare_group_time(table, REFORM, "gross_combined", **asked),
            "trends": prepare_exposure_trends(table, REFORM, "gross_combined", **asked),
            "curve": prepare_specification_curve(table, REFORM, "gross_combined", **asked),
            "four": prepare_four_series(table, REFORM, **asked),
        }
    return made


def drawn(frames):
    return {
        "event": draw_effect_path(frames["event"]),
        "group": draw_effect_path(frames["group"]),
        "trends": draw_exposure_trends(frames["trends"]),
        "curve": draw_specification_curve(frames["curve"]),
        "four": draw_four_series(frames["four"]),
    }


def words(axes):
    return [text.get_text() for text in axes.texts]


def markers(axes, colour):
    return [line for line in axes.lines if line.get_linestyle() == "None" and line.get_color() == colour]


def test_an_event_study_has_a_panel_for_each_measure_in_the_order_asked_for(frames):
    frame = frames["en"]["event"]
    assert frame["panel"].unique().tolist() == ["Gross hours lost", "Avoidable hours"]
    assert frame["place"].tolist()[:6] == [-3, -2, -1, 0, 1, 2]
    assert frame["is_before"].tolist()[:6] == [True] * 3 + [False] * 3
    assert frame["text"].tolist()[:6] == ["+0.1", "−0.1", "0.0", "−0.8", "−1.4", "−1.6"]


def test_before_the_start_an_event_study_is_grey_and_its_start_lies_between_two_quarters(frames):
    axes = drawn(frames["en"])["event"].axes[0]
    grey, shown = markers(axes, style.NATION)[0], markers(axes, style.ACCENT)[0]
    assert grey.get_xdata().tolist() == [-3, -2, -1]
    assert shown.get_xdata().tolist() == [0, 1, 2]
    (start,) = [line for line in axes.lines if line.get_color() == style.REFORM]
    assert list(start.get_xdata()) == [-0.5, -0.5]
    assert "quarters since the start" in words(axes)


def test_each_group_of_starts_has_a_panel_with_its_own_start(frames):
    frame = frames["en"]["group"]
    assert frame["panel"].unique().tolist() == ["Started in 1st quarter of 2025", "Started in 3rd quarter of 2025"]
    assert frame.groupby("panel")["start"].first().tolist() == [0.5, 2.5]
    assert frame.groupby("panel")["is_before"].sum().tolist() == [1, 3]
    limits = {axes.get_ylim() for axes in drawn(frames["en"])["group"].axes}
    assert len(limits) == 1


def test_an_interval_that_dwarfs_the_others_runs_out_of_the_picture_and_says_so(frames):
    frame = frames["en"]["event"]
    wide = frame.assign(ci_low=frame["ci_low"].where(frame["place"] != 2, -500.0))
    axes = draw_effect_path(wide).axes[0]
    assert axes.get_ylim()[0] > -50
    (edge,) = [line for line in axes.lines if line.get_marker() == "v"]
    assert list(edge.get_xdata()) == [2]
    assert not [line for line in draw_effect_path(frame).axes[0].lines if line.get_marker() in "^v"]


def test_trends_show_both_kinds_of_region_and_the_fitted_path_dashed(frames):
    frame = frames["zh"]["trends"]
    assert frame["series"].unique().tolist() == ["treated", "without", "comparison"]
    axes = drawn(frames["zh"])["trends"].axes[0]
    low, high = axes.get_ylim()
    assert 0 < low < frame["ci_low"].min() < frame["ci_high"].max() < high
    dashed = [line for line in axes.lines if line.get_linestyle() == "--" and line.get_color() == style.ACCENT]
    assert {len(line.get_xdata()) for line in dashed} == {5, 2}  # the path and its key
    assert "改革地区，若无改革（拟合）" in words(axes)


def test_ways_to_estimate_stand_in_order_and_the_planned_one_is_named(frames):
    frame = frames["en"]["curve"]
    assert frame["value"].tolist() == [-1.5, -1.3, -1.1, 0.2]
    assert frame["is_planned"].tolist() == [False, True, False, False]
    above, below = drawn(frames["en"])["curve"].axes
    assert "Settled beforehand: −1.3" in words(above)
    assert words(below) == [
        "group-time", "imputation", "against never", "against not yet", "date public", "local start",
    ]  # fmt: skip
    (planned,) = markers(below, style.REFORM)
    assert sorted(zip(planned.get_xdata().tolist(), planned.get_ydata().tolist(), strict=True)) == [
        (1, 0), (1, 2), (1, 5),
    ]  # fmt: skip


def test_the_four_series_share_an_axis_but_for_feelings(frames):
    frame = frames["en"]["four"]
    assert [label.partition(":")[0] for label in frame["label"]] == ["Claimed", "Counted", "Measured", "Felt"]
    assert frame["text"].tolist() == ["−35%", "−21%", "−8%", "+0.1"]
    relative, felt = drawn(frames["en"])["four"].axes
    assert relative.get_xlim()[0] < -0.35
    assert felt.get_xlim()[1] > 0.4
    (claim,) = markers(relative, style.INK)
    assert claim.get_marker() == "D"
    spans = [line for line in relative.collections if isinstance(line, LineCollection) and line.get_zorder() == 2]
    assert [len(each.get_segments()) for each in spans] == [2]  # a claim has no interval


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_text_lies_within_the_figure(frames, language):
    with mpl.rc_context({"text.hinting": "none"}):  # as in an SVG
        for name, figure in drawn(frames[language]).items():
            for text in [text for axes in figure.axes for text in axes.texts if text.get_text()]:
                box = text.get_window_extent()
                assert text.get_fontsize() >= 11, (name, text.get_text())
                assert box.x0 >= -0.5, (name, text.get_text())
                assert box.x1 <= figure.bbox.width + 0.5, (name, text.get_text())
                assert box.y0 >= -0.5, (name, text.get_text())
                assert box.y1 <= figure.bbox.height + 0.5, (name, text.get_text())


def test_the_same_frame_gives_the_same_bytes(frames):
    first, second = (
        {name: to_svg(figure, id_prefix=name, title="t", description="d") for name, figure in drawn(frames["zh"]).items()}
        for _ in range(2)
    )  # fmt: skip
    assert first == second


def test_a_reform_without_effects_has_nothing_to_draw(study):
    table = protected(study, "effects", [])
    asked = {"study": study, "language": "en"}
    frames = [
        prepare_event_study(table, REFORM, ["gross_combined"], **asked),
        prepare_group_time(table, REFORM, "gross_combined", **asked),
        prepare_exposure_trends(table, REFORM, "gross_combined", **asked),
        prepare_four_series(table, REFORM, **asked),
        prepare_specification_curve(table, REFORM, "gross_combined", **asked),
    ]
    assert all(frame.empty for frame in frames)


def test_a_withheld_effect_keeps_its_row_with_its_mark(study):
    rows = [effect("event_time", str(time), -1.0, n=3 if time == 1 else 300) for time in (-1, 0, 1)]
    frame = prepare_event_study(
        protected(study, "effects", rows), REFORM, ["gross_combined"], study=study, language="en"
    )
    assert frame["text"].iloc[2] == "[c]"
    assert pd.isna(frame["value"].iloc[2])
    assert len(draw_effect_path(frame).axes) == 1


def test_a_chinese_label_is_broken_neither_after_a_bracket_that_opens_nor_before_one_that_closes():
    for label in ("县级机关工作人员（比乡镇街道人员）", "缺权（缺人缺钱的任务）多十个百分点"):
        first, second = style.wrapped(label).split("\n")
        assert first + second == label
        assert not first.endswith("（")
        assert not second.startswith("）")
    assert style.wrapped("短") == "短"
