"""Ten years of the demonstration study, played by the command line: forty quarters with what goes wrong in ten years.

Late deliveries, a new version of two questionnaires with an overlap, a changed method, a county that is split, a run, a
build and a publication killed by signal nine, two quarters whose timer never fires, and a quarter published again with
late returns. Every release is verified, signed by two people and published; every printed headline number that moved has
an account that adds up to 1e-9; every claim is scored in every later release; every link of the site leads somewhere
after every accident and at the end. The study is a small one: three provinces, one for each export format, of three
counties each, about five hundred officials a quarter.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd
from played_study import BUILDING, PUBLISHING, RUNNING, Script, Seen, play

from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.study import Study

WHOLE = Script(
    quarters=40,
    new_forms={"odk": 12, "slots": 27},
    new_method=20,
    split=16,
    crashes={6: RUNNING, 18: BUILDING, 30: PUBLISHING},
    missed=frozenset({23, 24}),
    revised=9,
    again=True,
    apart=False,
)


def certify() -> pd.DataFrame:
    """Play the whole, and say what was counted."""
    with tempfile.TemporaryDirectory(prefix="ten-years-") as folder:
        study, seen = play(Path(folder), WHOLE, lambda line: print(f"  {line}", file=sys.stderr, flush=True))
        return counted(WHOLE, study, seen)


def counted(script: Script, study: Study, seen: Seen) -> pd.DataFrame:
    """What a play counted on its way, and what its ledger holds at the end."""
    ledger = Ledger(study.ledger)
    scores = pd.Series([row["score"] for row in ledger.scores()]).value_counts()
    facts = {
        "notebooks": ", ".join(script.notebooks) or "all",
        "quarters published": script.quarters,
        "releases published, those that replaced one among them": len(seen.releases),
        "deliveries after their quarter was published": seen.late_drops,
        "commands killed and called again": seen.killed,
        "publications that were settled": seen.settled,
        "alarms while no timer fired": seen.alarms,
        "quarters caught up, oldest first": seen.caught_up,
        "builds refused until the change log spoke": seen.refused_methods,
        "headlines that waited for a word on their jump": seen.jumps,
        "accounts that add up": seen.accounts,
        "largest gap of an account, hours": float(seen.largest_gap),
        **{f"linking factor, {key}": float(factor) for key, factor in seen.links.items()},
        **{f"steps, {step}": count for step, count in sorted(seen.steps.items())},
        "claims recorded": len(ledger.claims()),
        **{f"claims scored, {score}": int(count) for score, count in scores.items()},
        "entries of the ledger, chain unbroken": ledger.verify_chain(),
        "minutes": sum(seen.seconds) / 60,
        "seconds of the second quarter": seen.seconds[1],
        "seconds of the last": seen.seconds[-1],
    }
    return pd.DataFrame({"what": list(facts), "found": list(facts.values())})
