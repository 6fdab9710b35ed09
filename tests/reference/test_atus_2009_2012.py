"""Figures published from a real national time-use survey, reproduced by the suite from its own configuration alone.

Truth: ``bls_published.csv`` (24 figures as the Bureau of Labor Statistics printed them) and ``reference_values.csv``
(the same and others with five digits) of the shared data set ``atus_2009_2012``; its README gives the rules.
The study folder is ``docs/tutorial/atus``. Each rule that the figures rest on is then switched in the study's
files, to show that it is the configuration that does the work.
"""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis_lib.ingest.tidy import ingest_quarter
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate
from analysis_lib.tables.store import Store
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

pytestmark = [pytest.mark.real_data, pytest.mark.xdist_group("atus")]

YEARS = ["2009", "2010", "2011", "2012"]
PERIODS = {year: [f"{year}Q{number}" for number in range(1, 5)] for year in YEARS}
PUBLISHED = {  # column of bls_published.csv → measure of the study
    "sleeping": "sleeping",
    "eating_and_drinking": "eating_and_drinking",
    "leisure_and_sports": "leisure_and_sports",
    "household_activities": "household_activities",
    "working_employed": "working_employed",
    "working_employed_days_worked": "working_on_days_worked",
}
RECOMPUTED = {  # column of reference_values.csv → measure, by, category
    "days_worked_weekday": ("working_on_days_worked", "day_type", "weekday"),
    "days_worked_weekend_or_holiday": ("working_on_days_worked", "day_type", "weekend"),
    "pct_employed_working_weekday": ("share_working", "day_type", "weekday"),
    "pct_employed_working_weekend_or_holiday": ("share_working", "day_type", "weekend"),
    "days_worked_male": ("working_on_days_worked", "sex", "male"),
    "days_worked_female": ("working_on_days_worked", "sex", "female"),
    "days_worked_full_time_male": ("full_time_on_days_worked", "sex", "male"),
    "days_worked_full_time_female": ("full_time_on_days_worked", "sex", "female"),
    "days_worked_government_workers": ("working_on_days_worked", "work_class", "government"),
}
TO_FIVE_DIGITS = 6e-6  # reference hours carry five decimals
TO_FOUR_DIGITS = 6e-5  # reference percentages carry four


@pytest.fixture(scope="module")
def data(shared_data: Callable[[str], Path]) -> Path:
    return shared_data("atus_2009_2012")


