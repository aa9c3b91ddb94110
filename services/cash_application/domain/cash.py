"""Receipts: where the cash of each payment stands, per account and place.

Invariant: amount = applied + unapplied + on account (per account) + unidentified + refunded + non-AR + returned
+ small gain. `Receipt.put` is the only way in and out of a place and gives the line that goes with it.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.cash_application.domain.exchange import Rate
from services.cash_application.domain.journal import Imbalance, Ledger, Line
from services.cash_application.domain.matching.model import PaymentView, RemittanceLine
from shared.events.ledger import CashChanged, SplitPart
from shared.events.payments import BankCredit


class Place(StrEnum):
    """Where cash that is not on items stands."""

    UNAPPLIED = "unapplied"
    ON_ACCOUNT = "on_account"
    UNIDENTIFIED = "unidentified"
    REFUND = "refund"
    NON_AR = "non_ar"


LEDGER_OF = {
    Place.UNAPPLIED: Ledger.UNAPP,
    Place.ON_ACCOUNT: Ledger.ONACC,
    Place.UNIDENTIFIED: Ledger.UNID,
    Place.REFUND: Ledger.REFUND,
    Place.NON_AR: Ledger.NON_AR,
}
_WHOLE = {Place.UNIDENTIFIED: "unidentified_minor", Place.REFUND: "refunded_minor", Place.NON_AR: "non_ar_minor"}
_PART = {Place.UNAPPLIED: "unapplied_minor", Place.ON_ACCOUNT: "on_account_minor"}


@dataclass(slots=True)
class Part:
    """Share of one account in a payment. `applied_minor` is negative where only a credit of the account was used."""

    applied_minor: int = 0
    unapplied_minor: int = 0
    on_account_minor: int = 0


@dataclass(slots=True)
class AccountCash:
    """Cash of an account and currency that is not on items; `version` rises with every change that is told."""

    company: str
    account_id: str
    currency: str
    unapplied_minor: int = 0
    on_account_minor: int = 0
    version: int = 0


@dataclass(slots=True)
class Receipt:
    """A payment in the books. `by_person` holds once a person decided on it: rules then keep to that account."""

    company: str
    payment_id: UUID
    bank_account: str
    currency: str
    amount_minor: int
    document_on: date
    valued_on: date
    accounted_on: date
    business_date: date
    rate: Rate
    view: PaymentView
    posting_id: UUID | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    unidentified_minor: int = 0
    refunded_minor: int = 0
    non_ar_minor: int = 0
    returned_minor: int = 0
    gain_minor: int = 0
    account_id: str = ""
    outcome: str = ""
    reason_code: str = ""
    rule: str = ""
    flags: tuple[str, ...] = ()
    certificate_id: UUID | None = None
    by_person: bool = False
    tried_on: date | None = None
    version: int = 0
    fresh: bool = False

    def part(self, account_id: str) -> Part:
        """The share of an account; made when there is none."""
        found = self.parts.get(account_id)
        if found is None:
            found = self.parts[account_id] = Part()
        return found

    def at(self, place: Place, account_id: str = "") -> int:
        """What stands in a place, in minor units."""
        if place in _WHOLE:
            return getattr(self, _WHOLE[place])
        part = self.parts.get(account_id)
        return getattr(part, _PART[place]) if part else 0

    def put(self, place: Place, account_id: str, amount_minor: int) -> Line:
        """Move cash into a place (out of it when negative). Raises Imbalance when the place holds less."""
        before = self.at(place, account_id)
        after = before + amount_minor
        if after < 0:
            raise Imbalance(f"payment {self.payment_id} has {before} {place} of {account_id!r}, not {-amount_minor}")
        if place in _WHOLE:
            setattr(self, _WHOLE[place], after)
        else:
            setattr(self.part(account_id), _PART[place], after)
        return Line(
            LEDGER_OF[place],
            -amount_minor,
            -self.rate.step(before, after),
            account_id,
            payment_id=self.payment_id,
            bank_account=self.bank_account,
        )

    def open_places(self) -> list[tuple[Place, str, int]]:
        """Where cash waits for a decision: unidentified, then unapplied by account."""
        found = [(Place.UNIDENTIFIED, "", self.unidentified_minor)] if self.unidentified_minor else []
        found += [
            (Place.UNAPPLIED, account_id, part.unapplied_minor)
            for account_id, part in sorted(self.parts.items())
            if part.unapplied_minor
        ]
        return found

    @property
    def open_minor(self) -> int:
        """Cash that waits for a decision."""
        return self.unidentified_minor + sum(part.unapplied_minor for part in self.parts.values())

    def check(self) -> None:
        """Raises Imbalance unless the parts make up the amount."""
        parts = sum(p.applied_minor + p.unapplied_minor + p.on_account_minor for p in self.parts.values())
        rest = self.unidentified_minor + self.refunded_minor + self.non_ar_minor + self.returned_minor + self.gain_minor
        if parts + rest != self.amount_minor:
            raise Imbalance(f"payment {self.payment_id} of {self.amount_minor} is split into {parts} + {rest}")

    def split(self) -> dict[str, Any]:
        """What every payment.* event carries: the whole split after the change, with its version."""
        return {
            "company": self.company,
            "payment_id": self.payment_id,
            "payment_version": self.version,
            "bank_account": self.bank_account,
            "currency": self.currency,
            "amount_minor": self.amount_minor,
            "valued_on": self.valued_on,
            "accounted_on": self.accounted_on,
            "split": [
                SplitPart(
                    account_id=account_id,
                    applied_minor=part.applied_minor,
                    unapplied_minor=part.unapplied_minor,
                    on_account_minor=part.on_account_minor,
                )
                for account_id, part in sorted(self.parts.items())
            ],
            "unidentified_minor": self.unidentified_minor,
            "refunded_minor": self.refunded_minor,
            "non_ar_minor": self.non_ar_minor,
            "returned_minor": self.returned_minor,
            "small_gain_minor": self.gain_minor,
        }


def payment_view(fact: BankCredit) -> PaymentView:
    """A payment as the matcher sees it."""
    return PaymentView(
        payment_id=str(fact.payment_id),
        company=fact.company,
        bank_account=fact.bank_account,
        currency=fact.currency,
        amount_minor=fact.amount_minor,
        valued_on=fact.valued_on,
        payer_name=fact.payer.name or None,
        payer_account=fact.payer.account or None,
        remittance_text=tuple(fact.remittance_text),
        remittance=tuple(
            RemittanceLine(
                line.document,
                line.gross_minor,
                line.discount_minor,
                line.deduction_minor,
                line.reason or None,
                line.paid_minor,
            )
            for line in fact.remittance
        ),
        end_to_end=fact.references.end_to_end or None,
        creditor_reference=fact.references.creditor_reference or None,
        charges_minor=fact.charges_minor,
    )


def cash_fact(cash: AccountCash, posting_id: UUID | None) -> CashChanged:
    """The event of an account whose cash off items changed."""
    return CashChanged(
        company=cash.company,
        account_id=cash.account_id,
        currency=cash.currency,
        version=cash.version,
        unapplied_minor=cash.unapplied_minor,
        on_account_minor=cash.on_account_minor,
        posting_id=posting_id,
    )
