"""Short forms for the statements of one transaction."""

import sqlite3
from typing import Any

Row = tuple[Any, ...]


class Statements:
    """Run statements on the database; the transaction is the caller's."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def _do(self, statement: str, *values: object) -> int:
        """Run a statement; return how many rows it changed."""
        return self._database.execute(statement, values).rowcount

    def _row(self, query: str, *values: object) -> Row:
        """Run a query; return one row, empty if there is none."""
        return self._database.execute(query, values).fetchone() or ()

    def _rows(self, query: str, *values: object) -> list[Row]:
        return self._database.execute(query, values).fetchall()
