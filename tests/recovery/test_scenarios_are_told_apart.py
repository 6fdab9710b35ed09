"""Whole studies in a few scenarios, with fixed luck: what was planted is said, and what was not is not; the long run certifies."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from certify.scenarios import SIZES, said_in, study_of
from certify.two_instruments import DEMONSTRATION
from certify.worlds import Country

from analysis_lib.monitoring.accounts import account_of_change
from analysis_lib.monitoring.displacement import findings
from analysis_lib.monitoring.guarding import compared_quarters
from analysis_lib.quarters import Quarter
from analysis_lib.study import Study

SEEDS = (601, 602)
SHARPER = SIZES[1]


@pytest.mark.parametrize(
    ("letter", "named"),
    [("a", set()), ("b", set()), ("d", {"offline_to_online", "pen_to_fingertip"}), ("f", {"toothpaste"})],
)
def test_the_account_of_the_nation_names_what_moved_at_the_size_of_the_demonstration(letter: str, named: set) -> None:
    study = Study.open(DEMONSTRATION)
    compared = compared_quarters(study, [str(quarter) for quarter in study.config.calendar.quarters])
    periods = {"earlier": compared.earlier, "later": compared.lately}
    quarters = [Quarter.parse(each) for each in (*compared.earlier, *compared.lately)]
    for seed in SEEDS:
        officials = Country.of(study, letter, seed, quarters).returns().officials
        account = account_of_change(officials, study=study, label="since", **periods)
        assert {found.key for found in findings(account) if found.answer == "yes"} == named


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory):
    study = study_of(SHARPER, tmp_path_factory.mktemp("sharper") / "study")
    return partial(_said, study.root)


def _said(root: Path, letter: str) -> dict[str, str]:
    return {each.asked: each.said for each in said_in(SHARPER, root, letter, SEEDS[0])}


def test_a_real_cut_is_kept_where_limits_are_kept_and_intensified_where_they_are_not(said) -> None:
    words = said("b")
    assert words["fell"] == "lower"
    assert "yes" not in (words["moved"], words["back"])
    assert words["responsibilities"] == "yes"
    assert words["effect: fewer-shorter"] == "returned_hours"
    assert words["recommended: fewer-shorter"] == "keep"
    assert words["recommended: one-form"] == "intensify"


def test_a_reform_whose_hours_may_have_gone_elsewhere_is_not_called_untried(said) -> None:
    words = said("f")
    assert words["moved"] == "yes"
    assert words["recommended: fewer-shorter"] == "redesign"
    assert words["recommended: one-form"] in ("redesign", "cannot_tell")


def test_a_relapse_is_seen_and_asks_for_more(said) -> None:
    words = said("e")
    assert words["back"] == "yes"
    assert words["lasting"] == "no"
    assert words["recommended: fewer-shorter"] == "intensify"
