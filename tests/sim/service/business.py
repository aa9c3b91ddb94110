"""A tiny business drawn from a seed: who owes what, what the bank says day by day, what people do. Inputs only.

Invariant: the same seed gives the same plan; everything that an auditor must know of the inputs stands in it, in plain
values that no service made.
"""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from sample.checksums import creditor_reference, iban
from tests.sim.service.camt import Line, statement

COMPANY, BANK = "sim", "EUR-1"
MONDAY = date(2026, 1, 12)
MORNING, AFTERNOON = 9, 16
LIFT = "lift"
"""The promise that ends the hold of the first account."""
# The lease of a hold is 864,000 s: the first close on a day behind its order renews it, that of the same day does not.
RENEW_BEFORE_S = 850_000
OPENING_MINOR = 5_000_000
COMPANY_IBAN = iban("DE", "201908004711081500")
LENGTHS = (2, 2, 2, 2, 3, 3, 4, 4, 5)
"""Days of a plan. A hold is ordered on the third day and lifted on the last; the close of a fourth renews it."""
KINDS = ("right", "reference", "partial", "double", "returned", "unidentified", "named", "nothing", "nothing")
"""What becomes of a document: paid in full by number, by our reference, in part, twice, paid and taken back, paid by a
stranger, paid by its debtor without a word, or not paid."""


@dataclass(frozen=True)
class Account:
    account_id: str
    name: str
    iban: str


@dataclass(frozen=True)
class Document:
    number: str
    account_id: str
    total_minor: int
    document_on: date
    due_on: date
    reference: str
    kind: str = "invoice"


@dataclass(frozen=True)
class Action:
    """What a person does; `what` names a function of `people`. Of one about cash `due_on` is its own day."""

    what: str
    ref: str
    account_id: str = ""
    number: str = ""
    amount_minor: int = 0
    due_on: date | None = None


@dataclass
class Day:
    """Files in the order in which they come, then actions in the morning and in the afternoon; `ticks` are the hours
    at which a tick comes before them, MORNING or AFTERNOON."""

    on: date
    ticks: tuple[int, ...] = (MORNING, AFTERNOON)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)
    morning: list[Action] = field(default_factory=list)
    afternoon: list[Action] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def parts(self) -> tuple[tuple[int, list[Action]], ...]:
        return (MORNING, self.morning), (AFTERNOON, self.afternoon)


@dataclass
class Plan:
    """`gap_on`: the banking day whose statement comes a day late. `auto_hold`: holds need no person."""

    accounts: list[Account]
    documents: list[Document]
    days: list[Day]
    gap_on: date | None
    auto_hold: bool

    def lines(self) -> list[Line]:
        return [line for day in self.days for line in day.lines]

    def account_of(self, number: str) -> str:
        return next(d.account_id for d in self.documents if d.number == number)


def banking_day_before(on: date) -> date:
    return on - timedelta(days=3 if on.weekday() == 0 else 1)


def draw(number: int) -> Plan:
    """The plan of that number: 2 to 5 days, 2 to 6 accounts, 4 to 20 documents; most are small."""
    rng = Random(f"business/{number}")
    length = rng.choice(LENGTHS)
    accounts = [_account(n) for n in range(1, rng.randint(2, min(length, 4) + 2) + 1)]
    days = [Day(MONDAY + timedelta(days=n), _ticks(rng, n)) for n in range(length)]
    documents = _documents(rng, accounts, days)
    # The first account owes much and is late: warned on the second day, held on the fourth.
    documents[0] = Document("R-9001", "C-1", 250_000, date(2025, 11, 20), date(2025, 12, 20), _reference("9001"))
    late = rng.random() < 0.4 and len(days) > 2
    plan = Plan(accounts, documents, days, banking_day_before(days[1].on) if late else None, rng.random() < 0.6)
    _pay(rng, plan)
    _act(rng, plan)
    _act_on_cash(rng, plan)
    for day in plan.days:  # people act on what a tick has brought through
        day.ticks = tuple(hour for hour, actions in day.parts() if actions or hour in day.ticks)
    _files(plan)
    return plan


def _ticks(rng: Random, n: int) -> tuple[int, ...]:
    """The second morning sends what the first day asked for, the fourth what the third has ordered. A day that no tick
    has reached cannot be closed."""
    morning, afternoon = rng.random() < 0.5 or n in (1, 3), rng.random() < 0.3
    return (MORNING,) * morning + (AFTERNOON,) * (afternoon or not morning)


