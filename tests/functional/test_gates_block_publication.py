"""A site that does not pass a gate is not published: exit code 4, a message, and readers see what they saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_results import protected, row
from sample_study import write_combined_study

from analysis_lib.errors import PublicationBlocked
from analysis_lib.monitoring.ledger import Ledger
from analysis_lib.publishing.gates import browser
from analysis_lib.publishing.releases import Release, build_release
from analysis_lib.quarters import Quarter
from analysis_lib.running import builds, gates, releases
from analysis_lib.study import Study

QUARTER = Quarter(2026, 3)


@pytest.fixture(autouse=True)
def up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notebooks stand behind these releases."""
    monkeypatch.setattr(releases, "plan_quarters", lambda *_: [])
    monkeypatch.setattr(builds, "made_from", lambda *_: "made")


def signed(folder: Path, old: str = "", new: str = "") -> tuple[Study, Release]:
    """A candidate that two people signed, of a study with one line of its configuration replaced."""
    study = write_combined_study(folder)
    text = (study.root / "study.toml").read_text(encoding="utf-8")
    (study.root / "study.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    study = Study.open(study.root)
    hours = [row("gross_combined", "hours_week", "mean", 16.0, 0.3)]
    release = build_release(study, QUARTER, {"03-hours-lost": {"hours": protected(study, "hours", hours)}})
    Ledger(study.ledger).record_release(
        str(QUARTER), release.name, made_from="made", manifest_sha256=release.manifest_sha256
    )
    for name in ("A. Reader", "B. Head"):
        releases.sign(study, release.name, name, "statistician")
    return study, release


def test_a_leak_blocks_publication_and_verify_names_it_before(tmp_path: Path) -> None:
    source = 'source_en = "'
    study, release = signed(tmp_path / "s", source, f"{source}someone@example.org, ")
    for attempt in (releases.publish, releases.verify):
        with pytest.raises(PublicationBlocked, match=r"leak: en/2026Q3/index\.html: an e-mail address") as blocked:
            attempt(study, release.name)
        assert blocked.value.exit_code == 4
        assert "someone" not in str(blocked.value)
    assert not (study.reports / "site").exists()
    assert Ledger(study.ledger).publications() == []


def test_ids_of_respondents_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, release = signed(tmp_path / "s")
    monkeypatch.setattr(gates, "respondents", lambda *_: {"simulated"})
    with pytest.raises(PublicationBlocked, match="the id of a respondent"):
        releases.publish(study, release.name)


def test_words_of_a_correction_are_looked_through(tmp_path: Path) -> None:
    study, release = signed(tmp_path / "s")
    releases.publish(study, release.name)
    with pytest.raises(PublicationBlocked, match="a mobile number"):
        releases.correct(study, release.name, "correction", "更正", "call 13812345678", QUARTER.last_day)
    assert Ledger(study.ledger).corrections() == []


def test_a_barrier_found_in_the_browser_blocks_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, release = signed(tmp_path / "s", "accessibility = false", "accessibility = true")
    monkeypatch.setattr(browser, "missing", lambda: "")
    monkeypatch.setattr(browser, "barriers", lambda site, paths: [f"{paths[0]}: axe color-contrast"])
    with pytest.raises(PublicationBlocked, match="axe color-contrast"):
        releases.publish(study, release.name)


@pytest.mark.parametrize(
    ("setting", "said"), [("true", "accessibility: Chromium not on this machine"), ("false", "switched off")]
)
def test_what_was_not_checked_is_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, said: str
) -> None:
    study, release = signed(tmp_path / "s", "accessibility = false", f"accessibility = {setting}")
    monkeypatch.setattr(browser, "missing", lambda: "Chromium")
    releases.publish(study, release.name)
    (unchecked,) = Ledger(study.ledger).publications()[-1]["unchecked"]
    assert said in unchecked
