"""How the commands print JSON."""

import codecs
import json
import sys
from collections.abc import Callable
from typing import Any

import click


def print_json(value: object, *, default: Callable[[Any], object] | None = None, err: bool = False) -> None:
    """Print the value as a line of JSON, on stderr if `err` is set; `default` as in `json.dumps`.

    Where the stream is not UTF-8 the line is ASCII: programs read JSON as UTF-8, and what Python writes in
    place of a character that the stream lacks is no JSON.
    """
    stream = sys.stderr if err else sys.stdout
    # A stream that is closed when the program starts is None.
    is_utf8 = stream is not None and codecs.lookup(stream.encoding).name == "utf-8"
    click.echo(json.dumps(value, default=default, ensure_ascii=not is_utf8), err=err)
