"""What an error of obstore's says of the store's answer; `store_errors` says how it is told."""

import re

#: obstore writes it on one line, and deltalake as a tree in colours.
STATUS = re.compile(r"status code(?:\x1b\[[\d;]*m|[:\s↳])*(\d{3})")
CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")

#: A request may be sent again after these, though they blame the client.
PASSING = frozenset({404, 408, 409, 412, 423, 425, 429})

#: object_store's errors for an answer in which the part that was asked for cannot be told: all of
#: the object, another part, or an answer of no known length.
_NO_PART = re.compile(
    r"\bNotPartial\b|\bUnexpectedRange\b|\bNoContentRange\b|\bParseContentRange\b"
    r"|\bMissingContentLength\b"
)

#: Statuses and codes with which stores refuse a kind of range that they do not have.
_RANGE_STATUSES = frozenset({"405", "416", "501"})
_RANGE_CODES = frozenset(
    {"InvalidArgument", "InvalidRange", "InvalidRequest", "MethodNotAllowed", "NotImplemented"}
)


def is_unsatisfiable_range(error: Exception) -> bool:
    """Return whether the store answered 416: the object ends before the range begins."""
    status = STATUS.search(str(error))
    return status is not None and status[1] == "416"


def is_refusal(error: Exception) -> bool:
    """Return whether the store blames the request: a 4xx that sending it again does not pass."""
    status = STATUS.search(str(error))
    if status is None:
        return "BareRedirect" in str(error)
    return 400 <= int(status[1]) < 500 and int(status[1]) not in (*PASSING, 416)


def is_not_implemented(error: Exception) -> bool:
    """Return whether the store answered 501: it does not know what the request's headers
    ask for."""
    status = STATUS.search(str(error))
    return status is not None and status[1] == "501"


def is_no_part(error: Exception) -> bool:
    """Return whether the store answered for a part of an object, but not with that part."""
    return _NO_PART.search(str(error).partition("Debug source")[2]) is not None


def is_refused_range(error: Exception) -> bool:
    """Return whether the store does not give that kind of range, though it may give another."""
    summary, _, _ = str(error).partition("Debug source")
    code, status = CODE.search(summary), STATUS.search(summary)
    if status and code:
        return code[1] in _RANGE_CODES
    return bool(status and status[1] in _RANGE_STATUSES)
