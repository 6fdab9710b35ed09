"""Critical values and false alarms of repeated looks: published constants, R `rpact`, and a simulation, to their digits.

Truth: ``boundaries.json`` of the shared data set ``sequential_boundaries``, whose README names Jennison and Turnbull
(2000) and Reboussin et al.; R `rpact` for five decimals; 200,000 simulated series for the probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis_lib.monitoring.repeated_looks import (
    false_alarm,
    obrien_fleming,
    pocock,
    sequence_factor,
    spending_bounds,
)

FOUR_DECIMALS, FIVE_DECIMALS = 6e-5, 6e-6
SIMULATED = 0.0025  # printed to a tenth of a per cent, three standard errors of 200,000 repetitions at most 0.0033
QUARTERS = np.arange(1.0, 21.0)


@pytest.mark.real_data
def test_published_constants(shared_data: Callable[[str], Path]) -> None:
    truth = json.loads((shared_data("sequential_boundaries") / "boundaries.json").read_text())
    for n_looks, constant in truth["pocock"].items():
        assert pocock(int(n_looks)) == pytest.approx([constant] * int(n_looks), abs=FOUR_DECIMALS)
    for n_looks, constant in truth["obrien_fleming_constant"].items():
        shape = np.sqrt(int(n_looks) / np.arange(1, int(n_looks) + 1))
        assert obrien_fleming(int(n_looks)) == pytest.approx(constant * shape, abs=FOUR_DECIMALS * shape[0])
    for shares, bounds in truth["lan_demets"].items():
        for kind in ("obrien_fleming", "pocock"):
            found = spending_bounds([float(share) for share in shares.split()], kind=kind)
            assert found == pytest.approx(bounds[f"{kind}_type"], abs=FOUR_DECIMALS)


def test_spending_bounds_of_rpact() -> None:
    four, eight = np.arange(1, 5) / 4, np.arange(1, 9) / 8
    assert spending_bounds(four) == pytest.approx([4.33263, 2.96313, 2.35904, 2.01409], abs=FIVE_DECIMALS)
    assert spending_bounds(eight) == pytest.approx(
        [6.23197, 4.33264, 3.48138, 2.97961, 2.64434, 2.40116, 2.21464, 2.06578], abs=FIVE_DECIMALS
    )
    # The last one, 2.35004, is of rpact's grid; integrals on finer grids come to 2.350030.
    assert spending_bounds(four, kind="pocock") == pytest.approx(
        [2.36833, 2.36752, 2.35817, 2.35003], abs=FIVE_DECIMALS
    )


def test_classical_bounds_of_rpact() -> None:
    assert obrien_fleming(4) == pytest.approx([4.04859, 2.86279, 2.33746, 2.02430], abs=FIVE_DECIMALS)
    assert pocock(4) == pytest.approx([2.36130] * 4, abs=FIVE_DECIMALS)


@pytest.mark.parametrize(
    ("bounds", "shares"),
    [
        (np.full(20, stats.norm.isf(0.025)), {8: 0.175, 12: 0.206, 20: 0.247}),
        (np.r_[spending_bounds(QUARTERS[:8] / 8), np.full(12, 2.06578)], {8: 0.050, 12: 0.084, 20: 0.124}),
        (sequence_factor(1 / np.sqrt(QUARTERS), tuned_for=1 / np.sqrt(8)), {8: 0.008, 12: 0.011, 20: 0.014}),
    ],
    ids=["naive", "spending for 8, then its last bound", "sequence tuned at look 8"],
)
def test_simulated_false_alarms(bounds: np.ndarray, shares: dict[int, float]) -> None:
    for looks, share in shares.items():
        assert false_alarm(bounds[:looks], QUARTERS[:looks]) == pytest.approx(share, abs=SIMULATED)


def test_sequence_over_a_century() -> None:
    quarters = np.arange(1.0, 401.0)
    found = false_alarm(sequence_factor(1 / np.sqrt(quarters), tuned_for=1 / np.sqrt(8)), quarters)
    assert found == pytest.approx(0.027, abs=SIMULATED)
