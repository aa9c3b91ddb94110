"""The contract of events: catalogue, page, envelope and codec agree; what is published can be read back."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Poison, Stop
from shared.events.catalogue import EVENTS, PARTITIONS, READS, TOPICS_OF, UPSTREAM, key_of
from shared.events.codec import decode, encode
from shared.events.envelope import Envelope
from shared.events.facts import personal_fields
from shared.events.reference import PAGE, page, schemas
from tests.builders import event
from tests.store.runtime.toy import contact


def test_the_page_of_events_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m shared.events.reference`"


def test_every_type_is_a_noun_and_a_participle_and_names_its_model() -> None:
    for name, entry in EVENTS.items():
        noun, _, verb = name.partition(".")
        assert noun and verb and name == name.lower()
        assert entry.model.TYPE == name
        assert entry.model.__doc__ is None or entry.model.__doc__.strip()


def test_schemas_are_open_so_that_a_field_may_come_later() -> None:
    assert [name for name, schema in schemas().items() if schema.get("additionalProperties") is False] == []


def test_every_array_has_a_bound() -> None:
    def unbounded(schema: dict, path: str = "") -> list[str]:
        found = []
        for name, part in schema.get("properties", {}).items():
            if part.get("type") == "array" and "maxItems" not in part:
                found.append(f"{path}.{name}")
        for name, part in schema.get("$defs", {}).items():
            found += unbounded(part, name)
        return found

    assert {name: u for name, schema in schemas().items() if (u := unbounded(schema, name))} == {}


def test_a_service_waits_only_for_topics_that_it_reads() -> None:
    for service, topics in UPSTREAM.items():
        assert set(topics) <= set(READS[service])
    writers = [topic for topics in TOPICS_OF.values() for topic in topics]
    assert len(writers) == len(set(writers)), "each topic has one writer of markers"


def test_personal_fields_are_marked() -> None:
    assert {"name", "email", "phone", "address"} <= personal_fields(EVENTS["contact.updated"].model)
    assert {"payer", "remittance_text"} <= personal_fields(EVENTS["payment.received"].model)
    assert "bank_accounts" in personal_fields(EVENTS["account.registered"].model)


def test_an_event_reads_back_as_it_was_written() -> None:
    made = event(contact("a1"))
    headers = made.envelope.with_sequence(7).to_headers()
    back = decode("ar.accounts", made.key, headers, encode(made.data))
    assert back.data == made.data
    assert back.envelope == made.envelope.with_sequence(7)


def test_headers_and_key_carry_no_personal_data() -> None:
    made = event(contact("a1", name="Grace Hopper"))
    text = " ".join(value.decode() for _, value in made.envelope.to_headers()) + made.key
    assert "Grace" not in text


def test_unknown_fields_are_ignored_and_unknown_types_are_passed_by() -> None:
    made = event(contact("a1"))
    value = encode(made.data).replace(b"{", b'{"later": 1, ', 1)
    assert decode("ar.accounts", made.key, made.envelope.to_headers(), value).data == made.data
    headers = [(n, b"planet.discovered" if n == "ce_type" else v) for n, v in made.envelope.to_headers()]
    assert decode("ar.accounts", made.key, headers, b"{}").data is None


@pytest.mark.parametrize("missing", ["ce_id", "ce_type", "ce_company", "ce_knownat"])
def test_a_record_without_its_envelope_is_poison_that_names_what_is_missing(missing: str) -> None:
    made = event(contact("a1"))
    headers = [(n, v) for n, v in made.envelope.to_headers() if n != missing]
    with pytest.raises(Poison, match=missing):
        decode("ar.accounts", made.key, headers, encode(made.data))


@given(st.text(min_size=1, max_size=20).filter(lambda t: "/" not in t and "~" not in t), st.uuids())
def test_keys_of_accounts_and_of_other_things_never_meet(account: str, own: UUID) -> None:
    assert key_of("acme", account) != key_of("acme", None, own)


def test_partitions_are_twelve_in_code_and_in_the_topics_file() -> None:
    from shared.bus import admin
    from shared.db.migrate import ROOT

    assert {topic.partitions for topic in admin.load(ROOT / "deploy" / "topics.yaml")} == {PARTITIONS}


def test_instants_keep_their_zone_through_the_envelope() -> None:
    made = event(contact("a1"), known_at=datetime(2026, 3, 29, 1, 30, tzinfo=UTC), on=date(2026, 3, 29))
    back = Envelope.from_headers(made.envelope.to_headers())
    assert back.known_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_an_event_of_a_newer_version_stops_the_reader() -> None:
    made = event(contact("a1"))
    headers = [(n, b"recoup:contact.updated:2" if n == "ce_dataschema" else v) for n, v in made.envelope.to_headers()]
    with pytest.raises(Stop, match="newer version"):
        decode("ar.accounts", made.key, headers, encode(made.data))
