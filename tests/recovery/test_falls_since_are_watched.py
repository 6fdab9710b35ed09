"""Hours watched where scatter is assumed: false alarms and delay as stated, and what the page says of a national reform."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from certify.rebound import LOST_OR_NOT, WATCHED, Watched, watched

from analysis_lib.disclosure.protect import protect
from analysis_lib.effects.results import as_rows
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.monitoring.adjusting import Adjustments, adjust
from analysis_lib.monitoring.following import Following, follow_reforms
from analysis_lib.parameters import RunParameters
from analysis_lib.pipeline import load_officials, periods
from analysis_lib.publishing.lasting_words import lasting_answer
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study

REPETITIONS, SEED = 200, 20280
# What docs/methods.md states of a fall that lasts, and of one that is lost, by what the certificate found.
STATED = {
    "a nation, a year before, scatter 1": (0.03, 0.75, 3),
    "a nation, a year before, scatter 2": (0.13, 0.57, 7),
    "a nation, two years before, scatter 0.5": (0.03, 0.75, 3),
    "3 of 6 provinces, scatter 1": (0.09, 0.87, 3),
}


def chance(share: float) -> float:
    """Three standard errors of a simulated share."""
    return 3 * float(np.sqrt(share * (1 - share) / REPETITIONS))


@pytest.mark.parametrize("world", [world for world in WATCHED if world.name in STATED], ids=lambda world: world.name)
def test_false_alarms_and_relapses_found_are_as_stated(world: Watched) -> None:
    false, found, delay = STATED[world.name]
    rows = watched(world, REPETITIONS, SEED, effects=LOST_OR_NOT[:2]).set_index("effect")
    lost = rows.loc["all lost after 4 quarters"]
    assert rows.at["holds", "by 12"] <= false + chance(false)
    assert lost["by 12"] >= found - chance(found)
    assert lost["delay"] <= delay + 1


NATIONAL = """
[[reform]]
id = "everywhere"
title_zh = "全国减负"
title_en = "Relief everywhere"
level = "nation"
groups = ["meeting", "document", "form", "inspection"]
units = { all = "2024Q4" }
"""


def followed(folder, scenario: str) -> tuple[Following, Adjustments, Study]:
    study = init_study(folder, simulated=True)
    (study.reference / "reforms.toml").write_text(NATIONAL, encoding="utf-8")
    simulate_study(study, scenario=scenario)
    run = RunParameters.parse(study=str(study.root), quarter="2026Q3", region="all", as_of="", results_dir="")
    _, earlier, later = periods(run).change
    officials, quarters = load_officials(run), list(periods(run).series)
    found = follow_reforms(officials, study=study, quarters=quarters, earlier=earlier, later=later)
    own = pd.DataFrame({"measure": pd.Series(dtype="str")})
    return found, adjust(officials, found, own, study=study, quarters=quarters), study


@pytest.mark.parametrize(("scenario", "outcome"), [("b", "holds"), ("e", "relapsed")])
def test_a_national_reform_is_followed_and_nothing_is_put_down_to_it(tmp_path, scenario, outcome) -> None:
    found, applied, study = followed(tmp_path / "study", scenario)
    lost = found.lasting[found.lasting["category"] == "everywhere.lost"]
    assert lost["outcome"].iloc[0] == outcome
    assert set(found.lasting["comparison"]) == {"none"}
    assert found.looks.empty
    assert list(found.impossible) == ["everywhere"]
    assert "everywhere" not in set(found.accounts["category"].str.split(".").str[0])
    answer = applied.rows.set_index("category")["outcome"]["everywhere.relapsed"]
    assert answer == {"holds": "no", "relapsed": "since"}[outcome]
    assert applied.decisions["everywhere"].recommendation == "cannot_tell"
    tables = [protect(table, name, study=study)
              for table, name in ((as_rows([]), "l"), (found.lasting, "r"), (found.accounts, "a"))]  # fmt: skip
    said = {language: lasting_answer(*tables, study=study, language=language) for language in ("en", "zh")}
    assert "Nothing tells the reform from whatever else changed" in said["en"]
    assert "与同时的其他变化分不开" in said["zh"]
    assert "effect" not in said["en"]
