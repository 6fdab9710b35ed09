"""What may be said of an effect: the words follow from its interval, its design and its checks, by rules and not taste."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis_lib.effects.results import CheckResult, EffectResult
from analysis_lib.errors import UsageError

Key = Literal["returned_hours", "no_change_that_matters", "added_hours", "cannot_tell"]

# One of these must hold: where neither could have seen trends part, nothing but belief speaks for parallel trends.
SPEAK_FOR_TRENDS = ("pretrends", "placebo_time")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said.

    Attributes
    ----------
    key : str
        ``returned_hours``, ``added_hours``, ``no_change_that_matters``, or ``cannot_tell``. The first two are about the
        sign; for a measure of which more is better the page says fewer and more hours.
    is_causal : bool
        Whether a sentence may say that the reform did it, rather than that it happened since.
    reasons : tuple of str
        Why it may not: ``no_comparison``, ``foil``, ``no_interval``, ``too_wide``, ``untested_trends`` (no check of
        trends before the start could have seen them part), ``fails.<check>``. Empty exactly when it may.
    reservations : tuple of str
        What a reader must know beside it: ``unclear.<check>`` where the data are too few to say, ``fails.<check>`` where
        a check does not decide about the word, ``small`` where the change is told from none but too small to matter.
    """

    key: Key
    is_causal: bool
    reasons: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()


def verdict(result: EffectResult, *, smallest_change: float, checks: tuple[CheckResult, ...] | None = None) -> Verdict:
    """Judge an effect by its interval, then whether its design and checks (its own unless given) allow a causal word.

    Raises
    ------
    UsageError
        When no change is too small to matter.
    """
    checks = result.checks if checks is None else checks
    key = words(result.ci_low, result.ci_high, smallest_change)
    is_told = not result.ci_low <= 0 <= result.ci_high
    has_interval = result.ci_low <= result.ci_high
    outcomes = {tried.key: tried.outcome for tried in checks}
    reasons = [
        *(["no_comparison"] if result.comparison == "none" else []),
        *(["foil"] if result.estimator == "two_way" else []),
        *([] if has_interval else ["no_interval"]),
        *(["too_wide"] if key == "cannot_tell" and has_interval else []),
        *([] if any(outcomes.get(name) == "holds" for name in SPEAK_FOR_TRENDS) else ["untested_trends"]),
        *(f"fails.{tried.key}" for tried in checks if tried.outcome == "fails" and tried.matters),
    ]
    reservations = [
        *(["small"] if key == "no_change_that_matters" and is_told else []),
        *(f"unclear.{tried.key}" for tried in checks if tried.outcome == "cannot_tell"),
        *(f"fails.{tried.key}" for tried in checks if tried.outcome == "fails" and not tried.matters),
    ]
    return Verdict(key, not reasons, tuple(reasons), tuple(reservations))


def words(ci_low: float, ci_high: float, smallest_change: float) -> Key:
    """The word for an interval; hours returned are below zero.

    An interval within ± ``smallest_change`` holds no change that matters, also where it does not hold zero.

    Raises
    ------
    UsageError
        When ``smallest_change`` is not above zero.
    """
    if not smallest_change > 0:
        raise UsageError(
            f"a smallest change that matters of {smallest_change}", where="verdict", fix="give one above zero"
        )
    if not ci_low <= ci_high:  # also where a limit is missing
        return "cannot_tell"
    if -smallest_change < ci_low and ci_high < smallest_change:
        return "no_change_that_matters"
    if ci_high < 0:
        return "returned_hours"
    if ci_low > 0:
        return "added_hours"
    return "cannot_tell"
