"""The ten-year play in short: two years by the real suite's first answer and its account, each accident once.

The whole, forty quarters of every notebook, is `make certify` (`tests/certify/ten_years.py`).
"""

from __future__ import annotations

from pathlib import Path

from played_study import BUILDING, PUBLISHING, RUNNING, Script, play

from analysis_lib.monitoring.ledger import Ledger

SHORT = Script(
    quarters=7,
    notebooks=("03-hours-lost", "08-change-and-revisions"),
    new_forms={"odk": 1, "slots": 4},
    new_method=3,
    split=2,
    crashes={1: RUNNING, 2: BUILDING, 4: PUBLISHING},
    missed=frozenset({5}),
    revised=4,
    apart=False,
)


def test_a_short_play_ends_with_every_release_and_every_account_adding_up(tmp_path: Path) -> None:
    study, seen = play(tmp_path, SHORT)
    assert len(seen.releases) == SHORT.quarters + 1  # one was published again
    assert (seen.killed, seen.settled, seen.alarms, seen.caught_up, seen.refused_methods) == (3, 1, 1, 1, 1)
    assert seen.late_drops > 0
    assert (
        seen.accounts >= 3 * 4 * SHORT.quarters
    )  # three measures of the nation and three provinces, at each but the first
    assert {"instrument: estimated", "method: estimated", "revision: estimated", "mix: estimated"} <= set(seen.steps)
    assert {row["score"] for row in Ledger(study.ledger).scores()} >= {"held"}
