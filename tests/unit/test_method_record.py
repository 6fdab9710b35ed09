"""What readers are told of raised methods."""

from __future__ import annotations

import datetime as dt

from analysis_lib.methods import method_record

SUITE = """
[[notebook]]
file = "03-hours-lost.ipynb"
title_zh = "占用的时间"
title_en = "Hours lost"
method = 3
[[notebook.changed]]
method = 2
date = 2027-01-15
zh = "区间更宽"
en = "Intervals are wider"
"""


def test_a_raised_method_is_dated_in_both_languages_and_one_without_words_is_named(tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE, encoding="utf-8")
    (part,) = method_record(tmp_path)
    assert (part.stem, part.version, part.titles["zh"]) == ("03-hours-lost", 3, "占用的时间")
    (change,) = part.changes
    assert change.date == dt.date(2027, 1, 15)
    assert change.words == {"zh": "区间更宽", "en": "Intervals are wider"}
    assert part.untold == {3}
