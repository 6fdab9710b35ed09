import numpy as np
import pandas as pd
import pytest
from sample_results import row
from sample_study import write_study

from analysis_lib.disclosure.protect import protect
from analysis_lib.errors import DesignError, InputRejected
from analysis_lib.figures.trend import draw_trend, prepare_trend
from analysis_lib.monitoring.linking import (
    add_links,
    in_part,
    link_between,
    link_measures,
    link_random_halves,
    link_same_people,
    linked_series,
    read_links,
    shares_by_new,
)
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import ratio

DESIGN = SurveyDesign(stratum="stratum", psu="psu", weight="weight")
HEAD = "from_version,to_version,measure,factor,se,overlap_study\n"
OLD, NEW, NEWER = (frozenset({"sample-v1", version}) for version in ("q-v1", "q-v2", "q-v3"))


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "s")


def overlap(seed: int, *, n_psu: int = 40, factor: float = 1.2) -> pd.DataFrame:
    """People in PSUs that differ, who answered both versions; the new one finds a fifth more."""
    rng = np.random.default_rng(seed)
    psu = np.repeat(np.arange(n_psu), 10)
    hours = rng.gamma(8, 2, len(psu)) + rng.normal(0, 2, n_psu)[psu]
    return pd.DataFrame(
        {
            "psu": psu.astype(str), "stratum": (psu % 4).astype(str), "weight": rng.uniform(1, 3, len(psu)),
            "old": hours, "new": factor * hours + rng.normal(0, 2, len(psu)), "is_new": rng.random(len(psu)) < 0.5,
        }
    )  # fmt: skip


def test_the_factor_of_the_same_people_is_the_ratio_with_its_linearised_error():
    frame = overlap(1)
    frame.loc[:20, "new"] = np.nan
    found = link_same_people(frame, "new", "old", design=DESIGN)
    expected = ratio(frame, "new", "old", design=DESIGN).iloc[0]
    assert [found.factor, found.se, found.n] == pytest.approx(
        [expected["estimate"], expected["se"], expected["n"]], rel=1e-10
    )
    assert found.ci_low < found.factor < found.ci_high


def officials_of_an_overlap(study) -> tuple[pd.DataFrame, pd.Series]:
    """Official-quarters whose halves met one version each; half of them keep a diary, and a few were asked by a third."""
    frame = overlap(7)
    answer = frame["new"].where(frame["is_new"], frame["old"])
    people = pd.Series(np.where(frame["is_new"], "q-v2", "q-v1"), index=[f"r{i}" for i in range(len(frame))])
    people.iloc[:5] = "sample-v1"
    has_diary = np.arange(len(frame)) % 2 == 0
    officials = frame[["stratum", "psu", "weight"]].assign(
        respondent_id=people.index, quarter="2026Q3", tier="county", role="staff", recall_gross=answer,
        gross=(answer + 1).where(has_diary), diary_weight=(2 * frame["weight"]).where(has_diary), meetings_attended=0.0,
        documents_received=answer.where(~frame["is_new"]), gross_share=0.4,
    )  # fmt: skip
    on_days = dict.fromkeys(study.measures["excess_combined"].parts, officials["gross"])
    return officials.assign(**on_days), people


def test_a_quarter_whose_halves_met_two_versions_gives_a_factor_for_each_measure(study):
    officials, people = officials_of_an_overlap(study)
    found, impossible = link_measures(officials, people, "q-v1", "q-v2", overlap="overlap 2026Q3", study=study)
    found = found.set_index("measure")
    asked = officials[people.isin(["q-v1", "q-v2"]).to_numpy()]
    is_new = asked["respondent_id"].map(people) == "q-v2"
    for key, weight in (("recall_gross", "weight"), ("gross", "diary_weight")):
        rows = asked[asked[key].notna()]
        design = SurveyDesign.of_study(study, weight=weight)
        expected = link_random_halves(rows, key, is_new[rows.index], design=design)
        assert found.loc[key, ["factor", "se", "n"]].tolist() == [expected.factor, expected.se, expected.n]
    assert found.loc["recall_gross", "ci_low"] < 1.2 < found.loc["recall_gross", "ci_high"]
    assert found.loc["gross_fte", "factor"] == found.loc["gross", "factor"]
    assert "gross_share" not in found.index  # a share is never linked
    assert impossible["meetings_attended"] == "nothing to divide by"
    assert impossible["documents_received"].startswith("fewer than 10 people answered it")


def test_an_overlap_of_a_few_gives_no_factor(study):
    officials, people = officials_of_an_overlap(study)
    people[people == "q-v2"] = np.where(np.arange((people == "q-v2").sum()) < 9, "q-v2", "q-v1")
    with pytest.raises(DesignError, match="fewer than 10 people answered q-v2"):
        link_measures(officials, people, "q-v1", "q-v2", overlap="overlap 2026Q3", study=study)


