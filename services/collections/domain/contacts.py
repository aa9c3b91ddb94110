"""Whom a notice goes to: a valid contact with an address for the channel, by the order of roles in the policy."""

from collections.abc import Sequence

from services.collections.domain.case import Case
from services.collections.domain.rows import Contact

_ADDRESS_OF = {"email": "email", "letter": "address"}


def usable(contact: Contact, channel: str) -> bool:
    """Valid, with an address, allowed on the channel (no list means every channel) and not known as undeliverable."""
    allowed = not contact.channels or channel in contact.channels
    return (
        contact.valid
        and allowed
        and channel not in contact.invalid_channels
        and bool(getattr(contact, _ADDRESS_OF[channel]))
    )


def choose(case: Case, channel: str, roles: Sequence[str]) -> Contact | None:
    """The contact for a notice: best role first, then contacts without any role; never one of a role left out."""

    def rank(contact: Contact) -> int | None:
        ranks = [roles.index(role) for role in contact.roles if role in roles]
        if ranks:
            return min(ranks)
        return len(roles) if not contact.roles else None

    ranked = [
        (place, contact.contact_id, contact)
        for contact in case.contacts.values()
        if usable(contact, channel) and (place := rank(contact)) is not None
    ]
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None
