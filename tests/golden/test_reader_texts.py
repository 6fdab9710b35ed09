"""Every text that a reader of a national and a regional page sees, in both languages, as it last was.

Run with ``JIANFU_UPDATE_GOLDEN=1`` to write the texts anew, then read the difference.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import pytest
from sample_adjustments import REGISTER, adjustments, changes, forecasts, scenarios
from sample_results import national_results, regional_results
from sample_study import write_combined_study

from analysis_lib.publishing.adjust_pages import render_adjust
from analysis_lib.publishing.change_pages import render_changes
from analysis_lib.publishing.details import render_areas, render_details, render_returns
from analysis_lib.publishing.pages import Report, render_report
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study

HERE = Path(__file__).resolve().parent
HIDDEN = re.compile(r"<style>.*?</style>|<svg.*?</svg>", re.DOTALL)
BREAKS = re.compile(r"</(?:p|li|h\d|tr|th|td|caption|dt|dd|title|summary)>|<br>")


def visible(page: str) -> str:
    """Texts of a page, one element a line; cells of a row on one line."""
    alternatives = re.findall(r"<desc[^>]*>(.*?)</desc>", page)
    text = HIDDEN.sub("", page)
    text = re.sub(r"</t[hd]>\s*(?=<t[hd])", " | ", text)
    text = re.sub(r"<[^>]+>", "", BREAKS.sub("\n", text))
    lines = [line.strip() for line in html.unescape(text).splitlines()]
    return "\n".join([line for line in lines if line] + ["", *map(html.unescape, alternatives)]) + "\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_combined_study(tmp_path_factory.mktemp("study") / "s")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("region", [NATION, "P01"])
def test_the_texts_of_a_page_are_as_they_were(study, region, language):
    tables = (
        {name: table for found in national_results(study).values() for name, table in found.items()}
        if region == NATION
        else {name.removeprefix("region_"): table for name, table in regional_results(study, region).items()}
    )
    report = Report(study, Quarter(2026, 3), region, tables, ["P01", "P02"], 1)
    seen = visible(render_report(report, language))
    golden = HERE / f"page_{'national' if region == NATION else 'regional'}_{language}.txt"
    if os.environ.get("JIANFU_UPDATE_GOLDEN"):
        golden.write_text(seen, encoding="utf-8")
    assert seen == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("render", [render_details, render_returns, render_areas], ids=["details", "returns", "areas"])
def test_the_texts_of_a_further_page_are_as_they_were(study, render, language):
    tables = {name: table for found in national_results(study).values() for name, table in found.items()}
    seen = visible(render(Report(study, Quarter(2026, 3), NATION, tables, ["P01", "P02"], 1), language))
    golden = HERE / f"page_{render.__name__.removeprefix('render_')}_{language}.txt"
    if os.environ.get("JIANFU_UPDATE_GOLDEN"):
        golden.write_text(seen, encoding="utf-8")
    assert seen == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("render", [render_adjust, render_changes], ids=["adjust", "changes"])
def test_the_texts_on_what_to_adjust_and_what_changed_are_as_they_were(tmp_path, render, language):
    made = write_combined_study(tmp_path / "s")
    (made.reference / "reforms.toml").write_text(REGISTER, encoding="utf-8")
    study = Study.open(made.root)
    tables = {"adjustments": adjustments(study), "scenarios": scenarios(study)} | forecasts(study) | changes(study)
    seen = visible(render(Report(study, Quarter(2026, 3), NATION, tables, ["P01", "P02"], 1), language))
    golden = HERE / f"page_{render.__name__.removeprefix('render_')}_{language}.txt"
    if os.environ.get("JIANFU_UPDATE_GOLDEN"):
        golden.write_text(seen, encoding="utf-8")
    assert seen == golden.read_text(encoding="utf-8")
