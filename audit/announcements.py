"""Which booking ended which announcement of cash, by the auditor's own reading of the log.

Invariant: one booking ends at most one announcement, and none of an earlier month ends one of this month.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from audit.log_reader import Event

EARLY_DAYS_MAX = 5
"""Days that a booking may be valued before its announcement, when only payer and amount say that they are one."""
KEPT_DAYS_MAX = 21
"""Calendar days for which an announcement that nobody books means cash."""
NO_REFERENCE = "NOTPROVIDED"


def ends_on(announced: Event) -> date:
    """The last day on which the announcement means cash, if it is never booked."""
    return max(_valued_on(announced), announced.business_date) + timedelta(days=KEPT_DAYS_MAX)


def booked_at(announced: Iterable[Event], received: Iterable[Event]) -> dict[str, datetime]:
    """Id of the announcement's event -> when its booking was known. Bookings choose in the order in which they were
    known, each one announcement: of its payment, else of its reference, else of its payer."""
    waiting: dict[tuple, list[Event]] = defaultdict(list)
    for event in sorted(announced, key=lambda e: (_valued_on(e), e.known_at, e.id)):
        for mark in _marks(event):
            waiting[mark].append(event)
    found: dict[str, datetime] = {}
    for booking in sorted(received, key=lambda e: (e.known_at, e.id)):
        ended = _ended_by(booking, waiting, found)
        if ended is not None:
            found[ended.id] = booking.known_at
    return found


def _ended_by(booking: Event, waiting: dict[tuple, list[Event]], found: dict[str, datetime]) -> Event | None:
    for mark in _marks(booking):
        for event in waiting.get(mark, ()):
            if event.id not in found and (mark[0] in ("id", "reference") or _may_be(event, booking)):
                return event
    return None


def _may_be(announced: Event, booking: Event) -> bool:
    """One payer, and days that fit: an announcement that came after the booking tells of it only when both are valued
    within days of each other."""
    early = (_valued_on(announced) - _valued_on(booking)).days
    accounts = {_plain((event.data.get("payer") or {}).get("account")) for event in (announced, booking)} - {""}
    known_before = announced.known_at <= booking.known_at
    in_time = booking.business_date <= ends_on(announced) if known_before else early >= -EARLY_DAYS_MAX
    return early <= EARLY_DAYS_MAX and in_time and len(accounts) < 2


def _marks(event: Event) -> list[tuple]:
    """What an announcement and its booking may share, the surest first."""
    data = event.data
    payer, references = data.get("payer") or {}, data.get("references") or {}
    amount = (event.company, data["currency"], data["amount_minor"])
    reference, account, name = (
        _plain(text) for text in (references.get("end_to_end"), payer.get("account"), payer.get("name"))
    )
    told = {"reference": "" if reference == NO_REFERENCE else reference, "account": account, "name": name}
    return [("id", data["payment_id"])] + [(kind, *amount, text) for kind, text in told.items() if text]


def _plain(text: str | None) -> str:
    return "".join((text or "").split()).upper()


def _valued_on(event: Event) -> date:
    return event.day("valued_on") or event.business_date
