"""Text can be read in light and in dark: WCAG AA asks for a contrast of 4.5."""

import re

import pytest

from tests.architecture.sources import ROOT

STYLE = (ROOT / "broker/server/http/console/console.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\n *\}", STYLE, re.DOTALL)
)
TEXTS = ("text", "quiet", "link", "ok", "warn", "fail")
GROUNDS = ("page", "sheet", "head", "wash")
PAIRS = [(text, ground) for text in TEXTS for ground in GROUNDS] + [("on-button", "button")]


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_text_stands_out_from_every_ground(colours: dict[str, str]) -> None:
    assert set(LIGHT) == set(DARK)
    ratios = {}
    for text, ground in PAIRS:
        dark, light = sorted(map(luminance, (colours[text], colours[ground])))
        ratios[text, ground] = (light + 0.05) / (dark + 0.05)

    assert {} == {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5}
