"""A small quarter for pages and API: forty accounts, five weeks, two currencies, every kind of fact once at least.

The names of three debtors are hostile: markup, a formula, and right-to-left text.
"""

from datetime import date, timedelta
from typing import Any

from shared.events import accounts, collections, ledger, notifications, payments
from shared.ids import derive
from tests.store.reporting.world import World, at

HOSTILE = '<script>alert("x")</script> & Söhne'
FORMULA = '=HYPERLINK("http://evil.example","click")'
RIGHT_TO_LEFT = "שלום חברה בע״מ"
NAMES = ("Alder Legal LLP", "Baltic Shipyards AG", "Canvas Biotech Inc", "Delta Energy Partners", "Eiger Capital GmbH")
INDUSTRIES = ("legal", "shipping", "biotech", "energy", "private_equity")
COUNTRIES = ("DE", "GB", "US", "NL", "FR", "AT")
START = date(2026, 2, 2)
DAYS = 25
ACCOUNTS = 40


def account_id(number: int) -> str:
    return f"C-{1000 + number}"


def name_of(number: int) -> str:
    special = {1: HOSTILE, 2: FORMULA, 3: RIGHT_TO_LEFT}
    return special.get(number) or f"{NAMES[number % 5]} {number}"


def currency_of(number: int) -> str:
    return "USD" if number % 5 == 2 else "EUR"


async def masterdata(world: World) -> None:
    facts: list[Any] = []
    for n in range(ACCOUNTS):
        facts.append(
            world.account(
                account_id(n), name=name_of(n), country=COUNTRIES[n % 6], industry=INDUSTRIES[n % 5],
                currency=currency_of(n), debtor_kind="organisation", terms="NET 30", sales_owner="sam",
                credit_limit_minor=5_000_000, customer_since_on=date(2022, 5, 1), access_targets=[f"room-{n}"],
            )
        )  # fmt: skip
        facts.append(
            accounts.ContactUpdated(
                company=world.company, account_id=account_id(n), contact_id="k1", name=f"Pat Payer {n}",
                roles=["payer", "approver"], email=f"ap{n}@debtor.example", phone="+49 30 1234567", channels=["email"],
            )
        )  # fmt: skip
    await world.tell(*facts)


def numbers_of(n: int) -> list[tuple[str, int, date]]:
    """Documents of an account: number, amount, due date."""
    return [
        (
            f"INV-{n:02d}{k:02d}",
            84_000 + 13_700 * ((n * 7 + k * 3) % 11),
            START + timedelta(days=(n * 5 + k * 17) % 95 - 70),
        )
        for k in range(6)
    ]


async def documents(world: World) -> None:
    facts: list[Any] = []
    for n in range(ACCOUNTS):
        for number, amount, due_on in numbers_of(n):
            common = {"account_id": account_id(n), "currency": currency_of(n), "due_on": due_on}
            facts.append(world.invoice(number, amount, document_on=due_on - timedelta(days=30), **common))
            facts.append(world.item(number, amount, accounted_on=min(world.on, due_on - timedelta(days=30)), **common))
    await world.tell(*facts)


async def cash_of_day(world: World, number: int) -> None:
    """Some accounts pay their next item: whole, short with a discount, or partly; some cash stays waiting."""
    facts: list[Any] = []
    for n in range(number % 3, ACCOUNTS, 3):
        place = number // 3
        if place >= 4 or n % 7 == 6:
            continue
        invoice, amount, due_on = numbers_of(n)[place]
        common: dict[str, Any] = {"account_id": account_id(n), "currency": currency_of(n)}
        discount = 1_000 if n % 6 == 0 else 0
        paid = amount // 2 if n % 8 == 5 else amount - discount
        name = f"P-{number}-{n}"
        remaining = amount - paid - discount
        relief = {"cash": paid, "discount": discount} if discount else {"cash": paid}
        facts += [
            world.received(
                name,
                paid,
                currency_of(n),
                payer=payments.Payer(name=name_of(n)),
                remittance_text=[f"{invoice} thank you"],
            ),
            world.item(
                invoice, amount, due_on=due_on, remaining=remaining, relief=relief, accounted_on=world.on, **common
            ),
            world.state(name, paid, applied={invoice: paid}, **common),
        ]
    if number % 4 == 0:
        facts += _waiting(world, number)
    await world.tell(*facts)


