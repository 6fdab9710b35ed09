"""From a candidate to what readers see: verify, sign, publish, put back, correct.

The ledger is written before the site is swapped (``prepared``) and after (``published``), so that whatever dies in
between is completed or rolled back by the next command.
"""

from __future__ import annotations

import datetime as dt
import math
import shutil
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from analysis_lib.errors import (
    EnvironmentProblem,
    InputRejected,
    NotReproducible,
    PublicationBlocked,
    UsageError,
    did_you_mean,
)
from analysis_lib.monitoring.ledger import CorrectionKind, Ledger
from analysis_lib.quarters import Quarter
from analysis_lib.running.gates import pass_gates, refuse, respondents
from analysis_lib.running.late_returns import record_members
from analysis_lib.running.runs import plan_quarters
from analysis_lib.running.units import Unit, altered_result
from analysis_lib.study import NATION, Study
from analysis_lib.tables.drops import verify_drop
from analysis_lib.tables.store import Store, pinned_drops

if TYPE_CHECKING:
    from analysis_lib.publishing.releases import Release

SIGNATURES = 2
JUMP = 4.0  # standard errors by which a headline may move against the last quarter's before a person must say why
ACCEPTED = "accept_"  # in a sign-off: what a person let the release past, and why
ENOUGH_TIMES = 2  # space asked for before a publication, in sizes of the releases that it shows


def settle(study: Study) -> str:
    """Complete or roll back a publication that was interrupted; returns its release, or nothing.

    Call it within `study_lock`. It is complete when the site of readers is the one that was prepared.
    """
    ledger = Ledger(study.ledger)
    _clear(study)
    last = next(iter(ledger.publications()[-1:]), None)
    if last is None or last["state"] != "prepared":
        return ""
    link = study.reports / "site"
    is_shown = link.is_symlink() and link.resolve().name == last["site"]
    ledger.record_publication(last["release"], "published" if is_shown else "rolled_back", **_facts(last))
    return str(last["release"])


def sign(
    study: Study, name: str, signer: str, role: str, *, accept_jump: str = "", accept_coverage: str = ""
) -> dict[str, Any]:
    """Record that a person saw a candidate and stands for it: who, in which role, and the hash of what was seen.

    Returns
    -------
    dict
        release, manifest_sha256, and how many different people have signed this very content.

    Raises
    ------
    UsageError
        Without a release, a name or a role.
    """
    from analysis_lib.publishing.releases import release_of

    if not _name(signer) or not role.strip():
        raise UsageError("a sign-off needs a name and a role", where="sign", fix="give --name and --role")
    release, ledger = release_of(study, name), Ledger(study.ledger)
    _refuse(_problems_of(release), release.name)
    seen = release.manifest_sha256
    accepted = {"accept_jump": accept_jump, "accept_coverage": accept_coverage}
    more = {name: why for name, why in accepted.items() if why}
    ledger.record_sign_off(release.name, signer.strip(), role.strip(), seen, **more)
    return {"release": release.name, "manifest_sha256": seen, "signed_by": len(_signed(ledger, release))}


def publish(study: Study, name: str) -> Path:
    """Show a candidate to readers; call it within `study_lock`.

    Raises
    ------
    PublicationBlocked
        Without two sign-offs of exactly this content, when something is not what was recorded, when the numbers behind
        it are out of date, when its headline jumped, or too many regions are silent, and nobody said why, or when its site
        does not pass a gate.
    """
    from analysis_lib.publishing.releases import release_of

    ledger, release = Ledger(study.ledger), release_of(study, name)
    settle(study)
    _refuse(problems(study) + _problems_of(release), release.name)
    _refuse(_out_of_date(study, ledger, release), release.name)
    signed = _signed(ledger, release)
    if len(signed) < SIGNATURES:
        raise PublicationBlocked(
            f"{len(signed)} of {SIGNATURES} sign-offs of what now stands there",
            where=release.name,
            fix=f"jianfu sign {release.name} --name NAME --role ROLE, by two people",
        )
    moved = jump(study, ledger, release)
    if moved > JUMP and not any(each.get("accept_jump") for each in signed.values()):
        raise PublicationBlocked(
            f"the headline moved by {moved:.1f} standard errors against last quarter, more than {JUMP:g}",
            where=release.name,
            fix=f'look for the reason, then jianfu sign {release.name} … --accept-jump "REASON"',
        )
    covered, least = coverage(release), study.config.quality.min_coverage
    if covered < least and not any(each.get("accept_coverage") for each in signed.values()):
        raise PublicationBlocked(
            f"regions with {1 - covered:.0%} of the officials are silent: {covered:.0%} are covered, {least:.0%} are needed",
            where=release.name,
            fix="bring in what is missing, or jianfu sign "
            f'{release.name} … --accept-coverage "REASON" ([quality] min_coverage in study.toml is the limit)',
        )
    return _show(study, ledger, release, is_new=True)


