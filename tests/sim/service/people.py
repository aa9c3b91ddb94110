"""What people do in a plan, each by the service's own command. What a rule refuses is noted, for both runs must refuse
the same.

Invariant: who acts on cash acts on that of an earlier day, which the day's close has settled.
"""

from typing import Any

from services.cash_application.domain import commands as cash
from services.collections.domain import commands as asked
from shared.errors import Rejected
from shared.ids import document_id, item_id
from tests.sim.service.business import COMPANY, Action, Plan


async def perform(driver: Any, plan: Plan, action: Action) -> None:
    """One thing that a person does; what a rule refuses is noted, for both runs must refuse the same."""
    try:
        await ACTIONS[action.what](driver, action)
    except Rejected as refusal:
        driver.world.refused.append(f"{action.what} {action.ref} {refusal.code}")


def item_of(number: str) -> Any:
    return item_id(document_id(COMPANY, "erp", "invoice", number.removeprefix("R-")))


async def _promise(driver: Any, action: Action) -> None:
    body = asked.MakePromise(
        account_id=action.account_id, amount_minor=action.amount_minor, currency="EUR", due_on=action.due_on,
        items=[item_of(action.number)], contact_id=f"k-{action.account_id}",
    )  # fmt: skip
    await driver.command("collections", "colin", "promises", action.ref, body, action.account_id)


async def _dispute(driver: Any, action: Action) -> None:
    body = asked.OpenDispute(account_id=action.account_id, item_id=item_of(action.number),
                             disputed_minor=action.amount_minor, reason_code="PRICE", text="too much")  # fmt: skip
    reply = await driver.command("collections", "colin", "disputes", action.ref, body, action.account_id)
    driver.replies[action.ref] = reply


async def _resolve(driver: Any, action: Action) -> None:
    if action.ref not in driver.replies:
        return
    body = asked.ResolveDispute(account_id=action.account_id, dispute_id=driver.replies[action.ref]["dispute_id"],
                                outcome="rejected")  # fmt: skip
    await driver.command("collections", "sue", "disputes/resolve", action.ref, body, action.account_id)


async def _approve(driver: Any, action: Action) -> None:
    """Every hold that is proposed, as the list of holds shows it."""
    rows = await driver.world.databases.rows(
        "collections", "select hold_id, account_id, body_sha256 from hold where status = 'proposed' order by hold_id"
    )
    for row in rows:
        body = asked.DecideHold(account_id=row["account_id"], hold_id=row["hold_id"],
                                body_sha256=row["body_sha256"], approve=True, reason="nothing came")  # fmt: skip
        key = f"{action.ref} {row['hold_id']}"
        await driver.command("collections", "conrad", "holds/approve", key, body, row["account_id"])


async def _identify(driver: Any, action: Action) -> None:
    """A payment of an earlier day without an account is said to be of one."""
    for row in await driver.world.databases.rows("cash_application", UNIDENTIFIED, action.due_on):
        body = cash.Identify(payment_id=row["payment_id"], account_id=action.account_id)
        await driver.command("cash_application", "ana", "identify", action.ref, body, action.account_id)


async def _unapply(driver: Any, action: Action) -> None:
    """What the bank paid on an earlier day is taken off its document again."""
    for row in await driver.world.databases.rows("cash_application", APPLIED, item_of(action.number)):
        body = cash.Unapply(payment_id=row["payment_id"], posting_id=row["posting_id"], reason_code="MISAPPLIED")
        reply = await driver.command("cash_application", "ana", "unapply", action.ref, body, action.account_id)
        driver.replies[action.ref] = reply


async def _apply(driver: Any, action: Action) -> None:
    """And put on it by hand."""
    if action.ref not in driver.replies:
        return
    line = cash.ApplyLine(item_id=item_of(action.number), cash_minor=action.amount_minor)
    body = cash.Apply(payment_id=driver.replies[action.ref]["payment_id"], currency="EUR", lines=[line])
    await driver.command("cash_application", "ana", "apply", f"again {action.ref}", body, action.account_id)


async def _refund(driver: Any, action: Action) -> None:
    """Cash of an earlier day that waits on its account is asked back by one person and approved by another."""
    for row in await driver.world.databases.rows("cash_application", WAITING, action.due_on):
        account_id, amount = row["account_id"], row["open_minor"]
        asked_back = cash.RequestRefund(payment_id=row["payment_id"], account_id=account_id, amount_minor=amount,
                                        currency="EUR")  # fmt: skip
        reply = await driver.command("cash_application", "ana", "refunds", action.ref, asked_back, account_id)
        approval = cash.ApproveRefund(payment_id=row["payment_id"], refund_id=reply["refund_id"],
                                      shown_amount_minor=amount)  # fmt: skip
        await driver.command("cash_application", "conrad", "refunds/approve", action.ref, approval, account_id)


UNIDENTIFIED = """
select payment_id from receipt where unidentified_minor > 0 and business_date < $1 order by payment_id limit 1
"""
APPLIED = """
select payment_id, posting_id from application where item_id = $1 and reversed_by is null order by posting_id limit 1
"""
WAITING = """
select payment_id, account_id, open_minor from receipt
where open_minor > 0 and unidentified_minor = 0 and account_id <> '' and business_date < $1 order by payment_id limit 1
"""
ACTIONS = {"promise": _promise, "dispute": _dispute, "resolve": _resolve, "approve": _approve, "identify": _identify,
           "unapply": _unapply, "apply": _apply, "refund": _refund}  # fmt: skip
