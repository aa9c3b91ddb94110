"""Bank lines: their identity, and the fact that each becomes (receipt, return, announcement, other debit).

Identity of a line: the bank's own entry reference where the account's profile says that it is unique, else account,
dates, signed amount and normalised text, numbered by occurrence: a re-sent line is the same, two equal lines are two.
"""

import hashlib
from datetime import date
from typing import Any
from uuid import UUID

from services.ingest.domain.fields import Body, Refused, build, day, minor, required, text
from shared.events.control import BankAccount
from shared.events.facts import Source
from shared.events.payments import BankDebitReceived, PaymentAnnounced, PaymentReceived, PaymentReturned
from shared.ids import derive

RETURN_SUBFAMILIES = frozenset({"UPDD", "PRDD", "RRTN", "RPCR", "CQRV", "UPCQ", "CCHQ"})
"""Sub-families of the ISO bank transaction codes for money that is taken back."""
CHARGE_SUBFAMILIES = frozenset({"CHRG", "FEES", "COMM", "INTR"})
REFERENCES = ("end_to_end", "creditor_reference", "uetr", "mandate", "cheque", "bank")
BOOKED, PENDING = "BOOK", "PDNG"
LineFact = PaymentReceived | PaymentAnnounced | PaymentReturned | BankDebitReceived


def line_key(body: Body) -> str:
    """Hash of what tells two lines of one account apart, without the bank's own reference."""
    references = body.get("references") or {}
    party = body.get("debtor") or body.get("creditor") or {}
    words = [*(body.get("text") or []), *(str(line.get("document", "")) for line in body.get("remittance") or [])]
    parts = [
        body.get("direction", ""),
        "1" if body.get("reversal") else "0",
        body.get("booked_on", ""),
        body.get("valued_on", ""),
        _plain_amount(str(body.get("amount", ""))),
        body.get("currency", ""),
        *(normal(str(references.get(name, ""))) for name in ("end_to_end", "creditor_reference", "mandate")),
        normal(str(party.get("name", ""))),
        normal(str(party.get("account", ""))),
        *(normal(word) for word in words),
    ]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]


def reference_key(body: Body) -> str:
    """Hash of the bank's own entry reference and the place in its batch; empty when the line has none."""
    reference = text(body, "entry_reference")
    if not reference:
        return ""
    return hashlib.sha256(f"ref\x1f{reference}\x1f{body.get('detail', 0)}".encode()).hexdigest()[:40]


def normal(words: str) -> str:
    """Upper case with single blanks, since banks re-print lines with other line breaks."""
    return " ".join(words.upper().split())


def _plain_amount(amount: str) -> str:
    whole, _, cents = amount.partition(".")
    return f"{whole.lstrip('0') or '0'}.{cents.rstrip('0')}"


def line_id(company: str, bank_account: str, key: str, occurrence: int) -> UUID:
    """Id of the payment, return or debit that a line is."""
    return derive("payment", company, bank_account, key, occurrence)


def signed_minor(fact: LineFact) -> int:
    """Amount with the sign that it has on the account; of a return with the bank's fee, which stands beside it."""
    if isinstance(fact, PaymentReceived | PaymentAnnounced):
        return fact.amount_minor
    return -(fact.amount_minor + (fact.fee_minor if isinstance(fact, PaymentReturned) else 0))


def fact_of(
    company: str, account: BankAccount, identity: UUID, body: Body, source: Source, day_of: date
) -> LineFact | None:
    """The fact of one line; None for zero and for information only. `day_of` counts where the bank gives no date.

    Raises Refused for another currency than the account's or an amount that cannot be read.
    """
    if body.get("status") not in (BOOKED, PENDING):
        return None
    if (found := text(body, "currency")) != account.currency:
        raise Refused("currency_differs", "currency", f"the line is in {found}, the bank account in {account.currency}")
    amount_minor = minor(required(body, "amount"), account.currency, "amount")
    if amount_minor == 0:
        return None
    booked_on = day(body, "booked_on") or day(body, "valued_on") or day_of
    shared = {
        "company": company,
        "bank_account": account.id,
        "document_on": booked_on,
        "valued_on": day(body, "valued_on") or booked_on,
        "accounted_on": booked_on,
        "amount_minor": amount_minor,
        "currency": account.currency,
        "references": {name: text(body.get("references") or {}, name) for name in REFERENCES},
        "source": source,
    }
    if text(body, "direction") == "CRDT":
        return _credit(account, identity, body, shared)
    if text(body, "direction") != "DBIT":
        raise Refused("direction_unknown", "direction", "the line is neither a credit (CRDT) nor a debit (DBIT)")
    return _debit(account, identity, body, shared) if body.get("status") == BOOKED else None


