"""A simulated study played quarter by quarter by the real command line: deliveries, timers, two signatures, accidents.

`play` is the whole of it; a `Script` says how long it lasts and in which quarter what goes wrong.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import pandas as pd

from analysis_lib import cli, pipeline
from analysis_lib.disclosure.handover import read_results
from analysis_lib.errors import JianfuError, Late, PublicationBlocked
from analysis_lib.ingest.simulate import simulate_study
from analysis_lib.monitoring.change_account import LAST, STEPS, THIS
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.monitoring.linking import link_same_people
from analysis_lib.quarters import Quarter
from analysis_lib.running.scaffold import init_study
from analysis_lib.running.suite import REPOSITORY, SUITE_VARIABLE
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.two_instruments import combine_instruments
from analysis_lib.tables.drops import Drop
from analysis_lib.tables.store import Store

FIRST = Quarter(2023, 4)
TIMER_DAYS = 35  # after a quarter's end: every first delivery is there, about half of the late ones are not
ALARM_DAYS = 62  # when the dead man's switch looks; 45 days are allowed, and 14 more
METHOD = "03-hours-lost"
KILLED = -9
EXACT = 1e-9

PLACES = {"91": ("示例省甲", "A"), "92": ("示例省乙", "B"), "93": ("示例省丙", "C")}  # one for each export format
FORM_OF = {"odk": "92", "slots": "93"}  # export format → province
OFFICIALS = {"county": 90, "township": 150, "village": 160}
REFORMS = """
[[reform]]
id = "fewer-shorter"
title_zh = "少开会、开短会，少发文、发短文"
title_en = "Fewer and shorter meetings and documents"
groups = ["meeting", "document"]
units = { "91" = "2024Q3", "92" = "2025Q3" }
"""

# The command line on a day of the play; it kills itself before the n-th entry of a kind would reach the ledger.
_COMMAND = """
import datetime as dt, os, signal, sys
from analysis_lib import cli
from analysis_lib.monitoring.chained_entries import ChainedEntries
from analysis_lib.study import Study
day, kind, left = dt.date.fromisoformat(sys.argv[1]), sys.argv[2], int(sys.argv[3])
Study.today = lambda _: day
record = ChainedEntries.append
def append(entries, what, *arguments, **more):
    global left
    left -= what == kind
    if what == kind and left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return record(entries, what, *arguments, **more)
