"""What all wire models share: the base, a refusal, a page."""

from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from stocktake.errors import did_you_mean

T = TypeVar("T")
#: The kind of problem that `api.errors` finds the key of in its context.
UNKNOWN_KEY: Final = "unknown_key"


class Wire(BaseModel):
    """Base of what goes out: built from attributes, complete, no extra fields."""

    model_config = ConfigDict(from_attributes=True)


class OwnBody(BaseModel):
    """Base of a body that PostHog has not: a key that is not known is told, and not passed over."""

    #: Keys of an answer that may be sent back with the others, and are ignored.
    answered: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, body: Any) -> Any:
        known = cls.model_fields.keys()
        for key in body if isinstance(body, dict) else ():
            if key not in known and key not in cls.answered:
                shown = str(key)[:64]
                told = f"This field is not known; {did_you_mean(shown, known)}"
                raise PydanticCustomError(UNKNOWN_KEY, "{told}", {"told": told, "key": shown})
        return body


class ErrorBody(Wire):
    """Every refusal; `message` repeats `detail` where PostHog's clients read it."""

    type: str
    code: str
    detail: str
    attr: str | None = None
    message: str | None = None


class PageBody(Wire, Generic[T]):
    """One page of a list; `next` and `previous` are full URLs, or paths where the request named a
    host that the operator did not."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]
