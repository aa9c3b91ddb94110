"""Random lives of accounts through the pure core: after every step the money equation holds, every remaining is in its
range and is what the journal says, and every event has the next version."""

from collections import defaultdict
from datetime import UTC, datetime, time, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.cash_application.domain import commands
from services.cash_application.domain.books import Books
from services.cash_application.domain.equation import Sums, difference, terms
from services.cash_application.domain.exchange import Exchange
from services.cash_application.handlers import CashApplicationHandler
from shared.auth import Principal
from shared.errors import Rejected
from shared.events.collections import DisputeOpened, DisputeResolved
from shared.events.ledger import CashCandidate, CashCandidateCleared, CashChanged, ItemState, PaymentState
from shared.ids import derive
from shared.runtime.effects import DayWork
from tests.builders import event
from tests.scenario.cash_application.desk import (
    ACME,
    DAY,
    bank_debit,
    cancelled,
    credit,
    customer,
    invoice,
    item,
    moment,
    pay_id,
    payment,
    rebilled,
    returned,
)

ACCOUNTS = {"C1": ("Nordwind Handels GmbH", "DE89370400440532013000"), "C2": ("Suedstern AG", "DE02120300000000202051")}
amounts = st.sampled_from([1, 500, 9_999, 10_000, 12_345, 99_950, 120_000])


