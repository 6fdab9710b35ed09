"""What several notebooks of a quarter need is made once, and is what each of them would make alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analysis_lib import briefs, followed, pipeline
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.measures import listed
from analysis_lib.monitoring.following import Following
from analysis_lib.parameters import RunParameters
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import NATION, Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.time_use.activities import all_measures

QUARTER = "2026Q3"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = init_study(tmp_path_factory.mktemp("world") / "data", simulated=True).root
    path = root / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('first = "2023Q4"', 'first = "2026Q2"'), encoding="utf-8")
    study = Study.open(root)
    simulate_study(study)
    return study


def asked_for(study: Study, region: str = NATION) -> RunParameters:
    return RunParameters.parse(study=str(study.root), quarter=QUARTER, region=region)


@pytest.mark.parametrize("place", [0, -1])
def test_a_brief_holds_what_its_region_alone_would_give(study: Study, place: int) -> None:
    run = asked_for(study, pipeline.page_regions(study)[place])
    officials, periods, settings = pipeline.load_officials(run), pipeline.periods(run), study.config.estimation
    measures, two = listed(study.measures), [NATION, run.region]
    groups = [key for key in all_measures(study) if key.startswith("group_")]
    label, earlier, later = periods.change
    regions = [NATION, *pipeline.regions_shown(run)]
    assert len(regions) > len(two)
    brief = briefs.load_brief(run)
    alone = {
        "hours": estimate(officials, measures, study=study, periods=periods.pooled, regions=regions),
        "categories": estimate(
            officials, measures, study=study, periods=periods.quarter, regions=[run.region], by=settings.categories
        ),
        "change": estimate_change(
            officials, measures, study=study, earlier=earlier, later=later, label=label, regions=two
        ),
        "week": estimate(officials, groups, study=study, periods=periods.quarter, regions=two),
        "series": estimate(officials, settings.nested, study=study, periods=periods.series, regions=two),
    }
    for name, table in alone.items():
        assert_frame_equal(getattr(brief, name)[table.columns], table, rtol=1e-12, obj=name)
    assert not brief.series["is_break"].any()


def test_one_notebook_makes_what_the_others_read(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = pipeline.page_regions(study)
    briefs.load_brief(asked_for(study, first))
    monkeypatch.setattr(briefs, "_estimated", lambda *_: pytest.fail("made again"))
    for region in others:
        assert set(briefs.load_brief(asked_for(study, region)).week["region"]) == {NATION, region}


def test_a_region_without_a_page_has_a_brief_of_its_own(study: Study) -> None:
    county = study.regions_at("county")[0]
    assert set(briefs.load_brief(asked_for(study, county)).change["region"]) == {NATION, county}


def test_other_reference_files_make_it_anew(study: Study) -> None:
    run, made = asked_for(study), []

    def make() -> dict[str, pd.DataFrame]:
        made.append(len(made))
        return {"impossible": pd.DataFrame({"what": ["all"], "why": [str(len(made))]}, dtype=str)}

    def asked() -> str:
        return pipeline.made_once(run, "analysis_lib.quarters", make)["impossible"]["why"].item()

    assert [asked(), asked()] == ["1", "1"]
    note: Path = study.reference / "note.txt"
    note.write_text("another", encoding="utf-8")
    assert asked() == "2"
    note.unlink()
    assert asked() == "1"


def test_following_is_read_as_it_was_made(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    run, kept = asked_for(study), []
    follow = followed.follow_reforms
    monkeypatch.setattr(followed, "follow_reforms", lambda *a, **k: kept.append(follow(*a, **k)) or kept[-1])
    read, again = followed.load_following(run), followed.load_following(run)
    (made,) = kept
    for found in (read, again):
        assert isinstance(found, Following)
        assert found.impossible == made.impossible
        for name in ("looks", "lasting", "accounts", "ratios"):
            assert_frame_equal(getattr(found, name), getattr(made, name), check_dtype=bool(len(getattr(made, name))))
