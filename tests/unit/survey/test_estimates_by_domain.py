from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.errors import DesignError, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import difference, estimate, estimate_change, mean, share
from analysis_lib.tables.contracts import check

QUARTERS = ["2025Q4", "2026Q1"]
DESIGN = SurveyDesign(stratum="stratum", psu="psu")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, study_toml=STUDY_TOML + 'categories = ["tier"]\n')


def officials() -> pd.DataFrame:
    """Two quarters of a panel: 4 counties (the strata) of 3 townships (the PSUs) of 4 people, half with a diary."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        [
            {"respondent_id": f"{county}-{unit}-{person}", "region": county, "psu": f"{county}-{unit}"}
            for county in ("C0101", "C0102", "C0201", "C0202")
            for unit in range(3)
            for person in range(4)
        ]
    )
    habit = rng.gamma(4, 5, len(frame))
    quarters = []
    for step, quarter in enumerate(QUARTERS):
        gross = habit + 2 * step + rng.normal(0, 1, len(frame))
        has_diary = np.tile([True, False], len(frame) // 2)
        quarters.append(
            frame.assign(
                quarter=quarter, stratum=frame["region"], county=frame["region"], province="P" + frame["region"].str[1:3],
                tier=np.tile(["county", "township", "village", "village"], len(frame) // 4),
                weight=rng.uniform(5, 10, len(frame)), has_diary=has_diary,
                gross=np.where(has_diary, gross, np.nan), work_time=np.where(has_diary, 2 * gross, np.nan),
                recall_gross=gross,
            ).assign(diary_weight=lambda rows: rows["weight"].where(rows["has_diary"]) * 2)
        )  # fmt: skip
    return pd.concat(quarters, ignore_index=True)


def one(frame: pd.DataFrame, **asked: str) -> pd.Series:
    found = frame[np.logical_and.reduce([frame[column] == value for column, value in asked.items()])]
    assert len(found) == 1
    return found.iloc[0]


def test_there_is_a_row_for_every_measure_region_category_and_period_in_the_order_asked(study: Study) -> None:
    found = estimate(
        officials(), ["recall_gross", "gross"], study=study, regions=["all", "P02", "C0101"], by=["", "tier"],
        periods={quarter: [quarter] for quarter in reversed(QUARTERS)},
    )  # fmt: skip
    assert len(found) == 2 * 3 * (1 + 3) * 2
    assert found["measure"].unique().tolist() == ["recall_gross", "gross"]
    assert found["region"].unique().tolist() == ["all", "P02", "C0101"]
    assert found["period"].unique().tolist() == list(reversed(QUARTERS))
    assert set(zip(found["by"], found["category"], strict=True)) == {
        ("", ""), ("tier", "county"), ("tier", "township"), ("tier", "village"),
    }  # fmt: skip


def test_an_estimate_of_the_suite_is_the_plain_function_on_the_same_domain(study: Study) -> None:
    rows = officials().query("quarter == '2026Q1'")
    found = estimate(
        rows, ["gross"], study=study, regions=["P01"], by=["tier"], periods={"2026Q1": ["2026Q1"]}
    )  # fmt: skip
    expected = mean(
        rows, "gross", by="tier", where=rows["province"] == "P01",
        design=SurveyDesign(stratum="stratum", psu="psu", weight="diary_weight"),
    )  # fmt: skip
    numbers = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]
    pd.testing.assert_frame_equal(found[["category", *numbers]], expected[["category", *numbers]])


def test_a_domain_is_a_part_of_the_design_and_not_a_smaller_sample(study: Study) -> None:
    """Filtering first forgets the PSUs without the domain: the standard error comes out wrong, the mean does not."""
    rows = officials().query("quarter == '2026Q1'")
    thin = rows[(rows["psu"] != "C0101-0") | (rows["tier"] == "county")]
    is_village = thin["tier"] == "village"
    as_domain = mean(thin, "recall_gross", where=is_village, design=DESIGN).iloc[0]
    filtered = mean(thin[is_village], "recall_gross", design=DESIGN).iloc[0]
    assert as_domain["estimate"] == pytest.approx(filtered["estimate"])
    assert as_domain["se"] != pytest.approx(filtered["se"], rel=1e-3)
    assert as_domain["df"] == filtered["df"] == 11 - 4


def test_the_diary_s_weight_goes_with_the_diary_s_measures(study: Study) -> None:
    rows = officials()
    rows.loc[rows["has_diary"], "diary_weight"] = np.arange(1, rows["has_diary"].sum() + 1)
    found = estimate(rows, ["gross", "recall_gross"], study=study, regions=["all"], periods={"both": QUARTERS})
    diarists = rows[rows["has_diary"]]
    assert found["estimate"].tolist() == pytest.approx(
        [
            np.average(diarists["gross"], weights=diarists["diary_weight"]),
            np.average(rows["recall_gross"], weights=rows["weight"]),
        ]
    )
    assert found["n"].tolist() == [48, 96]
    assert found["n_psu"].tolist() == [12, 12]


def test_a_ratio_is_of_totals_a_participation_a_share_and_full_time_equivalents_a_total(study: Study) -> None:
    with (study.reference / "measures.toml").open("a", encoding="utf-8") as file:
        file.write('[takes_part]\nkind = "participation"\ntitle_zh = "参与"\ntitle_en = "Take part"\nof = "gross"\n')
    rows = officials().assign(gross=lambda frame: frame["gross"].mask(frame["tier"] == "county", 0.0))
    found = estimate(
        rows, ["gross_share", "takes_part", "gross_fte"], study=study, regions=["all"], periods={"year": QUARTERS}
    )
    used = rows[rows["has_diary"]]
    weighted = used[["gross", "work_time"]].mul(used["diary_weight"], axis=0).sum()
    assert found["statistic"].tolist() == ["ratio", "share", "total"]
    assert found["unit"].tolist() == ["share", "share", "fte"]
    assert found["estimate"].tolist() == pytest.approx(
        [
            weighted["gross"] / weighted["work_time"],
            np.average(used["gross"] > 0, weights=used["diary_weight"]),
            weighted["gross"] / 40 / 2,  # the average of two quarters
        ]
    )


def test_full_time_equivalents_of_hours_per_day_count_seven_days(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    (study.reference / "measures.toml").write_text(
        '[gross]\ntitle_zh = "耗时"\ntitle_en = "Gross"\nunit = "hours_day"\ngroups = ["meeting"]\n'
        '[fte]\nkind = "full_time_equivalents"\ntitle_zh = "人数"\ntitle_en = "Persons"\nof = "gross"\n',
        encoding="utf-8",
    )
    rows = officials().query("quarter == '2026Q1'")
    found = estimate(rows, ["fte"], study=study, regions=["all"], periods={"2026Q1": ["2026Q1"]})
    assert found.at[0, "estimate"] == pytest.approx((rows["gross"] * 7 / 40 * rows["diary_weight"]).sum())


def test_universe_and_participants_are_the_domain(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    (study.reference / "measures.toml").write_text(
        '[gross]\ntitle_zh = "耗时"\ntitle_en = "Gross"\ngroups = ["meeting"]\n'
        'universe = { tier = ["village"] }\namong = "participants"\n',
        encoding="utf-8",
    )
    rows = officials().assign(gross=lambda frame: frame["gross"].mask(frame.index % 8 == 2, 0.0))
    found = estimate(rows, ["gross"], study=study, regions=["all"], periods={"both": QUARTERS}).iloc[0]
    described = rows[(rows["tier"] == "village") & (rows["gross"] > 0)]
    assert found["estimate"] == pytest.approx(np.average(described["gross"], weights=described["diary_weight"]))
    assert found["n"] == len(described)


def test_a_domain_of_nobody_has_a_row_without_an_estimate(study: Study) -> None:
    rows = officials().query("province == 'P01'")
    found = estimate(rows, ["gross"], study=study, regions=["P02"], periods={"2026Q1": ["2026Q1"]}).iloc[0]
    assert (found["n"], found["n_psu"]) == (0, 0)
    assert found[["estimate", "se", "ci_low", "ci_high", "deff"]].isna().all()


def test_a_period_without_data_has_rows_without_an_estimate(study: Study) -> None:
    found = estimate(officials(), ["gross", "gross_fte"], study=study, regions=["all"], periods={"2025Q1": ["2025Q1"]})
    assert found["n"].tolist() == [0, 0]
    assert found["estimate"].isna().all()


@pytest.mark.parametrize("nothing", ["keys", "regions", "by"])
def test_nothing_asked_for_gives_a_table_without_rows(study: Study, nothing: str) -> None:
    """A study may have no categories, no regions, or too many activity codes for a measure of each."""
    asked = {"keys": ["gross"], "regions": ["all"], "by": ["tier"]} | {nothing: []}
    found = estimate(officials(), **asked, study=study, periods={"2026Q1": ["2026Q1"]})
    assert check(found, "estimates").empty


def test_a_domain_within_one_psu_has_no_standard_error(study: Study) -> None:
    """Its scores add up to zero within the PSU: R would print a standard error of zero."""
    rows = officials().assign(tier=lambda frame: np.where(frame["psu"] == "C0101-0", "only here", "elsewhere"))
    found = estimate(rows, ["recall_gross"], study=study, regions=["all"], by=["tier"], periods={"2026Q1": ["2026Q1"]})
    here = one(found, category="only here")
    assert (here["n_psu"], here["df"]) == (1, 0)
    assert here[["se", "ci_low", "ci_high"]].isna().all()
    assert not np.isnan(here["estimate"])


def test_people_without_a_category_are_in_none(study: Study) -> None:
    rows = officials().assign(tier=lambda frame: frame["tier"].where(frame["tier"] == "village", ""))
    found = estimate(rows, ["gross"], study=study, regions=["all"], by=["tier"], periods={"both": QUARTERS})
    assert found["category"].tolist() == ["village"]


def test_a_stratum_with_a_single_psu_stops_every_estimate(study: Study) -> None:
    rows = officials()
    with pytest.raises(DesignError, match="stratum C0202"):
        estimate(
            rows[(rows["county"] != "C0202") | (rows["psu"] == "C0202-1")], ["gross"], study=study, regions=["P01"],
            periods={"both": QUARTERS},
        )  # fmt: skip


def test_unknown_names_are_refused_with_a_suggestion(study: Study) -> None:
    asked: dict = {"study": study, "regions": ["all"], "periods": {"both": QUARTERS}}
    with pytest.raises(UsageError, match='did you mean "gross"'):
        estimate(officials(), ["grosss"], **asked)
    with pytest.raises(UsageError, match='did you mean "tier"'):
        estimate(officials(), ["gross"], by=["teir"], **asked)
    with pytest.raises(UsageError, match="is not a region"):
        estimate(officials(), ["gross"], **(asked | {"regions": ["P99"]}))


def test_a_change_is_the_later_estimate_less_the_earlier_one(study: Study) -> None:
    keys, regions = ["gross", "recall_gross", "gross_share", "gross_fte"], ["all", "P01", "C0202"]
    rows = officials()
    found = estimate_change(
        rows,
        keys,
        study=study,
        earlier=QUARTERS[:1],
        later=QUARTERS[1:],
        label="change",
        regions=regions,
        by=["", "tier"],
    )
    levels = estimate(
        rows, keys, study=study, periods={quarter: [quarter] for quarter in QUARTERS}, regions=regions, by=["", "tier"]
    )
    key = ["measure", "region", "by", "category"]
    by_quarter = levels.pivot(index=key, columns="period", values="estimate")
    changes = found.set_index(key)["estimate"].reindex(by_quarter.index)
    np.testing.assert_allclose(changes, by_quarter["2026Q1"] - by_quarter["2025Q4"])
    assert set(found["period"]) == {"change"}


def test_a_change_in_a_panel_is_known_better_than_that_of_two_samples(study: Study) -> None:
    """Habits last: the same PSUs in both quarters take most of the variance out of the difference."""
    rows = officials()
    change = estimate_change(
        rows, ["recall_gross"], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="change", regions=["all"]
    ).iloc[0]
    levels = estimate(
        rows, ["recall_gross"], study=study, periods={quarter: [quarter] for quarter in QUARTERS}, regions=["all"]
    )
    assert change["se"] < 0.5 * np.hypot(*levels["se"])
    assert change["ci_low"] < 2 < change["ci_high"]
    apart = rows.assign(psu=rows["psu"] + rows["quarter"], stratum=rows["stratum"] + rows["quarter"])
    unrelated = estimate_change(
        apart, ["recall_gross"], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="change", regions=["all"]
    ).iloc[0]
    assert unrelated["se"] == pytest.approx(np.hypot(*levels["se"]))


def test_a_change_counts_the_respondents_of_its_smaller_period(study: Study) -> None:
    rows = officials()
    rows = rows.drop(rows.index[(rows["quarter"] == "2025Q4") & (rows.index % 4 == 0)])
    change = estimate_change(
        rows, ["recall_gross"], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="change", regions=["all"]
    ).iloc[0]
    assert (change["n"], change["n_psu"]) == (36, 12)


def test_the_first_quarter_of_a_series_has_no_change(study: Study) -> None:
    found = estimate_change(
        officials(), ["gross"], study=study, earlier=[], later=["2026Q1"], label="2026Q1→2026Q1", regions=["all"]
    )
    assert check(found, "estimates").empty


def test_periods_that_overlap_are_refused(study: Study) -> None:
    with pytest.raises(UsageError, match="in both periods"):
        estimate_change(
            officials(), ["gross"], study=study, earlier=QUARTERS, later=QUARTERS[1:], label="c", regions=["all"]
        )


def test_the_difference_of_two_groups_of_one_sample_takes_their_covariance() -> None:
    rows = officials().query("quarter == '2026Q1'")
    is_village = rows["tier"] == "village"
    found = difference(rows, "recall_gross", design=DESIGN, earlier=~is_village, later=is_village).iloc[0]
    means = mean(rows.assign(village=is_village), "recall_gross", design=DESIGN, by="village")
    assert found["estimate"] == pytest.approx(means.at[1, "estimate"] - means.at[0, "estimate"])
    assert found["se"] != pytest.approx(np.hypot(*means["se"]), rel=1e-3)


def test_the_difference_of_ratios_is_about_ratios() -> None:
    rows = officials().query("quarter == '2026Q1' and has_diary")
    is_village = rows["tier"] == "village"
    found = difference(
        rows, "gross", denominator="work_time", design=DESIGN, earlier=~is_village, later=is_village
    ).iloc[0]
    assert found["estimate"] == pytest.approx(0, abs=1e-12)
    with pytest.raises(UsageError, match="in both domains"):
        difference(rows, "gross", design=DESIGN, earlier=is_village, later=is_village)


@pytest.mark.parametrize(("answer", "low", "high"), [(1.0, 0.025 ** (1 / 48), 1.0), (0.0, 0.0, 1 - 0.025 ** (1 / 48))])
def test_a_share_of_all_or_nobody_has_the_exact_binomial_interval(answer: float, low: float, high: float) -> None:
    rows = officials().query("quarter == '2026Q1'").assign(weight=1.0, answer=answer)
    found = share(rows, "answer", design=DESIGN).iloc[0]
    assert (found["ci_low"], found["ci_high"]) == (pytest.approx(low), pytest.approx(high))


def test_a_share_s_interval_stays_within_zero_and_one() -> None:
    rows = officials().query("quarter == '2026Q1'").assign(answer=lambda frame: frame["respondent_id"] == "C0101-0-0")
    found = share(rows, "answer", design=DESIGN).iloc[0]
    assert 0 < found["ci_low"] < found["estimate"] < found["ci_high"] < 1


def test_no_measures_asked_gives_an_empty_table(study: Study) -> None:
    """A classification of hundreds of codes has no measure per activity: its table is empty, not an error."""
    assert estimate(officials(), [], study=study, regions=["all"], periods={"both": QUARTERS}).empty
