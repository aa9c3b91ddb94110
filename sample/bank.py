"""The company's bank accounts: entries of each banking day and the statements that chain them.

Every credit of the truth is one detail of one entry. Opening balance + credits -
debits = closing balance = next opening balance; statement numbers have no gaps.
"""

from dataclasses import dataclass, field
from datetime import date
from random import Random
from uuid import UUID

from sample.business_days import Timeline, following, step
from sample.checksums import digits, iban
from sample.payments import Payment
from sample.words import SUPPLIERS

DEBIT_RETURN_FEES = (0, 0, 300, 550)


@dataclass(frozen=True)
class BankAccount:
    """An account of the company; `version` is the camt.053 version its bank delivers."""

    id: str
    iban: str
    bic: str
    bank: str
    currency: str
    version: str
    identity_rule: str
    opening_minor: int


ELBE = ("ELHADEH1XXX", "Elbhandelsbank")
THAMES = ("THCLGB2LXXX", "Thames Clearing Bank")
BANK_ACCOUNTS = (
    BankAccount("EUR-1", iban("DE", "201908004711081500"), *ELBE, "EUR", "08", "entry_reference", 48_213_377),
    BankAccount("USD-1", iban("DE", "201908004711081584"), *ELBE, "USD", "02", "entry_reference", 21_050_912),
    BankAccount("GBP-1", iban("GB", "THCL20401547110815"), *THAMES, "GBP", "08", "occurrence", 9_776_104),
)


@dataclass
class Detail:
    """One transaction of an entry: a payment, the return of one, or another debit with a counterparty."""

    amount_minor: int
    end_to_end: str
    tx_id: str
    uetr: str = ""
    mandate: str = ""
    payment: Payment | None = None
    returned: Payment | None = None
    fee_minor: int = 0
    counterparty: str = ""
    text: str = ""


@dataclass
class Entry:
    """A booked line; `reference` is the bank's own reference, unique over the run."""

    side: str
    purpose: str
    details: list[Detail]
    reference: str = ""
    ordinal: int = 0

    @property
    def amount_minor(self) -> int:
        return sum(detail.amount_minor + detail.fee_minor for detail in self.details)


@dataclass
class Statement:
    account: BankAccount
    on: date
    number: int
    opening_minor: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.account.id}-{self.on.year}-{self.number:05d}"

    def total_minor(self, side: str) -> int:
        return sum(entry.amount_minor for entry in self.entries if entry.side == side)

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + self.total_minor("credit") - self.total_minor("debit")


def _uetr(rng: Random, share: int) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4)) if rng.randrange(100) < share else ""


def _credit_detail(rng: Random, payment: Payment) -> Detail:
    assert payment.citation is not None
    mandate = f"MND-{payment.customer.account_id}" if payment.method == "direct_debit" and payment.customer else ""
    share = 10 if payment.currency == "EUR" else 60
    tx_id = f"{payment.paid_on:%y%m%d}{digits(rng, 10)}"
    return Detail(
        payment.amount_minor, payment.citation.end_to_end, tx_id, _uetr(rng, share), mandate, payment, text=""
    )


def _credit_entries(rng: Random, payments: list[Payment]) -> list[Entry]:
    """Direct debits of a day come as one collective entry, some transfers in collective entries of two to four."""
    debits = [payment for payment in payments if payment.method == "direct_debit"]
    transfers = [payment for payment in payments if payment.method != "direct_debit"]
    rng.shuffle(transfers)
    groups: list[list[Payment]] = [debits] if debits else []
    while transfers:
        size = rng.randrange(2, 5) if rng.randrange(100) < 6 else 1
        groups.append(transfers[:size])
        transfers = transfers[size:]
    entries = []
    for group in groups:
        purpose = "direct_debit" if group[0].method == "direct_debit" else "transfer"
        entries.append(Entry("credit", purpose, [_credit_detail(rng, payment) for payment in group]))
        if len(group) > 1:
            for payment in group:
                payment.kinds.add("collective")
    return entries


