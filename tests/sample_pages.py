"""Literal results behind the further pages: reforms, guardrails and what changed, from the tests of each page."""

from __future__ import annotations

import sys
from pathlib import Path

from sample_adjustments import adjustments, forecasts, scenarios

from analysis_lib.disclosure.protect import ProtectedTable
from analysis_lib.study import Study

sys.path.append(str(Path(__file__).parent / "unit" / "publishing"))


def register_reforms(study: Study) -> Study:
    """The study with the register of reforms that `all_tables` tells of."""
    from test_reform_pages import REGISTER

    (study.reference / "reforms.toml").write_text(REGISTER, encoding="utf-8")
    return Study.open(study.root)


def all_tables(study: Study) -> dict[str, ProtectedTable]:
    """Tables of pages that `sample_results` has nothing for."""
    from test_change_page import account
    from test_guardrail_page import guardrails
    from test_reform_pages import report

    tables = {name: table for name, table in report(study).tables.items() if name.startswith(("reform_", "accounts"))}
    foreseen = {name: table for name, table in forecasts(study).items() if name != "series"}
    tables |= foreseen | {"adjustments": adjustments(study), "scenarios": scenarios(study)}
    return tables | {"guardrails": guardrails(study), "change_account": account(study)}
