"""Raw drops of a quarter → tidy tables and the list of everything that was not taken as it came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import polars as pl

from analysis_lib.errors import InputRejected
from analysis_lib.ingest import checks
from analysis_lib.ingest.checks import DAY, DROP, ROW, SOURCE, SUBMISSION, Problems
from analysis_lib.ingest.corrections import apply_corrections, read_corrections
from analysis_lib.ingest.instruments import NEEDED, ColumnType, Instrument, read_instrument
from analysis_lib.ingest.platforms.confined import Limits
from analysis_lib.ingest.platforms.raw import RawTable
from analysis_lib.ingest.platforms.registry import read_raw
from analysis_lib.ingest.platforms.slots import collapse
from analysis_lib.ingest.values import MINUTES_PER_DAY, Reading, Vocabulary, is_ambiguous_date, is_damaged_id, read_cell
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study, read_reference_csv
from analysis_lib.tables import contracts
from analysis_lib.tables.drops import Drop, verify_drop
from analysis_lib.tables.store import Store

_IN_DAYS = "episodes of diary_days"  # episodes whose respondent and date stand in the table of diary days
_DAY_KEY = ["respondent_id", "diary_date"]
_EPISODE_TEXTS = ["activity", "secondary_activity", "medium", "required_by"]
_EPISODE_FLAGS = ["is_repeat", "is_for_show"]


def ingest_quarter(store: Store, quarter: Quarter) -> dict[str, pd.DataFrame]:
    """Read every known drop of a quarter.

    Returns
    -------
    dict of str to pandas.DataFrame
        sample, respondents, episodes, day_totals, counts, problems; each keeps its contract. A text that is
        missing is empty, a number NaN.

    Raises
    ------
    InputRejected
        For a drop that cannot be read with certainty.
    """
    return ingest_drops(store.study, quarter, store.drops(quarter))


def ingest_drops(study: Study, quarter: Quarter, drops: list[Drop]) -> dict[str, pd.DataFrame]:
    """As `ingest_quarter`, from these drops in their order."""
    problems = Problems(quarter)
    arrived, types = _read_drops(drops, study, problems)

    sample = checks.keep_newest(arrived["sample"], ["respondent_id"], problems)
    respondents = checks.keep_newest(arrived["respondents"], ["respondent_id"], problems)
    if sample.height:
        respondents = checks.reject_unknown(respondents, sample, "row_rejected", problems)
    checks.warn_extreme_weights(sample, "base_weight", problems)
    checks.warn_extreme_weights(respondents, "weight", problems)
    days, direct = _diary_days(arrived, respondents, sample if sample.height else respondents, problems)

    tables = {
        "sample": sample,
        "respondents": respondents,
        "episodes": _episodes(days, arrived[_IN_DAYS], direct, study.config.diary.day_starts, problems),
        "day_totals": _day_totals(days, direct["day_totals"], problems),
    }
    drop_ids = pl.Series([drop.id for drop in drops], dtype=pl.String)
    tables = {name: _with_drop(frame, drop_ids) for name, frame in tables.items()}
    tables = apply_corrections(tables, read_corrections(study), problems)
    counted = [name for name, kind in types.items() if kind == "count" and name in tables["respondents"].columns]
    tidy = {
        "sample": _sample_table(tables["sample"], quarter),
        "respondents": _respondents_table(tables["respondents"], tables["sample"], drops, quarter),
        "episodes": _episodes_table(tables["episodes"], quarter),
        "day_totals": _day_totals_table(tables["day_totals"], quarter),
        "counts": _counts_table(tables["respondents"], counted, quarter),
        "problems": problems.frame(),
    }
    return {name: contracts.check(frame, name) for name, frame in tidy.items()}


# -- cells to values -----------------------------------------------------------------------------------

_DTYPES: dict[ColumnType, type[pl.DataType] | pl.DataType] = {
    **dict.fromkeys(("id", "datetime", "date", "category", "activity", "region"), pl.Categorical()),
    **dict.fromkeys(("seconds", "hours", "count", "percent", "scale", "weight", "number"), pl.Float64()),
    "clock": pl.Int32(),
    "yes_no": pl.Boolean(),
}
_ENOUGH = 20  # rows from which on a file in which nothing fits counts as the wrong file


def _read_drops(
    drops: list[Drop], study: Study, problems: Problems
) -> tuple[dict[str, pl.DataFrame], dict[str, ColumnType]]:
    """The typed rows of all drops by grain, and the type of every column met."""
    frames: dict[str, list[pl.DataFrame]] = defaultdict(list)
    types: dict[str, ColumnType] = {}
    activities = frozenset(read_reference_csv(study.reference / "activities.csv", ["code"])["code"])
    limits = Limits(study.config.running.input_memory_mb, study.config.running.input_seconds)
    for position, drop in enumerate(drops):
        instrument = read_instrument(study, drop.instrument)
        vocabulary = Vocabulary.of(
            instrument,
            activities=activities,
            regions=_region_codes(study, instrument),
            timezone=study.config.study.timezone,
            diary_days=(drop.quarter.first_day.isoformat(), drop.quarter.last_day.isoformat()),
            changed_regions=study.region_changes.readings(drop.quarter),
        )
        with _can_be_replaced(drop):
            verify_drop(drop)
            tables = read_raw(drop, instrument, problems, limits)
        for raw in tables:
            for name, column in raw.specs.items():
                if types.setdefault(name, column.type) != column.type:
                    raise InputRejected(
                        f"{name} is {column.type} here and {types[name]} in another instrument of the quarter",
                        where=f"instrument {instrument.version}",
                        fix="give one name one type",
                    )
            with _can_be_replaced(drop):
                frame = _read_values(raw, vocabulary, problems, where=drop.id)
            frame = frame.with_columns(pl.lit(position, dtype=pl.Int32).alias(DROP))
            if raw.grain == "respondents":
                frame = checks.apply_rules(frame, instrument.rules, problems)
            if instrument.duplicates == "reject" and raw.grain in ("sample", "respondents", "diary_days"):
                frame = checks.reject_conflicts(frame, _DAY_KEY[: 2 if raw.grain == "diary_days" else 1], problems)
            frames[_IN_DAYS if raw.has_parent else raw.grain].append(frame)
    empty = pl.DataFrame()
    grains = [*NEEDED, _IN_DAYS]
    return {grain: pl.concat(frames[grain], how="diagonal") if frames[grain] else empty for grain in grains}, types


@contextmanager
def _can_be_replaced(drop: Drop) -> Iterator[None]:
    """Say of a drop that is refused how another takes its place."""
    try:
        yield
    except InputRejected as error:
        command = f"jianfu receive NEWFILES --quarter {drop.quarter} --instrument {drop.instrument} --source WHO"
        replace = f"to replace the files: {command} --supersedes {drop.id}"
        raise type(error)(error.what, where=error.where, fix=f"{error.fix}; {replace}") from error


def _region_codes(study: Study, instrument: Instrument) -> frozenset[str]:
    has_regions = any(column.type == "region" for spec in instrument.files.values() for column in spec.columns.values())
    return frozenset(study.regions.index.astype(str)) if has_regions else frozenset()


def _read_values(raw: RawTable, vocabulary: Vocabulary, problems: Problems, *, where: str) -> pl.DataFrame:
    """Every column by its distinct texts; rows without something they need are left out, with their reason."""
    needed = set(NEEDED[raw.grain]) | (set() if raw.grain in ("sample", "respondents") else set(_DAY_KEY))
    rejected = np.zeros(len(raw), dtype=bool)
    columns: dict[str, pl.Series] = {}
    for name, spec in raw.specs.items():
        texts, codes = raw.columns[name].dictionary.to_pylist(), raw.columns[name].indices.to_numpy()
        _refuse_doubtful(texts, spec.type, where=f"{where}, {'+'.join(spec.sources)}")
        readings = [read_cell(text, name, spec, vocabulary) for text in texts]
        is_needed = spec.required or name in needed
        rejected |= _note_readings(raw, name, readings, codes, problems, is_needed=is_needed, where=where)
        columns[name] = pl.Series(name, [reading.value for reading in readings], _DTYPES[spec.type]).gather(codes)
    if rejected.all() and len(raw) >= _ENOUGH:
        raise _nothing_read(raw, vocabulary, needed, where=where)
    _refuse_changed_codes(raw, vocabulary, where=where)
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(raw.source, dtype=pl.Int32).alias(SOURCE),
        pl.Series(ROW, raw.rows, pl.Int64),
        pl.Series(SUBMISSION, raw.submissions, pl.Int64),
        *([pl.lit(raw.slot_minutes, dtype=pl.Int32).alias("slot_minutes")] if raw.slot_minutes else []),
    )
    return frame.filter(~rejected) if rejected.any() else frame


def _refuse_changed_codes(raw: RawTable, vocabulary: Vocabulary, *, where: str) -> None:
    """Stop at a region that many rows name and no list knows: a changed code, of which no published number may be lost."""
    for name, spec in raw.specs.items():
        if spec.type != "region":
            continue
        texts, codes = raw.columns[name].dictionary.to_pylist(), raw.columns[name].indices.to_numpy()
        often = np.flatnonzero(np.bincount(codes, minlength=len(texts)) >= _ENOUGH)
        unknown = [place for place in often if read_cell(texts[place], name, spec, vocabulary).rule == "I60"]
        if unknown:
            first = int(raw.rows[codes == unknown[0]].min())
            raise InputRejected(
                f"{len(unknown)} region code(s) that regions.csv does not list stand in {_ENOUGH} rows or more each, "
                f"the first at row {first}",
                where=f"{where}, column {'+'.join(spec.sources)}",
                fix="say in reference/region_changes.csv what became of them (renamed, merged or split), or list them in "
                "reference/regions.csv",
            )


def _nothing_read(raw: RawTable, vocabulary: Vocabulary, needed: set[str], *, where: str) -> InputRejected:
    """Why not a single row stays: each reason with its count and first row, the commonest first."""
    rows: dict[tuple[str, str, str], list[np.ndarray]] = defaultdict(list)
    for name, spec in raw.specs.items():
        if not (spec.required or name in needed):
            continue
        codes = raw.columns[name].indices.to_numpy()
        for code, text in enumerate(raw.columns[name].dictionary.to_pylist()):
            reading = read_cell(text, name, spec, vocabulary)
            if reading.rule and reading.value is None:
                # What follows a semicolon is a hint that differs from cell to cell.
                message = (reading.message or "needed and not there").partition(";")[0]
                rows[reading.rule, message, name].append(raw.rows[codes == code])
    found = [(np.concatenate(parts), *reason) for reason, parts in rows.items()]
    found.sort(key=lambda each: -len(each[0]))
    reasons = [
        f"{len(places)} × {rule} {message}, first at row {places.min()}, column {'+'.join(raw.specs[name].sources)}"
        for places, rule, message, name in found
    ]
    first_day, last_day = vocabulary.diary_days
    fixes = {
        "I60": "edit reference/regions.csv so that it lists the codes of the file, or say in reference/region_changes.csv "
        "what became of them",
        "activity": "edit reference/activities.csv so that it lists the codes of the file",
        "F16": f"the drop is of {first_day} to {last_day}; receive diaries under the --quarter of their days",
    }
    named = {"activity" if raw.specs[name].type == "activity" and rule == "I64" else rule for _, rule, _, name in found}
    return InputRejected(
        "\n  ".join([f"not one of {len(raw)} rows of {raw.grain} can be read", *reasons]),
        where=where,
        fix="; ".join(fix for key, fix in fixes.items() if key in named)
        or "see whether the quarter, the role and the instrument of the drop are the right ones",
    )


def _refuse_doubtful(texts: list[str], kind: ColumnType, *, where: str) -> None:
    """Stop at what makes a whole file doubtful."""
    if kind == "id" and any(map(is_damaged_id, texts)):
        raise InputRejected(
            "I30: ids that a spreadsheet turned into rounded numbers",
            where=where,
            fix="ask for the export as the platform gave it, with ids as text",
        )
    if kind in ("date", "datetime") and any(map(is_ambiguous_date, texts)):
        raise InputRejected(
            "I42: dates whose day and month cannot be told apart", where=where, fix="export dates as year-month-day"
        )


def _note_readings(
    raw: RawTable,
    name: str,
    readings: list[Reading],
    codes: np.ndarray,
    problems: Problems,
    *,
    is_needed: bool,
    where: str,
) -> np.ndarray:
    """List what was not taken as it came; returns which rows cannot stay."""
    alike: dict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
    for position, reading in enumerate(readings):
        if reading.rule:
            alike[reading.rule, reading.action, reading.message, reading.value is None].append(position)
    leaves = np.zeros(len(raw), dtype=bool)
    spec, header = raw.specs[name], "+".join(raw.specs[name].sources)
    for (rule, action, message, is_empty), positions in alike.items():
        has_it = np.zeros(len(readings), dtype=bool)
        has_it[positions] = True
        rows = np.flatnonzero(has_it[codes])
        if is_empty and is_needed:
            leaves[rows] = True
            how = "value_rejected" if spec.type == "activity" else "row_rejected"
            problems.add(raw.places(rows), raw.label(name, rows), rule, how, message or "needed and not there")
        elif rule.startswith("missing:"):
            problems.add_count(raw.source, len(rows), header, rule, "warned", "no answer")
        elif action == "fixed":
            problems.add_count(raw.source, len(rows), header, rule, "fixed", message)
        elif action:
            how = "warned" if action == "warned" else "value_rejected"
            problems.add(raw.places(rows), raw.label(name, rows), rule, how, message)
        if rule == "range" and spec.type == "hours" and len(rows) >= _ENOUGH and 2 * len(rows) > len(raw):
            raise InputRejected(
                "I26: most answers are more hours than there can be",
                where=f"{where}, {header}",
                fix="are they minutes?",
            )
    return leaves


# -- diary days ----------------------------------------------------------------------------------------


def _diary_days(
    arrived: dict[str, pl.DataFrame], respondents: pl.DataFrame, known: pl.DataFrame, problems: Problems
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The diary days that stand, each from one submission, and the tables that carry their days themselves."""
    direct = {grain: _dated(arrived[grain], respondents, problems) for grain in ("episodes", "slots", "day_totals")}
    carried = [
        frame.group_by(*_DAY_KEY, DROP, SUBMISSION, SOURCE).agg(pl.col(ROW).min())
        for frame in direct.values()
        if frame.height
    ]
    own = [arrived["diary_days"]] if arrived["diary_days"].height else []
    if not own and not carried:
        return pl.DataFrame(
            schema={DAY: pl.Int64, SUBMISSION: pl.Int64, **dict.fromkeys(_DAY_KEY, pl.Categorical)}
        ), direct
    days = pl.concat([*own, *carried], how="diagonal")
    if known.height:
        days = checks.reject_unknown(days, known, "day_rejected", problems)
    days = checks.keep_newest(days, _DAY_KEY, problems)
    if own:
        told = arrived[_IN_DAYS].select(SUBMISSION) if arrived[_IN_DAYS].height else own[0].select(SUBMISSION).clear()
        empty = days.join(own[0], on=SUBMISSION, how="semi").join(told, on=SUBMISSION, how="anti")
        problems.add(empty, "diary_date", "no_episodes", "day_rejected", "a diary day without a single episode")
    return days.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(DAY)), direct


