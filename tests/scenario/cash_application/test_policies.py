"""A matching policy that cannot be read is named and passed over; the one before it stays in force."""

from dataclasses import replace

from structlog.testing import capture_logs

from shared.events.control import PolicyActivated
from tests.scenario.cash_application.desk import ACME, DAY, Desk, customer, invoice, payment

WRONG = {"tolerance": "much"}


async def test_a_policy_that_cannot_be_read_leaves_the_one_before_it_in_force(desk: Desk):
    """50 minor units short are within the tolerance of version 1."""
    fact = PolicyActivated(
        company=ACME,
        name="matching",
        version="2",
        sha256="1" * 64,
        content=WRONG,
        effective_on=DAY,
        approver="user:cara",
    )
    with capture_logs() as logs:
        assert await desk.feed(fact) == []
    assert [(log["event"], log["version"]) for log in logs] == [("policy_unreadable", "2")]
    (first,) = desk.moment.policies
    second = replace(first, version="2", sha256="1" * 64, content=WRONG, effective_on=DAY, activation=2)
    desk.moment = replace(desk.moment, policies=(first, second))
    await desk.feed(customer(), invoice("INV-2026-00017", 10_000))
    await desk.feed(payment("p1", 9_950, "INV-2026-00017"))
    await desk.close()
    assert (await desk.item("INV-2026-00017"))["remaining_minor"] == 0
