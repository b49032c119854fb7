"""Tables that fit the terminal.

The widest columns are cut first; where too little would be left of them, each row is a block of lines.
"""

import shutil
import sys
import unicodedata
from collections.abc import Sequence

import click

from broker.domain.printable import printable

GAP = "  "
NARROWEST = 18
"""No column is cut below this: a corp's id would look like the next one's."""
CUT = "…"


def show(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; on a terminal within its width, elsewhere in full."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(heads, rows, width):
        click.echo(line)


def lines(heads: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> list[str]:
    """Return the lines of a table that is no wider than that."""
    texts = [[head.upper() for head in heads], *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(width_of, column)) for column in zip(*texts, strict=True)]
    if width is not None:
        while sum(widths) + len(GAP) * (len(widths) - 1) > width:
            if max(widths) <= NARROWEST:
                return _blocks(texts)
            widths[widths.index(max(widths))] -= 1
    return [
        GAP.join(_fitted(cell, space) for cell, space in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]


def _blocks(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each cell, its head before it, and an empty one between rows."""
    heads, *rows = texts
    space = max(map(width_of, heads))
    blocks = [
        [f"{_fitted(head, space)}{GAP}{cell}" for head, cell in zip(heads, row, strict=True)] for row in rows
    ]
    return [line for block in blocks for line in ("", *block)][1:]


def width_of(text: str) -> int:
    """Return how many columns a terminal needs: two for each Chinese character."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _fitted(text: str, space: int) -> str:
    """Return the text with that width, cut where it is longer."""
    if width_of(text) > space:
        while width_of(text) > space - 1:
            text = text[:-1]
        text += CUT
    return text + " " * (space - width_of(text))