@pytest.fixture(scope="module")
def study(data: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("atus") / "study"
    runpy.run_path(str(repository / "docs/tutorial/atus/build_study.py"))["build"](data, folder)
    return Study.open(folder)


@pytest.fixture(scope="module")
def tidy(study: Study) -> dict[str, pd.DataFrame]:
    by_quarter = [ingest_quarter(Store(study), quarter) for quarter in study.config.calendar.quarters]
    return {name: pd.concat([tables[name] for tables in by_quarter], ignore_index=True) for name in by_quarter[0]}


@pytest.fixture(scope="module")
def officials(study: Study, tidy: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return measured(study, tidy)


@pytest.fixture(scope="module")
def figures(study: Study, officials: pd.DataFrame) -> pd.Series:
    return yearly(study, officials)


def measured(study: Study, tidy: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The suite's own way from tidy tables to one row per person."""
    activities, days, _ = day_activities(
        tidy["episodes"], tidy["day_totals"], respondents=tidy["respondents"], study=study
    )
    return official_quarters({**tidy, "day_activities": activities, "diary_days": days}, study=study)


def yearly(study: Study, officials: pd.DataFrame) -> pd.Series:
    """Every estimate of the four years, by (period, measure, by, category)."""
    keys = [*dict.fromkeys([*PUBLISHED.values(), *(measure for measure, _, _ in RECOMPUTED.values())])]
    found = estimate(
        officials, keys, study=study, periods=PERIODS, regions=["all"], by=["", "sex", "day_type", "work_class"]
    )
    return found.set_index(["period", "measure", "by", "category"])["estimate"]


def switched(study: Study, folder: Path, file: str, old: str, new: str) -> Study:
    """The same study with one rule of its files changed."""
    shutil.copytree(study.reference, folder / "reference")
    shutil.copy(study.root / "study.toml", folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return Study.open(folder)


def published(data: Path) -> pd.DataFrame:
    return pd.read_csv(data / "bls_published.csv", dtype={"year": str}).set_index("year")


def printed_figures_missed(figures: pd.Series, data: Path) -> list[tuple[str, str]]:
    """Which of the 24 printed figures the suite does not give, to the printed two decimals."""
    table = published(data)
    return [
        (year, column)
        for year in YEARS
        for column, measure in PUBLISHED.items()
        if round(figures[year, measure, "", ""], 2) != table.at[year, column]
    ]


def test_every_respondent_and_every_minute_of_the_source_is_kept(tidy: dict[str, pd.DataFrame], data: Path) -> None:
    assert len(tidy["respondents"]) == 51_315
    source = pd.read_parquet(data / "activity_totals.parquet")
    assert len(tidy["day_totals"]) == len(source)
    assert tidy["day_totals"]["minutes"].sum() == source["dur"].sum()
    assert not tidy["problems"]["action"].isin(["row_rejected", "value_rejected", "day_rejected"]).any()


def test_all_24_published_figures_come_out_to_their_printed_decimals(figures: pd.Series, data: Path) -> None:
    assert printed_figures_missed(figures, data) == []


@pytest.mark.parametrize("column", RECOMPUTED)
def test_figures_of_domains_agree_to_the_last_digit_given(figures: pd.Series, data: Path, column: str) -> None:
    reference = pd.read_csv(data / "reference_values.csv", dtype={"year": str}).set_index("year")
    measure, by, category = RECOMPUTED[column]
    scale, tolerance = (100, TO_FOUR_DIGITS) if column.startswith("pct") else (1, TO_FIVE_DIGITS)
    for year in YEARS:
        assert figures[year, measure, by, category] * scale == pytest.approx(reference.at[year, column], abs=tolerance)


def test_published_words_about_2010_and_2012_hold(figures: pd.Series) -> None:
    """USDL-11-0919: 7.5 hours, 82 % and 35 % at work; USDL-13-1178: 7.7 hours (7.65), full-time 8.5 and 7.9."""
    assert round(figures["2010", "working_on_days_worked", "", ""], 1) == 7.5
    assert round(100 * figures["2010", "share_working", "day_type", "weekday"]) == 82
    assert round(100 * figures["2010", "share_working", "day_type", "weekend"]) == 35
    assert round(figures["2012", "full_time_on_days_worked", "sex", "male"], 1) == 8.5
    assert round(figures["2012", "full_time_on_days_worked", "sex", "female"], 1) == 7.9


def test_without_the_holiday_rule_the_shares_at_work_miss(
    study: Study, tidy: dict[str, pd.DataFrame], figures: pd.Series, tmp_path: Path
) -> None:
    changed = switched(study, tmp_path, "study.toml", 'holiday_is = "weekend"', 'holiday_is = "as_dated"')
    as_dated = yearly(changed, measured(changed, tidy))
    key = ("2010", "share_working", "day_type", "weekday")
    assert round(100 * figures[key]) == 82
    assert round(100 * as_dated[key]) != 82
    # The rule moves days between day types, never the figures of all days.
    assert as_dated["2010", "sleeping", "", ""] == pytest.approx(figures["2010", "sleeping", "", ""])


def test_means_among_participants_are_not_the_published_means(
    study: Study, tidy: dict[str, pd.DataFrame], data: Path, tmp_path: Path
) -> None:
    """The classic mistake: leaving out those without the activity instead of counting them as zero."""
    exclude = 'exclude = ["020903", "020904"]'
    changed = switched(study, tmp_path, "reference/measures.toml", exclude, exclude + '\namong = "participants"')
    found = yearly(changed, measured(changed, tidy))
    assert printed_figures_missed(found, data) == [(year, "household_activities") for year in YEARS]
    assert found["2012", "household_activities", "", ""] > 1.3 * float(published(data)["household_activities"]["2012"])


def test_without_person_day_weights_all_24_figures_miss(
    study: Study, tidy: dict[str, pd.DataFrame], data: Path, tmp_path: Path
) -> None:
    """Half of the diaries are of weekend days: unweighted, the employed seem to work far less."""
    changed = switched(study, tmp_path, "study.toml", 'weight = "weight"', 'weight = ""')
    missed = printed_figures_missed(yearly(changed, measured(changed, tidy)), data)
    assert len(missed) == 24


def test_days_short_of_1440_minutes_count_because_the_study_says_so(
    study: Study, tidy: dict[str, pd.DataFrame], data: Path, tmp_path: Path
) -> None:
    """The source leaves uncodable time out; a study that asks for full days loses one in six, and its figures."""
    full_days = "must_fill_the_day = true\nmax_unknown_minutes = 0"
    changed = switched(study, tmp_path, "study.toml", "must_fill_the_day = false", full_days)
    _, days, _ = day_activities(tidy["episodes"], tidy["day_totals"], respondents=tidy["respondents"], study=changed)
    assert 1 - days["is_used"].mean() == pytest.approx(0.162, abs=0.001)
    assert len(printed_figures_missed(yearly(changed, measured(changed, tidy)), data)) > 12


def test_weights_are_person_days_of_the_population(officials: pd.DataFrame) -> None:
    days_of_four_years = 1461
    assert officials["weight"].sum() / days_of_four_years == pytest.approx(243e6, rel=0.01)


def test_government_workers_hours_on_days_worked_by_quarter_with_intervals(
    study: Study, officials: pd.DataFrame, data: Path
) -> None:
    """All sixteen quarters, each against a weighted mean taken straight from the source files by the README's rules."""
    quarters = [str(quarter) for quarter in study.config.calendar.quarters]
    found = estimate(
        officials, ["working_on_days_worked"], study=study, periods={each: [each] for each in quarters},
        regions=["all"], by=["work_class"],
    )  # fmt: skip
    found = found[found["category"] == "government"].set_index("period")
    assert list(found.index) == quarters
    independent = government_workers(data)
    for quarter in quarters:
        assert found.at[quarter, "estimate"] == pytest.approx(independent.at[quarter, "hours"], rel=1e-9)
        assert found.at[quarter, "n"] == independent.at[quarter, "n"] > 150
        assert 0.1 < found.at[quarter, "ci_high"] - found.at[quarter, "ci_low"] < 2
        assert found.at[quarter, "ci_low"] < found.at[quarter, "estimate"] < found.at[quarter, "ci_high"]


def government_workers(data: Path) -> pd.DataFrame:
    """Weighted mean hours and number of government workers who worked on their diary day, by quarter."""
    people = pd.read_csv(data / "respondents.csv.gz", dtype={"tucaseid": str})
    totals = pd.read_parquet(data / "activity_totals.parquet")
    minutes = totals[totals["tiercode"] // 100 == 501].groupby("tucaseid")["dur"].sum()
    people["hours"] = people["tucaseid"].astype("int64").map(minutes).fillna(0) / 60
    worked = people[(people["work_class"] == "govt") & (people["hours"] > 0)]
    worked = worked[
        worked["labor_status"].str.contains("employed") & ~worked["labor_status"].str.contains("unemployed")
    ]
    quarter = worked["tuyear"].astype(str) + "Q" + ((worked["diary_mo"] + 2) // 3).astype(str)
    sums = (worked["wt"] * worked["hours"]).groupby(quarter).sum() / worked["wt"].groupby(quarter).sum()
    return pd.DataFrame({"hours": sums, "n": worked.groupby(quarter).size()})
