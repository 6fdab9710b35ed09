"""What a unit is, what its result depends on, and why it runs again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_suite import HAND_OVER, write_notebook, write_suite, write_tiny_study

from analysis_lib.monitoring.ledger import Ending, Ledger
from analysis_lib.parameters import RunParameters
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


def plan_one(suite: Suite, study: Study, data: Callable[[RunParameters], str] = lambda run: "data") -> Planned:
    """The plan of the one national unit."""
    return plan(suite, study, Ledger(study.ledger), [Unit("01-quick", QUARTER)], data)[0]


def finish(suite: Suite, study: Study, kind: str = "ok") -> Path:
    """Do as if the national unit had run, and return its folder."""
    planned = plan_one(suite, study)
    folder = planned.folder(study)
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "answer.json").write_text("1")
    (folder / "unit.json").write_text(json.dumps({"tables": {"answer": table_sha256(folder, "answer")}}))
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
    assert plan_one(suite, study, lambda run: "other data").reason == "data changed"


def test_changed_code_and_lock_file_are_reasons(
    suite: Suite, study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finish(suite, study)
    monkeypatch.setattr(units, "code_fingerprint", lambda: "other code")
    assert plan_one(suite, study).reason == "code changed"
    monkeypatch.setattr(units, "REPOSITORY", tmp_path)
    assert plan_one(suite, study).reason == "code changed, lock file changed"


def test_a_changed_notebook_is_a_reason(suite: Suite, study: Study) -> None:
    finish(suite, study)
    write_notebook(suite.path("01-quick"), ["1 + 1", HAND_OVER])
    assert plan_one(suite, study).reason == "notebook changed"


def test_a_result_that_is_gone_or_edited_is_a_reason(suite: Suite, study: Study) -> None:
    folder = finish(suite, study)
    (folder / "tables" / "answer.json").write_text("2")
    assert plan_one(suite, study).reason == "result missing or edited"
    (folder / "unit.json").unlink()
    assert plan_one(suite, study).reason == "result missing"


def test_the_data_of_a_unit_are_asked_for_its_region_and_day(suite: Suite, study: Study) -> None:
    seen: list[tuple[str, str]] = []

    def fingerprint(run: RunParameters) -> str:
        seen.append((run.region, str(run.as_of)))
        return ""

    asked = units_of(suite, study, QUARTER, "2026-10-31")
    plan(suite, study, Ledger(study.ledger), asked, fingerprint)
    assert seen == [("all", "2026-10-31"), ("P01", "2026-10-31"), ("P02", "2026-10-31")]


def test_a_notebook_that_lacks_a_parameter_stops_the_plan(suite: Suite, study: Study) -> None:
    path = suite.path("01-quick")
    path.write_text(path.read_text().replace("region: str", "area: str"))
    with pytest.raises(Exception, match="unknown parameter 'region'"):
        plan_one(suite, study)