def test_factors_are_added_to_the_links_of_a_study_and_replace_those_of_the_same_versions(study):
    officials, people = officials_of_an_overlap(study)
    (study.reference / "links.csv").write_text(f"{HEAD}q-v0,q-v1,gross,1.1,0.02,earlier\nq-v1,q-v2,gross,3,1,guess\n")
    found, _ = link_measures(officials, people, "q-v1", "q-v2", overlap="overlap 2026Q3", study=study)
    add_links(study, found)
    links = read_links(study)
    of_gross = links[links["measure"] == "gross"]
    assert of_gross["overlap_study"].tolist() == ["earlier", "overlap 2026Q3"]
    expected = tuple(found.set_index("measure").loc["gross", ["factor", "se"]])
    assert link_between(links, "gross", OLD, NEW) == pytest.approx(expected)


def test_halves_within_the_same_psus_bring_their_covariance():
    frame = overlap(2)
    frame["answer"] = frame["new"].where(frame["is_new"], frame["old"])
    found = link_random_halves(frame, "answer", frame["is_new"], design=DESIGN)
    # Delta method by replication: each PSU left out in turn (JKn), whose variance agrees to first order.
    parts = []
    for stratum, rows in frame.groupby("stratum"):
        units = rows["psu"].unique()
        more = len(units) / (len(units) - 1)
        for unit in units:
            left = frame[frame["psu"] != unit]
            weight = left["weight"] * np.where(left["stratum"] == stratum, more, 1.0)
            top, bottom = (
                np.average(left.loc[half, "answer"], weights=weight[half]) for half in (left["is_new"], ~left["is_new"])
            )
            parts.append((top / bottom - found.factor) ** 2 / more)
    assert found.se == pytest.approx(np.sqrt(sum(parts)), rel=0.03)


def test_an_overlap_without_the_old_version_gives_no_factor():
    with pytest.raises(DesignError, match="divide"):
        link_same_people(overlap(1).assign(old=np.nan), "new", "old", design=DESIGN)


def test_links_are_read_and_refused(study):
    assert read_links(study).empty
    path = study.reference / "links.csv"
    path.write_text(HEAD + "q-v1,q-v2,gross,1.2,0.03,pilot of spring\n", encoding="utf-8")
    links = read_links(study)
    assert link_between(links, "gross", OLD, NEW) == (1.2, 0.03)
    assert link_between(links, "gross", NEW, OLD) is None
    assert link_between(links, "avoidable", OLD, NEW) is None
    assert link_between(links, "gross", OLD, NEW | {"another"}) is None
    for wrong in ("q-v1,q-v2,gross,-1,0.03,pilot", "q-v1,q-v2,gross,much,0.03,pilot", "q-v1,q-v2,gross,1.2,0.03,"):
        path.write_text(HEAD + wrong + "\n", encoding="utf-8")
        with pytest.raises(InputRejected, match=r"links\.csv"):
            read_links(study)


QUARTERS = ["2025Q3", "2025Q4", "2026Q1", "2026Q2"]


def series() -> pd.DataFrame:
    rows = [
        row("gross", "hours_week", "mean", 10.0 + place, 0.4, period=quarter) for place, quarter in enumerate(QUARTERS)
    ]
    rows += [row("gross_share", "share", "ratio", 0.3, 0.01, period=quarter) for quarter in QUARTERS]
    return pd.DataFrame(rows)


def links(*rows: str) -> pd.DataFrame:
    table = [each.split(",") for each in rows]
    frame = pd.DataFrame(table, columns=HEAD.strip().split(","))
    return frame.astype({"factor": float, "se": float})


def test_a_series_of_one_instrument_is_left_alone():
    found = linked_series(series(), dict.fromkeys(QUARTERS, OLD), links(), confidence_level=0.95)
    pd.testing.assert_frame_equal(found.drop(columns="is_break"), series())
    assert not found["is_break"].any()


def test_a_link_scales_what_came_before_and_brings_its_error():
    versions = dict(zip(QUARTERS, [OLD, OLD, NEW, NEW], strict=True))
    found = linked_series(series(), versions, links("q-v1,q-v2,gross,1.2,0.03,pilot"), confidence_level=0.95)
    hours = found[found["measure"] == "gross"].set_index("period")
    assert hours["estimate"].to_list() == pytest.approx([12.0, 13.2, 12.0, 13.0])
    assert hours["se"].to_list() == pytest.approx(
        [np.hypot(1.2 * 0.4, 10 * 0.03), np.hypot(1.2 * 0.4, 11 * 0.03), 0.4, 0.4]
    )
    assert not hours["is_break"].any()
    shares = found[found["measure"] == "gross_share"].set_index("period")  # a factor on hours says nothing of shares
    assert shares["is_break"].to_dict() == {"2025Q3": False, "2025Q4": False, "2026Q1": True, "2026Q2": False}


