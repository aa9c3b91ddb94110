"""Company and policies of a plan, entered as a person would: proposed by one, approved by another."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.ingest.domain import policies as policy_files
from services.ingest.domain.commands import ApprovePolicy, ConfigureCompany, ProposePolicy
from shared.events.control import BankAccount, CompanyConfigured
from tests.sim.service.business import BANK, COMPANY, COMPANY_IBAN, Plan, policies

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
