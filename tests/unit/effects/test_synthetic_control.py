"""Synthetic control and synthetic difference-in-differences where the answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis_lib.effects.panel import Panel
from analysis_lib.effects.synthetic_control import Kind, Synthetic, synthetic
from analysis_lib.errors import DesignError

KINDS: tuple[Kind, ...] = ("synthetic_difference", "synthetic_control", "difference")
FEW = 0.5  # confidence level at which a handful of comparison regions is enough
COMMON = np.array([0.0, 2, 1, 4, 3, 7])  # what befalls every region


def panel_of(values: np.ndarray, starts: list[int], weights: list[float] | None = None, **more: np.ndarray) -> Panel:
    """The treated regions first; all others are never treated."""
    n, periods = values.shape
    names = [tuple(f"{kind}{place:02}" for place in range(size)) for kind, size in (("r", n), ("t", periods))]
    every = np.array(starts + [periods] * (n - len(starts)))
    return Panel(*names, values, every, np.array(weights or [1.0] * n), **more)  # pyright: ignore[reportArgumentType]


def parallel(effects: list[float], starts: list[int], weights: list[float] | None = None) -> Panel:
    """Levels 20 (treated), then 16, 14, 12 and 10 (not), what befalls all, and known effects."""
    levels = np.array([20.0] * len(effects) + [16, 14, 12, 10])
    values = levels[:, None] + COMMON
    for place, (effect, start) in enumerate(zip(effects, starts, strict=True)):
        values[place, start:] += effect
    return panel_of(values, starts, weights)


def walks(n_comparison: int, periods: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n_comparison + 1, periods)).cumsum(axis=1) + rng.normal(20, 3, (n_comparison + 1, 1))


class TestEstimates:
    @pytest.mark.parametrize("kind", ["synthetic_difference", "difference"])
    def test_regions_that_run_parallel_give_the_effect_and_placebos_of_zero(self, kind):
        found = synthetic(parallel([-3], [4]), kind=kind, confidence_level=FEW)
        assert [found.estimate, found.ci_low, found.ci_high] == pytest.approx([-3, -3, -3])
        assert found.placebos == pytest.approx(np.zeros(4), abs=1e-9)
        assert found.se == pytest.approx(0, abs=1e-9)
        assert found.p_value == pytest.approx(1 / 5)

    @pytest.mark.parametrize("kind", ["synthetic_difference", "difference"])
    def test_a_level_of_its_own_changes_nothing(self, kind):
        values = walks(5, 12)
        found = synthetic(panel_of(values, [8]), kind=kind, confidence_level=FEW)
        higher = synthetic(panel_of(values + 100 * np.eye(6)[:, :1], [8]), kind=kind, confidence_level=FEW)
        assert higher.estimate == pytest.approx(found.estimate)
        assert higher.contrast == pytest.approx(found.contrast)

    def test_synthetic_control_takes_a_gap_in_level_for_an_effect(self):
        found = synthetic(parallel([-3], [4]), kind="synthetic_control", confidence_level=FEW)
        assert found.unit_weights["t04"].tolist() == pytest.approx([1, 0, 0, 0], abs=1e-3)  # the nearest, 4 below
        assert found.estimate == pytest.approx(-3 + 4, abs=0.01)
        assert found.cohorts["rmse_before"].tolist() == pytest.approx([4], abs=0.01)

    def test_the_mix_that_made_a_region_is_found(self):
        values = walks(4, 36)
        values[0] = 0.3 * values[1] + 0.7 * values[2]
        values[0, 30:] -= 5
        found = synthetic(panel_of(values, [30]), kind="synthetic_control", confidence_level=FEW)
        assert found.unit_weights["t30"].tolist() == pytest.approx([0.3, 0.7, 0, 0], abs=0.01)
        assert found.estimate == pytest.approx(-5, abs=0.05)
        gap = (found.path["observed"] - found.path["synthetic"]).to_numpy()
        assert gap == pytest.approx(np.repeat([0, -5], [30, 6]), abs=0.1)

    def test_treated_regions_count_by_what_they_stand_for(self):
        panel = parallel([-2, -6], [4, 4], [3, 1, 1, 1, 1, 1])
        assert synthetic(panel, confidence_level=FEW, draws=5).estimate == pytest.approx(-2 * 0.75 - 6 * 0.25)

    def test_cohorts_count_by_regions_times_periods_in_force(self):
        found = synthetic(parallel([-3, -6], [4, 5], [1, 3, 1, 1, 1, 1]), confidence_level=FEW, draws=5)
        assert found.cohorts["start"].tolist() == ["t04", "t05"]
        assert found.cohorts["estimate"].tolist() == pytest.approx([-3, -6])
        assert found.cohorts["share"].tolist() == pytest.approx([2 / 5, 3 / 5])
        assert found.estimate == pytest.approx(-3 * 2 / 5 - 6 * 3 / 5)


@pytest.fixture(scope="module", params=KINDS)
def found(request: pytest.FixtureRequest) -> tuple[Panel, Synthetic]:
    panel = panel_of(walks(5, 12), [8])
    return panel, synthetic(panel, kind=request.param, confidence_level=FEW)


class TestWhatAnEstimateIsMadeOf:
    def test_weights_are_shares(self, found):
        _, result = found
        assert (result.unit_weights >= 0).all(axis=None)
        assert (result.time_weights >= 0).all(axis=None)
        assert result.unit_weights["t08"].sum() == pytest.approx(1)
        assert result.time_weights["t08"].sum() == pytest.approx(0 if result.kind == "synthetic_control" else 1)
        assert (result.time_weights["t08"].to_numpy()[8:] == 0).all()

    def test_the_contrast_gives_the_estimate_and_leaves_out_what_befalls_all(self, found):
        panel, result = found
        assert (result.contrast * panel.values).sum() == pytest.approx(result.estimate)
        assert result.contrast.sum(axis=0) == pytest.approx(np.zeros(12), abs=1e-12)
        assert result.contrast[0, 8:].tolist() == pytest.approx([1 / 4] * 4)
        assert result.contrast[1:, 8:].sum() == pytest.approx(-1)

    def test_the_path_ends_at_the_estimate(self, found):
        _, result = found
        gap = (result.path["observed"] - result.path["synthetic"]).to_numpy()
        assert gap[8:].mean() == pytest.approx(result.estimate)

    def test_sampling_errors_go_through_the_contrast(self):
        panel = panel_of(walks(4, 6), [4], sampling=np.stack([np.eye(6)] * 5))
        found = synthetic(panel, kind="difference", confidence_level=FEW)
        assert found.se_sampling == pytest.approx(np.sqrt((1 + 4 / 16) * (2 / 4 + 4 / 16)))
        assert np.isnan(synthetic(panel_of(walks(4, 6), [4]), kind="difference", confidence_level=FEW).se_sampling)


class TestPlacebos:
    def test_every_comparison_region_takes_the_place_once(self):
        values = walks(19, 10)
        found = synthetic(panel_of(values, [6]), kind="difference")
        change = values[:, 6:].mean(axis=1) - values[:, :6].mean(axis=1)
        rest = change[1:]
        placebos = rest - (rest.sum() - rest) / 18
        assert found.placebos == pytest.approx(placebos)
        estimate = change[0] - rest.mean()
        assert found.estimate == pytest.approx(estimate)
        assert found.p_value == pytest.approx((1 + (np.abs(placebos) >= abs(estimate)).sum()) / 20)
        reach = np.abs(placebos).max()  # 19 of 20 ranks
        assert [found.ci_low, found.ci_high] == pytest.approx([estimate - reach, estimate + reach])

    @pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
    def test_the_interval_holds_the_effects_that_are_not_rejected(self, level):
        values = walks(20, 10)
        found = synthetic(panel_of(values, [6]), kind="difference", confidence_level=level)
        for limit, inwards in ((found.ci_low, 1e-6), (found.ci_high, -1e-6)):
            for effect, is_inside in ((limit + inwards, True), (limit - inwards, False)):
                less = values.copy()
                less[0, 6:] -= effect
                p_value = synthetic(panel_of(less, [6]), kind="difference", confidence_level=level).p_value
                assert (p_value > 1 - level + 1e-9) is is_inside

    def test_several_treated_regions_are_drawn_for_and_a_seed_settles_it(self):
        panel = panel_of(walks(19, 10), [6, 6, 7])
        first, again, other = (synthetic(panel, kind="difference", draws=40, seed=seed) for seed in (1, 1, 2))
        assert len(first.placebos) == 40
        assert first.placebos.tolist() == again.placebos.tolist() != other.placebos.tolist()


class TestRefusals:
    @pytest.mark.parametrize("starts", [[], [3], [3, 8]])
    def test_nobody_treated_or_too_short_a_past(self, starts):
        with pytest.raises(
            DesignError, match="no region is treated within the panel, or the first has too short a past"
        ):
            synthetic(panel_of(walks(30, 12), starts))

    def test_too_few_comparison_regions_for_the_level(self):
        with pytest.raises(DesignError, match=r"18 regions without the reform are too few(.|\n)*at least 19"):
            synthetic(panel_of(walks(18, 10), [6]), kind="difference")
        assert synthetic(panel_of(walks(18, 10), [6]), kind="difference", confidence_level=0.9).n_comparison == 18

    def test_as_many_treated_as_not(self):
        with pytest.raises(DesignError, match="too few to tell an effect on 5 from chance"):
            synthetic(panel_of(walks(10, 10), [6] * 5), kind="difference", confidence_level=FEW)
