"""`python -m audit`: reads everything, runs every check that the given sources allow, prints, and exits non-zero when
anything differs by one minor unit."""

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from audit.bank_files import check_bank_files
from audit.certificates import check_certificates
from audit.control_totals import check_control_totals
from audit.equation import check_bank_lines_in_journal, check_journal_equation, check_log_equation
from audit.findings import Findings
from audit.holds import check_holds
from audit.items import check_items
from audit.journal import check_journal
from audit.ledger_log import check_ledger_log, check_log_against_store, check_sequences, check_unreadable
from audit.log_reader import Log, LogUnreadable, add_unsent, read_log
from audit.mails import check_mails
from audit.notices import judge_notices
from audit.projections import check_projections
from audit.receipts import check_receipts
from audit.report import as_object, as_text
from audit.sources import Sources, parser, sources_of
from audit.stores import Store, read_store

PASSED, DIFFERS, UNUSABLE = 0, 1, 2


async def gather(sources: Sources, findings: Findings) -> tuple[dict[str, Store], Log | None]:
    """Stores first, then the log, so that whatever a store has committed is in the log or among its unsent rows."""
    stores: dict[str, Store] = {}
    for service, dsn in sources.dsns.items():
        try:
            stores[service] = await read_store(service, dsn)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.DataError) as problem:
            findings.true(False, "the store of {} cannot be read: {}", service, problem)
    if not sources.kafka:
        findings.note("no broker given: only what the outboxes hold of the log was looked at")
        log = Log()
    else:
        log = await read_log(sources.kafka)
    for store in stores.values():
        add_unsent(log, store.unsent)
        for row in store.parked:
            findings.true(False, "key {} is parked in {}: {}", row["key"], store.service, row["error"][:200])
    return stores, log


def made(findings: Findings, check: Callable[..., Any], *parts: Any) -> Any:
    """What a check returns. One that breaks off is a finding, and the other checks still speak."""
    try:
        return check(*parts, findings)
    except Exception as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        what = f"{check.__name__} could not be made: {type(problem).__name__}: {problem} ({where.name}:{where.lineno})"
        findings.true(False, "{}", what)
        return None


def run_checks(stores: dict[str, Store], log: Log, sources: Sources, findings: Findings) -> None:
    """Every check that the sources allow, the cheapest proof first."""
    books = stores.get("cash_application")
    whole = bool(sources.kafka)
    journal = None
    if books is not None:
        made(findings, check_journal, books)
        made(findings, check_items, books)
        made(findings, check_receipts, books)
        journal = made(findings, check_journal_equation, books)
        made(findings, check_certificates, books, log)
    if whole:
        made(findings, check_unreadable, log)
        made(findings, check_sequences, log)
        made(findings, check_ledger_log, log)
        made(findings, check_log_equation, log)
        if books is not None:
            made(findings, check_log_against_store, log, books)
        if books is not None and journal is not None:
            made(findings, check_bank_lines_in_journal, books, log, journal)
        made(findings, check_control_totals, log, books)
    if "ingest" in stores and sources.blobs is not None and whole:
        made(findings, check_bank_files, stores["ingest"], log, sources.blobs, journal)
    else:
        findings.note("the original bank files were not looked at")
    if "reporting" in stores and whole:
        made(findings, check_projections, stores["reporting"], log)
    if whole:
        made(findings, judge_notices, log)
        made(findings, check_mails, log, stores.get("notifications"), sources.mails)
        made(findings, check_holds, log, stores.get("collections"), sources.access_journal)


async def audit(sources: Sources) -> Findings:
    """Reads and checks everything."""
    findings = Findings()
    began = time.monotonic()
    stores, log = await gather(sources, findings)
    read = time.monotonic()
    run_checks(stores, log or Log(), sources, findings)
    findings.figures["seconds"] = f"{read - began:.1f} to read, {time.monotonic() - read:.1f} to check"
    return findings


def main() -> int:
    arguments = parser().parse_args()
    try:
        findings = asyncio.run(audit(sources_of(arguments, os.environ)))
    except (ValueError, OSError, asyncpg.PostgresError, KafkaError, LogUnreadable) as problem:
        text = f"the audit could not be made: {problem}"
        print(json.dumps({"passed": False, "checks": 0, "findings": [text], "notices_judged": 0, "wrongful_notices": 0,
                          "figures": {}}) if arguments.json else text)  # fmt: skip
        return UNUSABLE
    print(json.dumps(as_object(findings), default=str) if arguments.json else as_text(findings))
    return PASSED if findings.passed else DIFFERS


if __name__ == "__main__":
    sys.exit(main())
