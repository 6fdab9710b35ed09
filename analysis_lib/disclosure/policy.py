"""The disclosure rules for a table by itself, one small function each, named by the ids of docs/disclosure.md.

Complementary suppression here looks at one table, and at one level of regions or one category column at a time; what
the tables of a release tell together is the business of `linked`.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.tables.contracts import ESTIMATE_KEY

WITHHELD = "c"  # confidential
NOT_RELIABLE = "x"  # too imprecise to publish
UNRELIABLE = "u"  # published with a warning
BREAK = "b"  # first quarter of an instrument that no overlap links to the one before
KEPT = "p"  # last in a mark: as published before, for too few returns changed since (C11)
CHANGE_ARROW = "→"  # in the period of a row that is a difference of two periods
POOLED_DASH = "–"  # between the first and the last quarter of a pooled period
_QUARTER = re.compile(r"\d{4}Q[1-4]")

READ_BY_INTERVAL = ("effect", "part")  # like a change, they may well be about zero
OF_NOBODY = ("count", "claim")  # rest on no respondent's answers: counts are rounded, claims are public words
MIN_RESIDUAL_DF = 10  # C13: respondents to spare behind a model
MIN_EITHER_SIDE = 5  # C03: people for whom a share holds, and people for whom it does not
ALL_ALIKE = 0.005  # a share this near to none or all is printed as such
SHARE_DECIMALS = 2  # C05: whole percent
FIT_DECIMALS = 3  # indices of fit are judged by their thousandths
BY_INTERVAL_UNITS = ("score", "coefficient", "fit")
SIGNIFICANT_DIGITS = 3  # C06: full-time equivalents
ROUNDING_SLACK = 1e-9  # keeps outward rounding from moving a bound that is already round


def is_publishable_kind(estimates: pd.DataFrame) -> pd.Series:
    """C06: full-time equivalents are totals of people, published for the nation as a whole only."""
    national = (estimates["region"] == NATION) & (
        (estimates["by"] == "") | estimates["statistic"].isin(["effect", "claim"])
    )
    return (estimates["unit"] != "fte") | national


def was_asked(estimates: pd.DataFrame) -> pd.Series:
    """Measures that somebody answered; where nobody in the whole table did, nothing was asked and nothing is withheld.

    A count of nobody is an answer, and so is what an authority claims.
    """
    answered = estimates.groupby("measure")["n"].transform("max") > 0
    return answered | estimates["statistic"].isin(OF_NOBODY)


def rule_against(estimates: pd.DataFrame, study: Study) -> pd.Series:
    """C01, C02, C03, C08, C13: id of the first rule that forbids a cell; empty where none does.

    Counts are exempt, being protected by their rounding (C04), and claims, which rest on no respondent. What comes from
    a model says in ``residual_df`` how many respondents it has to spare, and in ``n`` how many tell its two sides apart.
    How a cell is spread over people and work units stands in ``people``, ``unit_share`` and ``top_two``, where it is
    known: people who answered in several quarters of a period are counted once.
    """
    limits, n = study.config.disclosure, estimates["n"]
    sensitive = is_sensitive(estimates["measure"], study)
    least = sensitive.map({True: max(limits.min_respondents_sensitive, limits.min_respondents)})
    found = {"C01": estimates.get("people", n) < least.fillna(limits.min_respondents)}
    if study.config.design.psu:
        found["C02"] = (estimates["n_psu"] < limits.min_units) | _above(estimates, "unit_share", limits.max_unit_share)
    held_by = estimates["estimate"] * n
    one_sided = (held_by < MIN_EITHER_SIDE) | (n - held_by < MIN_EITHER_SIDE)
    is_level = ~is_change(estimates)
    found["C03"] = (estimates["statistic"] == "share") & is_level & one_sided
    # That nobody, or everybody, says it tells what each of them said.
    alike = (estimates["estimate"] < ALL_ALIKE) | (estimates["estimate"] > 1 - ALL_ALIKE)
    found["C03"] |= sensitive & (estimates["unit"] == "share") & is_level & alike
    found["C08"] = _above(estimates, "top_two", limits.max_top_two)
    somebody = ~is_of_nobody(estimates, study)
    found = {rule: forbidden & somebody for rule, forbidden in found.items()}
    spare = estimates["residual_df"] if "residual_df" in estimates.columns else pd.Series(0, index=estimates.index)
    found["C13"] = estimates["statistic"].isin(READ_BY_INTERVAL) & ~(spare >= MIN_RESIDUAL_DF)
    rules = pd.Series("", index=estimates.index, dtype=object)
    for rule, forbidden in found.items():
        rules = rules.mask(forbidden & (rules == "") & ~estimates["statistic"].isin(OF_NOBODY), rule)
    return rules


def is_sensitive(measures: pd.Series, study: Study) -> pd.Series:
    """Measures that `Disclosure.sensitive` names, and those made of them: ``coping``, ``coping_listed``."""
    names = tuple(study.config.disclosure.sensitive)
    known = {key: key in names or key.startswith(tuple(f"{name}_" for name in names)) for key in measures.unique()}
    return measures.map(known).astype(bool)


def _above(estimates: pd.DataFrame, column: str, limit: float) -> pd.Series:
    """Where a column is known and above its limit; a table may come without it."""
    if column not in estimates.columns:
        return pd.Series(False, index=estimates.index)
    return estimates[column] > limit + ROUNDING_SLACK


def is_of_nobody(estimates: pd.DataFrame, study: Study) -> pd.Series:
    """F33: cells of a region with a page of its own, or below it, from which nothing came: not available.

    C15: a smaller place where nobody answered is withheld like any small one, or a reader could tell in which small
    places somebody did.
    """
    nobody = (estimates["n"] == 0) & estimates["estimate"].isna()
    pages = {NATION, *study.regions_at(study.config.estimation.page_level)}
    above = {
        region: next((code for code in [region, *study.ancestors(region)] if code in pages), "")
        for region in estimates.loc[nobody, "region"].unique()
    }
    rest = ["measure", "statistic", "by", "category", "period"]
    rows = (
        estimates.loc[nobody, ["region", *rest]].apply(tuple, axis="columns")
        if nobody.any()
        else pd.Series(dtype=object)
    )
    silent = {row for row in rows if row[0] in pages}
    found = pd.Series([(above[row[0]], *row[1:]) in silent for row in rows], index=rows.index, dtype=bool)
    return found.reindex(estimates.index, fill_value=False)


def with_companions(withheld: pd.Series, estimates: pd.DataFrame, study: Study) -> pd.Series:
    """C09 within a table: a cell withheld alone among its siblings could be had by subtraction.

    The smallest of the others is withheld with it: among the regions under one parent, and among the categories of
    one column.
    """
    parents = estimates["region"].map(study.regions["parent"]).where(estimates["region"] != NATION, "(none)")
    families = [
        [*(column for column in ESTIMATE_KEY if column != "region"), parents.rename("parent")],
        [column for column in ESTIMATE_KEY if column != "category"],
    ]
    withheld, people = withheld.copy(), estimates["n"].to_numpy()
    if not withheld.any():
        return withheld
    is_withheld = withheld.to_numpy(bool, copy=True)
    # The number of each row's family; -1 in none.
    numbers = [estimates.groupby(family, sort=False).ngroup().fillna(-1).to_numpy(int) for family in families]
    settled = False
    while not settled:  # a companion in one family may stand alone in the other
        before = int(is_withheld.sum())
        for number in numbers:
            hidden = np.bincount(number[is_withheld & (number >= 0)], minlength=len(number))
            for alone in np.flatnonzero(hidden == 1):
                others = np.flatnonzero((number == alone) & ~is_withheld)
                if len(others):
                    is_withheld[others[np.argmin(people[others])]] = True
        settled = int(is_withheld.sum()) == before
    withheld[:] = is_withheld
    return withheld


def reliability(estimates: pd.DataFrame, study: Study) -> pd.Series:
    """R16: ``u`` or ``x`` by coefficient of variation; a mean without a standard error is ``x``.

    Changes, effects, parts, scores and coefficients are read by their interval, being possibly about zero; counts and claims have no
    sampling error. None of these is marked.
    """
    limits = study.config.disclosure
    with np.errstate(divide="ignore", invalid="ignore"):
        cv = (estimates["se"] / estimates["estimate"].abs()).astype(float)
    unknown = estimates["estimate"].isna() | (estimates["se"].isna() & (estimates["statistic"] != "share"))
    marks = pd.Series("", index=estimates.index, dtype=object)
    marks[cv > limits.unreliable_cv] = UNRELIABLE
    marks[(cv > limits.withheld_cv) | unknown] = NOT_RELIABLE
    by_interval = is_change(estimates) | estimates["statistic"].isin(READ_BY_INTERVAL)
    by_interval |= estimates["unit"].isin(BY_INTERVAL_UNITS)
    marks[by_interval & ~estimates["estimate"].isna()] = ""
    marks[estimates["statistic"].isin(OF_NOBODY)] = ""
    return marks


def with_breaks(marks: pd.Series, estimates: pd.DataFrame) -> pd.Series:
    """Marks with ``b`` put before them where a series breaks (``is_break``); what is hidden stays as it is."""
    if "is_break" not in estimates.columns:
        return marks
    is_shown = ~marks.isin([NOT_RELIABLE, WITHHELD])
    return marks.mask(estimates["is_break"] & is_shown, BREAK + marks)


def is_change(estimates: pd.DataFrame) -> pd.Series:
    """Rows that are a difference between two periods."""
    return estimates["period"].str.contains(CHANGE_ARROW, regex=False)


def quarters_in(period: str) -> list[str]:
    """The quarters that a period names or spans; none where it names none.

    >>> quarters_in("2025Q3–2026Q1"), quarters_in("2025Q3→2026Q3"), quarters_in("")
    (['2025Q3', '2025Q4', '2026Q1'], ['2025Q3', '2026Q3'], [])
    """
    found = _QUARTER.findall(period)
    if POOLED_DASH in period and len(found) == 2:
        return [str(each) for each in Quarter.span(*map(Quarter.parse, found))]
    return found


def rounded(estimates: pd.DataFrame, study: Study) -> pd.DataFrame:
    """C04, C05, C06: value, ci_low, ci_high and n as they may be published; bounds move outward only."""
    base = study.config.disclosure.round_counts_to
    counts, is_fte = (
        (estimates[name] == kind).to_numpy(bool) for name, kind in (("statistic", "count"), ("unit", "fte"))
    )
    decimals = decimals_of(estimates, study).to_numpy(float)
    columns = {}
    for name, source, rule in [
        ("value", "estimate", np.rint),
        ("ci_low", "ci_low", _floor),
        ("ci_high", "ci_high", _ceil),
    ]:
        numbers = estimates[source].to_numpy(float)
        digits = np.where(is_fte, _decimals_left_by_significance(numbers), decimals)
        scale = np.where(counts, 1.0, 10.0 ** np.maximum(digits, 0))  # steps finer than one: 10 for tenths
        step = np.where(counts, float(base), 10.0 ** -np.minimum(digits, 0))  # steps of one and above
        columns[name] = rule(numbers * scale / step) * step / scale + 0.0  # + 0.0 turns -0.0 into 0.0
    for bound in ("ci_low", "ci_high"):  # a count has none, and rounding one would narrow the count down
        columns[bound] = np.where(counts, np.nan, columns[bound])
    columns["n"] = (np.rint(estimates["n"] / base) * base).astype("Int64")
    return pd.DataFrame(columns, index=estimates.index)


def decimals_of(rows: pd.DataFrame, study: Study) -> pd.Series:
    """C05: decimals of what is neither a count nor a full-time equivalent."""
    decimals = pd.Series(study.config.disclosure.hours_decimals, index=rows.index)
    decimals[rows["unit"].isin(["share", "coefficient"])] = SHARE_DECIMALS
    decimals[rows["unit"] == "fit"] = FIT_DECIMALS
    decimals[rows["unit"] == "index"] = 0
    return decimals


def _floor(numbers: np.ndarray) -> np.ndarray:
    return np.floor(numbers + ROUNDING_SLACK * np.maximum(np.abs(numbers), 1))


def _ceil(numbers: np.ndarray) -> np.ndarray:
    return np.ceil(numbers - ROUNDING_SLACK * np.maximum(np.abs(numbers), 1))


def _decimals_left_by_significance(numbers: np.ndarray) -> np.ndarray:
    """Decimals (negative: places before the point) that leave three significant digits, at most two of them."""
    magnitude = np.log10(np.maximum(np.abs(numbers), 1)) + ROUNDING_SLACK
    return np.nan_to_num(SIGNIFICANT_DIGITS - 1 - np.floor(magnitude))
