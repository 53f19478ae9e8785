"""What is said of keys that hold values of several kinds, or that have no name."""

from stocktake.readers.text.values.kinds import Kind, describe
from stocktake.schema.warnings import MAX_WARNINGS, ReadWarning, WarningCode


class MixedKeys:
    """Notes, once for each key, that only a text holds its values.

    Args:
        file: for messages.

    Attributes:
        line: of the object that is looked at.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.line: int | None = None
        self._found: dict[tuple[str, ...], ReadWarning] = {}

    def __call__(self, keys: tuple[str, ...], a: Kind, b: Kind) -> None:
        """Note that the key holds both kinds; without a kind, that it has no name, or one below it
        an escape."""
        if keys in self._found or len(self._found) > MAX_WARNINGS:
            return
        named = _spelled(keys)
        if a is None and keys[-1]:
            sentence = (
                f"An object in {named} has a key with an escape such as \\u00e9, which ClickHouse "
                "does not find in a Tuple: it is a String, and stands as its JSON text. To have "
                "columns of it, write the keys in UTF-8 (in Python `json.dumps(…, "
                "ensure_ascii=False)`)."
            )
        elif a is None:
            sentence = (
                f"An object in {_spelled(keys[:-1])} has an empty key, which no type can have: it "
                "is a String, and stands as its JSON text."
            )
        else:
            sentence = (
                f"Key {named} holds {describe(a)} and {describe(b)}, and no type but String gives "
                "back both: each value stands as its JSON text."
            )
        self._note(keys, WarningCode.MIXED_KINDS, sentence)

    def leave_out(self) -> None:
        """Note that an object has a value whose key is empty."""
        if ("",) not in self._found:
            sentence = "An object has an empty key: its values are left out, as ClickHouse does."
            self._note(("",), WarningCode.EMPTY_KEY, sentence)

    def has(self, name: str) -> bool:
        """Return whether something was noted of a column itself."""
        return (name,) in self._found

    @property
    def warnings(self) -> tuple[ReadWarning, ...]:
        """Return what was noted, in order."""
        return tuple(self._found.values())

    def _note(self, keys: tuple[str, ...], code: WarningCode, sentence: str) -> None:
        self._found[keys] = ReadWarning(
            code=code, sentence=sentence, file=self._file, line=self.line
        )


def _spelled(keys: tuple[str, ...]) -> str:
    return ascii(".".join(keys))[:120]
