"""The whole flow, top to bottom: raw drops → tidy tables → official-quarters → results → pages.

One function per stage, no arithmetic. Notebooks load their tables here; the command line calls the same functions.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pandas as pd
from filelock import FileLock

from analysis_lib.errors import InputRejected
from analysis_lib.fingerprints import code_fingerprint, files_fingerprint, fingerprint, reached_code
from analysis_lib.ingest.tidy import ingest_quarter
from analysis_lib.parameters import RunParameters
from analysis_lib.quality.flags import Wave
from analysis_lib.quarters import Quarter
from analysis_lib.region_changes import FILE as REGION_CHANGES
from analysis_lib.study import CALENDAR, Study
from analysis_lib.survey.design import SurveyDesign, read_sample
from analysis_lib.survey.weighting import final_weights
from analysis_lib.tables.store import Store
from analysis_lib.time_use.burden import official_quarters as measure_officials
from analysis_lib.time_use.diaries import day_activities, read_special_days

TIDY_TABLES = ["sample", "respondents", "episodes", "day_totals", "counts", "problems"]
MEASURED_TABLES = ["official_quarters", "diary_days", "problems"]
CALCULATING = ["numpy", "pandas", "scipy", "statsmodels"]  # packages whose other version may give other digits
YEAR = 4  # quarters


# -- stages -------------------------------------------------------------------------------------------


def prepare(
    study: Study, quarter: Quarter, as_of: dt.date | None = None, progress: Callable[[str], object] | None = None
) -> None:
    """Bring every quarter up to the one asked to official-quarters; what is up to date is left alone."""
    prepare_store(Store(study, as_of), quarter, progress)


def prepare_store(store: Store, quarter: Quarter, progress: Callable[[str], object] | None = None) -> None:
    """As `prepare`, from the drops that a store shows: those known on a day, or those that a release pinned."""
    for past in store.quarters_with_data():
        if past <= quarter:
            _bring_up(store, past, progress)


def _bring_up(store: Store, quarter: Quarter, progress: Callable[[str], object] | None = None) -> None:
    if store.has(quarter, measured_fingerprint(store, quarter)):
        return
    if progress:
        progress(f"{quarter}: reading raw drops")
    tidy = ingest(store, quarter)
    if progress:
        progress(f"{quarter}: diaries to hours")
    measure(store, quarter, tidy)


def ingest(store: Store, quarter: Quarter) -> dict[str, pd.DataFrame]:
    """Raw drops of a quarter → tidy tables, cached under what made them."""
    made_from = ingest_fingerprint(store, quarter)
    if not store.has(quarter, made_from):
        store.write(quarter, made_from, ingest_quarter(store, quarter))
    return {name: store.read(name, quarter, made_from) for name in TIDY_TABLES}


def measure(store: Store, quarter: Quarter, tidy: dict[str, pd.DataFrame]) -> None:
    """Tidy tables → official-quarters with weights, cached under what made them."""
    study = store.study
    activities, days, problems = day_activities(
        tidy["episodes"], tidy["day_totals"], respondents=tidy["respondents"], study=study
    )
    officials = measure_officials({**tidy, "day_activities": activities, "diary_days": days}, study=study)
    officials, trimmed = final_weights(officials, tidy["sample"], study=study)
    read_sample(officials, SurveyDesign.of_study(study))  # F36: refused here, and not by every notebook in turn
    store.write(
        quarter,
        measured_fingerprint(store, quarter),
        {
            "official_quarters": officials,
            "diary_days": days,
            "problems": pd.concat([tidy["problems"], problems, trimmed], ignore_index=True),
        },
    )


# -- what notebooks load ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Periods:
    """The periods that a unit reports: label → the quarters pooled in it.

    Attributes
    ----------
    quarter : dict
        The quarter under report.
    pooled : dict
        The same and the pooled period (a year by default) that ends in it, when all its quarters have data.
    series : dict
        Every quarter with data up to the one under report.
    change : tuple of (str, list of str, list of str)
        Label, earlier and later quarters of the change reported: from the same quarter a year ago,
        else from the first quarter there is. The first quarter of a series has no earlier one.
    unbroken : list of str
        The quarters of the series since the last one that is missing: what is counted in quarters needs them all.
    """

    quarter: dict[str, list[str]]
    pooled: dict[str, list[str]]
    series: dict[str, list[str]]
    change: tuple[str, list[str], list[str]]
    unbroken: list[str]


def periods(run: RunParameters) -> Periods:
    """The periods of a unit, from the quarters that have data."""
    store = Store(run.study, run.as_of)
    with_data = [quarter for quarter in store.quarters_with_data() if quarter <= run.quarter]
    missing = store.missing_quarters(run.quarter)
    this = {str(run.quarter): [str(run.quarter)]}
    pool = run.study.config.estimation.pool_quarters
    window = [run.quarter.shift(-step) for step in reversed(range(pool))]
    pooled = {f"{window[0]}–{window[-1]}": [str(quarter) for quarter in window]} if pool > 1 else {}
    if not set(window) <= set(with_data):
        pooled = {}
    base = run.quarter.shift(-YEAR) if run.quarter.shift(-YEAR) in with_data else with_data[0]
    return Periods(
        quarter=this,
        pooled=this | pooled,
        series={str(quarter): [str(quarter)] for quarter in with_data},
        change=(f"{base}→{run.quarter}", [str(base)] if base < run.quarter else [], [str(run.quarter)]),
        unbroken=[str(each) for each in with_data if each > max(missing, default=each.shift(-1))],
    )


def load_officials(run: RunParameters) -> pd.DataFrame:
    """Official-quarters of every quarter with data up to the one under report, as known on the run's day.

    Quarters that are not prepared yet, as in a notebook opened by hand, are prepared first.
    """
    return officials_in(Store(run.study, run.as_of), run.quarter)


def officials_in(store: Store, quarter: Quarter) -> pd.DataFrame:
    """As `load_officials`, from the drops that a store shows, such as those that a release pinned."""
    prepare_store(store, quarter)
    past = [each for each in store.quarters_with_data() if each <= quarter]
    if quarter not in past:
        raise InputRejected(
            f"no raw drop of {quarter} is known", where="raw", fix=f"jianfu receive FILES --quarter {quarter}"
        )
    frames = [store.read("official_quarters", each, measured_fingerprint(store, each)) for each in past]
    return pd.concat(frames, ignore_index=True)


def officials_of(store: Store, quarter: Quarter) -> pd.DataFrame:
    """Official-quarters of one quarter alone, from the drops that a store shows."""
    _bring_up(store, quarter)
    return store.read("official_quarters", quarter, measured_fingerprint(store, quarter))


def load(run: RunParameters, name: str) -> pd.DataFrame:
    """A table of the quarter under report: ``problems``, ``diary_days``, or a tidy table."""
    prepare(run.study, run.quarter, run.as_of)
    store = Store(run.study, run.as_of)
    made_from = measured_fingerprint if name in MEASURED_TABLES else ingest_fingerprint
    return store.read(name, run.quarter, made_from(store, run.quarter))


def load_past(run: RunParameters, name: str) -> pd.DataFrame:
    """As `load`, of every quarter with data up to the one under report."""
    prepare(run.study, run.quarter, run.as_of)
    store = Store(run.study, run.as_of)
    made_from = measured_fingerprint if name in MEASURED_TABLES else ingest_fingerprint
    past = [quarter for quarter in store.quarters_with_data() if quarter <= run.quarter]
    return pd.concat([store.read(name, quarter, made_from(store, quarter)) for quarter in past], ignore_index=True)


def made_once(run: RunParameters, module: str, make: Callable[[], dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Tables that several notebooks of a quarter need: the first that asks makes them, others wait for it and read.

    Parameters
    ----------
    run : RunParameters
        What is asked; its region makes no difference.
    module : str
        Full name of the module that makes them. With all the code that it reaches, the data, the settings and the
        packages that calculate it says what they are made from.
    make : callable
        Makes them: name → table, of the contract of that name, or ``estimates`` where there is none.
    """
    store = Store(run.study, run.as_of)
    made_from = _made_once_fingerprint(run, module)
    if not store.has(run.quarter, made_from):
        folder = store.folder(run.quarter, made_from)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{made_from}.lock")):
            if not store.has(run.quarter, made_from):
                store.write(run.quarter, made_from, make())
    return store.read_all(run.quarter, made_from)


