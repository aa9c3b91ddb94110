"""Disputes: opening, changing, resolving. Rules of H3.

Invariants: the open disputes of an item never exceed what remains on it; a granted credit keeps its part from being
asked for until it is booked or `expected_until_on` has passed.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from services.collections.domain.activities import Task, by_rule, done_by_rule
from services.collections.domain.case import Case
from services.collections.domain.commands import OpenDispute, ResolveDispute, UpdateDispute
from services.collections.domain.policy import DisputeRules
from services.collections.domain.refusal import Refusal
from services.collections.domain.rows import Dispute, Item
from services.collections.domain.rules import Rules
from shared import money
from shared.events.collections import (
    CreditMemoRequested,
    DisputeOpened,
    DisputeResolved,
    DisputeState,
    DisputeUpdated,
)
from shared.events.facts import Fact
from shared.ids import derive


def open_dispute(
    case: Case, asked: OpenDispute, rules: Rules, command_id: UUID, actor: str, at: datetime
) -> tuple[Dispute, list[Fact]]:
    """A new dispute, its fact and the ticket for its owner. Raises Refusal."""
    item = case.items.get(asked.item_id)
    if item is None or item.remaining_minor == 0 or item.side != "debit":
        message = f"account {case.account_id} has no open item {asked.item_id}"
        raise Refusal("item_not_open", message, 404, "use an item_id of the account's overview in collections")
    free = item.remaining_minor - case.disputed_minor(item, rules.on)
    amount = asked.disputed_minor or free
    _check_amount(amount, free, item)
    dispute = Dispute(
        company=case.company,
        account_id=case.account_id,
        dispute_id=derive("dispute", case.company, case.account_id, command_id),
        version=1,
        item_id=item.item_id,
        disputed_minor=amount,
        currency=item.currency,
        reason_code=asked.reason_code,
        text=asked.text,
        owner=asked.owner,
        opened_on=rules.on,
        due_on=asked.due_on or rules.on + timedelta(days=_limits(rules).decide_days),
        opened_by=actor,
    )
    case.put(dispute)
    return dispute, [fact_of(dispute, DisputeOpened), *_ticket(case, dispute, item, rules.on, at)]


def update(case: Case, asked: UpdateDispute, rules: Rules) -> tuple[Dispute, list[Fact]]:
    """An open dispute with what was given changed. Raises Refusal."""
    dispute = _standing(case, asked.dispute_id)
    item = case.items.get(dispute.item_id)
    given = asked.model_dump(exclude={"account_id", "dispute_id"}, exclude_none=True)
    if item is not None and "disputed_minor" in given:
        others = case.disputed_minor(item, rules.on) - min(dispute.disputed_minor, item.remaining_minor)
        _check_amount(given["disputed_minor"], item.remaining_minor - max(0, others), item)
    changed = replace(dispute, **given, version=dispute.version + 1)
    case.put(changed)
    return changed, [fact_of(changed, DisputeUpdated)]


def resolve(
    case: Case, asked: ResolveDispute, rules: Rules, command_id: UUID, actor: str
) -> tuple[Dispute, list[Fact]]:
    """A decided dispute; a granted credit is asked for from billing. Raises Refusal."""
    dispute = _standing(case, asked.dispute_id)
    credited = _credited(dispute, asked)
    item = case.items.get(dispute.item_id)
    resolved = replace(
        dispute,
        version=dispute.version + 1,
        status="resolved",
        outcome=asked.outcome,
        credited_minor=credited,
        resolved_on=rules.on,
        text=asked.text or dispute.text,
        expected_until_on=rules.on + timedelta(days=_limits(rules).credit_expected_days) if credited else None,
        credit_relief_before_minor=item.credit_relief_minor if item else 0,
    )
    case.put(resolved)
    done_by_rule(case, f"dispute/{dispute.dispute_id}")
    facts: list[Fact] = [fact_of(resolved, DisputeResolved)]
    if credited:
        facts.append(_credit_request(resolved, command_id, actor))
    return resolved, facts


def fact_of(dispute: Dispute, model: type[DisputeState]) -> DisputeState:
    return model(
        company=dispute.company,
        dispute_id=dispute.dispute_id,
        version=dispute.version,
        account_id=dispute.account_id,
        item_id=dispute.item_id,
        disputed_minor=dispute.disputed_minor,
        currency=dispute.currency,
        reason_code=dispute.reason_code,
        text=dispute.text,
        owner=dispute.owner,
        opened_on=dispute.opened_on,
        due_on=dispute.due_on,
        status=dispute.status,
        outcome=dispute.outcome,
        credited_minor=dispute.credited_minor,
    )


def _limits(rules: Rules) -> DisputeRules:
    return rules.dunning.dispute if rules.dunning else DisputeRules()


def _standing(case: Case, dispute_id: UUID) -> Dispute:
    dispute = case.disputes.get(dispute_id)
    if dispute is None:
        raise Refusal("dispute_unknown", f"account {case.account_id} has no dispute {dispute_id}", 404)
    if dispute.status != "open":
        raise Refusal("dispute_resolved", f"the dispute was resolved as {dispute.outcome}; open a new one")
    return dispute


def _check_amount(amount_minor: int, free_minor: int, item: Item) -> None:
    if 0 < amount_minor <= free_minor:
        return
    left = money.text(max(0, free_minor), item.currency)
    raise Refusal("disputed_too_much", f"{left} {item.currency} of item {item.number} can still be disputed", 422)


def _credited(dispute: Dispute, asked: ResolveDispute) -> int:
    if asked.outcome in ("rejected", "withdrawn"):
        return 0
    credited = asked.credited_minor or dispute.disputed_minor
    most = dispute.disputed_minor - (asked.outcome == "partly_credited")
    if credited > most:
        left = money.text(most, dispute.currency)
        raise Refusal("credited_too_much", f"outcome {asked.outcome} can credit at most {left} {dispute.currency}", 422)
    return credited


def _ticket(case: Case, dispute: Dispute, item: Item, on: date, at: datetime) -> list[Fact]:
    amount = f"{money.text(dispute.disputed_minor, dispute.currency)} {dispute.currency}"
    return [
        *by_rule(
            case,
            f"dispute/{dispute.dispute_id}",
            on,
            at,
            Task(
                kind="ticket",
                addressee=dispute.owner,
                text=f"{amount} of {item.number} is disputed ({dispute.reason_code}). {dispute.text}".strip(),
                next_step="Decide the dispute",
                next_on=dispute.due_on,
                items=[str(item.item_id)],
            ),
        )
    ]


def _credit_request(dispute: Dispute, command_id: UUID, actor: str) -> CreditMemoRequested:
    return CreditMemoRequested(
        company=dispute.company,
        request_id=derive("credit_memo_request", dispute.dispute_id, command_id),
        account_id=dispute.account_id,
        item_id=dispute.item_id,
        amount_minor=dispute.credited_minor,
        currency=dispute.currency,
        reason_code=dispute.reason_code,
        requested_by=actor,
    )
