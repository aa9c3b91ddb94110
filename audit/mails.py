"""Mail at most once: each request has at most one mail in the sink, each mail belongs to one notice, and what is told
as sent is there."""

from collections import Counter, defaultdict
from email import policy
from email.parser import BytesHeaderParser
from pathlib import Path

from audit.findings import Findings
from audit.log_reader import Log
from audit.stores import Row, Store

LEFT = ("notice.sent", "notice.unknown")


def read_message_ids(folder: Path) -> Counter[str]:
    """How often each Message-ID lies in the sink."""
    parser = BytesHeaderParser(policy=policy.compat32)
    found: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.eml")):
        with path.open("rb") as file:
            found[str(parser.parse(file).get("Message-ID", "")).strip() or f"none in {path.name}"] += 1
    return found


def check_mails(log: Log, notifications: Store | None, folder: Path | None, findings: Findings) -> None:
    """The log by itself, then the sink against it, then the store against both."""
    requested = {e.data["notice_id"] for e in log.of("notice.requested")}
    sending: dict[str, set[str]] = defaultdict(set)
    for event in log.of("notice.sending"):
        sending[event.data["message_id"].strip("<>")].add(event.data["notice_id"])
        known = event.data["notice_id"] in requested or event.data.get("retry_of")
        findings.true(known, "notice {} was sent and never requested", event.data["notice_id"])
    for message_id, notices in sending.items():
        findings.equal(1, len(notices), "message {}: notices", message_id)
    _check_courses(log, findings)
    sent = Counter(e.data["notice_id"] for e in log.of("notice.sent"))
    for notice_id, count in sent.items():
        findings.equal(1, count, "notice {}: told as sent", notice_id)
    if notifications is not None:
        _check_store(notifications, sent, findings)
    if folder is None or not folder.exists():
        findings.note("no folder of received mails: mails were judged by the log alone")
        return
    found = Counter({key.strip("<>"): count for key, count in read_message_ids(folder).items()})
    _check_sink(log, found, sending, findings)


def _check_courses(log: Log, findings: Findings) -> None:
    """A request leads to one mail: no second start once it left or may have, one Message-ID, one retry that left."""
    ended: dict[str, str] = {}
    message_ids: dict[str, set[str]] = defaultdict(set)
    retries: dict[str, set[str]] = defaultdict(set)
    for event in log.starting("notice."):
        notice_id = event.data["notice_id"]
        if event.type == "notice.sending":
            before = ended.get(notice_id)
            findings.true(before is None, "notice {} was sending again after {}", notice_id, before)
            message_ids[notice_id].add(event.data["message_id"])
        elif event.type in LEFT:
            ended[notice_id] = event.type
            if again := event.data.get("retry_of"):
                retries[again].add(notice_id)
    for notice_id, found in message_ids.items():
        findings.equal(1, len(found), "notice {}: messages under which it left", notice_id)
    for notice_id, found in retries.items():
        findings.equal(1, len(found), "notice {}: retries of it that left", notice_id)
        was_sent = ended.get(notice_id) == "notice.sent"
        findings.true(not was_sent, "notice {} was sent and left again as {}", notice_id, ", ".join(sorted(found)))


def _check_sink(log: Log, found: Counter[str], sending: dict[str, set[str]], findings: Findings) -> None:
    for message_id, count in found.items():
        findings.equal(1, count, "mails with Message-ID {} in the sink", message_id)
        findings.true(message_id in sending, "mail {} in the sink belongs to no notice that was sending", message_id)
    by_notice: Counter[str] = Counter()
    for message_id, notices in sending.items():
        for notice_id in notices:
            by_notice[notice_id] += found[message_id]
    for notice_id, count in by_notice.items():
        findings.true(count <= 1, "notice {} left {} times", notice_id, count)
    for event in log.of("notice.sent"):
        if event.data.get("channel", "email") == "email":
            there = found[event.data["message_id"].strip("<>")]
            findings.equal(1, there, "mail of notice {} in the sink", event.data["notice_id"])
    findings.figures["mails"] = sum(found.values())


def _check_store(notifications: Store, sent: Counter[str], findings: Findings) -> None:
    passed = {row["subject_id"] for row in notifications["gate_records"] if row["outcome"] in ("pass", "smaller")}
    for row in notifications["notices"]:
        if row["status"] == "sent":
            findings.equal(1, sent[row["notice_id"]], "notice {} is sent in the store; told as sent", row["notice_id"])
        if row["status"] in ("sending", "sent", "unknown"):
            findings.true(row["notice_id"] in passed, "notice {} left without a record of the gate", row["notice_id"])
    first: dict[str, Row] = {}
    for row in sorted(notifications["effects"], key=lambda row: row["version"]):
        first.setdefault(row["hold_id"], row)
    for hold_id, row in first.items():
        if (row["state"], row["status"]) == ("ordered", "confirmed"):
            found = row["effect_id"] in passed
            findings.true(found, "hold {} version {} left without a record of the gate", hold_id, row["version"])