def test_links_follow_each_other_and_stop_at_a_break():
    versions = dict(zip(QUARTERS, [OLD, NEW, NEWER, NEWER], strict=True))
    both = links("q-v1,q-v2,gross,1.2,0.0,pilot", "q-v2,q-v3,gross,0.5,0.0,pilot")
    hours = linked_series(series(), versions, both, confidence_level=0.95).query("measure == 'gross'")
    assert hours["estimate"].to_list() == pytest.approx([6.0, 5.5, 12.0, 13.0])
    one = links("q-v1,q-v2,gross,1.2,0.0,pilot")
    hours = linked_series(series(), versions, one, confidence_level=0.95).query("measure == 'gross'")
    assert hours["estimate"].to_list() == pytest.approx([12.0, 11.0, 12.0, 13.0])
    assert hours["is_break"].to_list() == [False, False, True, False]


def test_a_place_that_no_new_version_measured_has_neither_link_nor_break():
    versions = dict(zip(QUARTERS, [OLD, OLD, NEW, NEW], strict=True))
    places = pd.concat([series().assign(region=region) for region in ("all", "P01", "P02")], ignore_index=True)
    keys = [(measure, region, "2026Q1") for measure in ("gross", "gross_share") for region in ("all", "P01", "P02")]
    by_new = pd.Series([0.4, 1.0, 0.0] * 2, index=pd.MultiIndex.from_tuples(keys))
    known = links("q-v1,q-v2,gross,1.25,0.05,pilot")
    found = linked_series(places, versions, known, by_new=by_new, confidence_level=0.95)
    hours = found[found["measure"] == "gross"].pivot(index="region", columns="period", values="estimate")
    assert hours.loc["P01"].to_list() == pytest.approx([12.5, 13.75, 12.0, 13.0])
    assert hours.loc["P02"].to_list() == [10.0, 11.0, 12.0, 13.0]
    # Four in ten of today's hours are a quarter more than the old version would have found: 0.6 + 0.4 / 1.25 of them.
    assert hours.loc["all"].to_list() == pytest.approx([10 / 0.92, 11 / 0.92, 12.0, 13.0])
    broken = found[found["is_break"]]
    assert set(zip(broken["measure"], broken["region"], strict=True)) == {
        ("gross_share", "all"),
        ("gross_share", "P01"),
    }


def test_the_error_of_a_link_in_part_is_its_slope_times_that_of_the_factor():
    step = 1e-6
    slope = (in_part((1.25 + step, 0), 0.4)[0] - in_part((1.25 - step, 0), 0.4)[0]) / (2 * step)
    assert in_part((1.25, 0.05), 0.4)[1] == pytest.approx(0.05 * slope, rel=1e-6)
    assert in_part((1.25, 0.05), 0.0) == (1.0, 0.0)


def test_the_share_that_a_new_version_measured_is_that_of_the_hours(study):
    officials = pd.DataFrame(
        {
            "respondent_id": [f"E{number}" for number in range(40)], "quarter": "2026Q1",
            "psu": [f"u{number // 4}" for number in range(40)], "province": ["P01"] * 20 + ["P02"] * 20,
            "weight": [1.0] * 20 + [3.0] * 20, "has_diary": False, "diary_weight": np.nan,
            "recall_gross": [30.0] * 20 + [10.0] * 20,
        }
    )  # fmt: skip
    officials["stratum"] = officials["region"] = officials["province"]
    is_new = officials["province"] == "P02"
    regions = ["all", "P01", "P02"]
    found = shares_by_new(officials, is_new, ["recall_gross"], study=study, quarter="2026Q1", regions=regions)
    assert found.xs("2026Q1", level=2).loc["recall_gross"].to_dict() == pytest.approx(
        {"all": 3 * 10 / (30 + 3 * 10), "P01": 0.0, "P02": 1.0}
    )


def test_a_series_with_a_break_carries_the_mark_and_is_drawn_in_two_lines(study):
    versions = dict(zip(QUARTERS, [OLD, OLD, NEW, NEW], strict=True))
    found = linked_series(series().query("measure == 'gross'"), versions, links(), confidence_level=0.95)
    table = protect(found, "series", study=study)
    assert table.table["mark"].to_list() == ["", "", "b", ""]
    frame = prepare_trend(table, ["gross"], study=study, language="en")
    (axes,) = draw_trend(frame).axes
    assert sorted(len(line.get_xdata()) for line in axes.lines) == [2, 2]
    whole = protect(found.assign(is_break=False), "series", study=study)
    (axes,) = draw_trend(prepare_trend(whole, ["gross"], study=study, language="en")).axes
    assert [len(line.get_xdata()) for line in axes.lines] == [4]


def test_an_unreliable_quarter_keeps_both_marks(study):
    wide = series().query("measure == 'gross'").assign(se=2.5)
    versions = dict(zip(QUARTERS, [OLD, OLD, NEW, NEW], strict=True))
    found = linked_series(wide, versions, links(), confidence_level=0.95)
    assert protect(found, "series", study=study).table["mark"].to_list() == ["u", "u", "bu", "u"]
