from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.errors import DesignError, InputRejected
from analysis_lib.study import Study
from analysis_lib.survey.weighting import adjust_for_nonresponse

CLASSES = '[design]\nnonresponse_classes = ["stratum", "tier"]\n'


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, study_toml=STUDY_TOML + CLASSES)


def drawn(*rows: tuple[str, str, str, float, float | None]) -> pd.DataFrame:
    """Sample list by (person, stratum, tier, base weight, diary base weight or none)."""
    columns = ["respondent_id", "stratum", "tier", "base_weight", "diary_base_weight"]
    frame = pd.DataFrame(rows, columns=columns).assign(quarter="2026Q1", region="C0101")
    return frame.assign(has_diary_task=frame["diary_base_weight"].notna()).astype({"diary_base_weight": float})


def answered(sample: pd.DataFrame, people: str, with_diary: str = "") -> pd.DataFrame:
    """Official-quarters of those who answered, before the adjustment."""
    rows = sample[sample["respondent_id"].isin(list(people))]
    has_diary = rows["respondent_id"].isin(list(with_diary))
    return rows[["respondent_id", "quarter", "region", "stratum"]].assign(
        psu=rows["respondent_id"],
        weight=rows["base_weight"],
        has_diary=has_diary,
        diary_weight=rows["diary_base_weight"].where(has_diary),
    )


SAMPLE = drawn(
    ("A", "north", "village", 2.0, 4.0),
    ("B", "north", "village", 2.0, 4.0),
    ("C", "north", "county", 3.0, None),
    ("D", "south", "village", 5.0, 10.0),
    ("E", "south", "county", 7.0, 14.0),
)


def test_those_who_answered_take_the_weight_of_their_class(study: Study) -> None:
    adjusted = adjust_for_nonresponse(answered(SAMPLE, "ACDE"), SAMPLE, study=study)
    assert adjusted["weight"].tolist() == [4, 3, 5, 7]


def test_a_class_without_an_answer_is_merged_into_its_stratum(study: Study) -> None:
    adjusted = adjust_for_nonresponse(answered(SAMPLE, "ABCE"), SAMPLE, study=study)
    assert adjusted.set_index("respondent_id")["weight"].to_dict() == {"A": 2, "B": 2, "C": 3, "E": 12}


def test_the_diary_is_adjusted_among_those_who_had_the_task(study: Study) -> None:
    adjusted = adjust_for_nonresponse(answered(SAMPLE, "ABCDE", with_diary="AE"), SAMPLE, study=study)
    np.testing.assert_array_equal(adjusted["diary_weight"], [8, np.nan, np.nan, np.nan, 24])
    assert adjusted["weight"].tolist() == SAMPLE["base_weight"].tolist()


def test_every_sum_of_weights_is_kept(study: Study) -> None:
    adjusted = adjust_for_nonresponse(answered(SAMPLE, "BDE", with_diary="BD"), SAMPLE, study=study)
    assert adjusted["weight"].sum() == pytest.approx(SAMPLE["base_weight"].sum())
    assert adjusted["diary_weight"].sum() == pytest.approx(SAMPLE["diary_base_weight"].sum())


def test_quarters_are_adjusted_apart(study: Study) -> None:
    later = SAMPLE.assign(quarter="2026Q2", base_weight=SAMPLE["base_weight"] * 10)
    officials = pd.concat([answered(SAMPLE, "ACDE"), answered(later, "BCDE")])
    adjusted = adjust_for_nonresponse(officials, pd.concat([SAMPLE, later], ignore_index=True), study=study)
    assert adjusted["weight"].tolist() == [4, 3, 5, 7, 40, 30, 50, 70]


def test_a_stratum_without_any_answer_is_refused_by_name(study: Study) -> None:
    with pytest.raises(DesignError, match="nobody answered the questionnaire in 2026Q1 south"):
        adjust_for_nonresponse(answered(SAMPLE, "ABC"), SAMPLE, study=study)
    with pytest.raises(DesignError, match="nobody answered the diary in 2026Q1 north"):
        adjust_for_nonresponse(answered(SAMPLE, "ABCDE", with_diary="DE"), SAMPLE, study=study)


def test_a_sample_without_a_diary_task_leaves_no_diary_weight(study: Study) -> None:
    sample = SAMPLE.assign(has_diary_task=False, diary_base_weight=np.nan)
    adjusted = adjust_for_nonresponse(answered(sample, "ACDE"), sample, study=study)
    assert adjusted["diary_weight"].isna().all()


def test_a_study_without_a_sample_list_keeps_its_weights(study: Study) -> None:
    officials = answered(SAMPLE, "AB")
    pd.testing.assert_frame_equal(adjust_for_nonresponse(officials, SAMPLE.iloc[:0], study=study), officials)


def test_classes_that_the_sample_list_does_not_have_are_refused(study: Study) -> None:
    with pytest.raises(InputRejected, match="'tier' is not in the sample list"):
        adjust_for_nonresponse(answered(SAMPLE, "ACDE"), SAMPLE.drop(columns="tier"), study=study)


def test_without_classes_everybody_of_the_quarter_stands_in(tmp_path: Path) -> None:
    study = write_study(tmp_path, study_toml=STUDY_TOML + "[design]\nnonresponse_classes = []\n")
    adjusted = adjust_for_nonresponse(answered(SAMPLE, "A"), SAMPLE, study=study)
    assert adjusted["weight"].tolist() == [19]


def in_counties(*counties: str, each: int = 12) -> pd.DataFrame:
    """Officials in counties, each a stratum of its own; everyone stands for one."""
    rows = [(f"{county}-{i}", county, "village", 1.0, 1.0) for county in counties for i in range(each)]
    return drawn(*rows).assign(region=[row[1] for row in rows])


def weights(study: Study, sample: pd.DataFrame, *silent: str) -> dict[str, float]:
    """Sums of adjusted diary weights by county, nobody in the silent ones having kept a diary."""
    rows = sample.assign(has_diary=~sample["region"].isin(silent))
    officials = rows[["respondent_id", "quarter", "region", "stratum", "has_diary"]].assign(
        psu=rows["respondent_id"], weight=rows["base_weight"], diary_weight=rows["diary_base_weight"]
    )
    adjusted = adjust_for_nonresponse(officials, sample, study=study)
    return adjusted.groupby("region")["diary_weight"].sum().round(9).to_dict()


def test_f33_a_silent_county_is_stood_for_by_the_others_of_its_province(study: Study) -> None:
    sample = in_counties("C0101", "C0102", "C0201", "C0202")
    assert weights(study, sample, "C0102") == {"C0101": 24, "C0102": 0, "C0201": 12, "C0202": 12}


def test_f33_a_silent_province_is_stood_for_by_the_nation_and_the_whole_is_kept(study: Study) -> None:
    sample = in_counties("C0101", "C0102", "C0201", "C0202")
    assert weights(study, sample, "C0101", "C0102") == {"C0101": 0, "C0102": 0, "C0201": 24, "C0202": 24}


def test_f33_a_handful_does_not_stand_for_a_province(study: Study) -> None:
    few, many = in_counties("C0101", "C0102", each=8), in_counties("C0201")
    sample = pd.concat([few, many], ignore_index=True)
    assert weights(study, sample, "C0102") == {"C0101": 11.2, "C0102": 0, "C0201": 16.8}
