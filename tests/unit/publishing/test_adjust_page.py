"""What to adjust in words and in its chart: reasons, answers that are none, the record of forecasts, the fan."""

from __future__ import annotations

import math
import re

import pytest
from sample_adjustments import READINGS, REGISTER, adjustments, forecasts, scenarios
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.figures.forecast import draw_forecast, prepare_forecast, upper_end
from analysis_lib.publishing.adjust_pages import MOST_FORECASTS, render_adjust
from analysis_lib.publishing.adjust_words import adjust_answer, advice, answer_word, record_words
from analysis_lib.publishing.forecast_rows import scored_forecasts
from analysis_lib.publishing.pages import ADJUST, Report
from analysis_lib.publishing.sentences import Writer, display_table
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

LANGUAGES = pytest.mark.parametrize("language", ["zh", "en"])


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    made = write_combined_study(tmp_path_factory.mktemp("study") / "s")
    (made.reference / "reforms.toml").write_text(REGISTER, encoding="utf-8")
    return Study.open(made.root)


@pytest.fixture(scope="module")
def tables(study) -> dict[str, ProtectedTable]:
    return {"adjustments": adjustments(study), "scenarios": scenarios(study)} | forecasts(study)


def page_of(study: Study, tables: dict[str, ProtectedTable], language: str) -> str:
    return render_adjust(Report(study, Quarter(2026, 3), NATION, tables, [], 1), language)


@LANGUAGES
def test_each_reform_is_advised_in_the_order_of_the_register_and_with_its_reasons(study, tables, language) -> None:
    writer = Writer(study, language)
    told = {each.reform.id: each for each in advice(tables["adjustments"], writer=writer)}
    assert list(told) == ["documents", "forms", "inspections", "meetings", "everywhere"]
    words = {"documents": "redesign", "forms": "intensify", "inspections": "redesign", "meetings": "keep",
             "everywhere": "cannot_tell"}  # fmt: skip
    for name, word in words.items():
        reform = told[name].reform.titles[language]
        assert told[name].title == writer.text(f"adjust.title_{word}", reform=reform)
    assert "72%" in told["documents"].text
    assert "64%" in told["forms"].text
    assert "−1.1" in told["inspections"].text
    assert writer.text("adjust.late") in told["documents"].text
    assert writer.text("adjust.late") not in told["forms"].text
    assert told["inspections"].title in adjust_answer(tables["adjustments"], study=study, language=language)


@LANGUAGES
def test_why_regions_cannot_be_compared_is_said_once(study, tables, language) -> None:
    writer = Writer(study, language)
    (said,) = (each.text for each in advice(tables["adjustments"], writer=writer) if each.reform.id == "everywhere")
    assert said.startswith(writer.text("adjust.not_compared"))
    assert writer.text("adjust.returned_not_asked", measured="") not in said


@LANGUAGES
@pytest.mark.parametrize(
    ("moved", "word"), [("no", "intensify"), ("cannot_tell", "cannot_tell"), ("not_asked", "cannot_tell")]
)
def test_what_may_not_have_been_tried_yet_says_what_is_known_of_where_hours_went(
    study, monkeypatch, language, moved, word
) -> None:
    number = (math.nan,) * 3
    answers = {"returned": ("no", -0.1, -0.4, 0.2), "unkept": ("yes", 0.3, 0.1, 0.5), "moved": (moved, *number)}
    monkeypatch.setitem(READINGS, "documents", READINGS["documents"] | answers)
    writer = Writer(study, language)
    said = advice(adjustments(study), writer=writer)[0]
    assert said.title == writer.text(f"adjust.title_{word}", reform=said.reform.titles[language])
    assert writer.text(f"adjust.moved_{moved}", measured="") in said.text
    assert writer.text("adjust.moved_short") not in said.text


@LANGUAGES
def test_an_answer_that_is_none_says_why(study, language) -> None:
    writer = Writer(study, language)
    none = [answer_word(name, "not_asked", writer) for name in ("returned", "unkept", "moved", "relapsed")]
    assert len(set(none)) == len(none)
    assert writer.text("effect.not_asked") not in none
    assert answer_word("relapsed", "yes", writer) == writer.text("effect.yes")
    assert answer_word("returned", "rose", writer) == writer.text("effect.rose")
    assert answer_word("cost", "", writer) == ""


@LANGUAGES
def test_the_record_counts_what_was_within_each_interval(study, tables, language) -> None:
    writer = Writer(study, language)
    scored = scored_forecasts(tables, level=0.95)
    assert [(each["claimed_in"], each["score"], each["inner"]) for each in scored] == [
        ("2026Q1/r1", "within", "within"), ("2026Q2/r2", "within", "outside"), ("2026Q1/r1", "outside", "outside"),
    ]  # fmt: skip
    counts = re.findall(r"\d+", record_words(scored, writer=writer))
    assert {"3", "2", "1", "95", "80"} == set(counts)
    old = [each | {"inner": ""} for each in scored]
    assert "80" not in record_words(old, writer=writer)
    assert record_words([], writer=writer) == writer.text("adjust.no_record")


@LANGUAGES
def test_the_page_shows_no_more_than_it_has_and_says_when_no_forecast_has_come(study, tables, language) -> None:
    assert ADJUST in Report(study, Quarter(2026, 3), NATION, tables, [], 1).further_pages
    whole = page_of(study, tables, language)
    assert re.findall(r'<section id="([^"]+)"', whole) == ["fan", "answers", "scenarios", "record", "scores"]
    waiting = page_of(study, {name: each for name, each in tables.items() if name != "published_forecasts"}, language)
    assert 'id="record"' not in waiting
    assert Writer(study, language).text("adjust.no_record") in waiting
    assert Writer(study, language).text("adjust.no_record") not in whole
    bare = page_of(study, {"adjustments": tables["adjustments"]}, language)
    assert re.findall(r'<section id="([^"]+)"', bare) == ["answers"]
    assert len(scored_forecasts(tables, level=0.95)) < MOST_FORECASTS


def test_the_fan_follows_the_series_once_and_opens_with_the_wider_interval(study, tables) -> None:
    frame = prepare_forecast(
        tables["series"], tables["forecasts"], ["gross_combined", "excess_combined"], study=study, language="en"
    )
    assert frame["quarter"].tolist() == [*[f"2025Q{place}" for place in (1, 2, 3, 4)], "2026Q1", "2026Q2", "2026Q3", "2026Q4",
                                         "2027Q1", "2027Q2", "2027Q3"]  # fmt: skip
    foreseen = frame[frame["is_forecast"]]
    assert foreseen["quarter"].iloc[0] == "2026Q4"
    assert (foreseen["ci_high"] - foreseen["ci_low"]).tolist() == pytest.approx([2.0, 2.4, 2.8, 3.2])
    drawn = draw_forecast(frame, upper=upper_end(frame))
    (axes,) = drawn.axes
    assert axes.get_ylim() == (0, pytest.approx(upper_end(frame)))
    assert len(axes.collections) >= 2  # a band for what was measured, and one for what is foreseen


@LANGUAGES
def test_tables_name_every_row(study, tables, language) -> None:
    text = Writer(study, language).text
    shown = display_table(tables["published_forecasts"], study=study, language=language)[text("head.category")].tolist()
    assert shown[0] == text("published.said_in", release="2026Q1/r1", ahead="1")
    assert text("published_inner.said_in", release="2026Q2/r2", ahead="1") in shown
    for name in ("adjustments", "forecasts", "forecast_scores", "scenarios"):
        assert not display_table(tables[name], study=study, language=language).isna().any(axis=None)
