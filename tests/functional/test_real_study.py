"""A real national time-use survey passes through the same commands as the demonstration, from files to pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.real_data

SCRIPT = "docs/tutorial/atus/build_study.py"
CENSUS_REGIONS = {"northeast", "midwest", "south", "west"}


@pytest.fixture(scope="module")
def study(shared_data: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as the tutorial builds it, with the last five quarters only: a year and its predecessor's last."""
    data, folder = shared_data("atus_2009_2012"), tmp_path_factory.mktemp("real") / "study"
    command = [sys.executable, SCRIPT, "--data", str(data), "--out", str(folder), "--from", "2011Q4"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def site(study: Path, repository: Path) -> Path:
    """The built site of 2012Q4."""
    ran = jianfu(repository, "run", "--study", str(study), "--quarter", "2012Q4", "--json")
    endings = json.loads(ran)["endings"]
    assert {ending["kind"] for ending in endings} == {"ok"}
    assert {ending["unit_id"].split("/")[-1] for ending in endings} > CENSUS_REGIONS
    return Path(json.loads(jianfu(repository, "build", "--study", str(study), "--json"))["index"]).parent


def jianfu(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "analysis_lib", *arguments], cwd=repository, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pages(site: Path) -> dict[str, str]:
    return {page.relative_to(site).as_posix(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}


def test_check_finds_nothing_to_reject(study: Path, repository: Path) -> None:
    found = json.loads(jianfu(repository, "check", "--study", str(study), "--json"))
    assert {problem["action"] for problem in found["problems"]} == {"warned"}


def test_there_is_a_page_for_the_nation_and_each_census_region_in_both_languages(site: Path) -> None:
    for language in ("zh", "en"):
        named = " ".join(name for name in pages(site) if f"{language}/" in name)
        assert all(region in named for region in CENSUS_REGIONS)


def test_the_published_hours_on_days_worked_stand_on_the_national_pages(site: Path) -> None:
    """7.65 hours in 2012 (USDL-13-1178), the four quarters pooled, in the table under the chart."""
    with_figure = [name for name, html in pages(site).items() if re.search(r"\b7\.65\b", html)]
    assert {name.split("/")[0] for name in with_figure} >= {"zh", "en"}


def test_government_workers_of_the_quarter_stand_in_the_results_with_their_interval(site: Path, study: Path) -> None:
    """7.45 hours in 2012Q4, held against the source files in `tests/reference/test_atus_2009_2012`."""
    [path] = (study / "results" / "2012Q4" / "03-hours-lost").glob("*/tables/hours.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    [row] = [
        row
        for row in rows
        if (row["measure"], row["category"], row["period"]) == ("working_on_days_worked", "government", "2012Q4")
    ]
    assert row["value"] == 7.45
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert row["mark"] == ""
    assert row["n"] > 150


def test_nothing_calls_real_people_simulated_or_officials(site: Path) -> None:
    for name, html in pages(site).items():
        assert "SIMULATED" not in html, name
        assert "模拟" not in html, name
        assert "officials" not in html.lower(), name


def test_a_second_run_is_up_to_date(site: Path, study: Path, repository: Path) -> None:
    again = json.loads(jianfu(repository, "run", "--study", str(study), "--quarter", "2012Q4", "--json"))
    assert again["endings"] == []


def test_a_study_without_regions_or_categories_gets_its_page_too(
    shared_data: Callable[[str], Path], repository: Path, tmp_path: Path
) -> None:
    """240 diaries of students, given as raw episodes: nothing but a nation, hours and their intervals.

    Every quarter runs, so also the first of the series, which has nothing to be compared with.
    """
    data, folder = shared_data("atus_2014_diaries"), tmp_path / "study"
    command = [sys.executable, "docs/tutorial/atus2014/build_study.py", "--data", str(data), "--out", str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, timeout=60)
    ran = json.loads(jianfu(repository, "run", "--study", str(folder), "--all", "--json"))
    assert {ending["kind"] for ending in ran["endings"]} == {"ok"}
    assessed = json.loads(jianfu(repository, "assess", "--study", str(folder), "--lang", "en", "--json"))
    assert assessed["headline"].startswith("Education: ")
    site = Path(json.loads(jianfu(repository, "build", "--study", str(folder), "--json"))["index"]).parent
    assert {name.split("/")[1] for name in pages(site) if name.count("/") > 1} >= {"2014Q1", "2014Q2", "2014Q3"}
