from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import STUDY_TOML, write_study

from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.measures import parse_measures
from analysis_lib.study import Study
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.double_sampling import Combined, combine_hours, combine_hours_beyond
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.survey.linearisation import as_variable, estimate_domains
from analysis_lib.survey.two_instruments import combined_fits

QUARTERS = ["2025Q4", "2026Q1"]
EVERYBODY = np.zeros(240, dtype=np.int64)


def two_phases(seed: int = 3) -> dict[str, np.ndarray]:
    """240 respondents of unlike weights, every third with a diary; answers that explain most of it."""
    rng = np.random.default_rng(seed)
    answer = rng.gamma(5, 5, 240)
    hours = 3 + 0.8 * answer + rng.normal(0, 3, 240)
    weight = rng.uniform(5, 15, 240)
    has_diary = np.arange(240) % 3 == 0
    return {
        "hours": np.where(has_diary, hours, np.nan), "answer": answer[:, None], "weight": weight,
        "diary_weight": np.where(has_diary, weight * rng.uniform(2.5, 3.5, 240), np.nan),
    }  # fmt: skip


def combined(data: dict[str, np.ndarray], *groupings: np.ndarray, answers: str = "answer", **more: int) -> Combined:
    return combine_hours(
        data["hours"], data[answers], weight=data["weight"], diary_weight=data["diary_weight"],
        groupings=groupings or [EVERYBODY], **more,
    )  # fmt: skip


def mean(data: dict[str, np.ndarray], found: Combined) -> float:
    return float(np.average(found.values, weights=data["weight"]))


def diary_mean(data: dict[str, np.ndarray]) -> float:
    used = np.isfinite(data["hours"])
    return float(np.average(data["hours"][used], weights=data["diary_weight"][used]))


def test_it_is_the_textbook_s_regression_estimate() -> None:
    """Cochran (1977, 12.51): the diaries' mean, moved along the line to the mean answer of everybody."""
    data = two_phases()
    used, v = np.isfinite(data["hours"]), np.nan_to_num(data["diary_weight"])
    x, y = data["answer"][:, 0], np.nan_to_num(data["hours"])
    x_mean, y_mean = v @ x / v.sum(), v @ y / v.sum()
    slope = (v @ ((x - x_mean) * (y - y_mean))) / (v @ (x - x_mean) ** 2)
    expected = y_mean + slope * (np.average(x, weights=data["weight"]) - x_mean)
    found = combined(data)
    assert mean(data, found) == pytest.approx(expected, rel=1e-12)
    assert found.fits[0].coefficients[1] == pytest.approx(slope, rel=1e-12)
    assert found.fits[0].diaries == used.sum() == 80


def test_it_is_the_generalised_regression_estimate_with_everybody_s_answers_as_known_totals() -> None:
    """Weights of diaries that reproduce the totals of answers, as little changed as may be, give the same mean."""
    data = two_phases()
    used = np.isfinite(data["hours"])
    v, x = data["diary_weight"][used], np.column_stack([np.ones(80), data["answer"][used]])
    totals = data["weight"] @ np.column_stack([np.ones(240), data["answer"]])
    calibrated = v * (1 + x @ np.linalg.solve(x.T @ (v[:, None] * x), totals - v @ x))
    assert calibrated @ x == pytest.approx(totals)
    assert mean(data, combined(data)) == pytest.approx(np.average(data["hours"][used], weights=calibrated), rel=1e-12)


