from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from api.errors import answer_for, validation_error
from stocktake import errors


class Credential(BaseModel):
    access_key: str


class Body(BaseModel):
    name: Annotated[str, StringConstraints(min_length=1, max_length=5)]
    size: int = 0
    id: UUID | None = None
    credential: Credential | None = None
    tables: list[UUID] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)


def _refusal(body: Any) -> errors.RequestError:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(body)
    problems = caught.value.errors()
    return validation_error([one | {"loc": ("body", *one["loc"])} for one in problems])


@pytest.mark.parametrize(
    ("body", "attr", "code", "detail"),
    [
        ({}, "name", "required", "This field is required."),
        ({"name": None}, "name", "null", "This field may not be null."),
        ({"name": ""}, "name", "blank", "This field may not be blank."),
        ({"name": 1}, "name", "invalid_input", "Not a valid string."),
        (
            {"name": "longer"},
            "name",
            "max_length",
            "Ensure this field has no more than 5 characters.",
        ),
        ({"name": "n", "size": "x"}, "size", "invalid_input", "A valid integer is required."),
        ({"name": "n", "id": "x"}, "id", "invalid_input", "Must be a valid UUID."),
        (
            {"name": "n", "credential": {}},
            "credential__access_key",
            "required",
            "This field is required.",
        ),
        (
            {"name": "n", "credential": {"access_key": None}},
            "credential__access_key",
            "null",
            "This field may not be null.",
        ),
        (
            {"name": "n", "options": []},
            "options",
            "invalid_input",
            "Invalid data. Expected a dictionary, but got list.",
        ),
        ({"name": "n", "tables": 1}, "tables", "not_a_list", "Expected a list of items."),
        ({"name": "n", "tables": ["x"]}, "tables__0", "invalid_input", "Must be a valid UUID."),
        ([], None, "invalid_input", "Invalid data. Expected a dictionary, but got list."),
    ],
)
def test_the_first_problem_is_said_in_posthogs_words(
    body: Any, attr: str | None, code: str, detail: str
) -> None:
    refusal = _refusal(body)
    assert (refusal.attr, refusal.code, refusal.detail) == (attr, code, detail)
    assert answer_for(refusal).status_code == 400


def test_a_path_that_does_not_parse_is_a_404() -> None:
    problem = {"type": "uuid_parsing", "loc": ("path", "job_id"), "input": "x", "msg": "?"}
    assert isinstance(validation_error([problem]), errors.NotFoundError)


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (errors.ValidationError("x"), 400, "validation_error"),
        (errors.NotAuthenticatedError("x"), 401, "authentication_error"),
        (errors.PermissionDeniedError("x"), 403, "authentication_error"),
        (errors.NotFoundError(), 404, "invalid_request"),
        (errors.ConflictError("x"), 409, "invalid_request"),
        (errors.PayloadTooLargeError("x"), 413, "invalid_request"),
        (errors.UnprocessableError("x"), 422, "invalid_request"),
        (errors.ThrottledError(7), 429, "throttled_error"),
    ],
)
def test_each_refusal_has_its_status_and_type(
    error: errors.RequestError, status: int, type_: str
) -> None:
    answer = answer_for(error)
    assert answer.status_code == status
    assert f'"type":"{type_}"'.encode() in answer.body


def test_every_kind_of_refusal_has_a_status() -> None:
    from api import errors as api_errors

    assert set(api_errors._STATUSES) == set(errors.RequestError.__subclasses__())


def test_a_throttled_answer_says_when() -> None:
    assert answer_for(errors.ThrottledError(7)).headers["retry-after"] == "7"


def test_both_shapes_are_sent_where_posthog_sends_a_message() -> None:
    body = answer_for(errors.ValidationError("No file provided", legacy_message=True)).body
    assert b'"detail":"No file provided"' in body
    assert b'"message":"No file provided"' in body
    assert b"message" not in answer_for(errors.ValidationError("No")).body
