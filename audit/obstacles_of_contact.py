"""Contact rules at the instant of sending: kind of debtor, country, channel, window, holiday, cap, address, objections.

A notice stands against them if it does in every state of account, contact and policy from the margin to the decision.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from audit.bank_days import is_calendar, is_holiday
from audit.contact_policy import DAYS, ContactPolicy, Profile
from audit.knowledge import Course, Knowledge
from audit.log_reader import Event

ADDRESS_CHARS_MAX = 254
_ADDRESS = re.compile(r"[^@\s<>()\[\],;:\"\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
LEFT = ("notice.sent", "notice.unknown")


@dataclass(frozen=True, slots=True)
class Writing:
    """One notice as contact rules see it. `account` or `contact` is None when nobody knew it."""

    account_id: str
    contact_id: str
    channel: str
    account: dict[str, Any] | None
    contact: dict[str, Any] | None
    at: datetime
    on: date
    company_zone: str
    sent_on: tuple[date, ...]


class ContactObstacles:
    """Asked notice by notice."""

    def __init__(self, known: Knowledge, companies: dict[str, Any]) -> None:
        self._known, self._companies = known, companies
        log = known.log
        self._left = {event.data["notice_id"] for event in log.of(*LEFT)}
        self._sending: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in log.of("notice.sending"):
            self._sending[event.company, event.data["account_id"]].append(event)

    def send_date(self, notice: Event) -> date:
        zone = self._companies[notice.company].get("time_zone", "UTC")
        return notice.instant("decided_at").astimezone(ZoneInfo(zone)).date()

    def against(self, notice: Event, policies: list[ContactPolicy]) -> Iterator[str]:
        decided_at, data = notice.instant("decided_at"), notice.data
        account_id, contact_id = data["account_id"], data.get("contact_id", "")
        contact_key = (notice.company, account_id, contact_id)
        accounts = _states(self._known.accounts.get((notice.company, account_id)), decided_at)
        contacts = _states(self._known.contacts.get(contact_key), decided_at)
        common = {
            "account_id": account_id, "contact_id": contact_id, "channel": data.get("channel", "email"),
            "at": decided_at, "on": self.send_date(notice), "sent_on": tuple(self._sent_before(notice)),
            "company_zone": self._companies[notice.company].get("time_zone", "UTC"),
        }  # fmt: skip
        found = [
            list(violations(policy, Writing(account=a, contact=c, **common)))
            for policy in policies for a in accounts for c in contacts
        ]  # fmt: skip
        if found and all(found):
            yield from found[-1]
        yield from self._refused(contact_key, decided_at)

    def _sent_before(self, notice: Event) -> Iterator[date]:
        """Send dates of other notices that left the account's way before this one was decided."""
        last: dict[str, Event] = {}
        for event in self._sending[notice.company, notice.data["account_id"]]:
            last[event.data["notice_id"]] = event
        order = {event.id: n for n, event in enumerate(self._sending[notice.company, notice.data["account_id"]])}
        for notice_id, event in last.items():
            earlier = order[event.id] < order[notice.id]
            if earlier and notice_id != notice.data["notice_id"] and notice_id in self._left:
                yield self.send_date(event)

    def _refused(self, contact: tuple[str, str, str], decided_at: datetime) -> Iterator[str]:
        refusals, states = self._known.refusals.get(contact), self._known.contacts.get(contact)
        refused = refusals.window(decided_at) if refusals else []
        stated = states.window(decided_at) if states else []
        if refused and stated and all(e.known_at < refused[-1].known_at for e in stated):
            yield f"contact {contact[2]} refused a mail for good before"


def _states(course: Course | None, decided_at: datetime) -> list[dict[str, Any] | None]:
    """What was known from the margin to the decision; what came later than the margin counts if nothing else did."""
    found = (course.window(decided_at) or course.until(decided_at)) if course else []
    return [event.data for event in found] or [None]


def violations(policy: ContactPolicy, writing: Writing) -> Iterator[str]:
    """Every rule that the notice broke, as sentences."""
    account, contact = writing.account, writing.contact
    if account is None:
        yield f"account {writing.account_id} is not known"
        return
    if account.get("status") in policy.hard_stops:
        yield f"account {writing.account_id} is {account['status']}"
    profiles = [profile for profile in policy.profiles if profile.fits(account)]
    if not profiles:
        kind = f"{account.get('debtor_kind', 'unknown')} in {account.get('country', '') or 'no country'}"
        yield f"no profile of {policy.label} is for a debtor who is {kind}"
    for profile in profiles:
        yield from _against_profile(profile, writing)
    yield from _against_contact(policy, writing)
    if contact is None:
        yield f"contact {writing.contact_id} is not known"


def _against_profile(profile: Profile, writing: Writing) -> Iterator[str]:
    by = f"by profile {profile.name}"
    if writing.channel not in profile.channels:
        yield f"channel {writing.channel} is closed {by}"
    zones = {z for part in (writing.account, writing.contact) if part and (z := zone_of(part.get("time_zone", "")))}
    if profile.own_zone and not zones:
        yield f"the time zone of the debtor is not known {by}"
    since = writing.on - timedelta(days=profile.cap_days - 1)
    sent = sum(since <= day <= writing.on for day in writing.sent_on)
    if sent >= profile.cap:
        yield f"{sent} notices in {profile.cap_days} days had left before, the cap {by} is {profile.cap}"
    for zone in sorted(zones or {ZoneInfo(writing.company_zone)}, key=str):
        local = writing.at.astimezone(zone)
        if DAYS[local.weekday()] not in profile.days or not profile.start <= local.time() < profile.end:
            yield f"{DAYS[local.weekday()]} {local:%H:%M} in {zone} is outside the window {by}"
        country = writing.account.get("country", "")
        if profile.holidays and is_calendar(country) and is_holiday(country, local.date()):
            yield f"{local.date()} is a holiday in {country} {by}"


def _against_contact(policy: ContactPolicy, writing: Writing) -> Iterator[str]:
    contact, name = writing.contact or {}, f"contact {writing.contact_id}"
    if not contact.get("valid", True):
        yield f"{name} is not valid"
    if contact and writing.channel == "email" and not is_address(contact.get("email", "")):
        yield f"{name} has no address to which a mail can go"
    if contact.get("channels") and writing.channel not in contact["channels"]:
        yield f"{name} does not want {writing.channel}"
    if objections := policy.objections & set(contact.get("consents", ())):
        yield f"{name} objected ({', '.join(sorted(objections))})"


def is_address(text: str) -> bool:
    """One plain address."""
    return len(text) <= ADDRESS_CHARS_MAX and _ADDRESS.fullmatch(text) is not None


def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a name; None for a name of none."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
