"""The three distinctions in words and on their page: the answer, what it rests on, and what is held back."""

from __future__ import annotations

import html
import math
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.figures import margins, style
from analysis_lib.monitoring.guardrails import MOVED, guardrails_table, judge, three_distinctions
from analysis_lib.publishing import releases
from analysis_lib.publishing.downloads import csv_text
from analysis_lib.publishing.guardrail_page import render_guardrails
from analysis_lib.publishing.guardrail_words import distinction_words, guardrails_answer
from analysis_lib.publishing.pages import GUARDRAILS, Report
from analysis_lib.publishing.sentences import Writer, display_table
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import NATION, Study

PERIOD = "2024Q4–2025Q3→2025Q4–2026Q3"
VISIBLE = re.compile(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", re.DOTALL)
# measure: unit, low and high of its change
CHANGES = {
    "gross_combined": ("hours_week", -2.0, -1.0),
    "avoidable_combined": ("hours_week", -1.0, -0.4),
    "excess_combined": ("hours_week", -1.2, -0.4),
    "service": ("hours_week", -0.3, 0.4),
    "authority_gap": ("share", -0.02, 0.03),
    "group_inspection": ("hours_week", 0.9, 1.7),
    "duplicate_share": ("share", 0.01, 0.03),
    "coping": ("score", -0.2, 0.4),
    "pressure_tolerance": ("score", 0.1, 0.5),
    "leaving_gap_under_35": ("share", -0.02, 0.02),
    "gross_combined_lately": ("hours_week", -2.2, -1.1),
    "group_digital": ("hours_week", -0.2, 0.3),
    "group_for_show": ("hours_week", -0.2, 0.2),
    "gross_out_of_hours": ("hours_week", -0.5, 0.1),
}
STATED = {"relapse": "broken", "offline_to_online": "kept", "toothpaste": "open"}


def estimates(rows: list[dict]) -> pd.DataFrame:
    blank = {"statistic": "mean", "unit": "hours_week", "region": NATION, "by": "", "category": "", "period": PERIOD,
             "se": 0.1, "df": 100.0, "deff": math.nan, "n": 900, "n_psu": 90}  # fmt: skip
    return pd.DataFrame([{**blank, **row} for row in rows])


def guardrails(study: Study, *, stated: dict | None = None, n: int = 900, **other: tuple) -> ProtectedTable:
    found = {**CHANGES, **other}
    changes = estimates(
        [{"measure": key, "unit": unit, "estimate": (low + high) / 2, "se": (high - low) / 4, "ci_low": low,
          "ci_high": high, "n": n} for key, (unit, low, high) in found.items()]
    )  # fmt: skip
    asked = three_distinctions(study, read_reforms(study), further=[*found, "relapse", *MOVED])
    verdicts = [judge(each, changes, stated=STATED if stated is None else stated) for each in asked]
    return protect(guardrails_table(verdicts, changes), "guardrails", study=study)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def tables(study) -> dict[str, ProtectedTable]:
    staying = [
        {"measure": measure, "unit": unit, "statistic": "share" if unit == "share" else "mean", "by": "age_group",
         "category": group, "period": "2025Q4–2026Q3", "estimate": value, "ci_low": value - 0.02, "ci_high": value + 0.02,
         "se": 0.01, "n": n}
        for measure, unit, values in (("leaving", "share", (0.2, 0.1)), ("leave_intention", "score", (2.6, 2.1)))
        for group, value, n in zip(("under_35", "50_plus"), values, (400, 300), strict=True)
    ]  # fmt: skip
    staying += [
        {"measure": "staying", "unit": "share", "statistic": "share", "by": "staying", "category": f"{group}.{time}",
         "period": "2025Q4–2026Q3", "estimate": left**time, "ci_low": left**time - 0.03, "ci_high": left**time + 0.03,
         "se": 0.015, "n": 400 - 50 * time}
        for group, left in (("under_35", 0.8), ("50_plus", 0.9)) for time in (1, 2)
    ]  # fmt: skip
    staying.append({"measure": "leaving", "unit": "share", "statistic": "share", "by": "age_difference",
                    "category": "under_35", "period": "2025Q4–2026Q3: others→under_35", "estimate": 0.1, "ci_low": 0.04,
                    "ci_high": 0.16})  # fmt: skip
    scales = [
        {"measure": f"{key}_alpha", "statistic": "ratio", "unit": "coefficient", "period": period, "estimate": value,
         "ci_low": value - 0.03, "ci_high": value + 0.03, "se": 0.015}
        for key, value in (("red_tape", 0.65), ("pressure", 0.58)) for period in PERIOD.split("→")
    ]  # fmt: skip
    steps = [("tier.configural", 1.0, "holds"), ("tier.metric", -0.001, "holds"), ("tier.scalar", -0.03, "fails"),
             ("tier.scalar.tirt_burdensome", math.nan, "differs"), ("quarter.configural", 1.0, "holds"),
             ("quarter.metric", 0.0, "holds"), ("quarter.scalar", 0.0, "holds")]  # fmt: skip
    invariance = [
        {"measure": "red_tape", "statistic": "effect", "unit": "fit", "by": "invariance", "category": category,
         "estimate": value, "ci_low": math.nan, "ci_high": math.nan, "se": math.nan, "outcome": outcome,
         "residual_df": 800.0}
        for category, value, outcome in steps
    ]  # fmt: skip
    levels = [
        {"measure": key, "unit": unit, "statistic": "mean", "period": quarter, "estimate": value, "ci_low": 0.95 * value,
         "ci_high": 1.05 * value, "se": 0.025 * value}
        for key, unit, value in (("service", "hours_week", 12.0), ("authority_gap", "share", 0.44))
        for quarter in ("2026Q1", "2026Q2", "2026Q3")
    ]  # fmt: skip
    named = {"staying": staying, "scales": scales, "invariance": invariance, "guardrail_levels": levels}
    found = {name: protect(estimates(rows), name, study=study) for name, rows in named.items()}
    return {"guardrails": guardrails(study), **found}


def answers(table: ProtectedTable, study: Study, language: str = "en") -> dict:
    return {each.key: each for each in distinction_words(table, writer=Writer(study, language))}


def test_each_answer_names_what_it_rests_on(study) -> None:
    found = answers(guardrails(study), study)
    assert [(key, each.answer, each.tone) for key, each in found.items()] == [
        ("responsibilities", "yes", "better"), ("power", "no", "worse"), ("lasting", "no", "worse"),
    ]  # fmt: skip
    assert found["responsibilities"].sentence == (
        "Gross hours lost (−1.5 hours a week, 95% interval −2.0 to −1.0); all that had to be kept was kept."
    )
    assert found["power"].sentence == "Gone the wrong way: Inspections (+1.3 hours a week, 95% interval 0.9 to 1.7)."
    # Beside a no stands what stayed open, what got worse within its margin, and what was not asked.
    assert "Not settled: How often officials make up records to cope" in found["power"].beside
    assert "Worse, but within what may be borne: Share of form content already filed elsewhere" in found["power"].beside
    assert "Not asked: Fear of blame" in found["power"].beside
    assert found["lasting"].sentence == "Found for at least one reform: Relapse."
    assert "Without an answer so far: From pen to fingertip" in found["lasting"].beside


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_is_open_cannot_be_told(study, language) -> None:
    table = guardrails(study, stated={}, group_inspection=("hours_week", -0.9, 0.3), coping=("score", -0.3, 0.1))
    found = answers(table, study, language)
    word = {"zh": "尚无法判断", "en": "Cannot tell"}[language]
    assert (found["power"].word, found["lasting"].word, found["lasting"].tone) == (word, word, "neutral")
    missing = {"zh": "目前没有答案：回潮", "en": "Without an answer so far: Relapse"}[language]
    assert missing in found["lasting"].sentence
    assert word in guardrails_answer(table, study=study, language=language)


def test_an_answer_that_rests_on_too_few_is_not_given(study, tables) -> None:
    few = guardrails(study, n=4)
    assert {each.answer for each in answers(few, study).values()} == {"hidden"}
    page = render_guardrails(Report(study, Quarter(2026, 3), NATION, {**tables, "guardrails": few}, [], 1), "en")
    assert "Not published" in page
    assert "The answer rests on too few people" in page


def test_an_answer_whose_change_is_unknown_still_says_why(study) -> None:
    nothing = {"gross_combined": ("hours_week", math.nan, math.nan)}
    found = answers(guardrails(study, **nothing), study)["responsibilities"]
    assert (found.answer, found.sentence) == ("cannot_tell", "Without an answer so far: Gross hours lost.")


def test_harm_points_right_and_margins_are_at_one(study) -> None:
    panels, names = {"responsibilities": "R", "power": "P", "lasting": "L"}, dict.fromkeys(CHANGES, "x")
    frame = margins.prepare_margins(guardrails(study), panels, names, study=study, language="en")
    assert list(frame["panel"].unique()) == ["R", "P", "L"]
    gross, service, tolerance = (frame[frame["text"] == text].iloc[0] for text in ("−1.5", "+0.1", "+0.3"))
    assert gross[["low", "middle", "high", "limit"]].tolist() == pytest.approx([-4.0, -3.0, -2.0, -1.0])
    assert service["limit"] == tolerance["limit"] == 1.0
    assert tolerance["high"] < 0  # more tolerance is better, so it lies left
    figure = margins.draw_margins(frame[frame["panel"] == "P"], language="zh", limits=margins.limits_of(frame))
    axes = figure.axes[0]
    assert {"更好", "更差", "P"} <= {text.get_text() for text in axes.texts}
    diamonds = [line for line in axes.lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [line.get_color() for line in diamonds] == [style.REFORM]
    assert np.asarray(axes.get_xlim()).tolist() == list(margins.limits_of(frame))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_texts_of_the_page_are_as_they_were(study, tables, language) -> None:
    report = Report(study, Quarter(2026, 3), NATION, tables, [], 1)
    assert GUARDRAILS in report.further_pages
    page = releases.render_page(report, GUARDRAILS, language)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert page.count('class="card"') == 3
    assert len(page.encode()) < 150_000
    seen = "\n".join(line.strip() for line in html.unescape(VISIBLE.sub("\n", page)).splitlines() if line.strip())
    golden = Path(__file__).resolve().parents[2] / "golden" / f"page_guardrails_{language}.txt"
    if os.environ.get("JIANFU_UPDATE_GOLDEN"):
        golden.write_text(seen + "\n", encoding="utf-8")
    assert seen + "\n" == golden.read_text(encoding="utf-8")


def test_a_page_shows_what_there_is(study, tables) -> None:
    alone = render_guardrails(
        Report(study, Quarter(2026, 3), NATION, {"guardrails": tables["guardrails"]}, [], 1), "en"
    )
    assert re.findall(r'<section id="([^"]+)"', alone) == ["indicators", "not-shown"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_table_reads_in_words(study, tables, language) -> None:
    for table in tables.values():
        shown = display_table(table, study=study, language=language)
        assert len(shown) == len(table.table)
        assert not shown.iloc[:, [0, 2]].map(lambda words: "_" in words).any(axis=None)
    assert "Red tape: reliability (alpha)" in csv_text(tables["scales"], study=study)
