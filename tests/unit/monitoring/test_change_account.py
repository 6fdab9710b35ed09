import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.disclosure.adding_up import adding_up
from analysis_lib.disclosure.protect import protect
from analysis_lib.monitoring.change_account import (
    LAST,
    MOVED,
    STEPS,
    THIS,
    Circumstances,
    Link,
    account_for_change,
    with_earlier_composition,
)
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate, estimate_change

BEFORE, NOW = "2026Q1", "2026Q2"
MEASURES = ["recall_gross", "gross"]
EXACT = 1e-12


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    headline = 'headline = "recall_gross"\nnested = ["recall_gross", "gross"]\n'
    return write_study(tmp_path_factory.mktemp("account") / "s", study_toml=STUDY_TOML + headline)


@pytest.fixture(scope="module")
def officials() -> pd.DataFrame:
    """A panel of 2 provinces, 4 counties (strata) of 4 townships (PSUs) of 12 people; later, townships weigh more."""
    rng = np.random.default_rng(11)
    frame = pd.DataFrame(
        [
            {"respondent_id": f"{county}-{unit}-{person}", "region": county, "psu": f"{county}-{unit}"}
            for county in ("C0101", "C0102", "C0201", "C0202")
            for unit in range(4)
            for person in range(12)
        ]
    )
    tier = np.tile(["township", "village"], len(frame) // 2)
    habit = rng.gamma(9, 2, len(frame)) + np.where(tier == "township", 4.0, 0.0)
    quarters = []
    for step, quarter in enumerate((BEFORE, NOW)):
        hours = habit + 0.5 * step + rng.normal(0, 1, len(frame))
        has_diary = np.arange(len(frame)) % 3 > 0
        weight = np.where(tier == "township", 5.0 + 3 * step, 5.0)
        quarters.append(
            frame.assign(
                quarter=quarter, stratum=frame["region"], county=frame["region"], tier=tier, weight=weight,
                province="P" + frame["region"].str[1:3], has_diary=has_diary, recall_gross=hours,
                gross=np.where(has_diary, 0.9 * hours, np.nan), diary_weight=np.where(has_diary, 1.5 * weight, np.nan),
            )
        )  # fmt: skip
    return pd.concat(quarters, ignore_index=True)


def published(officials: pd.DataFrame, study: Study, regions: list[str]) -> pd.DataFrame:
    """What a release printed of the earlier quarter: one decimal, from the first nine tenths of the returns."""
    found = estimate(as_released(officials), MEASURES, study=study, periods={BEFORE: [BEFORE]}, regions=regions)
    return found.assign(value=found["estimate"].round(1))[["measure", "region", "value", "ci_low", "ci_high"]]


def as_released(officials: pd.DataFrame) -> pd.DataFrame:
    rows = officials[officials["quarter"] == BEFORE]
    return rows[np.arange(len(rows)) % 10 > 0]


def account(officials, study, *, method_changed: bool | None = False, links=None, released=True, printed=None):
    regions = ["all", "P01", "P02"]
    return account_for_change(
        published(officials, study, regions) if printed is None else printed,
        officials,
        Circumstances(
            as_released(officials) if released else None,
            method_changed,
            {(measure, region): link for measure, link in (links or {}).items() for region in regions},
        ),
        study=study, earlier=BEFORE, later=NOW, measures=MEASURES, regions=regions,
    )  # fmt: skip


def wide(found: pd.DataFrame) -> pd.DataFrame:
    return found.pivot(index=["measure", "region"], columns="category", values="estimate")


def outcomes(found: pd.DataFrame, region: str = "all", measure: str = "recall_gross") -> dict[str, str]:
    rows = found[(found["region"] == region) & (found["measure"] == measure)]
    return dict(zip(rows["category"], rows["outcome"], strict=True))


@pytest.mark.parametrize("method_changed", [True, False, None])
@pytest.mark.parametrize("links", [{}, {"recall_gross": Link(1.1, 0.02), "gross": Link(None)}])
@pytest.mark.parametrize("released", [True, False])
def test_every_account_adds_up_exactly(officials, study, method_changed, links, released):
    found = account(officials, study, method_changed=method_changed, links=links, released=released)
    rows = wide(found)
    steps = rows[[step for step in STEPS if step in rows]].sum(axis=1)
    assert len(rows) == 6
    assert (rows[LAST] + steps - rows[THIS]).abs().max() < EXACT
    assert (rows[MOVED] - (rows[THIS] - rows[LAST])).abs().max() < EXACT


def test_a_printed_account_adds_up_too_and_ends_at_the_printed_values(officials, study):
    found = account(officials, study)
    table = protect(adding_up(found, study=study), "change_account", study=study).table
    rows = table.pivot(index=["measure", "region"], columns="category", values="value")
    assert (rows[LAST] + rows[STEPS].sum(axis=1) - rows[THIS]).abs().max() < EXACT
    assert rows[THIS].to_numpy() == pytest.approx(wide(found)[THIS].round(1).to_numpy())
    assert set(table["mark"]) == {""}


def test_each_step_changes_one_thing(officials, study):
    rows = wide(account(officials, study, method_changed=True)).loc[("recall_gross", "all")]

    def value(frame: pd.DataFrame, quarter: str) -> float:
        found = estimate(frame, ["recall_gross"], study=study, periods={quarter: [quarter]}, regions=["all"])
        return float(found["estimate"].iloc[0])

    still, _ = with_earlier_composition(officials, NOW, study=study)
    assert rows["method"] == pytest.approx(value(as_released(officials), BEFORE) - rows[LAST])
    assert rows["revision"] == pytest.approx(value(officials, BEFORE) - value(as_released(officials), BEFORE))
    assert rows["period"] == pytest.approx(value(still, NOW) - value(officials, BEFORE))
    assert rows["mix"] == pytest.approx(value(officials, NOW) - value(still, NOW))
    assert rows["instrument"] == 0
    assert rows["mix"] > 0.2  # townships, four hours above villages, went from a half to 8 / 13 of the weight
    assert rows["period"] == pytest.approx(0.5, abs=0.25)  # what was put in


def test_the_interval_of_the_new_period_is_that_of_a_panel(officials, study):
    found = account(officials, study)
    row = found[(found["measure"] == "recall_gross") & (found["region"] == "all")].set_index("category").loc["period"]
    still, _ = with_earlier_composition(officials, NOW, study=study)
    change = estimate_change(
        still, ["recall_gross"], study=study, earlier=[BEFORE], later=[NOW], label="c", regions=["all"]
    )
    assert row["se"] == pytest.approx(float(change["se"].iloc[0]))
    assert row[["ci_low", "ci_high"]].to_list() == pytest.approx(change[["ci_low", "ci_high"]].iloc[0].to_list())


def test_a_link_takes_the_instrument_out_of_the_period_and_brings_its_own_error(officials, study):
    plain = wide(account(officials, study)).loc[("recall_gross", "all")]
    found = account(officials, study, links={"recall_gross": Link(1.1, 0.02), "gross": Link(1.0, 0.0)})
    linked = wide(found).loc[("recall_gross", "all")]
    still = linked["period"] + linked["instrument"] - plain["period"]
    level = plain[THIS] - plain["mix"]
    assert still == pytest.approx(0.0, abs=EXACT)
    assert linked["instrument"] == pytest.approx(level * (1 - 1 / 1.1))
    rows = found[(found["measure"] == "recall_gross") & (found["region"] == "all")].set_index("category")
    assert rows.at["instrument", "se"] > level / 1.1**2 * 0.02
    assert rows.at["period", "se"] > level / 1.1**2 * 0.02


def test_what_cannot_be_told_apart_is_said_and_has_no_row(officials, study):
    unlinked = outcomes(account(officials, study, links={"recall_gross": Link(None)}))
    assert unlinked["period"] == "with_instrument"
    assert "instrument" not in unlinked
    unpinned = outcomes(account(officials, study, released=False))
    assert unpinned["revision"] == "with_method"
    assert "method" not in unpinned
    assert "method" not in outcomes(account(officials, study, method_changed=None))


def test_samples_without_a_common_region_leave_the_mix_in_the_period(officials, study):
    elsewhere = officials.assign(province=np.where(officials["quarter"] == NOW, "P01", "P02"))
    still, kept = with_earlier_composition(elsewhere, NOW, study=study)
    assert kept == 0.0
    assert still["weight"].to_list() == pytest.approx(elsewhere["weight"].to_list())
    found = outcomes(account(elsewhere, study, printed=published(officials, study, ["all"])))
    assert found["period"] == "with_mix"
    assert "mix" not in found


def test_rounding_is_told_from_what_nobody_declared(officials, study):
    printed = published(officials, study, ["all", "P01", "P02"])
    assert outcomes(account(officials, study, printed=printed))["remainder"] == "rounding"
    moved = printed.assign(value=printed["value"] + 0.3)
    assert outcomes(account(officials, study, printed=moved))["remainder"] == "unexplained"
    assert outcomes(account(officials, study, printed=moved, method_changed=True))["remainder"] == "rounding"


def test_a_number_that_was_withheld_has_no_account(officials, study):
    printed = published(officials, study, ["all", "P01", "P02"])
    printed.loc[printed["region"] == "P01", "value"] = np.nan
    found = account(officials, study, printed=printed[printed["region"] != "P02"])
    assert set(found["region"]) == {"all"}


def test_the_later_sample_gets_the_earlier_composition(officials, study):
    still, kept = with_earlier_composition(officials, NOW, study=study)
    assert kept == pytest.approx(1.0)
    for weight in ("weight", "diary_weight"):
        shares = still.groupby(["quarter", "province", "tier"])[weight].sum()
        shares = shares / shares.groupby("quarter").sum()
        assert shares[NOW].to_list() == pytest.approx(shares[BEFORE].to_list())
    assert still.loc[still["quarter"] == BEFORE, "weight"].to_list() == [5.0] * 192


def test_the_others_of_a_region_keep_the_share_of_a_class_that_is_gone(officials, study):
    gone = officials[(officials["quarter"] == BEFORE) | (officials["stratum"] != "C0101")]
    still, kept = with_earlier_composition(gone, NOW, study=study)
    by_place = still.groupby(["quarter", "province"])["weight"].sum()
    assert kept == 1.0
    assert by_place[NOW]["P01"] / by_place[NOW]["P02"] == pytest.approx(
        by_place[BEFORE]["P01"] / by_place[BEFORE]["P02"]
    )
    assert (still["weight"] > 0).all()
