"""What a unit is, what its result depends on, and why it runs again."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from tiny_suite import HAND_OVER, write_notebook, write_suite, write_tiny_study

from analysis_lib.monitoring.ledger import Ending, Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running import units
from analysis_lib.running.suite import Suite
from analysis_lib.running.units import Planned, Unit, plan, table_sha256, units_of
from analysis_lib.study import Study

QUARTER = Quarter(2026, 3)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_tiny_study(tmp_path / "study")


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "10-brief": [HAND_OVER]})


def plan_one(suite: Suite, study: Study, drop: str = "first") -> Planned:
    """The plan of the one national unit, for a study with this drop."""
    return plan(suite, study, Ledger(study.ledger), [Unit("01-quick", QUARTER)], lambda *_: {f"drop {drop}": "hash"})[0]


def finish(suite: Suite, study: Study, kind: str = "ok") -> Path:
    """Do as if the national unit had run, and return its folder."""
    planned = plan_one(suite, study)
    folder = planned.folder(study)
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "answer.json").write_text("1")
    (folder / "unit.json").write_text(json.dumps({"tables": {"answer": table_sha256(folder, "answer")}}))
    for component, parts in planned.parts.items():
        Ledger(study.ledger).record_parts(planned.components[component], parts)
    ending = Ending("run", planned.unit.id, kind, planned.key, planned.components)  # pyright: ignore[reportArgumentType]
    Ledger(study.ledger).record_ending(ending)
    return folder


def test_a_quarter_has_national_units_and_one_per_region_of_the_page_level(suite: Suite, study: Study) -> None:
    names = [unit.name for unit in units_of(suite, study, QUARTER)]
    assert names == ["01-quick", "10-brief/P01", "10-brief/P02"]


def test_units_have_ids_and_folders_of_their_own(study: Study) -> None:
    region, past = Unit("10-brief", QUARTER, "P01"), Unit("10-brief", QUARTER, "P01", "2026-10-31")
    assert region.id == "2026Q3/10-brief/P01"
    assert past.id == "2026Q3/10-brief/P01@2026-10-31"
    assert region.folder(study).relative_to(study.results).as_posix() == "2026Q3/10-brief--P01"
    assert past.folder(study) != region.folder(study)


def test_a_region_code_cannot_leave_the_results_folder(study: Study) -> None:
    assert Unit("10-brief", QUARTER, "../../P01").folder(study).parent == study.results / "2026Q3"


def test_a_unit_that_never_ran_must_run(suite: Suite, study: Study) -> None:
    assert plan_one(suite, study).reason == "never ran"


def test_a_unit_whose_result_stands_is_up_to_date(suite: Suite, study: Study) -> None:
    finish(suite, study)
    assert plan_one(suite, study).reason == ""


def test_a_unit_that_failed_must_run_and_the_kind_is_said(suite: Suite, study: Study) -> None:
    finish(suite, study, "timeout")
    assert plan_one(suite, study).reason == "failed last time (timeout)"


def test_changed_data_is_a_reason(suite: Suite, study: Study) -> None:
    finish(suite, study)
    planned = plan_one(suite, study, "second")
    assert planned.due == "stale"
    assert planned.reason == "data changed (drop first, drop second)"
    assert planned.changed == {"data": ["drop first", "drop second"]}


def test_changed_code_and_lock_file_are_reasons(
    suite: Suite, study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finish(suite, study)
    monkeypatch.setattr(units, "reached_code", lambda imported: {"analysis_lib.pipeline": "other"})
    assert plan_one(suite, study).reason == "code changed (pipeline)"
    monkeypatch.setattr(units, "REPOSITORY", tmp_path)
    assert plan_one(suite, study).reason == "code changed (pipeline); lock file changed (requirements.lock)"


def test_a_changed_notebook_is_a_reason(suite: Suite, study: Study) -> None:
    finish(suite, study)
    write_notebook(suite.path("01-quick"), ["1 + 1", HAND_OVER])
    assert plan_one(suite, study).reason == "notebook changed (01-quick.ipynb)"


def test_comments_layout_and_text_of_a_notebook_are_no_reason(suite: Suite, study: Study) -> None:
    finish(suite, study)
    write_notebook(suite.path("01-quick"), ["# what follows is the answer", HAND_OVER.replace(") / (", ")/(") + "\n\n"])
    assert plan_one(suite, study).reason == ""


def test_a_new_version_of_a_method_is_a_reason(suite: Suite, study: Study, tmp_path: Path) -> None:
    finish(suite, study)
    raised = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]}, {"01-quick": "method = 2\n"})
    assert plan_one(raised, study).reason == "method changed (version)"


def test_a_raised_method_makes_what_tells_of_earlier_releases_out_of_date(study: Study, tmp_path: Path) -> None:
    looks_back = {"01-quick": "reads_releases = true\n"}
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "02-other": [HAND_OVER]}, looks_back)
    finish(suite, study)
    raised = write_suite(
        tmp_path / "suite",
        {"01-quick": [HAND_OVER], "02-other": [HAND_OVER]},
        looks_back | {"02-other": "method = 2\n"},
    )
    assert plan_one(raised, study).reason == "method changed (02-other)"


@pytest.mark.parametrize("unit", ["2026Q3/01-quick", "2026Q3/10-brief/P01", "2026Q3/10-brief/P01@2026-10-31"])
def test_a_unit_is_read_from_its_id(unit: str) -> None:
    assert Unit.parse(unit).id == unit


def test_a_setting_that_shapes_results_is_a_reason_and_one_that_does_not_is_none(suite: Suite, study: Study) -> None:
    finish(suite, study)
    config = study.root / "study.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("workers = 2", "workers = 1"), encoding="utf-8")
    assert plan_one(suite, Study.open(study.root)).reason == ""
    config.write_text(text + "[quality]\nfalse_alarm = 0.01\n", encoding="utf-8")
    assert plan_one(suite, Study.open(study.root)).reason == "parameters changed ([quality])"


def test_a_reason_names_no_more_than_three_parts(suite: Suite, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(suite, study)
    monkeypatch.setattr(units, "reached_code", lambda imported: dict.fromkeys(["a", "b", "c", "d", "e"], "hash"))
    planned = plan_one(suite, study)
    assert planned.reason == "code changed (a, b, c and 2 more)"
    assert planned.changed == {"code": ["a", "b", "c", "d", "e"]}


def test_what_a_unit_read_of_earlier_releases_is_a_reason_and_its_own_release_is_none(
    study: Study, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER]}, {"01-quick": "reads_releases = true\n"})
    ledger = Ledger(study.ledger)
    ledger.record_publication("2026Q2/r1", "published")
    finish(suite, study)
    ledger.record_publication("2026Q3/r1", "published")
    ledger.record_release("2026Q2", "2026Q2/r2")  # built and not shown to anybody
    assert plan_one(suite, study).reason == ""
    ledger.record_publication("2026Q2/r2", "published")
    assert plan_one(suite, study).reason == "earlier releases changed (2026Q2)"


def test_a_result_that_is_gone_or_edited_is_a_reason(suite: Suite, study: Study) -> None:
    folder = finish(suite, study)
    (folder / "tables" / "answer.json").write_text("2")
    assert plan_one(suite, study).reason == "result missing or edited"
    (folder / "unit.json").unlink()
    assert plan_one(suite, study).reason == "result missing"


def test_the_data_of_a_quarter_are_asked_for_once_and_as_of_its_day(suite: Suite, study: Study) -> None:
    seen: list[tuple[str, str]] = []

    def data(study: Study, quarter: Quarter, as_of: dt.date | None) -> dict[str, str]:
        seen.append((str(quarter), str(as_of)))
        return {}

    asked = units_of(suite, study, QUARTER, "2026-10-31")
    plan(suite, study, Ledger(study.ledger), asked, data)
    assert seen == [("2026Q3", "2026-10-31")]


def test_a_notebook_that_lacks_a_parameter_stops_the_plan(suite: Suite, study: Study) -> None:
    path = suite.path("01-quick")
    path.write_text(path.read_text().replace("region: str", "area: str"))
    with pytest.raises(Exception, match="unknown parameter 'region'"):
        plan_one(suite, study)
