"""What pydantic finds, in words for whoever wrote the file. No value is shown: it may be a secret."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

PLAIN = {
    "missing": "is required",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list, in [ ]",
    "string_type": "must be a string, in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "too_short": "must not be empty",
}


def message_of(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return what is wrong, and where possible what would be right."""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return "unknown key" + did_you_mean(str(problem["loc"][-1]), _keys_beside(problem["loc"], model))
    if kind in PLAIN:
        return PLAIN[kind] + ("; remove the quotes" if _is_quoted_number(problem["input"]) else "")
    return str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)


def did_you_mean(word: str, known: Mapping[str, object] | set[str]) -> str:
    """Return a suggestion to put behind a message, or nothing."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _is_quoted_number(given: object) -> bool:
    return isinstance(given, str) and re.fullmatch(r"-?[0-9.]+", given) is not None


def _keys_beside(location: tuple[int | str, ...], model: type[BaseModel]) -> set[str]:
    """Return the keys of the table that the location is in."""
    for part in location[:-1]:
        if isinstance(part, str):
            model = _table_in(model.model_fields[part].annotation) or model
    return set(model.model_fields)


def _table_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_table_in, get_args(annotation))), None)
