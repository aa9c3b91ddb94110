"""The auditor passes untouched books and finds each of the corruptions that are planted in them, by name.

Most corruptions are written as one who knows the tables would write them: entries still balance where they can.
"""

import json
import re

import pytest

from tests.scenario.cash_application.desk import item, pay_id
from tests.store.audit.conftest import Books

WITHIN_ENTRY = """
update journal_line l set amount_minor = amount_minor + c.cents, base_minor = base_minor + c.cents
from (select id, case when row_number() over (order by id) = 1 then 1 else -1 end as cents from (
  select id from journal_line where posting_id = (select posting_id from receipt where payment_id = '{paid}')
  and ledger in ('BANK', 'AR') order by id limit 2) as two) as c
where l.id = c.id
"""
ENTRY_GONE = """
with gone as (delete from posting where posting_id = (select posting_id from receipt where payment_id = '{paid}')
  returning posting_id)
delete from journal_line using gone where journal_line.posting_id = gone.posting_id
"""
HEAD_GONE = "delete from posting where kind = 'credit_use'"
LINES_GONE = "delete from journal_line where posting_id in (select posting_id from posting where kind = 'credit_use')"
BANK_LINE_DOUBLED = """
with copied as (insert into posting select gen_random_uuid(), company, kind, origin, currency, base_currency, rate_id,
    cause_id, account_id, payment_id, reverses_posting_id, reason_code, rule, policy, certificate_id, actor,
    business_date, valued_on, accounted_on, known_at, xid
  from posting where kind = 'bank_debit' and rule = '' order by posting_id limit 1 returning posting_id, cause_id)
insert into journal_line (posting_id, company, ledger, currency, amount_minor, base_minor, account_id, item_id, side,
  payment_id, bank_account, funding, accounted_on)
select copied.posting_id, l.company, l.ledger, l.currency, l.amount_minor, l.base_minor, l.account_id, l.item_id,
  l.side, l.payment_id, l.bank_account, l.funding, l.accounted_on
from copied join posting p on p.cause_id = copied.cause_id join journal_line l on l.posting_id = p.posting_id
"""
OTHER_BANK_ACCOUNT = """
with moved as (update receipt set bank_account = 'EUR-2' where payment_id = '{most}')
update journal_line set bank_account = 'EUR-2' where payment_id = '{most}' and bank_account <> ''
"""
REMAINING_EDITED = (
    "update open_item set remaining_minor = remaining_minor - 1, relief_cash = relief_cash + 1 where {open}"
)
BASE_EDITED = """
update journal_line l set base_minor = base_minor + c.amount
from (select id, case when row_number() over (order by id) = 1 then 500 else -500 end as amount from (
  select id from journal_line where payment_id = '{dollars}' order by id limit 2) as two) as c where l.id = c.id
"""
OTHER_ITEM = """
with row as (update application set item_id = '{other}' where payment_id = '{most}' returning posting_id, cash_minor),
line as (update journal_line l set item_id = '{other}', account_id = 'C1' from row
  where l.posting_id = row.posting_id and l.item_id = '{item}' returning l.amount_minor),
freed as (update open_item set remaining_minor = remaining_minor + c.cash_minor,
  relief_cash = relief_cash - c.cash_minor from row c where item_id = '{item}')
update open_item set remaining_minor = remaining_minor - c.cash_minor, relief_cash = relief_cash + c.cash_minor,
  original_minor = original_minor from row c where item_id = '{other}'
"""
AMOUNT_CHANGED = "update receipt set amount_minor = amount_minor + 1 where payment_id = '{most}'"
REVERSAL_GONE = """
with gone as (delete from posting where kind = 'unapplication' returning posting_id)
delete from journal_line using gone where journal_line.posting_id = gone.posting_id
"""
REVERSAL_FORGOTTEN = "update application set reversed_by = null where reversed_by is not null"
REVERSAL_OF_ANOTHER = """
update posting set reverses_posting_id = (select posting_id from posting where kind = 'document' limit 1)
where kind = 'return'
"""
APPLIED_TWICE = """
insert into application select (select posting_id from posting where kind = 'application' order by posting_id limit 1),
  '{other}', company, payment_id, account_id, side, 1000, 0, 0, 0, 0, null, 0, rule, null
from application where payment_id = '{most}'
"""
CERTIFICATE_ALTERED = """
update certificate set content = jsonb_set(content, '{{chosen,0,3}}', '489701')
where payment_id = '{most}' and content -> 'chosen' <> '[]'
"""
CERTIFICATE_GONE = "delete from certificate where payment_id = '{most}'"
CERTIFICATE_TOO_LONG = """
update certificate set content = content || jsonb_build_object('more', repeat('x', 5000)) where payment_id = '{most}'
"""
CERTIFICATE_OF_ANOTHER_POLICY = """
update certificate set content = jsonb_set(content, '{{policy_sha256}}', to_jsonb(repeat('1', 64)))
where payment_id = '{most}'
"""
RELIEF_MOVED = """
update open_item set relief_credit = relief_credit + 1, relief_cash = relief_cash - 1
where item_id = '{item}'
"""
LAMBDA_RAISED = """
update certificate set content = jsonb_set(content, array['rungs', (select (at - 1)::text from
  jsonb_array_elements(content -> 'rungs') with ordinality as r(rung, at) where rung ? 'lambda' limit 1), 'lambda'],
  '"0.002"')
where content ->> 'rule' = 'exact_amount'
"""
CASH_ON_OTHER_ACCOUNT = "update account_cash set account_id = 'C3' where account_id = 'C1' and unapplied_minor > 0"
EVENT_DROPPED = "delete from outbox where id = (select id from outbox where headers like '%item.settled%' limit 1)"
SPLIT_EDITED = """
update receipt_part set unapplied_minor = unapplied_minor + 1, applied_minor = applied_minor - 1
where payment_id = '{most}'
"""

