"""Golden schemas, upcasters and AsyncAPI: what is published about events is what the code does."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource

from shared.errors import Poison, Stop
from shared.events import asyncapi, upcasters
from shared.events.catalogue import EVENT_BYTES_MAX, EVENTS, MARKERS
from shared.events.codec import decode, encode
from shared.events.consumers import consumers
from shared.events.example import example
from shared.events.schemas import FOLDER, models, newest_files, schema_of
from shared.runtime.outbox import ROW_BYTES_MAX
from tests.builders import event
from tests.store.runtime.toy import contact

HOLD = "hold.ordered"
OWN_SCHEMA = Path(__file__).parents[1] / "fixtures" / "asyncapi" / "3.0.0.json"


def test_golden_schemas_are_those_of_the_models() -> None:
    stored = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    newest = newest_files()
    assert {name for name, text in newest.items() if stored.get(name) != text} == set(), (
        "run `python -m shared.events.schemas`, then `python -m shared.events.history`"
    )
    types = {name.rpartition(".v")[0] for name in stored}
    assert types == set(models()), "a schema of a type that is not in the catalogue"


@pytest.mark.parametrize("name", sorted(models()))
def test_a_schema_is_valid_open_and_reads_the_example_as_its_model_does(name: str) -> None:
    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    assert "false" not in json.dumps([part for part in _objects(schema) if part.get("additionalProperties") is False])
    Draft202012Validator(schema).validate(example(name))
    models()[name].model_validate(example(name))


def _objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(part for value in node.values() for part in _objects(value))]
    return [part for value in node for part in _objects(value)] if isinstance(node, list) else []


def test_every_number_and_date_says_in_what_it_is_counted() -> None:
    silent = set()
    for name in models():
        schema = schema_of(name)
        for owner, part in ((name, schema), *schema.get("$defs", {}).items()):
            for field, inner in part.get("properties", {}).items():
                kinds = [inner, *inner.get("anyOf", ())]
                counted = any(k.get("type") == "integer" or k.get("format") in ("date", "date-time") for k in kinds)
                if counted and "x-unit" not in inner:
                    silent.add(f"{owner}.{field}")
    assert silent == set()


def test_personal_data_is_marked_in_the_schema() -> None:
    fields = schema_of("contact.updated")["properties"]
    assert {name for name, part in fields.items() if part.get("x-personal")} == {"name", "email", "phone", "address"}


def test_the_size_bound_is_the_one_of_the_outbox() -> None:
    assert EVENT_BYTES_MAX == ROW_BYTES_MAX


def test_consumers_are_found_in_the_code() -> None:
    assert consumers("item.changed") == ["collections", "notifications", "reporting"]
    assert consumers("company.configured") == ["cash_application", "collections", "notifications", "reporting"]
    assert "cash_application" in consumers("payment.received")
    assert "notifications" in consumers(HOLD) and "reporting" in consumers(HOLD)


def test_asyncapi_is_that_of_the_code_and_valid_by_its_own_schema() -> None:
    assert asyncapi.PAGE.read_text(encoding="utf-8") == asyncapi.page(), "run `python -m shared.events.asyncapi`"
    document = yaml.safe_load(asyncapi.page())
    problems = list(Draft7Validator(json.loads(OWN_SCHEMA.read_text(encoding="utf-8"))).iter_errors(document))
    assert [f"{list(p.absolute_path)}: {p.message[:200]}" for p in problems] == []


def test_asyncapi_of_a_wrong_shape_is_refused_by_its_own_schema() -> None:
    own = json.loads(OWN_SCHEMA.read_text(encoding="utf-8"))
    document = asyncapi.document()
    document["operations"]["ingest-sends-ar-accounts"]["action"] = "shout"
    assert not Draft7Validator(own).is_valid(document)


def test_every_reference_of_asyncapi_leads_somewhere() -> None:
    document = asyncapi.document()
    registry = Registry().with_resource("", Resource.opaque(document))
    for node in _objects(document):
        reference = node.get("$ref", "#")
        if reference.startswith("#/"):
            assert registry.resolver().lookup(reference).contents
        elif reference != "#":
            assert (asyncapi.PAGE.parent / reference).is_file()
    named = {node["$ref"].rpartition("/")[2] for o in document["operations"].values() for node in o["messages"]}
    assert named >= {name.replace(".", "-") for name in EVENTS if EVENTS[name].topic.startswith("ar.")}
    assert {name.replace(".", "-") for name in MARKERS} <= named


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """A made-up version 0 called the e-mail address `mail`."""
    return {name: value for name, value in body.items() if name != "mail"} | {"email": body.get("mail", "")}


def trimmed(body: dict[str, Any]) -> dict[str, Any]:
    """A made-up version 1 wrote e-mail addresses in capitals."""
    return body | {"email": body["email"].lower()}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], Any]:
    """contact.updated of versions 0 and 1 before the newest, 2."""
    monkeypatch.setitem(upcasters.STEPS, ("contact.updated", 0), renamed)
    monkeypatch.setitem(upcasters.STEPS, ("contact.updated", 1), trimmed)
    return upcasters.STEPS


def record(version: int, body: dict[str, Any]) -> tuple[str, list[tuple[str, bytes]], bytes]:
    made = event(contact("a1"))
    schema = f"recoup:contact.updated:{version}".encode()
    headers = [(n, schema if n == "ce_dataschema" else v) for n, v in made.envelope.to_headers()]
    head = {"company": "acme", "account_id": "a1", "contact_id": "k1"}
    return made.key, headers, json.dumps(head | body).encode()


@pytest.mark.parametrize(
    ("version", "body"),
    [(0, {"mail": "ADA@X.EXAMPLE"}), (1, {"email": "ADA@X.EXAMPLE"}), (2, {"email": "ada@x.example"})],
)
def test_every_older_version_reaches_the_handler_as_the_newest(
    steps: dict[tuple[str, int], Any], version: int, body: dict[str, Any]
) -> None:
    assert decode("ar.accounts", *record(version, body)).data.email == "ada@x.example"


def test_events_are_written_in_the_newest_version(steps: dict[tuple[str, int], Any]) -> None:
    made = event(contact("a1"))
    assert dict(made.envelope.to_headers())["ce_dataschema"].decode() == "recoup:contact.updated:2"
    assert decode("ar.accounts", made.key, made.envelope.to_headers(), encode(made.data)).data == made.data


def test_a_version_after_the_newest_stops_the_reader(steps: dict[tuple[str, int], Any]) -> None:
    with pytest.raises(Stop, match="version 3, this code knows 2"):
        decode("ar.accounts", *record(3, {}))


def test_a_missing_step_is_poison_that_names_it(
    steps: dict[tuple[str, int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(upcasters.STEPS, ("contact.updated", 0))
    with pytest.raises(Poison, match="no upcaster makes 1 of 0"):
        decode("ar.accounts", *record(0, {"mail": "x"}))
    assert upcasters.holes({("a.b", 0): renamed, ("a.b", 2): renamed}) == [("a.b", 1)]


def test_what_an_upcaster_cannot_be_given_is_poison(steps: dict[tuple[str, int], Any]) -> None:
    key, headers, _ = record(0, {})
    for value in (b"[1]", b"{"):
        with pytest.raises(Poison):
            decode("ar.accounts", key, headers, value)


def test_our_own_steps_have_no_hole_and_their_schemas_are_kept() -> None:
    assert upcasters.holes() == []
    stored = {path.name for path in FOLDER.glob("*.json")}
    assert {f"{name}.v{version}.json" for name, version in upcasters.STEPS} <= stored