def _dated(frame: pl.DataFrame, respondents: pl.DataFrame, problems: Problems) -> pl.DataFrame:
    """Rows with the diary date of their respondent where the table has none of its own."""
    if not frame.height or "diary_date" in frame.columns:
        return frame
    if "diary_date" not in respondents.columns:
        raise InputRejected(
            "neither the diary nor the respondents' table has a diary_date",
            where="instrument",
            fix="map diary_date in one of them",
        )
    dates = respondents.select("respondent_id", "diary_date").drop_nulls()
    undated = frame.join(dates, on="respondent_id", how="anti")
    problems.add(undated, "respondent_id", "unknown_respondent", "row_rejected", "no respondent with a diary date")
    return frame.join(dates, on="respondent_id", how="inner", maintain_order="left")


def _of_days(rows: pl.DataFrame, days: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Rows of the days that stand, with the position of their day."""
    return rows.join(days.select(*key, DAY), on=key, how="inner", maintain_order="left")


# -- episodes ------------------------------------------------------------------------------------------


def _episodes(
    days: pl.DataFrame, in_days: pl.DataFrame, direct: dict[str, pl.DataFrame], day_starts: str, problems: Problems
) -> pl.DataFrame:
    """Episodes and collapsed slots with their minutes of the diary day, in order, overlapping days left out."""
    hour, minute = day_starts.split(":")
    offset = 60 * int(hour) + int(minute)
    found = []
    if in_days.height:
        found.append(_of_days(in_days, days, [SUBMISSION]).pipe(_with_minutes, offset, problems))
    if direct["episodes"].height:
        found.append(_of_days(direct["episodes"], days, [*_DAY_KEY, SUBMISSION]).pipe(_with_minutes, offset, problems))
    if direct["slots"].height:
        found.append(_from_slots(_of_days(direct["slots"], days, [*_DAY_KEY, SUBMISSION]), offset, problems))
    if not found:
        return pl.DataFrame()
    episodes = pl.concat([frame.drop(_DAY_KEY, strict=False) for frame in found], how="diagonal")
    episodes = _in_order(episodes)
    episodes = checks.drop_copies(episodes, [DAY, "start_minute", "end_minute", *_content(episodes)], problems)
    episodes = checks.reject_overlaps(episodes, problems)
    return episodes.with_columns(days[name].gather(episodes[DAY]) for name in _DAY_KEY)


def _in_order(episodes: pl.DataFrame) -> pl.DataFrame:
    """Rows by day, start and end; rows that tie keep the order of drops, files and rows."""
    # One number sorts faster than three columns, and most exports are in order already.
    minutes = pl.col("start_minute") * (MINUTES_PER_DAY + 1) + pl.col("end_minute")
    position = pl.col(DAY) * (MINUTES_PER_DAY + 1) ** 2 + minutes
    if episodes.select(position).to_series().is_sorted():
        return episodes
    return episodes.sort(position, maintain_order=True)


def _content(episodes: pl.DataFrame) -> list[str]:
    """What is said about an episode, beside when it was."""
    when = {"start", "end", "start_minute", "end_minute", "slot_minutes", "submitted_at", *_DAY_KEY}
    return [name for name in episodes.columns if name not in when and not name.startswith("_")]


def _with_minutes(episodes: pl.DataFrame, offset: int, problems: Problems) -> pl.DataFrame:
    """Clock times as minutes of the diary day; what runs on over its end is cut there."""
    start = (pl.col("start") - offset) % MINUTES_PER_DAY
    end = (pl.col("end") - offset) % MINUTES_PER_DAY
    runs_on = (pl.col("end_minute") > 0) & (pl.col("end_minute") < pl.col("start_minute"))
    timed = episodes.with_columns(start.cast(pl.Int64).alias("start_minute"), end.cast(pl.Int64).alias("end_minute"))
    for source, count in timed.filter(runs_on).group_by(SOURCE).len().sort(SOURCE).iter_rows():
        problems.add_count(
            source, count, "end", "midnight", "fixed", "runs on past the end of the diary day, cut there"
        )
    timed = timed.with_columns(
        pl.when(runs_on | (pl.col("end_minute") == 0))
        .then(MINUTES_PER_DAY)
        .otherwise(pl.col("end_minute"))
        .alias("end_minute")
    )
    is_empty = pl.col("start_minute") == pl.col("end_minute")
    problems.add(timed.filter(is_empty), "start", "I55", "row_rejected", "an episode without length")
    return timed.filter(~is_empty)


def _from_slots(slots: pl.DataFrame, offset: int, problems: Problems) -> pl.DataFrame:
    start = ((pl.col("start") - offset) % MINUTES_PER_DAY).cast(pl.Int64)
    end = pl.min_horizontal(pl.col("start_minute") + pl.col("slot_minutes"), MINUTES_PER_DAY)
    timed = slots.with_columns(start.alias("start_minute")).with_columns(end.cast(pl.Int64).alias("end_minute"))
    timed = _in_order(timed)
    content = _content(timed)
    return collapse(checks.drop_copies(timed, [DAY, "start_minute", *content], problems), content)


# -- day totals ----------------------------------------------------------------------------------------


def _day_totals(days: pl.DataFrame, day_totals: pl.DataFrame, problems: Problems) -> pl.DataFrame:
    """Minutes by diary day and activity; a day that contradicts itself is left out."""
    if not day_totals.height:
        return pl.DataFrame()
    totals = _of_days(day_totals, days, [*_DAY_KEY, SUBMISSION]).sort(DAY, "activity", "minutes", ROW)
    totals = checks.drop_copies(totals, [DAY, "activity", "minutes"], problems)
    is_twice = (pl.col(DAY) == pl.col(DAY).shift(1)) & (pl.col("activity") == pl.col("activity").shift(1))
    twice = totals.filter(is_twice)
    problems.add(twice, "activity", "I58", "day_rejected", "an activity twice in one day, with other minutes")
    is_too_long = pl.col("minutes").sum().over(DAY) > MINUTES_PER_DAY
    too_long = totals.filter(is_too_long).group_by(DAY, SOURCE).agg(pl.col(ROW).min())
    problems.add(too_long, "minutes", "I53", "day_rejected", "more minutes than a day has")
    left_out = pl.concat([twice.select(DAY), too_long.select(DAY)])
    return totals.join(left_out, on=DAY, how="anti", maintain_order="left")


# -- tables as their contracts want them ---------------------------------------------------------------


def _with_drop(frame: pl.DataFrame, drop_ids: pl.Series) -> pl.DataFrame:
    return (
        frame.with_columns(drop_ids.gather(frame[DROP]).cast(pl.Categorical).alias("drop")) if frame.height else frame
    )


def _sample_table(sample: pl.DataFrame, quarter: Quarter) -> pd.DataFrame:
    table = _started(sample, quarter)
    table["region"] = _text(sample, "region", otherwise=NATION)
    table["base_weight"] = _numbers(sample, "base_weight")
    # A list that does not say whom it asked for a diary asked everyone.
    table["has_diary_task"] = _flags(sample, "has_diary_task").fillna(value=True).astype(bool)
    table["diary_base_weight"] = _numbers(sample, "diary_base_weight")
    return _finished(table, sample)


def _respondents_table(
    respondents: pl.DataFrame, sample: pl.DataFrame, drops: list[Drop], quarter: Quarter
) -> pd.DataFrame:
    if sample.height and respondents.height:
        # The sample list is the authority on design and strata; answers never overrule it.
        known = sample.drop(name for name in sample.columns if name.startswith("_") or name == "drop")
        kept = [name for name in respondents.columns if name == "respondent_id" or name not in known.columns]
        respondents = respondents.select(kept).join(known, on="respondent_id", how="left", maintain_order="left")
    table = _started(respondents, quarter)
    table["region"] = _text(respondents, "region", otherwise=NATION)
    table["drop"] = _text(respondents, "drop")
    table["received"] = table["drop"].map({drop.id: drop.received.isoformat() for drop in drops}).astype("str")
    table["instrument"] = table["drop"].map({drop.id: drop.instrument for drop in drops}).astype("str")
    return _finished(table, respondents)


def _episodes_table(episodes: pl.DataFrame, quarter: Quarter) -> pd.DataFrame:
    table = _started(episodes, quarter)
    table["diary_date"] = _text(episodes, "diary_date")
    for name in ("start_minute", "end_minute"):
        table[name] = _numbers(episodes, name).astype("int64")
    for name in _EPISODE_TEXTS:
        table[name] = _text(episodes, name)
    for name in _EPISODE_FLAGS:
        table[name] = _flags(episodes, name)
    table["value"] = _numbers(episodes, "value")
    table["drop"] = _text(episodes, "drop")
    return _finished(table, episodes, without=["start", "end", "slot_minutes", "submitted_at"])


def _day_totals_table(day_totals: pl.DataFrame, quarter: Quarter) -> pd.DataFrame:
    table = _started(day_totals, quarter)
    for name in ("diary_date", "activity"):
        table[name] = _text(day_totals, name)
    table["minutes"] = _numbers(day_totals, "minutes")
    table["drop"] = _text(day_totals, "drop")
    return table


def _counts_table(respondents: pl.DataFrame, counted: list[str], quarter: Quarter) -> pd.DataFrame:
    counts = pl.DataFrame()
    if counted:
        counts = respondents.unpivot(
            counted, index="respondent_id", variable_name="item", value_name="count"
        ).drop_nulls()
    table = _started(counts, quarter)
    table["item"] = _text(counts, "item")
    table["count"] = _numbers(counts, "count")
    return table


def _started(frame: pl.DataFrame, quarter: Quarter) -> pd.DataFrame:
    table = pd.DataFrame({"respondent_id": _text(frame, "respondent_id")})
    return table.assign(quarter=pd.Series(str(quarter), index=table.index, dtype="str"))


def _finished(table: pd.DataFrame, frame: pl.DataFrame, *, without: list[str] | None = None) -> pd.DataFrame:
    """The table with every further column that the instrument names."""
    for name in frame.columns:
        if name.startswith("_") or name in table.columns or name in (without or []):
            continue
        dtype = frame.schema[name]
        is_text = dtype in (pl.Categorical, pl.String)
        table[name] = (_text if is_text else _flags if dtype == pl.Boolean else _numbers)(frame, name)
    return table


def _text(frame: pl.DataFrame, name: str, *, otherwise: str = "") -> pd.Series:
    if name not in frame.columns:
        return pd.Series([otherwise] * frame.height, dtype="str")
    return frame[name].cast(pl.String).fill_null(otherwise).to_pandas().astype("str")


def _numbers(frame: pl.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        return pd.Series([np.nan] * frame.height, dtype="float64")
    return pd.Series(frame[name].cast(pl.Float64).to_numpy(), dtype="float64")


def _flags(frame: pl.DataFrame, name: str) -> pd.Series:
    if name not in frame.columns:
        return pd.Series([pd.NA] * frame.height, dtype="boolean")
    values = frame[name]
    flags = pd.arrays.BooleanArray(
        values.fill_null(value=False).to_numpy(writable=True), values.is_null().to_numpy(writable=True)
    )
    return pd.Series(flags)
