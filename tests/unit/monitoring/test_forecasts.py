import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import DesignError
from analysis_lib.monitoring.forecasts import LEAST, forecast, forecast_tables, interval_score, score_origins
from analysis_lib.quarters import Quarter

SEASON = np.array([0.0, 1.0, -1.0, 2.0])


def series(n: int, *, se: float = 0.2, noise: float = 0.2, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    periods = [str(Quarter(2022, 1).shift(step)) for step in range(n)]
    return pd.DataFrame(
        {"period": periods, "estimate": 17 + np.resize(SEASON, n) + noise * rng.normal(size=n), "se": se}
    )


def test_the_season_is_carried_on():
    made = forecast(series(16, noise=0.02, se=0.02))
    assert made["period"].tolist() == ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    assert made["estimate"].to_numpy() == pytest.approx(17 + SEASON, abs=0.1)


def test_the_interval_holds_the_sampling_error_of_what_will_be_measured_and_widens():
    made = forecast(series(20))
    width = (made["ci_high"] - made["ci_low"]).to_numpy()
    assert (width > 2 * 1.96 * 0.2).all()
    assert (np.diff(width) > 0).all()
    less_certain = forecast(series(20, se=0.8))
    assert (less_certain["ci_high"] - less_certain["ci_low"] > width).all()


def test_a_short_series_is_less_certain_than_a_long_one():
    short, long = (forecast(series(n)) for n in (LEAST, 24))
    assert ((short["ci_high"] - short["ci_low"]) > (long["ci_high"] - long["ci_low"])).all()


def test_units_do_not_matter():
    hours = series(12)
    minutes = hours.assign(estimate=hours["estimate"] * 60, se=hours["se"] * 60)
    for name in ("estimate", "se", "ci_low", "ci_high"):
        assert forecast(minutes)[name].to_numpy() == pytest.approx(60 * forecast(hours)[name].to_numpy(), rel=1e-6)


def test_a_quarter_not_measured_is_passed_over_and_one_left_out_is_refused():
    rows = series(12)
    rows.loc[5, ["estimate", "se"]] = np.nan
    assert forecast(rows)["estimate"].notna().all()
    with pytest.raises(DesignError, match="out of order"):
        forecast(series(12).drop(index=5))


def test_fewer_than_two_years_are_refused_with_a_reason():
    with pytest.raises(DesignError, match="7 quarters measured"):
        forecast(series(LEAST - 1))


def test_scores_hold_a_forecast_against_what_came():
    tried = score_origins(series(11))
    assert tried["made_in"].unique().tolist() == ["2023Q4", "2024Q1", "2024Q2"]
    assert len(tried) == 3 + 2 + 1
    first = tried.iloc[0]
    made = forecast(series(LEAST)).iloc[0]
    came = series(11)["estimate"][LEAST]
    assert first["error"] == pytest.approx(abs(made["estimate"] - came))
    assert first["naive_error"] == pytest.approx(abs(series(11)["estimate"][LEAST - 4] - came))


def test_the_interval_score_adds_what_lies_outside():
    assert interval_score(1, 3, 2, 0.95) == 2
    assert interval_score(1, 3, 0.5, 0.95) == pytest.approx(2 + 40 * 0.5)


def test_tables_name_who_has_no_forecast():
    rows = pd.concat([series(12).assign(measure="gross"), series(5).assign(measure="new")], ignore_index=True)
    rows = rows.assign(unit="hours_week", region="all", by="", n=900, n_psu=60)
    forecasts, scores, impossible = forecast_tables(rows, ["gross", "new"])
    outer, inner = (forecasts[forecasts["by"] == by] for by in ("forecast", "forecast_inner"))
    assert outer["category"].tolist() == inner["category"].tolist() == [f"2024Q4.{step}" for step in (1, 2, 3, 4)]
    assert (outer["ci_low"].to_numpy() < inner["ci_low"].to_numpy()).all()
    assert (inner["ci_high"].to_numpy() < outer["ci_high"].to_numpy()).all()
    assert set(scores["category"]) == {"error", "naive_error", "covered", "interval_score"}
    assert list(impossible) == ["new"]
