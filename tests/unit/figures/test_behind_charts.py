"""Charts behind the headline: small areas, instruments side by side, and the account from below."""

from __future__ import annotations

import numpy as np
import pytest
from sample_results import COUNTIES, behind_rows, hours_rows, protected
from sample_study import write_combined_study

from analysis_lib.figures import style
from analysis_lib.figures.areas import draw_areas, prepare_areas
from analysis_lib.figures.instruments import draw_instruments, prepare_instruments
from analysis_lib.figures.marks import round_numbers
from analysis_lib.figures.waterfall import draw_waterfall, prepare_waterfall


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def tables(study):
    rows = behind_rows() | {"hours": hours_rows(["all"])}
    return {name: protected(study, name, rows[name]) for name in ("areas", "bottom_up", "hours")}


def words(axes):
    return [text.get_text() for text in axes.texts]


def dots(axes):
    return [line for line in axes.lines if line.get_linestyle() == "None"]


def test_areas_stand_in_code_order_below_their_region_and_say_what_they_are(study, tables):
    frame = prepare_areas(tables["areas"], "avoidable", study=study, language="en")
    codes = [code for codes in COUNTIES.values() for code in codes]
    assert frame["label"].tolist() == [study.region_name(code, "en") for code in codes]
    assert frame["panel"].nunique() == len(COUNTIES)
    assert frame["kind_text"].tolist() == ["direct", "model"] * 2


def test_an_area_from_the_model_is_hollow_and_panels_share_their_axis(study, tables):
    figure = draw_areas(prepare_areas(tables["areas"], "avoidable", study=study, language="zh"))
    for axes in figure.axes:
        filled, hollow = dots(axes)
        assert (filled.get_ydata().tolist(), hollow.get_ydata().tolist()) == ([0], [1])
        assert (filled.get_markerfacecolor(), hollow.get_markerfacecolor()) == (style.ACCENT, "white")
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_a_measure_without_areas_gives_no_rows(study, tables):
    assert prepare_areas(tables["areas"], "gross", study=study, language="en").empty


def test_instruments_stand_in_the_order_of_the_study_and_the_combined_one_is_marked(study, tables):
    frame = prepare_instruments(tables["hours"], study=study, language="en")
    assert frame["measure"].tolist() == [
        key for key in study.config.estimation.side_by_side if key in set(tables["hours"].table["measure"])
    ]
    axes = draw_instruments(frame).axes[0]
    plain, combined = dots(axes)
    assert combined.get_marker() == "D"
    assert combined.get_ydata().tolist() == np.flatnonzero(frame["kind"] == "combined").tolist()
    assert len(plain.get_ydata()) == len(frame) - 1
    assert axes.get_xlim()[0] > 0  # lengths are compared, not distances from zero


def test_each_bar_of_the_account_starts_where_the_one_above_ends(study, tables):
    frame = prepare_waterfall(tables["bottom_up"], study=study, language="en")
    assert frame["is_total"].tolist() == [True, False, False, False, False, True]
    assert frame["start"].tolist() == pytest.approx([0, 9.5, 9.5, 10.2, 16.6, 0], abs=0.051)
    assert frame["text"].tolist()[2] == "+0.7"
    axes = draw_waterfall(frame).axes[0]
    corners = [path.get_extents() for path in axes.collections[2].get_paths()]
    assert [box.x0 for box in corners] == pytest.approx(frame["start"].tolist())
    assert [box.width for box in corners] == pytest.approx(frame["value"].tolist())
    assert set(frame["text"]) <= set(words(axes))


def test_a_part_that_is_withheld_moves_no_other(study):
    rows = behind_rows()["bottom_up"]
    hidden = [each | ({"n": 3} if each["measure"] == "bottom_up_gap_minutes" else {}) for each in rows]
    frame = prepare_waterfall(protected(study, "bottom_up", hidden), study=study, language="en")
    place = frame["measure"].tolist().index("bottom_up_gap_minutes")
    assert frame["text"][place] == "[c]"
    assert frame["start"][place + 1] == frame["start"][place]


@pytest.mark.parametrize(
    ("ends", "steps", "texts"),
    [((0, 31), 4, ["0", "10", "20", "30"]), ((-1.2, 2.1), 4, ["−1", "0", "1", "2"]), ((1, -0.1), 4, ["0.0", "0.5", "1.0"])],
)  # fmt: skip
def test_axes_carry_a_few_round_numbers(ends, steps, texts):
    assert round_numbers(*ends, steps=steps)[1] == texts
