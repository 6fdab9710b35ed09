"""Weeks as compositions: log-ratios of parts of a whole, which say what changed relative to what.

Parts of a fixed whole cannot change one by one; ratios between them can (Aitchison 1986). With x the parts, a log
contrast is c' log x, Σ c = 0, and no such number depends on the unit or on parts that are left out (c = 0)::

    clr       log x_k − mean of log x                                 each part against the geometric mean of all
    balance   √(rs / (r + s)) (mean log x_R − mean log x_S)           r parts R against s parts S (Egozcue and
                                                                      Pawlowsky-Glahn 2005)
    ilr       D − 1 orthonormal log contrasts                         a basis of balances (Egozcue et al. 2003)

*Zeros*: a person does none of many things in a week, and log 0 is none. The change of a week is therefore that of the
ratios of *mean* hours, which are zero only where nobody did anything, and whose error follows from that of the account
(delta method). Parts whose hours are not told from none, before or after, have no ratio that could be told and stay out.
Ratios of means weigh hours, not persons: they are what the additive account says, on another scale. For log-ratios of
single persons zeros are replaced first (`replace_zeros`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.accounts import WORK, Account, correlation, joint_level
from analysis_lib.tables.contracts import CONTRACTS, check

BY_LOG_RATIO = "log_ratio"
# Burden against all other work; what was to be cut against all other burden.
BALANCES = ("burden_to_other_work", "cut_to_other_burden")


def log_ratio_changes(
    account: Account, name: str, *, balances: Mapping[str, tuple[Sequence[str], Sequence[str]]] | None = None
) -> pd.DataFrame:
    """How the parts of an account changed relative to each other.

    Parameters
    ----------
    account : Account
        Hours before and after.
    name : str
        Which of its partitions.
    balances : mapping of str to tuple, optional
        Name → parts of which more is above zero, and parts that they are held against.

    Returns
    -------
    pandas.DataFrame
        part, estimate, se, df, ci_low, ci_high, joint_low, joint_high: changes of the clr coordinate of each part, then
        of the balances. exp(estimate) of a part is the factor by which it grew beyond the parts on the geometric
        average. Joint intervals hold for all rows at once. A part of `parts_with_hours` alone has a ratio and enters
        the average.

    Raises
    ------
    UsageError
        When fewer than two parts have hours, or a balance names a part that has none or that is on both sides.
    """
    given = parts_with_hours(account, name)
    if len(given) < 2:
        raise UsageError("fewer than two parts have hours", where=f"account by {name}", fix="take another partition")
    at = {key: place for place, key in enumerate(account.keys)}
    contrasts = dict(zip(given, np.eye(len(given)) - 1 / len(given), strict=True))
    contrasts |= {key: balance(given, more, less) for key, (more, less) in (balances or {}).items()}
    c, places = np.array(list(contrasts.values())), [at[key] for key in given]
    change = c @ np.log(account.after[places] / account.before[places])
    slopes = np.zeros((len(c), 2 * len(at)))
    slopes[:, places] = -c / account.before[places]
    slopes[:, [len(at) + place for place in places]] = c / account.after[places]
    told = account.told(change, slopes)
    numbers = [(each.estimate, each.se, each.df, each.low, each.high) for each in told]
    frame = pd.DataFrame(numbers, columns=pd.Index(["estimate", "se", "df", "ci_low", "ci_high"]))
    frame.insert(0, "part", list(contrasts))
    level = joint_level(
        correlation([slopes @ scores for scores, _ in account.blocks]), account.confidence_level, df=frame["df"].min()
    )
    reach = frame["se"] * stats.t.ppf((1 + level) / 2, frame["df"])
    return frame.assign(joint_low=frame["estimate"] - reach, joint_high=frame["estimate"] + reach)


def parts_with_hours(account: Account, name: str) -> list[str]:
    """Parts of a partition whose hours before and after are both told from none by their intervals.

    Raises
    ------
    UsageError
        When the account has no such partition.
    """
    if name not in account.partitions:
        raise UsageError(f"no account by {name!r}", where="compositions", fix=f"one of {sorted(account.partitions)}")
    identity = np.eye(len(account.keys))
    sides = [
        (account.before, np.hstack([identity, 0 * identity])),
        (account.after, np.hstack([0 * identity, identity])),
    ]
    told = [[each.low > 0 for each in account.told(means, slopes)] for means, slopes in sides]
    has_hours = dict(zip(account.keys, np.all(told, axis=0), strict=True))
    return [key for key in account.partitions[name].parts if has_hours[key]]


def log_ratio_table(account: Account) -> pd.DataFrame:
    """How the parts of the working week changed relative to each other, as rows of the contract ``estimates``.

    Returns
    -------
    pandas.DataFrame
        ``by`` is ``log_ratio``, ``category`` ``<label>.<part>``, and ``<label>.<part>.joint`` with the joint interval; the
        estimate is a relative change (0.1: a tenth more) beyond the geometric mean of all parts, or of one side of a
        balance (`BALANCES`) beyond the other. Without rows where fewer than two parts have hours.
    """
    given = parts_with_hours(account, WORK)
    if len(given) < 2:
        return _as_estimates([])
    burden, cut = ({f"group_{group}" for group in groups} & set(given) for groups in (account.burden, account.cut))
    sides = dict(zip(BALANCES, ((burden, set(given) - burden), (cut, burden - cut)), strict=True))
    balances = {name: (sorted(more), sorted(less)) for name, (more, less) in sides.items() if more and less}
    found = log_ratio_changes(account, WORK, balances=balances)
    # A balance has length one; over the norm of its contrast it is the logarithm of a ratio of geometric means.
    norms = {name: math.sqrt(1 / len(more) + 1 / len(less)) for name, (more, less) in balances.items()}
    scale = found["part"].map(norms).fillna(1.0)
    means = 2 if math.isnan(account.n_treated) else int(account.n_treated + account.n_comparison)
    common = {
        "statistic": "effect", "unit": "share", "region": account.region, "by": BY_LOG_RATIO, "period": account.period,
        "se": math.nan, "deff": math.nan, "n": account.n, "n_psu": account.n_psu, "n_treated": account.n_treated,
        "n_comparison": account.n_comparison, "residual_df": float(max(account.n - means, 0)),
    }  # fmt: skip
    return _as_estimates(
        [
            common
            | {"measure": row["part"], "category": f"{account.label}.{row['part']}{which}", "df": row["df"]}
            | {
                name: math.expm1(factor * row[source])
                for name, source in (("estimate", "estimate"), ("ci_low", f"{kind}_low"), ("ci_high", f"{kind}_high"))
            }
            for row, factor in zip(found.to_dict("records"), scale, strict=True)
            for which, kind in (("", "ci"), (".joint", "joint"))
        ]
    )


def _as_estimates(rows: list[dict]) -> pd.DataFrame:
    kinds = {name: str(column.dtype) for name, column in CONTRACTS["estimates"].schema.columns.items()}
    kinds |= dict.fromkeys(("n_treated", "n_comparison", "residual_df"), "float64")
    return check(pd.DataFrame(rows, columns=pd.Index(list(kinds))).astype(kinds), "estimates")


def balance(parts: Sequence[str], more: Sequence[str], less: Sequence[str]) -> np.ndarray:
    """Coefficients of a balance on the logarithms of the parts, of length one.

    Raises
    ------
    UsageError
        When a side is empty, a part is not there, or one is on both sides.
    """
    unknown = sorted({*more, *less} - set(parts))
    if not more or not less or unknown or set(more) & set(less):
        raise UsageError(
            f"{unknown} have no hours" if unknown else "two sides without a common part are needed",
            where="balance",
            fix=f"name some of {sorted(parts)} on either side",
        )
    r, s = len(set(more)), len(set(less))
    sides = np.array([(part in more) / r - (part in less) / s for part in parts])
    return math.sqrt(r * s / (r + s)) * sides


def balance_basis(n_parts: int) -> np.ndarray:
    """Orthonormal basis of pivot balances, shape (parts, parts − 1): each part against all that come after it."""
    names = [str(place) for place in range(n_parts)]
    return np.column_stack(
        [balance(names, names[place : place + 1], names[place + 1 :]) for place in range(n_parts - 1)]
    )


def clr(parts: np.ndarray) -> np.ndarray:
    """Logarithms less their mean, row by row; shape (rows, parts)."""
    logs = _logs(parts)
    return logs - logs.mean(axis=1, keepdims=True)


def ilr(parts: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Coordinates in a basis of `balance_basis`' kind; shape (rows, parts − 1)."""
    return _logs(parts) @ basis


