"""What a run of a study would stumble over, found without running: settings, measures and design against the drops."""

from __future__ import annotations

from collections.abc import Iterable

from analysis_lib.errors import InputRejected, UsageError, did_you_mean
from analysis_lib.ingest.corrections import read_corrections
from analysis_lib.ingest.instruments import ColumnType, Grain, read_instrument
from analysis_lib.measures import CombinedMeasure, ExcessMeasure, Measure, QuestionnaireMeasure
from analysis_lib.monitoring.guardrails import three_distinctions
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.region_changes import FILE as REGION_CHANGES
from analysis_lib.study import NATION, Study
from analysis_lib.survey.bottom_up import read_items
from analysis_lib.survey.driver_plan import read_drivers
from analysis_lib.tables.store import Store
from analysis_lib.time_use.activities import all_measures, read_classification
from analysis_lib.time_use.diaries import read_special_days

_PEOPLE: set[Grain] = {"sample", "respondents"}
_DIARY: set[Grain] = {"diary_days", "episodes", "slots", "day_totals"}
_WORDS: set[ColumnType] = {"id", "datetime", "date", "category", "activity", "region"}  # types whose values are texts
_ALWAYS = {"respondent_id", "quarter", "region", "stratum", "psu"}  # texts that every official-quarter has

Columns = dict[str, ColumnType]


def check_study(study: Study, store: Store, quarters: list[Quarter]) -> list[str]:
    """Hold configuration and reference files against each other and against what the drops give.

    Parameters
    ----------
    study : Study
        The study.
    store : Store
        Its drops; those of all quarters count where a column may come from any of them.
    quarters : list of Quarter
        The quarters that a run is meant for; each is held against the design by itself.

    Returns
    -------
    list of str
        What a run accepts, and people may not have meant.

    Raises
    ------
    UsageError
        For a measure, a column of respondents or an item of a scale that is named and not there.
    InputRejected
        For a reference file that cannot be read, or a design column that neither respondents nor sample list carry.
    """
    for path in sorted((study.reference / "instruments").glob("*.toml")):
        read_instrument(study, path.stem)
    read_classification(study)
    read_special_days(study)
    read_corrections(study)
    reforms = read_reforms(study)
    read_drivers(study)
    read_items(study)
    _refuse_unknown_measures(study)
    three_distinctions(study, reforms)  # refuses a margin of what no distinction watches
    _refuse_unknown_items(study)
    warnings = [] if set(study.regions.index) - {NATION} else ["regions.csv lists no region: everything is national"]
    warnings += [f"{REGION_CHANGES}: {sentence}" for sentence in study.region_changes.told()]
    if (held := store.quarters_with_data()) and (missing := set(store.missing_quarters(max(held)))):
        declared = study.config.calendar.not_held
        warnings += [
            f"{each}: not held, a gap with [x] in series"
            if str(each) in declared
            else f"{each}: no data; a build will refuse"
            for each in sorted(missing)
        ]
    people: Columns = {}
    for quarter in store.quarters_with_data():
        columns, grains = _given(study, store, quarter)
        people |= columns
        if quarter in quarters:
            _refuse_design(study, quarter, columns, has_sample="sample" in grains)
            if not grains & _DIARY:
                warnings.append(f"{quarter}: no drop has a diary file, so nothing is known by diary")
    if people:
        _refuse_unknown_columns(study, people)
        warnings += _not_asked(study.measures.values(), people)
    return warnings


def _refuse_unknown_measures(study: Study) -> None:
    estimation = study.config.estimation
    named = {
        "headline": [estimation.headline],
        "nested": estimation.nested,
        "side_by_side": estimation.side_by_side,
    }
    for setting, keys in named.items():
        for key in keys:
            if key not in study.measures:
                raise UsageError(
                    f"{key!r} is no measure of measures.toml",
                    where=f"study.toml, [estimation] {setting}",
                    fix=did_you_mean(key, study.measures),
                )


def _refuse_unknown_items(study: Study) -> None:
    """Items of scales that ``study.toml`` names are asked by an instrument; those of the software may be left out."""
    if "scales" not in study.config.model_fields_set:
        return
    asked = {
        column
        for path in (study.reference / "instruments").glob("*.toml")
        for spec in read_instrument(study, path.stem).files.values()
        if spec.grain == "respondents"
        for column in spec.columns
    }
    for scale in study.config.scales:
        for item in scale.items:
            if item not in asked:
                raise UsageError(
                    f"item {item!r} is in no questionnaire of reference/instruments",
                    where=f"study.toml, [[scales]] {scale.key}, items",
                    fix=f"let an instrument read it, or take it out; {did_you_mean(item, asked)}",
                )


def _given(study: Study, store: Store, quarter: Quarter) -> tuple[Columns, set[Grain]]:
    """Columns of respondents and sample list that the drops of a quarter give, and the grains of their files."""
    columns: Columns = {}
    grains: set[Grain] = set()
    for drop in store.drops(quarter):
        instrument = read_instrument(study, drop.instrument)
        for role in {file.role for file in drop.files} & set(instrument.files):
            spec = instrument.files[role]
            grains.add(spec.grain)
            if spec.grain in _PEOPLE:
                columns |= {name: column.type for name, column in spec.columns.items()}
    return columns, grains


def _refuse_design(study: Study, quarter: Quarter, columns: Columns, *, has_sample: bool) -> None:
    design = study.config.design
    # A sample list brings the weight under a name of its own.
    named = {"stratum": design.stratum, "psu": design.psu, **({} if has_sample else {"weight": design.weight})}
    for setting, column in named.items():
        if column and column not in columns:
            raise InputRejected(
                f"{quarter}: column {column!r} is in neither the respondents nor the sample list",
                where=f"study.toml, [design] {setting}",
                fix=f'name a column that the instrument reads, or "" when the design has none; {did_you_mean(column, columns)}',
            )


def _refuse_unknown_columns(study: Study, people: Columns) -> None:
    attributes = {name for name, kind in people.items() if kind in _WORDS} | _ALWAYS
    attributes |= set(study.regions["level"].drop(NATION, errors="ignore"))
    if study.config.diary.represents == "one_day":
        attributes.add("day_type")
    named = {"study.toml, [estimation] categories": study.config.estimation.categories}
    for measure in study.measures.values():
        named[f"measures.toml, [{measure.key}] universe"] = list(measure.universe)
        if isinstance(measure, CombinedMeasure):
            named[f"measures.toml, [{measure.key}] within"] = measure.within
    # Numbers and flags are told by measures, each a column of its own.
    allowed = attributes | set(all_measures(study)) | {"has_diary"}
    for where, columns in named.items():
        for column in columns:
            if column not in allowed:
                raise UsageError(
                    f"{column!r} is no column of the respondents or the sample list",
                    where=where,
                    fix=f"take it out, or let an instrument read it; {did_you_mean(column, attributes)}",
                )


def _not_asked(measures: Iterable[Measure], people: Columns) -> list[str]:
    warnings = []
    for measure in measures:
        columns = (
            measure.columns
            if isinstance(measure, QuestionnaireMeasure)
            else [measure.acceptable]
            if isinstance(measure, ExcessMeasure)
            else []
        )
        if absent := [column for column in columns if column not in people]:
            warnings.append(f"not asked: {', '.join(absent)} of measure {measure.key}, which stays empty")
    return warnings
