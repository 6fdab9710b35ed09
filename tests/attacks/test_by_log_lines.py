"""Attack 21 on every line that the commands of a quarter print and log: "1 diary dropped in county X"."""

from __future__ import annotations

import re
from typing import Any

import pytest
from small_office import QUARTER, Office

from analysis_lib import pipeline
from analysis_lib.quarters import Quarter
from analysis_lib.tables.store import Store

# What differs from run to run whatever came in: moments, ids of runs, hashes, folders, durations.
PASSING = re.compile(
    r"\d{8}T\d{6}Z-\w+|\b[0-9a-f]{8,}\b|(?:/[\w.-]+)+/|\d{4}-\d\d-\d\d[T ][\d:.+Z]*|\d+(?:\.\d+)? (?:s|MB)\b"
)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Office, Office]:
    """The same study twice; in the second, one official of P02 left no answer that can be read."""
    offices = Office(tmp_path_factory.mktemp("one"), ["E030"]), Office(tmp_path_factory.mktemp("other"), ["E030"])
    offices[0].arrive(["E030"], "2026-04-06")
    for office in offices:
        office.publish()
        office.jianfu("verify")
        office.jianfu("status")
        office.jianfu("plan", "--quarter", QUARTER)
    return offices


def lines(log: str) -> list[str]:
    """What is said, without what differs whenever it is said."""
    return [line.strip() for line in PASSING.sub("…", log).splitlines() if line.strip()]


def test_a21_no_line_of_any_command_tells_how_many_answered(worlds: tuple[Office, Office]) -> None:
    one, other = (lines(office.log) for office in worlds)
    assert any("03-hours-lost" in line for line in one)
    assert one == other


def test_a21_would_be_seen_if_a_line_told_it(worlds: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up = pipeline._bring_up

    def talkative(store: Store, quarter: Quarter, progress: Any) -> None:
        bring_up(store, quarter, progress)
        read = store.read("official_quarters", quarter, pipeline.measured_fingerprint(store, quarter))
        if progress:
            progress(f"{quarter}: {len(read)} officials answered")

    monkeypatch.setattr(pipeline, "_bring_up", talkative)
    told: list[list[str]] = [[], []]
    for office, said in zip(worlds, told, strict=True):
        pipeline.prepare(office.study, Quarter.parse(QUARTER), None, said.append)
    assert lines("\n".join(told[0])) != lines("\n".join(told[1]))