def _account(n: int) -> Account:
    return Account(f"C-{n}", f"{('Nordwind', 'Alster', 'Bergmann', 'Cassel', 'Dorn', 'Elbtal')[n - 1]} Werke {n} GmbH",
                   iban("DE", f"3704004405320130{n:02d}"))  # fmt: skip


def _reference(body: str) -> str:
    return creditor_reference(f"SIM{body}")


def _documents(rng: Random, accounts: list[Account], days: list[Day]) -> list[Document]:
    found = []
    for n in range(rng.randint(4, 4 * len(days))):
        account = accounts[n % len(accounts)]
        new = rng.random() < 0.25
        document_on = days[0].on if new else days[0].on - timedelta(days=rng.randint(20, 50))
        due_on = document_on + timedelta(days=14)
        total = rng.randint(11_003, 199_987)
        reference = _reference(str(9100 + n))
        found.append(Document(f"R-{9100 + n}", account.account_id, total, document_on, due_on, reference))
    return found


def _pay(rng: Random, plan: Plan) -> None:
    """Bank lines by banking day; the statement of a banking day comes in the morning of the next business day."""
    for document in plan.documents[1:]:
        kind = rng.choice(KINDS)
        if kind == "nothing":
            continue
        n = rng.randrange(len(plan.days))
        account = next(a for a in plan.accounts if a.account_id == document.account_id)
        _lines_of(rng, plan, n, document, account, kind)
    if rng.random() < 0.5:
        n = rng.randrange(len(plan.days))
        plan.days[n].lines.append(Line(f"B{n}", "debit", rng.randint(100, 900), "charge", "Account keeping"))


def _lines_of(rng: Random, plan: Plan, n: int, document: Document, account: Account, kind: str) -> None:
    total, key = document.total_minor, document.number.removeprefix("R-")
    text = f"Invoice {document.number}"
    add = plan.days[n].lines.append
    paid = {"name": account.name, "iban": account.iban, "number": document.number, "account_id": account.account_id}
    match kind:
        case "right":
            add(Line(f"P{key}", "credit", total, kind, text, **paid))
        case "reference":
            add(Line(f"P{key}", "credit", total, kind, document.reference, **paid))
        case "partial":
            add(Line(f"P{key}", "credit", total - rng.randint(2_001, 9_001), kind, document.reference, **paid))
        case "double":
            add(Line(f"P{key}", "credit", total, kind, document.reference, **paid))
            later = plan.days[min(n + 1, len(plan.days) - 1)]
            later.lines.append(Line(f"Q{key}", "credit", total, kind, document.reference, **paid))
        case "returned":
            add(Line(f"P{key}", "credit", total, kind, document.reference, **paid))
            later = plan.days[min(n + 1, len(plan.days) - 1)]
            later.lines.append(Line(f"P{key}", "debit", total, "return", document.reference, **paid))
        case "unidentified":
            add(Line(f"U{key}", "credit", rng.randint(1_000, 90_000), kind, "thank you", name=f"Stranger {key}"))
        case "named":
            add(Line(f"N{key}", "credit", rng.randint(3_333, 9_999), kind, "our account", name=account.name,
                     iban=account.iban, account_id=account.account_id))  # fmt: skip


