"""Displacement in simulated worlds: found where it was put, and not named where burden simply fell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from certify.displacement import EARLIER, LATER, certified, certified_panel, draws, world

from analysis_lib.effects.designs import settle_designs
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.monitoring.accounts import account_of_change, account_of_reform
from analysis_lib.monitoring.compositions import log_ratio_changes
from analysis_lib.monitoring.displacement import disguised_burden, findings
from analysis_lib.parameters import RunParameters
from analysis_lib.pipeline import load_officials, periods
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study

REPETITIONS, SEED = 25, 11
# Of 25 draws, more than this many where each has a chance of five in a hundred come once in a hundred times.
BY_CHANCE = 4 / REPETITIONS


@pytest.fixture(scope="module")
def surveys() -> pd.DataFrame:
    return pd.concat([certified(letter, REPETITIONS, SEED) for letter in "bdf"]).set_index("what")


def test_hours_that_moved_online_are_found_and_the_index_says_all_of_them(surveys: pd.DataFrame) -> None:
    assert surveys.at["d: offline_to_online", "named"] > 0.9
    assert surveys.at["d: pen_to_fingertip", "named"] > 0.9
    assert surveys.at["d: toothpaste", "named"] <= BY_CHANCE
    index = surveys.loc["d: index of disguised burden"]
    assert abs(index["bias"]) < 0.25
    assert index["coverage"] >= 0.8


def test_squeezed_toothpaste_is_found(surveys: pd.DataFrame) -> None:
    assert surveys.at["f: toothpaste", "named"] > 0.7
    assert surveys.at["f: offline_to_online", "named"] <= BY_CHANCE
    assert surveys.at["f: pen_to_fingertip", "named"] <= BY_CHANCE


def test_a_plain_cut_is_not_called_displacement(surveys: pd.DataFrame) -> None:
    for key in ("offline_to_online", "pen_to_fingertip", "toothpaste"):
        assert surveys.at[f"b: {key}", "named"] <= BY_CHANCE


def test_parts_hold_the_truth_one_by_one_and_all_at_once(surveys: pd.DataFrame) -> None:
    parts = surveys[surveys["se"].notna()]
    assert 0.90 < parts["coverage"].mean() < 0.985
    assert (parts["bias"].abs() < 4 * parts["sd"] / np.sqrt(REPETITIONS)).all()
    at_once = surveys.loc[[f"{letter}: all parts at once" for letter in "bdf"], "coverage"]
    assert at_once.mean() > 0.88


def test_log_ratios_find_the_same() -> None:
    country = world("d", SEED)
    (frame,) = draws(country, 1)
    account = account_of_change(frame, study=country.study, earlier=[str(EARLIER)], later=[str(LATER)], label="change")
    sides = {"online": (["group_digital"], ["group_meeting", "group_document"])}
    found = log_ratio_changes(account, "work", balances=sides).set_index("part")
    assert found.at["online", "ci_low"] > 0
    assert found["estimate"].drop("online").idxmax() == "group_digital"


@pytest.mark.parametrize("n", [3, 10])
def test_effects_on_parts_hold_the_truth_with_few_and_many_regions(n: int) -> None:
    found = certified_panel(n, 200, SEED).set_index("what")
    for what, row in found.iterrows():
        assert row["coverage"] >= 0.90, what


# -- the whole way, from raw drops --------------------------------------------------------------------


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Study, list[str]]:
    """Scenario f from its exports, as the demonstration measures it."""
    folder: Path = tmp_path_factory.mktemp("squeezed") / "study"
    study = init_study(folder, simulated=True)
    simulate_study(study, scenario="f", progress=False)
    run = RunParameters.parse(study=str(folder), quarter="2026Q3", region="all", as_of="", results_dir="")
    return load_officials(run), study, list(periods(run).series)


def test_toothpaste_from_raw_drops(squeezed: tuple[pd.DataFrame, Study, list[str]]) -> None:
    """The same seasons before any reform and after all of them: it is found, and no index without a cut."""
    officials, study, quarters = squeezed
    account = account_of_change(
        officials, study=study, earlier=quarters[:3], later=quarters[8:11], label="since", region="all"
    )
    parts = account.parts("day").set_index("part")
    assert parts.drop("whole")["estimate"].sum() == pytest.approx(0.0, abs=1e-9)
    found = {each.key: each.answer for each in findings(account)}
    assert found == {"offline_to_online": "no", "pen_to_fingertip": "no", "toothpaste": "yes"}
    assert np.isnan(disguised_burden(account).ratio)


def test_accounts_of_reforms_add_up(squeezed: tuple[pd.DataFrame, Study, list[str]]) -> None:
    officials, study, quarters = squeezed
    designs, _ = settle_designs(officials, study=study, quarters=quarters)
    for design in designs:
        account = account_of_reform(officials, design, study=study, quarters=quarters)
        parts = account.parts("work").set_index("part")
        assert parts.drop("whole")["estimate"].sum() == pytest.approx(parts.at["whole", "estimate"], abs=1e-9)
        assert next(each for each in findings(account) if each.key == "offline_to_online").answer != "yes"
