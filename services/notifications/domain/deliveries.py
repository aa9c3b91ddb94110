"""Delays and bounds of delivery: how often a refused mail or an unanswered webhook is tried, and when it is given up.

Delays are seconds of the wall clock.
"""

from datetime import datetime, timedelta

REFUSED_DELAYS_S = (60, 300, 900, 3_600)
"""Waits after a temporary refusal of the recipient; after the last one the notice has failed."""

WEBHOOK_QUICK_ATTEMPTS = 10
WEBHOOK_DELAY_MAX_S = 300
WEBHOOK_SLOW_DELAY_S = 900
LIFT_VALID = timedelta(days=7)


def refused_again_s(attempts: int) -> int | None:
    """Seconds until the next try after `attempts` temporary refusals; None when it is over."""
    return REFUSED_DELAYS_S[attempts - 1] if attempts <= len(REFUSED_DELAYS_S) else None


def webhook_again_s(attempts: int) -> int:
    """Seconds until the next try after `attempts` unanswered ones: doubling at first, slow after the quick ones."""
    if attempts >= WEBHOOK_QUICK_ATTEMPTS:
        return WEBHOOK_SLOW_DELAY_S
    return min(2 ** max(0, attempts - 1), WEBHOOK_DELAY_MAX_S)


def webhook_until(first_try_at: datetime, state: str, lease_s: int) -> datetime:
    """When an unconfirmed delivery is given up: an order when its lease would have ended, a lift after seven days."""
    return first_try_at + (LIFT_VALID if state == "lifted" else timedelta(seconds=lease_s))
