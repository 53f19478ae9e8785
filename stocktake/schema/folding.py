"""Names as people compare them: letter case and the composition of accents make no difference."""

import unicodedata
from typing import Final

#: Control, format (with the bidirectional ones), surrogate, line and paragraph separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Invisible ones of other categories: Unicode's Default_Ignorable_Code_Point, and an empty Braille
#: cell. Ranges are inclusive.
_IGNORABLE: Final = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)


def fold(text: str) -> str:
    r"""Return the text as it is compared: no database's locale has a say in it.

    Source: The Unicode Standard, D145, canonical caseless matching.

    >>> fold("STRASSE") == fold("straße"), fold("E\u0301cole") == fold("\u00e9COLE")
    (True, True)
    """
    # Decomposed first, as some marks fold otherwise when they are composed (D145, U+0345). Composed
    # at the end where D145 decomposes: two texts are equal in one form just where they are in the
    # other.
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)


def unseen(text: str) -> str | None:
    r"""Return the first character that nobody sees, or that turns the direction of others; None
    where all are seen.

    >>> unseen("a\u202eb") == "\u202e", unseen("a b")
    (True, None)
    """
    return next((character for character in text if _is_unseen(character)), None)


def _is_unseen(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    number = ord(character)
    return unicodedata.category(character) in _UNSEEN or any(
        first <= number <= last for first, last in _IGNORABLE
    )
