"""The runtime's named statements on the store in memory: each does what the SQL of the same name does.

Looked up by the text that the runtime sends, so a statement that is new or was renamed is missed at once.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from shared.runtime import statements as sql
from tests.sim import toy
from tests.sim.engine import MemoryStore, Row, Transaction

KNOWN: dict[str, tuple[str, Callable[..., Any]]] = {}
Found = list[Row]


def as_json(value: Any) -> Any:
    """What jsonb gives back."""
    return orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS))


def does(text: str, name: str) -> Callable[[Callable], Callable]:
    def register(run: Callable) -> Callable:
        KNOWN[text] = (name, run)
        return run

    return register


def named(name: str, module: Any = sql) -> Callable[[Callable], Callable]:
    return does(getattr(module, name), name)


def make_store() -> MemoryStore:
    return MemoryStore(KNOWN, {"outbox": copy_outbox})


def only(row: dict, *names: str) -> Row:
    return Row({name: row[name] for name in names})


def advisory(number: int) -> tuple[str, tuple]:
    return "advisory", (number,)


@named("LOCK_SHARED")
def lock_shared(tx: Transaction) -> None:
    tx.lock(*advisory(sql.OUTBOX_LOCK), "s")


@named("LOCK_EXCLUSIVE")
def lock_exclusive(tx: Transaction) -> None:
    tx.lock(*advisory(sql.OUTBOX_LOCK), "x")


def _try(tx: Transaction, number: int) -> Found:
    free = not tx.clash(advisory(number), "x")
    if free:
        tx.take(advisory(number), "x")
    return [Row(taken=free)]


@named("TRY_RELAY")
def try_relay(tx: Transaction) -> Found:
    return _try(tx, sql.RELAY_LOCK)


@named("TRY_FORWARD")
def try_forward(tx: Transaction) -> Found:
    return _try(tx, sql.FORWARD_LOCK)


@named("LOAD_CURSORS")
def load_cursors(tx: Transaction, topics: list, numbers: list) -> Found:
    wanted = sorted(zip(topics, numbers, strict=True))
    for topic, number in wanted:
        tx.insert("kafka_cursor", (topic, number), {"topic": topic, "partition": number, "next_offset": 0})
    return [Row(tx.get("kafka_cursor", place)) for place in wanted]


@named("MOVE_CURSORS")
def move_cursors(tx: Transaction, topics: list, numbers: list, firsts: list, lasts: list) -> Found:
    lanes = sorted(zip(topics, numbers, firsts, lasts, strict=True))
    fitting = []
    for topic, number, first, last in lanes:
        row = tx.get("kafka_cursor", (topic, number))
        if row is not None and row["next_offset"] == first:
            tx.lock("kafka_cursor", (topic, number), "x")
            fitting.append((topic, number, last))
    for topic, number, last in fitting:
        tx.change("kafka_cursor", (topic, number), next_offset=last + 1)
    return [Row(topic=topic, partition=number) for topic, number, _ in fitting]


@named("TAKE_INBOX")
def take_inbox(tx: Transaction, ids: list) -> Found:
    return [Row(event_id=i) for i in dict.fromkeys(ids) if tx.insert("inbox", (i,), {"event_id": i})]


@named("KNOWN_IN_INBOX")
def known_in_inbox(tx: Transaction, ids: list) -> Found:
    return [Row(event_id=i) for i in ids if tx.get("inbox", (i,)) is not None]


@named("PARKED_AMONG")
def parked_among(tx: Transaction, keys: list) -> Found:
    found = [key for key in sorted(set(keys)) if tx.get("parked_key", (key,)) is not None]
    for key in found:
        tx.lock("parked_key", (key,), "s")
    return [Row(key=key) for key in found]


@named("PARKED_BY_COMPANY")
def parked_by_company(tx: Transaction) -> Found:
    rows = sorted(tx.rows("parked_key"), key=lambda r: (r["since_at"], r["key"]))
    return [only(row, "key", "company", "account_id") for row in rows]


@named("PARKED_AFTER")
def parked_after(tx: Transaction, last: str | None, limit: int) -> Found:
    keys = sorted(row["key"] for row in tx.rows("parked_key") if last is None or row["key"] > last)
    return [Row(key=key) for key in keys[:limit]]


@named("PARK_KEYS")
def park_keys(tx: Transaction, keys: list, companies: list, accounts: list, codes: list, errors: list) -> None:
    for key, company, account, code, error in sorted(
        zip(keys, companies, accounts, codes, errors, strict=True), key=lambda row: row[0]
    ):
        row = {"key": key, "company": company, "account_id": account, "code": code, "error": error, "since_at": tx.at}
        tx.insert("parked_key", (key,), row)


@named("ADD_DEAD_LETTERS")
def add_dead_letters(tx: Transaction, *columns: list) -> None:
    names = ("topic", "partition", "offset", "key", "event_id", "event_type", "headers", "value", "error")
    for values in zip(*columns, strict=True):
        row = dict(zip(names, values, strict=True))
        tx.insert("dead_letter", (row["topic"], row["partition"], row["offset"]), {**row, "first_failed_at": tx.at})


@named("PARKED_KEY_FOR_UPDATE")
def parked_key_for_update(tx: Transaction, key: str) -> Found:
    if tx.get("parked_key", (key,)) is None:
        return []
    tx.lock("parked_key", (key,), "x")
    return [Row(key=key)]


@named("LETTERS_OF")
def letters_of(tx: Transaction, key: str, topics: list, limit: int) -> Found:
    rows = [row for row in tx.rows("dead_letter") if row["key"] == key]
    rows.sort(key=lambda r: (r["first_failed_at"], topics.index(r["topic"]), r["partition"], r["offset"]))
    return [Row(row) for row in rows[:limit]]


@named("DROP_LETTERS")
def drop_letters(tx: Transaction, topics: list, numbers: list, offsets: list) -> None:
    for place in zip(topics, numbers, offsets, strict=True):
        tx.drop("dead_letter", place)


@named("UNPARK")
def unpark(tx: Transaction, key: str) -> None:
    if not any(row["key"] == key for row in tx.rows("dead_letter")):
        tx.drop("parked_key", (key,))


@named("NOTE_PARK_ERROR")
def note_park_error(tx: Transaction, key: str, code: str, error: str) -> None:
    if tx.get("parked_key", (key,)) is not None:
        tx.change("parked_key", (key,), code=code, error=error)


def advance_heads_in(tx: Transaction, heads: list[tuple[str, str, int]]) -> Found:
    found = []
    for topic, key, count in heads:
        tx.lock("stream_head", (topic, key), "w")
        row = tx.get("stream_head", (topic, key)) or {"topic": topic, "key": key, "sequence": 0}
        row = {**row, "sequence": row["sequence"] + count}
        tx.put("stream_head", (topic, key), row)
        found.append(Row(row))
    return found


@named("ADVANCE_HEADS")
def advance_heads(tx: Transaction, topics: list, keys: list, counts: list) -> Found:
    return advance_heads_in(tx, sorted(zip(topics, keys, counts, strict=True)))


def copy_outbox(tx: Transaction, records: list, columns: tuple) -> None:
    for record in records:
        row = {"id": next(tx.store.outbox_ids), **dict(zip(columns, record, strict=True))}
        tx.put("outbox", (row["id"],), row)


@named("OUTBOX_WAITS")
def outbox_waits(tx: Transaction) -> Found:
    return [Row(exists=bool(tx.rows("outbox")))]


@named("TAKE_OUTBOX")
def take_outbox(tx: Transaction, limit: int) -> Found:
    return [Row(row) for row in sorted(tx.rows("outbox"), key=lambda r: r["id"])[:limit]]


@named("DROP_OUTBOX")
def drop_outbox(tx: Transaction, ids: list) -> None:
    for number in ids:
        tx.drop("outbox", (number,))


TIMER = ("kind", "key", "company", "clock", "due_at", "payload", "envelope")


@named("WRITE_TIMERS")
def write_timers(tx: Transaction, *columns: list) -> None:
    for values in sorted(zip(*columns, strict=True), key=lambda row: row[:2]):
        row = as_row(values)
        tx.put("timer", (row["kind"], row["key"]), row)


def as_row(values: tuple) -> dict:
    row = dict(zip(TIMER, values, strict=True))
    return {**row, "payload": as_json(row["payload"]), "envelope": as_json(row["envelope"]), "attempts": 0, "error": ""}


@named("ADD_TIMERS_ONCE")
def add_timers_once(tx: Transaction, *columns: list) -> None:
    for values in zip(*columns, strict=True):
        row = as_row(values)
        tx.insert("timer", (row["kind"], row["key"]), row)


@named("CANCEL_TIMERS")
def cancel_timers(tx: Transaction, kinds: list, keys: list) -> None:
    for place in zip(kinds, keys, strict=True):
        tx.drop("timer", place)


def claim(tx: Transaction, rows: list[dict], limit: int) -> Found:
    free = [row for row in rows if not tx.clash(("timer", (row["kind"], row["key"])), "x")][:limit]
    for row in free:
        tx.take(("timer", (row["kind"], row["key"])), "w")
        tx.writes["timer"][row["kind"], row["key"]] = None
    return [only(row, *TIMER, "attempts") for row in free]


@named("CLAIM_TIMERS")
def claim_timers(tx: Transaction, wall: Any, business: Any, limit: int) -> Found:
    due = [
        row
        for row in tx.rows("timer")
        if row["kind"] != "day.part" and row["due_at"] <= (wall if row["clock"] == "wall" else business)
    ]
    return claim(tx, sorted(due, key=lambda r: (r["due_at"], r["kind"], r["key"])), limit)


def open_markers(tx: Transaction) -> list[dict]:
    return sorted((row for row in tx.rows("marker") if row["state"] != "written"), key=lambda row: row["number"])


@named("ANYTHING_TO_DO")
def anything_to_do(tx: Transaction, wall: Any) -> Found:
    clock = tx.get("business_clock", (True,))
    timers = tx.rows("timer")
    part = any(row["kind"] == "day.part" and row["due_at"] <= wall for row in timers)
    due = any(
        row["due_at"] <= wall if row["clock"] == "wall" else clock is not None and row["due_at"] <= clock["at"]
        for row in timers
        if row["kind"] != "day.part"
    )
    waiting = open_markers(tx)
    return [Row(part=part, due=due, marker=bool(waiting) and waiting[0]["state"] == "ready")]


@named("BUSINESS_TIMERS_DUE")
def business_timers_due(tx: Transaction) -> Found:
    clock = tx.get("business_clock", (True,))
    rows = [row for row in tx.rows("timer") if row["kind"] != "day.part" and row["clock"] == "business"]
    return [Row(exists=clock is not None and any(row["due_at"] <= clock["at"] for row in rows))]


@named("CLAIM_DAY_PART")
def claim_day_part(tx: Transaction, wall: Any) -> Found:
    first: dict[str, int] = {}
    for row in open_markers(tx):
        if row["state"] == "working":
            first.setdefault(row["company"], row["number"])
    due = [
        row
        for row in tx.rows("timer")
        if row["kind"] == "day.part" and row["due_at"] <= wall and int(row["key"][:18]) == first.get(row["company"])
    ]
    return claim(tx, sorted(due, key=lambda row: row["key"]), 1)


@named("DELAY_TIMER")
def delay_timer(
    tx: Transaction, kind: str, key: str, company: str, due: Any, payload: Any, body: Any, n: int, error: str
) -> None:
    row = as_row((kind, key, company, "wall", due, payload, body))
    tx.put("timer", (kind, key), {**row, "attempts": n, "error": error})


@named("SEE_MARKERS")
def see_markers(tx: Transaction, numbers: list, topics: list, partitions: list) -> Found:
    done = max((row["number"] for row in tx.rows("marker") if row["left"] == 0), default=0)
    found = []
    for number, topic, partition in sorted(zip(numbers, topics, partitions, strict=True)):
        row = {"number": number, "topic": topic, "partition": partition}
        if number > done and tx.insert("marker_seen", (number, topic, partition), row):
            found.append(Row(row))
    return found


@named("COUNT_MARKERS")
def count_markers(
    tx: Transaction,
    numbers: list,
    ids: list,
    types: list,
    companies: list,
    seen: list,
    bodies: list,
    expected: int,
    envelopes: list,
) -> Found:
    found = []
    given = zip(numbers, ids, types, companies, seen, bodies, envelopes, strict=True)
    for number, marker_id, kind, company, count, body, envelope in sorted(given, key=lambda row: row[0]):
        tx.lock("marker", (number,), "w")
        row = tx.get("marker", (number,)) or {
            "number": number, "marker_id": marker_id, "type": kind, "company": company, "left": expected,
            "work_left": 0, "state": "counting", "bodies": {}, "envelope": as_json(envelope),
        }  # fmt: skip
        row = {**row, "left": row["left"] - count, "bodies": {**row["bodies"], **as_json(body)}}
        if row["left"] < 0:
            raise asyncpg.CheckViolationError('new row for relation "marker" violates check constraint "marker_left"')
        tx.put("marker", (number,), row)
        found.append(only(row, "number", "left", "type", "company", "bodies"))
    return found


@named("SET_CLOCK")
def set_clock(tx: Transaction, at: Any, number: int, reach: Any) -> None:
    tx.lock("business_clock", (True,), "w")
    row = tx.get("business_clock", (True,))
    if row is None or row["number"] < number:
        complete_at = tx.at + timedelta(microseconds=1)
        new = {"at": at, "number": number, "reach": as_json(reach), "complete_at": complete_at}
        tx.put("business_clock", (True,), new)


@named("CLOSE_DAYS")
def close_days(tx: Transaction, companies: list, days: list, numbers: list) -> None:
    for company, day, number in sorted(zip(companies, days, numbers, strict=True)):
        tx.lock("closed_day", (company,), "w")
        row = tx.get("closed_day", (company,))
        if row is None or row["number"] < number:
            tx.put("closed_day", (company,), {"company": company, "closed_on": day, "number": number})


@named("SET_MARKER_STATES")
def set_marker_states(tx: Transaction, numbers: list, states: list, work_left: list) -> None:
    for number, state, left in zip(numbers, states, work_left, strict=True):
        if tx.get("marker", (number,)) is not None:
            tx.change("marker", (number,), state=state, work_left=left)


@named("FINISH_PART")
def finish_part(tx: Transaction, number: int) -> Found:
    if tx.get("marker", (number,)) is None:
        return []
    left = tx.get("marker", (number,))["work_left"] - 1
    if left < 0:
        raise asyncpg.CheckViolationError('new row for relation "marker" violates check constraint "marker_left"')
    tx.change("marker", (number,), work_left=left)
    return [Row(work_left=left)]


@named("NEXT_MARKER")
def next_marker(tx: Transaction) -> Found:
    names = ("number", "marker_id", "type", "company", "state", "bodies", "envelope")
    return [only(row, *names) for row in open_markers(tx)[:1]]


@named("MARK_WRITTEN")
def mark_written(tx: Transaction, number: int) -> None:
    tx.change("marker", (number,), state="written", bodies={})


@named("FORGET_SEEN")
def forget_seen(tx: Transaction, number: int) -> None:
    for row in tx.rows("marker_seen"):
        if row["number"] <= number:
            tx.drop("marker_seen", (row["number"], row["topic"], row["partition"]))


@named("FORGET_MARKERS")
def forget_markers(tx: Transaction, number: int) -> None:
    for row in tx.rows("marker"):
        if row["state"] == "written" and row["number"] < number - 1000:
            tx.drop("marker", (row["number"],))


@named("MOMENT")
def moment(tx: Transaction) -> Found:
    version, clock = tx.get("control_version", (True,)), tx.get("business_clock", (True,)) or {}
    closed = {row["company"]: row["closed_on"].isoformat() for row in tx.rows("closed_day")}
    known = {name: clock.get(name) for name in ("at", "number", "reach", "complete_at")}
    return [Row(version=version and version["version"], **known, closed=closed or None)]


@named("COMPANIES")
def companies_known(tx: Transaction) -> Found:
    return [Row(row) for row in sorted(tx.rows("company_config"), key=lambda row: row["company"])]


@named("POLICIES")
def policies(tx: Transaction) -> Found:
    return [Row(row) for row in tx.rows("policy_version")]


@named("RATES")
def rates(tx: Transaction) -> Found:
    return [Row(row) for row in tx.rows("rate")]


@named("BUMP_CONTROL")
def bump_control(tx: Transaction) -> None:
    tx.lock("control_version", (True,), "w")
    row = tx.get("control_version", (True,)) or {"version": 0}
    tx.put("control_version", (True,), {"version": row["version"] + 1})


@named("SAVE_COMPANIES")
def save_companies(tx: Transaction, names: list, bodies: list) -> None:
    for company, body in sorted(zip(names, bodies, strict=True), key=lambda row: row[0]):
        tx.put("company_config", (company,), {"company": company, "body": as_json(body)})


@named("TAKE_COMMAND")
def take_command(tx: Transaction, identity: Any, digest: str) -> Found:
    row = {"command_id": identity, "body_sha256": digest, "reply": None}
    return [Row(command_id=identity)] if tx.insert("command", (identity,), row) else []


@named("KNOWN_COMMAND")
def known_command(tx: Transaction, identity: Any) -> Found:
    row = tx.get("command", (identity,))
    return [only(row, "body_sha256", "reply")] if row else []


@named("ANSWER_COMMAND")
def answer_command(tx: Transaction, identity: Any, reply: Any) -> None:
    if tx.get("command", (identity,)) is not None:
        tx.change("command", (identity,), reply=as_json(reply))


@named("LOCK_ACCOUNTS", toy)
def lock_accounts(tx: Transaction, accounts: list) -> Found:
    found = []
    for account in sorted(accounts):
        tx.lock("sim_account", (account,), "w")
        row = tx.get("sim_account", (account,)) or {"account_id": account, "version": 0, "balance": 0}
        tx.put("sim_account", (account,), row)
        found.append(Row(row))
    return found


@named("SAVE_ACCOUNTS", toy)
def save_accounts(tx: Transaction, accounts: list, versions: list, balances: list) -> None:
    for account, version, balance in zip(accounts, versions, balances, strict=True):
        tx.change("sim_account", (account,), version=version, balance=balance)


@named("TOTALS", toy)
def totals(tx: Transaction) -> Found:
    rows = tx.rows("sim_account")
    return [Row(effects=sum(r["version"] for r in rows), balance=sum(r["balance"] for r in rows))]
