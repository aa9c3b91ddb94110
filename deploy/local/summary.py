"""What came of the sample, from the log, the reports and the audit; prints it and says whether the books reconcile.

Decides nothing and reaches behind no API: events from the log, aging and DSO from reporting, the proof from audit/.
"""

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from deploy.local.client import Client
from deploy.local.endings import Ending, endings
from deploy.local.event_log import Log, read_log
from deploy.local.paths import REPOSITORY
from deploy.local.scoring import (
    ENDINGS,
    IN_PART,
    NEVER_RECEIVED,
    RIGHT,
    WRONG,
    Items,
    Score,
    judge,
)
from deploy.local.truth import place, place_key, truths
from shared.events.codec import Event
from shared.events.collections import HoldState
from shared.events.notifications import EffectConfirmed

if TYPE_CHECKING:
    from deploy.local.feed import Book, Timing

AUTOMATIC_RIGHT_SHARE_MIN = Decimal("0.60")
PAYMENTS_MIN_FOR_SHARE = 200
AUDIT_TIMEOUT_S = 120


@dataclass
class Foreign:
    """Payments that are not of the sample: how many, their worth in base minor units, how many were applied."""

    count: int = 0
    worth: int = 0
    automatic: int = 0

    def add(self, ending: Ending, rate: Decimal) -> None:
        self.count += 1
        self.worth += int(ending.received.amount_minor * rate)
        self.automatic += any(posting.automatic for posting in ending.live.values())


async def show(client: Client, out: Path, book: "Book", timing: "Timing") -> bool:
    """Print the summary. False when anything is as `failures` says it must not be."""
    log = await read_log(client.info.kafka_bootstrap)
    truth = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    company = json.loads((out / "company.json").read_text(encoding="utf-8"))
    rates = _rates(log, company["base_currency"])
    files = {path.name for path in (out / "days").glob("*/*")}
    score, foreign = payments_of(log, truth["payments"], book, files, rates)
    _print_payments(score, foreign, company["base_currency"])
    kept = await client.call("audrey", "GET", "reporting", f"/v1/companies/{company['company']}/promises/kept")
    _print_promises(log, truth, kept["cash_waits"])
    _print_notices(log, client)
    _print_holds(log)
    different = await _print_reports(client, company["company"])
    audit = await _audit(client)
    _print_audit(audit)
    _print_speed(log, timing)
    found = failures(score, audit, different)
    print("\nVerdict           " + ("passed" if not found else "FAILED: " + "; ".join(found)), flush=True)
    return not found


def failures(score: Score, audit: dict[str, Any], different: int = 0) -> list[str]:
    """What must not be: payments applied wrongly, lost or without a truth, wrongful notices, a failed audit,
    `different` control totals, and, where a run is long enough to judge by, too few payments applied rightly by the
    machine."""
    found = []
    if score.count[NEVER_RECEIVED]:
        found.append(f"{score.count[NEVER_RECEIVED]} payments of the sample never came")
    if score.missing:
        found.append(f"{score.missing} payments of the sample have no truth")
    if different:
        found.append(f"{different} control totals differ from the reports")
    if score.count[WRONG]:
        found.append(f"{score.count[WRONG]} payments applied wrongly")
    if audit.get("wrongful_notices") != 0:
        found.append(f"{audit.get('wrongful_notices')} wrongful notices")
    if not audit["passed"]:
        found.append("the audit failed")
    share, _ = score.share(RIGHT, IN_PART)
    if score.payments >= PAYMENTS_MIN_FOR_SHARE and share < AUTOMATIC_RIGHT_SHARE_MIN:
        found.append(f"automatic right {share:.1%} of payments, at least {AUTOMATIC_RIGHT_SHARE_MIN:.0%} wanted")
    return found


def _rates(log: Log, base: str) -> dict[str, Decimal]:
    """Base units for one unit of a currency, by the last rate published."""
    rates = {base: Decimal(1)}
    for event in log.of("rate.published"):
        first, second = event.data.pair.split("/")
        if first == base:
            rates[second] = 1 / Decimal(event.data.rate)
    return rates