def test_its_error_is_the_textbook_s_for_simple_random_samples() -> None:
    """Cochran (1977, 12.67): s²(y around the line)/n + (s²(y) − s²(y around the line))/n′."""
    data = two_phases() | {"weight": np.ones(240)}
    data["diary_weight"] = np.where(np.isfinite(data["hours"]), 3.0, np.nan)
    found = combined(data)
    sample = read_sample(pd.DataFrame({"weight": np.ones(240)}), SurveyDesign())
    se = estimate_domains(sample, EVERYBODY, 1, [as_variable(found.values, np.ones(240), np.ones(240), "mean")], 0.95)[
        "se"
    ]
    y = data["hours"][np.isfinite(data["hours"])]
    around = y.var(ddof=1) * (1 - found.fits[0].r_squared)
    assert se[0, 0] == pytest.approx(np.sqrt(around / 80 + (y.var(ddof=1) - around) / 240), rel=0.03)
    assert se[0, 0] < 0.75 * np.sqrt(y.var(ddof=1) / 80)


def test_answers_that_are_all_alike_leave_the_diaries_mean() -> None:
    data = two_phases() | {
        "alike": np.full((240, 1), 7.0),
        "none": np.zeros((240, 0)),
        "gap": np.full((240, 1), np.nan),
    }
    for answers in ("alike", "none", "gap"):
        assert mean(data, combined(data, answers=answers)) == pytest.approx(diary_mean(data), rel=1e-12)


def test_with_a_diary_from_everybody_answers_change_nothing() -> None:
    data = two_phases()
    data |= {"hours": 2 * data["answer"][:, 0] + np.arange(240) % 7, "diary_weight": data["weight"]}
    assert mean(data, combined(data)) == pytest.approx(np.average(data["hours"], weights=data["weight"]), rel=1e-12)


def test_too_few_diaries_for_any_fit_leave_the_diaries_mean_and_the_fit_says_so() -> None:
    data = two_phases()
    found = combined(data, min_diaries=81)
    assert mean(data, found) == pytest.approx(diary_mean(data), rel=1e-12)
    assert found.fits[0].coefficients.size == 1


def test_a_small_group_takes_the_fit_of_the_group_that_holds_it() -> None:
    data = two_phases()
    small = (np.arange(240) < 30).astype(np.int64)  # ten diaries
    found = combined(data, small, EVERYBODY)
    assert [(fit.level, fit.respondents, fit.diaries) for fit in found.fits] == [(0, 210, 70), (1, 30, 80)]
    assert found.fits[1].coefficients[1] == pytest.approx(combined(data).fits[0].coefficients[1])


def test_each_group_has_a_line_of_its_own() -> None:
    data = two_phases()
    group = np.arange(240) % 2
    found = combined(data, group, EVERYBODY)
    for number in (0, 1):
        alone = {key: values[group == number] for key, values in data.items()}
        expected = combined(alone, np.zeros(120, dtype=np.int64))
        assert found.values[group == number] == pytest.approx(expected.values, rel=1e-9)


def test_a_respondent_without_an_answer_stays_and_counts_as_the_mean_answer() -> None:
    data = two_phases()
    answer = data["answer"].copy()
    answer[[4, 6]] = np.nan  # 6 has a diary
    found = combined(data | {"answer": answer})
    assert found.fits[0].unanswered == 2
    assert found.values[4] == pytest.approx(found.fits[0].coefficients[0])
    assert np.isfinite(found.values).all()


def test_those_who_leave_the_answer_out_may_differ_from_others_without_harm() -> None:
    data = two_phases()
    leaves_out = np.arange(240) % 4 == 0
    data["hours"] = data["hours"] + 30 * leaves_out
    answer = np.where(leaves_out[:, None], np.nan, data["answer"])
    pulled = np.average(leaves_out, weights=data["weight"]) * 30
    with_gaps = mean(data, combined(data | {"answer": answer}))
    without = mean(data, combined(data | {"hours": data["hours"] - 30 * leaves_out}))
    assert with_gaps - without == pytest.approx(pulled, rel=0.05)


def test_rows_without_a_weight_are_in_neither_phase() -> None:
    data = two_phases()
    weight = data["weight"].copy()
    weight[:60] = [np.nan, 0.0] * 30
    found = combined(data | {"weight": weight})
    assert np.isnan(found.values[:60]).all()
    assert not found.has_diary[:60].any()
    rest = {key: values[60:] for key, values in data.items()}
    assert found.values[60:] == pytest.approx(combined(rest, np.zeros(180, dtype=np.int64)).values)


