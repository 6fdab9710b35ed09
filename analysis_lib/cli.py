"""The command line: parse, call, print, and leave with the right exit code.

Results go to standard output, everything else to standard error. Libraries that are slow to import are imported by
the command that needs them.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from analysis_lib.errors import (
    EnvironmentProblem,
    InputRejected,
    Interrupted,
    JianfuError,
    Late,
    UnitFailed,
    UsageError,
    did_you_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from analysis_lib.ingest.revisions import Counts
    from analysis_lib.quarters import Quarter
    from analysis_lib.running.builds import Build
    from analysis_lib.running.runs import RunResult
    from analysis_lib.running.units import Planned
    from analysis_lib.study import Study
    from analysis_lib.tables.drops import Drop
    from analysis_lib.tables.store import Store

TRACEBACK = "--traceback"
# What the machine may refuse anywhere: no space, no right, a disk that fails.
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

app = typer.Typer(
    name="jianfu",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(no_args_is_help=True, help="Look at the configuration of a study.")
app.add_typer(config, name="config")
say = partial(typer.echo, err=True)

StudyOption = Annotated[str, typer.Option("--study", envvar="JIANFU_STUDY", help="Folder of the study.")]
QuarterOption = Annotated[str, typer.Option("--quarter", help="A quarter, such as 2026Q3.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every quarter with data.")]
DueOption = Annotated[bool, typer.Option("--due", help="Quarters whose assessment is missing, failed or stale.")]
AsOfOption = Annotated[str, typer.Option("--as-of", help="As known on this day; nothing received later is read.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=0, help="Units at a time; 0: one per core.")]
AfterFinalOption = Annotated[str, typer.Option(help="Who allows it after the quarter is final, and why.")]
ReleaseArgument = Annotated[str, typer.Argument(help="A release, such as 2026Q3/r1.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line; a deliberate error is two lines and an exit code, never a traceback unless asked for."""
    shows_traceback = TRACEBACK in sys.argv
    arguments = [each for each in sys.argv[1:] if each != TRACEBACK]
    try:
        app(args=arguments)
    except JianfuError as error:
        if shows_traceback:
            raise
        say(f"error: {error}")
        raise SystemExit(error.exit_code) from error
    except OSError as error:
        if shows_traceback or error.errno not in REFUSALS:
            raise
        told = EnvironmentProblem(
            f"not possible on this machine: {error.strerror}",
            where=Path(error.filename or "disk").name,
            fix="free space or mend rights; the same command resumes what is left",
        )
        say(f"error: {told}")
        raise SystemExit(told.exit_code) from error
    except Interrupted as stopped:
        say("stopped; the same command resumes what is left")
        raise SystemExit(stopped.exit_code) from stopped


@app.callback()
def _jianfu(
    traceback: Annotated[bool, typer.Option(TRACEBACK, help="Show where an error came from (anywhere).")] = False,
) -> None:
    """Hours that grassroots officials lose to meetings and documents, assessed quarter after quarter.

    Examples:

    jianfu assess                                  demonstration: simulate, run, build, print the headline

    jianfu receive answers.xlsx --quarter 2026Q3 --instrument my-v1 --source "survey team" --study my-study

    jianfu publish 2026Q3/r1                       after verify, and sign by two people

    jianfu run --due && jianfu build               what a timer calls each week

    jianfu status --fail-if-late 14d               the dead man's switch
    """
    del traceback  # main() took it out of the arguments, wherever it stood


# -- a study and its data -----------------------------------------------------------------------------


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    simulated: Annotated[bool, typer.Option("--simulated", help="Another demonstration study.")] = False,
) -> None:
    """Make a study folder: a commented study.toml and the reference files to edit.

    Example: jianfu init my-study
    """
    from analysis_lib.running.scaffold import init_study

    init_study(folder, simulated=simulated)
    say(f"edit {folder / 'study.toml'} and {folder / 'reference'}, then: jianfu check --study {folder}")
    typer.echo(str(folder))


@app.command()
def simulate(
    study: StudyOption = "data",
    scenario: Annotated[str, typer.Option(help="The world to play: a letter from a to j.")] = "b",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 20231,
) -> None:
    """Write the raw drops of a simulated study, and the truth beside them.

    Example: jianfu init world --simulated && jianfu simulate --study world --scenario d
    """
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    with study_lock(opened):
        _simulate(opened, scenario, seed)
    typer.echo(str(opened.raw))


