"""Accounts add up and are what estimates of single measures are; the index and each finding follow their rules."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import write_study
from scipy import stats

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.designs import settle_designs
from analysis_lib.effects.inference import estimate_contrasts
from analysis_lib.effects.specification_curve import contrast, prepared
from analysis_lib.errors import DesignError, UsageError
from analysis_lib.monitoring.accounts import (
    Account,
    Partition,
    account_of_change,
    account_of_reform,
    joint_level,
)
from analysis_lib.monitoring.displacement import account_table, disguised_burden, fieller, findings, toothpaste
from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.survey.weighting import calibrate_to_margins

WORK = ["meeting", "document", "form", "inspection", "digital", "for_show", "service", "core", "training"]
QUARTERS = ["2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2"]
ONE_REFORM = """
[[reform]]
id = "fewer"
title_zh = "少开会"
title_en = "Fewer meetings"
level = "county"
groups = ["meeting", "document"]
units = { C0101 = "2025Q3", C0102 = "2025Q3", C0201 = "2025Q4" }
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = write_study(tmp_path)
    regions = (made.reference / "regions.csv").read_text(encoding="utf-8")
    more = "".join(f"C02{number:02},P02,county,县{number},County {number}\n" for number in range(3, 7))
    (made.reference / "regions.csv").write_text(regions + more, encoding="utf-8")
    (made.reference / "reforms.toml").write_text(ONE_REFORM, encoding="utf-8")
    return Study.open(tmp_path)