def test_without_any_diary_there_is_nothing() -> None:
    data = two_phases() | {"hours": np.full(240, np.nan)}
    assert np.isnan(combined(data).values).all()
    assert combined(data).fits == ()


# -- hours beyond a limit -----------------------------------------------------------------------------


def weeks(size: int, *, scatter: float) -> dict[str, np.ndarray]:
    """Normal hours around what was answered, days that scatter, and a limit."""
    rng = np.random.default_rng(11)
    answer, limit = rng.normal(25, 5, size), rng.normal(20, 3, size)
    true = answer + rng.normal(0, 3, size)
    days = {
        "on_weekdays": 0.8 * true + scatter * rng.normal(0, 6, size),
        "on_weekends": 0.2 * true + scatter * rng.normal(0, 3, size),
    }
    return {**days, "limit": limit, "answers": answer[:, None], "true": np.maximum(0, true - limit)}


def beyond(data: dict[str, np.ndarray], min_diaries: int = 30) -> Combined:
    known = {key: values for key, values in data.items() if key != "true"}
    ones = np.ones(len(data["limit"]))
    return combine_hours_beyond(
        **known, weight=ones, diary_weight=ones, groupings=[np.zeros(len(ones), dtype=np.int64)],
        min_diaries=min_diaries,
    )  # fmt: skip


def test_days_that_scatter_overstate_hours_beyond_a_limit_and_combining_takes_that_out() -> None:
    data = weeks(20_000, scatter=1.0)
    naive = np.maximum(0, data["on_weekdays"] + data["on_weekends"] - data["limit"]).mean()
    assert naive > data["true"].mean() + 0.7
    assert beyond(data).values.mean() == pytest.approx(data["true"].mean(), abs=0.12)


def test_days_that_do_not_scatter_are_left_alone() -> None:
    data = weeks(20_000, scatter=0.0)
    assert beyond(data).values.mean() == pytest.approx(data["true"].mean(), abs=0.03)


def test_where_diaries_say_what_answers_say_nothing_is_left_to_chance() -> None:
    data = weeks(200, scatter=0.0)
    answer = data["answers"][:, 0]
    data |= {"on_weekdays": 0.8 * answer, "on_weekends": 0.2 * answer}
    expected = np.maximum(0, answer - data["limit"]).mean()
    assert beyond(data).values.mean() == pytest.approx(expected, abs=1e-6)


def test_too_few_diaries_or_none_at_all() -> None:
    data = weeks(200, scatter=1.0)
    assert beyond(data, min_diaries=201).fits[0].coefficients.size == 1
    assert np.isfinite(beyond(data, min_diaries=201).values).all()
    assert np.isnan(beyond(data | {"on_weekdays": np.full(200, np.nan)}).values).all()


# -- the study's measures -----------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return write_study(tmp_path, study_toml=STUDY_TOML + 'categories = ["tier"]\n')