ChainedEntries.append = append
sys.argv = ["jianfu", *sys.argv[4:]]
cli.main()
"""
QUICK = {"sign", "verify", "status", "correct", "publish"}  # need no process of their own, unless they are killed
RUNNING, BUILDING, PUBLISHING = ("ending", 2), ("release", 1), ("publication", 2)  # what a killed command last tried


@dataclass(frozen=True)
class Script:
    """How long a play lasts, and what happens in which of its quarters, the first of which is 0.

    Attributes
    ----------
    quarters, counties : int
        Quarters played, and counties in each of three provinces.
    notebooks : tuple of str
        Those of the suite that are played; all of them when there is none.
    new_forms : dict of str to int
        Export format → quarter in which a new version of its questionnaire is in use.
    new_method, split : int
        Quarter before whose run a method is changed, and before whose sample a county is split.
    crashes : dict of int to (str, int)
        Quarter → entry of the ledger before which the command that would write it is killed.
    missed : frozenset of int
        Quarters whose timer never fires.
    revised : int
        Quarter in which the one before is published again with what came late.
    again : bool
        Whether the first release is made again before the method changes, byte for byte, whatever else changed since.
    apart : bool
        Whether every run is a process of its own; else only those that are killed and those that follow.
    """

    quarters: int
    counties: int = 3
    notebooks: tuple[str, ...] = ()
    new_forms: dict[str, int] = field(default_factory=dict)
    new_method: int = -1
    split: int = -1
    crashes: dict[int, tuple[str, int]] = field(default_factory=dict)
    missed: frozenset[int] = frozenset()
    revised: int = -1
    again: bool = False
    apart: bool = True


@dataclass
class Seen:
    """What a play counted on its way."""

    late_drops: int = 0
    killed: int = 0
    settled: int = 0
    alarms: int = 0
    caught_up: int = 0
    refused_methods: int = 0
    jumps: int = 0
    accounts: int = 0
    largest_gap: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    links: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    spent: Counter[str] = field(default_factory=Counter)
    releases: list[str] = field(default_factory=list)


def play(folder: Path, script: Script, say: Callable[[str], object] = lambda _: None) -> tuple[Study, Seen]:
    """Play a script in a new folder; every quarter is checked as it is published, and the whole at its end."""
    played = Play(folder, script, say)
    for position in range(script.quarters):
        started = time.monotonic()
        played.quarter(position)
        played.seen.seconds.append(time.monotonic() - started)
        spent = ", ".join(f"{command} {seconds:.0f}" for command, seconds in played.seen.spent.items())
        say(f"{FIRST.shift(position)}: {played.seen.seconds[-1]:.1f} s, {len(played.seen.releases)} releases ({spent})")
    played.check_end()
    return played.study, played.seen


class Play:
    """A study that lives through a script, and the world that its deliveries come from."""

    def __init__(self, folder: Path, script: Script, say: Callable[[str], object]) -> None:
        self.script, self.say, self.seen = script, say, Seen()
        self.suite = _copy_suite(folder, script.notebooks)
        last = FIRST.shift(script.quarters - 1)
        self.world = _small_study(folder / "world", last, script.counties)
        simulate_study(self.world, progress=False)
        self.study = _small_study(folder / "study", last, script.counties)
        self.waiting = [
            drop for quarter in self.world.config.calendar.quarters for drop in Store(self.world).drops(quarter)
        ]
        self.waiting.sort(key=lambda drop: (drop.received, drop.id))
        self.day = FIRST.first_day

    # -- a quarter ------------------------------------------------------------------------------------

    def quarter(self, position: int) -> None:
        """Let a quarter's returns come in and its timer fire, unless nobody set the timer."""
        quarter = FIRST.shift(position)
        for form, since in self.script.new_forms.items():
            if position == since:
                self._introduce(form, quarter)
        if position == self.script.split:
            split_county(self.study, quarter)
            self.study = Study.open(self.study.root)
        self.day = quarter.last_day + dt.timedelta(days=TIMER_DAYS)
        self._deliver()
        if position == self.script.revised:
            self._revise(quarter.shift(-1))
        if position in self.script.missed:
            self._nobody_noticed(quarter)
            return
        if position == self.script.new_method:
            if self.script.again:
                self.jianfu("reproduce", self.seen.releases[0])
            self._change_method()
        self._timer(quarter, self.script.crashes.get(position))

    def _timer(self, quarter: Quarter, crash: tuple[str, int] | None) -> None:
        """What the timer calls, and the people after it, until nothing waits; oldest quarters first."""
        self.jianfu("run", "--due", "--build", dies=crash if crash in (RUNNING, BUILDING) else None)
        waiting = self._unpublished(quarter)
        assert waiting[-1] == quarter
        self.seen.caught_up += len(waiting) - 1
        for step, each in enumerate(waiting):
            if step:  # what this one may know of the one before has just been published
                self.jianfu("run", "--due", "--build")
            self.publish(each, dies=crash if crash == PUBLISHING else None)

    def publish(self, quarter: Quarter, dies: tuple[str, int] | None = None) -> str:
        """Verify, sign by two people, publish and check the newest release of a quarter."""
        built = Ledger(self.study.ledger).last_release(str(quarter))
        assert built is not None, quarter
        name = str(built["release"])
        self.jianfu("verify")
        self.jianfu("sign", name, "--name", "A. Reader", "--role", "statistician")
        self.jianfu("sign", name, "--name", "B. Head", "--role", "head")
        try:
            self.jianfu("publish", name, dies=dies)
        except PublicationBlocked as blocked:
            assert "standard errors" in str(blocked), blocked
            self.seen.jumps += 1
            why = ["--accept-jump", "looked into"]
            self.jianfu("sign", name, "--name", "A. Reader", "--role", "statistician", *why)
            self.jianfu("publish", name)
        self.seen.releases.append(name)
        self._check_release(name)
        return name

    def _unpublished(self, until: Quarter) -> list[Quarter]:
        ledger = Ledger(self.study.ledger)
        quarters = [each for each in self.study.config.calendar.quarters if each <= until]
        return [each for each in quarters if ledger.last_publication(str(each)) is None]

    # -- what comes in --------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Receive what has reached the group by today."""
        arrived = [drop for drop in self.waiting if drop.received <= self.day]
        self.waiting = self.waiting[len(arrived) :]
        shown = {entry["quarter"] for entry in Ledger(self.study.ledger).publications()}
        for drop in arrived:
            self.seen.late_drops += str(drop.quarter) in shown
            self._receive(drop, self.study, self._version(drop))

    def _receive(self, drop: Drop, study: Study, version: str, province: str = "") -> None:
        folder = self.study.root.parent / "inbox"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files = {each.role: folder / each.path.name for each in drop.files}
        for each in drop.files:
            shutil.copyfile(each.path, files[each.role])
        if version in CHANGED_FORMS:
            CHANGED_FORMS[version](files)
        if version == "sample-v1" and self._position(drop.quarter) >= self.script.split >= 0:
            split_sample(files["sample"])
        if province and "sample" in files:
            _keep_province(files["sample"], province)
        Store(study).receive(
            files, quarter=drop.quarter, instrument=version, source=drop.source, slug=drop.id.rpartition("/")[2],
            received=drop.received,
        )  # fmt: skip

    def _version(self, drop: Drop) -> str:
        form = drop.instrument.removesuffix("-v1")
        since = self.script.new_forms.get(form)
        return f"{form}-v2" if since is not None and self._position(drop.quarter) >= since else drop.instrument

    def _position(self, quarter: Quarter) -> int:
        return quarter - FIRST

    # -- what changes ---------------------------------------------------------------------------------

    def _introduce(self, form: str, quarter: Quarter) -> None:
        """Declare a new version of a questionnaire, and link it by people who answered both."""
        NEW_FORMS[form](self.study)
        study = self.study = Study.open(self.study.root)
        drops = [drop for drop in Store(self.world).drops(quarter) if drop.instrument in ("sample-v1", f"{form}-v1")]
        answers = {}
        for version in ("v1", "v2"):
            root = study.root.parent / "overlaps" / str(quarter) / version
            root.mkdir(parents=True)
            shutil.copy(study.root / "study.toml", root)
            shutil.copytree(study.reference, root / "reference")
            asked = Study.open(root)
            for drop in drops:
                self._receive(drop, asked, drop.instrument.replace(f"{form}-v1", f"{form}-{version}"), FORM_OF[form])
            answers[version] = pipeline.officials_of(Store(asked), quarter)
        rows = []
        for key in study.config.estimation.nested:
            old, new = (
                frame.set_index("respondent_id").assign(value=combine_instruments(frame, study.measures[key]).values)
                for frame in (answers["v1"], answers["v2"])
            )
            both = old.assign(old=old["value"], new=new["value"])
            link = link_same_people(both, "new", "old", design=SurveyDesign.of_study(study))
            rows.append(f"{form}-v1,{form}-v2,{key},{link.factor:.4f},{link.se:.4f},overlap of {quarter}\n")
            self.seen.links[f"{form}-v2 {key}"] = link.factor
        with (study.reference / "links.csv").open("a", encoding="utf-8") as stream:
            stream.writelines(rows)

    def _change_method(self) -> None:
        """Weigh by another rule; nothing is built until the change log says so."""
        settings = self.study.root / "study.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("[design]", "[design]\ntrim_weights_above = 1.5", 1), encoding="utf-8")
        entries = self.suite / "suite.toml"
        text = entries.read_text(encoding="utf-8")
        raised = text.replace(f'file = "{METHOD}.ipynb"', f'file = "{METHOD}.ipynb"\nmethod = 2', 1)
        entries.write_text(raised, encoding="utf-8")
        self.study = Study.open(self.study.root)
        try:
            self.jianfu("run", "--due", "--build")
        except PublicationBlocked as blocked:
            assert "CHANGELOG" in str(blocked), blocked
            self.seen.refused_methods += 1
        with (self.suite.parent / "CHANGELOG.md").open("a", encoding="utf-8") as stream:
            stream.write(f"- {METHOD}, method 2: weights above one and a half medians are trimmed.\n")

    def _revise(self, quarter: Quarter) -> None:
        """Publish a quarter again with what came late, and tell readers."""
        self.jianfu("run", "--quarter", str(quarter), "--build")
        name = self.publish(quarter)
        words = ["--text-zh", "补收了迟到的问卷。", "--text-en", "Late returns were added."]
        self.jianfu("correct", name, "--kind", "revision", *words, "--date", self.day.isoformat())

    def _nobody_noticed(self, quarter: Quarter) -> None:
        """No timer fires; the dead man's switch does."""
        self.day = quarter.last_day + dt.timedelta(days=ALARM_DAYS)
        try:
            self.jianfu("status", "--fail-if-late", "14d")
        except Late:
            self.seen.alarms += 1

    # -- the command line -----------------------------------------------------------------------------

    def jianfu(self, *arguments: str, dies: tuple[str, int] | None = None) -> str:
        """Call the command line on the day of the play; one that is to die does so, and is called again."""
        started = time.monotonic()
        try:
            return self._call(arguments, dies)
        finally:
            self.seen.spent[arguments[0]] += time.monotonic() - started  # pyright: ignore[reportArgumentType]

    def _call(self, arguments: tuple[str, ...], dies: tuple[str, int] | None) -> str:
        asked = [*arguments, "--study", str(self.study.root)]
        suite = {SUITE_VARIABLE: str(self.suite)}
        if dies:
            killed = self._process(asked, suite, dies)
            assert killed.returncode == KILLED, killed.stderr
            self.seen.killed += 1
            self._check_after_a_crash(dies)
        if not dies and (arguments[0] in QUICK or not self.script.apart):
            out = io.StringIO()
            with (
                mock.patch.dict(os.environ, suite),
                mock.patch.object(Study, "today", lambda _: self.day),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                cli.app(asked, standalone_mode=False)
            return out.getvalue()
        done = self._process(asked, suite, ("", 0))
        if done.returncode == PublicationBlocked.exit_code:
            raise PublicationBlocked(done.stderr, where=" ".join(arguments), fix="")
        assert done.returncode == 0, f"{' '.join(arguments)} on {self.day}: {done.stderr}"
        return done.stdout

    def _process(
        self, arguments: list[str], suite: dict[str, str], dies: tuple[str, int]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _COMMAND, self.day.isoformat(), dies[0], str(dies[1]), *arguments],
            env=os.environ | suite, capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip

    # -- what must hold -------------------------------------------------------------------------------

    def _check_after_a_crash(self, died: tuple[str, int]) -> None:
        """Readers see what they saw, or the whole of what was new; nothing else is broken."""
        if died == PUBLISHING:
            try:
                self.jianfu("verify")
            except JianfuError as interrupted:
                assert "interrupted" in str(interrupted), interrupted
                self.seen.settled += 1
        else:
            self.jianfu("verify")
        check_links(self.study.reports / "site")

    def _check_release(self, name: str) -> None:
        """Every printed number that moved since the last release has an account that adds up; every claim has a score."""
        quarter, ledger = Quarter.parse(name.partition("/")[0]), Ledger(self.study.ledger)
        shown = {entry["quarter"]: entry["release"] for entry in ledger.publications() if entry["state"] == "published"}
        earlier = {release for of, release in shown.items() if of < str(quarter)}
        claimed = sum(row["release"] in earlier for row in ledger.claims())
        scored = [row for row in ledger.scores() if row["release"] == name and row["kind"] != "forecast"]
        assert sum("claimed_in" in row for row in scored) == claimed, name
        this = self._hours(name, quarter)
        if (before := shown.get(str(quarter.shift(-1)))) is None:
            return
        last = self._hours(before, quarter.shift(-1))
        table = read_results(self._folder(name, "change_account"))["change_account"].table
        found = {
            (str(measure), str(region)): rows.set_index("category")
            for (measure, region), rows in table.groupby(["measure", "region"])
        }
        for key in sorted(set(last) & set(this)):
            assert key in found, f"{name}: {key} has no account"
            value, how = found[key]["value"], found[key]["outcome"]
            gap = value[LAST] + value[[step for step in STEPS if step in value]].sum() - value[THIS]
            self.seen.largest_gap = max(self.seen.largest_gap, abs(gap))
            self.seen.accounts += 1
            self.seen.steps.update(f"{step}: {how[step]}" for step in STEPS if step in how and how[step] != "unchanged")
            assert abs(gap) <= EXACT, (name, key, gap)
            assert (value[LAST], value[THIS]) == (last[key], this[key]), (name, key)
            assert how["remainder"] != "unexplained", (name, key, value.to_dict())

    def _hours(self, name: str, quarter: Quarter) -> dict[tuple[str, str], float]:
        """(measure, region) → what a release printed of the measures that are accounted for."""
        table = read_results(self._folder(name, "hours"))["hours"].table
        regions = [NATION, *pipeline.page_regions(self.study)]
        rows = table[
            (table["by"] == "") & (table["period"] == str(quarter)) & table["region"].isin(regions)
            & table["measure"].isin(self.study.config.estimation.nested) & table["value"].notna()
        ]  # fmt: skip
        return dict(zip(zip(rows["measure"], rows["region"], strict=True), rows["value"].astype(float), strict=True))

    def _folder(self, name: str, table: str) -> Path:
        (path,) = (self.study.reports / name / "results").rglob(f"{table}.json")
        return path.parent

    def check_end(self) -> None:
        """Every quarter is published, the ledger is whole, nothing waits, and the site holds all of it."""
        checked = dict(line.split("\t") for line in self.jianfu("verify").splitlines())
        assert int(checked["published"]) == self.script.quarters, checked
        ledger = Ledger(self.study.ledger)
        assert ledger.scores(), "no earlier claim was ever scored"
        site = self.study.reports / "site"
        for quarter in self.study.config.calendar.quarters:
            for language in self.study.config.publishing.languages:
                assert (site / language / str(quarter) / "index.html").is_file(), quarter
        check_links(site)


# -- the small world ----------------------------------------------------------------------------------


def _small_study(root: Path, last: Quarter, counties: int) -> Study:
    """A demonstration study of three provinces, each with an export format of its own."""
    init_study(root, simulated=True)
    settings = root / "study.toml"
    text = settings.read_text(encoding="utf-8")
    text = re.sub(r'^last = ".*"', f'last = "{last}"', text, flags=re.MULTILINE)
    # A sample this small has too few people in each tier of a province to say anything of them.
    text = re.sub(r"^categories = .*", "categories = []", text, flags=re.MULTILINE)
    # Pages of each kind are looked at by a browser in tests of their own.
    settings.write_text(f"{text}\n[publishing]\naccessibility = false\n", encoding="utf-8")
    regions, officials = ["code,parent,level,name_zh,name_en"], ["region,tier,officials"]
    for code, (name, letter) in PLACES.items():
        regions.append(f"{code},all,province,{name},Example Province {letter}")
        for number in range(1, counties + 1):
            regions.append(f"{code}{number:02},{code},county,{name[-1]}{number}县,County {letter}{number}")
            officials += [f"{code}{number:02},{tier},{count}" for tier, count in OFFICIALS.items()]
    for name, lines in {"regions.csv": regions, "population.csv": officials}.items():
        (root / "reference" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "reference" / "reforms.toml").write_text(REFORMS, encoding="utf-8")
    return Study.open(root)


def _copy_suite(folder: Path, notebooks: tuple[str, ...]) -> Path:
    """The suite, or some of it, where a method can be raised without touching the repository."""
    suite = folder / "suite" / "notebooks"
    suite.mkdir(parents=True)
    entries = (REPOSITORY / "notebooks" / "suite.toml").read_text(encoding="utf-8").split("[[notebook]]")[1:]
    stems = {re.search(r'file = "(.*)\.ipynb"', entry)[1]: entry for entry in entries}  # pyright: ignore[reportOptionalSubscript]
    kept = {stem: entry for stem, entry in stems.items() if not notebooks or stem in notebooks}
    (suite / "suite.toml").write_text("".join(f"[[notebook]]{entry}" for entry in kept.values()), encoding="utf-8")
    for stem in kept:
        shutil.copy(REPOSITORY / "notebooks" / f"{stem}.ipynb", suite)
    shutil.copy(REPOSITORY / "CHANGELOG.md", suite.parent)
    return suite


def _keep_province(sample: Path, province: str) -> None:
    table = pd.read_csv(sample, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table[table["region"].str.startswith(province)].to_csv(sample, index=False, encoding="utf-8-sig")


# -- new versions of questionnaires -------------------------------------------------------------------


def _new_odk(study: Study) -> None:
    """One question is worded anew, and study sessions are to be noted as meetings."""
    _new_version(study, "odk", {'from = "hours-meeting_hours"': 'from = "hours-meetings_and_sessions"'})


def _new_slots(study: Study) -> None:
    """Two questions are worded anew."""
    _new_version(
        study,
        "slots",
        {'from = "会议小时"': 'from = "上周会议小时"', 'from = "文件材料小时"': 'from = "上周文件材料小时"'},
    )


def _new_version(study: Study, form: str, wording: dict[str, str]) -> None:
    folder = study.reference / "instruments"
    text = (folder / f"{form}-v1.toml").read_text(encoding="utf-8").replace(f'"{form}-v1"', f'"{form}-v2"')
    for old, new in wording.items():
        assert old in text
        text = text.replace(old, new)
    (folder / f"{form}-v2.toml").write_text(text, encoding="utf-8")


def _answer_odk(files: dict[str, Path]) -> None:
    _reword(files["questionnaire"], {"hours-meeting_hours": ("hours-meetings_and_sessions", 1.1)}, encoding="utf-8")
    if "episodes" in files:
        table = pd.read_csv(files["episodes"], dtype=str, keep_default_na=False)
        table["episode-activity"] = table["episode-activity"].replace("T1", "M1")
        table.to_csv(files["episodes"], index=False, lineterminator="\n")


def _answer_slots(files: dict[str, Path]) -> None:
    """New wording brings more to mind."""
    reworded = {"会议小时": ("上周会议小时", 1.15), "文件材料小时": ("上周文件材料小时", 1.15)}
    _reword(files["questionnaire"], reworded, encoding="gb18030")


def _reword(path: Path, reworded: dict[str, tuple[str, float]], *, encoding: str) -> None:
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding=encoding)
    for old, (_, factor) in reworded.items():
        plain = table[old].str.fullmatch(r"\d+(\.\d+)?") & ~table[old].isin(["999"])
        table.loc[plain, old] = (table.loc[plain, old].astype(float) * factor).map("{:.1f}".format)
    named = {old: new for old, (new, _) in reworded.items()}
    table.rename(columns=named).to_csv(path, index=False, encoding=encoding, lineterminator="\n")


NEW_FORMS: dict[str, Callable[[Study], None]] = {"odk": _new_odk, "slots": _new_slots}
CHANGED_FORMS: dict[str, Callable[[dict[str, Path]], None]] = {"odk-v2": _answer_odk, "slots-v2": _answer_slots}


# -- a county that is split ---------------------------------------------------------------------------

OLD_COUNTY, NEW_COUNTIES = "9103", {"9121": 0.5, "9122": 0.5}


def split_county(study: Study, quarter: Quarter) -> None:
    """Put two counties in the place of one; the units of the sample stay in the strata that they were drawn in."""
    regions = study.reference / "regions.csv"
    lines = []
    for line in regions.read_text(encoding="utf-8").splitlines():
        code, rest = line.split(",", 1)
        lines += [f"{new},{rest}" for new in NEW_COUNTIES] if code == OLD_COUNTY else [line]
        if code == OLD_COUNTY:
            _, _, name_zh, name_en = rest.split(",")
    regions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    population = study.reference / "population.csv"
    listed = pd.read_csv(population, dtype={"region": str})
    parts = [
        listed[listed["region"] == OLD_COUNTY].assign(
            region=new, officials=lambda rows, of=share: rows["officials"] * of
        )
        for new, share in NEW_COUNTIES.items()
    ]
    pd.concat([listed[listed["region"] != OLD_COUNTY], *parts]).astype({"officials": int}).to_csv(
        population, index=False
    )
    rows = [
        f"{OLD_COUNTY},{new},{quarter},split,{share},simulated: an invented decree,{name_zh},{name_en}"
        for new, share in NEW_COUNTIES.items()
    ]
    head = "old,new,quarter,kind,share,source,name_zh,name_en"
    (study.reference / "region_changes.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def split_sample(path: Path) -> None:
    """Write the new codes into a sample list: units with an odd number went to the first of the two."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    first, second = NEW_COUNTIES
    is_odd = table["psu"].str[-1].isin(list("13579"))
    is_split = table["region"] == OLD_COUNTY
    table.loc[is_split & is_odd, "region"] = first
    table.loc[is_split & ~is_odd, "region"] = second
    table.to_csv(path, index=False, encoding="utf-8-sig", lineterminator="\n")


# -- the site -----------------------------------------------------------------------------------------


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def check_links(site: Path) -> None:
    """Every link of every page within a site leads to a file of it."""
    if not site.exists():
        return
    files = {path.relative_to(site.resolve()).as_posix() for path in site.resolve().rglob("*") if path.is_file()}
    for page in sorted(name for name in files if name.endswith(".html")):
        links = _Links()
        links.feed((site / page).read_text(encoding="utf-8"))
        for link in links.found:
            target = link.partition("#")[0]
            if target and not re.match(r"[a-z]+:", target):
                leads = os.path.normpath(os.path.join(os.path.dirname(page), target))  # noqa: PTH118, PTH120
                assert leads in files, f"{page} leads to {target}, which is not there"
