"""`docs/scale.md` says what `bench.scale` computes, and what its simulation shows is so."""

from datetime import timedelta
from pathlib import Path

import pytest

from bench import scale
from bench.waves import HOUR, simulated

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [scale.costs, scale.fleets, scale.limits, scale.waves])
def test_the_tables_of_the_page_are_those_of_the_script(table: "scale.Table") -> None:
    assert table() in PAGE


def test_the_first_limit_is_wecoms() -> None:
    assert "150,000 calls an hour" in scale.limits().splitlines()[2]


def test_the_recorded_day_has_no_wave() -> None:
    assert scale.DAY.peak <= scale.PEAK * scale.DAY.mean
    assert scale.DAY.peak_without_pace > scale.PEAK * scale.DAY.mean


@pytest.mark.slow
async def test_a_restart_and_outages_make_no_wave_and_nobody_is_refused() -> None:
    length = timedelta(hours=8)  # a third of a day, in which the same happens
    day = await simulated(length)

    mean, peak = day.mean(2 * HOUR, length), day.peak(2 * HOUR, length)
    assert mean == pytest.approx(scale.DAY.mean, rel=0.05)
    assert peak <= scale.PEAK * mean
    assert 0 == day.refused