@pytest.fixture
def officials() -> pd.DataFrame:
    """Two units of each county, six officials each in every quarter; four of them keep diaries."""
    rng = np.random.default_rng(7)
    counties = ["C0101", "C0102", *(f"C02{number:02}" for number in range(1, 7))]
    rows = [
        {"respondent_id": f"{county}{unit}{person}", "quarter": quarter, "region": county, "stratum": county[:3],
         "psu": f"{county}u{unit}", "weight": 1.0 + person, "has_diary": person < 4, "province": "P" + county[1:3],
         "county": county, "tier": "county"}
        for county in counties for unit in range(2) for person in range(6) for quarter in QUARTERS
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    hours = rng.gamma(2.0, 2.0, (len(frame), len(WORK)))
    hours[:, 1] += 0.5 * hours[:, 0]
    frame[[f"group_{group}" for group in WORK]] = hours
    frame["work_time"], frame["gross"] = hours.sum(axis=1), hours[:, :6].sum(axis=1)
    frame["group_personal"] = 167.5 - frame["work_time"]  # half an hour a week without a code
    frame["activity_i1"], frame["activity_d2"] = 0.5 * frame["group_inspection"], 0.4 * frame["group_document"]
    frame["gross_out_of_hours"], frame["parallel_digital"] = 0.2 * frame["group_form"], rng.gamma(2.0, 1.0, len(frame))
    diary = [column for column in frame if str(column).startswith(("group_", "activity_", "work_time", "gross", "par"))]
    frame.loc[~frame["has_diary"], diary] = np.nan
    return frame.assign(diary_weight=(1.5 * frame["weight"]).where(frame["has_diary"]))


def change_of(officials: pd.DataFrame, study: Study, **options) -> Account:
    return account_of_change(officials, study=study, earlier=QUARTERS[:2], later=QUARTERS[4:], label="since", **options)


def made(changes: dict[str, tuple[float, float]], *, before: float = 10.0, df: float = math.inf, **fields) -> Account:
    """An account with independent changes, each with its standard error."""
    values, se = np.array(list(changes.values())).T
    k = len(values)
    scores = np.vstack([np.zeros((k, k)), np.diag(se)])
    given = {
        "label": "made", "period": "2025Q1→2026Q1", "region": "all", "keys": tuple(changes),
        "partitions": {"work": Partition("", tuple(changes))}, "before": np.full(k, before), "after": before + values,
        "blocks": [(scores, df)], "most_df": math.inf, "n": 900, "n_psu": 90, "confidence_level": 0.95,
        "smallest_change": 0.5, "cut": ("meeting", "document"),
        "burden": ("meeting", "document", "form", "inspection", "digital"),
    }  # fmt: skip
    return Account(**(given | fields))


# -- between two periods ------------------------------------------------------------------------------


def test_parts_add_up_to_the_change_of_the_whole_exactly(officials, study) -> None:
    account = change_of(officials, study)
    for name in ("work", "day"):
        parts = account.parts(name).set_index("part")
        inside = parts.drop("whole")
        for column in ("before", "after", "estimate"):
            assert inside[column].sum() == pytest.approx(parts.at["whole", column], abs=1e-9)
    assert parts.loc["whole", ["before", "after", "estimate", "se"]].tolist() == [168.0, 168.0, 0.0, 0.0]
    assert parts.loc["rest", ["before", "after", "estimate"]].tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    assert "rest" not in set(account.parts("work")["part"])


def test_time_that_no_part_holds_is_a_part_with_its_own_error(officials, study) -> None:
    lost = officials["group_training"].copy()
    account = change_of(officials.assign(group_training=0.0 * lost), study)
    parts, full = account.parts("work").set_index("part"), change_of(officials, study).parts("work").set_index("part")
    numbers = ["before", "after", "estimate", "se", "ci_low", "ci_high"]
    assert parts.loc["rest", numbers].tolist() == pytest.approx(full.loc["group_training", numbers].tolist())
    assert parts.loc["group_training", numbers].tolist() == pytest.approx([0.0] * 6, abs=1e-9)


@pytest.mark.parametrize("region", ["all", "P02"])
def test_each_part_is_what_the_estimate_of_its_measure_is(officials, study, region) -> None:
    account = change_of(officials, study, region=region)
    parts = account.parts("work").set_index("part").rename(index={"whole": "work_time"})
    apart = estimate_change(
        officials, list(parts.index), study=study, earlier=QUARTERS[:2], later=QUARTERS[4:], label="x", regions=[region]
    ).set_index("measure")
    for column in ("estimate", "se", "df", "ci_low", "ci_high"):
        assert parts[column].tolist() == pytest.approx(apart.loc[parts.index, column].tolist(), rel=1e-9), column
    assert (account.n, account.n_psu) == tuple(apart.loc["work_time", ["n", "n_psu"]])


def test_a_sum_of_parts_is_the_sum_measured_as_one(officials, study) -> None:
    account = change_of(
        officials.assign(gross_out_of_hours=officials["group_meeting"] + officials["group_form"]), study
    )
    both, one = account.total(["group_meeting", "group_form"]), account.total(["gross_out_of_hours"])
    assert (both.estimate, both.se, both.df) == pytest.approx((one.estimate, one.se, one.df))


def test_calibrated_weights_take_out_what_the_margins_explain(officials, study) -> None:
    totals = [
        {"quarter": quarter, "column": "tier", "category": tier, "total": total}
        for quarter in QUARTERS for tier, total in (("county", 700.0), ("village", 1100.0))
    ]  # fmt: skip
    pd.DataFrame(totals).to_csv(study.reference / "margins.csv", index=False)
    study = Study.open(study.root)
    officials["tier"] = np.where(np.random.default_rng(3).random(len(officials)) < 0.4, "county", "village")
    officials.loc[officials["tier"] == "village", "group_meeting"] += 8.0
    calibrated = calibrate_to_margins(officials, study=study)
    apart = estimate_change(
        calibrated, ["group_meeting"], study=study, earlier=QUARTERS[:2], later=QUARTERS[4:], label="x", regions=["all"]
    ).iloc[0]
    found = change_of(calibrated, study).total(["group_meeting"])
    assert (found.estimate, found.se) == pytest.approx((apart["estimate"], apart["se"]), rel=1e-9)
    blind = change_of(calibrated.drop(columns=["weight_before_margins", "diary_weight_before_margins"]), study)
    assert blind.total(["group_meeting"]).se > 1.1 * found.se


@pytest.mark.parametrize(("earlier", "later"), [([], ["2025Q1"]), (["2025Q1"], ["2025Q1", "2025Q2"])])
def test_periods_must_be_two(officials, study, earlier, later) -> None:
    with pytest.raises(UsageError, match="two periods"):
        account_of_change(officials, study=study, earlier=earlier, later=later, label="x")


def test_a_part_that_was_not_asked_is_named(officials, study) -> None:
    officials.loc[officials["quarter"] < "2025Q3", "group_form"] = np.nan
    with pytest.raises(UsageError, match="group_form"):
        change_of(officials, study)
    with pytest.raises(UsageError, match="no account by 'medium'"):
        change_of(officials.assign(group_form=1.0), study).parts("medium")


# -- of a reform --------------------------------------------------------------------------------------


def test_effects_on_parts_are_those_of_the_assessment_and_add_up(officials, study) -> None:
    designs, impossible = settle_designs(officials, study=study, quarters=QUARTERS)
    assert impossible == {}
    account = account_of_reform(officials, designs[0], study=study, quarters=QUARTERS)
    parts = account.parts("work").set_index("part")
    assert parts.drop("whole")["estimate"].sum() == pytest.approx(parts.at["whole", "estimate"], abs=1e-9)
    for key in ("group_meeting", "group_service"):
        panel = prepared(designs[0].panels[key], designs[0].way)
        apart = estimate_contrasts(contrast(panel, designs[0].way), panel).frame.iloc[0]
        columns = ["estimate", "se", "df", "ci_low", "ci_high"]
        assert parts.loc[key, columns].tolist() == pytest.approx(apart[columns].tolist(), rel=1e-9)
    treated = officials[officials["county"].isin(["C0101", "C0102", "C0201"])]
    start = treated["county"].map({"C0101": "2025Q3", "C0102": "2025Q3", "C0201": "2025Q4"})
    inside = treated[(treated["quarter"] >= start) & treated["has_diary"]]
    assert parts.at["group_core", "after"] == pytest.approx(
        np.average(inside["group_core"], weights=inside["weight"]), rel=1e-9
    )


def test_a_reform_of_all_at_once_has_no_account_of_its_own(officials, study) -> None:
    units = "units = { C0101 =" + ONE_REFORM.split("units = { C0101 =")[1]
    text = ONE_REFORM.replace(units, 'units = { all = "2025Q3" }\n')
    (study.reference / "reforms.toml").write_text(text, encoding="utf-8")
    study = Study.open(study.root)
    designs, _ = settle_designs(officials, study=study, quarters=QUARTERS)
    with pytest.raises(DesignError, match="all at once"):
        account_of_reform(officials, designs[0], study=study, quarters=QUARTERS)


# -- joint intervals ----------------------------------------------------------------------------------


def test_joint_level_of_independent_parts_is_that_of_sidak_and_of_one_part_its_own() -> None:
    assert joint_level(np.eye(5), 0.95) == pytest.approx(0.95 ** (1 / 5), abs=5e-4)
    assert joint_level(np.ones((5, 5)), 0.95) == pytest.approx(0.95, abs=2e-3)
    assert joint_level(np.eye(5), 0.95, df=4) == 1 - 0.05 / 5
    assert joint_level(np.eye(1), 0.95) == 0.95


def test_joint_intervals_are_wider_but_by_less_than_bonferroni(officials, study) -> None:
    parts = change_of(officials, study).parts("work").set_index("part").drop("whole")
    wider = (parts["joint_high"] - parts["estimate"]) / (parts["ci_high"] - parts["estimate"])
    bonferroni = stats.t.isf(0.025 / 9, parts["df"]) / stats.t.isf(0.025, parts["df"])
    assert (wider > 1.2).all()
    assert (wider < bonferroni).all()


# -- the index ----------------------------------------------------------------------------------------


def test_fieller_holds_the_ratios_that_are_not_refuted() -> None:
    n, d, vn, vd, c, t = 1.2, 2.0, 0.09, 0.04, -0.02, 2.1
    for theta in fieller(n, d, vn, vd, c, t):
        assert (n - theta * d) ** 2 == pytest.approx(t**2 * (vn - 2 * theta * c + theta**2 * vd))
    assert fieller(n, d, vn, 0.0, 0.0, t) == pytest.approx((0.6 - t * 0.15, 0.6 + t * 0.15))
    assert all(math.isnan(bound) for bound in fieller(n, 0.4, vn, vd, c, t))


def test_the_index_counts_what_reappears_in_other_burden() -> None:
    account = made({"group_meeting": (-1.5, 0.1), "group_document": (-0.5, 0.1), "group_form": (0.2, 0.1),
                    "group_inspection": (-0.1, 0.1), "group_digital": (0.9, 0.2), "group_service": (1.0, 0.1)})  # fmt: skip
    found = disguised_burden(account)
    assert (found.cut.estimate, found.reappeared.estimate) == pytest.approx((2.0, 1.0))
    assert found.ratio == pytest.approx(0.5)
    z = stats.norm.ppf(0.975)
    assert (found.low, found.high) == pytest.approx(fieller(1.0, 2.0, 0.06, 0.02, 0.0, z))


def test_meetings_moved_to_the_evening_count_as_moved() -> None:
    changes = {"group_meeting": (-1.0, 0.1), "group_document": (0.0, 0.1), "group_digital": (0.0, 0.1),
               "cut_out_of_hours": (0.5, 0.1)}  # fmt: skip
    found = disguised_burden(made(changes))
    assert (found.cut.estimate, found.reappeared.estimate, found.ratio) == pytest.approx((1.5, 0.5, 1 / 3))
    theta = found.low  # the hours in common make cut and reappeared move together
    assert (0.5 - theta * 1.5) ** 2 == pytest.approx(
        stats.norm.ppf(0.975) ** 2 * (0.02 - 2 * theta * 0.01 + theta**2 * 0.03)
    )
    other = disguised_burden(made(changes, cut=("meeting",)))
    assert other.cut.estimate == pytest.approx(1.0)


@pytest.mark.parametrize("cut", [(-0.1, 0.1), (2.0, 0.1), (0.0, 0.1)])
def test_without_a_cut_there_is_no_index(cut) -> None:
    account = made({"group_meeting": cut, "group_digital": (2.0, 0.1)}, cut=("meeting",))
    found = disguised_burden(account)
    assert all(math.isnan(number) for number in (found.ratio, found.low, found.high))
    row = account_table(account).set_index("category").loc["made.disguised"]
    assert row["outcome"] == "undefined"


def test_the_index_needs_both_sides() -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        disguised_burden(made({"group_meeting": (-1.0, 0.1)}))


# -- findings -----------------------------------------------------------------------------------------

DOWN = {"yes": -2.0, "no": 0.0, "cannot_tell": -0.3}  # with a standard error of 0.2, hours 0.5 matter
SE = 0.2


@pytest.mark.parametrize(("down", "up"), list(itertools.product(DOWN, DOWN)))
def test_offline_to_online_needs_both_sides_told(down, up) -> None:
    account = made({"group_meeting": (DOWN[down], SE), "group_document": (0.0, 0.0), "group_digital": (-DOWN[up], SE)})
    [found, *_] = findings(account)
    assert (found.key, found.parts) == ("offline_to_online", {"down": down, "up": up})
    expected = "no" if "no" in (down, up) else "yes" if (down, up) == ("yes", "yes") else "cannot_tell"
    assert found.answer == expected


def test_a_rise_too_small_to_matter_is_no_displacement_though_it_is_told() -> None:
    account = made({"group_meeting": (-3.0, 0.1), "group_document": (0.0, 0.0), "group_digital": (0.3, 0.05)})
    assert findings(account)[0].answer == "no"


def test_media_decide_where_they_are_measured() -> None:
    media = {"gross_on_paper": (-1.0, SE), "gross_on_meeting_room": (-1.0, SE), "gross_on_video": (0.0, SE),
             "gross_on_app": (1.0, SE), "gross_on_chat": (1.0, SE), "document_on_paper": (-1.0, SE),
             "form_on_paper": (-1.0, SE), "form_on_app": (1.0, SE), "form_on_chat": (0.0, SE)}  # fmt: skip
    by_group = {"group_meeting": (0.0, SE), "group_document": (0.0, SE), "group_digital": (0.6, SE)}
    found = {each.key: each for each in findings(made(media | by_group))}
    assert {key: each.answer for key, each in found.items()} == {"offline_to_online": "yes", "pen_to_fingertip": "yes"}
    assert found["pen_to_fingertip"].numbers["up"].estimate == pytest.approx(1.6)
    assert [each.key for each in findings(made(by_group))] == ["offline_to_online"]


SQUEEZED = {"group_meeting": (-0.4, SE), "activity_i1": (1.0, SE), "coping": (0.4, 0.05)}


@pytest.mark.parametrize(
    ("changed", "answer", "parts"),
    [
        ({}, "yes", ("yes", "yes", "yes")),
        ({"group_meeting": (-3.0, SE)}, "no", ("no", "yes", "yes")),
        ({"group_meeting": (-1.5, SE)}, "cannot_tell", ("cannot_tell", "yes", "yes")),
        ({"activity_i1": (0.0, SE)}, "no", ("yes", "no", "yes")),
        ({"activity_i1": (0.3, SE)}, "cannot_tell", ("yes", "cannot_tell", "yes")),
        ({"coping": (0.05, 0.05)}, "no", ("yes", "yes", "no")),
        ({"coping": (0.2, 0.15)}, "cannot_tell", ("yes", "yes", "cannot_tell")),
    ],
)
def test_toothpaste_needs_a_small_cut_more_coping_work_and_officials_who_say_so(changed, answer, parts) -> None:
    found = toothpaste(made(SQUEEZED | changed))
    assert found.answer == answer
    assert tuple(found.parts.values()) == parts


def test_toothpaste_is_never_named_without_the_item() -> None:
    found = toothpaste(made({key: SQUEEZED[key] for key in ("group_meeting", "activity_i1")}))
    assert (found.answer, found.parts["coping_items"]) == ("cannot_tell", "not_asked")


# -- tables -------------------------------------------------------------------------------------------


def test_the_table_holds_parts_index_and_findings(officials, study) -> None:
    account = change_of(officials, study)
    table = account_table(account).set_index("category")
    assert table.at["since.work.group_meeting", "estimate"] == account.total(["group_meeting"]).estimate
    assert table.at["since.day.whole.after", "estimate"] == 168.0
    parts = account.parts("work").set_index("part")
    joint = table.loc["since.work.group_form.joint"]
    assert [joint["ci_low"], joint["ci_high"]] == parts.loc["group_form", ["joint_low", "joint_high"]].tolist()
    assert table.loc["since.beside.parallel_digital", "by"] == "account"
    assert set(table.loc[table["by"] == "moved", "outcome"]) <= {
        "",
        "yes",
        "no",
        "cannot_tell",
        "not_asked",
        "undefined",
    }
    assert table.at["since.toothpaste.coping_items", "outcome"] == "not_asked"
    assert set(table.loc[table["by"] == "account", "unit"]) == {"hours_week"}


def test_hours_before_and_after_have_the_errors_of_means(officials, study) -> None:
    table = account_table(change_of(officials, study)).set_index("category")
    for side, quarters in (("before", QUARTERS[:2]), ("after", QUARTERS[4:])):
        apart = estimate(
            officials, ["group_form"], study=study, periods={"x": quarters}, regions=["all"]
        ).iloc[0]  # fmt: skip
        columns = ["estimate", "se", "ci_low", "ci_high"]
        found = table.loc[f"since.work.group_form.{side}", columns].tolist()
        assert found == pytest.approx(apart[columns].tolist(), rel=1e-9)


def test_accounts_pass_the_disclosure_rules(officials, study) -> None:
    designs, _ = settle_designs(officials, study=study, quarters=QUARTERS)
    accounts = [change_of(officials, study), account_of_reform(officials, designs[0], study=study, quarters=QUARTERS)]
    for account in accounts:
        shown = protect(account_table(account), "displacement", study=study).table.set_index("category")
        for which in ("", ".joint", ".before", ".after"):
            assert np.isfinite(shown.at[f"{account.label}.work.group_form{which}", "value"])
        assert shown.at[f"{account.label}.offline_to_online", "outcome"] in ("yes", "no", "cannot_tell")


def test_media_divide_burden_and_what_diaries_do_not_say_is_the_rest(officials, study) -> None:
    nobody = {"gross_on_unsaid": 0.0}
    with_media = officials.assign(
        gross_on_paper=0.5 * officials["gross"], gross_on_app=0.3 * officials["gross"], **nobody
    )
    account = change_of(with_media, study)
    parts = account.parts("medium").set_index("part")
    assert set(parts.index) == {"gross_on_paper", "gross_on_app", "group_service", "group_core", "group_training",
                                "rest", "whole"}  # fmt: skip
    assert parts.drop("whole")["estimate"].sum() == pytest.approx(parts.at["whole", "estimate"], abs=1e-9)
    assert parts.at["rest", "estimate"] == pytest.approx(0.4 * parts.at["gross_on_paper", "estimate"])
    with_media.loc[with_media["respondent_id"].str.endswith("1"), ["gross_on_paper", "gross_on_app"]] = np.nan
    some = change_of(with_media, study)  # a diary that asked for no medium: parts of other people
    assert set(some.partitions) == {"work", "day"}
