"""What all wire models share: the base, a refusal, a page."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Wire(BaseModel):
    """Base of what goes out: built from attributes, complete, no extra fields."""

    model_config = ConfigDict(from_attributes=True)


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
