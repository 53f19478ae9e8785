"""What all wire models share: the base, a refusal, a page."""

from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from stocktake.errors import did_you_mean, meant
from stocktake.limits import MAX_STALE_SECONDS

T = TypeVar("T")
#: Checked by the services, in words of ours.
StaleAfter = Annotated[int, Field(ge=1, le=MAX_STALE_SECONDS)]
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


class SharedBody(BaseModel):
    """Base of a body that PostHog has, too: a key that is not known is passed over, as a client may
    send back what it got, but for one that is a known one misspelt."""

    #: Keys of an answer that are near to these, and no slips.
    answered: ClassVar[frozenset[str]] = frozenset()
    #: Keys that ask for what only other requests do.
    elsewhere: ClassVar[frozenset[str]] = frozenset({"dry_run"})

    @model_validator(mode="before")
    @classmethod
    def _no_slips(cls, body: Any) -> Any:
        known = cls.model_fields.keys()
        for key in body if isinstance(body, dict) else ():
            if key in known or key in cls.answered:
                continue
            if near := meant(key, known | cls.elsewhere):
                asked = f"did you mean {near!r}?" if near in known else "it has no meaning here."
                told = f"This field is not known; {asked}"
                raise PydanticCustomError(UNKNOWN_KEY, "{told}", {"told": told, "key": key[:64]})
        return body


class DescribedAs:
    """Says in an annotation what the description tells of a field, beside what the field holds.

    What the database keeps is shown as it is: while releases change over, a row may hold what this
    one does not know. What a client sends is checked by the services, in PostHog's words.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the other type's."""
        # Within another schema, as a model or an enum gets a name of its own only there.
        return handler(core_schema.with_default_schema(TypeAdapter(self._kind).core_schema))


class ErrorBody(Wire):
    """Every refusal; `message` repeats `detail` where PostHog's clients read it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "validation_error",
                    "code": "required",
                    "detail": "This field is required.",
                    "attr": "name",
                }
            ]
        }
    )

    type: Literal[
        "validation_error",
        "authentication_error",
        "invalid_request",
        "throttled_error",
        "server_error",
    ]
    code: str
    detail: str
    attr: str | None = None
    message: str | None = None
    hint: str | None = Field(default=None, description="What to do, where more is known.")


class PageBody(Wire, Generic[T]):
    """One page of a list; `next` and `previous` are full URLs, or paths where the request named a
    host that the operator did not."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]
