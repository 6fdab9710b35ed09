"""What became of reforms, made once for the notebooks on displacement, guardrails and what to adjust."""

from __future__ import annotations

import pandas as pd

from analysis_lib import pipeline
from analysis_lib.monitoring.following import Following, follow_reforms
from analysis_lib.monitoring.guarding import compared_quarters
from analysis_lib.parameters import RunParameters


def load_following(run: RunParameters) -> Following:
    """Every reform followed up to the quarter under report; the first notebook that asks follows them."""
    tables = pipeline.made_once(run, __name__, lambda: _followed(run))
    reasons = tables.pop("impossible")
    return Following(**tables, impossible=dict(zip(reasons["what"], reasons["why"], strict=True)))


def _followed(run: RunParameters) -> dict[str, pd.DataFrame]:
    quarters = pipeline.periods(run).unbroken
    compared = compared_quarters(run.study, quarters)
    found = follow_reforms(
        pipeline.load_officials(run),
        study=run.study,
        quarters=quarters,
        earlier=compared.earlier,
        later=compared.lately,
    )
    reasons = {"what": list(found.impossible), "why": list(found.impossible.values())}
    return {
        "looks": found.looks,
        "lasting": found.lasting,
        "accounts": found.accounts,
        "ratios": found.ratios,
        "impossible": pd.DataFrame(reasons, dtype=str),
    }