def coverage(release: Release) -> float:
    """Share of officials in regions from which anything came, of questionnaires or diaries, whichever is less."""
    from analysis_lib.publishing.releases import results_of

    rows = [tables["response"].table for tables in results_of(release).values() if "response" in tables]
    known = [
        float(value)
        for table in rows
        for value in table.loc[table["measure"].str.endswith("_coverage") & (table["region"] == NATION), "value"]
    ]
    return min(known, default=1.0)


def publish_again(study: Study, name: str) -> Path:
    """Put a release back that readers have seen before; the ledger gains a line and nothing is deleted.

    Call it within `study_lock`.
    """
    from analysis_lib.publishing.releases import release_of

    ledger, release = Ledger(study.ledger), release_of(study, name)
    settle(study)
    if release.name not in {each["release"] for each in ledger.publications() if each["state"] == "published"}:
        raise PublicationBlocked(
            "it was never published", where=release.name, fix=f"sign it, then jianfu publish {release.name}"
        )
    _refuse(_problems_of(release), release.name)
    return _show(study, ledger, release)


def correct(study: Study, name: str, kind: str, text_zh: str, text_en: str, day: dt.date) -> Path:
    """Tell readers that a published release was wrong or is better known; its folder stays as it was.

    Call it within `study_lock`.
    """
    from analysis_lib.publishing.gates.leaks import Searched, leaks_in_text
    from analysis_lib.publishing.releases import release_of

    ledger = Ledger(study.ledger)
    settle(study)
    if kind not in get_args(CorrectionKind):
        raise UsageError(f"no kind {kind!r}", where="correct", fix=did_you_mean(kind, get_args(CorrectionKind)))
    if not text_zh.strip() or not text_en.strip():
        raise UsageError("both languages need words", where="correct", fix="give --text-zh and --text-en")
    if name not in {each["release"] for each in ledger.publications() if each["state"] == "published"}:
        raise UsageError(f"readers never saw {name}", where="correct", fix="name a published release, like 2026Q3/r1")
    refuse(
        leaks_in_text(f"{text_zh}\n{text_en}", Searched.of(study, respondents(study, release_of(study, name)))), name
    )
    ledger.record_correction(name, kind, text_zh.strip(), text_en.strip(), day.isoformat())  # pyright: ignore[reportArgumentType]
    in_force = ledger.last_publication(name.partition("/")[0])
    return publish_again(study, in_force["release"] if in_force else name)


def preview(study: Study) -> Path:
    """Put the newest release of each quarter together, published or not, with a banner that says so."""
    from analysis_lib.publishing.site import PREVIEW, assemble, swap

    ledger = Ledger(study.ledger)
    newest = {each["quarter"]: each["release"] for each in ledger.releases()}
    shown = _published(ledger) | newest
    return swap(study, PREVIEW, assemble(study, _contents(study, ledger, shown, is_preview=True)))


# -- what stands, and whether it is what was recorded --------------------------------------------------


def verify(study: Study, name: str = "") -> dict[str, int]:
    """Check the ledger's chain, results and executed notebooks, every release, the site, and the drops they pin.

    A result that is gone is no problem, for a run makes it again; one that was edited is.

    Parameters
    ----------
    name : str
        A release that is held against the gates of a publication besides.

    Raises
    ------
    NotReproducible
        Naming what differs.
    PublicationBlocked
        Naming what keeps the release from readers.
    """
    from analysis_lib.publishing.releases import release_of
    from analysis_lib.publishing.site import assemble

    found = problems(study)
    if found:
        raise NotReproducible("\n".join(found), where="verify", fix="restore what is named from a copy")
    ledger = Ledger(study.ledger)
    if name:
        release = release_of(study, name)
        shown = _published(ledger) | {str(release.quarter): release.name}
        pass_gates(study, assemble(study, _contents(study, ledger, shown)), release)
    return {"entries": ledger.verify_chain(), "releases": len(ledger.releases()), "published": len(_published(ledger))}


