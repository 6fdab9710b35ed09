"""Writers of raw exports in the three shapes that survey platforms give, headers read from the instrument files."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from analysis_lib.ingest.instruments import Column, FileSpec, Instrument
from analysis_lib.ingest.simulate import dirt

_PLAIN_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_CREATED = dt.datetime(2023, 1, 1)  # the same bytes whenever a workbook is written
_END_OF_DAY = 1440
_FORM_VERSION = "2023100100"


@dataclass(frozen=True)
class Delivery:
    """What a province hands over at once, before it takes a vendor's shape.

    Attributes
    ----------
    answers : pandas.DataFrame
        A row per questionnaire: respondent_id, submitted_at, duration_s and an answer per column.
    days : pandas.DataFrame
        A row per diary day: day (number), respondent_id, submitted_at, diary_date.
    episodes : pandas.DataFrame
        A row per episode: day, start, end (minutes), activity, ... as drawn.
    """

    answers: pd.DataFrame
    days: pd.DataFrame
    episodes: pd.DataFrame


def write_delivery(
    delivery: Delivery, instrument: Instrument, folder: Path, *, rng: np.random.Generator, tally: Counter[str]
) -> dict[str, Path]:
    """Write a delivery in the shape of an instrument's platform; returns role → file."""
    write = {"wjx": _write_wjx, "odk": _write_odk, "slots": _write_slots}[instrument.platform]
    columns = instrument.files["questionnaire"].columns
    texts = delivery.answers.drop(columns="submitted_at").map(_as_text)
    arms = _reversed(instrument.values["list_arm"])
    texts["list_arm"] = texts["list_arm"].map(arms).fillna("")  # blank in quarters without the list
    answers = texts.assign(submitted_at=delivery.answers["submitted_at"])
    answers = dirt.soil_cells(answers, columns, list(instrument.missing), rng, tally)
    answers = dirt.soil_rows(answers, rng, tally).sort_values("submitted_at", kind="stable", ignore_index=True)
    days, episodes = delivery.days, dirt.soil_episodes(delivery.days, delivery.episodes, rng, tally)
    days, episodes = dirt.repeat_days(days, episodes, rng, tally)
    days = days.sort_values("submitted_at", kind="stable", ignore_index=True)
    return write(Delivery(answers, days, episodes), instrument, folder, rng, tally)


def write_sample(panel: pd.DataFrame, instrument: Instrument, path: Path) -> None:
    """Write the sample list of a quarter."""
    headers = _headers(instrument.files["sample"])
    frame = panel.assign(
        has_diary_task=np.where(panel["has_diary_task"], "1", "0"),
        base_weight=panel["base_weight"].map("{:.4f}".format),
        diary_base_weight=panel["diary_base_weight"].map("{:.4f}".format).where(panel["has_diary_task"], ""),
    )
    frame[list(headers)].rename(columns=headers).to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")


# -- 问卷星-like workbooks ----------------------------------------------------------------------------------------


def _write_wjx(
    delivery: Delivery, instrument: Instrument, folder: Path, rng: np.random.Generator, tally: Counter[str]
) -> dict[str, Path]:
    answers = delivery.answers.assign(
        submitted_at=_slashed(delivery.answers["submitted_at"]), duration_s=delivery.answers["duration_s"] + "秒"
    )
    questionnaire = instrument.files["questionnaire"]
    sheet = _with_vendor_columns(answers.rename(columns=_headers(questionnaire)), questionnaire.ignored, rng)
    files = {"questionnaire": folder / "questionnaire.xlsx"}
    _write_workbook(_with_blank_row(sheet, tally), questionnaire.sheet, files["questionnaire"])
    if len(delivery.days):
        files["diary"] = folder / "diary.xlsx"
        diary = instrument.files["diary"]
        _write_workbook(_day_rows(delivery, instrument, rng, tally), diary.sheet, files["diary"])
    return files


def _day_rows(
    delivery: Delivery, instrument: Instrument, rng: np.random.Generator, tally: Counter[str]
) -> pd.DataFrame:
    """One row per diary day with its episodes side by side."""
    diary = instrument.files["diary"]
    skipped = next(iter(instrument.missing))
    episodes = _in_words(delivery.episodes, instrument, nothing=skipped)
    episodes["start"] = dirt.soil_clocks(_clock(delivery.episodes["start"]), rng, tally)
    episodes["end"] = _clock(delivery.episodes["end"])
    tally["clock_24_00"] += int((episodes["end"] == "24:00").sum())
    parts = list(diary.block_columns)
    row = episodes["day"].map(pd.Series(np.arange(len(delivery.days)), index=delivery.days["day"])).to_numpy()
    block = episodes.groupby("day").cumcount().to_numpy()
    cells = np.full((len(delivery.days), diary.blocks * len(parts)), "", dtype=object)
    for step, part in enumerate(parts):
        cells[row, block * len(parts) + step] = episodes[part].to_numpy()
    blocks = pd.DataFrame(
        cells,
        columns=pd.Index(
            [
                diary.block_columns[part].sources[0].replace("{n}", str(n))
                for n in range(1, diary.blocks + 1)
                for part in parts
            ]
        ),
    )
    days = delivery.days.assign(
        submitted_at=_slashed(delivery.days["submitted_at"]),
        diary_date=_slashed(delivery.days["diary_date"], with_time=False),
    ).drop(columns="day")
    days = _with_vendor_columns(days.rename(columns=_headers(diary)), diary.ignored, rng)
    return pd.concat([days, blocks], axis=1)


