from pathlib import Path

import pytest
from sample_study import write_study

from analysis_lib.errors import InputRejected
from analysis_lib.study import Study
from analysis_lib.time_use.activities import activity_measures, all_measures, group_measures, read_classification


def write_activities(study: Study, text: str) -> None:
    header = "code,group,kind,loss,for_show_group,name_zh,name_en\n"
    (study.reference / "activities.csv").write_text(header + text, encoding="utf-8")


def test_the_demonstration_lists_18_codes_and_every_burden_code_is_always_lost(repository: Path) -> None:
    classification = read_classification(Study.open(repository / "data"))
    rows = classification.activities
    assert len(rows) == 18
    assert set(rows.loc[rows["kind"] == "burden", "loss"]) == {"always"}
    assert classification.burden_groups == ["meeting", "document", "form", "inspection", "digital", "for_show"]


def test_a_code_is_classified_by_itself_else_by_its_longest_listed_prefix(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    write_activities(study, "05,core,core,never,,工作,Work\n0501,service,service,never,,主业,Main job\n")
    classification = read_classification(study)
    assert [classification.listed(code) for code in ("05", "0501", "050101", "050201", "06")] == [
        "05", "0501", "0501", "05", "",
    ]  # fmt: skip


def test_measures_of_nested_codes_do_not_count_time_twice(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    write_activities(study, "05,core,core,never,,工作,Work\n0501,core,core,never,,主业,Main job\n")
    measures = activity_measures(read_classification(study))
    assert measures["activity_05"].include == ["05"]
    assert measures["activity_05"].exclude == ["0501"]
    assert measures["activity_0501"].exclude == []


def test_groups_and_activities_become_measures_beside_the_study_s_own(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    measures = all_measures(study)
    assert {"gross", "group_meeting", "activity_m1"} <= set(measures)
    groups = group_measures(read_classification(study))
    assert (groups["group_meeting"].low_is_good, groups["group_service"].low_is_good) == (True, False)
    assert groups["group_core"].low_is_good is None


def test_a_classification_of_many_codes_is_reported_by_group_only(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    write_activities(study, "".join(f"{code:04},core,core,never,,工作,Work\n" for code in range(41)))
    assert activity_measures(read_classification(study)) == {}


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ("M1,meetings,burden,always,,会,Meeting\n", 'did you mean "meeting"'),
        ("M1,meeting,burdens,always,,会,Meeting\n", 'did you mean "burden"'),
        ("M1,meeting,burden,sometimes,,会,Meeting\n", "Allowed: always, for_show, never"),
        ("M1,meeting,burden,always,,会,Meeting\nM1,core,core,never,,会,Meeting\n", "list each once"),
        ("T1,training,core,for_show,,学习,Training\n", "for_show_group"),
        ("T1,training,core,never,meeting,学习,Training\n", "for_show_group"),
    ],
)
def test_a_fault_of_the_classification_is_refused_with_what_to_do(tmp_path: Path, row: str, hint: str) -> None:
    study = write_study(tmp_path)
    write_activities(study, row)
    with pytest.raises(InputRejected, match=hint):
        read_classification(study)
