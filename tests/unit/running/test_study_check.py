"""What a run would stumble over is said by the check, before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ingest_study import ANSWERS, DIARY, QUARTER, REGIONS_CSV, SAMPLE, STUDY_TOML, receive

from analysis_lib.errors import InputRejected, JianfuError, UsageError
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.study_check import check_study
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

DESIGN = '[design]\nstratum = "tier"\npsu = ""\nnonresponse_classes = []\n'
ESTIMATION = '[estimation]\ncategories = ["tier"]\nnested = ["gross"]\n'
GROSS = '[gross]\ntitle_zh = "总"\ntitle_en = "gross"\ngroups = ["meeting"]\n'


def asks(column: str) -> str:
    return f'[asked]\nkind = "questionnaire"\ntitle_zh = "问"\ntitle_en = "asked"\ncolumns = ["{column}"]\n'


def make(
    folder: Path, *, design: str = DESIGN, estimation: str = ESTIMATION, measures: str = GROSS, has_diary: bool = True
) -> Store:
    init_study(folder)
    (folder / "study.toml").write_text(STUDY_TOML + design + estimation, encoding="utf-8")
    (folder / "reference" / "regions.csv").write_text(REGIONS_CSV, encoding="utf-8")
    (folder / "reference" / "measures.toml").write_text(measures, encoding="utf-8")
    for version, text in {"list": SAMPLE, "answers": ANSWERS, "diary": DIARY}.items():
        (folder / "reference" / "instruments" / f"{version}.toml").write_text(text, encoding="utf-8")
    store = Store(Study.open(folder))
    receive(store, "list", {"sample": "id,region,tier,weight,diary\nE1,P01,county,10,1\n"}, slug="list")
    receive(store, "answers", {"questionnaire": "id,name,submitted,hours,meetings\n"}, slug="answers")
    if has_diary:
        receive(store, "diary", {"episodes": "id,date,start,end,activity,value\n"}, slug="diary")
    return store


def check(store: Store) -> list[str]:
    return check_study(store.study, store, [QUARTER])


def test_a_study_in_which_all_fits_gives_no_warning(tmp_path: Path) -> None:
    assert check(make(tmp_path / "mine", measures=GROSS + asks("work_hours"))) == []


@pytest.mark.parametrize(
    ("changed", "kind", "told"),
    [
        ({"estimation": '[estimation]\nheadline = "gros"\n'}, UsageError, ["headline", 'did you mean "gross"']),
        ({"estimation": '[estimation]\nnested = ["gross", "grass"]\n'}, UsageError, ["nested", '"gross"']),
        (
            {"estimation": '[estimation]\nnested = ["gross"]\nside_by_side = ["recall"]\n'},
            UsageError,
            ["side_by_side", "'recall'"],
        ),
        ({"estimation": ESTIMATION.replace("tier", "teir")}, UsageError, ["categories", 'did you mean "tier"']),
        (
            {"estimation": ESTIMATION.replace("tier", "work_hours")},
            UsageError,
            ["categories", "'work_hours'"],  # a number makes no groups
        ),
        ({"measures": f'{GROSS}universe = {{ sex = ["f"] }}\n'}, UsageError, ["[gross] universe", "'sex'"]),
        ({"design": DESIGN.replace("tier", "layer")}, InputRejected, ["2026Q1", "[design] stratum", "'layer'"]),
        ({"design": DESIGN.replace('""', '"office"')}, InputRejected, ["[design] psu", "'office'"]),
    ],
)
def test_what_a_run_would_refuse_is_refused_with_the_place_and_a_suggestion(
    tmp_path: Path, changed: dict[str, str], kind: type[JianfuError], told: list[str]
) -> None:
    store = make(tmp_path / "mine", **changed)
    with pytest.raises(kind) as refused:
        check(store)
    for words in told:
        assert words in str(refused.value)


SCALE = '[[scales]]\nkey = "load"\ntitle_zh = "负荷"\ntitle_en = "load"\nitems = ["work_hours", "{item}"]\n'


def test_items_of_scales_are_asked_by_an_instrument(tmp_path: Path) -> None:
    assert check(make(tmp_path / "asked", estimation=ESTIMATION + SCALE.format(item="meetings_attended"))) == []
    with pytest.raises(UsageError) as refused:
        check(make(tmp_path / "not_asked", estimation=ESTIMATION + SCALE.format(item="meetings_atended")))
    for words in ("study.toml, [[scales]] load, items", "'meetings_atended'", 'did you mean "meetings_attended"'):
        assert words in str(refused.value)


def test_margins_are_of_what_a_distinction_watches(tmp_path: Path) -> None:
    margins = "[guardrails]\nmargins = { group_servce = 0.5 }\n"
    with pytest.raises(UsageError, match=r"guardrails.margins: 'group_servce'"):
        check(make(tmp_path / "mine", estimation=ESTIMATION + margins))


def test_categories_of_a_fit_are_columns_too(tmp_path: Path) -> None:
    combined = '[both]\nkind = "combined"\ntitle_zh = "合"\ntitle_en = "both"\nof = "gross"\non = ["asked"]\nwithin = ["rank"]\n'
    store = make(tmp_path / "mine", measures=GROSS + asks("work_hours") + combined)
    with pytest.raises(UsageError, match=r"\[both\] within: 'rank'"):
        check(store)


def test_a_weight_may_come_from_the_sample_list_or_the_respondents_only(tmp_path: Path) -> None:
    store = make(tmp_path / "mine", design='[design]\nstratum = ""\npsu = ""\nweight = "weight"\n')
    assert check(store) == []  # the list's base weight
    (path,) = store.study.raw.rglob("list/drop.toml")
    path.unlink()
    with pytest.raises(InputRejected, match=r"\[design\] weight"):
        check(Store(Study.open(store.study.root)))


def test_a_question_that_no_instrument_asks_is_a_warning(tmp_path: Path) -> None:
    (warning,) = check(make(tmp_path / "mine", measures=GROSS + asks("trips")))
    assert warning.startswith("not asked: trips of measure asked")


def test_a_quarter_without_a_diary_and_a_study_without_regions_are_warnings(tmp_path: Path) -> None:
    store = make(tmp_path / "mine", has_diary=False)
    (store.study.reference / "regions.csv").write_text("code,parent,level,name_zh,name_en\n", encoding="utf-8")
    regions, diary = check(Store(Study.open(store.study.root)))
    assert regions == "regions.csv lists no region: everything is national"
    assert diary.startswith("2026Q1: no drop has a diary file")
