"""A study of few regions whose officials, answers and diaries a test lays out in blocks, read from raw drops."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from ingest_study import ANSWERS, DIARY, SAMPLE, STUDY_TOML

from analysis_lib.quarters import Quarter
from analysis_lib.running.scaffold import init_study
from analysis_lib.study import Study
from analysis_lib.tables.store import Store

DESIGN = '[design]\nstratum = "tier"\npsu = ""\nnonresponse_classes = []\n[estimation]\nlevels = ["province"]\ncategories = []\n'
SAMPLE_OF_DIARIES = SAMPLE.replace(
    "has_diary_task =", 'diary_base_weight = { from = "weight", type = "weight" }\nhas_diary_task =', 1
)
DAYS = '[diary]\nrepresents = "one_day"\nmin_episodes = 0\nmust_fill_the_day = false\n'
HOURS = '[gross]\ntitle_zh = "总"\ntitle_en = "gross"\ngroups = ["meeting"]\n'
MEASURES = HOURS + '[work]\nkind = "questionnaire"\ntitle_zh = "问"\ntitle_en = "work"\ncolumns = ["work_hours"]\n'
REGIONS = {"P01": "省甲", "P02": "省乙", "P03": "省丙"}
ANSWERS_HEAD = "id,name,submitted,hours,meetings\n"
CHANGES = "old,new,quarter,kind,share,source,name_zh,name_en\n"


def make(
    folder: Path,
    codes: dict[str, list[str]],
    *,
    regions: list[str],
    changes: str = "",
    with_diaries: str = "",
    late: str = "",
) -> Store:
    """A study of a sample list and a questionnaire; quarter → the region code of each block of 25 officials.

    Officials of regions named in ``with_diaries`` keep diaries too, of as many hours of meetings as their block's number.
    Those named in ``late`` have not answered yet.
    """
    init_study(folder)
    reference = folder / "reference"
    texts = 'headline = "work"\nnested = ["work"]\nside_by_side = []\n'
    (folder / "study.toml").write_text(STUDY_TOML + DESIGN + texts + DAYS, encoding="utf-8")
    (reference / "measures.toml").write_text(MEASURES, encoding="utf-8")
    listed = "".join(f"{code},all,province,{code},Province {code}\n" for code in regions)
    (reference / "regions.csv").write_text("code,parent,level,name_zh,name_en\n" + listed, encoding="utf-8")
    if changes:
        (reference / "region_changes.csv").write_text(CHANGES + changes, encoding="utf-8")
    for version, text in {"list": SAMPLE_OF_DIARIES, "answers": ANSWERS, "diary": DIARY}.items():
        (reference / "instruments" / f"{version}.toml").write_text(text, encoding="utf-8")
    store = Store(Study.open(folder))
    for quarter, blocks in codes.items():
        people = [(f"E{i:03d}", blocks[i // 25], ("county", "town")[i % 2], 1 + i % 7) for i in range(25 * len(blocks))]
        asked = int(bool(with_diaries))
        sample = "".join(f"{who},{code},{tier},{weight},{asked}\n" for who, code, tier, weight in people)
        answers = [hours_of(who, quarter) for who, *_ in people if who not in late]
        receive_as(store, quarter, "list", "sample", "id,region,tier,weight,diary\n" + sample)
        receive_as(store, quarter, "answers", "questionnaire", ANSWERS_HEAD + "".join(answers))
        day = Quarter.parse(quarter).first_day
        episodes = "".join(
            f"{who},{day},08:00,{9 + i // 25:02d}:{i % 5}0,M1,2\n"
            for i, (who, code, *_) in enumerate(people)
            if code in with_diaries
        )
        if episodes:
            receive_as(store, quarter, "diary", "episodes", "id,date,start,end,activity,value\n" + episodes)
    return store


def hours_of(who: str, quarter: str) -> str:
    """The answer of an official: hours that only they know."""
    return f"{who},x,2026-02-01 10:00,{30 + (7 * int(who[1:])) % 23 + int(quarter[-1])},3\n"


def receive_as(
    store: Store,
    quarter: str,
    instrument: str,
    role: str,
    text: str,
    *,
    slug: str = "",
    received: dt.date | None = None,
) -> None:
    """Receive a file of one role, five days after its quarter unless said otherwise."""
    path = store.study.root / f"{role}.csv"
    path.write_text(text, encoding="utf-8")
    store.receive(
        {role: path}, quarter=Quarter.parse(quarter), instrument=instrument, source="team", slug=slug or instrument,
        received=received or Quarter.parse(quarter).last_day + dt.timedelta(days=5),
    )  # fmt: skip
