"""The interval of a ratio of two estimates (Fieller 1954)."""

from __future__ import annotations

import math


def fieller(
    numerator: float, denominator: float, variance: float, of_denominator: float, covariance: float, t: float
) -> tuple[float, float]:
    """Bounds of a ratio: the values θ for which numerator − θ denominator is within t standard errors of zero.

    NaN where the denominator itself is: the values are then no interval.
    """
    a = denominator**2 - t**2 * of_denominator
    b = numerator * denominator - t**2 * covariance
    c = numerator**2 - t**2 * variance
    if not a > 0:
        return math.nan, math.nan
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return (b - root) / a, (b + root) / a