def _waiting(world: World, number: int) -> list[Any]:
    lost, known = f"U-{number}", f"W-{number}"
    return [
        world.received(
            lost, 45_000 + number, remittance_text=["invoice as agreed"], payer=payments.Payer(name="J. Doe")
        ),
        world.state(lost, 45_000 + number, unidentified=45_000 + number, reason_code="NO_EVIDENCE"),
        world.received(known, 30_000, payer=payments.Payer(name=name_of(4))),
        world.state(known, 30_000, unapplied=30_000, account_id=account_id(4), rule="payer_known"),
        world.cash(30_000 * (number // 4 + 1), account_id=account_id(4)),
        ledger.CashCandidate(
            company=world.company, candidate_id=derive("candidate", number), account_id=account_id(4),
            amount_minor=30_000, currency="EUR", evidence=["name"], source="unapplied", since_on=world.on,
        ),
        ledger.PaymentSuggested(
            company=world.company, payment_id=world.payment_id(known), account_id=account_id(4), amount_minor=30_000,
            currency="EUR", items=[], rank=1, lambda_value="0.02", rule="amount",
        ),
    ]  # fmt: skip


async def work_of_day(world: World, number: int) -> None:
    """Notices, promises, disputes, holds and notes."""
    facts: list[Any] = []
    codes = (("CASH_CANDIDATE",), (), ("BANK_DATA_INCOMPLETE", "CASH_CANDIDATE"), (), ("PROMISE",), ("DISPUTED",))
    for n in range(number % 5, ACCOUNTS, 9):
        invoice, amount, _ = numbers_of(n)[5]
        asked = world.asked(f"N-{number}-{n}", invoice, amount, account_id(n), kind="reminder", level=1 + n % 3)
        facts += [asked, world.outcome(asked, *codes[(n + number) % 6])]
    if number % 5 == 1:
        n = number
        facts.append(world.promise(f"R-{n}", 90_000, world.on + timedelta(days=6), account_id=account_id(n)))
    if number % 5 == 4 and number > 5:
        n = number - 3
        status = ("kept", "broken", "partly_kept")[n % 3]
        received = {"kept": 90_000, "broken": 0, "partly_kept": 40_000}[status]
        facts.append(
            world.promise(
                f"R-{n}", 90_000, world.on - timedelta(days=1), status, account_id=account_id(n), received=received
            )
        )
    if number == 8:
        facts += _trouble(world)
    await world.tell(*facts)


def _trouble(world: World) -> list[Any]:
    n = 1
    invoice, amount, due_on = numbers_of(n)[4]
    held = world.hold("H-1", account_id=account_id(n), targets=[f"room-{n}"])
    waits = world.hold("H-2", collections.HoldProposed, account_id=account_id(7), approved_by="")
    late = world.hold("H-3", account_id=account_id(9))
    lost = world.asked("N-lost", invoice, amount, account_id(n))
    note = "<b>Said</b> that the invoice went to the wrong office; sent a copy."
    return [
        world.dispute(invoice, amount // 2, account_id(n), text="Second month <i>was</i> not used"),
        world.item(
            invoice, amount, due_on=due_on, disputed=amount // 2, account_id=account_id(n), currency=currency_of(n)
        ),
        held,
        world.confirmed(held),
        waits,
        late,
        lost,
        notifications.NoticeUnknown(
            company=world.company, notice_id=lost.notice_id, account_id=lost.account_id, message_id="<x>",
            code="CONNECTION_LOST",
        ),
        collections.ActivityLogged(
            company=world.company, activity_id=derive("activity", 1), account_id=account_id(n), kind="call",
            outcome_code="will_check", text=note, done_on=world.on, by="colin", next_step="call_again",
            next_on=world.on + timedelta(days=3),
        ),
        collections.EscalationRaised(
            company=world.company, escalation_id=derive("escalation", 1), account_id=account_id(n), level=1, to="sue",
            reason="Three reminders without an answer", overdue_minor=amount, currency="EUR", raised_on=world.on,
        ),
        payments.RecordQuarantined(
            company=world.company, record_id=derive("record", 1), kind="invoice", account_id=account_id(5),
            amount_minor=12_345, currency="EUR", reason="due_on 2026-01-01 is before document_on 2026-02-01",
        ),
        payments.StatementHeld(
            company=world.company, statement_id="2026-17", bank_account="USD-1", currency="USD", from_on=world.on,
            to_on=world.on, opening_minor=0, closing_minor=700, reason="opening balance does not continue 2026-15",
            credits=[payments.HeldCredit(amount_minor=700)],
        ),
        payments.StatementGapNoticed(
            company=world.company, statement_id="2026-17", bank_account="USD-1", expected="2026-16", found="2026-17"
        ),
    ]  # fmt: skip


async def vouched(world: World) -> dict[str, Any]:
    """What the subledger would vouch for: sums of the current states, since nothing is dated later here."""
    items = await world.rows(
        "select currency, side, sum(remaining_minor)::bigint as minor from item where company = $1 group by 1, 2",
        world.company,
    )
    cash = await world.rows(
        "select bank_account, currency, sum(applied_minor)::bigint as applied_minor, "
        "sum(unapplied_minor)::bigint as unapplied_minor from payment_part where company = $1 group by 1, 2",
        world.company,
    )
    lines = await world.rows(
        "select bank_account, sum(amount_minor)::bigint as credits_minor from receipt where company = $1 group by 1",
        world.company,
    )
    unknown = await world.rows(
        "select bank_account, sum(unidentified_minor)::bigint as unidentified_minor from payment "
        "where company = $1 group by 1",
        world.company,
    )
    totals: dict[str, Any] = {"items": {}, "bank_accounts": {}}
    for row in items:
        totals["items"].setdefault(row["currency"], {})[f"{row['side']}_minor"] = row["minor"]
    for row in [*cash, *lines, *unknown]:
        bank = row.pop("bank_account")
        totals["bank_accounts"].setdefault(bank, {"currency": bank[:3]}).update(row)
    return totals


async def live(world: World, days: int = DAYS, wrong_cent: bool = False) -> World:
    """Live through the days; with `wrong_cent` the subledger vouches for one cent more on the last."""
    world.on = START
    await masterdata(world)
    await documents(world)
    for number in range(days):
        await cash_of_day(world, number)
        await work_of_day(world, number)
        totals = await vouched(world)
        if wrong_cent and number == days - 1:
            totals["items"]["EUR"]["debit_minor"] += 1
        await world.close(totals)
    async with world.pool.acquire() as db:
        reach = {world.company: {"bank_accounts": {"EUR-1": str(world.on - timedelta(days=1)), "USD-1": None}}}
        await db.execute("update business_clock set reach = $1, at = $2", reach, at(world.on, 7))
    return world