def load_wave(run: RunParameters) -> Wave:
    """The returns of the quarter under report, to be held against what honest ones look like."""
    return Wave(load(run, "respondents"), load(run, "episodes"), load(run, "diary_days"))


def load_wave_before(run: RunParameters) -> Wave | None:
    """The returns of the quarter before the one under report; None when it has no data."""
    before = run.quarter.shift(-1)
    if before not in Store(run.study, run.as_of).quarters_with_data():
        return None
    return load_wave(replace(run, quarter=before))


def instruments(run: RunParameters) -> dict[str, frozenset[str]]:
    """Quarter → versions of the instruments that its drops were collected with, up to the quarter under report."""
    store = Store(run.study, run.as_of)
    quarters = [quarter for quarter in store.quarters_with_data() if quarter <= run.quarter]
    return {str(quarter): frozenset(drop.instrument for drop in store.drops(quarter)) for quarter in quarters}


def asked_by(run: RunParameters) -> dict[str, pd.Series]:
    """Quarter in which versions of instruments came into use → whether each respondent was asked by one of them."""
    versions, found = instruments(run), {}
    for before, after in pairwise(sorted(versions)):
        if new := versions[after] - versions[before]:
            answers = load(replace(run, quarter=Quarter.parse(after)), "respondents").set_index("respondent_id")
            found[after] = answers["instrument"].isin(new)
    return found


