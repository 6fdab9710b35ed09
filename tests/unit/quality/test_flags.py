"""Dictated answers, flags as columns, and the headline with and without them."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import ContractError, InputRejected
from analysis_lib.quality.answers import Answers
from analysis_lib.quality.dictated import same_as_before_p, same_time_p
from analysis_lib.quality.duplicates import colleague_p, stranger_p
from analysis_lib.quality.flags import Wave, effect_on_headline, flag_returns, flag_shares, suspicion
from analysis_lib.quarters import Quarter
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import mean
from analysis_lib.tables.contracts import check
from tests.ingest_study import ANSWERS, REPOSITORY, make_store
from tests.sample_study import write_study
from tests.small_tables import QUARTER


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


def honest(n: int = 800, items: int = 20, *, seed: int = 1) -> Answers:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.7, (n, 1))
    values = np.round(3 + common + rng.normal(0, 1, (n, items))).clip(1, 6)
    names = [f"q{item}" for item in range(items)]
    return Answers(values, names, {"scale 1 to 6": list(range(items))}, rng.integers(0, 2, n), np.arange(n) // 8)


def test_a_copy_in_another_unit_is_found_and_so_is_whom_it_was_copied_from():
    answers = honest()
    answers.values[0] = answers.values[500]
    answers.values[0, :2] = 1.0  # two answers changed
    p = stranger_p(answers, false_alarm=0.001, rng=np.random.default_rng(2))
    assert (p[[0, 500]] <= 0.001).all()
    assert (np.delete(p, [0, 500]) <= 0.001).mean() < 0.01


def test_a_unit_that_answers_as_one_is_found_even_where_many_do():
    """A quarter of the units copies: they must not pass for what chance does."""
    answers = honest()
    dictated = answers.unit < 25
    answers.values[dictated] = answers.values[answers.unit[dictated] * 8]
    best, whole = colleague_p(answers, rng=np.random.default_rng(3))
    assert (best[dictated] <= 0.001).all()
    assert (whole[dictated] <= 0.001).all()
    assert (best[~dictated] <= 0.001).mean() < 0.01
    assert (whole[~dictated] <= 0.001).mean() < 0.03


def test_somebody_without_colleagues_is_not_judged_by_them():
    answers = honest(40)
    alone = Answers(answers.values, answers.items, answers.blocks, answers.cell, np.arange(40))
    best, whole = colleague_p(alone, rng=np.random.default_rng(4))
    assert np.isnan(best).all()
    assert np.isnan(whole).all()


def test_forms_handed_in_one_after_another_stand_out():
    answers, rng = honest(), np.random.default_rng(5)
    seconds = rng.uniform(0, 60 * 86_400, 800)
    seconds[:8] = 1e6 + np.arange(8) * 60
    seconds[8] = np.nan
    p = same_time_p(seconds, answers, rng=rng)
    assert (p[:8] <= 0.001).all()
    assert np.isnan(p[8])
    assert np.nanmean(p[9:] <= 0.01) < 0.04


def test_last_quarters_answers_again_stand_out_against_what_others_repeat():
    now, before = (honest(seed=seed).values for seed in (6, 7))
    before[:3] = now[:3]
    names = [f"q{item}" for item in range(20)]
    ids = [f"p{n}" for n in range(800)]
    tables = [pd.DataFrame(values, columns=names).assign(respondent_id=ids) for values in (now, before)]
    p = same_as_before_p(tables[0], tables[1].iloc[:700], names)
    assert (p[:3] < 1e-6).all()
    assert np.isnan(p[700:]).all()
    assert (p[3:700] <= 0.001).mean() < 0.01
    assert np.isnan(same_as_before_p(tables[0], tables[1].iloc[:5], names)).all()  # too few to know what is usual


# -- flags ----------------------------------------------------------------------------------------------


@pytest.fixture
def officials() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 400
    frame = pd.DataFrame({"respondent_id": [f"p{i}" for i in range(n)], "quarter": QUARTER, "region": "C0101"})
    hours = 20 + rng.normal(0, 4, n)
    hours[:80] = 10 + rng.normal(0, 1, 80)  # those whom the first flag marks
    return frame.assign(
        stratum=np.where(np.arange(n) % 2, "s", "t"), psu=[f"u{i % 40}" for i in range(n)], weight=1.0 + np.arange(n) % 3,
        diary_weight=np.where(np.arange(n) % 4, 2.0, np.nan), has_diary=np.arange(n) % 4 > 0,
        gross=np.where(np.arange(n) % 4, hours, np.nan),
    )  # fmt: skip


@pytest.fixture
def flags(officials) -> pd.DataFrame:
    n = np.arange(400)
    marks = {"fast": n < 80, "longstring": n == 1, "distance": np.zeros(400, bool)}
    frame = officials[["respondent_id", "quarter"]].assign(**marks).astype(dict.fromkeys(marks, "boolean"))
    frame.loc[100:149, "fast"] = pd.NA
    return check(frame, "flags")


def test_a_flag_is_a_column_and_an_unknown_sign_stays_unknown(officials, study):
    suspicions = officials[["respondent_id", "quarter"]].assign(fast=1.0, longstring=0.5, recall_ratio=0.0)
    suspicions.loc[0, ["fast", "longstring"]] = [0.0, np.nan]
    suspicions.loc[1, ["fast", "longstring"]] = np.nan
    flags = flag_returns(suspicions, study=study)
    assert flags.loc[0, ["fast", "any_of_answers"]].tolist() == [True, True]
    assert flags.loc[0, ["longstring"]].isna().all()
    assert flags.loc[1, ["fast", "any_of_answers"]].isna().all()
    assert not flags.loc[2:, "any_of_answers"].any()
    assert len(flags) == len(officials)  # nobody is removed


def test_the_same_person_twice_breaks_the_contract_of_flags(flags):
    with pytest.raises(ContractError):
        check(pd.concat([flags, flags], ignore_index=True), "flags")


def test_the_headline_without_a_flag_is_the_domain_of_the_others_and_the_difference_is_theirs(officials, flags, study):
    found = effect_on_headline(officials, flags, study=study)
    design = SurveyDesign(stratum="stratum", psu="psu", weight="diary_weight")
    everybody = mean(officials, "gross", design=design).iloc[0]
    without = mean(officials, "gross", design=design, where=pd.Series(np.arange(400) >= 80)).iloc[0]
    assert found["estimate"].iloc[0] == pytest.approx(everybody["estimate"])
    rows = found[found["category"] == "fast"].reset_index(drop=True)
    assert rows.at[0, "estimate"] == pytest.approx(without["estimate"])
    assert rows.at[0, "se"] == pytest.approx(without["se"])
    assert rows.at[1, "estimate"] == pytest.approx(without["estimate"] - everybody["estimate"])
    assert rows.at[1, "ci_low"] > 1  # the marked ones have half the hours
    assert rows.at[1, "n"] == 60
    assert "distance" not in set(found["category"])  # marks nobody


def test_the_difference_has_the_spread_that_leaving_out_clusters_has(officials, flags, study):
    """Against the delete-one-unit jackknife of the same difference."""
    moved = effect_on_headline(officials, flags, study=study).query("category == 'fast'").iloc[1]
    keeps = np.arange(400) >= 80

    def difference(w: np.ndarray) -> float:
        y, w = officials["gross"].fillna(0).to_numpy(), np.where(officials["has_diary"], w, 0.0)
        return float((w * y)[keeps].sum() / w[keeps].sum() - (w * y).sum() / w.sum())

    weight = officials["diary_weight"].fillna(0).to_numpy()
    variance = 0.0
    for _, members in officials.groupby("stratum"):
        units = members["psu"].unique()
        share = len(units) / (len(units) - 1)
        scale = np.where(officials["stratum"] == members["stratum"].iloc[0], share, 1.0)
        replicates = [difference(weight * np.where(officials["psu"] == unit, 0.0, scale)) for unit in units]
        variance += (len(units) - 1) / len(units) * ((np.array(replicates) - difference(weight)) ** 2).sum()
    assert moved["se"] == pytest.approx(np.sqrt(variance), rel=0.05)


def test_a_difference_made_by_a_handful_is_withheld_on_the_way_out(officials, flags, study):
    published = protect(effect_on_headline(officials, flags, study=study), "flag_effects", study=study).table
    of_one = published[published["category"].eq("longstring") & published["period"].str.contains("→")]
    assert of_one["mark"].tolist() == ["c"]


def test_shares_of_flags_count_those_who_can_be_judged(officials, flags, study):
    found = flag_shares(officials, flags, study=study, quarter=Quarter.parse(QUARTER)).set_index("measure")
    assert found.at["flag_fast", "n"] == 350
    weight = officials["weight"].to_numpy()
    judged = np.r_[0:100, 150:400]
    assert found.at["flag_fast", "estimate"] == pytest.approx(weight[:80].sum() / weight[judged].sum())


# -- a small study --------------------------------------------------------------------------------------


def test_a_study_of_few_questions_and_no_diary_is_judged_by_what_it_has(tmp_path):
    study = make_store(tmp_path, ANSWERS).study
    shutil.copy(REPOSITORY / "data" / "reference" / "activity_groups.csv", study.reference)
    (study.reference / "measures.toml").write_text("", encoding="utf-8")
    ids = [f"p{n}" for n in range(60)]
    people = pd.DataFrame({"respondent_id": ids, "quarter": QUARTER})
    said = people.assign(
        instrument="answers", work_hours=40.0 + np.arange(60) % 7, meetings_attended=np.arange(60) % 5.0
    )
    officials = people.assign(stratum="s", psu=ids, weight=1.0, diary_weight=1.0)
    nothing = pd.DataFrame(columns=["respondent_id", "diary_date", "day_type"])
    found = suspicion(Wave(said, nothing, nothing), officials, study=study, quarter=Quarter.parse(QUARTER))
    judged = found.drop(columns=["respondent_id", "quarter"]).dropna(axis=1, how="all").columns
    assert judged.tolist() == ["near_duplicate"]  # nobody has colleagues, scales, times or a diary
    assert not flag_returns(found, study=study)["near_duplicate"].any()


def test_tables_of_different_people_are_refused(tmp_path, study):
    people = pd.DataFrame({"respondent_id": ["a", "b"], "quarter": QUARTER})
    with pytest.raises(InputRejected, match="same people"):
        suspicion(
            Wave(people, people.iloc[:0], people.iloc[:0]), people.iloc[:1], study=study, quarter=Quarter.parse(QUARTER)
        )
