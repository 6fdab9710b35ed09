"""Numbers made from several weighted means of one sample by + − × ÷, with the error that follows.

Each number carries its value and the linearised score of every row, and arithmetic carries both along (the delta
method, one operation at a time)::

    mean      score of a row = w (y − ȳ) ÷ Σ w
    f(a, b)   score = ∂f/∂a · score(a) + ∂f/∂b · score(b)

Means of the questionnaire and of the diaries thus keep their covariance, however they are combined, and parts that add
up in value add up in score. Numbers from outside the sample, such as minutes from a manual, come with a standard error
and are independent of it and of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis_lib.survey.design import Sample
from analysis_lib.survey.linearisation import t_interval

MANY = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """A number with its linearised scores.

    Attributes
    ----------
    value : float
        The number; missing when it divides by zero or rests on nobody.
    scores : numpy.ndarray
        Of each row of the sample, shape (rows,).
    outside : dict of str to float
        Standard error that each number from outside the sample adds, signed, by its name.
    n, n_psu, df : int
        Respondents, PSUs, and PSUs less strata behind the smallest of the means it is made from.
    """

    value: float
    scores: np.ndarray
    outside: dict[str, float] = field(default_factory=dict)
    n: int = MANY
    n_psu: int = MANY
    df: int = MANY

    def _with(self, other: Derived, value: float, by_self: float, by_other: float) -> Derived:
        names = self.outside.keys() | other.outside.keys()
        return Derived(
            value,
            by_self * self.scores + by_other * other.scores,
            {
                name: by_self * self.outside.get(name, 0.0) + by_other * other.outside.get(name, 0.0)
                for name in sorted(names)
            },
            min(self.n, other.n),
            min(self.n_psu, other.n_psu),
            min(self.df, other.df),
        )

    def __add__(self, other: Derived) -> Derived:
        return self._with(other, self.value + other.value, 1.0, 1.0)

    def __sub__(self, other: Derived) -> Derived:
        return self._with(other, self.value - other.value, 1.0, -1.0)

    def __mul__(self, other: Derived) -> Derived:
        return self._with(other, self.value * other.value, other.value, self.value)

    def __truediv__(self, other: Derived) -> Derived:
        if other.value == 0:
            return self._with(other, np.nan, np.nan, np.nan)
        quotient = self.value / other.value
        return self._with(other, quotient, 1 / other.value, -quotient / other.value)

    def times(self, factor: float) -> Derived:
        """The number times an exact factor."""
        return self._with(self, factor * self.value, factor, 0.0)


def mean_of(sample: Sample, y: np.ndarray, weight: np.ndarray, inside: np.ndarray) -> Derived:
    """Weighted mean over the rows of a domain where value and weight are known.

    Parameters
    ----------
    y, weight : numpy.ndarray
        Of every row of the sample, missing where unknown.
    inside : numpy.ndarray
        Whether each row is in the domain.
    """
    described = inside & np.isfinite(y) & (np.nan_to_num(weight) > 0)
    w = np.where(described, weight, 0.0)
    if not described.any():
        return Derived(np.nan, np.full(len(y), np.nan), n=0, n_psu=0, df=0)
    known = np.where(described, y, 0.0)
    value = float(w @ known / w.sum())
    units = np.unique(sample.psu[described])
    strata = np.unique(sample.stages[0].parent[units])
    return Derived(
        value,
        w * (known - value) / w.sum(),
        n=int(described.sum()),
        n_psu=len(units),
        df=len(units) - len(strata),
    )


def given(sample: Sample, name: str, value: float, se: float) -> Derived:
    """A number from outside the sample."""
    return Derived(value, np.zeros(len(sample.psu)), {name: se})


def zero(sample: Sample) -> Derived:
    """Nothing, to add to."""
    return Derived(0.0, np.zeros(len(sample.psu)))


def measured(sample: Sample, numbers: list[Derived], confidence_level: float) -> dict[str, np.ndarray]:
    """Estimate, error and interval of each number: the columns of the contract ``estimates`` but ``deff``.

    A number without a degree of freedom has no error, as everywhere.
    """
    value = np.array([number.value for number in numbers])
    unit = sample.stages[-1].unit
    scores = np.column_stack([number.scores for number in numbers])
    variance = sample.variances(scores, np.zeros(len(unit), dtype=np.int64), unit, 1)[0]
    variance = variance + np.array([sum(se**2 for se in number.outside.values()) for number in numbers])
    n, n_psu, df = (np.array([getattr(number, name) for number in numbers]) for name in ("n", "n_psu", "df"))
    se = np.where((df >= 1) & np.isfinite(value), np.sqrt(variance), np.nan)
    low, high = t_interval(value, se, df.astype(float), confidence_level)
    return {
        "estimate": value, "se": se, "ci_low": low, "ci_high": high, "df": df.astype(float), "n": n, "n_psu": n_psu,
    }  # fmt: skip