def problems(study: Study) -> list[str]:
    """What differs from what was recorded, a line each; empty when all is well."""
    from analysis_lib.publishing.releases import MANIFEST, release_of

    ledger = Ledger(study.ledger)
    try:
        ledger.verify_chain()
    except NotReproducible as broken:
        return [str(broken).partition("\n")[0]]
    found, pins = [], {}
    recorded = {each["release"]: each for each in ledger.releases()}
    published = {each["release"]: each for each in ledger.publications() if each["state"] == "published"}
    for name in sorted({*recorded, *published}):
        facts = published.get(name) or recorded[name]
        if not (study.reports / name / MANIFEST).is_file():
            found.append(f"{name}/{MANIFEST} is missing")
            continue
        release = release_of(study, name)
        expected = facts.get("manifest_sha256")  # releases of a time before sign-offs have none
        if expected and release.manifest_sha256 != expected:
            found.append(f"{name}/{MANIFEST} is not what was recorded")
        found += _problems_of(release) + _broken_promises(release, recorded.get(name, {}))
        pins |= dict(recorded.get(name, {}).get("drops", {}))
    for quarter in sorted({Quarter.parse(each["quarter"]) for each in recorded.values()}):
        above = numbered_above(study, ledger, quarter)
        found += [f"reports/{quarter}/{each} stands there without a publication before it" for each in above]
    found += _problems_of_results(study, ledger)
    return found + _problems_of_site(study, ledger) + _problems_of_drops(study, pins)


def _problems_of(release: Release) -> list[str]:
    from analysis_lib.publishing.releases import altered

    promised = [f"{language}/{release.quarter}/index.html" for language in release.manifest["languages"]]
    missing = [f"{path} was promised and never built" for path in promised if path not in release.manifest["files"]]
    return [f"{release.name}/{each}" for each in [*altered(release), *missing]]


def _broken_promises(release: Release, recorded: dict[str, Any]) -> list[str]:
    """Tables that notebooks promised when the release was built and that it does not hold."""
    paths = [f"results/{unit}/{table}.json" for unit, tables in recorded.get("tables", {}).items() for table in tables]
    listed = release.manifest["files"]
    return [f"{release.name}/{path} was promised and never handed over" for path in paths if path not in listed]


def _problems_of_results(study: Study, ledger: Ledger) -> list[str]:
    """Results of units, and their executed notebooks, that are there and are not what was recorded."""
    found = []
    for ending in ledger.last_endings():
        folder = Unit.parse(ending.unit_id).folder(study) / ending.key
        if ending.kind == "ok" and ending.manifest_sha256 and folder.is_dir():
            wrong = altered_result(folder, ending.manifest_sha256)
            found += [f"results of {ending.unit_id}: {each} is not what was recorded" for each in wrong]
    return found


def _problems_of_site(study: Study, ledger: Ledger) -> list[str]:
    from analysis_lib.publishing.site import SITE, site_sha256

    steps = ledger.publications()
    if not steps:
        return []
    if steps[-1]["state"] == "prepared":
        return [f"the publication of {steps[-1]['release']} was interrupted; the next build or publish settles it"]
    shown = [each for each in steps if each["state"] == "published"]
    if not shown:
        return []
    link = study.reports / SITE
    if not link.is_dir() or site_sha256(link.resolve()) != shown[-1]["site_sha256"]:
        return [f"reports/{SITE} is not what was published; jianfu publish --to {shown[-1]['release']} puts it back"]
    if any(each["seq"] > shown[-1]["seq"] for each in ledger.corrections()):
        return [f"a correction is not on the site yet; jianfu publish --to {shown[-1]['release']} shows it"]
    return []