def _with_vendor_columns(frame: pd.DataFrame, names: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Put in front what the vendor adds; addresses are of the block reserved for documentation."""
    size = len(frame)
    extra = {
        "序号": [str(n) for n in range(1, size + 1)],
        "来源": rng.choice(["微信", "链接"], size),
        "来源详情": ["测试渠道"] * size,
        "来自IP": [f"192.0.2.{n}(示例)" for n in rng.integers(1, 255, size)],
        "所用时间": [f"{n}秒" for n in rng.integers(300, 1500, size)],
    }
    return pd.concat([pd.DataFrame({name: extra[name] for name in names}, dtype=str), frame], axis=1)


def _write_workbook(frame: pd.DataFrame, sheet: str, path: Path) -> None:
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as workbook:
        workbook.set_properties({"created": _CREATED})
        worksheet = workbook.add_worksheet(sheet)
        worksheet.write_row(0, 0, list(frame.columns))
        for row, values in enumerate(frame.to_numpy(), start=1):
            for column, text in enumerate(values):
                if _PLAIN_NUMBER.match(text):
                    worksheet.write_number(row, column, float(text))
                elif text:
                    worksheet.write_string(row, column, text)


def _slashed(moments: pd.Series, *, with_time: bool = True) -> pd.Series:
    day = moments.dt.year.astype(str) + "/" + moments.dt.month.astype(str) + "/" + moments.dt.day.astype(str)
    return day + moments.dt.strftime(" %H:%M:%S") if with_time else day


# -- ODK / Kobo CSV with a repeat group ---------------------------------------------------------------------------


def _write_odk(
    delivery: Delivery, instrument: Instrument, folder: Path, rng: np.random.Generator, tally: Counter[str]
) -> dict[str, Path]:
    files = {"questionnaire": folder / "questionnaire.csv"}
    answers = delivery.answers
    seconds = pd.to_timedelta(pd.to_numeric(answers["duration_s"]), unit="s")
    questionnaire = instrument.files["questionnaire"]
    sheet = answers.assign(submitted_at=_iso(answers["submitted_at"])).rename(columns=_headers(questionnaire))
    sheet = sheet.assign(start=_iso(answers["submitted_at"] - seconds), end=_iso(answers["submitted_at"]))
    _to_csv(_with_instance(sheet, rng), files["questionnaire"])
    if not len(delivery.days):
        return files
    files |= {"diary": folder / "diary.csv", "episodes": folder / "diary-episodes.csv"}
    days = delivery.days.assign(
        submitted_at=_iso(delivery.days["submitted_at"]), diary_date=delivery.days["diary_date"].dt.strftime("%Y-%m-%d")
    )
    diary = instrument.files["diary"]
    days = _with_instance(days.rename(columns=_headers(diary)), rng)
    _to_csv(days.drop(columns="day"), files["diary"])
    keys = days.set_index("day")["KEY"]
    episodes = _in_words(delivery.episodes, instrument, nothing="")
    for edge in ("start", "end"):
        clock = _clock(delivery.episodes[edge]).replace("24:00", "00:00")  # the type `time` knows no 24:00
        episodes[edge] = clock + ":00.000+08:00"
    parent, nth = episodes["day"].map(keys), episodes.groupby("day").cumcount() + 1
    table = instrument.files["episodes"]
    sheet = episodes[list(table.columns)].rename(columns=_headers(table))
    sheet = sheet.assign(PARENT_KEY=parent, KEY=parent + "/episode[" + nth.astype(str) + "]")
    _to_csv(sheet.iloc[np.argsort(delivery.episodes["day"].to_numpy(), kind="stable")], files["episodes"])
    tally["clock_00_00"] += int((delivery.episodes["end"] == _END_OF_DAY).sum())
    return files


def _with_instance(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    keys = [f"uuid:{uuid.UUID(bytes=rng.bytes(16), version=4)}" for _ in range(len(frame))]
    device = [f"collect:test{n:04d}" for n in rng.integers(0, 10_000, len(frame))]
    return frame.assign(**{"deviceid": device, "meta-instanceID": keys, "__version__": _FORM_VERSION, "KEY": keys})


def _iso(moments: pd.Series) -> pd.Series:
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S.000+08:00")


def _to_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


# -- GB18030 CSV with ten-minute slots ----------------------------------------------------------------------------


def _write_slots(
    delivery: Delivery, instrument: Instrument, folder: Path, rng: np.random.Generator, tally: Counter[str]
) -> dict[str, Path]:
    files = {"questionnaire": folder / "questionnaire.csv"}
    questionnaire = instrument.files["questionnaire"]
    answers = delivery.answers.assign(submitted_at=delivery.answers["submitted_at"].dt.strftime("%Y-%m-%d %H:%M:%S"))
    sheet = answers.rename(columns=_headers(questionnaire)).assign(
        姓名=[f"测试{n:04d}" for n in rng.integers(0, 10_000, len(answers))],
        备注=rng.choice(["", "", "", "（测试）"], len(answers)),
    )
    sheet = _with_total_row(_with_blank_row(sheet, tally), questionnaire.columns, tally)
    sheet.to_csv(files["questionnaire"], index=False, encoding="gb18030", lineterminator="\r\n")
    if len(delivery.days):
        files["diary"] = folder / "diary.csv"
        slots = _slot_rows(delivery, instrument, rng, tally)
        slots.to_csv(files["diary"], index=False, encoding="gb18030", lineterminator="\r\n")
    return files


def _slot_rows(
    delivery: Delivery, instrument: Instrument, rng: np.random.Generator, tally: Counter[str]
) -> pd.DataFrame:
    """One row per slot; overlapping episodes give a slot twice, a hole leaves it out."""
    table = instrument.files["diary"]
    width = table.slot_minutes
    order = delivery.days.assign(order=np.arange(len(delivery.days))).set_index("day")["order"]
    episodes = delivery.episodes.assign(order=delivery.episodes["day"].map(order)).sort_values(["order", "start"])
    words = _in_words(episodes, instrument, nothing="")
    n_slots = ((episodes["end"] - episodes["start"]) // width).to_numpy()
    slots = words.loc[words.index.repeat(n_slots)]
    first = np.repeat(episodes["start"].to_numpy(), n_slots)
    within = np.arange(len(slots)) - np.repeat(np.cumsum(n_slots) - n_slots, n_slots)
    days = delivery.days.set_index("day")
    slots = slots.assign(
        start=dirt.soil_clocks(_clock(pd.Series(first + width * within, index=slots.index)), rng, tally),
        respondent_id=slots["day"].map(days["respondent_id"]),
        diary_date=slots["day"].map(days["diary_date"].dt.strftime("%Y-%m-%d")),
    )
    return slots[list(table.columns)].rename(columns=_headers(table))


def _with_total_row(frame: pd.DataFrame, columns: dict[str, Column], tally: Counter[str]) -> pd.DataFrame:
    """The totals that a clerk leaves below the last row."""
    total = dict.fromkeys(frame.columns, "")
    for spec in columns.values():
        if spec.type in ("hours", "count"):
            total[spec.sources[0]] = f"{pd.to_numeric(frame[spec.sources[0]], errors='coerce').sum():g}"
    total[columns["respondent_id"].sources[0]] = "合计"
    tally["total_row"] += 1
    return pd.concat([frame, pd.DataFrame([total])], ignore_index=True)


# -- shared -------------------------------------------------------------------------------------------------------


def _with_blank_row(frame: pd.DataFrame, tally: Counter[str]) -> pd.DataFrame:
    """An empty row in the middle, as copying and pasting leaves behind."""
    middle = len(frame) // 2
    tally["blank_row"] += 1
    blank = pd.DataFrame([dict.fromkeys(frame.columns, "")])
    return pd.concat([frame.iloc[:middle], blank, frame.iloc[middle:]], ignore_index=True)


def _headers(table: FileSpec) -> dict[str, str]:
    return {column: spec.sources[0] for column, spec in table.columns.items()}


def _in_words(episodes: pd.DataFrame, instrument: Instrument, *, nothing: str) -> pd.DataFrame:
    """Episodes in the vendor's codes; ``nothing`` stands for a question that was not put."""
    values = {kind: _reversed(table) for kind, table in instrument.values.items()}
    asked = episodes["medium"] != ""  # nothing more is asked about personal time
    yes_no = {True: values["yes_no"]["yes"], False: values["yes_no"]["no"]}
    return pd.DataFrame(
        {
            "day": episodes["day"],
            "activity": episodes["activity"],
            "secondary_activity": episodes["secondary_activity"].replace("", nothing),
            "medium": episodes["medium"].map(values["medium"]).where(asked, nothing),
            "required_by": episodes["required_by"].map(values["required_by"]).where(asked, nothing),
            "is_repeat": episodes["is_repeat"].map(yes_no).where(asked, nothing),
            "value": episodes["value"].astype(str).where(asked, nothing),
            "is_for_show": episodes["is_for_show"].map(yes_no).where(episodes["activity"] == "T1", nothing),
        }
    )


def _reversed(table: dict[str, str]) -> dict[str, str]:
    reverse: dict[str, str] = {}
    for cell, meaning in table.items():
        reverse.setdefault(meaning, cell)
    return reverse


def _clock(minutes: pd.Series) -> pd.Series:
    hour, minute = minutes // 60, minutes % 60
    return hour.astype(str).str.zfill(2) + ":" + minute.astype(str).str.zfill(2)


def _as_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
