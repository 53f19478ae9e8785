"""A word that travels between processes, in a column of text."""

from enum import StrEnum

from sqlalchemy import Dialect, String, TypeDecorator


class Word(TypeDecorator[str]):
    """A member of one of `stocktake.states`' enumerations is stored as its value.

    It is read as the text that it is: a newer release may have written one that has no member here.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | StrEnum | None, dialect: Dialect) -> str | None:
        """Give the driver plain text: what one makes of an enumeration is its own affair."""
        return None if value is None else str(value)
