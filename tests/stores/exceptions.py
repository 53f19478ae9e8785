"""What a store does not do as the others: its own fault, which the matrix names."""

from typing import Final

#: By store and scenario. One that is mended makes its test fail, so that it is taken out here.
EXCEPTIONS: Final[dict[tuple[str, str], str]] = {}
