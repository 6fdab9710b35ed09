import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.decomposition import decompose_change, decompose_groups
from analysis_lib.survey.driver_plan import read_drivers
from analysis_lib.survey.drivers import what_drives
from analysis_lib.survey.estimation import estimate_change

DRIVERS = """
outcomes = ["recall_gross", "gross"]
form = "identity"
[terms.meetings]
column = "meetings_attended"
name_zh = "会议"
name_en = "Meetings"
title_zh = "每周多一场会"
title_en = "One more meeting a week"
[terms.documents]
column = "documents_received"
step = 10
name_zh = "文件"
name_en = "Documents"
title_zh = "每月多十份文件"
title_en = "Ten more documents a month"
[terms.tier]
column = "tier"
reference = "township"
"""
QUARTERS = ["2026Q1", "2026Q2"]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return with_drivers(tmp_path, DRIVERS)


def with_drivers(folder: Path, text: str) -> Study:
    study = write_study(folder / "study", study_toml=STUDY_TOML + 'categories = ["tier"]\n')
    (study.reference / "drivers.toml").write_text(text, encoding="utf-8")
    return study


def officials(*, noise: float = 0.0) -> pd.DataFrame:
    """Two quarters, 4 strata of 5 PSUs of 12 people: a meeting takes 1.5 hours, a document 0.1, villages 2 more."""
    rng = np.random.default_rng(3)
    frames = []
    for step, quarter in enumerate(QUARTERS):
        n = 4 * 5 * 12
        place = np.arange(n)
        county = np.array(["C0101", "C0102", "C0201", "C0202"])[place // 60]
        meetings, documents = rng.poisson(3 + step, n), rng.poisson(30, n)
        tier = rng.choice(["county", "township", "village"], n)
        hours = 4 + 1.5 * meetings + 0.1 * documents + 2 * (tier == "village") + noise * rng.gamma(1, 1, n)
        has_diary = place % 2 == 0
        frames.append(
            pd.DataFrame(
                {
                    "respondent_id": [f"p{number}" for number in place], "quarter": quarter, "region": county,
                    "county": county, "province": ["P" + code[1:3] for code in county], "stratum": county,
                    "psu": [f"{code}-{number // 12}" for code, number in zip(county, place, strict=True)],
                    "tier": tier, "weight": rng.uniform(2, 9, n), "has_diary": has_diary,
                    "meetings_attended": meetings.astype(float), "documents_received": documents.astype(float),
                    "recall_gross": hours, "gross": np.where(has_diary, 2 * hours, np.nan),
                }
            ).assign(diary_weight=lambda rows: rows["weight"].where(rows["has_diary"]))
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def drives(frame: pd.DataFrame, study: Study, quarters: list[str] | None = None):
    return what_drives(frame, study=study, period="the period", quarters=quarters or QUARTERS)


def effect(found, outcome: str, category: str) -> pd.Series:
    rows = found.effects[(found.effects["measure"] == outcome) & (found.effects["category"] == category)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_hours_that_add_up_give_back_the_hours_of_each_step_for_both_outcomes(study: Study) -> None:
    found = drives(officials(noise=0.01), study)
    for outcome, factor in (("recall_gross", 1), ("gross", 2)):
        assert effect(found, outcome, "meetings")["estimate"] == pytest.approx(1.5 * factor, rel=2e-3)
        assert effect(found, outcome, "documents")["estimate"] == pytest.approx(1.0 * factor, rel=2e-3)
        assert effect(found, outcome, "tier.village")["estimate"] == pytest.approx(2.0 * factor, rel=2e-3)
        assert effect(found, outcome, "tier.county")["estimate"] == pytest.approx(0.0, abs=1e-2)
    assert set(found.effects["statistic"]) == {"effect"}
    assert list(found.fit.loc[found.fit["is_shown"], "form"]) == ["identity", "identity"]
    assert found.effects["df"].eq(20 - 4).all()


def test_a_category_counts_the_members_of_its_smaller_side_and_a_number_those_off_its_commonest_value(
    study: Study,
) -> None:
    frame = officials(noise=1)
    frame["meetings_attended"] = 0.0
    frame.loc[[1, 30, 70], "meetings_attended"] = 1.0
    found = drives(frame, study)
    assert effect(found, "recall_gross", "meetings")["n"] == 3
    sizes = frame["tier"].value_counts()
    assert effect(found, "recall_gross", "tier.county")["n"] == min(sizes["county"], sizes["township"])


def test_what_rests_on_a_handful_is_withheld_and_an_effect_about_zero_is_not_taken_for_unreliable(
    study: Study,
) -> None:
    frame = officials(noise=5)
    frame.loc[frame["tier"] == "county", "tier"] = "township"
    frame.loc[frame.index[:5], "tier"] = "county"
    table = protect(drives(frame, study).effects, "drivers", study=study).table.set_index(["measure", "category"])
    assert table.loc[("recall_gross", "tier.county"), "mark"] == "c"
    rest = frame.assign(meetings_attended=np.random.default_rng(1).poisson(3, len(frame)).astype(float))
    rest["tier"] = np.where(np.arange(len(rest)) % 2, "village", "township")
    table = protect(drives(rest, study).effects, "drivers", study=study).table.set_index(["measure", "category"])
    assert table.loc[("recall_gross", "meetings"), "mark"] == ""


def test_a_model_with_too_few_people_to_spare_shows_nothing(study: Study) -> None:
    frame = officials(noise=1)
    frame.loc[frame.index[14:], "meetings_attended"] = np.nan
    found = drives(frame, study)
    assert found.effects.empty
    assert not found.fit["is_shown"].any()


def test_nothing_passes_the_gate_that_does_not_say_how_many_it_has_to_spare(study: Study) -> None:
    effects = drives(officials(noise=1), study).effects
    assert not protect(effects, "drivers", study=study).withheld
    assert protect(effects.drop(columns="residual_df"), "drivers", study=study).withheld == len(effects)
    assert protect(effects.assign(residual_df=9), "drivers", study=study).withheld == len(effects)


def test_people_who_left_a_term_unanswered_are_stood_for_by_their_stratum(study: Study) -> None:
    frame = officials(noise=1)
    frame.loc[frame["region"].eq("C0101") & (frame.index % 3 == 0), "documents_received"] = np.nan
    found = drives(frame, study)
    fit = found.fit[found.fit["is_shown"]].set_index("outcome").loc["recall_gross"]
    assert fit["n"] == 480
    assert fit["n_complete"] == 440
    whole = found.calibration.query("outcome == 'recall_gross' and by == 'province'").set_index("category")
    assert whole["n"].to_dict() == {"P01": 200, "P02": 240}
    assert fit["weight_complete"] == pytest.approx(
        frame.loc[frame["documents_received"].notna(), "weight"].sum() / frame["weight"].sum()
    )


def test_bins_of_the_fitted_mean_hold_enough_people(study: Study) -> None:
    found = drives(officials(noise=1), study)
    assert (found.calibration["n"] >= study.config.disclosure.min_respondents).all()
    assert found.calibration.query("by == 'fitted'").groupby("outcome").size().eq(10).all()


def test_with_both_forms_beside_each_other_the_link_test_prefers_the_one_that_made_the_data(study: Study) -> None:
    fit = drives(officials(noise=3), study).fit.query("outcome == 'recall_gross'").set_index("form")
    assert fit.loc["identity", "link_p"] > 0.05
    assert fit.loc["identity", "deviance_explained"] > 0.3


def test_the_work_unit_that_matters_most_is_left_out_and_the_model_fitted_again(study: Study) -> None:
    frame = officials(noise=1)
    odd = frame["psu"] == "C0102-7"
    frame.loc[odd, "recall_gross"] += 3 * frame.loc[odd, "meetings_attended"]
    change = drives(frame, study).influence.set_index(["outcome", "category"]).loc[("recall_gross", "meetings")]
    without = drives(frame[~odd].reset_index(drop=True), study)
    before = effect(drives(frame, study), "recall_gross", "meetings")["estimate"]
    # Leaving the unit out of the frame also raises nobody's weight: everyone is complete.
    assert change["change"] == pytest.approx(effect(without, "recall_gross", "meetings")["estimate"] - before, rel=1e-6)
    assert change["in_se"] > 0.9


def test_a_region_is_a_subpopulation_of_the_design(study: Study) -> None:
    found = what_drives(officials(noise=1), study=study, period="q", quarters=QUARTERS, region="P01")
    assert found.effects["region"].eq("P01").all()
    assert found.effects["df"].eq(10 - 2).all()


def test_a_study_without_drivers_has_none(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    assert read_drivers(study) is None
    assert drives(officials(), study).effects.empty
    parts = decompose_change(officials(), study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
    assert parts.empty
    assert not protect(parts, "parts", study=study).table.size


@pytest.mark.parametrize(
    ("wrong", "right", "error", "says"),
    [
        ("meetings_attended", "meetings_atended", UsageError, "no column"),
        ('reference = "township"', 'reference = "townshp"', UsageError, "reference category"),
        ('"recall_gross", ', '"recal_gross", ', UsageError, "not a measure"),
        ('column = "documents_received"', 'column = "recall_gross"', InputRejected, "itself an outcome"),
        ("step = 10", "stepp = 10", UsageError, "unknown key"),
        ('title_en = "Ten more documents a month"', "", UsageError, "title_en"),
        ("[terms.tier]", "[terms.rest]", UsageError, "cannot name a term"),
    ],
)
def test_a_mistake_in_the_plan_is_named(tmp_path: Path, wrong: str, right: str, error: type, says: str) -> None:
    study = with_drivers(tmp_path, DRIVERS.replace(wrong, right))
    with pytest.raises(error, match=says):
        drives(officials(noise=1), study)


# -- decomposition ------------------------------------------------------------------------------------


def part(parts: pd.DataFrame, by: str, category: str = "", outcome: str = "recall_gross") -> float:
    rows = parts[(parts["measure"] == outcome) & (parts["by"] == by) & (parts["category"] == category)]
    assert len(rows) == 1
    return float(rows["estimate"].iloc[0])


def test_more_meetings_of_the_same_length_are_composition(study: Study) -> None:
    frame = officials(noise=1e-6)
    parts = decompose_change(frame, study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
    attended = np.average(frame["meetings_attended"].to_numpy()[240:], weights=frame["weight"][240:]) - np.average(
        frame["meetings_attended"].to_numpy()[:240], weights=frame["weight"][:240]
    )
    assert part(parts, "composition", "meetings") == pytest.approx(1.5 * attended, rel=1e-3)
    assert part(parts, "rate") == pytest.approx(0, abs=1e-3)


def test_longer_meetings_are_rate(study: Study) -> None:
    frame = officials(noise=1e-6)
    later = frame["quarter"] == QUARTERS[1]
    frame["recall_gross"] += 0.5 * frame["meetings_attended"] * later
    parts = decompose_change(frame, study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
    assert part(parts, "rate", "meetings") == pytest.approx(0.5 * 3.5, abs=0.15)
    assert part(parts, "rate", "rest") == pytest.approx(0, abs=1e-3)


def test_parts_add_up_to_the_published_change_with_its_standard_error_even_with_answers_missing(study: Study) -> None:
    frame = officials(noise=4)
    frame.loc[frame.index % 7 == 0, "meetings_attended"] = np.nan
    parts = decompose_change(frame, study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
    published = estimate_change(
        frame, ["recall_gross", "gross"], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b",
        regions=["all"],
    ).set_index("measure")  # fmt: skip
    for outcome in ("recall_gross", "gross"):
        whole = parts[(parts["measure"] == outcome) & (parts["by"] == "")].iloc[0]
        for column in ("estimate", "se", "ci_low", "ci_high"):
            assert whole[column] == pytest.approx(published.loc[outcome, column], rel=1e-9)
        sums = part(parts, "composition", outcome=outcome) + part(parts, "rate", outcome=outcome)
        assert sums + part(parts, "unanswered", outcome=outcome) == pytest.approx(whole["estimate"], rel=1e-9)
        for by in ("composition", "rate"):
            inner = parts[(parts["measure"] == outcome) & (parts["by"] == by) & (parts["category"] != "")]
            assert inner["estimate"].sum() == pytest.approx(part(parts, by, outcome=outcome), rel=1e-9)


def test_no_part_depends_on_which_category_is_the_reference(tmp_path: Path, study: Study) -> None:
    frame = officials(noise=4)
    other = with_drivers(tmp_path / "other", DRIVERS.replace('"township"', '"village"'))
    one, two = (
        decompose_change(frame, study=of, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
        for of in (study, other)
    )
    assert one["estimate"].to_numpy() == pytest.approx(two["estimate"].to_numpy(), rel=1e-8, abs=1e-9)
    assert one["se"].to_numpy() == pytest.approx(two["se"].to_numpy(), rel=1e-7)


def test_two_groups_differ_by_their_circumstances_without_the_term_that_makes_them_groups(study: Study) -> None:
    frame = officials(noise=1e-6)
    parts = decompose_groups(
        frame, study=study, quarters=QUARTERS, column="tier", first="township", second="village", label="q township→village"
    )  # fmt: skip
    assert "tier" not in set(parts["category"])
    assert part(parts, "rate") == pytest.approx(2, abs=1e-3)


def test_a_category_that_a_period_lacks_is_named(study: Study) -> None:
    frame = officials(noise=1)
    frame.loc[(frame["quarter"] == QUARTERS[1]) & (frame["tier"] == "village"), "tier"] = "township"
    parts = decompose_change(frame, study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="a→b")
    assert re.search(r"tier\.village.*the second group", parts.attrs["unfitted"]["recall_gross"])
    shown = protect(parts, "parts", study=study).table
    assert shown[["by", "category", "mark"]].drop_duplicates().to_numpy().tolist() == [
        ["composition", "", "x"],
        ["rate", "", "x"],
    ]


def test_f35_terms_that_cannot_be_told_apart_give_no_number_and_their_reason(tmp_path: Path) -> None:
    study = with_drivers(tmp_path, DRIVERS.replace('"documents_received"', '"meetings_attended"'))
    found = drives(officials(noise=1), study)
    assert found.fit["reason"].str.contains("documents").all()
    assert set(protect(found.effects, "drivers", study=study).table["mark"]) == {"x"}
    assert found.coefficients.empty


def test_f35_a_category_without_an_hour_separates_the_log_model_which_gives_no_number(tmp_path: Path) -> None:
    study = with_drivers(tmp_path, DRIVERS.replace('"identity"', '"log"'))
    frame = officials(noise=1)
    frame.loc[frame["tier"] == "village", "recall_gross"] = 0.0
    found = drives(frame, study)
    fit = found.fit.set_index("outcome")["reason"]
    assert "no solution" in fit["recall_gross"]
    effects = protect(found.effects, "drivers", study=study).table
    assert set(effects.loc[effects["measure"] == "recall_gross", "mark"]) == {"x"}
    assert (effects.loc[effects["measure"] == "gross", "mark"] == "").any()
