"""What a person may do with cash: identify, apply, un-apply, put on account, ask for and approve a refund.

Every command names amounts and currency; `Refusal` says what does not fit and what to do.
"""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.cash_application.domain.application import Share, Source, apply_cash, tell_applied, unapply
from services.cash_application.domain.books import Books
from services.cash_application.domain.candidates import candidates_of_person
from services.cash_application.domain.cash import Place, Receipt
from services.cash_application.domain.journal import DEBIT
from services.cash_application.domain.movement import move_cash, tell_waiting
from services.cash_application.domain.refunds import REQUESTED, keep
from services.cash_application.domain.rows import Refund
from services.cash_application.domain.suggestions import withdraw
from shared.events.facts import Amount, Currency
from shared.ids import derive


class Refusal(ValueError):
    """A command that the rules refuse; `code` is stable, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class Command(BaseModel):
    """A command about one payment."""

    NAME: ClassVar[str] = ""
    model_config = ConfigDict(extra="forbid", frozen=True)

    payment_id: UUID


class Identify(Command):
    """The payment is of this account; its unidentified cash waits there from now on."""

    NAME: ClassVar[str] = "identify"
    account_id: str = Field(min_length=1, max_length=60)


class ApplyLine(BaseModel):
    """Share of one item: cash, and what is granted beside it. Of a credit item, `cash_minor` is taken out of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: UUID
    cash_minor: Amount
    discount_minor: Amount = 0
    small_difference_minor: Amount = 0
    bank_charge_minor: Amount = 0
    deduction_minor: Amount = 0
    deduction_reason: str = Field(default="", max_length=60)


class Apply(Command):
    """Put cash of the payment on items."""

    NAME: ClassVar[str] = "apply"
    currency: Currency
    lines: list[ApplyLine] = Field(min_length=1, max_length=200)


class ApplySuggestion(Command):
    """Take a suggestion as it stands."""

    NAME: ClassVar[str] = "apply_suggestion"
    rank: int = Field(ge=1, le=20)


class Unapply(Command):
    """Reverse one application entry of the payment. MISAPPLIED counts as a wrong decision of its rule."""

    NAME: ClassVar[str] = "unapply"
    posting_id: UUID
    reason_code: str = Field(pattern="^(MISAPPLIED|DUPLICATE|CUSTOMER_REQUEST|OTHER)$")


class PutOnAccount(Command):
    """Leave cash of the payment on an account by decision; it no longer waits."""

    NAME: ClassVar[str] = "put_on_account"
    account_id: str = Field(min_length=1, max_length=60)
    amount_minor: Amount = Field(gt=0)
    currency: Currency


class RequestRefund(Command):
    """Ask that cash which is not on items is paid back; another person approves."""

    NAME: ClassVar[str] = "request_refund"
    account_id: str = Field(min_length=1, max_length=60)
    amount_minor: Amount = Field(gt=0)
    currency: Currency
    place: Place = Place.UNAPPLIED


class ApproveRefund(Command):
    """Approve a refund, for the amount that the approver saw."""

    NAME: ClassVar[str] = "approve_refund"
    refund_id: UUID
    shown_amount_minor: Amount


class ExplainDebit(Command):
    """A return that waits without a payment is this payment's."""

    NAME: ClassVar[str] = "explain_debit"
    debit_id: UUID


COMMANDS: tuple[type[Command], ...] = (
    Identify, Apply, ApplySuggestion, Unapply, PutOnAccount, RequestRefund, ApproveRefund, ExplainDebit,
)  # fmt: skip


def identify(books: Books, receipt: Receipt, command: Identify) -> None:
    _known_account(books, receipt.company, command.account_id)
    if not receipt.unidentified_minor:
        raise Refusal("nothing_unidentified", "no cash of this payment is unidentified; un-apply or move it instead")
    _decided_by_person(receipt, command.account_id, "manual_identification")
    move_cash(books, receipt, (Place.UNIDENTIFIED, ""), (Place.UNAPPLIED, command.account_id), rule=receipt.rule)
    tell_waiting(books, receipt)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)