def payments_of(
    log: Log, truth: Iterable[dict[str, Any]], book: "Book", files: Collection[str], rates: dict[str, Decimal]
) -> tuple[Score, Foreign]:
    """The sample's payments held against their truth, and apart those that came in other files than the sample's:
    nobody knows what they paid, so they are counted and not judged. One of the sample's without a truth is judged."""
    known = truths(book.company, truth, book.documents)
    score, foreign, items = Score(), Foreign(), Items.of(log.events)
    entries: Counter[tuple[str, str]] = Counter()
    for ending in sorted(endings(log.events).values(), key=lambda e: place(e.received)):
        payment = ending.received
        entry = (payment.bank_account, payment.references.bank)
        entries[entry] += 1
        found = known.pop(place_key(*entry, entries[entry]), None)
        if found is None and payment.source.file not in files:
            foreign.add(ending, rates[payment.currency])
        else:
            judge(ending, found, items, score, rates[payment.currency])
    for lost in known.values():
        score.add(NEVER_RECEIVED, int(lost.amount_minor * rates[lost.currency]))
    return score, foreign


def _print_payments(score: Score, foreign: Foreign, base: str) -> None:
    print(f"\nPayments {' ' * 45} {score.payments:>6}  {_money(score.worth)} {base}", flush=True)
    for name in ENDINGS:
        print(f"  {name:52} {score.count[name]:>6}  {_money(score.value[name])} {base}")
    print(f"  {'cash not applied beside an automatic part':52} {'':>6}  {_money(score.left)} {base}")
    print(f"  {'of all: returned by the bank':52} {score.returned:>6}")
    for rule, count in sorted(score.rules.items()):
        print(f"    by rule {rule:42} {count:>8}")
    for each in score.wrong[:10]:
        print(f"    wrong: {each}")
    if score.missing:
        print(f"  without a truth to hold against: {score.missing}")
    if foreign.count:
        print(f"  {'not of the sample, so not judged':52} {foreign.count:>6}  {_money(foreign.worth)} {base}")
        print(f"    of them applied automatically {foreign.automatic:>30}")
    for name, endings_ in (
        ("automatic right, whole or in part", (RIGHT, IN_PART)),
        ("automatic right, whole", (RIGHT,)),
    ):
        count, value = score.share(*endings_)
        print(f"  {name:52} {count:>6.1%} of payments, {value:.1%} of value")


def _print_promises(log: Log, truth: dict[str, Any], cash_waits: int) -> None:
    """`cash_waits`: promises not kept whose account has cash that a person has yet to apply."""
    latest = {}
    for event in log.of(
        *(f"promise.{s}" for s in ("made", "kept", "partly_kept", "broken", "superseded", "cancelled"))
    ):
        known = latest.get(event.data.promise_id)
        if known is None or event.data.version > known.data.version:
            latest[event.data.promise_id] = event
    ended = Counter(event.type.removeprefix("promise.") for event in latest.values())
    meant = Counter(p["outcome"] if p["decided_on"] else "made" for p in truth["promises"])
    print("\nPromises          " + ", ".join(f"{name} {count}" for name, count in sorted(ended.items())))
    print("  by the truth    " + ", ".join(f"{name} {count}" for name, count in sorted(meant.items())))
    print(f"  broken or partly kept, with cash of the account that waits for a person: {cash_waits}")


def _print_notices(log: Log, client: Client) -> None:
    requested = len(log.of("notice.requested"))
    reasons = Counter(reason.code for event in log.of("notice.withheld") for reason in event.data.reasons)
    counts = {name: len(log.of(f"notice.{name}")) for name in ("sent", "withheld", "failed", "unknown")}
    ended = {event.data.notice_id for name in counts for event in log.of(f"notice.{name}")}
    counts["waiting"] = len({event.data.notice_id for event in log.of("notice.requested")} - ended)
    print(f"\nNotices           requested {requested}, " + ", ".join(f"{n} {c}" for n, c in counts.items()))
    print(f"  mails in the sink {len(list(client.info.mail_dir.rglob('*.eml')))}")
    for code, count in reasons.most_common():
        print(f"    withheld for {code:40} {count:>6}")


def _print_holds(log: Log) -> None:
    print("\nHolds             " + ", ".join(f"{name} {count}" for name, count in hold_figures(log.events).items()))


