"""A timer that does not fire loses nothing: the next one brings up what it missed, oldest first, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from tiny_suite import HAND_OVER, jianfu, write_suite, write_tiny_study

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Study

DUE = ("run", "--due", "--workers", "1")


def deliver(study: Study, quarter: str) -> None:
    """Let the study's one drop be one of another quarter too."""
    first = study.raw / "2026Q3" / "2026-10-08" / "first"
    shutil.copytree(first, study.raw / quarter / "2026-10-08" / "first")
    sidecar = study.raw / quarter / "2026-10-08" / "first" / "drop.toml"
    sidecar.write_text(sidecar.read_text(encoding="utf-8").replace("2026Q3", quarter), encoding="utf-8")


def test_two_missed_timers_are_caught_up_by_the_next_oldest_first(tmp_path: Path) -> None:
    study = write_tiny_study(tmp_path / "study")
    suite = write_suite(tmp_path / "suite", {"01-quick": [HAND_OVER], "10-brief": [HAND_OVER]})
    units = ["01-quick", "10-brief/P01", "10-brief/P02"]
    kept = study.raw / "2026Q3"
    deliver(study, "2025Q4")
    kept.rename(study.root / "later")  # 2026Q3 has not come yet
    assert jianfu(suite, study, *DUE)[0] == 0

    (study.root / "later").rename(kept)
    deliver(study, "2026Q1")
    deliver(study, "2026Q2")  # two timers did not fire, and a third does
    code, out, err = jianfu(suite, study, *DUE)
    assert code == 0, err
    ran = [line.partition("\t")[0] for line in out.splitlines()]
    assert ran == [f"{quarter}/{unit}" for quarter in ("2026Q1", "2026Q2", "2026Q3") for unit in units]
    assert "3 up to date" in err  # 2025Q4 is left alone
    run = Ledger(study.ledger).last_run()
    assert run is not None
    assert [each.unit_id for each in Ledger(study.ledger).endings(run.run_id)] == ran
    assert "up to date" in jianfu(suite, study, *DUE)[1]
