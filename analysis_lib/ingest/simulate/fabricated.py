"""Returns that nobody honest handed in, planted in a known share of units and people and listed in the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis_lib.ingest.simulate.streams import stream
from analysis_lib.quarters import Quarter

# What a return was made up by. An honest return that somebody copied from is as alike as the copy, so it is listed too.
KINDS = ["dictated", "fabricated_unit", "copied", "copied_from", "straight_lined", "random_scales"]
KINDS += ["copied_diary", "diary_copied_from"]
_SCALES = {"tirt": (1, 5), "pressure": (1, 5), "exhaustion": (1, 5), "leave": (1, 5), "felt": (-2, 2)}
_CHANGED = 0.1  # share of the cells that somebody who copies takes the trouble to change
_SITTING_SECONDS = 1200  # one person fills in the forms of a unit at a sitting
_HASTY_SECONDS = (90, 200)
_NOT_ANSWERS = ["respondent_id", "region", "psu", "answers", "weekday", "weekend", "is_late", "submitted_at"]


def plant(returns: pd.DataFrame, share: float, quarter: Quarter, *, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make up a share of the units, and in the others the same share of people for each way of making up.

    Parameters
    ----------
    returns : pandas.DataFrame
        Who hands in what, with psu, answers and is_dictated, a row per respondent.
    share : float
        Share of units, and of people for each kind; zero plants nothing and changes no byte.

    Returns
    -------
    tuple of pandas.DataFrame
        The returns with a column ``diary_of`` (whose diary is copied, empty for one's own), and what was planted:
        respondent_id, psu and kind.
    """
    planted = [_listed(returns, returns["is_dictated"].to_numpy(bool), "dictated")]
    returns = returns.drop(columns="is_dictated").assign(diary_of="")
    if share == 0:
        return returns, pd.concat(planted, ignore_index=True)
    rng = stream(seed, "fabricated", quarter)
    units = np.unique(returns["psu"])
    made_up = returns["psu"].isin(units[rng.random(len(units)) < share]).to_numpy()
    questions = [name for name in returns.columns if name not in [*_NOT_ANSWERS, "duration_s", "diary_of"]]
    scales = {name: span for name in questions for stem, span in _SCALES.items() if name.startswith(stem)}
    returns = returns.copy()

    first = returns.groupby("psu")[[*questions, "submitted_at"]].transform("first")
    _copy(returns, first, questions, made_up, rng)
    sitting = pd.to_timedelta(rng.integers(0, _SITTING_SECONDS, len(returns)), unit="s")
    returns["submitted_at"] = returns["submitted_at"].mask(made_up, first["submitted_at"] + sitting)
    planted.append(_listed(returns, made_up, "fabricated_unit"))

    luck = rng.random(len(returns))
    chosen = [~made_up & (luck >= step * share) & (luck < (step + 1) * share) for step in range(4)]
    others = returns.iloc[rng.permutation(len(returns))].set_axis(returns.index)  # hardly ever of the same unit
    _copy(returns, others, questions, chosen[0], rng)
    sources = returns["respondent_id"].isin(others.loc[chosen[0], "respondent_id"]).to_numpy()
    planted += [_listed(returns, chosen[0], "copied"), _listed(returns, sources, "copied_from")]
    hasty = rng.integers(*_HASTY_SECONDS, len(returns))
    returns["duration_s"] = returns["duration_s"].mask(chosen[1] | chosen[2], hasty)
    level = rng.random(len(returns))
    for name, (low, high) in scales.items():
        same = low + np.floor(level * (high - low + 1))
        returns[name] = returns[name].mask(chosen[1], same).mask(chosen[2], rng.integers(low, high + 1, len(returns)))
        returns[name] = returns[name].astype(int)
    planted += [_listed(returns, chosen[1], "straight_lined"), _listed(returns, chosen[2], "random_scales")]

    # A diary is copied from the first colleague whose two days come in the same delivery.
    lends = returns[returns["weekday"] & returns["weekend"] & ~returns["is_late"]]
    lender = returns["psu"].map(lends.groupby("psu")["respondent_id"].first()).fillna("")
    copies = chosen[3] & returns.index.isin(lends.index) & (lender != returns["respondent_id"]).to_numpy()
    returns["diary_of"] = lender.where(copies, "")
    lent = returns["respondent_id"].isin(returns.loc[copies, "diary_of"]).to_numpy()
    planted += [_listed(returns, copies, "copied_diary"), _listed(returns, lent, "diary_copied_from")]
    return returns, pd.concat(planted, ignore_index=True)


def with_copied_diaries(episodes: pd.DataFrame, diarists: pd.DataFrame) -> pd.DataFrame:
    """Replace the episodes of those who copy with those of the colleague they copy from (rows as in ``diarists``)."""
    position = pd.Series(np.arange(len(diarists)), index=diarists["respondent_id"])
    source = diarists["diary_of"].map(position).to_numpy()
    copies = np.flatnonzero(np.isfinite(source.astype(float)))
    if not len(copies):
        return episodes
    from_whom = pd.DataFrame({"row": source[copies].astype(int), "copy": copies})
    copied = from_whom.merge(episodes, on="row").drop(columns="row").rename(columns={"copy": "row"})
    both = pd.concat([episodes[~episodes["row"].isin(copies)], copied[episodes.columns]])
    return both.sort_values(["row", "start"], kind="stable", ignore_index=True)


def _copy(
    returns: pd.DataFrame, source: pd.DataFrame, questions: list[str], who: np.ndarray, rng: np.random.Generator
) -> None:
    for name in questions:
        taken = who & (rng.random(len(returns)) >= _CHANGED)
        returns[name] = returns[name].mask(taken, source[name])


def _listed(returns: pd.DataFrame, who: np.ndarray, kind: str) -> pd.DataFrame:
    return returns.loc[who, ["respondent_id", "psu"]].assign(kind=kind)