def _problems_of_drops(study: Study, pins: dict[str, str]) -> list[str]:
    store = Store(study)
    quarters = sorted({Quarter.parse(drop.partition("/")[0]) for drop in pins})
    there, found = {}, []
    for quarter in quarters:
        there |= pinned_drops(store, [quarter])
        for state in store.states(quarter):
            if state.drop.id in pins:
                there[state.drop.id] = state.drop.sha256
                try:
                    verify_drop(state.drop)
                except InputRejected as rejected:
                    found.append(str(rejected).partition("\n")[0])
    return found + [
        f"drop {drop} is missing or another" for drop, sha in sorted(pins.items()) if there.get(drop) != sha
    ]


# -- the review gate ----------------------------------------------------------------------------------


def jump(study: Study, ledger: Ledger, release: Release) -> float:
    """Standard errors by which the headline moved against what was published of the quarter before; 0 without one.

    The standard error is that of a difference of independent estimates: where people answer in both quarters it is
    somewhat too large.
    """
    from analysis_lib.publishing.changed_numbers import cells_of
    from analysis_lib.publishing.releases import release_of, results_of

    before = ledger.last_publication(str(release.quarter.shift(-1)))
    if before is None:
        return 0.0
    level, found = study.config.estimation.confidence_level, []
    for each in (release_of(study, before["release"]), release):
        row = _headline(study, cells_of(results_of(each), level=level), each.quarter)
        if row is None or row["estimate"] is None or row["se"] is None:
            return 0.0
        found.append(row)
    se = math.hypot(*(row["se"] for row in found))
    return abs(found[1]["estimate"] - found[0]["estimate"]) / se if se > 0 else 0.0


def _headline(study: Study, cells: list[dict[str, Any]], quarter: Quarter) -> dict[str, Any] | None:
    import json

    for cell in cells:
        key = json.loads(cell["key"])
        wanted = (study.config.estimation.headline, NATION, str(quarter), "")
        if cell["table"] == "hours" and (key["measure"], key["region"], key["period"], key["category"] or "") == wanted:
            return cell
    return None


# -- steps of a publication ---------------------------------------------------------------------------


def _show(study: Study, ledger: Ledger, release: Release, *, is_new: bool = False) -> Path:
    """Put the site together and swap it; one that readers have not seen passes the gates first."""
    from analysis_lib.publishing.changed_numbers import cells_of
    from analysis_lib.publishing.claim_rows import claims_of, scores_of
    from analysis_lib.publishing.forecast_rows import forecast_scores_of, forecasts_of
    from analysis_lib.publishing.releases import results_of, sync_tree
    from analysis_lib.publishing.site import SITE, assemble, site_sha256, swap

    try:
        _check_room(study, release)
        shown = _published(ledger) | {str(release.quarter): release.name}
        sync_tree(release.folder)
        target = assemble(study, _contents(study, ledger, shown, publishing=release.name))
        unchecked = pass_gates(study, target, release) if is_new else []
        facts = {
            "site": target.name,
            "site_sha256": site_sha256(target),
            "manifest_sha256": release.manifest_sha256,
        } | ({"unchecked": unchecked} if unchecked else {})
        record_members(study, ledger, release.name)
        if not ledger.cells(release.name):
            level, results = study.config.estimation.confidence_level, results_of(release)
            ledger.record_cells(release.name, cells_of(results, level=level))
            ledger.record_claims(release.name, claims_of(results, study, release.quarter))
            scores = [*scores_of(results, study, release.quarter), *forecast_scores_of(results, level=level)]
            ledger.record_scores(release.name, scores)
            ledger.record_forecasts(release.name, forecasts_of(results))
        ledger.record_publication(release.name, "prepared", **facts)
        link = swap(study, SITE, target)
    except OSError as error:
        raise EnvironmentProblem(
            f"the site could not be written: {error.strerror}; readers see what they saw",
            where="reports",
            fix="free space or mend rights, then publish again",
        ) from error
    ledger.record_publication(release.name, "published", **facts)
    return link / "index.html"


def _contents(
    study: Study, ledger: Ledger, shown: dict[str, str], *, publishing: str = "", is_preview: bool = False
) -> Any:
    """What a site shows of the releases in force; ``publishing`` is that which readers are about to see."""
    from analysis_lib.publishing.releases import release_of
    from analysis_lib.publishing.site import Contents

    seen = {each["release"] for each in ledger.publications() if each["state"] == "published"}
    older = sorted((release_of(study, name) for name in seen - set(shown.values())), key=lambda each: each.name)
    releases = sorted((release_of(study, name) for name in shown.values()), key=lambda each: each.quarter)
    published: dict[str, dt.date] = {}
    for each in ledger.publications():
        if each["state"] == "published":
            published.setdefault(each["release"], study.day_of(dt.datetime.fromisoformat(each["at"])))
    if publishing:
        published.setdefault(publishing, study.today())
    exceptions = {each.name: _let_past(ledger, each) for each in releases}
    return Contents(releases, archived(older, releases), ledger.corrections(), published, is_preview, exceptions)


