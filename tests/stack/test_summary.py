"""The summary beside files that somebody pushed by hand: what nobody knows the truth of is counted, not judged."""

from datetime import date
from decimal import Decimal

from deploy.local.event_log import Log
from deploy.local.feed import Book
from deploy.local.scoring import WRONG, Score
from deploy.local.summary import Foreign, failures, payments_of
from shared.events.facts import Source
from shared.events.ledger import Application, PaymentApplied
from shared.events.payments import PaymentReceived
from shared.ids import derive
from tests.builders import event

DAY, COMPANY = date(2026, 1, 5), "c"
SAMPLE_FILES = {"camt-EUR-1.xml"}


def payment_applied_from(file: str) -> Log:
    """A payment of 11.90 that came in `file` and was applied automatically."""
    payment_id = derive("payment", file)
    received = PaymentReceived(
        company=COMPANY,
        payment_id=payment_id,
        bank_account="EUR-1",
        document_on=DAY,
        valued_on=DAY,
        accounted_on=DAY,
        amount_minor=1_190,
        currency="EUR",
        source=Source(file=file),
    )
    applied = PaymentApplied(
        company=COMPANY,
        payment_id=payment_id,
        payment_version=1,
        bank_account="EUR-1",
        currency="EUR",
        amount_minor=1_190,
        posting_id=derive("posting", file),
        account_id="acct",
        applications=[Application(item_id=derive("item"), cash_minor=1_190)],
        left_minor=0,
        rule="own_reference",
        automatic=True,
    )
    return Log([event(received), event(applied)], 2)


def judged(file: str) -> tuple[Score, Foreign]:
    return payments_of(payment_applied_from(file), [], Book(COMPANY), SAMPLE_FILES, {"EUR": Decimal(1)})


def verdict(score: Score) -> list[str]:
    return failures(score, {"passed": True, "wrongful_notices": 0})


def test_a_payment_of_somebodys_own_file_is_counted_apart_and_fails_nothing() -> None:
    score, foreign = judged("my-statement.xml")
    assert (foreign.count, foreign.worth, foreign.automatic) == (1, 1_190, 1)
    assert (score.payments, score.missing) == (0, 0) and verdict(score) == []


def test_a_payment_of_the_sample_that_was_applied_without_a_truth_is_wrong() -> None:
    score, foreign = judged("camt-EUR-1.xml")
    assert (foreign.count, score.count[WRONG], score.missing) == (0, 1, 1)
    assert verdict(score) == ["1 payments of the sample have no truth", "1 payments applied wrongly"]
