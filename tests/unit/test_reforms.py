"""The register of reforms: what it refuses, and which date counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import Reform, read_reforms, read_timeline
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study

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