def _return_entry(rng: Random, payment: Payment, original: Detail) -> Entry:
    """The debit that takes a credit back; a bank's fee for a direct debit is inside the amount."""
    fee = rng.choice(DEBIT_RETURN_FEES) if payment.method == "direct_debit" else 0
    detail = Detail(payment.amount_minor, original.end_to_end, original.tx_id, original.uetr, original.mandate)
    detail.returned, detail.fee_minor = payment, fee
    return Entry("debit", "return", [detail])


def _other_debits(rng: Random, account: BankAccount, on: date) -> list[Entry]:
    """Suppliers, salaries and the bank's own charges: lines that have nothing to do with receivables."""
    found = []
    for _ in range(rng.randrange(0, 4 if account.currency == "EUR" else 2)):
        amount = rng.randrange(8_000, 900_000 if account.currency == "EUR" else 200_000)
        detail = Detail(amount, f"SUP{rng.randrange(10**7):07d}", digits(rng, 16), counterparty=rng.choice(SUPPLIERS))
        detail.text = f"Re. {rng.randrange(1000, 99999)} vom {on:%d.%m.%Y}"
        found.append(Entry("debit", "supplier", [detail]))
    if account.currency == "EUR" and on.day >= 25 and step(on, -1).day < 25:
        amount = rng.randrange(14_000_000, 15_000_000)
        detail = Detail(amount, f"SAL{on:%Y%m}", digits(rng, 16), counterparty="Gehälter")
        detail.text = f"Lohn/Gehalt {on:%m/%Y}"
        found.append(Entry("debit", "salary", [detail]))
    if step(on, 1).month != on.month:
        detail = Detail(rng.randrange(1_500, 9_000), "NOTPROVIDED", digits(rng, 16), counterparty=account.bank)
        detail.text = f"Account fees {on:%m/%Y}"
        found.append(Entry("debit", "charge", [detail]))
    return found


def _statement(
    rng: Random, account: BankAccount, on: date, previous: Statement | None, entries: list[Entry]
) -> Statement:
    """The successor of the previous statement with the day's entries and other debits, in the bank's order."""
    number = previous.number + 1 if previous else 1 + _banking_days_before(on)
    opening = previous.closing_minor if previous else account.opening_minor
    statement = Statement(account, on, number, opening)
    statement.entries = entries + _other_debits(rng, account, on)
    rng.shuffle(statement.entries)
    return statement


def _banking_days_before(on: date) -> int:
    """Statements of the year so far; the numbers begin anew each year."""
    day, count = following(date(on.year, 1, 1)), 0
    while day < on:
        day, count = step(day, 1), count + 1
    return count


def make_statements(seed: int, payments: list[Payment], timeline: Timeline) -> list[Statement]:
    """One statement per account and banking day, empty days included, in the order of days and accounts."""
    rng = Random(f"{seed}:bank")
    by_day: dict[tuple[str, date], list[Payment]] = {}
    returns: dict[tuple[str, date], list[Payment]] = {}
    for payment in payments:
        by_day.setdefault((payment.bank_account, payment.paid_on), []).append(payment)
        if payment.returned_on is not None:
            returns.setdefault((payment.bank_account, payment.returned_on), []).append(payment)
    statements: list[Statement] = []
    last: dict[str, Statement] = {}
    originals: dict[int, Detail] = {}
    for on in timeline.bank_days:
        for account in BANK_ACCOUNTS:
            entries = _credit_entries(rng, by_day.get((account.id, on), []))
            for detail in (detail for entry in entries for detail in entry.details):
                originals[id(detail.payment)] = detail
            for payment in returns.get((account.id, on), []):
                entries.append(_return_entry(rng, payment, originals[id(payment)]))
            statement = _statement(rng, account, on, last.get(account.id), entries)
            _refer(statement)
            last[account.id] = statement
            statements.append(statement)
    return statements


def _refer(statement: Statement) -> None:
    for ordinal, entry in enumerate(statement.entries, start=1):
        entry.ordinal = ordinal
        entry.reference = f"{statement.account.currency}{statement.on:%Y%m%d}{statement.number:04d}{ordinal:05d}"
