"""Why a number moved since the last release: an account in steps that adds up exactly.

Each step is the difference of two estimates that differ in one thing only. With L the value last published, R last
quarter from the drops that release had, N last quarter from all that is known now, S this quarter with last quarter's
composition, f the linking factor of a new instrument and T this quarter's value, all but L by today's code::

    revised data    N − R          late, changed and withdrawn returns
    new period      S / f − N      what is left when sample and instrument are held still
    method          R − L          where a method version changed; else this is rounding, and goes to the remainder
    instrument      S − S / f      where the versions in use changed and a link is known
    sample mix      T − S          the composition by place and weighting class
    remainder       T − L − all    rounding of what was published, and whatever no step explains

Earlier code is not run again, so method is measured on last quarter's data. A step that cannot be told from another has
no row, never a zero; the step that holds it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis_lib.study import Study
from analysis_lib.survey.estimation import estimate, estimate_change
from analysis_lib.survey.weighting import BEFORE, WEIGHTS
from analysis_lib.tables.contracts import CONTRACTS, blank, check

BY_ACCOUNT = "movement"  # `by` of every row of an account
LAST, REVISION, PERIOD, METHOD, INSTRUMENT, MIX, REMAINDER, THIS = (
    "last", "revision", "period", "method", "instrument", "mix", "remainder", "this",
)  # fmt: skip
STEPS = [REVISION, PERIOD, METHOD, INSTRUMENT, MIX, REMAINDER]
MOVED = "moved"  # the whole movement, with its interval
CHANGE_ARROW = "→"
PLACE = ["measure", "region"]


@dataclass(frozen=True, slots=True)
class Link:
    """What a changed instrument does to a measure: new = factor × old; None where no link is known."""

    factor: float | None
    se: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Circumstances:
    """What else changed between two releases.

    Attributes
    ----------
    as_released : pandas.DataFrame or None
        Official-quarters of the earlier quarter from the drops that its release pinned, by today's code; None where it
        pinned none, and revised data cannot be told from a changed method.
    method_changed : bool or None
        Whether a method version differs; None where the earlier release does not say.
    links : dict of (str, str) to Link
        Measure and region → its link, where hours of the region are measured by another version than before.
    few_revised : frozenset of (str, str)
        Measures and regions in which so few people changed since that a step of revised data would tell of them (C11).
    """

    as_released: pd.DataFrame | None
    method_changed: bool | None
    links: dict[tuple[str, str], Link]
    few_revised: frozenset[tuple[str, str]] = frozenset()


def account_for_change(
    published: pd.DataFrame,
    official_quarters: pd.DataFrame,
    circumstances: Circumstances,
    *,
    study: Study,
    earlier: str,
    later: str,
    measures: Sequence[str],
    regions: Sequence[str],
) -> pd.DataFrame:
    """Account for the movement of measures from the value last published to the one of this quarter.

    Parameters
    ----------
    published : pandas.DataFrame
        measure, region, value, ci_low, ci_high of the earlier quarter as its release printed them.
    official_quarters : pandas.DataFrame
        Both quarters as known now.

    Returns
    -------
    pandas.DataFrame
        Contract ``estimates`` with ``outcome`` (how a step was had). A row for last, each of `STEPS`, this and moved, for
        every measure and region with a published and a publishable value; others have no account. Intervals stand where a
        sampling error means something: not for revised data or method, which are facts about records. ``n`` is that of
        the smaller quarter throughout, so that an account is shown whole or not at all.
    """
    asked = {"study": study, "regions": list(regions)}
    keys = list(measures)
    quarters = official_quarters[official_quarters["quarter"].isin([earlier, later])]
    still, kept = with_earlier_composition(quarters, later, study=study)

    def of(frame: pd.DataFrame, quarter: str) -> pd.DataFrame:
        return estimate(frame, keys, periods={quarter: [quarter]}, **asked).set_index(PLACE)

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        label = f"{earlier}{CHANGE_ARROW}{later}"
        return estimate_change(frame, keys, earlier=[earlier], later=[later], label=label, **asked).set_index(PLACE)

    tables = {
        "last": published.set_index(PLACE),
        "released": None if circumstances.as_released is None else of(circumstances.as_released, earlier),
        "before": of(quarters, earlier),
        "still_before": of(still, earlier),
        "still": of(still, later),
        "this": of(quarters, later),
        "still_change": change(still),
        "change": change(quarters),
    }
    accounts = []
    for key in tables["this"].index:
        measure, region = map(str, key)
        rows = {name: table.loc[key] for name, table in tables.items() if table is not None and key in table.index}
        if len(rows) == sum(table is not None for table in tables.values()) and _can_be_told(rows, study):
            found = _account((measure, region), rows, circumstances, kept, study, earlier, later)
            accounts.append(found.assign(measure=measure, region=region))
    return _as_estimates(accounts)


def _can_be_told(rows: dict[str, pd.Series], study: Study) -> bool:
    """Whether both ends are published: an account of a withheld number would tell it."""
    this = rows["this"]
    known = np.isfinite(
        [rows["last"]["value"], rows["before"]["estimate"], rows["still"]["estimate"], this["estimate"]]
    )
    return bool(known.all() and this["se"] <= study.config.disclosure.withheld_cv * abs(this["estimate"]))


def _account(
    place: tuple[str, str],
    rows: dict[str, pd.Series],
    circumstances: Circumstances,
    kept: float,
    study: Study,
    earlier: str,
    later: str,
) -> pd.DataFrame:
    last = float(rows["last"]["value"])
    before, still, this = (float(rows[name]["estimate"]) for name in ("before", "still", "this"))
    is_linked = place in circumstances.links
    link = circumstances.links.get(place, Link(1.0))
    f = 1.0 if link.factor is None else link.factor
    variance = {name: float(rows[name]["se"]) ** 2 for name in ("still_before", "still", "still_change", "change")}
    covariance = (variance["still_before"] + variance["still"] - variance["still_change"]) / 2
    # Delta method: the link's own error counts in the period and, the other way, in the instrument.
    of_link = (still / f**2) ** 2 * link.se**2
    of_period = variance["still"] / f**2 + variance["still_before"] - 2 * covariance / f + of_link
    of_instrument = (1 - 1 / f) ** 2 * variance["still"] + of_link

    released = None if "released" not in rows else float(rows["released"]["estimate"])
    values, hows = dict.fromkeys(STEPS, np.nan), dict.fromkeys(STEPS, "estimated")
    if released is None or not np.isfinite(released):
        values[REVISION], hows[REVISION] = before - last, "with_method"
    else:
        values[REVISION] = before - released
        hows[REVISION] = "estimated" if before != released else "unchanged"
        if circumstances.method_changed is not None:
            is_new = circumstances.method_changed
            values[METHOD], hows[METHOD] = (released - last, "estimated") if is_new else (0.0, "unchanged")
    values[PERIOD] = still / f - before
    if not is_linked:
        values[INSTRUMENT], hows[INSTRUMENT] = 0.0, "unchanged"
    elif link.factor is None:
        hows[PERIOD] = "with_instrument"
    else:
        values[INSTRUMENT] = still - still / f
    if kept > 0:
        values[MIX] = this - still
    else:
        hows[PERIOD] = "with_mix"
    if place in circumstances.few_revised:
        values |= {REVISION: np.nan, METHOD: np.nan, PERIOD: still / f - last}
        hows[PERIOD] = "with_revision"
    values[REMAINDER] = this - last - np.nansum([value for step, value in values.items() if step != REMAINDER])
    step = 10.0**-study.config.disclosure.hours_decimals if rows["this"]["unit"] != "share" else 0.01
    # Printed, the value was off by half a unit at most; anything beyond is a change that nobody declared.
    hows[REMAINDER] = "rounding" if abs(values[REMAINDER]) <= step / 2 + 1e-9 else "unexplained"
    errors = {PERIOD: of_period, INSTRUMENT: of_instrument if values[INSTRUMENT] else np.nan, MOVED: variance["change"]}
    half = stats.t.ppf((1 + study.config.estimation.confidence_level) / 2, rows["change"]["df"])

    whole = {LAST: last, **values, THIS: this, MOVED: this - last}
    frame = pd.DataFrame({"category": list(whole), "estimate": list(whole.values())})
    frame["outcome"] = frame["category"].map(hows).fillna("")
    frame["se"] = [float(np.sqrt(max(errors.get(key, np.nan), 0.0))) if key in errors else np.nan for key in whole]
    frame["ci_low"], frame["ci_high"] = frame["estimate"] - half * frame["se"], frame["estimate"] + half * frame["se"]
    ends = frame["category"].isin([LAST, THIS]).to_numpy()
    frame.loc[ends, "se"] = [rows["before"]["se"], rows["this"]["se"]]
    for bound in ("ci_low", "ci_high"):
        frame.loc[ends, bound] = [rows["last"][bound], rows["this"][bound]]
    label = f"{earlier}{CHANGE_ARROW}{later}"
    frame = frame[frame["estimate"].notna()]
    return frame.assign(
        statistic=rows["this"]["statistic"],
        unit=rows["this"]["unit"],
        period=[{LAST: earlier, THIS: later}.get(key, label) for key in frame["category"]],
        df=rows["change"]["df"],
        deff=np.nan,
        n=int(min(rows["before"]["n"], rows["this"]["n"])),
        n_psu=int(min(rows["before"]["n_psu"], rows["this"]["n_psu"])),
    )


def no_rows() -> pd.DataFrame:
    """An account of nothing."""
    return blank("estimates").assign(outcome=pd.Series(dtype=str))


def _as_estimates(accounts: list[pd.DataFrame]) -> pd.DataFrame:
    if not accounts:
        return no_rows()
    frame = pd.concat(accounts, ignore_index=True).assign(by=BY_ACCOUNT)
    texts = ["measure", "statistic", "unit", "region", "by", "category", "period", "outcome"]
    frame = frame[[*CONTRACTS["estimates"].schema.columns, "outcome"]]
    return check(frame.astype(dict.fromkeys(texts, str)), "estimates")


# -- composition --------------------------------------------------------------------------------------


def with_earlier_composition(
    official_quarters: pd.DataFrame, later: str, *, study: Study
) -> tuple[pd.DataFrame, float]:
    """Both quarters, the later one with weights that give its cells the shares they had in the earlier one.

    Parameters
    ----------
    official_quarters : pandas.DataFrame
        Two quarters, of which ``later`` is weighted anew.

    Returns
    -------
    (pandas.DataFrame, float)
        The rows without what tells calibrated weights from others (an interval of the period is then too wide rather than
        too narrow), and the share of the earlier quarter's weight that is in regions of both.

    Notes
    -----
    Direct standardisation (post-stratification of the later sample to the earlier one), first of the regions that have
    pages, then within each of them of the study's weighting classes (``design.nonresponse_classes``). A class that one
    quarter lacks is left out of the comparison of its region, whose share is kept by the others.
    """
    is_later = (official_quarters["quarter"] == later).to_numpy()
    changed = official_quarters.drop(columns=[BEFORE.format(name) for name in WEIGHTS], errors="ignore").copy()
    place = study.config.estimation.page_level
    region = _joined(changed, [place])
    cell = _joined(changed, [place, *study.config.design.nonresponse_classes])
    kept = 1.0
    for name in WEIGHTS:
        weight = changed[name].fillna(0.0)
        of_region, shared = _factor(weight, region, pd.Series("", index=changed.index), is_later)
        of_cell, _ = _factor(weight, cell, region, is_later)
        changed[name] = changed[name].where(~is_later, changed[name] * of_region * of_cell)
        kept = min(kept, shared)
    return changed, kept


def _factor(weight: pd.Series, cell: pd.Series, whole: pd.Series, is_later: np.ndarray) -> tuple[pd.Series, float]:
    """What gives each cell of both quarters its earlier share of what they have in common, within each whole."""
    sums = pd.DataFrame(
        {"whole": whole, "cell": cell, "before": weight.where(~is_later, 0), "now": weight.where(is_later, 0)}
    )
    sums = sums.groupby(["whole", "cell"])[["before", "now"]].sum()
    common = sums[(sums > 0).all(axis=1)]
    shares = common / common.groupby("whole").transform("sum")
    factor = (shares["before"] / shares["now"]).droplevel("whole")
    shared = float(common["before"].sum() / sums["before"].sum()) if sums["before"].sum() > 0 else 1.0
    return cell.map(factor).fillna(1.0), shared


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The columns that there are as one text a row."""
    found = [name for name in dict.fromkeys(columns) if name in frame.columns]
    return frame[found].astype(str).agg("|".join, axis=1) if found else pd.Series("", index=frame.index)
