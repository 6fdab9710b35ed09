"""A new study folder, and a configuration printed with its meaning."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from analysis_lib.errors import UsageError
from analysis_lib.reforms import read_reforms
from analysis_lib.running.scaffold import init_study, render_config
from analysis_lib.study import StudyConfig
from analysis_lib.survey.bottom_up import read_items
from analysis_lib.survey.driver_plan import read_drivers
from analysis_lib.time_use.diaries import SpecialDays, read_special_days


def test_a_new_study_opens_and_holds_no_invented_place(tmp_path: Path) -> None:
    study = init_study(tmp_path / "mine")
    assert study.config.study.id == "my-study"
    assert not study.config.study.is_simulated
    assert study.regions.empty
    assert study.measures


def test_a_new_study_begins_without_days_reforms_and_times_of_the_demonstration(tmp_path: Path) -> None:
    study = init_study(tmp_path / "mine")
    assert read_special_days(study) == SpecialDays()
    assert read_reforms(study) == []
    assert read_items(study) == []
    assert read_drivers(study) is None
    for name in ("calendar.toml", "reforms.toml"):  # the examples in their comments are valid
        lines = (study.reference / name).read_text(encoding="utf-8").splitlines()[1:]
        assert tomllib.loads("\n".join(line.removeprefix("# ") for line in lines))


def test_every_commented_line_of_a_new_study_is_a_key_with_its_default(tmp_path: Path) -> None:
    study = init_study(tmp_path / "mine")
    path = study.root / "study.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    uncommented = "\n".join(line.removeprefix("# ") for line in lines[1:])
    assert StudyConfig.model_validate(tomllib.loads(uncommented)) == study.config


def test_a_new_demonstration_study_says_that_it_is_simulated(tmp_path: Path) -> None:
    study = init_study(tmp_path / "world", simulated=True)
    assert study.config.study.is_simulated
    assert not list(study.raw.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="new or empty"):
        init_study(tmp_path)


def test_a_printed_configuration_is_the_configuration(tmp_path: Path) -> None:
    study = init_study(tmp_path / "mine")
    text = render_config(study.config)
    assert StudyConfig.model_validate(tomllib.loads(text)) == study.config
    assert "round_counts_to = 5  # C04: base to which counts are rounded (default)" in text
    assert "(default)" not in next(line for line in text.splitlines() if line.startswith("first = "))