def apply(books: Books, receipt: Receipt, command: Apply) -> None:
    if command.currency != receipt.currency:
        raise Refusal("currency_differs", f"the payment is in {receipt.currency}, not in {command.currency}", 422)
    shares = [_share(books, receipt, line) for line in command.lines]
    if len({share.item.item_id for share in shares}) < len(shares):
        raise Refusal("item_twice", "an item stands twice in the lines; add its amounts up in one line", 422)
    _apply_shares(books, receipt, shares, "manual")


def apply_suggestion(books: Books, receipt: Receipt, command: ApplySuggestion) -> None:
    found = next((s for s in books.suggestions.get(receipt.payment_id, ()) if s.rank == command.rank), None)
    if found is None:
        raise Refusal("suggestion_gone", f"suggestion {command.rank} does not stand any more; load the payment again")
    lines = [ApplyLine(item_id=item_id, cash_minor=minor) for item_id, minor in found.items]
    shares = [_share(books, receipt, line) for line in lines]
    _apply_shares(books, receipt, shares, f"suggestion/{found.rule}")


def _apply_shares(books: Books, receipt: Receipt, shares: list[Share], rule: str) -> None:
    needed = sum(share.signed_cash_minor for share in shares)
    if needed < 0 or not any(share.item.side == DEBIT for share in shares):
        raise Refusal("credits_exceed", "the credits among the items exceed what is paid; leave some out", 422)
    account_id = shares[0].item.account_id
    sources = _sources(receipt, {share.item.account_id for share in shares})
    held = sum(amount for _, _, amount in sources)
    if needed > held:
        raise Refusal(
            "more_than_available", f"the lines need {needed} {receipt.currency} minor units, {held} are not applied yet"
        )
    _decided_by_person(receipt, receipt.account_id or account_id, rule)
    posting, rows = apply_cash(books, receipt, shares, sources, rule=rule)
    tell_applied(books, receipt, posting, rows, automatic=False)
    if receipt.unidentified_minor:
        move_cash(books, receipt, (Place.UNIDENTIFIED, ""), (Place.UNAPPLIED, account_id), rule=rule)
        tell_waiting(books, receipt)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)


def take_off(books: Books, receipt: Receipt, command: Unapply) -> None:
    rows = [row for row in books.live_applied(receipt.payment_id) if row.posting_id == command.posting_id]
    if not rows:
        raise Refusal(
            "nothing_to_unapply", f"entry {command.posting_id} has no live application of this payment; load it again"
        )
    for account_id in {row.account_id for row in rows}:
        _not_parked(books, receipt.company, account_id)
    _decided_by_person(receipt, receipt.account_id or rows[0].account_id, receipt.rule)
    receipt.outcome, receipt.reason_code = "unapplied", command.reason_code
    unapply(books, receipt, rows, command.reason_code)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)


def put_on_account(books: Books, receipt: Receipt, command: PutOnAccount) -> None:
    _known_account(books, receipt.company, command.account_id)
    _same_currency(receipt, command.currency)
    left = command.amount_minor
    sources = [s for s in _sources(receipt, {command.account_id}) if s[0] is not Place.ON_ACCOUNT]
    if left > sum(amount for _, _, amount in sources):
        raise Refusal("more_than_available", f"less than {left} minor units of this payment wait to be applied")
    _decided_by_person(receipt, command.account_id, "on_account")
    for place, account_id, held in sources:
        amount = min(left, held)
        if amount:
            move_cash(
                books, receipt, (place, account_id), (Place.ON_ACCOUNT, command.account_id), amount, rule="on_account"
            )
            left -= amount
    receipt.outcome, receipt.reason_code = "on_account", ""
    tell_waiting(books, receipt)
    withdraw(books, receipt)
    candidates_of_person(books, receipt)


