"""`match`: climbs the rungs in order and turns the first answer into a decision.

Invariant: the same payment, candidates (in any order), policy, day and run give the same decision and certificate.
"""

from dataclasses import dataclass
from datetime import date

from services.cash_application.domain.matching.amounts import exact_amount
from services.cash_application.domain.matching.case import Case, build_case
from services.cash_application.domain.matching.certificate import certify
from services.cash_application.domain.matching.model import (
    Candidates,
    Decision,
    LeftTo,
    Outcome,
    PaymentView,
    Reason,
    Suggestion,
)
from services.cash_application.domain.matching.policy import Policy
from services.cash_application.domain.matching.rungs import (
    Rung,
    Verdict,
    document_number,
    own_reference,
    structured_designation,
)
from services.cash_application.domain.matching.suggestions import cash_candidates, suggest

RUNGS: tuple[Rung, ...] = (structured_designation, own_reference, document_number, exact_amount)


def match(payment: PaymentView, candidates: Candidates, policy: Policy, *, closing: bool, on: date) -> Decision:
    """Decision for what is available of a payment (more than 0) on a business day; `closing`: in the run at its close.

    Raises ValueError if nothing is available: such a payment has nothing to decide.
    """
    if payment.open_minor <= 0:
        raise ValueError(
            f"payment {payment.payment_id} has {payment.open_minor} minor units available, needs more than 0"
        )
    case = build_case(payment, candidates, policy, closing, on)
    verdicts = _climb(case)
    return _posted(case, verdicts) if verdicts[-1].posts else _held(case, verdicts)


def _climb(case: Case) -> tuple[Verdict, ...]:
    verdicts: list[Verdict] = []
    for rung in RUNGS:
        verdicts.append(rung(case))
        if verdicts[-1].final or verdicts[-1].posts:
            break
    return tuple(verdicts)


def _posted(case: Case, verdicts: tuple[Verdict, ...]) -> Decision:
    deciding = verdicts[-1]
    settlement = deciding.settlement
    accounts = {a.account_id for a in settlement.applications}
    owner = case.payer.sole_owner
    account = owner if owner in accounts else _main_account(deciding)
    left_to = _left_to(case, deciding)
    rule = deciding.rung if settlement.kind == "exact" else f"{deciding.rung}/{settlement.kind}"
    flags = settlement.flags
    left_over = Reason.SHORT_UNALLOCATED if "SHORT" in flags else Reason.OVERPAID
    reason = left_over if settlement.left_minor else None
    return _decided(case, verdicts, Answer(Outcome.POSTED, rule, account, deciding.rung, left_to, reason, flags))


def _main_account(verdict: Verdict) -> str:
    """The account that gets most of the cash, the first by id of equals."""
    cash: dict[str, int] = {}
    for application in verdict.settlement.applications:
        cash[application.account_id] = cash.get(application.account_id, 0) + application.signed_cash_minor
    return min(cash, key=lambda account: (-cash[account], account))


def _left_to(case: Case, verdict: Verdict) -> LeftTo:
    """On account is a decision: only by policy, and not while the payer names something that is not here yet."""
    if not verdict.settlement.left_minor:
        return LeftTo.NOTHING
    short = "SHORT" in verdict.settlement.flags
    decided = case.policy.overpayment == "on_account" and not case.found.unresolved and not short
    return LeftTo.ON_ACCOUNT if decided else LeftTo.UNAPPLIED


def _held(case: Case, verdicts: tuple[Verdict, ...]) -> Decision:
    reason = _reason(case, verdicts)
    account, how = _identified(case, verdicts)
    suggestions = suggest(case, verdicts, reason)
    resting = Outcome.UNAPPLIED if account else Outcome.UNIDENTIFIED
    left_to = LeftTo.UNAPPLIED if account else LeftTo.UNIDENTIFIED
    outcome = Outcome.SUGGESTED if suggestions else resting
    flags = ("DUPLICATE",) if reason is Reason.DUPLICATE else ()
    return _decided(case, verdicts, Answer(outcome, how or "none", account, how, left_to, reason, flags, suggestions))


def _reason(case: Case, verdicts: tuple[Verdict, ...]) -> Reason:
    """The reason of the rung that ended the ladder, else of the first that was tried."""
    if verdicts[-1].final and verdicts[-1].reason:
        return verdicts[-1].reason
    for verdict in verdicts:
        if verdict.reason:
            return verdict.reason
    return Reason.CITATION_UNRESOLVED if case.found.unresolved else Reason.NO_EVIDENCE


def _identified(case: Case, verdicts: tuple[Verdict, ...]) -> tuple[str | None, str | None]:
    """Account and evidence by which money that is not applied belongs to somebody; nobody if the evidence disagrees."""
    cited = frozenset(a for v in verdicts if v.documents for a in case.accounts_of(v.documents))
    owner = case.payer.sole_owner
    if owner and cited <= frozenset(case.payer.known):
        return owner, case.payer.known[owner]
    sole = next(iter(cited)) if len(cited) == 1 else None
    if sole and any(v.rung == "own_reference" and v.documents for v in verdicts):
        return sole, "own_reference"
    if sole and (how := case.payer.knows(sole, case.policy.name_is_witness)):
        return sole, how
    return None, None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ladder answers beside the settlement of its last rung."""

    outcome: Outcome
    rule: str
    account: str | None
    identified_by: str | None
    left_to: LeftTo
    reason: Reason | None
    flags: tuple[str, ...]
    suggestions: tuple[Suggestion, ...] = ()


def _decided(case: Case, verdicts: tuple[Verdict, ...], answer: Answer) -> Decision:
    settlement = verdicts[-1].settlement if answer.outcome is Outcome.POSTED else None
    applications = settlement.applications if settlement else ()
    left = settlement.left_minor if settlement else case.available_minor
    gain = settlement.gain_minor if settlement else 0
    waiting = answer.left_to in (LeftTo.UNAPPLIED, LeftTo.UNIDENTIFIED)
    words = {"outcome": str(answer.outcome), "rule": answer.rule, "account": answer.account}
    words |= {"left": left, "left_to": str(answer.left_to), "gain": gain}
    words |= {"reason": str(answer.reason) if answer.reason else None, "flags": list(answer.flags)}
    return Decision(
        payment_id=case.payment.payment_id,
        outcome=answer.outcome,
        rule=answer.rule,
        account_id=answer.account,
        identified_by=answer.identified_by,
        applications=applications,
        left_minor=left,
        left_to=answer.left_to,
        gain_minor=gain,
        reason=answer.reason,
        flags=answer.flags,
        suggestions=answer.suggestions,
        candidates=cash_candidates(case) if waiting else (),
        certificate=certify(case, verdicts, applications, answer.suggestions, words),
    )