def _act(rng: Random, plan: Plan) -> None:
    """Promises due within the plan, disputes, and a promise that ends the hold of the first account.

    Nobody acts on what the bank pays on the day itself: a payment that overtakes its document waits for the day's
    close, so that in the course of a day two right runs may show such an item open and paid.
    """
    first, last = plan.days[0], plan.days[-1]
    moving = {line.number for day in (first, last) for line in day.lines}
    cited = [d for d in plan.documents[1:] if d.due_on < first.on and d.number not in moving]
    rng.shuffle(cited)
    for n, document in enumerate(cited[:2]):
        due_on = plan.days[rng.randrange(min(2, len(plan.days)))].on
        first.morning.append(Action("promise", f"p{n}", document.account_id, document.number,
                                    document.total_minor // rng.choice((1, 1, 2)), due_on))  # fmt: skip
    if len(cited) > 2 and rng.random() < 0.6:
        first.morning.append(Action("dispute", "d0", cited[2].account_id, cited[2].number, 5_000))
        if rng.random() < 0.5:
            last.morning.append(Action("resolve", "d0", cited[2].account_id))
    for day in () if plan.auto_hold else plan.days[1:]:
        day.morning.append(Action("approve", f"holds {day.on}"))
    if len(plan.days) > 3:
        part = rng.choice((last.morning, last.afternoon))
        last.ticks = (MORNING, AFTERNOON)
        part.append(Action("promise", LIFT, "C-1", "R-9001", 250_000, last.on + timedelta(days=3)))


def _act_on_cash(rng: Random, plan: Plan) -> None:
    """On a later day: strangers are identified, bookings taken back and made again, waiting cash is refunded."""
    for n, day in enumerate(plan.days[1:], 1):
        if rng.random() < 0.3:
            day.morning.append(Action("identify", f"i{n}", rng.choice(plan.accounts).account_id, due_on=day.on))
        if rng.random() < 0.3:
            day.morning.append(Action("refund", f"r{n}", due_on=day.on))
        paid = [line for line in plan.days[n - 1].lines if line.kind in ("right", "reference")]
        if paid and rng.random() < 0.4:
            line = rng.choice(paid)
            day.morning.append(Action("unapply", f"u{n}", line.account_id, line.number))
            if rng.random() < 0.6:
                again = Action("apply", f"u{n}", line.account_id, line.number, line.amount_minor)
                day.afternoon.append(again)


def _files(plan: Plan) -> None:
    balance, number = OPENING_MINOR, 1
    late: tuple[str, str, bytes] | None = None
    for n, day in enumerate(plan.days):
        if n == 0:
            day.files.append(("master.json", "application/json", _master(plan)))
        issued = [d for d in plan.documents if (n == 0 and d.document_on <= day.on) or (n and d.document_on == day.on)]
        if issued:
            day.files.append((f"documents-{n}.json", "application/json", _issued(issued)))
        on = banking_day_before(day.on)
        content = statement(COMPANY_IBAN, number, on, balance, day.lines)
        balance, number = balance + sum(line.signed_minor for line in day.lines), number + 1
        file = (f"statement-{n}.xml", "application/xml", content)
        if on == plan.gap_on:
            late = file
            continue
        day.files.append(file)
        if late is not None:
            day.files.append(late)
            late = None


def _master(plan: Plan) -> bytes:
    records: list[dict[str, Any]] = []
    for a in plan.accounts:
        records.append({
            "record_type": "customer", "account_id": a.account_id, "party_id": a.account_id, "name": a.name,
            "debtor_kind": "organisation", "country": "DE", "language": "en", "currency": "EUR",
            "time_zone": "Europe/Berlin", "collector": "colin", "sales_owner": "sam",
            "bank_accounts": [{"iban": a.iban, "name": a.name}], "access_targets": [f"room-{a.account_id}"],
            "status": "active",
        })  # fmt: skip
        records.append({
            "record_type": "contact", "account_id": a.account_id, "contact_id": f"k-{a.account_id}",
            "name": "Ada Payer", "roles": ["payer"], "email": f"{a.account_id.lower()}@debtor.example",
            "language": "en", "channels": ["email"], "valid": True,
        })  # fmt: skip
    return json.dumps({"records": records}).encode()


def _issued(documents: list[Document]) -> bytes:
    return json.dumps({"records": [_record(d) for d in documents]}).encode()


def _record(d: Document) -> dict[str, Any]:
    total = f"{d.total_minor // 100}.{d.total_minor % 100:02d}"
    return {
        "record_type": d.kind, "source_system": "erp", "source_document_id": d.number.removeprefix("R-"),
        "number": escape(d.number), "account_id": d.account_id, "document_on": d.document_on.isoformat(),
        "due_on": d.due_on.isoformat(), "currency": "EUR", "total": total, "payment_reference": d.reference,
    }  # fmt: skip


def policies(plan: Plan) -> dict[str, dict[str, Any]]:
    """Changes to the policy files of the repository, so that a ladder fits into a week."""
    levels = [{"level": 1, "days_past_due": 4, "kind": "hold_warning", "template": "hold_warning", "channel": "email"}]
    return {
        "dunning": {
            "levels": levels, "spacing_days": 1, "again_after_withheld_days": 1,
            "promise": {"grace_days": 0, "tolerance": "0.005", "per_debt_max": 2},
        },
        "holds": {"days_past_due_min": 10, "cure_days": 0, "auto_hold": plan.auto_hold,
                  "renew_before_s": RENEW_BEFORE_S},
        "matching": {},
        "contact": {"candidate_business_days": 10},
    }  # fmt: skip