def first_year(run: RunParameters) -> list[str]:
    """The first quarters with data, at most a year of them: the base that standard times are measured in."""
    return list(periods(run).series)[:YEAR]


def regions_shown(run: RunParameters) -> list[str]:
    """The unit's own region first, then the regions below it that are estimated."""
    levels = run.study.config.estimation.levels
    return [
        run.region,
        *(code for level in levels for code in run.study.regions_at(level, run.region) if code != run.region),
    ]


def page_regions(study: Study) -> list[str]:
    """Regions that have a page of their own."""
    return study.regions_at(study.config.estimation.page_level)


# -- fingerprints -------------------------------------------------------------------------------------


def ingest_fingerprint(store: Store, quarter: Quarter) -> str:
    """What the tidy tables of a quarter are made from: its drops, the reference files and the code that reads them."""
    drops, reference = store.drops(quarter), store.study.reference
    return fingerprint(
        "ingest",
        *(f"{drop.id} {drop.sha256} {drop.instrument}" for drop in drops),
        files_fingerprint([reference / "corrections.toml"], base=reference),
        *_reading(store, quarter),
    )


def measured_fingerprint(store: Store, quarter: Quarter) -> str:
    """What the official-quarters of a quarter are made from."""
    return fingerprint("measure", ingest_fingerprint(store, quarter), *_measuring(store.study))


def method_fingerprint(store: Store, quarter: Quarter) -> str:
    """How the official-quarters of a quarter are made, whatever answers and corrections came in."""
    return fingerprint("method", *_reading(store, quarter), *_measuring(store.study))


def _reading(store: Store, quarter: Quarter) -> tuple[str, ...]:
    reference = store.study.reference
    files = [reference / name for name in ("activities.csv", "regions.csv", REGION_CHANGES)]
    versions = sorted({drop.instrument for drop in store.drops(quarter)})
    files += [reference / "instruments" / f"{version}.toml" for version in versions]
    return (
        files_fingerprint(files, base=reference),
        store.study.config.diary.model_dump_json(),
        store.study.config.study.timezone,
        code_fingerprint("ingest.tidy", "ingest.checks", "ingest.corrections", "ingest.values", "ingest.instruments"),
        code_fingerprint("ingest.platforms", "tables", "quarters", "region_changes"),
    )


def _measuring(study: Study) -> tuple[str, ...]:
    reference = study.reference
    files = [reference / name for name in ("measures.toml", "activity_groups.csv", "margins.csv")]
    return (
        files_fingerprint(files, base=reference),
        _reference_fingerprint(study, reference / CALENDAR),
        study.config.design.model_dump_json(),
        code_fingerprint("time_use", "survey.weighting", "survey.calibration", "measures"),
    )


def _made_once_fingerprint(run: RunParameters, module: str) -> str:
    """What tables made once are made from."""
    parts = {
        **data_parts(run.study, run.quarter, run.as_of),
        **reached_code([module]),
        **{name: version(name) for name in CALCULATING},
        "settings": run.study.config.model_dump_json(exclude={"running", "publishing"}),
    }
    return fingerprint(module, json.dumps(parts, sort_keys=True, ensure_ascii=False))


def data_parts(study: Study, quarter: Quarter, as_of: dt.date | None = None) -> dict[str, str]:
    """What the units of a quarter read, by name: drops up to it, and reference files."""
    store = Store(study, as_of)
    past = [each for each in store.quarters_with_data() if each <= quarter]
    drops = {f"drop {drop.id}": f"{drop.sha256} {drop.instrument}" for each in past for drop in store.drops(each)}
    files = sorted(path for path in study.reference.rglob("*.*") if path.is_file())
    reference = {
        f"reference/{path.relative_to(study.reference).as_posix()}": _reference_fingerprint(study, path)
        for path in files
    }
    return drops | reference


def _reference_fingerprint(study: Study, path: Path) -> str:
    if path.name == CALENDAR:  # a deadline that is moved changes no number
        return fingerprint(read_special_days(study).model_dump_json(include={"holidays", "working_weekends"}))
    return files_fingerprint([path], base=study.reference)


def latest_quarter(store: Store) -> Quarter:
    """The last quarter with data; raises `InputRejected` when the study has none."""
    found: Iterable[Quarter] = store.quarters_with_data()
    if not found:
        raise InputRejected("no raw drops yet", where="raw", fix="jianfu receive FILES --quarter Q, or jianfu simulate")
    return max(found)
