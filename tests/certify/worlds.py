"""Studies lived through in a scenario, as the tables that notebooks load: without exports and their dirt."""

from __future__ import annotations

from dataclasses import dataclass
from unittest import mock

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate import officials as panels
from analysis_lib.ingest.simulate.diaries import DAY_TYPES, draw_dates, draw_day
from analysis_lib.ingest.simulate.fieldwork import field_response
from analysis_lib.ingest.simulate.hours import TrueWeeks, live_quarter, settle_habits
from analysis_lib.ingest.simulate.officials import draw_sample, whole_frame
from analysis_lib.ingest.simulate.recall import answer_questionnaire
from analysis_lib.ingest.simulate.scenarios import Scenario, find_scenario
from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study
from analysis_lib.survey.weighting import final_weights
from analysis_lib.tables.contracts import blank
from analysis_lib.time_use.burden import official_quarters
from analysis_lib.time_use.diaries import day_activities

OF_SAMPLE = [
    "respondent_id", "quarter", "region", "tier", "stratum", "psu", "base_weight", "has_diary_task", "diary_base_weight",
    "age_group", "role", "first_quarter",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Returned:
    """What a study knows of its quarters: official-quarters, the answers behind them, the lists of those asked."""

    officials: pd.DataFrame
    respondents: pd.DataFrame
    sample: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Country:
    """Everyone's true weeks, in the quarters surveyed and in those before each of them."""

    study: Study
    scenario: Scenario
    seed: int
    quarters: list[Quarter]
    frame: pd.DataFrame
    weeks: dict[Quarter, TrueWeeks]

    @classmethod
    def of(cls, study: Study, letter: str, seed: int, quarters: list[Quarter]) -> Country:
        """Live through a scenario; another seed is another country."""
        scenario, frame, reforms = find_scenario(letter), whole_frame(study, seed=seed), read_reforms(study)
        habits = settle_habits(frame, seed=seed)
        lived = {
            quarter: live_quarter(frame, habits, quarter, scenario=scenario, reforms=reforms, seed=seed)
            for quarter in {each for asked in quarters for each in (asked.shift(-1), asked)}
        }
        return cls(study, scenario, seed, quarters, frame, lived)

    def returns(self, *, luck: int = 0, times: int = 1, all_answer: bool = False) -> Returned:
        """Draw a panel and ask it in every quarter.

        Parameters
        ----------
        luck : int
            Another one draws other work units, officials and days from the same weeks.
        times : int
            As many officials of each work unit as this times the demonstration's.
        all_answer : bool
            Whether everybody hands in everything.
        """
        rng = stream(self.seed, "panel", luck)
        # The panel slides over a fixed order of officials: another order in every draw.
        place = pd.Series(rng.random(len(self.frame))).groupby([self.frame["psu"], self.frame["tier"]]).rank()
        frame = self.frame.assign(place=place.astype("int64") - 1)
        of_panel = int(rng.integers(2**31))
        with mock.patch.dict(panels._TAKEN, {tier: times * taken for tier, taken in panels._TAKEN.items()}):
            drawn = [draw_sample(frame, quarter, first=self.quarters[0], seed=of_panel) for quarter in self.quarters]
        found = [self._asked(panel, luck, all_answer) for panel in drawn]
        respondents, episodes, sample = (pd.concat(each, ignore_index=True) for each in zip(*found, strict=True))
        activities, days, _ = day_activities(episodes, blank("day_totals"), study=self.study)
        tables = {"respondents": respondents, "sample": sample, "day_activities": activities, "diary_days": days}
        officials, _ = final_weights(official_quarters(tables, study=self.study), sample, study=self.study)
        return Returned(officials, respondents, sample)

    def _asked(
        self, panel: pd.DataFrame, luck: int, all_answer: bool
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Answers, episodes and the sample list of one quarter."""
        quarter = Quarter.parse(panel["quarter"].iloc[0])
        now, before = self.weeks[quarter], self.weeks[quarter.shift(-1)]
        rng = stream(self.seed, "returns", luck, quarter)
        response = field_response(panel, now, quarter, scenario=self.scenario, rng=rng)
        if all_answer:
            response = response.assign(answers=True, **dict.fromkeys(DAY_TYPES, panel["has_diary_task"]))
        answers = answer_questionnaire(panel, now, before, scenario=self.scenario, rng=rng)
        named = panel[["respondent_id", "quarter", "region"]].assign(drop="", received="", instrument="")
        days = [self._diaries(panel[response[each]], each, now, rng) for each in DAY_TYPES]
        return named.join(answers)[response["answers"]], pd.concat(days), panel[OF_SAMPLE]

    def _diaries(self, diarists: pd.DataFrame, day_type: str, now: TrueWeeks, rng: np.random.Generator) -> pd.DataFrame:
        dates = draw_dates(self.study, now.quarter, day_type, len(diarists), rng).astype(str)
        drawn = draw_day(
            now, diarists.index.to_numpy(), day_type, rounded_to=None, moved=self.scenario.moved_online, rng=rng
        )
        row = drawn.pop("row").to_numpy()
        return drawn.rename(columns={"start": "start_minute", "end": "end_minute"}).assign(
            respondent_id=diarists["respondent_id"].to_numpy()[row],
            quarter=str(now.quarter),
            diary_date=dates[row],
            value=drawn["value"].where(drawn["value"] > 0).astype(float),
            drop="",
        )
