"""Four eyes: who may decide, over which content, up to which sum."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from shared.approval import (
    WINDOW,
    ApprovalRequest,
    Approved,
    PastApproval,
    Refused,
    approval_table,
    cumulative_minor,
    decide,
)
from shared.auth import Principal
from tests.domain.shared.caller_samples import COMPANY, person

AT = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
HASH, OTHER_HASH = "a" * 64, "b" * 64
SUPERVISOR = person("sue", "supervisor")
CREDIT_MANAGER = person("cora", "credit_manager")
SUPERVISOR_LIMITS = {"credit_memo": {"EUR": 1_000_00}}
CREDIT_MANAGER_LIMITS = {"credit_memo": {"EUR": 10_000_00}}


def request(number: int = 1, amount_minor: int | None = 900_00, **changes: object) -> ApprovalRequest:
    plain = ApprovalRequest(
        id=UUID(int=number),
        company=COMPANY,
        kind="credit_memo",
        subject_id=f"memo-{number}",
        body_hash=HASH,
        customer_id="P1",
        reason_code="PRICE",
        amount_minor=amount_minor,
        currency=None if amount_minor is None else "EUR",
        requested_by="user:ana",
        requested_at=AT - timedelta(hours=1),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def past(of: ApprovalRequest, decided_at: datetime = AT) -> PastApproval:
    assert of.amount_minor is not None and of.currency is not None
    return PastApproval(of.id, of.company, of.customer_id, of.reason_code, of.amount_minor, of.currency, decided_at)


def outcome(
    of: ApprovalRequest,
    approver: Principal = SUPERVISOR,
    limits: dict[str, dict[str, int]] = SUPERVISOR_LIMITS,
    history: tuple[PastApproval, ...] = (),
    shown: str = HASH,
    current: str = HASH,
) -> str:
    found = decide(of, approver, limits, history, AT, shown_hash=shown, current_hash=current)
    return "approved" if isinstance(found, Approved) else found.code


def test_ex_i5_three_memos_under_the_limit_are_one_sum_over_it() -> None:
    first, second, third = request(1, 900_00), request(2, 800_00), request(3, 700_00)
    assert outcome(first) == "approved"
    assert outcome(second, history=(past(first),)) == "over_limit"
    assert outcome(second, CREDIT_MANAGER, CREDIT_MANAGER_LIMITS, (past(first),)) == "approved"
    both = (past(first), past(second))
    assert cumulative_minor(third, both, AT) == 2_400_00
    assert outcome(third, history=both) == "over_limit"
    assert outcome(third, CREDIT_MANAGER, CREDIT_MANAGER_LIMITS, both) == "approved"


def test_ex_i8_an_amount_changed_after_approval_voids_it() -> None:
    edited = request(2, 950_00, body_hash=OTHER_HASH)
    assert outcome(edited, shown=HASH, current=OTHER_HASH) == "changed_since_shown"
    assert outcome(edited, shown=OTHER_HASH, current=OTHER_HASH) == "approved"
    assert outcome(request(), shown=HASH, current=OTHER_HASH) == "changed_since_requested"


@pytest.mark.parametrize(
    ("days", "code"), [(0, "over_limit"), (29, "over_limit"), (30, "over_limit"), (31, "approved"), (-1, "over_limit")]
)
def test_the_sum_reaches_back_thirty_days(days: int, code: str) -> None:
    earlier = past(request(9, 200_00), AT - timedelta(days=days))
    assert outcome(request(), history=(earlier,)) == code


def test_the_sum_is_per_customer_and_reason_over_all_kinds() -> None:
    big = request(9, 900_00)
    for other in ({"customer_id": "P2"}, {"reason_code": "FREIGHT"}, {"company": "other"}):
        assert outcome(request(), history=(past(replace(big, **other)),)) == "approved"  # type: ignore[arg-type]
    assert outcome(request(), history=(past(replace(big, kind="write_off")),)) == "over_limit"


def test_a_history_in_another_currency_is_a_mistake_and_not_a_way_around_the_limit() -> None:
    with pytest.raises(ValueError, match="USD"):
        outcome(request(), history=(past(request(9, 900_00, currency="USD")),))


@pytest.mark.parametrize(
    ("maker", "maker_for", "checker", "checker_for"),
    [
        ("user:sue", None, "sue", None),
        ("user:ana", "sue", "sue", None),
        ("user:ana", None, "sue", "ana"),
        ("user:ana", "cora", "sue", "cora"),
        ("user:ana", "user:sue", "sue", None),
    ],
)
def test_the_maker_never_decides_not_even_for_or_through_another(
    maker: str, maker_for: str | None, checker: str, checker_for: str | None
) -> None:
    asked = request(requested_by=maker, requested_on_behalf_of=maker_for)
    assert outcome(asked, person(checker, "supervisor", on_behalf_of=checker_for)) == "maker_is_checker"


def test_a_delegate_of_an_uninvolved_person_decides_and_both_are_noted() -> None:
    delegate = person("sue", "supervisor", on_behalf_of="cora")
    found = decide(request(), delegate, SUPERVISOR_LIMITS, (), AT, shown_hash=HASH, current_hash=HASH)
    assert found == Approved("user:sue", "user:cora", AT, 900_00)


@pytest.mark.parametrize("kind", ["feed", "service"])
def test_keys_and_services_never_approve(kind: str) -> None:
    assert outcome(request(), replace(SUPERVISOR, kind=kind)) == "not_a_person"  # type: ignore[arg-type]


def test_a_foreign_company_a_missing_limit_and_a_decided_request_are_refused() -> None:
    assert outcome(request(company="other")) == "foreign_company"
    assert outcome(request(), limits={}) == "no_limit"
    assert outcome(request(kind="write_off")) == "no_limit"
    assert outcome(request(currency="USD")) == "no_limit"
    for decided in ("approved", "refused", "void"):
        assert outcome(request(outcome=decided)) == "already_decided"


def test_what_has_no_amount_needs_no_limit() -> None:
    assert outcome(request(amount_minor=None, kind="access_hold"), limits={}) == "approved"


def test_the_limit_itself_is_still_within_it() -> None:
    assert outcome(request(amount_minor=1_000_00)) == "approved"
    assert outcome(request(amount_minor=1_000_01)) == "over_limit"


@given(st.lists(st.tuples(st.integers(1, 2_000_00), st.integers(0, 10)), max_size=30))
def test_no_order_of_requests_gets_more_than_the_limit_through_any_thirty_days(steps: list[tuple[int, int]]) -> None:
    at, history = AT, []
    for number, (amount, days) in enumerate(steps):
        at += timedelta(days=days)
        asked = request(number, amount)
        found = decide(asked, SUPERVISOR, SUPERVISOR_LIMITS, history, at, shown_hash=HASH, current_hash=HASH)
        if isinstance(found, Approved):
            history.append(past(asked, at))
        else:
            assert isinstance(found, Refused) and found.code == "over_limit"
    for start in history:
        window = [p for p in history if start.decided_at <= p.decided_at <= start.decided_at + WINDOW]
        assert sum(p.amount_minor for p in window) <= 1_000_00
    assert all(a.decided_at <= b.decided_at for a, b in pairwise(history))


def test_the_table_carries_four_eyes_as_a_constraint() -> None:
    table = approval_table(sa.MetaData())
    ddl = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert "approval_maker_is_not_checker" in ddl and "PRIMARY KEY (company, id)" in ddl
    indexes = " ".join(str(CreateIndex(index).compile(dialect=postgresql.dialect())) for index in table.indexes)
    assert "UNIQUE INDEX approval_pending" in indexes and "WHERE outcome = 'pending'" in indexes