CORRUPTIONS = {
    "a moved cent": (WITHIN_ENTRY, "remaining by its lines"),
    "a moved cent against the bank line": (WITHIN_ENTRY, "payment.received .* lines of the bank in the journal"),
    "a deleted entry": (ENTRY_GONE, "payment.received .* lines of the bank in the journal"),
    "a deleted entry, by the item": (ENTRY_GONE, "item .*INV-2026-00011.* remaining by its lines"),
    "an entry without its head": (HEAD_GONE, "lines stand without the entry"),
    "an entry without lines": (LINES_GONE, "has no lines"),
    "a doubled bank line": (
        BANK_LINE_DOUBLED,
        "(bank_debit.received|payment.returned) .* lines of the bank in the journal",
    ),
    "another bank account": (OTHER_BANK_ACCOUNT, "payment.received .* lines of the bank in the journal"),
    "another bank account, in the log": (OTHER_BANK_ACCOUNT, "bank_account in the store and in the log"),
    "an edited remaining": (REMAINING_EDITED, "remaining by its lines"),
    "an edited base amount": (BASE_EDITED, "base amount .* fits none of the rates"),
    "an application moved to another item": (OTHER_ITEM, "remaining_minor in the store and in the log"),
    "an application moved to another item, by the certificate": (OTHER_ITEM, "chosen items with their amounts"),
    "a changed receipt": (AMOUNT_CHANGED, "sum of its split"),
    "a missing reversal": (REVERSAL_GONE, "that reversed it is not there"),
    "a forgotten reversal": (REVERSAL_FORGOTTEN, "cash of live applications"),
    "a reversal of something else": (REVERSAL_OF_ANOTHER, "return entry .* reverses a document entry"),
    "cash applied twice": (APPLIED_TWICE, "sum of its live applications"),
    "an altered certificate": (CERTIFICATE_ALTERED, "chosen items with their amounts"),
    "a missing certificate": (CERTIFICATE_GONE, "has no certificate"),
    "a certificate that is too long": (CERTIFICATE_TOO_LONG, r"certificate .* has \d+ bytes"),
    "a certificate of another policy": (CERTIFICATE_OF_ANOTHER_POLICY, "is no policy that was activated"),
    "a relief of another funding": (RELIEF_MOVED, "relieved by (cash|credit)"),
    "a chance that is too high": (LAMBDA_RAISED, "lambda .* is over 1/1000"),
    "cash on another account": (CASH_ON_OTHER_ACCOUNT, "cash of acme account C"),
    "a dropped event": (EVENT_DROPPED, "in the log: versions|sequence .* is missing"),
    "a split that moved": (SPLIT_EDITED, "unapplied_minor"),
}


