"""Pages on reforms: what they say of each verdict, what stands beside it, and that a page lacks nothing silently."""

from __future__ import annotations

import html
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.results import CheckResult, EffectResult, as_rows, checks_table, effects_table, row_of
from analysis_lib.publishing import reform_pages, releases
from analysis_lib.publishing.pages import Report, reform_page
from analysis_lib.publishing.reform_words import checks_answer, effects_answer
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

REGISTER = """
[[reform]]
id = "forms"
title_zh = "一表通"
title_en = "One form"
level = "province"
lever = "digital"
groups = ["form"]
issued = "2025-03-01"
public = "2025-03-10"
smallest_change = 0.5
source = "an invented notice"
units = { P01 = "2025Q3" }
caps = [{ measure = "documents_received", change = -0.3 }]
claims = [
    { date = "2026-01-10", what_zh = "填报数据量", what_en = "figures to fill in", change = -0.6, source = "a report" },
]
[reform.plan]
registered = "2025-02-01"
[reform.plan.decision_rule]
text_zh = "若未减少，则重新设计。"
text_en = "If hours do not fall, it is redesigned."
"""
LAST = (-2.4, -0.4, "returned_hours.since")  # interval and word of the latest look
QUARTERS = ["2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
CHECKS = (
    CheckResult("pretrends", "holds", 0.05, -0.2, 0.3, facts={"periods": 5, "slope_most": 0.1, "bias_most": 0.3}),
    CheckResult("leave_one_out", "cannot_tell", -1.1, -2.2, 0.1,
                facts={"planned": -1.4, "tried": 12, "same_sign": 12, "beyond_zero": 9}),
)  # fmt: skip
PLANNED = EffectResult(
    "forms", "gross_combined", "hours_week", "treated", "imputation", "not_yet", "cohort", "local_start",
    "2025Q1–2026Q3", -1.42, 0.3, 20.0, -2.04, -0.81, 0.001, 6, 8, 3000, 120, checks=CHECKS,
)  # fmt: skip
VISIBLE = re.compile(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", re.DOTALL)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    made = write_combined_study(tmp_path_factory.mktemp("study") / "s")
    (made.reference / "reforms.toml").write_text(REGISTER, encoding="utf-8")
    return Study.open(made.root)


def report(
    study: Study, planned: EffectResult = PLANNED, outcome: str = "returned_hours.causal", *, without=(), last=LAST
):
    forms = replace(planned, measure="group_form", estimate=-0.9, ci_low=-1.4, ci_high=-0.4)
    beside = replace(planned, estimator="group_time", estimate=-1.31, checks=())
    foil = replace(planned, estimator="two_way", estimate=-1.02, checks=())
    effects = effects_table([planned, beside, foil, forms])
    effects["outcome"] = [outcome, "", "", "returned_hours.since"]
    plain = {"se": 0.3, "ci_low": -1.9, "ci_high": -0.7, "df": 20.0}
    returned = row_of(planned, "returned", "forms.gross_combined") | {"unit": "fte", "estimate": 310.0, "ci_low": 180.0,
                                                                    "ci_high": 450.0}  # fmt: skip
    paths = [
        row_of(planned, by, f"forms.{when}") | plain | {"estimate": -1.3 if late else 0.0}
        for by, times in (("event_time", [("-2", 0), ("0", 1)]), ("group_time", [("2025Q3.2025Q1", 0), ("2025Q3.2025Q3", 1)]))
        for when, late in times
    ]  # fmt: skip
    trends = [
        row_of(planned, "exposure", f"forms.{line}")
        | {"statistic": "mean", "estimate": level, "se": 0.3, "ci_low": level - 0.6, "ci_high": level + 0.6, "period": quarter}
        for line, level in (("treated", 15.0), ("without", 16.4), ("comparison", 17.0))
        for quarter in QUARTERS
    ]  # fmt: skip
    ways = [
        row_of(planned, "specification", f"forms.{way}.not_yet.local_start.others_out.officials.early_0.all")
        | plain | {"estimate": value}
        for way, value in (("planned.imputation", -1.42), ("other.group_time", -1.31))
    ]  # fmt: skip
    share = {"unit": "share", "ci_low": -0.4, "ci_high": -0.1, "se": 0.1, "df": 20.0}
    series = [
        row_of(planned, "four_series", "forms.claimed.claim_forms_1")
        | {"measure": "claim_forms_1", "statistic": "claim", "unit": "share", "estimate": -0.6, "n": 0, "n_psu": 0},
        row_of(planned, "four_series", "forms.counted.documents_received")
        | {"measure": "documents_received", "estimate": -0.22} | share,
        *(row_of(planned, "compliance", f"forms.documents_received.{part}")
          | {"measure": "documents_received", "outcome": "cannot_tell"} | share | {"estimate": value}
          for part, value in (("reached", -0.22), ("asked", -0.3), ("way", 0.73))),
    ]  # fmt: skip
    doses = [
        row_of(planned, "dose_response", f"forms.{part}") | plain | {"estimate": value}
        for part, value in (("low", -0.7), ("middle", -1.3), ("high", -2.1))
    ]
    looks = [
        row_of(planned, "look", f"forms.{number}{which}") | plain
        | {"estimate": -1.4, "ci_low": low, "ci_high": high, "outcome": word, "inference": "sequence",
           "period": f"2025Q1–{QUARTERS[number + 1]}"}
        for number, low, high, word in ((1, -3.1, 0.2, "cannot_tell.since"), (2, *last))
        for which, word in (("", word), (".usual", ""))
    ]  # fmt: skip
    lasting = [
        row_of(planned, by, f"forms.{part}") | {"unit": unit, "estimate": value, "ci_low": low, "ci_high": high, "outcome": word}
        for by, part, unit, value, low, high, word in (
            ("relapse", "reached", "hours_week", -1.5, -2.2, -0.8, ""),
            ("relapse", "lost", "share", 0.8, 0.3, 1.3, "relapsed"),
            ("relapse", "alarm", "count", 4.0, math.nan, math.nan, ""),
            ("half_life", "quarters", "count", 2.2, 1.3, 5.3, "between"),
        )
    ]  # fmt: skip
    accounts = [
        row_of(planned, "account", f"forms.work.{part}") | plain | {"measure": part, "estimate": value}
        for part, value in (("group_form", -1.2), ("rest", 0.3), ("whole", -0.9))
    ] + [
        row_of(planned, "moved", f"forms.{key}") | plain | {"measure": key, "estimate": 0.9, "outcome": word, "ci_low": 0.3, "ci_high": 1.5}
        for key, word in (("offline_to_online", "yes"), ("toothpaste", "no"))
    ] + [
        row_of(planned, "moved", "forms.disguised")
        | {"measure": "disguised", "unit": "share", "estimate": 0.6, "ci_low": 0.2, "ci_high": 1.1}
    ]  # fmt: skip
    ratios = [
        row_of(planned, "log_ratio", f"forms.{part}{which}") | plain
        | {"measure": part, "unit": "share", "estimate": value, "se": math.nan, "ci_low": value - reach, "ci_high": value + reach}
        for part, value in (("group_form", -0.31), ("group_digital", 0.24), ("burden_to_other_work", -0.08))
        for which, reach in (("", 0.12), (".joint", 0.19))
    ]  # fmt: skip
    frames = {
        "log_ratios": as_rows(ratios),
        "reform_looks": as_rows(looks),
        "reform_lasting": as_rows(lasting),
        "accounts": as_rows(accounts),
        "reform_effects": pd.concat([effects, as_rows([returned])], ignore_index=True),
        "reform_paths": as_rows(paths),
        "reform_trends": as_rows(trends),
        "reform_specifications": as_rows(ways),
        "reform_checks": checks_table([planned]),
        "reform_series": as_rows(series),
        "reform_doses": as_rows(doses),
    }
    tables = {name: protect(frame, name, study=study) for name, frame in frames.items() if name not in without}
    return Report(study, Quarter(2026, 3), NATION, tables, ["P01", "P02"], 1)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(VISIBLE.sub(" ", page)))


def page_of(made: Report, language: str) -> str:
    return words(reform_pages.render_reform(made, made.reforms[0], language))


def heading_of(made: Report, language: str) -> str:
    (heading,) = re.findall(r"<h1>(.*?)</h1>", reform_pages.render_reform(made, made.reforms[0], language))
    return heading


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("page", ["reforms", "reform-forms"])
def test_the_texts_of_a_page_are_as_they_were(study, page, language):
    seen = (
        re.sub(r" (?=[A-Z\u4e00-\u9fff])", "\n", words(releases.render_page(report(study), page, language))).strip()
        + "\n"
    )
    golden = Path(__file__).parents[2] / "golden" / f"page_{page}_{language}.txt"
    if os.environ.get("JIANFU_UPDATE_GOLDEN"):
        golden.write_text(seen, encoding="utf-8")
    assert seen == golden.read_text(encoding="utf-8")


def test_a_page_has_every_chart_and_table_with_a_download(study):
    made = report(study)
    page = reform_pages.render_reform(made, made.reforms[0], "en")
    sections = re.findall(r'<section id="([^"]+)"', page)
    assert sections == ["effects", "trends", "path", "starts", "looks", "dose", "account", "four-series", "ways", "lasting", "ratios", "checks", "estimates",
                        "returned", "caps", "decided"]  # fmt: skip
    downloads = set(re.findall(r'href="\.\./\.\./\.\./data/2026Q3/([a-z_]+)\.csv"', page))
    assert downloads == set(made.tables)


def test_what_was_not_handed_over_is_left_out_and_the_rest_stands(study):
    made = report(study, without=("reform_paths", "reform_trends", "reform_specifications", "reform_series",
                                  "reform_doses", "reform_checks", "reform_looks", "reform_lasting", "accounts", "log_ratios"))  # fmt: skip
    page = reform_pages.render_reform(made, made.reforms[0], "zh")
    assert re.findall(r'<section id="([^"]+)"', page) == ["effects", "estimates", "returned", "decided"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_cause_is_named_only_where_the_verdict_allows_it(study, language):
    through = {"zh": "改革使时间减少", "en": "through it"}[language]
    unshown = {"zh": "原因未证实", "en": "cause not shown"}[language]
    assert through in heading_of(report(study), language)
    assert unshown not in heading_of(report(study), language)
    since = heading_of(report(study, outcome="returned_hours.since"), language)
    assert unshown in since
    assert through not in since


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("no_change_that_matters.since", "no change that matters"), ("cannot_tell.since", "cannot be told"),
     ("added_hours.causal", "more hours through it")],
)  # fmt: skip
def test_each_verdict_has_its_heading(study, outcome, said):
    assert said in heading_of(report(study, outcome=outcome, without=("reform_looks",)), "en")


