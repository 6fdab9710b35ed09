"""The activity classification: which group a code belongs to, and when its time counts as lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from analysis_lib.errors import InputRejected, did_you_mean
from analysis_lib.measures import DiaryMeasure, Measure
from analysis_lib.study import Study, read_reference_csv

BURDEN = "burden"
KINDS = (BURDEN, "service", "core", "personal")
LOSSES = ("always", "never", "for_show")
MAX_ACTIVITY_MEASURES = 40  # a classification of hundreds of codes is reported by group only


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The activity codes of a study.

    Attributes
    ----------
    activities : pandas.DataFrame
        Indexed by code: group, kind, loss (when its time is lost: always, never, for_show), for_show_group
        (the group that takes its time when it was done for show; empty unless loss is for_show), names.
    groups : pandas.DataFrame
        Indexed by group: kind, name_zh, name_en, in the order in which they are shown.
    """

    activities: pd.DataFrame
    groups: pd.DataFrame

    @property
    def burden_groups(self) -> list[str]:
        """Groups whose time is hours lost."""
        return [str(group) for group in self.groups.index[self.groups["kind"] == BURDEN]]

    def listed(self, code: str) -> str:
        """The listed code that classifies a code: itself, else its longest listed prefix, else an empty text."""
        codes = self.activities.index
        return next((code[:length] for length in range(len(code), 0, -1) if code[:length] in codes), "")

    def below(self, code: str) -> list[str]:
        """Longer listed codes that start with a listed code, and so are classified apart from it."""
        return [str(other) for other in self.activities.index if other != code and str(other).startswith(code)]


def read_classification(study: Study) -> Classification:
    """Read ``activities.csv`` and ``activity_groups.csv``.

    Raises
    ------
    InputRejected
        For a code or group twice, a group that is not listed, or an unknown kind or loss.
    """
    paths = [study.reference / name for name in ("activities.csv", "activity_groups.csv")]
    return _read_files(*paths, *(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths))


@cache  # every chart asks for it
def _read_files(activities_csv: Path, groups_csv: Path, *_changed: int) -> Classification:
    activities = read_reference_csv(activities_csv, ["code", "group", "kind", "loss", "name_zh", "name_en"])
    groups = read_reference_csv(groups_csv, ["group", "kind", "name_zh", "name_en"])
    if "for_show_group" not in activities.columns:
        activities = activities.assign(for_show_group="")
    _refuse_repeats(activities, "code", "activities.csv")
    _refuse_repeats(groups, "group", "activity_groups.csv")
    _refuse_unknown(activities, "kind", KINDS, "activities.csv")
    _refuse_unknown(groups, "kind", KINDS, "activity_groups.csv")
    _refuse_unknown(activities, "loss", LOSSES, "activities.csv")
    _refuse_unknown(activities, "group", groups["group"], "activities.csv")
    _refuse_unknown(activities, "for_show_group", ["", *groups["group"]], "activities.csv")
    if ((activities["loss"] == "for_show") != (activities["for_show_group"] != "")).any():
        raise InputRejected(
            "loss = for_show and for_show_group belong together",
            where="reference/activities.csv",
            fix="name the burden group that takes the time done for show, or change loss",
        )
    return Classification(activities.set_index("code"), groups.set_index("group"))


def all_measures(study: Study) -> dict[str, Measure]:
    """The study's own measures, then one per activity group, then one per activity where they are few."""
    classification = read_classification(study)
    return {**study.measures, **group_measures(classification), **activity_measures(classification)}


@cache
def group_measures(classification: Classification) -> dict[str, DiaryMeasure]:
    """A measure ``group_<group>`` for each activity group that has a code, in hours per week."""
    listed = classification.activities
    used = {*listed["group"], *listed["for_show_group"]}
    rows = classification.groups[[group in used for group in classification.groups.index]]
    return {
        f"group_{group}": DiaryMeasure(
            key=f"group_{group}",
            title_zh=str(rows.at[group, "name_zh"]),
            title_en=str(rows.at[group, "name_en"]),
            groups=[str(group)],
            low_is_good={BURDEN: True, "service": False}.get(str(rows.at[group, "kind"])),
        )
        for group in rows.index
    }


@cache
def activity_measures(classification: Classification) -> dict[str, DiaryMeasure]:
    """A measure ``activity_<code>`` for each listed code, in hours per week; none when there are too many."""
    rows = classification.activities
    if len(rows) > MAX_ACTIVITY_MEASURES:
        return {}
    return {
        f"activity_{str(code).lower()}": DiaryMeasure(
            key=f"activity_{str(code).lower()}",
            title_zh=str(rows.at[code, "name_zh"]),
            title_en=str(rows.at[code, "name_en"]),
            include=[str(code)],
            exclude=classification.below(str(code)),
            low_is_good={BURDEN: True, "service": False}.get(str(rows.at[code, "kind"])),
        )
        for code in rows.index
    }


def _refuse_repeats(frame: pd.DataFrame, column: str, file: str) -> None:
    repeated = sorted(set(frame.loc[frame[column].duplicated(), column]))
    if repeated:
        raise InputRejected(f"{repeated} twice", where=f"reference/{file}, {column}", fix="list each once")


def _refuse_unknown(frame: pd.DataFrame, column: str, allowed: Iterable[str], file: str) -> None:
    known = list(allowed)
    unknown = sorted(set(frame[column]) - set(known))
    if unknown:
        raise InputRejected(
            f"unknown {unknown[0]!r}", where=f"reference/{file}, {column}", fix=did_you_mean(unknown[0], known)
        )
