"""A study folder for tests of ingest: two regions, three activities, instruments as the test writes them."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import xlsxwriter

from analysis_lib.ingest.instruments import Instrument
from analysis_lib.ingest.tidy import ingest_quarter
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study
from analysis_lib.tables.drops import Drop
from analysis_lib.tables.store import Store

REPOSITORY = Path(__file__).resolve().parent.parent
QUARTER = Quarter.parse("2026Q1")

STUDY_TOML = """
[study]
id = "tiny"
title_zh = "小研究"
title_en = "A tiny study"
[calendar]
first = "2025Q4"
last = "2026Q2"
"""

ACTIVITIES_CSV = "code,group,kind,loss,name_zh,name_en\nM1,meeting,burden,always,,\nS1,service,service,never,,\nP0,personal,personal,never,,\n"
REGIONS_CSV = "code,parent,level,name_zh,name_en\nP01,,province,示例省甲,Example A\nP02,,province,示例省乙,Example B\n"

SAMPLE = """
version = "list"
platform = "plain"
title_zh = "名单"
title_en = "list"
[files.sample]
grain = "sample"
[files.sample.columns]
respondent_id = { from = "id", type = "id" }
region = { from = "region", type = "region", required = true }
tier = { from = "tier", type = "category" }
base_weight = { from = "weight", type = "weight" }
has_diary_task = { from = "diary", type = "yes_no", required = true }
[values.yes_no]
"1" = "yes"
"0" = "no"
"""

ANSWERS = """
version = "answers"
platform = "plain"
title_zh = "问卷"
title_en = "questionnaire"
[missing]
"-99" = "refused"
[files.questionnaire]
grain = "respondents"
ignored = ["name"]
[files.questionnaire.columns]
respondent_id = { from = "id", type = "id" }
submitted_at = { from = "submitted", type = "datetime" }
work_hours = { from = "hours", type = "hours", min = 0, max = 110 }
meetings_attended = { from = "meetings", type = "count", min = 0, max = 40 }
"""

DIARY = """
version = "diary"
platform = "plain"
title_zh = "日志"
title_en = "diary"
[files.episodes]
grain = "episodes"
[files.episodes.columns]
respondent_id = { from = "id", type = "id" }
diary_date = { from = "date", type = "date" }
start = { from = "start", type = "clock" }
end = { from = "end", type = "clock" }
activity = { from = "activity", type = "activity" }
value = { from = "value", type = "scale", min = 1, max = 4 }
"""


def make_store(folder: Path, *instruments: str, study_toml: str = STUDY_TOML, corrections: str = "") -> Store:
    """Write a study with the instruments given as texts, beside those of the demonstration study."""
    reference = folder / "reference"
    shutil.copytree(REPOSITORY / "data" / "reference" / "instruments", reference / "instruments")
    (folder / "study.toml").write_text(study_toml, encoding="utf-8")
    (reference / "activities.csv").write_text(ACTIVITIES_CSV, encoding="utf-8")
    (reference / "regions.csv").write_text(REGIONS_CSV, encoding="utf-8")
    (reference / "corrections.toml").write_text(corrections, encoding="utf-8")
    for text in instruments:
        version = text.split('version = "')[1].split('"')[0]
        (reference / "instruments" / f"{version}.toml").write_text(text, encoding="utf-8")
    return Store(Study.open(folder))


def receive(
    store: Store,
    instrument: str,
    files: dict[str, str | bytes | Path],
    *,
    received: str = "2026-04-05",
    slug: str = "first",
    suffix: str = ".csv",
    supersedes: tuple[str, ...] = (),
) -> Drop:
    """Receive files given as contents (text is written as UTF-8) or paths, role by role."""
    outbox = store.study.root / "outbox" / slug
    outbox.mkdir(parents=True, exist_ok=True)
    paths = {}
    for role, content in files.items():
        path = content if isinstance(content, Path) else outbox / f"{role}{suffix}"
        if not isinstance(content, Path):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths[role] = path
    drop, _ = store.receive(
        paths,
        quarter=QUARTER,
        instrument=instrument,
        source="test",
        slug=slug,
        received=dt.date.fromisoformat(received),
        supersedes=supersedes,
    )
    return drop


def ingest(store: Store) -> dict[str, pd.DataFrame]:
    """Tidy tables of the test's quarter."""
    return ingest_quarter(store, QUARTER)


def listed(problems: pd.DataFrame, *columns: str) -> list[tuple]:
    """Columns of the problems as a list of tuples, missing answers left out."""
    shown = problems[~problems["rule"].str.startswith("missing:")]
    return list(shown[list(columns)].itertuples(index=False, name=None))


def full_rows(instrument: Instrument, role: str, *rows: dict[str, object]) -> list[list[object]]:
    """A header line of everything that an export has, and lines that say what is given and nothing else."""
    spec = instrument.files[role]
    headers = [*spec.ignored, *(header for header in spec.headers if header not in spec.ignored)]
    return [headers, *([row.get(header, "") for header in headers] for row in rows)]


def as_csv(lines: list[list[object]]) -> str:
    """Lines as comma-separated text."""
    return "".join(",".join(str(cell) for cell in line) + "\n" for line in lines)


def as_workbook(path: Path, sheet: str, lines: list[list[object]]) -> Path:
    """Lines as a sheet of a workbook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with xlsxwriter.Workbook(path) as workbook:
        worksheet = workbook.add_worksheet(sheet)
        for row, line in enumerate(lines):
            worksheet.write_row(row, 0, line)
    return path
