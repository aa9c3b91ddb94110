"""Customers, contacts and links of the ERP as facts. The ERP sends whole states; what changed is found here.

Invariant: the same state twice is no event.
"""

from typing import Any

from services.ingest.domain.fields import Body, Refused, build, currency, day, listed, minor, required, text, yes_no
from shared.events.accounts import (
    AccountLinked,
    AccountRegistered,
    AccountState,
    AccountUnlinked,
    AccountUpdated,
    ContactUpdated,
)

State = dict[str, Any]
_PLAIN = (
    "party_id", "region", "subdivision", "industry", "segment", "time_zone", "terms", "collector", "sales_owner",
)  # fmt: skip


def account_values(company: str, body: Body) -> State:
    """Checked values of an account's state, without the event's own fields."""
    code = currency(body)
    limit = body.get("credit_limit")
    return {
        "company": company,
        "account_id": _key(body, "account_id"),
        "name": required(body, "name"),
        "debtor_kind": text(body, "debtor_kind", "unknown"),
        "country": required(body, "country").upper(),
        "language": text(body, "language", "en"),
        "currency": code,
        "tax_ids": listed(body, "tax_ids"),
        "external_ids": listed(body, "external_ids"),
        "credit_limit_minor": None if limit in (None, "") else minor(limit, code, "credit_limit"),
        "customer_since_on": day(body, "customer_since_on"),
        "bank_accounts": paying_accounts(body),
        "access_targets": listed(body, "access_targets"),
        "confidentiality": text(body, "confidentiality", "normal"),
        "status": text(body, "status", "active"),
        **{name: text(body, name) for name in _PLAIN},
    }


def paying_accounts(body: Body) -> list[dict[str, str]]:
    """Bank accounts from which the customer pays: texts, `IBAN=NAME` texts, or objects with `iban` and `name`."""
    value = body.get("bank_accounts")
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        entries = [(required(entry, "iban"), text(entry, "name")) for entry in value]
    else:
        entries = [(iban, name) for iban, _, name in (entry.partition("=") for entry in listed(body, "bank_accounts"))]
    return [{"iban": "".join(iban.split()).upper(), "name": name.strip()} for iban, name in entries]


def account_event(company: str, body: Body, before: State | None) -> AccountRegistered | AccountUpdated | None:
    """The event for a customer record given the state before, None when nothing changed."""
    values = account_values(company, body)
    if before is None:
        return build(AccountRegistered, **values)
    after = state_of(build(AccountRegistered, **values))
    changed = sorted(name for name in after if after[name] != before.get(name))
    return build(AccountUpdated, **values, changed=changed[:50]) if changed else None


def state_of(event: AccountState) -> State:
    """Plain JSON values of an account's state, to compare with the next one."""
    return event.model_dump(mode="json", exclude={"changed"})


def contact_event(company: str, body: Body, before: State | None) -> ContactUpdated | None:
    """The event for a contact record, None when nothing changed."""
    event = build(
        ContactUpdated,
        company=company,
        account_id=_key(body, "account_id"),
        contact_id=_key(body, "contact_id"),
        roles=listed(body, "roles"),
        channels=listed(body, "channels"),
        consents=listed(body, "consents"),
        valid=yes_no(body, "valid", True),
        **{name: text(body, name) for name in ("name", "email", "phone", "address", "language", "time_zone")},
    )
    return event if event.model_dump(mode="json") != before else None


def link_event(company: str, body: Body, before: State | None) -> AccountLinked | AccountUnlinked | None:
    """Linked; or unlinked when the record's `to_on` ends a link that was open before. None when nothing changed."""
    values = {
        "company": company,
        "account_id": _key(body, "from_account_id"),
        "to_account_id": _key(body, "to_account_id"),
        "kind": required(body, "kind"),
        "from_on": day(body, "from_on"),
        "to_on": day(body, "to_on"),
    }
    if values["account_id"] == values["to_account_id"]:
        raise Refused("link_to_itself", "to_account_id", "an account cannot be linked to itself")
    ended = before is not None and before.get("to_on") is None and values["to_on"] is not None
    event = build(AccountUnlinked if ended else AccountLinked, **values)
    return event if event.model_dump(mode="json") != before else None


def _key(body: Body, name: str) -> str:
    """An id that can stand in a Kafka key: no blanks, no `/`, not beginning with `~`."""
    found = required(body, name)
    if len(found) > 60 or found.startswith("~") or "/" in found or any(char.isspace() for char in found):
        raise Refused("id_not_valid", name, f"{found[:60]!r} has a blank or '/', a leading '~' or over 60 characters")
    return found


account_key = _key
