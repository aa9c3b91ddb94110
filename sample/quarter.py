"""One run of the generator: draw the company's quarter, write its files and its truth.

Same seed and sizes, same bytes. Every room draws from its own stream of random
numbers, so that a change in one does not move the others.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from sample import erp
from sample.actions import make_actions
from sample.adjustments import make_cancellations, make_credits, make_debits
from sample.bank import BANK_ACCOUNTS, Statement, make_statements
from sample.business_days import Timeline, step
from sample.camt import OWNER, Writer
from sample.contacts import make_changes, make_contacts, make_links
from sample.customers import Customer, make_customers
from sample.difficulties import choose_payers, exceed, planned, send_back, shorten, stray_payments
from sample.disputes import Dispute, make_disputes
from sample.documents import Document, make_invoices, number_documents, pay_on_receipt
from sample.payers import Purses
from sample.payments import Payment, build_payments, merge_near, net_credits
from sample.promises import Promise, make_promises
from sample.rates import SOURCE, make_rates
from sample.truth import Truth, count_expected, count_rates, mark_undecidable, read_statements, tell_items, tell_people
from sample.wording import choose_words

DAYS_FULL, CUSTOMERS_FULL, CUSTOMERS_SMALL, DOCUMENTS_FULL = 60, 400, 120, 4000


@dataclass
class Quarter:
    """Everything that was drawn, before it is written."""

    timeline: Timeline
    customers: list[Customer]
    documents: list[Document]
    promises: list[Promise]
    disputes: list[Dispute]
    payments: list[Payment]
    statements: list[Statement]


def default_sizes(days: int) -> tuple[int, int]:
    """Customers and documents of a run: the full quarter from 60 days on, a small company in a short run."""
    customers = CUSTOMERS_FULL if days >= 30 else CUSTOMERS_SMALL
    history = customers * 5 // 2
    return customers, DOCUMENTS_FULL if days >= DAYS_FULL else history + customers * days // 8


def generate(
    seed: int, days: int, out: Path | str, *, customers: int | None = None, documents: int | None = None
) -> Truth:
    """Write the sample of `days` business days to the empty or new directory `out`; returns the truth.

    Raises ValueError for sizes that cannot make a sample, FileExistsError if `out` holds files already.
    """
    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give a new directory, or remove what an earlier run wrote")
    count, size = default_sizes(days)
    quarter = draw(seed, days, customers or count, documents or size)
    truth = tell(seed, quarter)
    write(seed, quarter, truth, folder)
    return truth


def draw(seed: int, days: int, customer_count: int, document_count: int) -> Quarter:
    """Documents first, then what people agree on, then money."""
    timeline = Timeline.of(days)
    customers = make_customers(seed, customer_count, timeline)
    purses = Purses(seed)
    purses.tell_master(customers)
    documents, disputes, promises = _draw_claims(seed, timeline, customers, document_count)
    number_documents(documents)
    payments = _draw_payments(seed, timeline, customers, documents, promises, purses)
    statements = make_statements(seed, payments, timeline)
    return Quarter(timeline, customers, documents, promises, disputes, payments, statements)


def _draw_claims(
    seed: int, timeline: Timeline, customers: list[Customer], count: int
) -> tuple[list[Document], list[Dispute], list[Promise]]:
    """`count` documents of all kinds; a quarter of them, more in a short run, is older than the run."""
    rng = Random(f"{seed}:claims")
    scale = len(timeline.days) * len(customers)
    disputed = max(3, scale * 64 // (60 * 400))
    credits, debits = max(2, count * 2 // 100), max(1, count // 100)
    cancelled = max(2, count // 100)
    rebilled = cancelled * 7 // 10
    invoices = count - credits - debits - cancelled - rebilled - disputed // 2
    if invoices < len(customers):
        raise ValueError(f"documents must be at least twice the customers ({len(customers)}), got {count}")
    history = invoices * 20 // (20 + len(timeline.days))
    documents = make_invoices(seed, customers, timeline, history, invoices - history)
    paid = sum(1 for document in documents for item in document.items if timeline.banks_on(item.pay_on))
    pay_on_receipt(rng, documents, timeline, planned("invoice_after_payment", paid * 4 // 5))
    disputes = make_disputes(rng, documents, timeline, disputed)
    memos = [dispute.memo for dispute in disputes if dispute.memo]
    documents += make_cancellations(rng, documents, timeline, cancelled, rebilled)
    documents += memos + make_debits(rng, documents, timeline, debits)
    documents += make_credits(rng, documents, timeline, count - len(documents))
    wanted = max(6, scale * 84 // (60 * 400))
    promises = make_promises(rng, customers, documents, timeline, wanted)
    return documents, disputes, promises


def _draw_payments(
    seed: int,
    timeline: Timeline,
    customers: list[Customer],
    documents: list[Document],
    promises: list[Promise],
    purses: Purses,
) -> list[Payment]:
    rng = Random(f"{seed}:payments")
    payments = build_payments(customers, documents, promises, timeline)
    payments = merge_near(rng, payments, planned("several", len(payments)))
    expected = len(payments) * 106 // 100
    net_credits(payments, documents)
    payments += shorten(rng, payments, timeline, expected)
    payments += exceed(rng, payments, timeline, expected)
    payments += send_back(rng, payments, timeline, expected)
    payments += stray_payments(rng, timeline, expected)
    choose_payers(rng, payments, customers, purses)
    choose_words(rng, payments, documents)
    return payments


def tell(seed: int, quarter: Quarter) -> Truth:
    """The truth of a drawn quarter."""
    truth = Truth(seed, [day.isoformat() for day in quarter.timeline.days])
    mark_undecidable(quarter.payments, quarter.documents)
    payments = read_statements(truth, quarter.statements, quarter.timeline)
    tell_people(truth, quarter.promises, quarter.disputes)
    tell_items(truth, quarter.documents, payments)
    count_rates(truth, quarter.customers, payments, make_rates(seed, quarter.timeline))
    count_expected(truth, quarter.documents, quarter.statements, quarter.customers)
    return truth


def company() -> dict[str, Any]:
    """The payload of `company.configured`."""
    accounts = [
        {
            "id": account.id,
            "iban": account.iban,
            "currency": account.currency,
            "calendar": "XECB",
            "booking_source": "camt.053",
            "identity_rule": account.identity_rule,
            "owner": erp.COMPANY,
            "serves": [],
        }
        for account in BANK_ACCOUNTS
    ]
    return {
        "company": erp.COMPANY,
        "name": OWNER,
        "base_currency": "EUR",
        "time_zone": "Europe/Berlin",
        "calendar": "XECB",
        "day_close_at": "18:00",
        "bank_accounts": accounts,
        "source_systems": ["ERP1", "ROOMS"],
    }


def _pretty(content: Any) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def _truth_file(truth: Truth) -> bytes:
    """One JSON object; in its lists one record per line, so that it can be read and searched by eye."""
    heads = {"seed": truth.seed, "days": truth.days, "expected": truth.expected}
    lists = ("payments", "returns", "other_debits", "promises", "disputes", "items")
    parts = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in heads.items()]
    for name in lists:
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in getattr(truth, name))
        parts.append(f'"{name}": [\n{rows}\n]')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def write(seed: int, quarter: Quarter, truth: Truth, folder: Path) -> None:
    """Write all files; the numbers in front of the names give the order of feeding within a day."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "company.json").write_bytes(_pretty(company()))
    (folder / "truth.json").write_bytes(_truth_file(truth))
    (folder / "rates.json").write_bytes(_pretty(truth.rates))
    _write_exchange_rates(seed, quarter.timeline, folder / "rates")
    actions = make_actions(
        seed, quarter.timeline, quarter.customers, quarter.documents, quarter.promises, quarter.disputes
    )
    feeds = _feeds(seed, quarter)
    for day in quarter.timeline.days:
        target = folder / "days" / day.isoformat()
        target.mkdir(parents=True)
        files = [*_bank_files(quarter, day), *feeds[day]]
        if day == quarter.timeline.first:
            files = [*feeds[day], *_bank_files(quarter, day)]
        for number, (name, content) in enumerate(files, start=1):
            (target / f"{number:02d}_{name}").write_bytes(content)
        (target / "actions.json").write_bytes(_pretty(actions[day]))