def hold_figures(events: Iterable[Event]) -> dict[str, int]:
    """Holds by what became of them. In force now: ordered and not lifted since, and the access system confirmed it."""
    told: dict[str, set[UUID]] = {name: set() for name in ("proposed", "ordered", "renewed", "lifted")}
    lifted: dict[UUID, int] = defaultdict(int)
    confirmed: dict[UUID, int] = defaultdict(int)
    for event in events:
        name, data = event.type.removeprefix("hold."), event.data
        if isinstance(data, HoldState) and name in told:
            told[name].add(data.hold_id)
            if name == "lifted":
                lifted[data.hold_id] = max(lifted[data.hold_id], data.version)
        elif isinstance(data, EffectConfirmed) and data.of == "hold" and data.state != "lifted":
            confirmed[data.subject_id] = max(confirmed[data.subject_id], data.version)
    in_force = [hold for hold in told["ordered"] if confirmed[hold] > lifted[hold]]
    counts = {name: len(holds) for name, holds in told.items()}
    return {
        "proposed": counts["proposed"],
        "ordered": counts["ordered"],
        "renewed": counts["renewed"],
        "in force now": len(in_force),
        "lifted": counts["lifted"],
    }


async def _print_reports(client: Client, company: str) -> int:
    """Returns how many control totals differ from the reports."""
    base = f"/v1/companies/{company}"
    _print_aging(await client.call("audrey", "GET", "reporting", f"{base}/aging"))
    dso = await client.call("audrey", "GET", "reporting", f"{base}/dso")
    print(
        f"\nDSO               simple {dso['simple']} days, count-back {dso['count_back']}, best possible "
        f"{dso['best_possible']} (sales of {dso['days']} days)"
    )
    rows = await client.listed("audrey", "reporting", f"{base}/reconciliation")
    different = [row for row in rows if row["difference_minor"] != 0]
    print(f"Control totals    {len(rows)} figures of the last day, {len(different)} differ from the reports")
    for row in different[:10]:
        figure = f"{row['scope']} {row['figure']} {row['currency']}"
        print(f"    {figure}: {row['expected_minor']} against {row['found_minor']}")
    return len(different)


def _print_aging(report: dict[str, Any]) -> None:
    names = ["current", "1-30", "31-60", "61-90", "91-120", "over_120"]
    print(f"\nAging by due date, {report['as_of']}, in whole units")
    print(" " * 8 + "".join(f"{name:>13}" for name in [*names, "gross", "credits", "net"]))
    for row in [*report["rows"], *([report["in_base"]] if report["in_base"] else [])]:
        label = row["currency"] if row is not report["in_base"] else f"in {report['base_currency']}"
        figures = [*(row["buckets"][name] for name in names), *(row[f"{n}_minor"] for n in ("gross", "credits", "net"))]
        print(f"  {label:>6}" + "".join(f"{_whole(minor):>13}" for minor in figures))


async def _audit(client: Client) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "audit",
        "--state",
        str(client.info.local_dir / "state.json"),
        "--json",
        cwd=REPOSITORY,
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(AUDIT_TIMEOUT_S):
        output, _ = await process.communicate()
    return json.loads(output)


def _print_audit(audit: dict[str, Any]) -> None:
    verdict = "passed" if audit["passed"] else "FAILED"
    print(f"\nAudit             {verdict}: {audit['checks']} checks, {len(audit['findings'])} findings")
    print(f"  notices judged  {audit['notices_judged']}, wrongful {audit['wrongful_notices']}")
    for finding in audit["findings"][:15]:
        print(f"    {finding}")


def _print_speed(log: Log, timing: "Timing") -> None:
    if timing.days_fed < timing.days:
        print(
            f"\nSpeed             {timing.days - timing.days_fed} of {timing.days} days were fed before: not measured"
        )
        return
    print(
        f"\nSpeed             {log.records} records on the log in {timing.total_s:.1f} s "
        f"({log.records / max(timing.total_s, 0.001):.0f}/s), {timing.waited_s:.1f} s of it waiting for markers"
    )


def _whole(minor: int) -> str:
    return f"{round(Decimal(minor) / 100):,}"


def _money(minor: int) -> str:
    return f"{minor // 100:>15,}.{minor % 100:02d}"
