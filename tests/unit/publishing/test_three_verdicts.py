"""The three verdicts: which answers the tables allow, what each rests on, and that nothing known stays untold."""

from __future__ import annotations

import pandas as pd
import pytest
from sample_results import change_rows, protected
from sample_study import write_combined_study

from analysis_lib.disclosure.protect import ProtectedTable, protect
from analysis_lib.effects.results import EffectResult, as_rows, row_of
from analysis_lib.publishing.sentences import Writer, pick
from analysis_lib.publishing.verdicts import three_verdicts
from analysis_lib.study import NATION, Study

REGISTER = "\n".join(
    f"""
[[reform]]
id = "{name}"
title_zh = "{title}"
title_en = "{name.title()}"
level = "province"
lever = "digital"
groups = ["form"]
issued = "2025-03-01"
public = "2025-03-10"
smallest_change = 0.5
source = "an invented notice"
units = {{ P01 = "2025Q3" }}
[reform.plan]
registered = "2025-02-01"
[reform.plan.decision_rule]
text_zh = "若未减少，则重新设计。"
text_en = "If hours do not fall, it is redesigned."
"""
    for name, title in (("forms", "一表通"), ("papers", "少发文"))
)
EFFECT = EffectResult(
    "forms", "gross_combined", "hours_week", "treated", "imputation", "not_yet", "cohort", "local_start",
    "2025Q1–2026Q3", -1.42, 0.3, 20.0, -2.04, -0.81, 0.001, 6, 8, 3000, 120,
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    made = write_combined_study(tmp_path_factory.mktemp("study") / "s")
    (made.reference / "reforms.toml").write_text(REGISTER, encoding="utf-8")
    return Study.open(made.root)


def accounts(study: Study, **found: str) -> ProtectedTable:
    """An account for each ``label__finding``, with its outcome."""
    rows = [
        row_of(EFFECT, "moved", name.replace("__", ".")) | {"measure": name.split("__")[1], "estimate": 0.9,
                                                           "ci_low": 0.3, "ci_high": 1.5, "outcome": outcome}
        for name, outcome in found.items()
    ]  # fmt: skip
    return protect(as_rows(rows), "accounts", study=study)


def lasting(study: Study, *, without_a_cut: str = "", **outcomes: str) -> ProtectedTable:
    rows = [
        row_of(EFFECT, "relapse", f"{reform}.{part}") | numbers
        for reform, outcome in outcomes.items()
        for part, numbers in (
            ("lost", {"unit": "share", "estimate": 0.4, "ci_low": 0.1, "ci_high": 0.7, "outcome": outcome}),
            ("reached", {"estimate": -1.0, "ci_low": -2.5, "ci_high": 0.5 if reform == without_a_cut else -0.5}),
        )
    ]
    return protect(as_rows(rows), "reform_lasting", study=study)


def answers(study: Study, tables: dict[str, ProtectedTable], change: pd.Series | None = None) -> dict[str, str]:
    verdicts = three_verdicts(tables, change, writer=Writer(study, "en"), page="reforms")
    return {verdict.key: verdict.word for verdict in verdicts}


def change_of(study: Study, low: float, high: float) -> pd.Series:
    rows = [each | {"estimate": (low + high) / 2, "ci_low": low, "ci_high": high} for each in change_rows(NATION)]
    row = pick(protected(study, "change", rows), measure=study.config.estimation.headline, region=NATION, period=None)
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("low", "high", "said", "tone"),
    [(-2.0, -0.6, "It fell", "better"), (0.6, 2.0, "It rose", "worse"), (-0.2, 0.3, "Little change", "neutral"),
     (-2.0, 0.6, "Cannot tell", "neutral")],
)  # fmt: skip
def test_whether_it_fell_follows_the_interval_of_the_change(study, low, high, said, tone):
    (verdict,) = three_verdicts({}, change_of(study, low, high), writer=Writer(study, "en"), page="")
    assert (verdict.word, verdict.tone) == (said, tone)
    assert "95%" in verdict.sentence


def test_without_a_figure_of_a_year_ago_it_cannot_tell(study):
    assert answers(study, {}) == {"fell": "Cannot tell"}


@pytest.mark.parametrize(
    ("found", "said"),
    [({"since__toothpaste": "no", "forms__offline_to_online": "no"}, "It did not move"),
     ({"since__toothpaste": "no", "forms__offline_to_online": "cannot_tell"}, "Cannot tell"),
     ({"since__toothpaste": "cannot_tell", "forms__offline_to_online": "yes"}, "It moved")],
)  # fmt: skip
def test_one_account_is_enough_for_a_move_and_every_one_is_needed_to_rule_it_out(study, found, said):
    assert answers(study, {"accounts": accounts(study, **found)})["moved"] == said


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_move_names_the_reform_and_its_hours(study, language):
    tables = {"accounts": accounts(study, since__toothpaste="no", papers__offline_to_online="yes")}
    verdict = three_verdicts(tables, None, writer=Writer(study, language), page="reforms")[1]
    assert {"zh": "少发文", "en": "Papers"}[language] in verdict.sentence
    assert "0.9" in verdict.sentence
    assert verdict.page == "reforms"


def test_a_move_of_the_change_reported_names_no_reform(study):
    tables = {"accounts": accounts(study, since__offline_to_online="yes")}
    verdict = three_verdicts(tables, None, writer=Writer(study, "en"), page="reforms")[1]
    assert "Forms" not in verdict.sentence.split(",")[0]
    assert verdict.tone == "worse"


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [({"forms": "holds", "papers": "holds"}, "It did not come back"), ({"forms": "holds", "papers": "cannot_tell"}, "Cannot tell"),
     ({"forms": "holds", "papers": "relapsed"}, "It came back"), ({"forms": "cannot_tell"}, "Cannot tell")],
)  # fmt: skip
def test_one_relapse_is_enough_and_every_reform_must_hold(study, outcomes, said):
    assert answers(study, {"reform_lasting": lasting(study, **outcomes)})["back"] == said


def test_a_reform_of_which_no_cut_is_told_has_none_that_could_come_back(study):
    tables = {"reform_lasting": lasting(study, forms="holds", papers="cannot_tell", without_a_cut="papers")}
    verdict = three_verdicts(tables, None, writer=Writer(study, "en"), page="reforms")[1]
    assert verdict.word == "It did not come back"
    assert "followed: 2. A cut is told of 1" in verdict.sentence
    only = {"reform_lasting": lasting(study, papers="holds", without_a_cut="papers")}
    assert answers(study, only)["back"] == "Cannot tell"


def test_how_many_reforms_hold_is_said(study):
    tables = {"reform_lasting": lasting(study, forms="holds", papers="cannot_tell")}
    verdict = three_verdicts(tables, None, writer=Writer(study, "en"), page="reforms")[1]
    assert "of 2 reforms only 1" in verdict.sentence
    tables = {"reform_lasting": lasting(study, forms="cannot_tell", papers="cannot_tell")}
    verdict = three_verdicts(tables, None, writer=Writer(study, "zh"), page="reforms")[1]
    assert "2项改革中还没有一项" in verdict.sentence