def _write_exchange_rates(seed: int, timeline: Timeline, folder: Path) -> None:
    """One file per business day; the first one also brings the rates of the time before the run."""
    folder.mkdir()
    rates = make_rates(seed, timeline)
    for day in timeline.days:
        rows = [
            {"pair": pair, "rate": rate, "on": on.isoformat(), "source": SOURCE}
            for on, pairs in rates.items()
            if on == day or (day == timeline.first and on < day)
            for pair, rate in pairs.items()
        ]
        (folder / f"{day.isoformat()}.json").write_bytes(_pretty(rows))


def _bank_files(quarter: Quarter, day: date) -> Iterable[tuple[str, bytes]]:
    for statement in quarter.statements:
        if statement.on == step(day, -1):
            yield f"bank_{statement.account.id}.xml", Writer(statement).file()


def _feeds(seed: int, quarter: Quarter) -> dict[date, list[tuple[str, bytes]]]:
    """Files of the ERP and of usage billing per business day: master data first, then documents."""
    contacts, links = make_contacts(seed, quarter.customers), make_links(seed, quarter.customers, quarter.timeline)
    changes = make_changes(seed, quarter.customers, quarter.timeline)
    by_account = {customer.account_id: customer for customer in quarter.customers}
    feeds: dict[date, list[tuple[str, bytes]]] = {}
    for day in quarter.timeline.days:
        rows = [erp.customer_row(customer, {}) for customer in quarter.customers if customer.registered_on == day]
        rows += [erp.customer_row(by_account[one.account_id], one.values) for one in changes if one.fed_on == day]
        tables = {
            "customers": rows,
            "contacts": [erp.contact_row(contact) for contact in contacts if contact.fed_on == day],
            "links": [erp.link_row(link) for link in links if link.fed_on == day],
        }
        files = [(f"erp_{name}.csv", erp.csv_file(name, table)) for name, table in tables.items() if table]
        feeds[day] = files + _document_files(quarter.documents, day)
    return feeds


def _document_files(documents: list[Document], day: date) -> list[tuple[str, bytes]]:
    """The ERP sends CSV, usage billing JSON; corrections follow the documents that they correct."""
    fed = sorted((document for document in documents if document.fed_on == day), key=_feed_order)
    main = [erp.document_row(document) for document in fed if document.source_system == "ERP1"]
    usage = [erp.document_row(document) for document in fed if document.source_system != "ERP1"]
    files = [("erp_documents.csv", erp.csv_file("documents", main))] if main else []
    return files + ([("rooms_documents.json", erp.json_file(usage))] if usage else [])


def _feed_order(document: Document) -> tuple[int, str, str]:
    place = ("invoice", "debit_memo", "cancellation", "rebill", "credit_memo").index(document.kind)
    subject = document.cancels or document
    return place, subject.document_on.isoformat(), subject.source_document_id