@pytest.mark.parametrize(("language", "said"), [("zh", "尚无法判断"), ("en", "cannot be told")])
def test_the_heading_follows_the_latest_look_and_not_the_interval_of_a_single_one(study, language, said):
    open_yet = report(study, last=(-3.0, 0.3, "cannot_tell.since"))
    assert said in heading_of(open_yet, language)
    assert {"zh": "−3.0至0.3", "en": "−3.0 to 0.3"}[language] in page_of(open_yet, language)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ["come back: an alarm in quarter 4", "half of the effect is left after 2.2 quarters", "burden moved online",
             "60% reappears", "No sign of squeezing toothpaste"]),
     ("zh", ["第4季报警", "2.2个季度后剩一半", "负担转到了线上", "有60%以别的负担重新出现", "没有挤牙膏的迹象"])],
)  # fmt: skip
def test_what_became_of_a_reform_is_said_line_by_line(study, language, said):
    page = page_of(report(study), language)
    for sentence in said:
        assert sentence in page


def test_an_effect_without_an_interval_says_that_it_has_none(study):
    none = (math.nan, math.nan, "cannot_tell.since")
    alone = replace(PLANNED, ci_low=math.nan, ci_high=math.nan, inference="randomisation", n_treated=3, n_comparison=3)
    page = page_of(report(study, alone, "cannot_tell.since", last=none), "en")
    assert "no interval: too few regions allow one" in page
    assert "nan" not in page


def test_a_reform_of_all_at_once_has_no_clean_control(study):
    once = replace(PLANNED, estimator="interrupted_series", comparison="none", inference="serial", checks=())
    page = page_of(report(study, once, "returned_hours.since"), "en")
    assert "no clean control" in page


def test_a_release_has_a_page_for_each_reform_and_links_to_it(study):
    made = report(study)
    assert [reform_page(reform.id) for reform in made.reforms] == ["reform-forms"]
    assert 'href="../reform-forms/index.html"' in reform_pages.render_reforms(made, "en")
    nothing = Report(study, Quarter(2026, 3), NATION, {}, [], 1)
    assert nothing.reforms == []


def test_an_effect_that_nothing_can_be_tried_on_is_said_to_be_so(study):
    nothing = protect(as_rows([]), "reform_checks", study=study)
    assert checks_answer(nothing, study=study, language="en") == (
        "**One form**: there are no other regions to try its effect on."
    )
    assert "no effect can be estimated" in effects_answer(
        protect(as_rows([]), "reform_effects", study=study), study=study, language="en"
    )