def _let_past(ledger: Ledger, release: Release) -> dict[str, str]:
    """C17: limit → reason for which those who signed let the release past it."""
    accepted = [each for signed in _signed(ledger, release).values() for each in signed.items()]
    return {name.removeprefix(ACCEPTED): str(reason) for name, reason in accepted if name.startswith(ACCEPTED)}


def archived(older: Iterable[Release], in_force: Iterable[Release]) -> list[Release]:
    """The older releases that stay on the site: those that show no number which is withheld by now."""
    from analysis_lib.disclosure.linked import tells_more
    from analysis_lib.publishing.releases import results_of

    older, now = list(older), {}
    for release in in_force:
        if release.quarter in {each.quarter for each in older}:
            now[release.quarter] = results_of(release)
    return [each for each in older if not tells_more(results_of(each), now[each.quarter])]


def _published(ledger: Ledger) -> dict[str, str]:
    """Quarter → its release in force."""
    return {each["quarter"]: each["release"] for each in ledger.publications() if each["state"] == "published"}


def last_published(ledger: Ledger, quarter: Quarter) -> int:
    """Number of the newest release of a quarter that readers have seen; 0 without one."""
    names = [each["release"] for each in ledger.publications() if each["state"] == "published"]
    return max((int(name.rpartition("/r")[2]) for name in names if name.startswith(f"{quarter}/")), default=0)


def numbered_above(study: Study, ledger: Ledger, quarter: Quarter) -> list[str]:
    """Releases that stand there with a number above the next candidate's; none unless the ledger lost or never had them."""
    candidate = last_published(ledger, quarter) + 1
    numbers = [int(path.name[1:]) for path in (study.reports / str(quarter)).glob("r[1-9]*") if path.name[1:].isdigit()]
    return [f"r{number}" for number in sorted(numbers) if number > candidate]


def _signed(ledger: Ledger, release: Release) -> dict[str, dict[str, Any]]:
    """Sign-offs of exactly what stands there, by person: the same name written otherwise is the same person."""
    seen = release.manifest_sha256
    return {_name(each["name"]): each for each in ledger.sign_offs(release.name) if each["manifest_sha256"] == seen}


def _name(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _out_of_date(study: Study, ledger: Ledger, release: Release) -> list[str]:
    from analysis_lib.running.builds import made_from

    planned = plan_quarters(study, [release.quarter])
    waiting = [f"{each.unit.id}: {each.reason}" for each in planned if each.reason]
    last = ledger.last_release(str(release.quarter))
    if not waiting and (
        last is None or last["release"] != release.name or last["made_from"] != made_from(study, planned)
    ):
        waiting = [f"{release.name} is not what a build gives now: jianfu build --quarter {release.quarter}"]
    return waiting


def _refuse(found: list[str], name: str) -> None:
    if found:
        raise PublicationBlocked("\n".join(found), where=name, fix="jianfu verify; then run, build and sign again")


def _facts(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("site", "site_sha256", "manifest_sha256", "unchecked") if name in entry}


def _clear(study: Study) -> None:
    """Remove what a build that was killed left half done."""
    from analysis_lib.publishing.releases import BUILDING

    for parent in (study.reports, study.reports / ".sites"):
        for folder in (*parent.glob(f"{BUILDING}*"), *parent.glob(f"*/{BUILDING}*")):
            shutil.rmtree(folder, ignore_errors=True)


def _check_room(study: Study, release: Release) -> None:
    size = sum(path.stat().st_size for path in release.folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(study.reports).free
    if free < ENOUGH_TIMES * size:
        raise EnvironmentProblem(
            f"{free / 1e6:.1f} MB are free, {ENOUGH_TIMES * size / 1e6:.1f} MB are needed",
            where="reports",
            fix="free space on the disk of the reports; readers see what they saw",
        )
