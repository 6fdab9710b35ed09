"""Log-ratios by hand: of mean hours with their errors, of single weeks with their zeros."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.accounts import Account, Partition
from analysis_lib.monitoring.compositions import (
    balance,
    balance_basis,
    centre,
    closed,
    clr,
    from_ilr,
    ilr,
    log_ratio_changes,
    log_ratio_table,
    replace_zeros,
)

PARTS = ("meeting", "digital", "service")


def account(before: list[float], after: list[float], *, covariance: np.ndarray | None = None) -> Account:
    k = len(before)
    root = np.linalg.cholesky(np.eye(2 * k) * 0.01 if covariance is None else covariance)
    return Account(
        label="made", period="", region="all", keys=PARTS[:k], partitions={"work": Partition("", PARTS[:k])},
        before=np.array(before), after=np.array(after), blocks=[(root, 40.0)], most_df=math.inf, n=100, n_psu=50,
        confidence_level=0.95, smallest_change=0.5, cut=("meeting",), burden=("meeting", "digital"),
    )  # fmt: skip


def test_changes_of_log_ratios_by_hand() -> None:
    found = log_ratio_changes(account([8.0, 4.0, 2.0], [4.0, 8.0, 2.0]), "work").set_index("part")
    # factors ½, 2, 1: their geometric mean is one
    assert found["estimate"].tolist() == pytest.approx([-math.log(2), math.log(2), 0.0])
    variance = sum(0.01 * c**2 * (1 / b**2 + 1 / a**2) for c, b, a in [(2 / 3, 8, 4), (1 / 3, 4, 8), (1 / 3, 2, 2)])
    assert found.at["meeting", "se"] == pytest.approx(math.sqrt(variance))


def test_errors_are_those_of_the_derivatives() -> None:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(6, 9))
    covariance = half @ half.T / 100
    before, after = np.array([8.0, 4.0, 2.0]), np.array([5.0, 7.0, 2.5])

    def coordinate(means: np.ndarray) -> float:
        return float((np.log(means[3:]) - np.log(means[:3])) @ [2 / 3, -1 / 3, -1 / 3])

    steps = 1e-5 * np.eye(6)
    means = np.concatenate([before, after])
    slope = np.array([(coordinate(means + step) - coordinate(means - step)) / 2e-5 for step in steps])
    found = log_ratio_changes(account(list(before), list(after), covariance=covariance), "work")
    assert found.loc[0, "se"] == pytest.approx(math.sqrt(slope @ covariance @ slope), rel=1e-6)


def test_the_unit_does_not_matter_and_neither_does_a_change_of_all_alike() -> None:
    hours = log_ratio_changes(account([8.0, 4.0, 2.0], [6.0, 5.0, 2.0]), "work")
    minutes = account([480.0, 240.0, 120.0], [360.0, 300.0, 120.0], covariance=36.0 * np.eye(6))
    found = log_ratio_changes(minutes, "work")
    assert np.allclose(found.drop(columns="part"), hours.drop(columns="part"))
    alike = log_ratio_changes(account([8.0, 4.0, 2.0], [4.0, 2.0, 1.0]), "work")
    assert alike["estimate"].tolist() == pytest.approx([0.0] * 3, abs=1e-12)


def test_a_part_without_hours_stays_out_and_the_others_keep_their_ratios() -> None:
    found = log_ratio_changes(account([8.0, 4.0, 0.0], [4.0, 8.0, 1.0]), "work").set_index("part")
    assert list(found.index) == ["meeting", "digital"]
    assert found["estimate"].tolist() == pytest.approx([-math.log(2), math.log(2)])
    with pytest.raises(UsageError, match="fewer than two"):
        log_ratio_changes(account([8.0, 0.0, 0.0], [4.0, 8.0, 1.0]), "work")
    with pytest.raises(UsageError, match="no account by"):
        log_ratio_changes(account([8.0, 4.0], [4.0, 8.0]), "medium")


def test_a_part_with_hardly_any_hours_has_no_ratio() -> None:
    nearly = account([8.0, 4.0, 0.15], [4.0, 8.0, 1.0])
    assert log_ratio_changes(nearly, "work")["part"].tolist() == ["meeting", "digital"]


def test_joint_intervals_hold_for_all_rows_at_once() -> None:
    rng = np.random.default_rng(8)
    before, after = np.array([8.0, 4.0, 2.0]), np.array([5.0, 7.0, 2.5])
    truth = log_ratio_changes(account(list(before), list(after)), "work")["estimate"].to_numpy()
    held = []
    for _ in range(400):
        seen = account(list(before + rng.normal(0, 0.1, 3)), list(after + rng.normal(0, 0.1, 3)))
        found = log_ratio_changes(seen, "work")
        held.append(((found["joint_low"] <= truth) & (truth <= found["joint_high"])).all())
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert (found["joint_high"] > found["ci_high"]).all()


def test_the_table_tells_relative_changes_and_ratios_of_one_side_to_the_other() -> None:
    changed = account([8.0, 4.0, 2.0], [4.0, 8.0, 2.0])
    changed.partitions["work"] = Partition("", tuple(f"group_{part}" for part in PARTS))
    named = replace(changed, keys=changed.partitions["work"].parts)
    rows = log_ratio_table(named).set_index("category")["estimate"]
    assert rows["made.group_meeting"] == pytest.approx(-0.5)
    assert rows["made.group_digital"] == rows["made.group_digital.joint"] == pytest.approx(1.0)
    assert rows["made.cut_to_other_burden"] == pytest.approx(-0.75)  # from twice as much to half as much
    assert rows["made.burden_to_other_work"] == pytest.approx(0.0, abs=1e-12)
    assert log_ratio_table(replace(named, before=np.array([8.0, 0.0, 0.0]))).empty


def test_balances() -> None:
    changed = account([8.0, 4.0, 2.0], [4.0, 8.0, 2.0])
    sides = {"online": (["digital"], ["meeting"]), "lost": (["meeting", "digital"], ["service"])}
    found = log_ratio_changes(changed, "work", balances=sides).set_index("part")
    assert found.at["online", "estimate"] == pytest.approx(math.sqrt(1 / 2) * 2 * math.log(2))
    assert found.at["lost", "estimate"] == pytest.approx(0.0, abs=1e-12)
    for more, less in (([], ["service"]), (["meeting"], ["meeting"]), (["meeting"], ["sleep"])):
        with pytest.raises(UsageError):
            balance(PARTS, more, less)


def test_coordinates_keep_distances_and_lead_back() -> None:
    week = np.array([[8.0, 4.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [20.0, 0.5, 3.0, 7.0]])
    basis = balance_basis(4)
    assert basis.T @ basis == pytest.approx(np.eye(3), abs=1e-12)
    assert basis.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert np.linalg.norm(ilr(week, basis), axis=1) == pytest.approx(np.linalg.norm(clr(week), axis=1))
    assert from_ilr(ilr(week, basis), basis, whole=168.0) == pytest.approx(closed(week, whole=168.0))
    assert centre(np.array([[1.0, 4.0], [4.0, 1.0]]), whole=10.0).tolist() == pytest.approx([5.0, 5.0])
    assert centre(np.array([[1.0, 1.0], [1.0, 16.0]]), np.array([1.0, 3.0])).tolist() == pytest.approx([1 / 9, 8 / 9])


def test_zeros_are_replaced_and_other_ratios_stay() -> None:
    week = np.array([[6.0, 0.0, 2.0], [1.0, 3.0, 4.0]])
    found = replace_zeros(week, 0.1)
    assert found.sum(axis=1) == pytest.approx([8.0, 8.0])
    assert found[0, 1] == 0.1
    assert found[0, 0] / found[0, 2] == pytest.approx(3.0)
    assert found[1].tolist() == [1.0, 3.0, 4.0]
    with pytest.raises(UsageError, match="replace_zeros first"):
        clr(week)
    for parts, least in ((week, 8.0), (-week, 0.1), (week * np.nan, 0.1), (week, 0.0)):
        with pytest.raises(UsageError):
            replace_zeros(parts, least)