def request_refund(books: Books, receipt: Receipt, command: RequestRefund) -> Refund:
    """A row that waits for approval; no cash moves yet."""
    _known_account(books, receipt.company, command.account_id)
    _same_currency(receipt, command.currency)
    if command.place not in (Place.UNAPPLIED, Place.ON_ACCOUNT):
        raise Refusal("place_not_refundable", "a refund comes from cash unapplied or on account", 422)
    promised = sum(
        refund.amount_minor
        for refund in books.refunds.values()
        if (refund.payment_id, refund.status, refund.account_id, refund.from_place)
        == (receipt.payment_id, REQUESTED, command.account_id, command.place)
    )
    held = receipt.at(command.place, command.account_id) - promised
    if command.amount_minor > held:
        raise Refusal(
            "more_than_available", f"{held} minor units can be refunded from there, not {command.amount_minor}"
        )
    refund = Refund(
        receipt.company,
        derive("refund", books.cause.event_id),
        command.account_id,
        receipt.payment_id,
        command.amount_minor,
        receipt.currency,
        receipt.bank_account,
        REQUESTED,
        books.cause.actor,
        books.cause.business_date,
        str(command.place),
    )
    keep(books, refund)
    return refund


def _share(books: Books, receipt: Receipt, line: ApplyLine) -> Share:
    item = books.items.get(line.item_id)
    if item is None or item.company != receipt.company:
        raise Refusal("item_unknown", f"item {line.item_id} is not in the books of this company", 404)
    _not_parked(books, item.company, item.account_id)
    if item.currency != receipt.currency:
        raise Refusal(
            "currency_differs", f"item {item.number} is in {item.currency}, the payment in {receipt.currency}", 422
        )
    relief = (
        line.cash_minor
        + line.discount_minor
        + line.small_difference_minor
        + line.bank_charge_minor
        + line.deduction_minor
    )
    if not 0 < relief <= item.remaining_minor:
        raise Refusal(
            "more_than_open", f"item {item.number} has {item.remaining_minor} open, the line relieves {relief}"
        )
    if item.side != DEBIT and relief != line.cash_minor:
        raise Refusal("credit_with_discount", f"item {item.number} is a credit; only cash can be taken out of it", 422)
    if line.deduction_minor and item.kind == "deduction":
        raise Refusal("deduction_of_deduction", f"item {item.number} is a deduction already", 422)
    return Share(
        item,
        line.cash_minor,
        line.discount_minor,
        line.small_difference_minor,
        line.bank_charge_minor,
        line.deduction_minor,
        line.deduction_reason,
    )


def _sources(receipt: Receipt, accounts: set[str]) -> list[Source]:
    """Cash of a payment in the order in which a person's command uses it: of the accounts, then of nobody, then of
    others; what waits before what is on account."""
    found: list[Source] = []
    for own in (True, False):
        for place in (Place.UNAPPLIED, Place.ON_ACCOUNT):
            for account_id in sorted(receipt.parts):
                held = receipt.at(place, account_id)
                if held and (account_id in accounts) is own and (own or place is Place.UNAPPLIED):
                    found.append((place, account_id, held))
        if own and receipt.unidentified_minor:
            found.append((Place.UNIDENTIFIED, "", receipt.unidentified_minor))
    return found


def _decided_by_person(receipt: Receipt, account_id: str, rule: str) -> None:
    receipt.by_person, receipt.account_id, receipt.rule, receipt.certificate_id = True, account_id, rule, None
    receipt.outcome, receipt.reason_code = "posted", ""


def _same_currency(receipt: Receipt, currency: str) -> None:
    if currency != receipt.currency:
        raise Refusal("currency_differs", f"the payment is in {receipt.currency}, not in {currency}", 422)


def _known_account(books: Books, company: str, account_id: str) -> None:
    account = books.accounts.get((company, account_id))
    if account is None or not account.registered:
        raise Refusal("account_unknown", f"account {account_id!r} is not known to this company", 404)
    _not_parked(books, company, account_id)


def _not_parked(books: Books, company: str, account_id: str) -> None:
    if (company, account_id) in books.parked:
        raise Refusal(
            "account_parked", f"events of account {account_id!r} wait to be redriven; have an operator mend them"
        )
