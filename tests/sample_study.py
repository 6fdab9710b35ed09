"""A study folder of two regions for tests of what readers get: no raw data, only what people decide."""

from __future__ import annotations

import shutil
from pathlib import Path

from analysis_lib.study import Study

REPOSITORY = Path(__file__).resolve().parent.parent

STUDY_TOML = """
[study]
id = "demo"
title_zh = "基层负担评估（模拟示例）"
title_en = "Grassroots burden assessment (simulated demonstration)"
is_simulated = true
source_zh = "模拟的季度问卷与两日时间日志"
source_en = "simulated quarterly questionnaire and two-day time diary"
[calendar]
first = "2025Q1"
last = "2026Q3"
[publishing]
accessibility = false
[estimation]
levels = ["province", "county"]
"""

COMBINED_TOML = """headline = "gross_combined"
nested = ["gross_combined", "avoidable_combined", "excess_combined"]
side_by_side = ["recall_gross", "gross", "gross_combined"]
[small_areas]
measures = ["avoidable", "group_meeting"]
auxiliary = ["recall_gross"]
"""

REGIONS_CSV = """code,parent,level,name_zh,name_en
P01,,province,示例省甲,Example Province A
P02,,province,示例省乙,Example Province B
C0101,P01,county,示例县甲一,Example County A1
C0102,P01,county,示例县甲二,Example County A2
C0201,P02,county,示例县乙一,Example County B1
C0202,P02,county,示例县乙二,Example County B2
"""

REFORMS_TOML = """
[[reform]]
id = "fewer-shorter"
title_zh = "少开会、开短会，少发文、发短文"
title_en = "Fewer and shorter meetings and documents"
groups = ["meeting", "document"]
units = { P01 = "2025Q4", P02 = "2026Q1" }

[[reform]]
id = "one-form"
title_zh = "一表通"
title_en = "One form"
groups = ["form"]
units = { P02 = "2026Q2" }
"""


def write_study(folder: Path, *, study_toml: str = STUDY_TOML) -> Study:
    """Write a study into a folder and open it."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    (folder / "study.toml").write_text(study_toml, encoding="utf-8")
    (reference / "regions.csv").write_text(REGIONS_CSV, encoding="utf-8")
    (reference / "reforms.toml").write_text(REFORMS_TOML, encoding="utf-8")
    for name in ("measures.toml", "activities.csv", "activity_groups.csv", "categories.csv"):
        shutil.copy(REPOSITORY / "data" / "reference" / name, reference / name)
    return Study.open(folder)


def write_combined_study(folder: Path) -> Study:
    """The same with questionnaire and diaries combined in its headline, and with all that lies behind it."""
    study = write_study(folder, study_toml=STUDY_TOML + COMBINED_TOML)
    for name in ("drivers.toml", "unit_minutes.csv"):
        shutil.copy(REPOSITORY / "data" / "reference" / name, study.reference / name)
    return study


def with_category(study: Study, line: str) -> Study:
    """The study with one more line of ``categories.csv``: column, code, names in Chinese and English."""
    with (study.reference / "categories.csv").open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")
    return study
