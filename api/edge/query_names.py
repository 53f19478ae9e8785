"""Which names in a request's query are refused: those that would be passed over, and say what is to
be done.

`POST …/restore/?version=3` went back to before the last load, and `…/file/?dry_run=true` loaded.
"""

from typing import Any, Final, get_args

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params

from stocktake.errors import ValidationError, meant

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What somebody may ask of any request that changes something; where it is known, in its body.
_DRY_RUN: Final = "dry_run"
#: Generated clients of PostHog's ask so for the form of the answer.
ANSWER_FORMATS: Final = frozenset({"json", "csv"})
_SHOWN: Final = 64


def require_known(request: Request) -> None:
    """Let a request through whose query has nothing that is passed over at somebody's cost: no
    known parameter misspelt and, where something is changed, no field of the body.

    Any other name is passed over, as PostHog does.

    Raises:
        ValidationError: naming the parameter and what was meant.
    """
    if not request.query_params:
        return
    route = request.scope["route"]
    known = {each.alias for each in get_flat_params(route.dependant)}
    fields = set() if request.method in _READING else _body_fields(route)
    more = set() if request.method in _READING else {*fields, _DRY_RUN}
    for name, value in request.query_params.items():
        if name in known or (name == "format" and value in ANSWER_FORMATS):
            continue
        if (near := meant(name, known | more)) is not None:
            shown = name[:_SHOWN]
            raise ValidationError(_sentence(shown, near, known, fields), attr=shown)


def _sentence(name: str, near: str, known: set[str], fields: set[str]) -> str:
    if near in known:
        return f"The query parameter {name!r} is not known; did you mean {near!r}?"
    if near in fields:
        return f"The query parameter {name!r} is not known; send {near!r} in the body."
    return f"The query parameter {name!r} is not known: nothing here has a dry run."


def _body_fields(route: Any) -> set[str]:
    """Return the fields of a route's body, as its model or its description of a form has them."""
    if route.body_field is not None:
        body = route.body_field.field_info.annotation
        models = get_args(body) or (body,)  # of one that may be left out
        return {name for each in models for name in getattr(each, "model_fields", ())}
    content = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
    return {name for form in content.values() for name in form["schema"]["properties"]}
