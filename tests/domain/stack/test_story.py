"""What `make trace` tells, on a small made-up log: whom a story is about, what followed, in which order and words."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from deploy.local import trace
from deploy.local.story import NotFound, story_of
from deploy.local.story_words import SENTENCES, day, money, spoken, told
from shared.events.catalogue import EVENTS
from shared.events.codec import Event
from shared.events.collections import HoldLifted
from shared.events.invoices import Instalment, InvoiceIssued
from shared.events.ledger import Application, CashChanged, ItemOpened, ItemSettled, PaymentApplied, Relief
from shared.events.markers import ClockTicked
from shared.events.notifications import EffectConfirmed, EffectFailed, Reason
from shared.events.payments import Payer, PaymentReceived, RemittanceLine
from shared.ids import derive, show
from tests.builders import event

DOCUMENT, ITEM, OTHER, PAYMENT, HOLD = (derive("id", n) for n in ("document", "item", "other", "payment", "hold"))
SUBMISSION = derive("id", "submission")
MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
ACME: dict[str, Any] = {"company": "acme", "account_id": "C-1", "currency": "EUR"}


def told_by(
    source: str, fact: Any, cause: Event | None = None, on: date = MONDAY, hour: int = 9, **changes: Any
) -> Event:
    made = event(fact, on=on, known_at=datetime(on.year, on.month, on.day, hour, tzinfo=UTC))
    causes = {"causation_id": cause.envelope.id, "correlation_id": cause.envelope.correlation_id} if cause else {}
    return made._replace(envelope=made.envelope._replace(source=source, **causes, **changes))


def item(kind: type, item_id: UUID = ITEM, number: str = "R-1", **changes: Any) -> Any:
    facts = {
        "item_id": item_id, "document_id": DOCUMENT if item_id == ITEM else OTHER, "line": "001", "number": number,
        "kind": "invoice", "side": "debit", "version": 1, "original_minor": 119_000, "remaining_minor": 119_000,
        "document_on": date(2025, 12, 1), "due_on": date(2025, 12, 31),
    }  # fmt: skip
    return kind(**ACME | facts | changes)


def log() -> list[Event]:
    """An invoice, its payment, the hold that it lifts and the access system's word; and another invoice beside it."""
    issued = told_by(
        "ingest",
        InvoiceIssued(
            **ACME, document_id=DOCUMENT, source_system="erp", document_type="invoice", source_document_id="1",
            number="R-1", document_on=date(2025, 12, 1), due_on=date(2025, 12, 31), total_minor=119_000,
            instalments=[Instalment(due_on=date(2025, 12, 31), amount_minor=119_000)],
        ),
    )  # fmt: skip
    opened = told_by("cash_application", item(ItemOpened), issued)
    beside = told_by("cash_application", item(ItemOpened, OTHER, "R-9"))
    received = told_by(
        "ingest",
        PaymentReceived(
            company="acme", currency="EUR", payment_id=PAYMENT, bank_account="EUR-1", document_on=TUESDAY,
            valued_on=TUESDAY, accounted_on=TUESDAY, amount_minor=119_000, payer=Payer(name="Ada Payer"),
            remittance=[RemittanceLine(document="R-1")], remittance_text=["thank you from Ada"],
        ),
        on=TUESDAY, correlation_id=SUBMISSION,
    )  # fmt: skip
    applied = told_by(
        "cash_application",
        PaymentApplied(
            **ACME, payment_id=PAYMENT, payment_version=1, bank_account="EUR-1", amount_minor=119_000,
            posting_id=derive("posting", 1), applications=[Application(item_id=ITEM, cash_minor=118_000,
            discount_minor=1_000)], left_minor=0, rule="own_reference", automatic=True,
        ),
        received, on=TUESDAY, policy_version="matching@3",
    )  # fmt: skip
    settled = told_by(
        "cash_application",
        item(ItemSettled, version=2, remaining_minor=0, relief=Relief(cash=118_000, discount=1_000)), received, TUESDAY,
    )  # fmt: skip
    hold = {"account_id": "C-1", "hold_id": HOLD, "grade": "deny", "cause": "paid", "policy": "holds@1", "lease_s": 60}
    lifted = told_by(
        "collections",
        HoldLifted(company="acme", version=2, from_at=datetime(2026, 1, 6, 9, tzinfo=UTC), **hold), settled, TUESDAY,
    )  # fmt: skip
    effect = {
        "company": "acme", "account_id": "C-1", "effect_id": derive("effect", 2), "of": "hold", "subject_id": HOLD,
        "target": "room-1", "attempts": 1, "state": "lifted",
    }  # fmt: skip
    confirmed = told_by("notifications", EffectConfirmed(version=2, **effect), on=TUESDAY)
    older = told_by("notifications", EffectConfirmed(version=1, **effect), on=MONDAY)
    tick = told_by("ingest", ClockTicked(marker_id=derive("m", 1), number=1, at=datetime(2026, 1, 6, tzinfo=UTC)))
    return [confirmed, older, lifted, settled, applied, opened, beside, tick, received, issued]


def types(asked: str) -> list[str]:
    return [e.type for e in story_of(log(), asked).events]


def test_the_story_of_a_payment_ends_where_the_access_system_confirmed_the_lift() -> None:
    told_of = ["payment.received", "payment.applied", "item.settled", "hold.lifted", "effect.confirmed"]
    assert sorted(types(show("payment", PAYMENT))) == sorted(told_of)
    assert types(show("payment", PAYMENT))[0] == "payment.received"
    assert types(show("payment", PAYMENT))[-2:] == told_of[-2:]


