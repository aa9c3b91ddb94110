"""What reaches a log line: no personal data, no secret, no text of an exception that repeats data; one JSON object."""

import io
import logging
import sys

import asyncpg
import orjson
import pytest
from pydantic import BaseModel

from shared.errors import Poison
from shared.failure_text import failure_text, trace_text
from shared.logs import REDACTED, _redact_event, configure, redacted
from tests.store.runtime.toy import contact


class Sheet(BaseModel):
    number: int


def unique_violation() -> asyncpg.UniqueViolationError:
    fields = {
        "C": "23505",
        "M": "duplicate key",
        "D": "Key (email)=(ann@example.test) already exists.",
        "n": "person_email",
    }
    return asyncpg.PostgresError.new(fields)


def validation_error() -> Exception:
    with pytest.raises(ValueError) as caught:
        Sheet.model_validate({"number": "ann@example.test"})
    return caught.value


def test_fields_that_a_model_marks_as_personal_are_hidden() -> None:
    shown = redacted(contact("a1", name="Ann Example", phone="+49 30 1"))
    assert (shown["name"], shown["phone"], shown["account_id"]) == (REDACTED, REDACTED, "a1")


def test_secrets_and_personal_keys_are_hidden_however_deep_they_lie() -> None:
    event = {"event": "x", "smtp_password": "p", "body": [{"email": "ann@example.test", "number": 3}], "dsn": "d"}
    assert _redact_event(None, "", event) == {
        "event": "x", "smtp_password": REDACTED, "body": [{"email": REDACTED, "number": 3}], "dsn": REDACTED,
    }  # fmt: skip


def test_a_failure_of_the_database_names_class_state_and_constraint_only() -> None:
    assert failure_text(unique_violation()) == "UniqueViolationError (23505, constraint person_email)"


def test_a_field_that_does_not_fit_is_named_without_what_stood_in_it() -> None:
    assert failure_text(validation_error()) == "ValidationError of Sheet: number: int_parsing"


def test_an_unforeseen_failure_shows_its_place_but_not_its_text() -> None:
    with pytest.raises(KeyError) as caught:
        {}["ann@example.test"]
    assert failure_text(caught.value).startswith("KeyError at test_an_unforeseen")


def test_our_own_words_and_those_of_the_network_are_kept() -> None:
    assert failure_text(Poison("no rate EUR/GBP")) == "Poison: no rate EUR/GBP"
    assert failure_text(ConnectionRefusedError("port 9092")) == "ConnectionRefusedError: port 9092"
    assert failure_text(TimeoutError()) == "TimeoutError"


def test_a_trace_shows_every_cause_without_its_text() -> None:
    personal = "ann@example.test"
    with pytest.raises(RuntimeError) as caught:
        try:
            raise unique_violation()
        except asyncpg.PostgresError as cause:
            raise RuntimeError(personal) from cause
    text = trace_text(caught.value)
    assert "ann@" not in text
    assert "RuntimeError at test_a_trace" in text and "person_email" in text


def test_lines_of_libraries_and_of_ours_are_json_without_exception_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = configure("ingest", "INFO")
    for logger in (log, logging.getLogger("uvicorn.error")):
        try:
            raise unique_violation()
        except asyncpg.PostgresError:
            logger.exception("failed")
    ours, library = (orjson.loads(line) for line in written.getvalue().splitlines())
    assert "ann@" not in written.getvalue()
    assert (ours["event"], ours["service"], ours["level"]) == ("failed", "ingest", "error")
    assert (library["event"], library["logger"], library["service"]) == ("failed", "uvicorn.error", "ingest")
    assert "person_email" in ours["exception"] and "person_email" in library["exception"]
