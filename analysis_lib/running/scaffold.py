"""Make a new study folder, and print a configuration with what each key means."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from analysis_lib.errors import UsageError
from analysis_lib.quarters import Quarter
from analysis_lib.running.suite import REPOSITORY
from analysis_lib.study import DEFAULT_SCALES, ScaleSettings, Study, StudyConfig
from analysis_lib.survey.bottom_up import COLUMNS

DEMONSTRATION = REPOSITORY / "data"
# Files of a real study that begin empty: invented places, days, reforms and times stay with the demonstration.
_EMPTY = {
    "regions.csv": "code,parent,level,name_zh,name_en\n",
    "unit_minutes.csv": f"{','.join(COLUMNS)}\n",
    "calendar.toml": """\
# Days that do not have the day type of their weekday. holiday_is in study.toml says how holidays count.
# holidays = ["2026-10-01"]  # days kept off
# working_weekends = ["2026-10-10"]  # Saturdays and Sundays worked in their place
""",
    "reforms.toml": """\
# Reforms of the places studied: one table each, for the dashed lines in charts.
# [[reform]]
# id = "one-form"
# title_zh = "一表通"
# title_en = "One form"
# groups = ["form"]  # activity groups that it means to cut
# [reform.units]  # region of regions.csv → first quarter in force; "all" for everywhere
# "91" = "2026Q1"
""",
}
_LEFT_OUT = ["population.csv", "drivers.toml"]  # a study without them has no such section


def init_study(folder: Path, *, simulated: bool = False) -> Study:
    """Scaffold a study folder: a commented ``study.toml`` and the reference files to edit.

    Parameters
    ----------
    folder : pathlib.Path
        A folder that is not there yet, or is empty.
    simulated : bool
        Make another demonstration study, ready for ``jianfu simulate``.

    Raises
    ------
    UsageError
        When the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("something is there already", where=folder.name, fix="name a new or empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(DEMONSTRATION / "reference", folder / "reference")
    if simulated:
        shutil.copyfile(DEMONSTRATION / "study.toml", folder / "study.toml")
    else:
        (folder / "study.toml").write_text(_new_study_toml(), encoding="utf-8")
        for name, text in _EMPTY.items():
            (folder / "reference" / name).write_text(text, encoding="utf-8")
        for name in _LEFT_OUT:
            (folder / "reference" / name).unlink(missing_ok=True)
    (folder / "raw").mkdir()
    return Study.open(folder)


def _new_study_toml() -> str:
    quarter = Quarter.of(dt.date.today())
    given: dict[str, dict[str, Any]] = {
        "study": {"id": "my-study", "title_zh": "（研究标题）", "title_en": "(title of the study)"},
        "calendar": {"first": str(quarter), "last": str(quarter.shift(3))},
    }
    lines = ["# Every key of a study with its default. Take the # away to set another value.", ""]
    for name, section in _sections(StudyConfig).items():
        lines.append(f"[{name}]")
        for key, field in _keys(section).items():
            value = given.get(name, {}).get(key)
            entry = f"{key} = {_toml(value)}" if value is not None else f"# {key} = {_toml(_default(field))}"
            lines.append(f"{entry}  # {field.description}" if field.description else entry)
        lines.append("")
    lines += [f"# {line}" for line in _scale_lines(DEFAULT_SCALES)]
    return "\n".join([*lines, ""])


def render_config(config: StudyConfig) -> str:
    """The whole configuration as TOML: each value in force, whether it is the default, and what it means."""
    lines = []
    for name, section in _sections(StudyConfig).items():
        lines.append(f"[{name}]")
        values = attrgetter(name)(config)
        for key, field in _keys(section).items():
            remarks = [field.description] if field.description else []
            if not field.is_required() and getattr(values, key) == _default(field):
                remarks.append("(default)")
            comment = f"  # {' '.join(remarks)}" if remarks else ""
            lines.append(f"{key} = {_toml(getattr(values, key))}{comment}")
        lines.append("")
    return "\n".join([*lines, *_scale_lines(config.scales), ""])


def _scale_lines(scales: Sequence[ScaleSettings]) -> list[str]:
    """Scales as an array of tables, each key that differs from its default."""
    lines = []
    for scale in scales:
        lines.append("[[scales]]")
        lines += [f"{key} = {_toml(value)}" for key, value in scale.model_dump(exclude_defaults=True).items()]
    return lines


def _sections(model: type[BaseModel], within: str = "") -> dict[str, type[BaseModel]]:
    """Dotted name → section, each before those within it."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        if _is_section(field):
            section = cast(type[BaseModel], field.annotation)
            found |= {f"{within}{name}": section, **_sections(section, f"{within}{name}.")}
    return found


def _keys(section: type[BaseModel]) -> dict[str, FieldInfo]:
    return {key: field for key, field in section.model_fields.items() if not _is_section(field)}


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _toml(value: Any) -> str:
    """A TOML value; its scalars and lists are written like JSON's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
