"""The register of reforms: what it refuses, and which date counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_study import write_study

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform, read_reforms, read_timeline
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study

DATA = Path(__file__).resolve().parents[2] / "data"
LEAST = """
[[reform]]
id = "no-meeting-days"
title_zh = "无会日"
title_en = "Days without meetings"
groups = ["meeting"]
issued = "2025-02-10"
{more}
[reform.units]
"91" = "2025Q2"
"""

FULL = """
[[reform]]
id = "fewer"
title_zh = "少开会"
title_en = "Fewer meetings"
groups = ["meeting"]
approved = "2024-07-30"
issued = 2024-08-06
public = "2025"
units = { P01 = "2025Q4" }
caps = [{ measure = "meetings_attended", change = -0.3, baseline = "2024" }]
claims = [{ date = "2025-12", measure = "meetings_attended", change = -0.4, source = "a report" }]
plan = { treatment_date = "issued", looks = ["2026Q1"], decision_rule = { keep_if_cut_by = 1.0 } }
"""


def read(tmp_path: Path, more: str = "") -> list[Reform]:
    study = init_study(tmp_path / "study", simulated=True)
    (study.reference / "reforms.toml").write_text(LEAST.format(more=more), encoding="utf-8")
    return read_reforms(Study.open(study.root))


def test_what_is_left_out_has_a_default_and_a_province_covers_its_counties(tmp_path: Path) -> None:
    [reform] = read(tmp_path)
    assert (reform.level, reform.plan.treatment_date, reform.plan.comparison) == ("province", "local_start", "not_yet")
    assert reform.measures == ("group_meeting",)
    assert reform.starts["9103"] == Quarter(2025, 2)
    assert "9201" not in reform.starts


def test_another_date_starts_all_its_regions_in_one_quarter(tmp_path: Path) -> None:
    [reform] = read(tmp_path)
    assert set(reform.starts_by("issued").values()) == {Quarter(2025, 1)}
    with pytest.raises(UsageError, match="not given"):
        reform.starts_by("public")


@pytest.mark.parametrize(
    ("more", "said"),
    [('leverr = "meeting"', "lever"), ('lever = "meetings"', "lever"), ("smallest_change = -1", "smallest_change")],
)
def test_a_wrong_key_or_value_is_refused_with_its_place(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(InputRejected) as caught:
        read(tmp_path, more)
    assert said in str(caught.value)
    assert "no-meeting-days" in str(caught.value)


def test_the_timeline_names_a_source_for_every_event_and_keeps_the_dates_of_2024_apart(tmp_path: Path) -> None:
    timeline = read_timeline(init_study(tmp_path / "study", simulated=True))
    assert len(timeline.event) >= 20
    assert {source for event in timeline.event for source in event.sources} <= set(timeline.source)
    [provisions] = [event for event in timeline.event if event.id == "E24"]
    assert (provisions.approved, provisions.issued, provisions.public) == ("2024-07-30", "2024-08-06", "2025-08-06")


def read_text(tmp_path: Path, text: str) -> list[Reform]:
    study = write_study(tmp_path)
    (study.reference / "reforms.toml").write_text(text, encoding="utf-8")
    return read_reforms(study)


def test_a_year_is_no_quarter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2025 is a year"):
        read_text(tmp_path, FULL)[0].starts_by("public")


@pytest.mark.parametrize(
    ("seen", "instead", "message"),
    [
        ("groups =", "grops =", r"fewer: 'grops' is an unknown key\n.*groups"),
        ("change = -0.3", "chnge = -0.3", "fewer, caps 1: 'chnge' is an unknown key"),
        ("change = -0.3", "change = -0.3, at_most = 3", "at_most or change, one of the two"),
        ("keep_if_cut_by = 1.0", "keep_if = 1.0", "plan.decision_rule: 'keep_if' is an unknown key"),
        ("looks = ", "look = ", "plan: 'look' is an unknown key"),
        ('looks = ["2026Q1"]', 'looks = ["2026Q5"]', "'2026Q5' is not a quarter"),
        ("P01", "P99", "units: 'P99' is not in regions.csv"),
        (
            'measure = "meetings_attended", change = -0.3',
            'measure = "meetings", change = -0.3',
            "caps: 'meetings' is no",
        ),
        ('"2024-07-30"', '"2024-09-30"', "approved lies after issued"),
        ('"2024-07-30"', '"2024-02-30"', "approved"),
        ('title_en = "Fewer meetings"', "", "title_en missing"),
    ],
)
def test_a_fault_is_refused_where_it_stands(tmp_path: Path, seen: str, instead: str, message: str) -> None:
    assert seen in FULL
    with pytest.raises(InputRejected, match=message):
        read_text(tmp_path, FULL.replace(seen, instead))


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(InputRejected, match=r"'fewer'\] twice"):
        read_text(tmp_path, FULL + FULL)


def test_the_demonstration_settles_each_plan_before_its_first_quarter_in_force() -> None:
    study = Study.open(DATA)
    for reform in read_reforms(study):
        assert reform.plan.registered < min(start.first_day for start in reform.starts.values()).isoformat()
        assert reform.caps
        assert all(claim.source.startswith("simulated") for claim in reform.claims)


def test_a_source_that_is_not_described_is_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    text = (DATA / "reference" / "reform_timeline.toml").read_text(encoding="utf-8")
    (study.reference / "reform_timeline.toml").write_text(
        text.replace("[source.S25]", "[source.S999]"), encoding="utf-8"
    )
    with pytest.raises(InputRejected, match="E21, sources: 'S25' is no source"):
        read_timeline(study)
