"""Tables that fit the terminal.

The widest columns are folded first; where too little would be left of them, each row is a block of lines.
"""

import shutil
import sys
from collections.abc import Sequence
from io import StringIO
from itertools import chain

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from broker.domain.printable import printable

GAP = 2
NARROWEST = 18
"""No column is folded below this: nobody could read a corp's id."""


def show(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; on a terminal within its width, elsewhere each row in one line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(heads, rows, width):
        click.echo(line)


def lines(heads: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> list[str]:
    """Return the lines of a table that is no wider than that, unless it is shown in blocks."""
    texts = [[head.upper() for head in heads], *([printable(str(cell)) for cell in row] for row in rows)]
    if width is not None and _width(texts, NARROWEST) > width:
        heads, *cells = texts
        blocks = [_drawn([*zip(heads, row, strict=True)], None) for row in cells]
        return list(chain.from_iterable(["", *block] for block in blocks))[1:]
    return _drawn(texts, width)


def _width(texts: Sequence[Sequence[str]], most: int | None = None) -> int:
    """Return how many columns of the terminal a table takes, if no column of it takes more than `most`."""
    widest = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    return sum(min(each, most or each) for each in widest) + GAP * (len(widest) - 1)


def _drawn(texts: Sequence[Sequence[str]], width: int | None) -> list[str]:
    table = Table(
        *(Column(overflow="fold") for _ in texts[0]),
        box=None,
        show_header=False,
        pad_edge=False,
        padding=(0, GAP, 0, 0),
    )
    for row in texts:
        table.add_row(*map(Text, row))
    console = Console(file=StringIO(), width=width or _width(texts), color_system=None)
    with console.capture() as drawn:
        console.print(table)
    return [line.rstrip() for line in drawn.get().split("\n")[:-1]]
