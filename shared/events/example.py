"""An example payload of every event type, from the words of the sample company: for the page and for AsyncAPI.

Invariant: an example is read by its model (tested). Required fields are always there, optional ones if a word fits.
"""

from collections.abc import Mapping
from typing import Any

from shared.events.markers import ClockTicked, DayClosed
from shared.events.schemas import Schema, schema_of
from shared.examples import NoExample, example_of

SHA256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
WORDS: dict[str, Any] = {
    "approver": "user:conrad",
    "body": {"due_on": "2026-04-10", "amount_minor": 118000},
    "calendar": "XECB",
    "candidate_id": "0d7c3b8e-52a1-5c1f-8a11-2f6c0a54d7e1",
    "cause": "payment.received",
    "code": "451",
    "content": {"levels": [{"days_past_due": 7, "template": "reminder"}]},
    "day_close_at": "18:00",
    "document": "R-2026-0017",
    "document_type": "invoice",
    "event_type": "invoice.issued",
    "expected": "opening 1204500",
    "feed": "erp-main",
    "found": "opening 1200000",
    "id": "EUR-1",
    "idempotency_key": "2026-03-31/17",
    "kind": None,
    "language": "en",
    "media_type": "application/pdf",
    "message_id": "<2f0c3c1e@vdr-eu.example>",
    "pair": "EUR/USD",
    "period": "2026-03",
    "rate": "1.0842",
    "reason_code": "PRICE",
    "route": "/v1/companies/vdr-eu/promises",
    "rule": "own_reference",
    "service": "collections",
    "source_document_id": "4711",
    "source_system": "erp",
    "statement_id": "EUR-1/2026/61",
    "template": "reminder",
    "to": "supervisor",
    "to_account_id": "C-1002",
    "topic": "ar.invoices",
    "version": 1,
}
"""Words of events that answers of the API do not have; a number or text that does not fit its field is not taken."""
MARKERS: dict[str, dict[str, Any]] = {
    ClockTicked.TYPE: {
        "companies": {"vdr-eu": {"bank_accounts": {"EUR-1": "2026-03-30"}, "parked": [], "parked_more": False}}
    },
    DayClosed.TYPE: {
        "bank_accounts": {"EUR-1": "2026-03-30"},
        "totals": {"items": {"EUR": {"debit_minor": 1180000, "credit_minor": 0}}},
    },
}


def example(event_type: str) -> dict[str, Any]:
    """A payload that the model of the type reads. Raises NoExample for a required field without a word."""
    schema = schema_of(event_type)
    found = _object(schema, schema.get("$defs", {}), schema["title"])
    return found | MARKERS.get(event_type, {})


def _object(schema: Schema, models: Mapping[str, Schema], model: str) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    found = {}
    for name, part in schema["properties"].items():
        try:
            found[name] = _value(part, models, model, name)
        except NoExample:
            if name in required:
                raise
    return found


def _value(schema: Schema, models: Mapping[str, Schema], model: str, name: str) -> Any:
    if "$ref" in schema:
        called = schema["$ref"].rpartition("/")[2]
        return _object(models[called], models, called)
    if schema.get("type") == "array" and "$ref" in schema["items"]:
        return [_value(schema["items"], models, model, name)]
    word = WORDS.get(name)
    if word is not None and _fits(word, schema):
        return word
    return example_of(schema, models, model, name)


def _fits(word: Any, schema: Schema) -> bool:
    kinds = {"string": str, "integer": int, "object": dict}
    allowed = schema.get("enum", [schema.get("const", word)])
    fits = isinstance(word, kinds.get(schema.get("type", ""), ())) and not isinstance(word, bool)
    return fits and word in allowed and schema.get("format") in (None, "uuid")