async def test_untouched_books_pass(books: Books):
    findings = await books.audit()
    assert findings.texts == []
    assert findings.checks > 500
    assert findings.figures["postings_by_amount_alone"] == 1
    assert findings.figures["closed_days"] == 4


async def test_the_books_hold_every_kind_of_entry_that_the_corruptions_need(books: Books):
    kinds = {row["kind"] for row in await books.db.fetch("select distinct kind from posting")}
    assert {"document", "receipt", "application", "unapplication", "return", "credit_use", "bank_debit"} <= kinds
    assert await books.db.fetchval("select count(distinct currency) from journal_line") == 2


async def plant(books: Books, statement: str) -> None:
    """Run a corruption; it must have changed something."""
    names = {
        "most": pay_id("most"),
        "paid": pay_id("discounted"),
        "dollars": pay_id("dollars"),
        "item": item("INV-2026-00014"),
        "other": item("INV-2026-00011"),
        "open": f"item_id = '{item('INV-2026-00018')}'",
    }
    done = await books.db.execute(statement.format(**names))
    assert int(done.split()[-1]) > 0, done


async def test_each_corruption_is_found_and_named(books: Books):
    missed = {}
    for name, (statement, expected) in CORRUPTIONS.items():
        planted = books.db.transaction()
        await planted.start()
        await plant(books, statement)
        findings = await books.audit()
        await planted.rollback()
        if not any(re.search(expected, text) for text in findings.texts):
            missed[name] = findings.texts
    assert not missed, "\n".join(f"{name}: {text}" for name, texts in missed.items() for text in texts)


async def _edit_event(books: Books, kind: str, change) -> None:
    row = await books.db.fetchrow(
        "select id, value from outbox where headers like $1 order by id limit 1", kind.encode()
    )
    body = json.loads(row["value"])
    change(body)
    await books.db.execute("update outbox set value = $2 where id = $1", row["id"], json.dumps(body).encode())


async def test_an_event_that_says_another_amount_is_found(books: Books):
    await _edit_event(books, "%item.opened%", lambda body: body.update(remaining_minor=body["remaining_minor"] - 1))
    findings = await books.audit()
    assert any("remaining and relief together" in text for text in findings.texts)


@pytest.mark.parametrize("figure", ["applied_minor", "credits_minor", "unidentified_minor", "debits_minor"])
async def test_control_totals_that_were_altered_are_found(books: Books, figure: str):
    def change(body: dict) -> None:
        body["totals"]["bank_accounts"]["EUR-1"][figure] += 1

    await _edit_event(books, "%day.closed%", change)
    findings = await books.audit()
    assert any(re.search(r"day.closed acme .* EUR-1", text) for text in findings.texts)


async def test_a_bank_line_that_never_came_to_the_books_is_found(books: Books):
    lost = next(e for e in books.company.inputs if e.type == "payment.received")
    books.company.inputs.append(
        type(lost)(**{f: getattr(lost, f) for f in lost.__slots__} | {
            "id": "00000000-0000-0000-0000-000000000001", "sequence": 10_000,
            "data": {**lost.data, "payment_id": "00000000-0000-0000-0000-000000000002"},
        })
    )  # fmt: skip
    findings = await books.audit()
    assert any("the ledger is silent" in text for text in findings.texts)
    assert any("lines of the bank in the journal" in text for text in findings.texts)
