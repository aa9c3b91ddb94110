"""Problem details (RFC 9457): the one form of every error that leaves an API.

Invariant: a problem says what was wrong and what to do next, and never repeats a secret or the refused input.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from shared.errors import Poison, Rejected, Transient

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:recoup:problem:"
FIELD_ERRORS_MAX = 100
RETRY_AFTER_S = 5


class FieldProblem(BaseModel):
    """One field that was refused: where it stands, why, and what to do."""

    field: str
    reason: str
    what_to_do: str


class ProblemDetails(BaseModel):
    """Body of every error (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:recoup:problem:foreign_company",
                    "title": "Forbidden",
                    "status": 403,
                    "detail": "company 'acme' is not among the companies of your token",
                    "code": "foreign_company",
                    "what_to_do": "use a token that names this company",
                    "correlation_id": "0f7d3c5c5b7c4d0c9a53c8a1c2d9b001",
                }
            ]
        }
    )
    type: str
    title: str
    status: int
    detail: str
    code: str
    what_to_do: str | None = None
    correlation_id: str | None = None
    errors: list[FieldProblem] | None = Field(default=None, max_length=FIELD_ERRORS_MAX)
    facts: dict[str, Any] | None = None


class Problem(HTTPException):
    """Raise at the edge of an API to answer with `status` and a problem body.

    `code` is stable and snake_case, `detail` one sentence on what was wrong, `what_to_do` the way out. Rules of the
    business raise `shared.errors.Rejected` instead, which becomes the same kind of answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        what_to_do: str | None = None,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers) if headers else None)
        self.code, self.what_to_do, self.errors, self.facts = code, what_to_do, tuple(errors), facts


def problem_response(problem: Problem, correlation_id: str | None) -> JSONResponse:
    """The answer for `problem`."""
    details = ProblemDetails(
        type=TYPE_PREFIX + problem.code,
        title=HTTPStatus(problem.status_code).phrase,
        status=problem.status_code,
        detail=problem.detail,
        code=problem.code,
        what_to_do=problem.what_to_do,
        correlation_id=correlation_id,
        errors=list(problem.errors[:FIELD_ERRORS_MAX]) or None,
        facts=problem.facts or None,
    )
    body = details.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE)


def correlation_of(request: Request) -> str | None:
    """Correlation id of the request, None outside the edge."""
    return getattr(request.state, "correlation_id", None)


_WHAT_TO_DO = {
    "missing": "add the field",
    "extra_forbidden": "remove the field or correct its name",
    "json_invalid": "send a body that is valid JSON in UTF-8",
    "enum": "use one of the values named in the reason",
    "literal_error": "use one of the values named in the reason",
    "string_too_long": "shorten the text",
    "string_too_short": "lengthen the text",
    "string_pattern_mismatch": "write the value in the pattern named in the reason",
    "model_attributes_type": "send an object, with Content-Type: application/json",
}
_DO_ELSE = "correct the value as the reason says; the schema stands in /openapi.json"


def field_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """Validation errors of pydantic as fields; the input itself is left out, it may hold personal data."""
    return [
        FieldProblem(
            field=".".join(str(part) for part in error["loc"]) or "body",
            reason=str(error["msg"]),
            what_to_do=_WHAT_TO_DO.get(str(error["type"]), _DO_ELSE),
        )
        for error in errors[:FIELD_ERRORS_MAX]
    ]


_CODES = {
    400: ("bad_request", "correct the request; the schema stands in /openapi.json"),
    404: ("not_found", "compare method and path with /openapi.json"),
    405: ("method_not_allowed", "use a method named in the Allow header"),
    413: ("body_too_large", "send less at once"),
    415: ("media_type_not_supported", "set the Content-Type that /openapi.json names"),
}


_LOOK_UP = "compare the id with the list that shows such things; the paths of all lists stand in /openapi.json"


def problem_of(error: Exception) -> Problem:
    """Any exception as a problem. What was not foreseen becomes 500 and tells nothing of the inside."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            fields = field_problems(error.errors())
            detail = f"{len(fields)} field(s) of the request were refused"
            return Problem(422, "request_not_valid", detail, "correct the fields listed in errors", errors=fields)
        case Rejected():
            facts = dict(error.facts)
            what_to_do = facts.pop("what_to_do", _LOOK_UP if error.status == 404 else None)
            return Problem(error.status, error.code, error.message, what_to_do, **facts)
        case Transient():
            return _not_available_now(error.message)
        case Poison():
            what_to_do = "tell the operator the correlation id; the same request will fail again"
            return Problem(500, "cannot_be_processed", "this request cannot be digested", what_to_do)
        case HTTPException():
            code, what_to_do = _CODES.get(error.status_code, ("refused", None))
            return Problem(error.status_code, code, str(error.detail), what_to_do, headers=error.headers)
        case _ if is_outage(error):
            return _not_available_now("a part that this service depends on does not answer")
        case _:
            what_to_do = "send it again once; if it fails again, tell the operator the correlation id"
            return Problem(500, "internal_error", "the service failed on this request", what_to_do)


def _not_available_now(detail: str) -> Problem:
    again = {"Retry-After": str(RETRY_AFTER_S)}
    return Problem(503, "not_available_now", detail, "send the same request again later", headers=again)


_OUTAGE_CLASSES = ("08", "40", "53", "57")
_LOCK_NOT_AVAILABLE = "55P03"


def is_outage(error: BaseException) -> bool:
    """Whether the database or network failed, not the request: by SQLSTATE class (connection, rollback for
    concurrency, resources, operator intervention), lost connection or time-out."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_outage(error.orig))
    sqlstate = str(getattr(error, "sqlstate", None) or "")
    if sqlstate[:2] in _OUTAGE_CLASSES or sqlstate == _LOCK_NOT_AVAILABLE:
        return True
    # The last is what the driver says of a connection whose server ended in the middle of something.
    return isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)
