"""Contact rules: whether this debtor may be written to at all, on this channel, to this address, at this hour.

Profiles that match are merged to the strictest. What is unknown is forbidden (an account of an unknown kind counts
as a natural person). Rules of debt-collection practice by debtor kind and country; local time decides.
"""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.notifications.domain.model import Account, Contact, Known
from services.notifications.domain.policy import ADDRESS, DAYS, ContactPolicy, Profile
from shared import calendars
from shared.events.notifications import Reason

_ADDRESS = re.compile(ADDRESS)
ADDRESS_CHARS_MAX = 254


def profiles_for(account: Account, policy: ContactPolicy) -> list[Profile]:
    """Profiles that apply to the account; all of them bind."""
    return [
        profile
        for profile in policy.profiles
        if account.debtor_kind in profile.debtor_kinds and profile.countries & {"*", account.country}
    ]


def hard_stops(known: Known, policy: ContactPolicy) -> list[Reason]:
    """Reasons of the account alone, on whatever channel: unknown, no longer there, insolvent."""
    if known.account is None:
        return [Reason(code="ACCOUNT_UNKNOWN", evidence=known.account_id)]
    if known.account.status in policy.hard_stops:
        return [Reason(code="HARD_STOP", evidence=known.account.status)]
    return []


def forbidden(known: Known, contact_id: str, channel: str, policy: ContactPolicy, now: datetime) -> list[Reason]:
    """Reasons that no later hour would take away."""
    reasons = hard_stops(known, policy)
    if known.account is None:
        return reasons
    profiles = profiles_for(known.account, policy)
    if not profiles:
        reasons.append(Reason(code="NO_PROFILE", evidence=f"{known.account.debtor_kind}/{known.account.country}"))
    for profile in profiles:
        reasons += _against_profile(profile, known, contact_id, channel, now)
    return reasons + _against_contact(known.contacts.get(contact_id), contact_id, channel, policy)


def not_now(known: Known, contact_id: str, policy: ContactPolicy, now: datetime, company_zone: str) -> list[Reason]:
    """Reasons of the hour: outside the window or a holiday where the debtor is. A later tick may take them away."""
    if known.account is None:
        return []
    contact = known.contacts.get(contact_id)
    zones = zones_of(known.account, contact) or {company_zone}
    reasons = []
    for profile in profiles_for(known.account, policy):
        for zone in sorted(zones):
            reasons += _against_hour(profile, known.account, now.astimezone(ZoneInfo(zone)))
    return list(dict.fromkeys(reasons))


def zones_of(account: Account, contact: Contact | None) -> set[str]:
    """Every time zone in which the reader may be; the hour must be right in all of them."""
    named = {account.time_zone, contact.time_zone if contact else ""}
    return {zone for zone in named if zone and _is_zone(zone)}


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _against_profile(profile: Profile, known: Known, contact_id: str, channel: str, now: datetime) -> list[Reason]:
    reasons = []
    if channel not in profile.channels:
        reasons.append(Reason(code="CHANNEL_CLOSED", evidence=f"{channel} by profile {profile.name}"))
    if profile.needs_own_time_zone and not zones_of(known.account, known.contacts.get(contact_id)):
        reasons.append(Reason(code="TIME_ZONE_UNKNOWN", evidence=profile.name))
    since = now.date() - timedelta(days=profile.cap.days - 1)
    sent = sum(day >= since for day in known.sent_on)
    if sent >= profile.cap.n:
        reasons.append(Reason(code="CAP_REACHED", evidence=f"{sent} notices in {profile.cap.days} days"))
    return reasons


def _against_contact(contact: Contact | None, contact_id: str, channel: str, policy: ContactPolicy) -> list[Reason]:
    if contact is None:
        return [Reason(code="CONTACT_UNKNOWN", evidence=contact_id)]
    reasons = []
    if not contact.valid:
        reasons.append(Reason(code="CONTACT_INVALID", evidence=contact_id))
    elif channel == "email" and not is_address(contact.email):
        reasons.append(Reason(code="CONTACT_INVALID", evidence=f"{contact_id} has no usable e-mail address"))
    if contact.channels and channel not in contact.channels:
        reasons.append(Reason(code="CHANNEL_CLOSED", evidence=f"{channel} by contact {contact_id}"))
    objections = sorted(contact.consents & policy.objections)
    if objections:
        reasons.append(Reason(code="OBJECTION", evidence=f"{contact_id}: {', '.join(objections)}"))
    return reasons


def is_address(text: str) -> bool:
    """Whether `text` is one plain address; anything that could smuggle a header or a second recipient is none."""
    return len(text) <= ADDRESS_CHARS_MAX and _ADDRESS.fullmatch(text) is not None


def _against_hour(profile: Profile, account: Account, local: datetime) -> list[Reason]:
    window = profile.window
    if DAYS[local.weekday()] not in window.days:
        return [Reason(code="OUTSIDE_WINDOW", evidence=f"{DAYS[local.weekday()]} by profile {profile.name}")]
    if not window.start <= local.time() < window.end:
        return [Reason(code="OUTSIDE_WINDOW", evidence=f"{local:%H:%M} by profile {profile.name}")]
    if profile.holidays and calendars.is_calendar(account.country):
        if local.date() in calendars.holidays_of(account.country, local.year):
            return [Reason(code="HOLIDAY", evidence=f"{local.date()} in {account.country}")]
    return []
