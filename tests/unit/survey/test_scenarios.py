import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_what_drives_hours import DRIVERS, QUARTERS, officials, with_drivers

from analysis_lib import cli, pipeline
from analysis_lib.errors import InputRejected, UsageError
from analysis_lib.study import Study
from analysis_lib.survey.driver_plan import read_drivers
from analysis_lib.survey.drivers import prepare_cases, what_drives
from analysis_lib.survey.mean_model import average_change, fit_mean
from analysis_lib.survey.scenarios import Change, declared_scenarios, parse_changes, scenario

DECLARED = """
[[scenario]]
id = "fewer"
changes = "meetings_attended=-50%"
title_zh = "会议减半"
title_en = "Half the meetings"
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return with_drivers(tmp_path, DRIVERS + DECLARED)


class TestChangesAsAPersonWritesThem:
    def test_every_way_is_read(self):
        assert parse_changes("a=-50%, b=+2, c=-1,d=<=3") == {
            "a": Change("times", 0.5), "b": Change("plus", 2.0), "c": Change("plus", -1.0), "d": Change("cap", 3.0),
        }  # fmt: skip

    @pytest.mark.parametrize("text", ["", "a", "a=3", "a=<=50%", "a=-120%", "a=half", "a=-1,a=-2"])
    def test_what_cannot_be_read_is_refused_with_the_ways_to_write_it(self, text: str):
        with pytest.raises(UsageError):
            parse_changes(text)

    def test_nothing_falls_below_zero_by_taking_away(self):
        assert Change("plus", -2.0).applied(np.array([0.0, 1.0, 5.0])).tolist() == [0.0, 0.0, 3.0]


def test_the_command_tells_declared_scenarios_and_others(study, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "load_officials", lambda _run: officials(noise=1.0))
    monkeypatch.setattr(pipeline, "periods", lambda _run: SimpleNamespace(pooled={"2026Q1–2026Q2": QUARTERS}))
    for arguments, said in (([], "Half the meetings"), (["--halve", "meetings_attended"], "meetings_attended=-50%")):
        monkeypatch.setattr(
            sys, "argv", ["jianfu", "scenario", "--study", str(study.root), "--quarter", "2026Q2", *arguments]
        )
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        assert not stopped.value.code
        assert said in out
        assert "association, not effect" in err


class TestWhatTheModelGives:
    def test_a_known_world_gives_the_known_answer(self, study):
        """Hours are 1.5 a meeting and hardly any noise: half the meetings are 0.75 hours a meeting fewer."""
        frame = officials(noise=1e-3)
        [recall, diary] = scenario(frame, parse_changes("meetings=-50%"), study=study, quarters=QUARTERS)
        expected = -0.75 * np.average(frame["meetings_attended"], weights=frame["weight"])
        assert recall.estimate == pytest.approx(expected, rel=1e-3)
        kept = frame[frame["has_diary"]]
        expected = -1.5 * np.average(kept["meetings_attended"], weights=kept["diary_weight"])
        assert diary.estimate == pytest.approx(expected, rel=1e-3)

    def test_one_step_is_the_effect_that_the_drivers_tell(self, study):
        frame = officials(noise=2.0)
        told = what_drives(frame, study=study, period="p", quarters=QUARTERS).effects
        told = told[(told["measure"] == "recall_gross") & (told["category"] == "meetings")].iloc[0]
        found = scenario(frame, parse_changes("meetings_attended=+1"), study=study, quarters=QUARTERS)[0]
        for name in ("estimate", "se", "ci_low", "ci_high", "df"):
            assert getattr(found, name) == pytest.approx(told[name], rel=1e-9)

    @pytest.mark.parametrize("form", ["log", "identity"])
    def test_the_interval_is_that_of_leaving_out_one_unit_at_a_time(self, tmp_path, form):
        """Linearised against the jackknife of the whole procedure, within 3 per cent of the standard error."""
        study = with_drivers(tmp_path, DRIVERS.replace('"identity"', f'"{form}"'))
        frame, plan = officials(noise=3.0), read_drivers(study)
        change = parse_changes("meetings=-50%")
        found = scenario(frame, change, study=study, quarters=QUARTERS)[0]
        cases = prepare_cases(frame, "recall_gross", plan, study=study)
        place = cases.of_terms()["meetings"][0]
        after = cases.x.copy()
        after[:, place] *= 0.5

        def effect(weight: np.ndarray) -> float:
            return average_change(fit_mean(cases.y, cases.x, weight, form), cases.x, after)[0]

        psu, total = frame["psu"].to_numpy(), 0.0
        for stratum, units in frame.groupby("stratum")["psu"].unique().items():
            k = len(units)
            of_stratum = (frame["stratum"] == stratum).to_numpy()
            left = []
            for unit in units:
                weight = np.where(of_stratum, cases.weight * k / (k - 1), cases.weight)
                left.append(effect(np.where(psu == unit, 0.0, weight)))
            total += (k - 1) / k * ((np.array(left) - found.estimate) ** 2).sum()
        assert found.se == pytest.approx(np.sqrt(total), rel=0.03)

    def test_who_is_affected_and_who_leaves_what_was_observed(self, study):
        frame = officials(noise=1.0)
        halved, raised = (
            scenario(frame, parse_changes(text), study=study, quarters=QUARTERS)[0]
            for text in ("meetings=-50%", "meetings=+1")
        )
        weight = frame["weight"] / frame["weight"].sum()
        some = frame["meetings_attended"] > 0
        assert (halved.n, halved.affected, halved.outside) == (some.sum(), pytest.approx(weight[some].sum()), 0.0)
        most = frame["meetings_attended"] == frame["meetings_attended"].max()
        assert raised.outside == pytest.approx(weight[most].sum())

    def test_a_name_that_is_no_number_of_the_model_is_refused(self, study):
        with pytest.raises(UsageError, match="meetings"):
            scenario(officials(), parse_changes("meeting=-50%"), study=study, quarters=QUARTERS)
        with pytest.raises(UsageError, match="tier"):
            scenario(officials(), parse_changes("tier=-50%"), study=study, quarters=QUARTERS)

    def test_declared_scenarios_come_as_rows(self, study):
        rows, impossible = declared_scenarios(
            officials(noise=1.0), study=study, period="2026Q1–2026Q2", quarters=QUARTERS
        )
        assert impossible == {}
        assert rows["category"].tolist() == ["fewer", "fewer.affected", "fewer.outside"] * 2
        assert (rows.loc[rows["category"] == "fewer", "ci_high"] < 0).all()

    def test_why_there_are_none_is_said(self, study, tmp_path):
        asked = {"period": "2026Q1–2026Q2", "quarters": QUARTERS}
        silent = officials(noise=1.0).assign(meetings_attended=np.nan)
        few, why = declared_scenarios(silent, study=study, **asked)
        assert few.empty
        assert set(why.values()) == {"too few people answered everything that its model asks"}
        none, why = declared_scenarios(officials(), study=with_drivers(tmp_path / "undeclared", DRIVERS), **asked)
        assert none.empty
        assert why == {"drivers.toml": "no scenario is declared"}
        same = officials(noise=1.0).assign(documents_received=lambda rows: 2 * rows["meetings_attended"])
        unfit, why = declared_scenarios(same, study=study, **asked)
        assert unfit["estimate"].isna().all()
        assert all(why.values())

    def test_two_scenarios_of_one_id_are_refused(self, tmp_path):
        with pytest.raises(InputRejected, match="same id"):
            read_drivers(with_drivers(tmp_path, DRIVERS + DECLARED + DECLARED))
