"""One trace from the push to the mail, through all services; and the story that `make trace` tells of what it left."""

import email
from datetime import UTC, datetime

import pytest

from deploy.local.story import NotFound, story_of
from deploy.local.trace import page
from shared.events.codec import is_marker
from shared.events.collections import NoticeRequested, PromiseMade
from shared.events.ledger import PaymentApplied
from shared.events.notifications import NoticeSent
from shared.ids import document_id, item_id, parse, show
from shared.tracing import accepted, trace_id
from tests.domain.shared.caller_samples import COMPANY
from tests.scenario.notifications.smtp_server import SmtpServer
from tests.scenario.whole.world import Whole

MASTER, PROMISED, PAID = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c", "a" * 31 + "1"
REFERENCE = "RF18539007547034"
CUSTOMER = {
    "record_type": "customer", "account_id": "C-1", "name": "Debtor Ltd", "debtor_kind": "organisation",
    "country": "DE", "currency": "EUR", "language": "en", "time_zone": "Europe/Berlin",
}  # fmt: skip
CONTACT = {
    "record_type": "contact", "account_id": "C-1", "contact_id": "c-1", "name": "Ada Payer",
    "email": "payer@debtor.example", "roles": ["payer"], "channels": ["email"],
}  # fmt: skip
TUESDAY = datetime(2026, 1, 6, 8, 5, tzinfo=UTC)


def given(trace: str) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def invoice(number: str, amount: str, **changes: object) -> dict[str, object]:
    return {
        "record_type": "invoice", "source_system": "erp", "source_document_id": number, "number": number,
        "account_id": "C-1", "document_on": "2025-12-01", "due_on": "2025-12-31", "currency": "EUR", "net": amount,
        "tax": "0.00", "total": amount, **changes,
    }  # fmt: skip


def payment(amount: str) -> dict[str, object]:
    return {
        "record_type": "payment", "bank_account": "GW-1", "source_payment_id": "p-1", "document_on": "2026-01-05",
        "amount": amount, "currency": "EUR", "payer": {"name": "Debtor Ltd"}, "remittance_text": [REFERENCE],
    }  # fmt: skip


@pytest.fixture
async def told(whole: Whole) -> Whole:
    """Two overdue invoices; one is promised and paid, the other is asked for by mail on the next morning."""
    await whole.push(CUSTOMER, CONTACT, trace=given(MASTER))
    await whole.push(invoice("R-1", "1190.00"), invoice("R-2", "500.00", payment_reference=REFERENCE))
    promised = {
        "account_id": "C-1", "currency": "EUR", "due_on": "2026-01-09", "contact_id": "c-1",
        "items": [str(item_id(document_id(COMPANY, "erp", "invoice", "R-2")))],
    }  # fmt: skip
    await whole.promise(promised, given(PROMISED))
    await whole.push(payment("500.00"), trace=given(PAID))
    await whole.push({"record_type": "bank_reach", "bank_account": "GW-1", "complete_through_on": "2026-01-05"})
    await whole.close_day("2026-01-05")
    await whole.tick(TUESDAY)
    return whole


async def test_every_event_of_every_service_has_a_trace_and_keeps_it(told: Whole, server: SmtpServer) -> None:
    events = told.events()
    assert {e.envelope.source for e in events} == {"ingest", "cash_application", "collections", "notifications"}
    assert [e.type for e in events if not accepted(e.envelope.traceparent)] == []
    of_correlation: dict[object, set[str]] = {}
    for e in events:
        of_correlation.setdefault(e.envelope.correlation_id, set()).add(trace_id(e.envelope.traceparent))
    assert [traces for traces in of_correlation.values() if len(traces) > 1] == []
    assert len({e.envelope.traceparent for e in events}) == len({e.envelope.id for e in events})


async def test_what_the_caller_sent_goes_to_the_last_service_and_what_had_none_is_derived(told: Whole) -> None:
    services: dict[str, set[str]] = {}
    types: dict[str, set[str]] = {}
    for e in told.events():
        services.setdefault(trace_id(e.envelope.traceparent), set()).add(e.envelope.source)
        types.setdefault(trace_id(e.envelope.traceparent), set()).add(e.type)
    assert {"account.registered", "contact.updated"} <= types[MASTER]
    assert {"promise.made", "command.accepted"} <= types[PROMISED]
    assert {"payment.received", "payment.applied", "item.settled"} <= types[PAID]
    assert services[PAID] == {"ingest", "cash_application"}
    (day,) = {trace_id(e.envelope.traceparent) for e in told.events() if e.type == "day.closed"}
    assert services[day] == {"ingest", "cash_application", "collections", "notifications"}
    (issued,) = {e.envelope.correlation_id for e in told.events() if e.type == "invoice.issued"}
    assert {"invoice.issued", "item.opened"} <= types[issued.hex], "without a header the submission names the trace"