def from_ilr(coordinates: np.ndarray, basis: np.ndarray, *, whole: float = 1.0) -> np.ndarray:
    """The composition with these coordinates, its parts adding up to the whole."""
    return closed(np.exp(coordinates @ basis.T), whole=whole)


def closed(parts: np.ndarray, *, whole: float = 1.0) -> np.ndarray:
    """Rows brought to the whole."""
    return whole * parts / parts.sum(axis=1, keepdims=True)


def centre(parts: np.ndarray, weight: np.ndarray | None = None, *, whole: float = 1.0) -> np.ndarray:
    """The compositional mean: geometric means of the parts, brought to the whole; shape (parts,)."""
    return closed(np.exp(np.average(_logs(parts), axis=0, weights=weight))[None, :], whole=whole)[0]


def replace_zeros(parts: np.ndarray, least: float | np.ndarray) -> np.ndarray:
    """Zeros replaced by a small amount, taken from the other parts in proportion, so that their ratios stay.

    Multiplicative replacement (Martín-Fernández, Barceló-Vidal and Pawlowsky-Glahn 2003).

    Parameters
    ----------
    parts : numpy.ndarray
        Shape (rows, parts), none below zero.
    least : float or numpy.ndarray
        What stands for a zero, in the unit of the parts; one number, or one for each part. Two thirds of the shortest
        time that the diary can tell is usual.

    Raises
    ------
    UsageError
        When a part is negative or missing, or what stands for zeros is as much as the row.
    """
    if not (parts >= 0).all():
        raise UsageError("a part is negative or missing", where="replace_zeros", fix="give hours of zero or more")
    whole = parts.sum(axis=1, keepdims=True)
    stands_in = np.where(parts == 0, np.broadcast_to(least, parts.shape), 0.0)
    taken = stands_in.sum(axis=1, keepdims=True)
    if not ((taken < whole) & (np.min(least) > 0)).all():
        raise UsageError("zeros are replaced by as much as there is", where="replace_zeros", fix="a smaller amount")
    return np.where(parts == 0, stands_in, parts * (1 - taken / whole))


def _logs(parts: np.ndarray) -> np.ndarray:
    if not (parts > 0).all():
        raise UsageError("a part is zero, so it has no logarithm", where="compositions", fix="replace_zeros first")
    return np.log(parts)