@app.command()
def receive(
    files: Annotated[list[str], typer.Argument(help="Files of one delivery, each as FILE or ROLE:FILE.")],
    quarter: QuarterOption,
    instrument: Annotated[str, typer.Option(help="Version of the questionnaire or diary: reference/instruments/.")],
    source: Annotated[str, typer.Option(help="Who sent it.")],
    role: Annotated[list[str] | None, typer.Option(help="Role of a file, as ROLE=FILE; may be repeated.")] = None,
    slug: Annotated[str, typer.Option(help="Name of the drop's folder; from the instrument by default.")] = "",
    received: Annotated[str, typer.Option(help="Day of receipt; today by default.")] = "",
    supersedes: Annotated[list[str] | None, typer.Option(help="Id of a drop that this one replaces.")] = None,
    accept_revision: Annotated[
        bool, typer.Option(help="Take it in though it changes or removes what is known.")
    ] = False,
    after_final: AfterFinalOption = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Register a delivery of raw files; they are copied, hashed and never edited.

    Example: jianfu receive answers.csv diary:diaries.csv --quarter 2026Q3 --instrument my-v1 --source "survey team"
    """
    from analysis_lib.ingest.instruments import read_instrument
    from analysis_lib.parameters import parse_day
    from analysis_lib.running.runs import study_lock
    from analysis_lib.tables.store import Store

    opened = _open(study)
    roles = list(read_instrument(opened, instrument).files)
    by_role = _files_by_role([*files, *(each.replace("=", ":", 1) for each in role or [])], roles)
    asked, day = _quarter(opened, quarter), parse_day(received) or opened.today()
    counted: list[Counts] = []
    with study_lock(opened):
        store = Store(opened)
        # What replaces a drop may come on the same day and must not stand in its folder.
        own = store.free_slug(asked, day, instrument.lower()) if supersedes else instrument.lower()
        drop, is_new = store.receive(
            by_role,
            quarter=asked,
            instrument=instrument,
            source=source,
            slug=slug or own,
            received=day,
            supersedes=tuple(supersedes or ()),
            after_final=after_final,
            review=lambda candidate: counted.extend(_reviewed(store, candidate, accept_revision)),
        )
    say("received" if is_new else "already received")
    told = {each.of: asdict(each) for each in counted}
    _show({"drop": drop.id, "is_new": is_new, "sha256": drop.sha256, "revision": told}, as_json, drop.id)


@app.command()
def drops(
    quarter: QuarterOption = "", as_of: AsOfOption = "", study: StudyOption = "data", as_json: JsonOption = False
) -> None:
    """List raw drops with where they stand: in force, superseded or withdrawn, since when, in which release.

    Example: jianfu drops --quarter 2026Q3 --as-of 2026-10-31
    """
    from analysis_lib.parameters import parse_day
    from analysis_lib.running.vintages import WAITING, list_drops

    opened = _open(study)
    quarters = [_quarter(opened, quarter)] if quarter else opened.config.calendar.quarters
    rows = list_drops(opened, quarters, parse_day(as_of))
    waiting = sum(row["state"] == "in_force" and row["release"] == WAITING for row in rows)
    if waiting:
        say(f"{waiting} drops wait for the next release of their quarter: jianfu run --due, then jianfu build")
    _show(rows, as_json, _table(rows))


@app.command()
def withdraw(
    drop: Annotated[str, typer.Argument(help="Id of a drop in force, as jianfu drops lists it.")],
    reason: Annotated[str, typer.Option(help="Why it does not count, in words that stay understandable.")],
    since: Annotated[str, typer.Option(help="Day from which it does not count; today by default.")] = "",
    after_final: AfterFinalOption = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Let a drop no longer count. It stays in the raw folder, and --as-of an earlier day still reads it.

    Example: jianfu withdraw 2026Q3/2026-10-08/my-v1 --reason "filed under the wrong quarter"
    """
    from analysis_lib.parameters import parse_day
    from analysis_lib.running.runs import study_lock
    from analysis_lib.tables.store import Store

    opened = _open(study)
    with study_lock(opened):
        day = parse_day(since) or opened.today()
        withdrawn = Store(opened).withdraw(drop, since=day, reason=reason, after_final=after_final)
    say(f"withdrawn from {day} on: {reason}")
    _show({"drop": withdrawn.id, "since": day.isoformat(), "reason": reason}, as_json, withdrawn.id)


@app.command()
def reproduce(
    release: Annotated[str, typer.Argument(help="Such as 2026Q3/r1.")],
    now: Annotated[
        bool, typer.Option("--now", help="Show what the same quarter gives as known now beside it.")
    ] = False,
    signer: Annotated[str, typer.Option("--sign", help="Who stands for it that the rerun differs.")] = "",
    reason: Annotated[str, typer.Option(help="Why it differs, in words that stay understandable.")] = "",
    workers: WorkersOption = 0,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Make a release again from exactly the drops it read, and compare every byte; exit 5 when one differs.

    A difference that is meant, such as that of better code, is signed: files, numbers, who and why go to the ledger.

    Examples: jianfu reproduce 2026Q3/r1 --now · jianfu reproduce 2026Q3/r1 --sign "A. Reader" --reason "a mended rule"
    """
    from analysis_lib.running.reproduce import check_same, reproduce, sign_difference

    opened = _open(study)
    found = reproduce(opened, release, now=now, workers=workers, progress=say)
    say(f"{found.files - len(found.differing)} of {found.files} files are the same, byte for byte")
    if found.numbers:
        say(f"{len(found.numbers)} numbers differ; --json lists them, the most surprising first")
    _show(asdict(found), as_json, _table(found.headline))
    if signer or reason:
        sign_difference(opened, found, signer, reason)
    else:
        check_same(found)


@app.command()
def settling(
    quarter: QuarterOption = "",
    at_most: Annotated[int, typer.Option("--vintages", min=2, help="Days of receipt estimated per quarter.")] = 8,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Say how fast the headline settles: days after the quarter until what came later no longer mattered.

    For the team's own quality report: it shows what few late returns changed, which is not for publication.

    Example: jianfu settling --quarter 2026Q2
    """
    from analysis_lib.running.runs import study_lock
    from analysis_lib.running.vintages import settling_of

    opened = _open(study)
    with study_lock(opened):
        rows = _records(settling_of(opened, _quarters(opened, quarter, ""), at_most=at_most))
    _show(rows, as_json, _table(rows))


@app.command()
def check(quarter: QuarterOption = "", study: StudyOption = "data", as_json: JsonOption = False) -> None:
    """Read everything without running: configuration, reference files, and each drop for its problems.

    --json lists every row of the problems table, and an error as JSON too.

    Example: jianfu check --quarter 2026Q3
    """
    try:
        counts, problems, warnings = _checked(_open(study), quarter)
    except JianfuError as error:
        if as_json:
            told = {"what": error.what, "where": error.where, "fix": error.fix, "exit_code": error.exit_code}
            _show({"error": told}, as_json, "")
        raise
    _show({"warnings": warnings, "problems": problems}, as_json, _table(counts))


@config.command("show")
def config_show(study: StudyOption = "data", as_json: JsonOption = False) -> None:
    """Print every key of study.toml with its value, its meaning, and whether it is the default."""
    from analysis_lib.running.scaffold import render_config

    settings = _open(study).config
    _show(settings.model_dump(mode="json"), as_json, render_config(settings))


# -- running ------------------------------------------------------------------------------------------


@app.command()
def run(
    quarter: QuarterOption = "",
    due: DueOption = False,
    every: AllOption = False,
    as_of: AsOfOption = "",
    workers: WorkersOption = 0,
    then_build: Annotated[bool, typer.Option("--build", help="Build what is complete afterwards.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and why.")] = False,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Run though packages differ from the lock file; the record says so.")
    ] = False,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Run the notebooks of quarters: units that are missing, failed or stale, and those only.

    --due leaves to you what [running] policy and rerun_stale in study.toml leave to you, such as stale units of a
    quarter that readers know; --quarter and --all run everything that must.

    Examples: jianfu run --quarter 2026Q3 · jianfu run --due --build · jianfu run --all --workers 4
    """
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    if [bool(quarter), due, every].count(True) != 1:
        raise UsageError("name what to run", where="run", fix="give one of --quarter Q, --due, --all")
    if then_build and as_of:
        raise UsageError("what was known then is not published again", where="run", fix="leave out --build or --as-of")
    select = partial(_due, opened) if due else None
    if dry_run:
        _show_plan(opened, _planned(opened, quarter, as_of), as_json, workers, select)
        return
    with study_lock(opened):
        quarters = _quarters(opened, quarter, as_of)
        result = _run(opened, quarters, as_of, workers, select, allow_drift)
        if then_build and not result.failed and (complete := _without_left(opened, quarters, result)):
            _build(opened, complete)
    rows = [asdict(each) for each in result.endings]
    text = "\n".join(f"{each.unit_id}\t{each.kind}" for each in result.endings)
    _show(
        {"run_id": result.run_id, "up_to_date": result.up_to_date, "left": result.left, "endings": rows},
        as_json,
        text or _idle(result),
    )
    _fail_if_units_failed(result)


@app.command()
def plan(
    quarter: QuarterOption = "",
    due: DueOption = False,
    as_of: AsOfOption = "",
    workers: WorkersOption = 0,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Say for each unit whether it would run and why, how long that takes, and which published numbers could move.

    Examples: jianfu plan --quarter 2026Q3 · jianfu plan --due · jianfu plan --json
    """
    opened = _open(study)
    select = partial(_due, opened) if due else None
    _show_plan(opened, _planned(opened, quarter, as_of), as_json, workers, select)


@app.command()
def status(
    fail_if_late: Annotated[str, typer.Option(help="Exit 8 when an assessment is overdue by more, such as 14d.")] = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Say where each quarter stands: data, units to run, due day, what is built, what readers see, days late.

    A quarter is late until it is published; what is built and not signed is late too.

    Example: jianfu status --fail-if-late 14d
    """
    from analysis_lib.monitoring.ledger import Ledger
    from analysis_lib.running import due
    from analysis_lib.running.notify import notify
    from analysis_lib.running.runs import plan_quarters
    from analysis_lib.tables.store import Store

    opened = _open(study)
    allowed = due.parse_days(fail_if_late) if fail_if_late else None
    ledger = Ledger(opened.ledger)
    planned = plan_quarters(opened, Store(opened).quarters_with_data())
    statuses = due.status(opened, ledger, planned, opened.today())
    rows = [{**asdict(each), "quarter": str(each.quarter), "due": each.due.isoformat()} for each in statuses]
    last = ledger.last_run()
    if last:
        end = "never ended: it was killed" if last.exit_code is None else f"exit {last.exit_code} at {last.ended}"
        say(f"last run {last.run_id} ({last.command}): {end}")
    good = [row["quarter"] for row in rows if row["published"]]
    say(f"last quarter published: {good[-1] if good else 'none'}")
    _show({"quarters": rows, "last_run": asdict(last) if last else None}, as_json, _table(rows))
    if allowed is not None:
        try:
            due.check_lateness(statuses, allowed)
        except Late:
            late = [f"{each.quarter} by {each.days_late} days" for each in statuses if each.days_late > allowed]
            notify(opened, "lateness", say, late=late)
            raise


@app.command()
def scenario(
    change: Annotated[
        list[str] | None, typer.Option("--change", help="NAME=-50%, NAME=-1 or NAME=<=3; may be repeated.")
    ] = None,
    halve: Annotated[list[str] | None, typer.Option("--halve", help="NAME, the same as NAME=-50%.")] = None,
    quarter: QuarterOption = "",
    as_of: AsOfOption = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Say what the model of hours lost gives if answers were otherwise: an association, not the effect of acting.

    NAME is a term of reference/drivers.toml or its column. Without a change, the scenarios declared there are told.

    Example: jianfu scenario --halve inspections_received
    """
    from analysis_lib.disclosure.protect import protect
    from analysis_lib.parameters import RunParameters
    from analysis_lib.pipeline import load_officials, periods
    from analysis_lib.publishing.sentences import display_table
    from analysis_lib.survey.scenarios import declared_scenarios, told_scenario

    opened = _open(study)
    asked = str(_quarter_or_latest(opened, quarter))
    run = RunParameters.parse(study=study, quarter=asked, as_of=as_of)
    period, pooled = list(periods(run).pooled.items())[-1]
    wanted = ",".join([*(change or []), *(f"{name}=-50%" for name in halve or [])])
    officials = load_officials(run)
    where = {"study": run.study, "period": period, "quarters": pooled}
    rows, impossible = told_scenario(officials, wanted, **where) if wanted else declared_scenarios(officials, **where)
    for outcome, why in impossible.items():
        say(f"{outcome}: {why}")
    shown = display_table(protect(rows, "scenarios", study=run.study), study=run.study, language="en")
    say("association, not effect: those with fewer of these differ in other ways too")
    _show(shown.to_dict("records"), as_json, shown.to_string(index=False))


@app.command()
def link(
    old: Annotated[str, typer.Argument(help="Version of an instrument, such as odk-v1.")],
    new: Annotated[str, typer.Argument(help="The version that takes its place.")],
    quarter: QuarterOption = "",
    into: Annotated[Path | None, typer.Option(help="Study whose reference/links.csv takes the factors.")] = None,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Say how many times as much a new version of an instrument finds, from an overlap: random halves that met one each.

    Without --into nothing is written. A series is drawn across the change of a version only where a factor is known.

    Example: jianfu link odk-v1 odk-v2 --study overlap-2026 --quarter 2026Q3 --into data
    """
    from analysis_lib.monitoring.linking import add_links, link_measures
    from analysis_lib.parameters import RunParameters
    from analysis_lib.pipeline import load, officials_of
    from analysis_lib.tables.store import Store

    opened = _open(study)
    asked = _quarter_or_latest(opened, quarter)
    run = RunParameters.parse(study=study, quarter=str(asked), as_of="")
    asked_with = load(run, "respondents").set_index("respondent_id")["instrument"]
    officials = officials_of(Store(opened), asked)
    overlap = f"{opened.root.name} {asked}"
    found, impossible = link_measures(officials, asked_with, old, new, overlap=overlap, study=opened)
    for measure, why in impossible.items():
        say(f"{measure}: {why}")
    _show(found.to_dict("records"), as_json, found.round(4).to_csv(index=False).rstrip())
    if into:
        say(f"written to {add_links(_open(str(into)), found).name}")


@app.command()
def schedule(
    timer: Annotated[Literal["cron", "systemd", "airflow", "dagster", "github"], typer.Argument(help="Which timer.")],
    into: Annotated[Path | None, typer.Option(help="Write the files into this folder; printed otherwise.")] = None,
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Print what a timer needs: a cron line, systemd units with catch-up, an Airflow or Dagster file, a GitHub workflow.

    Examples: jianfu schedule cron · jianfu schedule systemd --into units
    """
    from analysis_lib.running.schedule import SIXTY_DAYS, timer_files, write_files

    files = timer_files(_open(study), timer)
    if timer == "github":
        say(f"warning: {SIXTY_DAYS}")
    if into:
        _show(files, as_json, "\n".join(str(path) for path in write_files(files, into)))
    else:
        name_of = "# -- {} --\n" if len(files) > 1 else ""
        _show(files, as_json, "\n".join(name_of.format(name) + text for name, text in files.items()))


# -- publishing ---------------------------------------------------------------------------------------


@app.command()
def build(quarter: QuarterOption = "", study: StudyOption = "data", as_json: JsonOption = False) -> None:
    """Build pages and downloads of a quarter, or of every quarter that is complete, as candidates, and a preview.

    What readers see does not change: see verify, sign and publish.

    Example: jianfu build --quarter 2026Q3
    """
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    with study_lock(opened):
        built = _build(opened, _quarters(opened, quarter, ""))
    releases = {str(each): release for each, release in built.releases.items()}
    _show({"releases": releases, "index": str(built.index)}, as_json, str(built.index))


@app.command()
def verify(
    release: Annotated[str, typer.Argument(help="A release to hold against the gates of a publication, too.")] = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Check the ledger's chain, every release, the site and the drops that releases pin; exit 5 names what differs.

    With a release, its pages and downloads pass the gates of a publication: leaks, links, markup, equal numbers in every
    format and language, accessibility; exit 4 names what does not.

    Examples: jianfu verify · jianfu verify 2026Q3/r1
    """
    from analysis_lib.running import releases

    checked = releases.verify(_open(study), release)
    _show(checked, as_json, "\n".join(f"{name}\t{count}" for name, count in checked.items()))


@app.command()
def sign(
    release: ReleaseArgument,
    name: Annotated[str, typer.Option(help="Who signs.")],
    role: Annotated[str, typer.Option(help="In which role.")],
    accept_jump: Annotated[str, typer.Option(help="Why a headline may move by more than four standard errors.")] = "",
    accept_coverage: Annotated[
        str, typer.Option(help="Why it may be published though more regions are silent than study.toml allows.")
    ] = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Sign a candidate: two different people must, before it can be published. A changed candidate is signed anew.

    Example: jianfu sign 2026Q3/r1 --name "A. Reader" --role statistician
    """
    from analysis_lib.running import releases
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    with study_lock(opened):
        signed = releases.sign(opened, release, name, role, accept_jump=accept_jump, accept_coverage=accept_coverage)
    _show(signed, as_json, f"{release} signed by {signed['signed_by']} of {releases.SIGNATURES}")


@app.command()
def publish(
    release: Annotated[str, typer.Argument(help="A signed candidate, such as 2026Q3/r1.")] = "",
    to: Annotated[str, typer.Option("--to", help="Put a release back that was published before.")] = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Show a signed candidate to readers, or an older release again, in one step; nothing is deleted.

    Examples: jianfu publish 2026Q3/r2 · jianfu publish --to 2026Q3/r1
    """
    from analysis_lib.running import releases
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    if bool(release) == bool(to):
        raise UsageError("name one release", where="publish", fix="give RELEASE, or --to RELEASE")
    with study_lock(opened):
        index = releases.publish_again(opened, to) if to else releases.publish(opened, release)
    _show({"release": release or to, "index": str(index)}, as_json, str(index))


@app.command()
def correct(
    release: ReleaseArgument,
    kind: Annotated[str, typer.Option(help="correction (a mistake) or revision (better data).")],
    text_zh: Annotated[str, typer.Option(help="What readers are told, in Chinese.")],
    text_en: Annotated[str, typer.Option(help="What readers are told, in English.")],
    date: Annotated[str, typer.Option(help="Day; today by default.")] = "",
    study: StudyOption = "data",
) -> None:
    """Tell readers that a published release was wrong, or is better known now; the release itself stays as it was.

    Example: jianfu correct 2026Q3/r1 --kind correction --text-zh "更正……" --text-en "Region A was …"
    """
    from analysis_lib.parameters import parse_day
    from analysis_lib.running import releases
    from analysis_lib.running.runs import study_lock

    opened = _open(study)
    with study_lock(opened):
        index = releases.correct(opened, release, kind, text_zh, text_en, parse_day(date) or opened.today())
    typer.echo(str(index))


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A release, such as 2026Q3/r1.")],
    after: Annotated[str, typer.Argument(help="Another release.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    lang: Annotated[Literal["zh", "en", ""], typer.Option(help="Names and numbers for a reader of a language.")] = "",
    study: StudyOption = "data",
    as_json: JsonOption = False,
) -> None:
    """Rank the numbers that changed between two releases by their uncertainty, the most surprising first.

    Examples: jianfu diff 2026Q3/r1 2026Q3/r2 · jianfu diff 2026Q2/r1 2026Q2/r2 --lang zh
    """
    import pandas as pd

    from analysis_lib.publishing.changed_numbers import changes_between, in_words
    from analysis_lib.publishing.releases import release_of, results_of

    opened = _open(study)
    released = [results_of(release_of(opened, name)) for name in (before, after)]
    rows = changes_between(*released, level=opened.config.estimation.confidence_level)
    say(f"{len(rows)} numbers changed")
    rows = in_words(rows, study=opened, language=lang) if lang else rows
    if as_csv:
        typer.echo(pd.DataFrame(rows).to_csv(index=False).rstrip("\n"))
    else:
        _show(rows, as_json, _table(rows))


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    as_preview: Annotated[bool, typer.Option("--preview", help="Show candidates, before they are published.")] = False,
    study: StudyOption = "data",
) -> None:
    """Show the published site, or the preview, in a browser on this machine, to nobody else. Stop it with Ctrl-C."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    site = _open(study).reports / ("preview" if as_preview else "site")
    if not site.is_dir():
        fix = "jianfu build" if as_preview else "jianfu build, then serve --preview; or sign and publish"
        raise UsageError("there is nothing to show yet", where="serve", fix=fix)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(site)))
    except OSError as error:
        raise EnvironmentProblem(
            f"port {port}: {error.strerror}", where="serve", fix="choose another --port"
        ) from error
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")


@app.command()
def assess(
    study: StudyOption = "data",
    lang: Annotated[Literal["zh", "en", ""], typer.Option(help="Language of the headline; from LANG by default.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Do it all: simulate the demonstration study if it has no data, run the latest quarter, build, say what was found.

    Example: jianfu assess --lang zh
    """
    from analysis_lib.running.builds import headline
    from analysis_lib.running.runs import study_lock
    from analysis_lib.tables.store import Store

    opened = _open(study)
    with study_lock(opened):
        if opened.config.study.is_simulated and not Store(opened).quarters_with_data():
            say("simulating the demonstration study")
            _simulate(opened, "b", 20231)
        quarter = _latest(opened)
        result = _run(opened, [quarter], "", 0)
        _fail_if_units_failed(result)
        built = _build(opened, [quarter])
        index = built.index
    language = lang or ("zh" if os.environ.get("LANG", "").startswith("zh") else "en")
    found = headline(opened, quarter, language)
    name = built.releases[quarter]
    say(f"this is a preview; two people sign it (jianfu sign {name} …), then: jianfu publish {name}")
    _show({"quarter": str(quarter), "headline": found, "index": str(index)}, as_json, f"{found}\n{index}")


@app.command()
def doctor(study: StudyOption = "data", as_json: JsonOption = False) -> None:
    """Look at what a run needs: versions as in the lock file, fonts, disk, an unbroken ledger."""
    from analysis_lib.running.doctor import examine

    findings = examine(_open(study))
    rows = [asdict(each) for each in findings]
    _show(
        rows, as_json, "\n".join(f"{'ok ' if each.is_well else 'BAD'} {each.what}: {each.detail}" for each in findings)
    )
    bad = [each.what for each in findings if not each.is_well]
    if bad:
        raise EnvironmentProblem(
            f"not well: {', '.join(bad)}", where="doctor", fix="make setup installs what is locked"
        )


# -- helpers ------------------------------------------------------------------------------------------


def _reviewed(store: Store, drop: Drop, is_accepted: bool) -> list[Counts]:
    """What a drop does to what is known; raises `InputRejected` when that is more than adding, and not accepted."""
    from analysis_lib import pipeline
    from analysis_lib.ingest.revisions import review

    if not store.drops(drop.quarter):
        return []
    try:
        before = pipeline.ingest(store, drop.quarter)
    except InputRejected:  # a quarter that could not be read has nothing to lose
        return []
    counted = review(store, drop, before)
    for each in counted:
        say(str(each))
    if not is_accepted and any(each.is_revision for each in counted):
        raise InputRejected(
            "it changes or removes what is known: " + "; ".join(str(each) for each in counted if each.is_revision),
            where=drop.id,
            fix="give --accept-revision when that is meant",
        )
    return counted


def _checked(study: Study, quarter: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Problems counted by kind, problems row by row, and warnings about the study."""
    from analysis_lib.ingest.checks import count_problems
    from analysis_lib.ingest.tidy import ingest_quarter
    from analysis_lib.running.study_check import check_study
    from analysis_lib.tables.store import Store

    store = Store(study)
    quarters = [_quarter(study, quarter)] if quarter else store.quarters_with_data()
    warnings = check_study(study, store, quarters)
    say(f"{len(study.measures)} measures, {len(study.regions)} regions: read")
    for warning in warnings:
        say(f"warning: {warning}")
    counts: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for each in quarters:
        found = ingest_quarter(store, each)["problems"]
        counted = count_problems(found)
        problems += _records(found)
        counts += [{"quarter": str(each), **row} for row in _records(counted)]
        say(f"{each}: {len(store.drops(each))} drops read, {len(counted)} kinds of problems")
    return counts, problems, warnings


def _records(frame: DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _open(name: str) -> Study:
    from analysis_lib.parameters import find_study
    from analysis_lib.study import Study

    return Study.open(find_study(name))


def _quarter(study: Study, text: str) -> Quarter:
    from analysis_lib.parameters import RunParameters

    return RunParameters.parse(study=str(study.root), quarter=text).quarter


def _quarter_or_latest(study: Study, text: str) -> Quarter:
    return _quarter(study, text) if text else _latest(study)


def _latest(study: Study) -> Quarter:
    from analysis_lib import pipeline
    from analysis_lib.tables.store import Store

    return pipeline.latest_quarter(Store(study))


def _quarters(study: Study, quarter: str, as_of: str) -> list[Quarter]:
    """The quarter asked for, or all with data, as known on a day; units that are up to date do not run anyway."""
    from analysis_lib.parameters import parse_day
    from analysis_lib.tables.store import Store

    with_data = Store(study, parse_day(as_of)).quarters_with_data()
    if not quarter:
        if not with_data:
            raise InputRejected(
                "no raw drops yet", where="raw", fix="jianfu receive FILES --quarter Q, or jianfu simulate"
            )
        return with_data
    asked = _quarter(study, quarter)
    if asked not in with_data:
        raise InputRejected(
            f"no raw drop of {asked} is known",
            where="raw",
            fix=f"jianfu receive FILES --quarter {asked}, or choose another",
        )
    return [asked]


def _planned(study: Study, quarter: str, as_of: str) -> list[Planned]:
    from analysis_lib.running.runs import plan_quarters

    return plan_quarters(study, _quarters(study, quarter, as_of), as_of)


def _due(study: Study, planned: list[Planned]) -> list[Planned]:
    """Units that a timer runs; what it leaves to somebody who asks is said."""
    from analysis_lib.monitoring.ledger import Ledger
    from analysis_lib.running.due import due_units

    asked = due_units(study, Ledger(study.ledger), planned, study.today())
    for quarter in sorted({each.unit.quarter for each in asked.left}):
        left = sum(each.unit.quarter == quarter for each in asked.left)
        say(f"{quarter}: {left} units left alone; jianfu run --quarter {quarter} runs them")
    return asked.to_run


def _without_left(study: Study, quarters: list[Quarter], result: RunResult) -> list[Quarter]:
    """Quarters to build: not those of which units were left alone."""
    if not result.left:
        return quarters
    return [quarter for quarter in quarters if not any(each.due for each in _planned(study, str(quarter), ""))]


def _show_plan(
    study: Study,
    planned: list[Planned],
    as_json: bool,
    workers: int,
    select: Callable[[list[Planned]], list[Planned]] | None,
) -> None:
    from analysis_lib.monitoring.ledger import Ledger
    from analysis_lib.running.expected import expected

    must_run = [each for each in planned if each.due]
    to_run = select(must_run) if select else must_run
    runs = {each.unit.id for each in to_run}
    workers = workers or study.config.running.workers or os.cpu_count() or 1
    told = expected(to_run, Ledger(study.ledger), workers=workers)
    rows = [
        {
            "unit": each.unit.id,
            "runs": each.unit.id in runs,
            "due": each.due,
            "reason": each.reason or "up to date",
            "changed": each.changed,
            "key": each.key,
            "seconds": told.seconds.get(each.unit.id),
            "could_move": told.moves.get(each.unit.id, {}),
        }
        for each in planned
    ]
    say(f"{len(to_run)} of {len(planned)} units would run{_in_about(told.wall_seconds, len(told.unknown))}")
    if told.moves:
        say(f"{sum(sum(tables.values()) for tables in told.moves.values())} published numbers could move")
    for unit, tables in told.moves.items():
        say(f"  {unit}: {', '.join(f'{count} of {table}' for table, count in tables.items())}")
    _show(rows, as_json, "\n".join(f"{row['unit']}\t{row['reason']}" for row in rows))


def _in_about(seconds: float, n_unknown: int) -> str:
    known = f" in about {seconds:.0f} s" if seconds else ""
    return f"{known}, {n_unknown} of them for the first time" if n_unknown else known


def _run(
    study: Study,
    quarters: list[Quarter],
    as_of: str,
    workers: int,
    select: Callable[[list[Planned]], list[Planned]] | None = None,
    allow_drift: bool = False,
) -> RunResult:
    from analysis_lib.running.runs import run_quarters

    result = run_quarters(
        study,
        quarters,
        as_of=as_of,
        workers=workers,
        select=select,
        allow_drift=allow_drift,
        command="jianfu " + " ".join(sys.argv[1:]),
        progress=say,
    )
    ran = f"run {result.run_id}: {len(result.endings)} units ran, {result.up_to_date} up to date"
    say(f"{ran} ({result.seconds:.1f} s)" if result.run_id else f"{_idle(result)} ({result.seconds:.1f} s)")
    return result


def _idle(result: RunResult) -> str:
    return f"nothing due, {result.left} units left alone" if result.left else "up to date"


def _fail_if_units_failed(result: RunResult) -> None:
    if result.failed:
        listed = "\n".join(
            f"  {each.unit_id}: {each.kind}: {each.message}{_left_behind(result, each.unit_id)}"
            for each in result.failed
        )
        raise UnitFailed(
            f"{len(result.failed)} of {len(result.endings)} units failed\n{listed}",
            where=f"run {result.run_id}",
            fix="see the executed notebooks, in the study's folder; the same command runs again what failed",
        )


def _left_behind(result: RunResult, unit_id: str) -> str:
    notebook = result.failed_notebooks.get(unit_id)
    return f"\n    see {notebook.as_posix()}" if notebook else ""


def _simulate(study: Study, scenario: str, seed: int) -> None:
    from analysis_lib.ingest.simulate import simulate_study

    simulate_study(study, scenario=scenario, seed=seed)


def _build(study: Study, quarters: list[Quarter]) -> Build:
    from analysis_lib.running.builds import build_quarters

    built = build_quarters(study, quarters)
    for quarter, release in built.releases.items():
        say(f"release {release} {'built' if quarter in built.new else 'is up to date'}")
    for release, why in built.without_pdf.items():
        say(f"release {release} has no PDF and cannot be published: {why}")
    if built.incomplete:
        say(f"not complete, left as they are: {', '.join(str(quarter) for quarter in built.incomplete)}")
    return built


def _files_by_role(given: list[str], roles: list[str]) -> dict[str, Path]:
    """Read ``FILE`` and ``ROLE:FILE``; a bare file takes the only role, or the one that has its name."""
    by_role: dict[str, Path] = {}
    for text in given:
        role, colon, name = text.partition(":")
        path = Path(name if colon else text)
        if not colon:
            role = roles[0] if len(roles) == 1 else path.stem
        if role not in roles:
            raise UsageError(f"no role {role!r} for {path.name}", where="files", fix=did_you_mean(role, roles))
        if role in by_role:
            raise UsageError(f"two files for the role {role!r}", where="files", fix="give one file per role")
        by_role[role] = path
    return by_role


def _show(data: object, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False, indent=1, default=str) if as_json else text.rstrip("\n"))


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as tab-separated text with a header, for eyes and for ``cut`` alike."""
    if not rows:
        return ""
    return "\n".join(["\t".join(rows[0]), *("\t".join(str(value) for value in row.values()) for row in rows)])
