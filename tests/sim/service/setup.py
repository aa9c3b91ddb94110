"""Company and policies of a plan, entered as a person would: proposed by one, approved by another."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.cash_application.domain import commands as cash
from services.collections.domain import commands as asked
from services.ingest.domain import policies as policy_files
from services.ingest.domain.commands import ApprovePolicy, ConfigureCompany, ProposePolicy
from shared.errors import Rejected
from shared.events.control import BankAccount, CompanyConfigured
from shared.ids import document_id, item_id
from tests.sim.service.business import BANK, COMPANY, COMPANY_IBAN, Action, Plan, policies

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "policies"
CONFIGURED = CompanyConfigured(
    company=COMPANY, name="Sim GmbH", base_currency="EUR", time_zone="Europe/Berlin", calendar="XECB",
    bank_accounts=[BankAccount(id=BANK, iban=COMPANY_IBAN, currency="EUR", identity_rule="entry_reference")],
    source_systems=["erp"],
)  # fmt: skip


async def configure(driver: Any, plan: Plan) -> None:
    body = ConfigureCompany(company=CONFIGURED)
    await driver.command("ingest", "otto", "configure_company", "configure", body, new_company=True)
    for name, changes in policies(plan).items():
        content = policy_files.plain(_policy_file(name) | changes)
        digest = policy_files.sha256_of(content)
        proposal = ProposePolicy(name=name, version="1", effective_on=date(2025, 1, 1), content=content, sha256=digest)
        reply = await driver.command("ingest", "otto", "propose_policy", f"propose {name}", proposal)
        approval = ApprovePolicy(draft_id=reply["draft_id"], sha256=digest, kind="person", companies=[COMPANY])
        await driver.command("ingest", "conrad", "approve_policy", f"approve {name}", approval)


@cache
def _policy_file(name: str) -> dict[str, Any]:
    return yaml.safe_load((POLICIES / f"{name}.yaml").read_text(encoding="utf-8"))


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
    driver.disputes[action.ref] = reply["dispute_id"]


async def _resolve(driver: Any, action: Action) -> None:
    if action.ref not in driver.disputes:
        return
    body = asked.ResolveDispute(account_id=action.account_id, dispute_id=driver.disputes[action.ref],
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
    """A payment without an account is said to be of one; the first that waits, by its id."""
    rows = await driver.world.databases.rows(
        "cash_application", "select payment_id from receipt where unidentified_minor > 0 order by payment_id limit 1"
    )
    for row in rows:
        body = cash.Identify(payment_id=row["payment_id"], account_id=action.account_id)
        await driver.command("cash_application", "ana", "identify", action.ref, body, action.account_id)


ACTIONS = {"promise": _promise, "dispute": _dispute, "resolve": _resolve, "approve": _approve, "identify": _identify}
