"""What the three distinctions are judged by: quarters of like seasons, and the worst that befell any reform."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis_lib.errors import UsageError
from analysis_lib.monitoring.following import Following
from analysis_lib.monitoring.guarding import compared_quarters, stated_findings
from analysis_lib.quarters import Quarter
from analysis_lib.reforms import read_reforms
from analysis_lib.study import Study
from tests.sample_study import STUDY_TOML, write_study

START = "2024Q3"  # of the first reform of the demonstration


def span(first: str, last: str) -> list[str]:
    return [str(quarter) for quarter in Quarter.span(Quarter.parse(first), Quarter.parse(last))]


@pytest.fixture(scope="module")
def demonstration(repository) -> Study:
    return Study.open(repository / "data")


@pytest.mark.parametrize(
    ("first", "last", "label", "lately"),
    [
        # Two whole years on each side of the start: the last before it, and both since.
        ("2022Q3", "2026Q2", "2023Q3–2024Q2→2024Q3–2026Q2", ["2025Q3", "2025Q4", "2026Q1", "2026Q2"]),
        # A third quarter was never seen before the start, so that none counts since.
        ("2023Q4", "2026Q3", "2023Q4–2024Q2→2024Q4–2026Q2", ["2025Q4", "2026Q1", "2026Q2"]),
        # Half a year since: the same half before.
        ("2023Q3", "2024Q4", "2023Q3–2023Q4→2024Q3–2024Q4", ["2024Q3", "2024Q4"]),
        # Five quarters since are cut to the last of each season.
        ("2023Q3", "2025Q3", "2023Q3–2024Q2→2024Q4–2025Q3", ["2024Q4", "2025Q1", "2025Q2", "2025Q3"]),
        # Nothing from before the start: a year ago stands in.
        ("2024Q3", "2026Q3", "2025Q3→2026Q3", ["2026Q3"]),
        # Before the start: the first quarter, a year being too far.
        ("2023Q4", "2024Q2", "2023Q4→2024Q2", ["2024Q2"]),
        ("2023Q4", "2023Q4", "2023Q4", ["2023Q4"]),
    ],
)
def test_like_seasons_are_compared(demonstration, first, last, label, lately) -> None:
    found = compared_quarters(demonstration, span(first, last))
    assert (found.label, found.lately) == (label, lately)
    assert set(found.lately) <= set(found.later)
    if found.earlier and found.earlier[-1] < START <= found.later[0]:
        seasons = [[text[-1] for text in part] for part in (found.earlier, found.lately)]
        assert sorted(seasons[0]) == sorted(seasons[1])


def followed(
    outcomes: dict[str, str], lost: dict[str, str], study: Study, *, without_a_cut: tuple[str, ...] = ()
) -> Following:
    primary = {reform.id: reform.primary_in(study) for reform in read_reforms(study)}
    lasting = pd.DataFrame(
        [{"by": "relapse", "measure": primary[key], "category": f"{key}.{part}", "outcome": said,
          "ci_high": 0.2 if key in without_a_cut else -0.2}
         for key, word in lost.items() for part, said in (("reached", ""), ("lost", word))],
        columns=["by", "measure", "category", "outcome", "ci_high"],
    )  # fmt: skip
    accounts = pd.DataFrame(
        [{"by": "moved", "measure": "x", "category": key, "outcome": word} for key, word in outcomes.items()],
        columns=["by", "measure", "category", "outcome"],
    )
    return Following(pd.DataFrame(), lasting, accounts, pd.DataFrame(), {})


def test_the_worst_of_all_reforms_counts_and_what_nobody_followed_is_left_out(demonstration) -> None:
    first, second, *_ = (reform.id for reform in read_reforms(demonstration))
    moved = {f"{first}.toothpaste": "no", f"{second}.toothpaste": "cannot_tell", "since.offline_to_online": "yes",
             f"{first}.pen_to_fingertip": "yes", f"{first}.pen_to_fingertip.down": "no"}  # fmt: skip
    found = followed(moved, {first: "holds", second: "relapsed"}, demonstration)
    assert stated_findings(found, read_reforms(demonstration), study=demonstration) == {
        "relapse": "broken",
        "toothpaste": "open",
        "pen_to_fingertip": "broken",
    }
    kept = followed({}, {first: "holds", second: "holds"}, demonstration)
    assert stated_findings(kept, read_reforms(demonstration), study=demonstration) == {"relapse": "kept"}


def test_a_cut_that_is_not_told_has_not_been_lost_and_keeps_nothing(demonstration) -> None:
    reforms = read_reforms(demonstration)
    first, second, *_ = (reform.id for reform in reforms)
    lost = {first: "holds", second: "cannot_tell"}
    for without, status in (((), "open"), ((second,), "kept"), ((first, second), "open")):
        found = followed({}, lost, demonstration, without_a_cut=without)
        assert stated_findings(found, reforms, study=demonstration) == {"relapse": status}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[guardrails]\nmargins = { service = -1.0 }\n", "zero or more"),
        ('[[scales]]\nkey = "a"\ntitle_zh = "甲"\ntitle_en = "A"\nitems = ["x", "y"]\nreversed = ["z"]\n', "no item"),
        ('[[scales]]\nkey = "a"\ntitle_zh = "甲"\ntitle_en = "A"\nitems = ["x", "x"]\n', "stands twice"),
        (
            '[[scales]]\nkey = "a"\ntitle_zh = "甲"\ntitle_en = "A"\nitems = ["x", "y"]\nitems_en = ["X"]\n',
            "every item",
        ),
    ],
)
def test_a_wrong_margin_or_scale_is_refused_when_the_study_is_opened(tmp_path, toml, said) -> None:
    with pytest.raises(UsageError, match=said):
        write_study(tmp_path / "s", study_toml=f"{STUDY_TOML}\n{toml}")
