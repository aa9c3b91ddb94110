"""The order in which the run at a day's close decides.

Invariant: it depends on the payments alone, never on the order in which they came.
"""

from collections.abc import Iterable

from services.cash_application.domain.matching.model import PaymentView
from services.cash_application.domain.matching.references import fields_of


def closing_order(payments: Iterable[PaymentView]) -> list[PaymentView]:
    """The order of the run at the day's close: payments that carry any text or reference first, then by value date
    and id, so that amounts alone speak last."""
    return sorted(payments, key=lambda p: (not (p.remittance or fields_of(p)), p.valued_on, p.payment_id))
