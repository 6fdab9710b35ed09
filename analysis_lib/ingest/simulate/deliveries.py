"""What reaches the research group in a quarter: the sample list it drew, and an export or two from each province."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from analysis_lib.ingest.instruments import read_instrument
from analysis_lib.ingest.simulate.diaries import DAY_TYPES, draw_dates, draw_day
from analysis_lib.ingest.simulate.dirt import resubmitted, soil_days
from analysis_lib.ingest.simulate.exports import Delivery, write_delivery, write_sample
from analysis_lib.ingest.simulate.fabricated import plant, with_copied_diaries
from analysis_lib.ingest.simulate.fieldwork import field_response, in_the_daytime, late_delivery, main_delivery
from analysis_lib.ingest.simulate.hours import TrueWeeks
from analysis_lib.ingest.simulate.listing import ask_list
from analysis_lib.ingest.simulate.recall import answer_questionnaire
from analysis_lib.ingest.simulate.scenarios import Scenario
from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.ingest.simulate.truth import write_dirt, write_fabricated, write_list_truth
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

_PLATFORMS = ("wjx", "odk", "slots")  # an equal share of the provinces each, in the order of regions.csv
_SLOT_MINUTES = 10
_RESENT_SHARE = 0.01  # of the first delivery's respondents, sent again with changes in a late one
_LAST_FILING_DAYS = 4  # a diary day is handed in this soon


def deliver_quarter(
    study: Study,
    panel: pd.DataFrame,
    now: TrueWeeks,
    before: TrueWeeks,
    *,
    scenario: Scenario,
    seed: int,
    fabricated: float = 0.0,
) -> None:
    """Write the drops of a quarter through the store, and what was planted in them to the truth."""
    quarter = now.quarter
    response = field_response(panel, now, quarter, scenario=scenario, rng=stream(seed, "response", quarter))
    answers = answer_questionnaire(panel, now, before, scenario=scenario, rng=stream(seed, "recall", quarter))
    listed = ask_list(answers["coping"], quarter, stream(seed, "list", quarter))
    answers = answers.join(listed.drop(columns="does_it"))
    everybody = panel[["respondent_id", "region", "psu"]].join(response).join(answers)
    returns, made_up = plant(everybody[response["answers"]], fabricated, quarter, seed=seed)
    write_fabricated(study, str(quarter), made_up)
    write_list_truth(study, str(quarter), panel, listed["does_it"])
    _deliver_sample(study, panel, now)
    provinces = study.regions_at("province")
    planted = []
    for position, province in enumerate(provinces):
        here = returns[returns["region"].isin(study.regions_at("county", under=province))]
        platform = _PLATFORMS[position * len(_PLATFORMS) // len(provinces)]
        planted += _deliver_province(study, province, platform, here, now, scenario, seed)
    write_dirt(study, str(quarter), pd.DataFrame(planted, columns=pd.Index(["drop", "fault", "count"])))


def _deliver_sample(study: Study, panel: pd.DataFrame, now: TrueWeeks) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "sample.csv"
        write_sample(panel, read_instrument(study, "sample-v1"), path)
        Store(study).receive(
            {"sample": path},
            quarter=now.quarter,
            instrument="sample-v1",
            source="research group (simulated)",
            slug="sample",
            received=now.quarter.first_day,
        )


def _deliver_province(
    study: Study,
    province: str,
    platform: str,
    returns: pd.DataFrame,
    now: TrueWeeks,
    scenario: Scenario,
    seed: int,
) -> list[tuple[str, str, int]]:
    """Write the one or two drops of a province; returns drop, fault and count."""
    quarter, rng = now.quarter, stream(seed, "delivery", now.quarter, province)
    received, slug = main_delivery(quarter, rng), f"p{province}-{platform}"
    received_late = late_delivery(received, rng)
    is_late = returns["is_late"] & (received_late is not None)
    drops = [(received, slug, returns[~is_late], returns[:0])]
    if received_late is not None:
        resent = returns[~is_late & (rng.random(len(returns)) < _RESENT_SHARE)]
        drops.append((received_late, f"{slug}-late", returns[is_late], resent))
    planted = []
    for day, name, new, resent in drops:
        if not len(new) + len(resent):
            continue
        tally: Counter[str] = Counter()
        rng = stream(seed, "export", quarter, name)
        delivery = _collect(study, new, resent, platform, now, scenario, rng, tally)
        with tempfile.TemporaryDirectory() as scratch:
            drop, _ = Store(study).receive(
                write_delivery(delivery, read_instrument(study, f"{platform}-v1"), Path(scratch), rng=rng, tally=tally),
                quarter=quarter,
                instrument=f"{platform}-v1",
                source=f"{study.region_name(province, 'en')} (simulated)",
                slug=name,
                received=day,
            )
        planted += [(drop.id, fault, count) for fault, count in sorted(tally.items()) if count]
    return planted


def _collect(
    study: Study,
    new: pd.DataFrame,
    resent: pd.DataFrame,
    platform: str,
    now: TrueWeeks,
    scenario: Scenario,
    rng: np.random.Generator,
    tally: Counter[str],
) -> Delivery:
    """Questionnaires, diary days and episodes of one delivery, before dirt in cells and rows."""
    no_answers = ["region", "psu", "diary_of", "answers", "weekday", "weekend", "is_late"]
    answers = pd.concat([new, resubmitted(resent, rng)], ignore_index=True).drop(columns=no_answers)
    tally["resent_in_late_delivery"] += len(resent)
    moved = scenario.moved_online
    days, episodes = [], []
    for day_type in DAY_TYPES:
        diarists = new[new[day_type]]
        first = sum(len(drawn) for drawn in days)
        dates = draw_dates(study, now.quarter, day_type, len(diarists), rng)
        filed = pd.to_timedelta(rng.integers(1, _LAST_FILING_DAYS + 1, len(diarists)), unit="D")
        days.append(
            pd.DataFrame(
                {
                    "day": first + np.arange(len(diarists)),
                    "respondent_id": diarists["respondent_id"].to_numpy(),
                    "submitted_at": pd.DatetimeIndex(dates) + filed + in_the_daytime(len(diarists), rng),
                    "diary_date": pd.DatetimeIndex(dates),
                }
            )
        )
        rounded_to = _SLOT_MINUTES if platform == "slots" else None
        drawn = draw_day(now, diarists.index.to_numpy(), day_type, rounded_to=rounded_to, moved=moved, rng=rng)
        drawn = with_copied_diaries(drawn, diarists)
        episodes.append(drawn.assign(day=first + drawn["row"]).drop(columns="row"))
    return Delivery(
        answers,
        soil_days(pd.concat(days, ignore_index=True), rng, tally),
        pd.concat(episodes, ignore_index=True),
    )
