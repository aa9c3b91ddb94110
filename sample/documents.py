"""Invoices: what the company bills, in which instalments, under which terms and numbers.

Amounts are minor units; net + tax = total = sum of the items. An item is one
instalment, and `pay_on` is the day on which its customer means to pay it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from sample.behaviour import pay_day
from sample.business_days import Timeline, following, is_business_day, step
from sample.checksums import creditor_reference
from sample.customers import PRICES, Customer

MAIN_SYSTEM, USAGE_SYSTEM = "ERP1", "ROOMS"
PAGE_RATES = (18, 25, 35, 42)
HISTORY_WEIGHT = {"punctual": 2, "late": 3, "heavy": 4, "holdout": 5, "never": 4}
NUMBER_TAIL = {"credit_memo": "CN", "debit_memo": "DN"}


@dataclass
class Item:
    """`script` names the promise, dispute or adjustment that decides over the item; such an item is left alone else."""

    document: "Document" = field(repr=False)
    line: str
    due_on: date
    amount_minor: int
    pay_on: date | None = None
    credited_minor: int = 0
    script: str = ""

    @property
    def payable_minor(self) -> int:
        return self.amount_minor - self.credited_minor


@dataclass
class Line:
    text: str
    quantity: int
    net_minor: int
    product: str


@dataclass
class Document:
    kind: str
    customer: Customer
    document_on: date
    fed_on: date
    due_on: date
    net_minor: int
    tax_minor: int
    terms: str = ""
    source_system: str = MAIN_SYSTEM
    discount: tuple[date, int] | None = None
    items: list[Item] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    project: str = ""
    purchase_order: str = ""
    reason_code: str = ""
    applies_to: list[tuple["Document", int]] = field(default_factory=list)
    replaces: "Document | None" = None
    keeps_due_date: bool | None = None
    cancelled_on: date | None = None
    cancels: "Document | None" = None
    recurring: bool = False
    source_document_id: str = ""
    number: str = ""
    payment_reference: str = ""

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor

    @property
    def is_single(self) -> bool:
        return len(self.items) == 1


def split_evenly(total_minor: int, parts: int) -> list[int]:
    """Equal parts by largest remainder, the extra cents first; the sum is always the total."""
    share, rest = divmod(total_minor, parts)
    return [share + (1 if place < rest else 0) for place in range(parts)]


def tax_minor(customer: Customer, net_minor: int) -> int:
    """19 % for customers in Germany; the tax falls to the recipient everywhere else."""
    return (net_minor * 19 + 50) // 100 if customer.country.code == "DE" else 0


def usage_lines(rng: Random) -> list[Line]:
    """A room fee, pages by the price list and sometimes a set-up fee."""
    lines = []
    if rng.randrange(100) < 70:
        price = rng.choice(PRICES) * 100
        lines.append(Line("Data room, monthly fee", 1, price, "room"))
    if rng.randrange(100) < 12:
        lines.append(Line("Project set-up and indexing", 1, rng.randrange(20, 161) * 25_000, "setup"))
    if not lines or rng.randrange(100) < 75:
        pages, rate = rng.randrange(150, rng.choice((2_000, 9_000, 30_000))), rng.choice(PAGE_RATES)
        lines.append(Line("Pages beyond the allowance", pages, pages * rate, "pages"))
    return lines


def _schedule(rng: Random, document: Document) -> None:
    """Due date, discount and items by the customer's terms; large bills may be due in three instalments."""
    customer, terms = document.customer, document.customer.terms
    plain = not terms.percent and not customer.habit.direct_debit and not customer.is_recurring
    if plain and document.total_minor > 500_000 and rng.randrange(100) < 18:
        document.terms = "INSTALMENTS 30/60/90"
        for place, amount in enumerate(split_evenly(document.total_minor, 3), start=1):
            due_on = document.document_on + timedelta(days=30 * place)
            document.items.append(Item(document, f"{place:03d}", due_on, amount))
        document.due_on = document.items[-1].due_on
        return
    document.terms = str(terms)
    document.due_on = document.document_on + timedelta(days=terms.days)
    document.items.append(Item(document, "001", document.due_on, document.total_minor))
    if terms.percent:
        until_on = document.document_on + timedelta(days=terms.discount_days)
        document.discount = (until_on, (document.total_minor * terms.percent + 50) // 100)


def plan_payment(rng: Random, document: Document) -> None:
    """Give each item the day on which the habit pays it."""
    until_on = document.discount[0] if document.discount else None
    customer = document.customer
    for item in document.items:
        planned = pay_day(rng, customer.habit, customer.phase, item.due_on, until_on)
        item.pay_on = planned and max(planned, following(document.document_on))


def bill(rng: Random, customer: Customer, on: date, lines: list[Line]) -> Document:
    """One invoice with its schedule and the planned days of payment, not yet numbered."""
    net = sum(line.net_minor for line in lines)
    document = Document("invoice", customer, on, on, on, net, tax_minor(customer, net))
    document.lines = lines
    document.project = rng.choice(customer.projects)
    document.purchase_order = f"PO-{rng.randrange(10_000, 99_999)}" if rng.randrange(100) < 35 else ""
    _schedule(rng, document)
    plan_payment(rng, document)
    return document


def _recurring_days(timeline: Timeline) -> list[tuple[date, bool]]:
    """First business days of the months, with whether the month lies before the run."""
    months = [date(2025, 11, 1), date(2025, 12, 1)]
    days = [(following(month), True) for month in months]
    month = date(2026, 1, 1)
    while max(following(month), timeline.first) <= timeline.last:
        days.append((max(following(month), timeline.first), False))
        month = (month + timedelta(days=32)).replace(day=1)
    return days


def _recurring(rng: Random, customers: list[Customer], timeline: Timeline) -> Iterable[Document]:
    for month_on, past in _recurring_days(timeline):
        for customer in customers:
            on = month_on if past else step(month_on, customer.phase % 3)
            if not customer.is_recurring or on < customer.customer_since_on or on > timeline.last:
                continue
            for room in range(customer.rooms):
                line = Line(f"Data room {customer.projects[room]}, monthly fee", 1, customer.room_price * 100, "room")
                document = bill(rng, customer, on, [line])
                document.project, document.recurring = customer.projects[room], True
                yield document


def _open_at_start(document: Document, timeline: Timeline) -> bool:
    return all(item.pay_on is None or item.pay_on >= timeline.first_bank_day for item in document.items)


def _history(rng: Random, customers: list[Customer], timeline: Timeline, count: int) -> list[Document]:
    """`count` documents that were issued before the run and are still open when it begins."""
    pool = [customer for customer in customers if customer.registered_on == timeline.first]
    weights = [customer.weight * HISTORY_WEIGHT[customer.habit.persona] for customer in pool]
    documents: list[Document] = []
    while len(documents) < count:
        customer = rng.choices(pool, weights=weights)[0]
        on = timeline.history_from + timedelta(days=rng.randrange((timeline.first - timeline.history_from).days))
        if is_business_day(on) and on >= customer.customer_since_on:
            document = bill(rng, customer, on, usage_lines(rng))
            if _open_at_start(document, timeline):
                documents.append(document)
    return documents


def _current(rng: Random, customers: list[Customer], timeline: Timeline, count: int) -> list[Document]:
    weights = [customer.weight for customer in customers]
    documents: list[Document] = []
    while len(documents) < count:
        customer = rng.choices(customers, weights=weights)[0]
        on = rng.choice(timeline.days)
        if on >= customer.registered_on:
            document = bill(rng, customer, on, usage_lines(rng))
            document.source_system = USAGE_SYSTEM if rng.randrange(100) < 18 else MAIN_SYSTEM
            documents.append(document)
    return documents


def feed_day(rng: Random, document: Document, timeline: Timeline) -> None:
    """History comes on the first day; a bill on its own day or, for one in five, on the next."""
    document.fed_on = max(document.document_on, timeline.first, document.customer.registered_on)
    if document.document_on > timeline.first and rng.randrange(5) == 0:
        document.fed_on = min(step(document.fed_on, 1), timeline.last)
    for item in document.items:
        if item.pay_on is not None and document.fed_on > timeline.first:
            item.pay_on = max(item.pay_on, document.fed_on)


def make_invoices(
    seed: int, customers: list[Customer], timeline: Timeline, history: int, current: int
) -> list[Document]:
    """`history` invoices still open from before the run and `current` ones issued in it, recurring ones included."""
    rng = Random(f"{seed}:invoices")
    regular = [document for document in _recurring(rng, customers, timeline) if _open_at_start(document, timeline)]
    past = [document for document in regular if document.document_on < timeline.first][:history]
    present = [document for document in regular if document.document_on >= timeline.first][:current]
    past += _history(rng, customers, timeline, history - len(past))
    present += _current(rng, customers, timeline, current - len(present))
    documents = past + present
    for document in documents:
        feed_day(rng, document, timeline)
    return documents


def pay_on_receipt(rng: Random, documents: list[Document], timeline: Timeline, count: int) -> None:
    """Some customers pay the mailed copy at once, and the ERP's feed brings the invoice days after the money."""
    pool = [document for document in documents if _may_precede(document, timeline)]
    rng.shuffle(pool)
    for document in pool[:count]:
        item = document.items[0]
        item.pay_on = step(document.document_on, rng.randrange(1, 3))
        document.fed_on = min(step(item.pay_on, rng.randrange(2, 5)), timeline.last)
        item.script = "paid_before_fed"


def _may_precede(document: Document, timeline: Timeline) -> bool:
    habit = document.customer.habit
    in_time = timeline.first <= document.document_on and step(document.document_on, 4) <= timeline.last
    payer = habit.persona in ("punctual", "late") and not habit.direct_debit
    return in_time and payer and document.is_single and not document.items[0].script and document.kind == "invoice"


def number_documents(documents: list[Document]) -> None:
    """Ids of the source systems, printed numbers and creditor references, in the order of the document dates.

    The two source systems count their printed numbers on their own, so that the digits of one occur in the other too.
    """
    counters: dict[str, int] = {"HDR-2025": 38_211, MAIN_SYSTEM: 11_507}
    for document in sorted(documents, key=lambda one: (one.document_on, one.customer.account_id)):
        if document.kind == "cancellation":
            continue
        head = ("V" if document.source_system == USAGE_SYSTEM else "H") + NUMBER_TAIL.get(document.kind, "DR")
        series = f"{head}-{document.document_on.year}"
        for counter in (series, document.source_system):
            counters[counter] = counters.get(counter, 0) + 1
        document.number = f"{series}-{counters[series]:06d}"
        ordinal = counters[document.source_system]
        usage = document.source_system == USAGE_SYSTEM
        document.source_document_id = f"U-{ordinal:06d}" if usage else f"9000{ordinal:08d}"
        if document.kind != "credit_memo":
            year = document.document_on.year % 100
            document.payment_reference = creditor_reference(f"{head}{year}{counters[series]:06d}")
