"""Compare two schemas: what the code of the release before relies on has to be in the next release's schema, too."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, inspect

from gateway.storage.schema import VERSION

SURVIVING = ("CASCADE", "SET NULL")  # what a foreign key does when the row that it refers to is deleted

# A fact about a table: the table's name, and the fact in words.
Fact = tuple[str, str]


class Shape:
    """What code relies on in a schema, and what can refuse its statements."""

    def __init__(self, connection: Connection) -> None:
        found = inspect(connection)
        self.tables = [name for name in found.get_table_names() if name != VERSION.name]
        self.kept: set[Fact] = set()
        self.refusing: set[Fact] = set()
        for table in self.tables:
            for column in found.get_columns(table):
                self._add_column(table, column)
            unique = set(_unique(found, table))
            self.kept |= unique
            self.refusing |= unique
            self.refusing |= {(table, f"check {each['sqltext']}") for each in found.get_check_constraints(table)}
            for key in found.get_foreign_keys(table):
                fact = f"foreign key of {table} to {key['referred_table']}: {', '.join(key['constrained_columns'])}"
                self.refusing.add((table, fact))
                if key["options"].get("ondelete") not in SURVIVING:
                    self.refusing.add((key["referred_table"], f"{fact}, which keeps rows from being deleted"))

    def contractions(self, later: "Shape") -> list[str]:
        """Return in words how a later schema contracts this one. Code that knows only this one may fail over it."""
        lost = [f"{table}: no longer {fact}" for table, fact in self.kept - later.kept]
        new = [f"{table}: now {fact}" for table, fact in later.refusing - self.refusing if table in self.tables]
        return sorted(lost + new)

    def _add_column(self, table: str, column: Any) -> None:
        name, has_default = column["name"], column["default"] is not None or bool(column.get("identity"))
        self.kept.add((table, f"column {name} {column['type']}"))
        if column["nullable"]:
            self.kept.add((table, f"{name} null"))
        if has_default:
            self.kept.add((table, f"{name} with a default"))
        if not (column["nullable"] or has_default):
            self.refusing.add((table, f"{name} needed"))


def _unique(found: Any, table: str) -> Iterator[Fact]:
    yield table, f"unique {', '.join(found.get_pk_constraint(table)['constrained_columns'])}"
    for constraint in found.get_unique_constraints(table):
        yield table, f"unique {', '.join(constraint['column_names'])}"
    for index in found.get_indexes(table):
        if index["unique"]:
            options = index.get("dialect_options", {})
            where = options.get("sqlite_where", options.get("postgresql_where"))
            columns = ", ".join(index.get("expressions", index["column_names"]))
            yield table, f"unique {columns}" + (f" where {where}" if where is not None else "")
