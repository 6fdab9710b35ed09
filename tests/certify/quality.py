"""How much of what was planted is found, at which rate of false alarms: simulated quarters with made-up returns."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from analysis_lib import pipeline
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.parameters import RunParameters
from analysis_lib.quality.flags import suspicion
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

REPOSITORY = Path(__file__).resolve().parents[2]
QUARTER = "2025Q3"  # reforms are in force in many counties by then: scenario h has answers to dictate
PLANTED_SHARE = 0.03
RATES = (0.0001, 0.001, 0.01)
# The sign that each way of making up a return should show.
SIGN_OF = {
    "dictated": ["alike_unit", "colleague_duplicate"],
    "fabricated_unit": ["alike_unit", "colleague_duplicate", "same_time"],
    "copied": ["near_duplicate"],
    "straight_lined": ["longstring", "variability", "fast"],
    "random_scales": ["distance", "fast"],
    "copied_diary": ["diary_copied", "diary_identical"],
}


def certify(quarters: int = 8, seed: int = 20265, rates: tuple[float, ...] = RATES) -> pd.DataFrame:
    """Points of the ROC curve by sign and way of making up: share found, share of honest returns flagged.

    Each quarter is another seed of scenario h (dictated answers) with three per cent of units and people made up in each
    other way. Someone who was copied from is neither honest nor made up, and counts in neither share.
    """
    found = pd.concat([planted(seed + step) for step in range(quarters)], ignore_index=True)
    table = []
    for kind, signs in SIGN_OF.items():
        for sign in signs:
            known = found[found[sign].notna()]
            made_up, honest = known.loc[known["kind"] == kind, sign], known.loc[known["kind"] == "honest", sign]
            for rate in rates:
                table.append(
                    {
                        "what": f"{kind} by {sign}",
                        "n": len(made_up),
                        "repetitions": quarters,
                        "rate": rate,
                        "found": float((made_up <= rate).mean()) if len(made_up) else np.nan,
                        "false_alarms": float((honest <= rate).mean()),
                        "seed": seed,
                    }
                )
    return pd.DataFrame(table)


def planted(seed: int, *, share: float = PLANTED_SHARE, scenario: str = "h") -> pd.DataFrame:
    """The signs of one simulated quarter and what each return really is."""
    with tempfile.TemporaryDirectory() as scratch:
        study = _study(Path(scratch) / "study")
        simulate_study(study, scenario=scenario, seed=seed, fabricated=share, progress=False)
        run = RunParameters(study, Quarter.parse(QUARTER))
        officials = pipeline.load(run, "official_quarters")
        signs = suspicion(pipeline.load_wave(run), officials, study=study, quarter=run.quarter)
        truth = pd.read_csv(study.root / "truth" / "fabricated" / f"{QUARTER}.csv")
    # In dictating units that were also made up, or where two kinds meet, the first one listed counts.
    kinds = truth.drop_duplicates("respondent_id")[["respondent_id", "kind"]]
    return signs.merge(kinds, on="respondent_id", how="left").fillna({"kind": "honest"})


def _study(folder: Path) -> Study:
    folder.mkdir()
    text = (REPOSITORY / "data" / "study.toml").read_text(encoding="utf-8")
    text = text.replace('first = "2023Q4"', f'first = "{QUARTER}"').replace('last = "2026Q3"', f'last = "{QUARTER}"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "data" / "reference", folder / "reference")
    return Study.open(folder)