async def test_the_mail_carries_the_trace_of_the_day_that_asked_for_it(told: Whole, server: SmtpServer) -> None:
    ((_, recipient, content),) = server.taken
    header = email.message_from_bytes(content)["X-Recoup-Trace"]
    asked = [e.envelope for e in told.events() if isinstance(e.data, NoticeRequested | NoticeSent)]
    closing = [e.envelope for e in told.events() if e.type == "day.closed"]
    assert {trace_id(e.traceparent) for e in (*asked, *closing)} == {trace_id(header)}
    assert recipient.strip("<>") not in header


async def test_the_story_of_a_payment_goes_from_the_door_to_the_item_that_it_settled(told: Whole) -> None:
    (applied,) = [e.data for e in told.events() if isinstance(e.data, PaymentApplied)]
    for asked in (show("payment", applied.payment_id), str(applied.payment_id)):
        story = story_of(told.events(), asked)
        types = [e.type for e in story.events]
        assert types[0] == "payment.received"
        assert sorted(types[1:]) == ["item.settled", "payment.applied"]
    text = " ".join("\n".join(page(story, 100)).split())
    assert "500.00 EUR booked on GW-1, valued 5 Jan 2026" in text
    assert "R-2 500.00 EUR" in text and "by own reference" in text
    assert "Monday, 5 January 2026" in text


async def test_the_story_of_an_invoice_ends_with_the_mail(told: Whole) -> None:
    story = story_of(told.events(), "r-1")
    types = [e.type for e in story.events]
    assert types[:2] == ["invoice.issued", "item.opened"]
    assert types[-3:] == ["notice.requested", "notice.sending", "notice.sent"]
    assert "payment.received" not in types, "that of the other invoice"
    text = " ".join("\n".join(page(story, 100)).split())
    assert "invoice R-1 of 1 Dec 2025 over 1,190.00 EUR to account C-1, due 31 Dec 2025" in text
    assert "mail taken by the mail server" in text and "Tuesday, 6 January 2026" in text
    by_id = story_of(told.events(), show("document", document_id(COMPANY, "erp", "invoice", "R-1")))
    assert [e.envelope.id for e in by_id.events] == [e.envelope.id for e in story.events]


async def test_the_story_of_a_paid_item_names_its_payment(told: Whole) -> None:
    item = item_id(document_id(COMPANY, "erp", "invoice", "R-2"))
    types = [e.type for e in story_of(told.events(), show("item", item)).events]
    assert types[0] == "invoice.issued" and "payment.received" in types and "promise.made" in types
    made = next(e.data for e in told.events() if isinstance(e.data, PromiseMade))
    assert "promise.made" in [e.type for e in story_of(told.events(), show("promise", made.promise_id)).events]


async def test_the_story_of_a_submission_says_what_it_brought_and_what_followed(told: Whole) -> None:
    (submission,) = {e.envelope.correlation_id for e in told.events() if e.type == "payment.received"}
    story = story_of(told.events(), show("submission", submission))
    assert "payment.received" in [e.type for e in story.events]
    assert story.beside["cash_application", "payment.applied"] == 1
    text = " ".join("\n".join(page(story, 100)).split())
    assert "What it brought and what followed from it:" in text and PAID in text


async def test_no_line_is_wider_than_the_terminal_and_no_person_is_named(told: Whole) -> None:
    (sent,) = [e.data for e in told.events() if isinstance(e.data, NoticeSent)]
    for asked in ("R-1", "R-2", show("notice", sent.notice_id)):
        for width in (60, 100):
            lines = list(page(story_of(told.events(), asked), width))
            assert max(map(len, lines[1:-1])) <= width
            assert not any(word in line for line in lines for word in ("Ada", "payer@", "Debtor Ltd"))


async def test_what_is_not_in_the_log_is_said_with_what_could_be_asked(told: Whole) -> None:
    assert any(is_marker(e.type) for e in told.events())
    for asked in ("R-404", show("payment", parse("0" * 31 + "1"))):
        with pytest.raises(NotFound, match="nothing in the log|no document in the log"):
            story_of(told.events(), asked)
