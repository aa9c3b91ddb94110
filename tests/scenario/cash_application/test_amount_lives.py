"""After any sequence of batches the candidates by exact amount are those that all items and all waiting cash give."""

from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local import databases
from services.cash_application.domain import amount_evidence, commands
from services.cash_application.store import connecting
from shared.events.collections import DisputeOpened
from shared.events.ledger import CashCandidate, CashCandidateCleared
from shared.events.payments import HeldCredit, StatementReleased
from shared.ids import derive
from tests.scenario.cash_application.database import EMPTY
from tests.scenario.cash_application.desk import (
    ACME,
    DAY,
    Desk,
    cancelled,
    credit,
    customer,
    invoice,
    item,
    payment,
    returned,
)
from tests.scenario.cash_application.test_candidates import STATEMENT, held

FIT_MAX = 2
ACCOUNTS = [f"C{n}" for n in range(4)]
AMOUNTS = [1_000, 2_000, 3_000, 4_000]
FITTING = """
select r.origin_id, r.open_minor, array_agg(distinct i.account_id) as accounts
from (
  select company, payment_id as origin_id, currency, open_minor from receipt where open_minor > 0 and not by_person
  union all select company, origin_id, currency, amount_minor from unbooked_cash
) r join open_item i on i.company = r.company and i.currency = r.currency and i.side = 'debit'
  and i.remaining_minor > 0 and r.open_minor in (i.remaining_minor, i.remaining_minor - i.disputed_minor)
group by r.origin_id, r.open_minor
"""
steps = st.tuples(
    st.sampled_from(
        [
            "invoice",
            "invoice",
            "stranger",
            "stranger",
            "pay",
            "pay",
            "credit",
            "cancel",
            "dispute",
            "return",
            "hold",
            "release",
        ]
    ),
    st.integers(0, 9),
    st.sampled_from(AMOUNTS),
)
batches = st.lists(
    st.one_of(st.lists(steps, min_size=1, max_size=4), st.just("close"), st.just("unapply")), max_size=14
)


class Facts:
    """Turns drawn steps into facts about documents and payments that exist."""

    def __init__(self) -> None:
        self.owners: list[str] = []
        self.payments = 0
        self.things = 0

    def of(self, step: tuple[str, int, int]) -> list[Any]:
        kind, pick, minor = step
        self.things += 1
        if kind == "invoice":
            self.owners.append(ACCOUNTS[pick % len(ACCOUNTS)])
            return [invoice(_number(len(self.owners) - 1), minor, self.owners[-1])]
        if kind == "stranger":
            return [self._payment(minor, "hello")]
        if kind == "hold":
            cites = [_number(pick)] if pick % 2 else []
            credits = [HeldCredit(amount_minor=minor, references=cites)]
            return [held(*credits).model_copy(update={"statement_id": f"S-{pick}"})]
        if kind == "release":
            return [StatementReleased(**{**STATEMENT, "statement_id": f"S-{pick}"}, outcome="booked")]
        if kind == "return":
            return [returned(f"r{self.things}", minor, of=f"p{pick % self.payments}")] if self.payments else []
        if not self.owners:
            return []
        at = pick % len(self.owners)
        number, owner = _number(at), self.owners[at]
        if kind == "pay":
            return [self._payment(minor, number)]
        if kind == "credit":
            return [credit(f"CM-{self.things:05d}", minor, owner, on={number: minor})]
        if kind == "cancel":
            return [cancelled(number, owner)]
        return [self._dispute(at, owner, minor)]

    def _payment(self, minor: int, text: str) -> Any:
        self.payments += 1
        return payment(f"p{self.payments - 1}", minor, text, payer="", iban="")

    def _dispute(self, at: int, owner: str, minor: int) -> Any:
        return DisputeOpened(
            company=ACME, dispute_id=derive("dispute", at), version=self.things, account_id=owner,
            item_id=item(_number(at)), disputed_minor=minor, currency="EUR", reason_code="QUALITY", opened_on=DAY,
            status="open",
        )  # fmt: skip


def _number(at: int) -> str:
    return f"INV-2026-{at:05d}"


async def _unapply(desk: Desk) -> list:
    row = await desk.row(
        "select payment_id, posting_id from application where reversed_by is null order by posting_id limit 1"
    )
    if row is None:
        return []
    return await desk.command(
        commands.Unapply(payment_id=row["payment_id"], posting_id=row["posting_id"], reason_code="MISAPPLIED")
    )


def _listen(heard: dict, told: list) -> None:
    """What a reader of the events believes. One told twice or cleared without standing fails."""
    for fact in told:
        if isinstance(fact, CashCandidate):
            assert heard.get(fact.candidate_id) != fact, "told though nothing changed"
            heard[fact.candidate_id] = fact
        elif isinstance(fact, CashCandidateCleared):
            assert heard.pop(fact.candidate_id, None) is not None, "cleared though it did not stand"


async def _check(desk: Desk, heard: dict) -> None:
    rows = await desk.rows("select * from candidate where open")
    assert {r["candidate_id"] for r in rows} == heard.keys()
    fits = {r["origin_id"]: r for r in await desk.rows(FITTING)}
    wanted = {
        (r["origin_id"], account, r["open_minor"])
        for r in fits.values()
        if len(r["accounts"]) <= FIT_MAX
        for account in r["accounts"]
    }
    persons = {r["payment_id"] for r in await desk.rows("select payment_id from receipt where by_person")}
    rows = [r for r in rows if r["payment_id"] not in persons]
    everything = {(r["origin_id"], r["account_id"], r["amount_minor"]) for r in rows}
    alone = {(r["origin_id"], r["account_id"], r["amount_minor"]) for r in rows if r["evidence"] == ["exact_amount"]}
    assert wanted <= everything
    assert alone <= wanted


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=batches)
async def test_candidates_by_amount_are_those_of_a_recomputation(
    ledger_database: databases.DatabaseAddress, ledger_pool: asyncpg.Pool, drawn: list
):
    owner = await databases.connect(ledger_database.owner_dsn)
    await owner.execute(EMPTY)
    await owner.close()
    desk, facts, heard = Desk(ledger_pool, amount_accounts_max=FIT_MAX), Facts(), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amount_evidence, "ACCOUNTS_MAX", FIT_MAX)
        patch.setattr(connecting, "ACCOUNTS_MAX", FIT_MAX)
        await desk.feed(*(customer(account, f"Kunde {account}", "") for account in ACCOUNTS))
        for batch in drawn:
            if batch == "close":
                told = await desk.close()
            elif batch == "unapply":
                told = await _unapply(desk)
            else:
                made = [fact for step in batch for fact in facts.of(step)]
                told = await desk.feed(*made) if made else []
            _listen(heard, told)
            await _check(desk, heard)
