"""Payments and bank reach that a feed states itself, as JSON. They post only where the feed is the booking source.

A payment from another source than the account's booking source is announced: it never posts, it counts as candidate.
"""

from typing import TYPE_CHECKING, Any

from services.ingest.domain.bank_lines import REFERENCES, remittance_line, signed_minor
from services.ingest.domain.fields import Body, Refused, amount, build, currency, day, required, required_day, text
from services.ingest.domain.known import Decision, KnownLine, LineRow, StagedRecord
from shared.events.control import BankAccount
from shared.events.facts import Source
from shared.events.payments import PaymentAnnounced, PaymentReceived
from shared.ids import derive

if TYPE_CHECKING:
    from services.ingest.domain.taking import Taking

JSON_SOURCE = "json"


def bank_account(taking: "Taking", body: Body) -> BankAccount:
    """The configured bank account that a record names."""
    named = required(body, "bank_account")
    found = next((a for a in taking.context.config.bank_accounts if a.id == named), None)
    if found is None:
        raise Refused("bank_account_unknown", "bank_account", f"bank account {named!r} is not configured")
    return found


def payment_fact(company: str, account: BankAccount, body: Body, source: Source) -> PaymentReceived | PaymentAnnounced:
    """The receipt or announcement of a record; its identity is the feed's own `source_payment_id`."""
    if (code := currency(body)) != account.currency:
        raise Refused("currency_differs", "currency", f"the payment is in {code}, the account in {account.currency}")
    document_on = required_day(body, "document_on")
    dates = {name: day(body, name) or document_on for name in ("valued_on", "accounted_on")}
    remittance = body.get("remittance") or []
    return build(
        PaymentReceived if account.booking_source == JSON_SOURCE else PaymentAnnounced,
        company=company,
        payment_id=derive("payment", company, account.id, "ref", required(body, "source_payment_id")),
        bank_account=account.id,
        document_on=document_on,
        **dates,
        amount_minor=_positive(amount(body, "amount", code)),
        currency=code,
        method=text(body, "method", "transfer"),
        payer=body.get("payer") or {},
        references={name: text(body.get("references") or {}, name) for name in REFERENCES},
        remittance_text=body.get("remittance_text") or [],
        remittance=[remittance_line(line, code) for line in _objects(remittance)],
        charges_minor=amount(body, "charges", code, 0),
        source=source,
    )


def _objects(remittance: Any) -> list[Body]:
    if not isinstance(remittance, list) or not all(isinstance(line, dict) for line in remittance):
        raise Refused("not_a_list", "remittance", "write a list of objects with 'document' and amounts")
    return remittance


def _positive(amount_minor: int) -> int:
    if amount_minor == 0:
        raise Refused("zero_amount", "amount", "a payment of zero is nothing to apply")
    return amount_minor


def take_payment(taking: "Taking", record: StagedRecord) -> Decision:
    """Announce or book a payment; the same id with another amount is a conflict.

    What was only announced is booked once when the feed has become the booking source.
    """
    account = bank_account(taking, record.body)
    source = Source(file=taking.context.file_name, submission_id=taking.context.submission_id, line=record.position)
    fact = payment_fact(taking.context.company, account, record.body, source)
    key = str(fact.payment_id)
    booked = isinstance(fact, PaymentReceived)
    there = taking.known.lines.setdefault((account.id, key), [])
    before = [line for line in there if line.booked or not booked]
    if before:
        if before[0].signed_minor != fact.amount_minor:
            raise Refused("conflict", "amount", "the same payment was taken before with another amount")
        return Decision("known", key)
    row = LineRow(fact.payment_id, booked, account.id, key, 1, "", fact.document_on, signed_minor(fact), fact.TYPE)
    there.append(KnownLine("", 1, row.signed_minor, booked))
    taking.written.lines.append(row)
    taking.say(fact, fact.payment_id, fact.payment_id)
    return Decision("written", key)


def payment_key(company: str, body: Body) -> str:
    """Key under which a payment record's line is known; empty when it cannot be told."""
    try:
        named = (required(body, "bank_account"), "ref", required(body, "source_payment_id"))
    except Refused:
        return ""
    return str(derive("payment", company, *named))


def take_reach(taking: "Taking", record: StagedRecord) -> Decision:
    """A source without statements states itself how far its data reach; the date never goes back."""
    account = bank_account(taking, record.body)
    if account.booking_source != JSON_SOURCE:
        reason = f"the booking source of the account is {account.booking_source}; its statements say how far data reach"
        raise Refused("not_booking_source", "bank_account", reason)
    through_on = required_day(record.body, "complete_through_on")
    if through_on > taking.context.business_date:
        raise Refused("in_the_future", "complete_through_on", "data cannot be complete for a day that has not come")
    before = taking.written.reaches.get(account.id) or taking.known.reaches.get(account.id)
    if before is not None and before >= through_on:
        return Decision("known", account.id)
    taking.written.reaches[account.id] = through_on
    return Decision("written", account.id)
