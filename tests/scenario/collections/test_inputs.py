"""Inputs that make work for people, policies that cannot be read, and how far bank data reach."""

from datetime import date

import pytest
from structlog.testing import capture_logs

from services.collections.handlers import RulesOf, complete_through
from shared.events.accounts import MessageReceived
from shared.events.control import BankAccount, CompanyConfigured, PolicyActivated
from shared.events.ledger import DeductionRaised
from shared.events.markers import CompanyReach
from shared.runtime.effects import DayWork, Moment, Policy
from tests.domain.collections.cases import dunning_policy, rules
from tests.scenario.collections.world import ACCOUNT, COMPANY, MONDAY, World

DAY = date(2026, 1, 9)


async def test_a_reply_is_to_be_answered_and_a_deduction_to_be_decided(world: World) -> None:
    await world.tell(world.account(), world.item("D", due_on=MONDAY, kind="deduction"))
    reply = MessageReceived(company=COMPANY, message_id="m1", kind="reply", account_id=ACCOUNT, text="We paid.")
    bounce = MessageReceived(company=COMPANY, message_id="m2", kind="bounce", account_id=ACCOUNT)
    deduction = DeductionRaised(
        company=COMPANY,
        item_id=world.item_id("D"),
        from_item_id=world.item_id("A"),
        account_id=ACCOUNT,
        amount_minor=100,
        currency="EUR",
        reason_code="freight",
    )
    await world.tell(reply, bounce, deduction)
    answer, ticket = world.expect("activity.logged", "activity.logged")
    assert (answer.kind, answer.direction, answer.next_step) == ("email", "in", "Answer the customer")
    assert (ticket.addressee, ticket.items) == ("billing", [world.item_id("D")])
    await world.tell(world.item("D", due_on=MONDAY, remaining=0, kind="deduction"))
    await world.close()
    rows = await world.rows("select next_step, followed from activity order by next_step")
    assert [row["followed"] for row in rows] == [True, False], "what is settled needs no decision"


@pytest.mark.parametrize(("name", "wrong"), [("dunning", {"levels": []}), ("holds", {"lease_s": 1})])
async def test_a_policy_that_cannot_be_read_leaves_the_one_before_it_in_force(
    world: World, name: str, wrong: dict
) -> None:
    fact = PolicyActivated(
        company=COMPANY,
        name=name,
        version="2",
        sha256="0" * 64,
        content=wrong,
        effective_on=MONDAY,
        approver="user:cara",
    )
    with capture_logs() as logs:
        assert await world.tell(fact) == []
    assert [(log["event"], log["version"]) for log in logs] == [("policy_unreadable", "2")]
    assert f"policy {name}" in logs[0]["error"]
    world.policies += (Policy(COMPANY, name, "2", "1" * 64, MONDAY, wrong, activation=2),)
    rules = RulesOf(world.moment())(COMPANY, MONDAY)
    assert (rules.dunning_label, rules.holds_label) == ("dunning@1", "holds@1")
    assert rules.dunning is not None and rules.holds is not None


async def test_policies_of_other_services_are_not_ours_to_judge(world: World) -> None:
    fact = PolicyActivated(
        company=COMPANY, name="contact", version="1", sha256="", content={}, effective_on=MONDAY, approver="user:cara"
    )
    assert await world.tell(fact) == []


def configured(company: str, *banks: BankAccount) -> CompanyConfigured:
    return CompanyConfigured(
        company=company, base_currency="EUR", time_zone="UTC", calendar="XECB", bank_accounts=list(banks)
    )


def bank(name: str, **changes) -> BankAccount:
    return BankAccount(id=name, currency="EUR", **changes)


def test_bank_data_reach_as_far_as_the_shortest_account_that_serves_the_company() -> None:
    work = DayWork(company=COMPANY, date=DAY, number=1, phase=1, bank_accounts={"own": DAY, "late": date(2026, 1, 7)})
    own = configured(COMPANY, bank("own"), bank("late"))
    assert complete_through(Moment(companies={COMPANY: own}), work, rules(DAY)) == date(2026, 1, 7)
    shared = configured("other", bank("pool", serves=[COMPANY]), bank("private"))
    companies = {COMPANY: own, "other": shared}
    assert complete_through(Moment(companies=companies), work, rules(DAY)) is None, "nothing is known of the pool"
    reach = {"other": CompanyReach(bank_accounts={"pool": date(2026, 1, 6)})}
    assert complete_through(Moment(companies=companies, reach=reach), work, rules(DAY)) == date(2026, 1, 6)


def test_a_company_without_bank_accounts_judges_only_if_its_policy_accepts_that() -> None:
    work = DayWork(company=COMPANY, date=DAY, number=1, phase=1)
    moment = Moment(companies={COMPANY: configured(COMPANY)})
    assert complete_through(moment, work, rules(DAY)) is None
    assert complete_through(moment, work, rules(DAY, dunning=dunning_policy(no_bank_data="accepted"))) == DAY