@pytest.mark.parametrize("asked", ["R-1", "r-1", show("document", DOCUMENT), str(DOCUMENT), show("item", ITEM)])
def test_the_story_of_an_invoice_names_its_payment_and_leaves_out_what_is_beside_it(asked: str) -> None:
    found = types(asked)
    assert found[:2] == ["invoice.issued", "item.opened"] and found[-1] == "effect.confirmed"
    assert "payment.received" in found and len(found) == 7


def test_the_story_of_a_submission_counts_what_followed() -> None:
    story = story_of(log(), show("submission", SUBMISSION))
    assert [e.type for e in story.events] == ["payment.received"]
    assert story.beside["collections", "hold.lifted"] == 1


def test_a_hold_that_is_asked_for_by_its_id_is_told_as_well() -> None:
    assert types(str(HOLD)) == ["effect.confirmed", "hold.lifted", "effect.confirmed"]


@pytest.mark.parametrize("asked", ["R-77", show("payment", derive("id", "nobody")), "x"])
def test_what_nothing_goes_by_is_refused_with_what_can_be_asked(asked: str) -> None:
    with pytest.raises(NotFound, match="id"):
        story_of(log(), asked)


def test_what_has_the_same_business_time_is_told_as_it_was_written() -> None:
    events = log()
    issued, beside = (next(e for e in events if e.type == kind) for kind in ("invoice.issued", "item.opened"))
    later = told_by("ingest", item(ItemOpened, ITEM), on=MONDAY)
    written = {issued.envelope.id: 30, beside.envelope.id: 10, later.envelope.id: 20}
    found = [e.envelope.id for e in story_of([*events, later], "R-1", written).events if e.envelope.id in written]
    assert found == [later.envelope.id, issued.envelope.id, beside.envelope.id], "and a cause before its effect"


def test_the_page_reads_well() -> None:
    assert "\n".join(trace.page(story_of(log(), "R-1"), 100)).startswith(
        """Document R-1 of acme: 7 events

Monday, 5 January 2026
  09:00  ingest            invoice R-1 of 1 Dec 2025 over 1,190.00 EUR to account C-1, due 31 Dec
                           2025 [feed:test]
  09:00  cash application  invoice R-1/001 opened over 1,190.00 EUR, due 31 Dec 2025 [feed:test]

Tuesday, 6 January 2026
  09:00  ingest            1,190.00 EUR booked on EUR-1, valued 6 Jan 2026; the payer names R-1
                           [feed:test]
"""
    )
    text = " ".join("\n".join(trace.page(story_of(log(), "R-1"), 100)).split())
    assert "applied by itself by own reference to R-1 1,180.00 EUR + 10.00 EUR discount of account C-1" in text
    assert "[feed:test, matching@3]" in text
    assert "R-1/001 settled (relieved 1,180.00 EUR by cash, 10.00 EUR by discount)" in text
    assert "access hold (deny) on account C-1 lifted, version 2: paid" in text
    assert "Ada" not in text, "no person is named"


def test_a_terminal_gets_headings_in_bold_and_a_file_none() -> None:
    story = story_of(log(), "R-1")
    plain = "\n".join(trace.page(story, 80))
    assert "\x1b[" not in plain
    styled = "\n".join(trace.page(story, 80, styled=True))
    assert "\x1b[1mMonday" in styled
    assert styled.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") == plain


def test_reasons_are_told_in_plain_letters_with_their_evidence() -> None:
    incomplete = Reason(code="BANK_DATA_INCOMPLETE", evidence="EUR-1: through 2026-01-02")
    reasons = [incomplete, Reason(code="SETTLED", item_id=ITEM)]
    failed = EffectFailed(
        company="acme", account_id="C-1", effect_id=HOLD, of="hold", subject_id=HOLD, target="room-1", version=1,
        attempts=0, state="ordered", code="WITHHELD", reasons=reasons,
    )  # fmt: skip
    assert told(event(failed), {ITEM: "R-1"}) == (
        "hold ordered version 1 not confirmed by room-1 after 0 tries, withheld: "
        "bank data incomplete (EUR-1: through 2026-01-02), settled R-1"
    )


def test_a_type_without_a_sentence_is_told_by_its_plain_fields() -> None:
    cash = event(CashChanged(**ACME, version=1, unapplied_minor=5, on_account_minor=0))
    assert "0.05 EUR unapplied" in told(cash, {})
    without = [name for name, entry in EVENTS.items() if not set(entry.model.__mro__) & set(SENTENCES)]
    assert len(without) < len(EVENTS) / 2, without
    assert (money(123_456, "JPY"), money(5, None)) == ("123,456 JPY", "5 minor units")
    assert spoken("OWN_REFERENCE") == "own reference"
    assert day(datetime(2026, 1, 5, 7, 5, tzinfo=UTC)) == "5 Jan 2026 07:05 UTC"


def test_without_an_id_or_a_stack_the_way_out_is_said(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("RECOUP_LOCAL_DIR", str(tmp_path))
    for arguments, said in ((["trace"], "make trace ID="), (["trace", "R-1"], "make run")):
        monkeypatch.setattr("sys.argv", arguments)
        assert trace.main() == 1
        assert said in capsys.readouterr().err


def test_the_same_said_many_times_is_told_once() -> None:
    events = log()
    again = [told_by("cash_application", item(ItemOpened), events[0], id=derive("again", n)) for n in range(3)]
    text = "\n".join(trace.page(story_of([*events, *again], "R-1"), 200))
    assert text.count("opened over") == 2 and "(3 times)" in text
