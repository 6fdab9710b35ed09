"""Would another reasonable analyst agree? Every check of each reform's effect, and every declared way to estimate it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis_lib.effects.designs import Design, blank_result, settle_designs
from analysis_lib.effects.panel import Panel
from analysis_lib.effects.results import CheckResult, EffectResult, as_rows, checks_table, row_of
from analysis_lib.effects.specification_curve import Alternatives, Curve, specification_curve
from analysis_lib.effects.trials import other_dates, try_effect
from analysis_lib.errors import DesignError
from analysis_lib.study import Study

AGREEING = 0.9  # share of ways that must lie on the side of the planned one
DRAWS = 499  # assignments of starts in the joint test of all ways


@dataclass(frozen=True, slots=True, eq=False)
class Challenge:
    """What else could have been chosen, and what came of it, as tables of the contract ``estimates``.

    Attributes
    ----------
    checks : pandas.DataFrame
        Rows of `results.checks_table`: of the primary measure, and of those that the reform means to cut.
    specifications : pandas.DataFrame
        Every declared way to estimate the effect on the primary measure.
    impossible : dict of str to str
        Reform → why nothing can be tried on it.
    """

    checks: pd.DataFrame
    specifications: pd.DataFrame
    impossible: dict[str, str]


def challenge_reforms(
    official_quarters: pd.DataFrame,
    sample: pd.DataFrame,
    *,
    study: Study,
    quarters: Sequence[str],
    progress: Callable[[str], object] | None = None,
) -> Challenge:
    """Put the effect of every reform to every check that there are data for.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        The whole sample of the quarters.
    sample : pandas.DataFrame
        The officials drawn in these quarters, whether or not they answered; empty where no list was kept.
    quarters : sequence of str
        Consecutive quarters up to the one under report.
    progress : callable, optional
        Told the title of each reform as it comes.
    """
    designs, impossible = settle_designs(official_quarters, study=study, quarters=quarters, progress=progress)
    results: list[EffectResult] = []
    ways: list[dict] = []
    for design in designs:
        if design.is_for_all_at_once:
            impossible[design.reform.id] = "it came to all regions at once: there is no other region to try it on"
            continue
        try:
            for key in design.checked:
                tried = try_effect(key, design, official_quarters, sample, study=study)
                results.append(replace(blank_result(key, design, study), checks=tuple(tried)))
        except DesignError as error:
            impossible[design.reform.id] = str(error)
            continue
        primary = design.panels[design.primary]
        curve = specification_curve(primary, design.way, alternatives=_alternatives(primary, design), draws=DRAWS)
        first = next(each for each, result in enumerate(results) if result.reform == design.reform.id)
        results[first] = replace(results[first], checks=(*results[first].checks, _of_ways(curve)))
        ways += _rows(curve, results[first], design)
    return Challenge(checks_table(results), as_rows(ways), impossible)


def _alternatives(panel: Panel, design: Design) -> Alternatives:
    """Other dates, and a window without the first quarter, where enough are left before the first start."""
    first = min(panel.cohorts)
    windows = {"later": (1, len(panel.periods) - 1)} if first > 2 else {}
    return Alternatives(starts=other_dates(panel, design), windows=windows)


def _of_ways(curve: Curve) -> CheckResult:
    """Do the declared ways agree? Each counts by the side of zero on which its interval lies, if it does."""
    frame = curve.frame
    side = (frame["ci_low"] > 0).astype(int) - (frame["ci_high"] < 0)
    planned = int(side[frame["is_planned"]].iloc[0])
    sign = np.sign(frame.loc[frame["is_planned"], "estimate"].iloc[0])
    agree, opposed = float((side == planned).mean()), float((side == -sign).mean())
    facts = {
        "tried": float(len(frame)),
        "same_sign": float(round(curve.same_sign * len(frame))),
        "beyond_zero": float(round(curve.beyond_zero * len(frame))),
        "p_value": curve.p_value,
    }
    outcome = "fails" if opposed > 1 - AGREEING else "holds" if agree >= AGREEING else "cannot_tell"
    return CheckResult("specifications", outcome, curve.same_sign, unit="share", facts=facts, matters=False)


def _rows(curve: Curve, result: EffectResult, design: Design) -> Iterator[dict]:
    for row in curve.frame.to_dict("records"):
        parts = [
            "planned" if row["is_planned"] else "other",
            row["estimator"],
            row["comparison"],
            row["date"],
            "others_out" if row["takes_out_others"] else "others_in",
            "officials" if row["weighs"] else "equal",
            f"early_{row['anticipation']}",
            row["window"],
        ]
        numbers = {name: row[name] for name in ("estimate", "se", "ci_low", "ci_high")}
        yield row_of(result, "specification", ".".join([design.reform.id, *parts])) | numbers
