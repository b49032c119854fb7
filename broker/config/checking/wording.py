"""What pydantic finds, in words for whoever wrote the file. No value is shown: it may be a secret."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

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
    "union_tag_not_found": "must be a string, in quotes, or a table",
    "too_short": "must not be empty",
    "union_tag_invalid": "must be self_built, third_party or customized",
}
Location = tuple[int | str, ...]


def message_of(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return what is wrong, and where possible what would be right."""
    kind, location = problem["type"], problem["loc"]
    if kind == "extra_forbidden":
        return "unknown key" + did_you_mean(str(location[-1]), _fields_beside(location, model).keys())
    if kind == "missing" and (why := _fields_beside(location, model)[str(location[-1])].description):
        return f"{PLAIN[kind]}: {why}"
    if kind in PLAIN:
        return PLAIN[kind] + ("; remove the quotes" if _is_quoted_number(problem["input"]) else "")
    said = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if kind in ("literal_error", "enum"):
        # Words that may stand there, not the one that does.
        return said + did_you_mean(str(problem["input"]), re.findall(r"'([^']+)'", said))
    return said


def without_tag(location: Location) -> Location:
    """Return the location as the file has it: pydantic adds the kind of an app and the form of a listener."""
    if location[:2] == ("server", "grpc"):
        return location[:3] + location[4:]
    return location[:2] + location[3:] if location[:1] == ("apps",) else location


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to put behind a message, or nothing."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _is_quoted_number(given: object) -> bool:
    return isinstance(given, str) and re.fullmatch(r"-?[0-9.]+", given) is not None


def _fields_beside(location: Location, model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """Return the fields of the table that the location is in."""
    fields, tables = model.model_fields, [model]
    for part in location[:-1]:
        if part in fields:
            tables = _tables_in(fields[str(part)].annotation)
        else:
            tables = [table for table in tables if _kind_of(table) == part] or tables
        fields = tables[0].model_fields if tables else fields
    return fields


def _tables_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]


def _kind_of(table: type[BaseModel]) -> str:
    """Return the kind of app that the table is for; "" for other tables."""
    return get_args(table.model_fields["kind"].annotation)[0] if "kind" in table.model_fields else ""
