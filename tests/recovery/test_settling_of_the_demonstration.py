"""In the simulated fieldwork the last provinces report some three weeks after the quarter, and late returns are few."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.quarters import Quarter
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.vintages import settling_of, vintage_values
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

QUARTER = Quarter.parse("2026Q3")


def test_the_headline_has_settled_when_the_last_province_is_in(tmp_path: Path) -> None:
    study = init_study(tmp_path / "data", simulated=True)
    text = (study.root / "study.toml").read_text(encoding="utf-8").replace('first = "2023Q4"', 'first = "2026Q3"')
    (study.root / "study.toml").write_text(text, encoding="utf-8")
    study = Study.open(study.root)
    simulate_study(study, progress=False)
    drops = [drop for drop in Store(study).drops(QUARTER) if drop.instrument != "sample-v1"]
    last_main = max(drop.received for drop in drops if not drop.id.endswith("-late"))
    assert max(drop.received for drop in drops) > last_main  # there are late returns

    settled = settling_of(study, [QUARTER], at_most=20).set_index("measure").loc["gross_combined"]
    expected = (last_main - QUARTER.last_day).days
    # Before it is in, others stand for the last province, as a rule close to what it will say.
    first = (min(drop.received for drop in drops) - QUARTER.last_day).days
    assert first < settled["within_interval_days"] <= settled["within_smallest_days"] <= expected
    assert 0 < settled["share_at_first"] < 1

    # Before that day others stand for those not heard of; nothing is claimed where hardly anybody had been.
    values = vintage_values(study, QUARTER, at_most=20)
    assert values["estimate"].isna().any()
    complete = values[values["day"] >= last_main].groupby("measure")["estimate"]
    moved = (complete.max() - complete.min()).loc["gross_combined"]
    assert moved < study.config.estimation.smallest_change
    assert values["day"].max() - QUARTER.last_day < dt.timedelta(days=90)
