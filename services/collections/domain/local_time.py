"""The instants at which a sending window opens and closes where the debtor is.

Local times become instants by the zone's rules of that day, so that daylight saving never shifts a window.
"""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def instant(day: date, at: time, zone: str) -> datetime:
    """UTC instant of a local time of `zone`; a time that the clocks skip is read with the offset before the gap."""
    return datetime.combine(day, at, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def zone_or(zone: str, fallback: str) -> str:
    """`zone` if it is a known IANA zone, else `fallback`."""
    if not zone:
        return fallback
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return fallback
    return zone
