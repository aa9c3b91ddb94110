"""Own copies of accounts and contacts, as ar.accounts tells them. Contacts found undeliverable stay so until their
address changes."""

from dataclasses import replace

from services.collections.domain.case import Case
from services.collections.domain.rows import Contact
from shared.events.accounts import AccountState, ContactUpdated
from shared.events.notifications import ContactInvalidated

_COPIED = (
    "name", "debtor_kind", "country", "segment", "language", "currency", "time_zone", "collector", "sales_owner",
    "customer_since_on", "access_targets", "confidentiality", "status",
)  # fmt: skip


def take_account(case: Case, fact: AccountState) -> None:
    case.put(replace(case.account, known=True, **{name: getattr(fact, name) for name in _COPIED}))


def take_contact(case: Case, fact: ContactUpdated) -> None:
    before = case.contacts.get(fact.contact_id)
    addresses = {"email": fact.email, "letter": fact.address, "call": fact.phone}
    invalid = [
        channel
        for channel in (before.invalid_channels if before else [])
        if before and addresses.get(channel) == _address(before, channel)
    ]
    case.put(
        Contact(
            company=case.company,
            account_id=case.account_id,
            contact_id=fact.contact_id,
            name=fact.name,
            roles=list(fact.roles),
            email=fact.email,
            phone=fact.phone,
            address=fact.address,
            language=fact.language,
            time_zone=fact.time_zone,
            channels=list(fact.channels),
            valid=fact.valid,
            invalid_channels=invalid,
        )
    )


def invalidate(case: Case, fact: ContactInvalidated) -> None:
    contact = case.contacts.get(fact.contact_id)
    if contact is not None and fact.channel not in contact.invalid_channels:
        case.put(replace(contact, invalid_channels=[*contact.invalid_channels, fact.channel]))


def _address(contact: Contact, channel: str) -> str:
    return {"email": contact.email, "letter": contact.address, "call": contact.phone}.get(channel, "")
