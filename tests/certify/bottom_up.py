"""A population with known counts and hours, sampled again and again: does the account find its parts?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from analysis_lib.study import Study
from analysis_lib.survey.bottom_up import estimate_bottom_up

REPOSITORY = Path(__file__).resolve().parents[2]
QUARTER = "2026Q1"
STRATA, TOWNSHIPS, OFFICIALS = 6, 80, 25
DRAWN_TOWNSHIPS, DRAWN_OFFICIALS, DIARIES = 8, 9, 4
MINUTES, DOUBT = 90.0, 6.0
FILE = (
    "item,group,activities,per,minutes,se_minutes,is_episode,source_zh,source_en\n"
    f"meetings_attended,meeting,M1,week,{MINUTES},{DOUBT},yes,,\n"
    "documents_received,document,D1,week,,,yes,,\n"
)
ASKED = [
    "bottom_up_total", "bottom_up_gap", "bottom_up_gap_counts", "bottom_up_gap_minutes", "bottom_up_gap_meeting_counts",
    "bottom_up_gap_meeting_minutes", "bottom_up_minutes_documents_received",
]  # fmt: skip


def certify(repetitions: int = 1000, seed: int = 20262) -> pd.DataFrame:
    """Coverage of 95 % intervals and bias of bottom-up hours, the gap and its parts.

    Two-stage samples of townships and officials; of each nine officials four keep a diary. Meetings take 90 minutes by a
    manual that is itself off by a draw of its standard error each time; documents take the length of their episodes.
    """
    truth, found = estimated(repetitions, seed)
    rows = []
    for measure in ASKED:
        numbers = pd.DataFrame([frame.loc[measure] for frame in found])
        inside = (numbers["ci_low"] <= truth[measure]) & (truth[measure] <= numbers["ci_high"])
        rows.append(
            {
                "what": measure,
                "n": STRATA * DRAWN_TOWNSHIPS * DRAWN_OFFICIALS,
                "repetitions": repetitions,
                "truth": truth[measure],
                "bias": numbers["estimate"].mean() - truth[measure],
                "sd": numbers["estimate"].std(),
                "se": np.sqrt((numbers["se"] ** 2).mean()),
                "coverage": inside.mean(),
                "seed": seed,
            }
        )
    return pd.DataFrame(rows)


def estimated(repetitions: int, seed: int, *, times: int = 1) -> tuple[dict[str, float], list[pd.DataFrame]]:
    """True values by measure, and of each sample the estimates; ``times`` as many townships are there, and drawn."""
    rng = np.random.default_rng(seed)
    population = _population(rng, times)
    with tempfile.TemporaryDirectory() as name:
        study = _study(Path(name))
        found = []
        for sample, minutes in _draws(population, repetitions, rng, times):
            text = FILE.replace(str(MINUTES), str(minutes))
            (study.reference / "unit_minutes.csv").write_text(text, encoding="utf-8")
            rows = estimate_bottom_up(
                sample, study=study, quarter=QUARTER, base=[QUARTER], regions=["all"], episodes=sample[["M1", "D1"]]
            )
            found.append(rows.set_index("measure").loc[ASKED, ["estimate", "se", "ci_low", "ci_high"]])
    return _truth(population), found


def _study(folder: Path) -> Study:
    shutil.copytree(REPOSITORY / "data" / "reference", folder / "reference")
    shutil.copy(REPOSITORY / "data" / "study.toml", folder)
    return Study.open(folder)


def _population(rng: np.random.Generator, times: int) -> pd.DataFrame:
    there = TOWNSHIPS * times
    township = np.repeat(np.arange(STRATA * there), OFFICIALS)
    level = rng.gamma(20, 1 / 20, STRATA * there)[township]
    meetings, documents = rng.poisson(5 * level), rng.poisson(12 * level)
    frame = pd.DataFrame(
        {
            "quarter": QUARTER, "region": "9101", "stratum": (township // there).astype(str),
            "psu": township.astype(str), "meetings_attended": rng.binomial(meetings, 0.8), "documents_received": documents,
            "M1": meetings, "D1": rng.binomial(documents, 0.5),
        }
    )  # fmt: skip
    hours = {
        "m1": frame["M1"] * rng.uniform(1.2, 2.4, len(frame)),
        "d1": frame["D1"] * rng.uniform(0.3, 0.7, len(frame)),
    }
    frame = frame.assign(**{f"activity_{code}": values for code, values in hours.items()})
    for group in ("meeting", "document", "form", "inspection", "digital", "for_show"):
        counted = {"meeting": hours["m1"], "document": hours["d1"]}.get(group, 0.0)
        frame[f"group_{group}"] = counted + rng.gamma(2, 0.5, len(frame))
    frame["gross"] = frame.filter(like="group_").sum(axis=1)
    return frame.astype({"meetings_attended": float, "documents_received": float, "M1": float, "D1": float})


def _draws(
    population: pd.DataFrame, repetitions: int, rng: np.random.Generator, times: int
) -> Iterator[tuple[pd.DataFrame, float]]:
    there, drawn = TOWNSHIPS * times, DRAWN_TOWNSHIPS * times
    rows = np.arange(len(population)).reshape(STRATA, there, OFFICIALS)
    stands_for = TOWNSHIPS / DRAWN_TOWNSHIPS * OFFICIALS
    of_diary = population.columns[population.columns.str.startswith(("activity_", "group_"))].to_list()
    of_diary += ["gross", "M1", "D1"]
    for _ in range(repetitions):
        townships = rng.permuted(np.tile(np.arange(there), (STRATA, 1)), axis=1)[:, :drawn]
        chosen = rng.permuted(rows[np.arange(STRATA)[:, None], townships].reshape(-1, OFFICIALS), axis=1)
        sample = population.iloc[chosen[:, :DRAWN_OFFICIALS].ravel()].reset_index(drop=True)
        has_diary = np.tile(np.arange(DRAWN_OFFICIALS) < DIARIES, len(chosen))
        sample.loc[~has_diary, of_diary] = np.nan
        sample["weight"] = stands_for / DRAWN_OFFICIALS
        sample["diary_weight"] = np.where(has_diary, stands_for / DIARIES, np.nan)
        yield sample, rng.normal(MINUTES, DOUBT)


def _truth(population: pd.DataFrame) -> dict[str, float]:
    mean = population.mean(numeric_only=True)
    unit, length = MINUTES / 60, mean["activity_m1"] / mean["M1"]
    each = mean["activity_d1"] / mean["D1"]
    meeting, document = mean["meetings_attended"] * unit, mean["documents_received"] * each
    counts = (mean["M1"] - mean["meetings_attended"]) * (length + unit) / 2
    minutes = (length - unit) * (mean["M1"] + mean["meetings_attended"]) / 2
    return {
        "bottom_up_total": meeting + document,
        "bottom_up_gap": mean["gross"] - meeting - document,
        "bottom_up_gap_counts": counts + (mean["D1"] - mean["documents_received"]) * each,
        "bottom_up_gap_minutes": minutes,
        "bottom_up_gap_meeting_counts": counts,
        "bottom_up_gap_meeting_minutes": minutes,
        "bottom_up_minutes_documents_received": 60 * each,
    }