def officials() -> pd.DataFrame:
    """Two quarters of 4 counties (strata) of 6 townships (PSUs) of 12 people, half of them with a diary."""
    rng = np.random.default_rng(5)
    size = 4 * 6 * 12
    unit = np.repeat(np.arange(24), 12)
    county = np.array(["C0101", "C0102", "C0201", "C0202"])[unit // 6]
    habit = rng.gamma(8, 3, size)
    has_diary = np.tile([True, False], size // 2)
    quarters = []
    for quarter in QUARTERS:
        gross, rest = habit + rng.normal(0, 3, size), rng.uniform(20, 30, size)
        seen = {
            "gross": gross, "work_time": gross + rest, "avoidable": gross / 2, "gross_on_weekdays": 0.9 * gross,
            "gross_on_weekends": 0.1 * gross,
        }  # fmt: skip
        quarters.append(
            pd.DataFrame(
                {
                    "respondent_id": [str(number) for number in range(size)], "quarter": quarter, "region": county,
                    "county": county, "province": ["P" + code[1:3] for code in county], "stratum": county,
                    "psu": [f"u{number}" for number in unit], "has_diary": has_diary,
                    "tier": np.array(["county", "township", "village"])[np.arange(size) // 2 % 3],
                    "weight": rng.uniform(5, 10, size), "recall_gross": 1.1 * habit, "acceptable": 0.7 * habit,
                    "recall_work_time": habit + rest,
                    **{key: np.where(has_diary, values, np.nan) for key, values in seen.items()},
                }
            ).assign(diary_weight=lambda rows: (2 * rows["weight"]).where(rows["has_diary"]))
        )  # fmt: skip
    return pd.concat(quarters, ignore_index=True)


def test_a_combined_measure_counts_diaries_and_is_more_precise(study: Study) -> None:
    found = estimate(
        officials(), ["gross", "gross_combined"], study=study, regions=["all", "P01"], by=["", "tier"],
        periods={"2026Q1": QUARTERS[1:], "both": QUARTERS},
    )  # fmt: skip
    alone, both = (found[found["measure"] == key].reset_index(drop=True) for key in ("gross", "gross_combined"))
    assert both[["n", "n_psu", "df"]].equals(alone[["n", "n_psu", "df"]])
    assert (both["se"] < alone["se"]).mean() > 0.9
    assert both["deff"].isna().all()
    assert set(both["statistic"]) == {"mean"}


def test_shares_full_time_equivalents_and_changes_are_combined_too(study: Study) -> None:
    rows, keys = officials(), ["gross_combined", "work_time_combined", "gross_share_combined", "gross_fte_combined"]
    found = estimate(rows, keys, study=study, regions=["all"], periods={"both": QUARTERS}).set_index("measure")
    hours, work = found["estimate"]["gross_combined"], found["estimate"]["work_time_combined"]
    assert found["estimate"]["gross_share_combined"] == pytest.approx(hours / work, rel=1e-12)
    people = rows["weight"].sum() / 2
    assert found["estimate"]["gross_fte_combined"] == pytest.approx(hours * people / 40, rel=1e-12)
    assert found["n"].nunique() == 1
    change = estimate_change(
        rows, keys[:1], study=study, earlier=QUARTERS[:1], later=QUARTERS[1:], label="change", regions=["all"]
    ).iloc[0]
    each = estimate(rows, keys[:1], study=study, regions=["all"], periods={q: [q] for q in QUARTERS})
    assert change["estimate"] == pytest.approx(each["estimate"][1] - each["estimate"][0])
    assert change["se"] < np.hypot(*each["se"])  # the same people


def test_a_domain_without_a_diary_has_no_combined_estimate(study: Study) -> None:
    rows = officials()
    in_county = rows["county"] == "C0101"
    rows.loc[in_county, ["gross", "diary_weight"]] = np.nan
    found = estimate(
        rows, ["gross_combined", "gross_fte_combined"], study=study, regions=["C0101"], periods={"both": QUARTERS}
    )
    assert found["n"].tolist() == [0, 0]
    assert found[["estimate", "se", "ci_low", "ci_high"]].isna().all(axis=None)


def test_a_period_without_data_has_rows_without_a_combined_estimate(study: Study) -> None:
    keys = ["gross_combined", "excess_combined"]
    found = estimate(officials(), keys, study=study, regions=["all"], periods={"2025Q1": ["2025Q1"]})
    assert found["n"].tolist() == [0, 0]
    assert found["estimate"].isna().all()


def test_a_universe_is_fitted_and_described_alone(study: Study) -> None:
    path = study.reference / "measures.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(
        'of = "gross"\non = ["recall_gross", "recall_work_time"]\nwithin = ["tier"]\nlow_is_good = true\nwhy_zh = "会议',
        'of = "gross"\non = ["recall_gross", "recall_work_time"]\nwithin = ["tier"]\nuniverse = { tier = ["village"] }\n'
        'low_is_good = true\nwhy_zh = "会议',
    ), encoding="utf-8")  # fmt: skip
    fits = combined_fits(officials(), ["gross_combined"], study=Study.open(study.root), quarters=QUARTERS)
    assert fits["fitted_on"].tolist() == ["village 2025Q4", "village 2026Q1"]


def test_the_fits_can_be_looked_at(study: Study) -> None:
    rows = officials()
    rows.loc[rows["quarter"] == QUARTERS[0], "tier"] = np.where(
        np.arange(288) < 20, "county", "village"
    )  # few of a tier in one quarter
    rows.loc[[300, 301], "recall_gross"] = np.nan
    keys = ["gross", "gross_combined", "excess_combined"]
    fits = combined_fits(rows, keys, study=study, quarters=QUARTERS)
    assert fits["measure"].unique().tolist() == ["gross_combined", "excess_combined"]
    gross = fits[fits["measure"] == "gross_combined"].set_index("fitted_on")
    assert gross.index.tolist() == [
        "county 2026Q1", "township 2026Q1", "village 2025Q4", "village 2026Q1", "2025Q4",
    ]  # fmt: skip
    assert gross["respondents"].sum() == 576
    assert (gross.at["2025Q4", "respondents"], gross.at["2025Q4", "diaries"]) == (20, 144)
    assert gross["unanswered"].sum() == 2
    assert gross["per_recall_gross"].between(0.5, 1.6).all()
    assert set(gross["method"]) == {"combined"}
    none = combined_fits(rows[rows["gross"].isna() | (rows.index < 40)], keys[1:2], study=study, quarters=QUARTERS)
    assert none[["fitted_on", "method"]].to_numpy().tolist() == [["everybody", "diaries only"]]


def test_hours_beyond_a_limit_need_two_days(study: Study) -> None:
    rows = officials().drop(columns=["gross_on_weekdays", "gross_on_weekends"])
    with pytest.raises(UsageError, match="excess_combined"):
        estimate(rows, ["excess_combined"], study=study, regions=["all"], periods={"both": QUARTERS})


TITLES = {"title_zh": "甲", "title_en": "A"}
SOUND = {
    "gross": TITLES | {"groups": ["meeting"]},
    "recalled": TITLES | {"kind": "questionnaire", "columns": ["hours"]},
    "meetings": TITLES | {"kind": "questionnaire", "columns": ["meetings"], "unit": "count"},
    "both": TITLES | {"kind": "combined", "of": "gross", "on": ["recalled", "meetings"], "beyond": "recalled"},
}


@pytest.mark.parametrize(
    ("key", "table", "fault"),
    [
        ("both", {"of": "recalled"}, "not a diary measure"),
        ("both", {"on": ["gross"]}, "questionnaire measures"),
        ("both", {"beyond": "gross"}, "questionnaire measures"),
        ("both", {"beyond": "meetings"}, "unit"),
        ("both", {"unit": "hours_day"}, "unit"),
        ("both", {"among": "participants"}, "everybody"),
        ("both", {"on": ["absent"]}, "absent"),
        ("share", {"kind": "ratio", "numerator": "both", "denominator": "gross"}, "combine both"),
        ("part", {"kind": "participation", "of": "both"}, "single respondent"),
        ("over", {"kind": "excess", "of": "both", "acceptable": "hours"}, "single respondent"),
    ],
)
def test_what_does_not_go_together_is_refused(key: str, table: dict, fault: str) -> None:
    assert list(parse_measures(SOUND, where="measures.toml")) == list(SOUND)
    with pytest.raises(InputRejected, match=fault):
        parse_measures(SOUND | {key: TITLES | SOUND.get(key, {}) | table}, where="measures.toml")
