"""Who answered: response rates with the weights of the sample list, and counts of what came in."""

from __future__ import annotations

import pandas as pd

from analysis_lib.ingest.values import REGION_CHANGED
from analysis_lib.quarters import Quarter
from analysis_lib.study import NATION, Study
from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import share
from analysis_lib.survey.weighting import silent_regions
from analysis_lib.tables.contracts import check

RATES = ["response_rate", "diary_rate"]
ESTIMATED = ["estimate", "se", "ci_low", "ci_high", "df", "deff", "n", "n_psu"]
REJECTED = ["row_rejected", "value_rejected", "day_rejected", "superseded"]


def estimate_response(sample: pd.DataFrame, officials: pd.DataFrame, *, study: Study, quarter: Quarter) -> pd.DataFrame:
    """Share of the officials drawn who answered, and of those asked for a diary who gave a usable one.

    Parameters
    ----------
    sample : pandas.DataFrame
        The sample list of one quarter, one row per official drawn.
    officials : pandas.DataFrame
        Official-quarters of the same quarter.

    Returns
    -------
    pandas.DataFrame
        Rows of the contract ``estimates``, ``n`` being those drawn (asked); empty without a sample list. Where regions are
        silent, ``…_coverage`` says which share of the officials lives in the others: of the nation, and zero of each
        silent region where enough were drawn for it to be named. It is known from the sample list, without error.
    """
    page_level = study.config.estimation.page_level
    regions = study.regions_at(page_level)
    answered, with_diary = set(officials["respondent_id"]), set(officials.loc[officials["has_diary"], "respondent_id"])
    drawn = sample.assign(
        response_rate=sample["respondent_id"].isin(answered).astype(float),
        diary_rate=sample["respondent_id"].isin(with_diary).astype(float).where(sample["has_diary_task"]),
        page=[next((code for code in study.ancestors(region) if code in regions), "") for region in sample["region"]],
    )
    drawn = _with_design(drawn, study)
    design = SurveyDesign.of_study(study, weight="base_weight")
    frames = []
    for rate in RATES:
        for by in ["", "page"] if len(drawn) else []:
            found = share(drawn, rate, design=design, by=by, confidence_level=study.config.estimation.confidence_level)
            region = found["category"] if by else NATION
            frames.append(found[ESTIMATED].assign(measure=rate, region=region))
    rates = _as_estimates(frames, statistic="share", unit="share", quarter=quarter)
    asked = drawn[drawn["has_diary_task"]]
    covered = [
        _coverage(drawn, "base_weight", drawn["response_rate"], "response_coverage", study),
        _coverage(asked, "diary_base_weight", asked["diary_rate"], "diary_coverage", study),
    ]
    return pd.concat(
        [rates, _as_estimates(covered, statistic="ratio", unit="share", quarter=quarter)], ignore_index=True
    )


def _with_design(drawn: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The sample list with stratum and work unit under the names that official-quarters have them."""
    design = study.config.design
    stratum = drawn[design.stratum].astype(str) if design.stratum else NATION
    return drawn.assign(stratum=stratum, psu=drawn[design.psu if design.psu else "respondent_id"].astype(str))


def _coverage(drawn: pd.DataFrame, weight: str, answered: pd.Series, measure: str, study: Study) -> pd.DataFrame:
    """What share of the officials lives in regions that are heard of; no rows where all of them are."""
    is_silent = silent_regions(drawn, answered.to_numpy() > 0)
    if not is_silent.any():
        return pd.DataFrame()
    silent = drawn[is_silent].groupby("region").agg(n=("respondent_id", "size"), n_psu=("psu", "nunique"))
    # C15: where few were drawn, that none of them answered would tell on them.
    silent = silent[silent["n"] >= study.config.disclosure.min_respondents]
    heard = float(drawn.loc[~is_silent, weight].sum() / drawn[weight].sum())
    nation = pd.DataFrame({"n": len(drawn), "n_psu": drawn["psu"].nunique()}, index=pd.Index([NATION], name="region"))
    frame = pd.concat([nation, silent]).reset_index()
    frame["estimate"] = frame["ci_low"] = frame["ci_high"] = [heard, *[0.0] * len(silent)]
    return frame.assign(measure=measure, se=0.0, df=float("nan"), deff=float("nan"))


def count_returns(
    sample: pd.DataFrame,
    officials: pd.DataFrame,
    diary_days: pd.DataFrame,
    problems: pd.DataFrame,
    *,
    quarter: Quarter,
) -> pd.DataFrame:
    """Unweighted counts of a quarter's returns and of what ingest found, as rows of the contract ``estimates``."""
    # A code that was another one then is no fault of the data.
    cells = problems[problems["rule"] != REGION_CHANGED].groupby("action")["cells"].sum()
    counts = {
        "sampled": len(sample),
        "responded": len(officials),
        "diaries_asked": int(sample["has_diary_task"].sum()),
        "diary_days": len(diary_days),
        "diary_days_used": int(diary_days["is_used"].sum()),
        "problems_rejected": int(cells.reindex(REJECTED).sum()),
        "problems_fixed": int(cells.get("fixed", 0)),
        "problems_warned": int(cells.get("warned", 0)),
    }
    n_units = officials["psu"].nunique()
    frame = pd.DataFrame({"measure": list(counts), "estimate": [float(count) for count in counts.values()]})
    frame = frame.assign(n=list(counts.values()), n_psu=n_units, region=NATION)
    unknown = dict.fromkeys(["se", "ci_low", "ci_high", "df", "deff"], float("nan"))
    return _as_estimates([frame.assign(**unknown)], statistic="count", unit="count", quarter=quarter)


def count_problems(problems: pd.DataFrame) -> pd.DataFrame:
    """How often each rule met which action, most frequent first."""
    found = problems.groupby(["rule", "action"])["cells"].sum().reset_index()
    return found.sort_values(["cells", "rule"], ascending=[False, True], ignore_index=True)


def _as_estimates(frames: list[pd.DataFrame], *, statistic: str, unit: str, quarter: Quarter) -> pd.DataFrame:
    columns = ["measure", "region", *ESTIMATED]
    frames = [frame for frame in frames if len(frame)]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    whole = {"n": "int64", "n_psu": "int64"}
    kinds = {"measure": str, "region": str} | {name: whole.get(name, "float64") for name in ESTIMATED}
    frame = frame[columns].astype(kinds)
    labels = {"statistic": statistic, "unit": unit, "by": "", "category": "", "period": str(quarter)}
    texts = {name: pd.Series(text, index=frame.index, dtype=str) for name, text in labels.items()}
    return check(frame.assign(**texts), "estimates")
