"""Facts of `ar.accounts` and refused contacts: the last state that was read of each account and contact stands."""

from services.reporting.projections.rows import Rows
from shared.events.accounts import AccountState, ContactUpdated
from shared.events.codec import Event
from shared.events.notifications import ContactInvalidated

ACCOUNT_COLUMNS = (
    "company", "account_id", "party_id", "name", "debtor_kind", "country", "region", "industry", "segment", "language",
    "currency", "time_zone", "terms", "collector", "sales_owner", "confidentiality", "status", "credit_limit_minor",
    "customer_since_on", "access_targets",
)  # fmt: skip
CONTACT_COLUMNS = (
    "company", "account_id", "contact_id", "name", "email", "phone", "address", "language", "roles", "channels",
    "valid",
)  # fmt: skip


def account(rows: Rows, event: Event) -> None:
    data: AccountState = event.data
    rows.put("account", (data.company, data.account_id), {name: getattr(data, name) for name in ACCOUNT_COLUMNS})


def contact(rows: Rows, event: Event) -> None:
    data: ContactUpdated = event.data
    key = (data.company, data.account_id, data.contact_id)
    rows.put("contact", key, {name: getattr(data, name) for name in CONTACT_COLUMNS})


def refused(rows: Rows, event: Event) -> None:
    data: ContactInvalidated = event.data
    row = {name: getattr(data, name) for name in ("company", "account_id", "contact_id", "channel", "evidence")}
    rows.put("contact_refusal", (data.company, data.account_id, data.contact_id, data.channel), row)