class Life(RuleBasedStateMachine):
    """Facts and commands in any order on one Books, as one endless batch."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = moment()
        self.books = Books(Exchange(self.moment.rate))
        self.handler = CashApplicationHandler()
        self.on = DAY
        self.invoices: list[tuple[str, str, str]] = []
        self.payments: list[str] = []
        self.credits = 0
        self.versions: dict[object, int] = defaultdict(int)
        self.standing: dict[object, int] = {}
        self.known: dict[object, object] = {}

    @initialize()
    def accounts(self) -> None:
        for account_id, (name, iban) in ACCOUNTS.items():
            self.books.locked.add((ACME, account_id))
            self.feed(customer(account_id, name, iban))

    def feed(self, fact: object, actor: str = "feed:test", **more: object) -> None:
        known_at = datetime.combine(self.on, time(9), tzinfo=UTC)
        self.books.told = []
        made = event(fact, company=ACME, on=self.on, known_at=known_at, actor=actor, **more)
        try:
            effects = self.handler.decide((self.books, ""), [made], self.moment)
        except Rejected:
            assert not self.books.told, "a refused command changes nothing"
            return
        for emission in effects.emissions:
            self.take(emission.data)

    def take(self, fact: object) -> None:
        if isinstance(fact, ItemState):
            assert fact.version == self.versions[fact.item_id] + 1
            assert fact.relief.total() + fact.remaining_minor == fact.original_minor
            assert 0 <= fact.disputed_minor <= fact.remaining_minor
            self.versions[fact.item_id] = fact.version
            self.known[fact.item_id] = fact
        elif isinstance(fact, PaymentState):
            assert fact.payment_version == self.versions[fact.payment_id] + 1
            self.versions[fact.payment_id] = fact.payment_version
            self.known[fact.payment_id] = fact
        elif isinstance(fact, CashChanged):
            key = (fact.account_id, fact.currency)
            assert fact.version == self.versions[key] + 1
            self.versions[key] = fact.version
            self.known[key] = fact
        elif isinstance(fact, CashCandidate):
            self.standing[fact.account_id, fact.payment_id] = fact.amount_minor
        elif isinstance(fact, CashCandidateCleared):
            del self.standing[fact.account_id, fact.payment_id]

    @rule(
        total=amounts,
        account_id=st.sampled_from(sorted(ACCOUNTS)),
        discounted=st.booleans(),
        currency=st.sampled_from(["EUR", "EUR", "USD"]),
        instalments=st.booleans(),
    )
    def issue(self, total: int, account_id: str, discounted: bool, currency: str, instalments: bool) -> None:
        number = f"INV-2026-{len(self.invoices):05d}"
        self.invoices.append((number, account_id, currency))
        halves = [("001", DAY, total // 2), ("002", DAY + timedelta(30), total - total // 2)]
        self.feed(
            invoice(
                number,
                total,
                account_id,
                currency=currency,
                discounts=[(self.on + timedelta(5), total // 50)] if discounted else (),
                parts=halves if instalments and total > 1 else (),
            )
        )

    @precondition(lambda self: self.invoices)
    @rule(total=amounts, data=st.data(), named=st.booleans())
    def give_credit(self, total: int, data: st.DataObject, named: bool) -> None:
        number, account_id, currency = data.draw(st.sampled_from(self.invoices))
        self.credits += 1
        on = {number: total} if named and currency == "EUR" else None
        self.feed(credit(f"CM-{self.credits:05d}", total, account_id, on=on))

    @precondition(lambda self: self.invoices)
    @rule(
        amount=amounts,
        data=st.data(),
        how=st.sampled_from(["number", "number", "amount", "nobody", "two"]),
        exact=st.sampled_from([True, True, False]),
        off=st.sampled_from([0, 0, -10, 10, 700]),
    )
    def pay(self, amount: int, data: st.DataObject, how: str, exact: bool, off: int) -> None:
        number, account_id, currency = data.draw(st.sampled_from(self.invoices))
        if exact:
            amount = max(1, self.books.items[item(number)].remaining_minor + off)
        other, _, _ = data.draw(st.sampled_from(self.invoices))
        name, iban = ACCOUNTS[account_id] if how != "nobody" else ("Somebody Else Ltd", "GB33BUKB20201555555555")
        text = {"number": number, "two": f"{number} {other}"}.get(how, "thanks")
        self.payments.append(f"p{len(self.payments)}")
        bank = "EUR-1" if currency == "EUR" else "USD-1"
        self.feed(
            payment(
                self.payments[-1],
                amount,
                text,
                payer=name,
                iban=iban,
                currency=currency,
                bank_account=bank,
                valued_on=self.on,
            )  # fmt: skip
        )

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), amount=amounts, whole=st.booleans(), fee=st.sampled_from([0, 300]))
    def take_back(self, data: st.DataObject, amount: int, whole: bool, fee: int) -> None:
        name = data.draw(st.sampled_from(self.payments))
        receipt = self.books.receipts[pay_id(name)]
        if receipt.bank_account != "EUR-1":
            return
        minor = receipt.amount_minor if whole else amount
        self.feed(returned(f"r{derive('n', name, self.on, minor)}", minor, of=name, fee=fee, on=self.on))

    @precondition(lambda self: self.invoices)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number, account_id, _ = data.draw(st.sampled_from(self.invoices))
        self.feed(cancelled(number, account_id, self.on))

    @precondition(lambda self: len(self.invoices) > 1)
    @rule(data=st.data(), keeps=st.booleans())
    def rebill(self, data: st.DataObject, keeps: bool) -> None:
        old, account_id, _ = data.draw(st.sampled_from(self.invoices))
        new, other_account, _ = data.draw(st.sampled_from(self.invoices))
        if old != new and account_id == other_account:
            self.feed(rebilled(new, old, keeps, account_id))

    @precondition(lambda self: self.invoices)
    @rule(data=st.data(), minor=amounts, version=st.integers(1, 4), resolved=st.booleans())
    def dispute(self, data: st.DataObject, minor: int, version: int, resolved: bool) -> None:
        number, account_id, currency = data.draw(st.sampled_from(self.invoices))
        kind, status = (DisputeResolved, "resolved") if resolved else (DisputeOpened, "open")
        fact = kind(
            company=ACME, dispute_id=derive("dispute", number), version=version, account_id=account_id,
            item_id=item(number), disputed_minor=minor, currency=currency, reason_code="QUALITY", opened_on=self.on,
            status=status,
        )  # fmt: skip
        self.feed(fact)

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), minor=amounts, discount=st.sampled_from([0, 0, 50]), deduction=st.sampled_from([0, 0, 70]))
    def apply_by_hand(self, data: st.DataObject, minor: int, discount: int, deduction: int) -> None:
        name = data.draw(st.sampled_from(self.payments))
        number, _, currency = data.draw(st.sampled_from(self.invoices))
        line = commands.ApplyLine(
            item_id=item(number), cash_minor=minor, discount_minor=discount, deduction_minor=deduction
        )
        self.feed(commands.Apply(payment_id=pay_id(name), currency=currency, lines=[line]), "user:ana")

    @precondition(lambda self: self.books.applied)
    @rule(data=st.data())
    def unapply(self, data: st.DataObject) -> None:
        rows = [row for rows in self.books.applied.values() for row in rows]
        row = data.draw(st.sampled_from(rows))
        command = commands.Unapply(payment_id=row.payment_id, posting_id=row.posting_id, reason_code="MISAPPLIED")
        self.feed(command, "user:ana")

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), minor=amounts, account_id=st.sampled_from(sorted(ACCOUNTS)))
    def move_by_hand(self, data: st.DataObject, minor: int, account_id: str) -> None:
        identity = pay_id(data.draw(st.sampled_from(self.payments)))
        currency = self.books.receipts[identity].currency
        command = data.draw(
            st.sampled_from(
                [
                    commands.Identify(payment_id=identity, account_id=account_id),
                    commands.ApplySuggestion(payment_id=identity, rank=1),
                    commands.PutOnAccount(
                        payment_id=identity, account_id=account_id, amount_minor=minor, currency=currency
                    ),
                    commands.RequestRefund(
                        payment_id=identity, account_id=account_id, amount_minor=minor, currency=currency
                    ),
                ]
            )
        )
        self.feed(command, "user:ana")

    @precondition(lambda self: self.books.refunds)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        refund = data.draw(st.sampled_from(sorted(self.books.refunds.values(), key=lambda r: str(r.refund_id))))
        bob = Principal("bob", "person", frozenset({ACME}), frozenset(), {"refund": {"EUR": 10**9}})
        command = commands.ApproveRefund(
            payment_id=refund.payment_id,
            refund_id=refund.refund_id,
            shown_amount_minor=refund.amount_minor,
        )
        self.feed(command, principal=bob)
        if refund.status == "approved" and refund.currency == "EUR":
            self.feed(bank_debit(str(refund.refund_id), refund.amount_minor, "refund"))

    @rule()
    def close(self) -> None:
        self.feed(DayWork(company=ACME, date=self.on, number=self.on.toordinal(), phase=2))
        self.on += timedelta(days=1)

    @invariant()
    def the_money_equation_holds(self) -> None:
        sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for posting in self.books.written.postings:
            assert sum(line.base_minor for line in posting.lines) == 0
            for line in posting.lines:
                pair = sums[line.bank_account, posting.currency, line.ledger]
                pair[line.amount_minor < 0] += abs(line.amount_minor)
        rows = [Sums(*key, debit, credit) for key, (debit, credit) in sums.items()]
        for term in terms(rows).values():
            assert difference(term) == 0, term

    @invariant()
    def the_journal_says_the_same_as_items_and_receipts(self) -> None:
        balance: dict[object, int] = defaultdict(int)
        for posting in self.books.written.postings:
            for line in posting.lines:
                if line.item_id is not None:
                    balance[line.item_id] += line.amount_minor
        for identity, found in self.books.items.items():
            assert 0 <= found.remaining_minor <= found.original_minor
            assert found.remaining_minor + sum(found.relief) == found.original_minor
            assert balance[identity] == found.sign * found.remaining_minor
            assert self.known[identity].remaining_minor == found.remaining_minor
        for receipt in self.books.receipts.values():
            receipt.check()
            live = sum(row.signed_cash_minor for row in self.books.live_applied(receipt.payment_id))
            assert live == sum(part.applied_minor for part in receipt.parts.values())

    @invariant()
    def what_was_told_last_is_what_stands(self) -> None:
        for identity, receipt in self.books.receipts.items():
            told = self.known[identity]
            assert told.unidentified_minor == receipt.unidentified_minor
            assert told.returned_minor == receipt.returned_minor
            assert told.split == receipt.split()["split"]
        for (_, account_id, currency), cash in self.books.cash.items():
            parts = [r.parts.get(account_id) for r in self.books.receipts.values() if r.currency == currency]
            assert cash.unapplied_minor == sum(p.unapplied_minor for p in parts if p)
            assert cash.on_account_minor == sum(p.on_account_minor for p in parts if p)
            if cash.version:
                told = self.known[account_id, currency]
                assert (told.unapplied_minor, told.on_account_minor) == (cash.unapplied_minor, cash.on_account_minor)

    @invariant()
    def waiting_cash_of_an_account_is_its_candidate(self) -> None:
        for receipt in self.books.receipts.values():
            for account_id, part in receipt.parts.items():
                if part.unapplied_minor:
                    assert (account_id, receipt.payment_id) in self.standing
        for account_id, payment_id in self.standing:
            receipt = self.books.receipts[payment_id]
            assert receipt.open_minor, f"a candidate of {account_id} stands for cash that does not wait"


# HYPOTHESIS_PROFILE=explore looks for new lives; the steady profile lives the same few each time.
EXAMPLES, STEPS = (300, 50) if not settings.default.derandomize else (20, 20)
TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=[HealthCheck.too_slow], deadline=None
)