def _credit(account: BankAccount, identity: UUID, body: Body, shared: dict[str, Any]) -> LineFact:
    model = PaymentReceived if body.get("status") == BOOKED else PaymentAnnounced
    texts = list(body.get("text") or [])
    if body.get("reversal") or body.get("return"):
        texts = [*texts, f"/RTRN/{(body.get('return') or {}).get('code', '')}"][-100:]
    return build(
        model,
        payment_id=identity,
        method=method_of(body),
        payer=body.get("debtor") or {},
        remittance_text=texts,
        remittance=[remittance_line(line, account.currency) for line in body.get("remittance") or []],
        charges_minor=_optional(body.get("charges"), account.currency, "charges"),
        original=_original(body.get("original"), account.currency, shared["amount_minor"]),
        **shared,
    )


def _debit(account: BankAccount, identity: UUID, body: Body, shared: dict[str, Any]) -> LineFact:
    if is_return(body):
        fee = _optional(body.get("charges"), account.currency, "charges")
        fee = fee if fee < shared["amount_minor"] else 0
        shared = {**shared, "amount_minor": shared["amount_minor"] - fee}
        return build(
            PaymentReturned,
            return_id=identity,
            payer=body.get("debtor") or body.get("creditor") or {},
            remittance_text=list(body.get("text") or []),
            reason_code=text(body.get("return") or {}, "code"),
            fee_minor=fee,
            **shared,
        )
    return build(
        BankDebitReceived, debit_id=identity, kind=_debit_kind(body), text=list(body.get("text") or []), **shared
    )


def is_return(body: Body) -> bool:
    """A debit that takes a credit back: marked as reversal, with a return reason, or by its transaction code."""
    return bool(body.get("reversal") or body.get("return")) or not RETURN_SUBFAMILIES.isdisjoint(_subfamilies(body))


def _subfamilies(body: Body) -> set[str]:
    return {str(body.get(name, "")).rpartition("/")[2] for name in ("code", "entry_code")}


def _debit_kind(body: Body) -> str:
    return "other" if CHARGE_SUBFAMILIES.isdisjoint(_subfamilies(body)) else "charge"


def method_of(body: Body) -> str:
    """Method by the family of the bank transaction code; reversals of our own debits are `other`."""
    if body.get("reversal") or body.get("return"):
        return "other"
    parts = [*str(body.get("code") or body.get("entry_code") or "").split("/"), "", ""]
    by_family = {
        "RCDT": "transfer", "IRCT": "transfer", "RRCT": "transfer", "ICDT": "transfer", "IDDT": "direct_debit",
        "RDDT": "direct_debit", "RCHQ": "cheque", "ICHQ": "cheque", "CCRD": "card", "MCRD": "card", "CNTR": "cash",
    }  # fmt: skip
    return by_family.get(parts[1], "transfer")


def remittance_line(line: Body, currency: str) -> dict[str, Any]:
    """What the payer says of one document; amounts in another currency than the account's are left out."""
    found: dict[str, Any] = {"document": text(line, "document"), "reason": text(line, "reason")}
    if line.get("currency", currency) != currency:
        return found
    sign = -1 if line.get("credit") else 1
    for name in ("gross", "paid"):
        if line.get(name):
            found[f"{name}_minor"] = sign * abs(minor(line[name], currency, f"remittance.{name}", signed=True))
    found["discount_minor"] = _optional(line.get("discount"), currency, "remittance.discount")
    deductions = line.get("deductions") or ([line["deduction"]] if line.get("deduction") else [])
    found["deduction_minor"] = sum(_optional(part, currency, "remittance.deduction") for part in deductions)
    return found


def _optional(value: Any, currency: str, name: str) -> int:
    return minor(value, currency, name) if value not in (None, "") else 0


def _original(original: Body | None, currency: str, amount_minor: int) -> dict[str, Any] | None:
    """The ordered amount where it differs from the booked one, in a currency that we know."""
    if not original or not original.get("amount"):
        return None
    try:
        ordered = minor(original["amount"], original["currency"], "original")
    except Refused:
        return None
    if original["currency"] == currency and ordered == amount_minor:
        return None
    return {"amount_minor": ordered, "currency": original["currency"], "rate": text(original, "rate")}
