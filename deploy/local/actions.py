"""What the sample's people do, through the services' APIs: promises, disputes, decisions, activities, approvals."""

import json
from typing import TYPE_CHECKING, Any

from deploy.local.client import Client
from deploy.local.errors import StackError
from shared.ids import document_id, item_id

if TYPE_CHECKING:
    from deploy.local.feed import Book

PERSONS = {"collector": "colin", "controller": "conrad", "supervisor": "sue", "analyst": "ana"}
PROPOSED_MAX = 200


async def activate_policy(client: Client, company: str, name: str, text: str, effective_on: str) -> None:
    """A policy file, brought by the operator and approved by the controller."""
    body = {"name": name, "version": "1", "content": text, "effective_on": effective_on}
    proposed = await client.call(
        "otto", "POST", "ingest", f"/v1/companies/{company}/policies", key=f"policy {company} {body}", json=body
    )
    await client.call(
        "conrad",
        "POST",
        "ingest",
        f"/v1/companies/{company}/policies/{proposed['draft_id']}/approve",
        key=f"approve {proposed['draft_id']}",
        json={"sha256": proposed["sha256"]},
    )


async def perform(client: Client, book: "Book", day: dict[str, Any]) -> None:
    """Everything that people do on a day. What a rule of the business refuses (409, 422) is counted, not fatal."""
    await _decide_holds(client, book, day["approvals"], day["date"])
    for promise in day["promises"]:
        body = {
            "account_id": promise["account_id"],
            "amount_minor": promise["amount_minor"],
            "currency": promise["currency"],
            "due_on": promise["due_on"],
            "contact_id": promise["contact_id"],
            "channel": promise["channel"],
            "taken_on": day["date"],
            "items": _items(book, promise["source_document_ids"]),
        }
        await _act(client, book, promise["by"], "/promises", promise["ref"], body)
    for dispute in day["disputes"]:
        await _dispute(client, book, dispute)
    for resolution in day["resolutions"]:
        await _resolve(client, book, resolution)
    for activity in day["activities"]:
        kept = (
            "account_id",
            "contact_id",
            "kind",
            "direction",
            "outcome_code",
            "text",
            "minutes",
            "next_step",
            "next_on",
        )
        body = {name: activity[name] for name in kept if activity.get(name) not in (None, "")}
        body["items"] = _items(book, activity["source_document_ids"])
        await _act(client, book, activity["by"], "/activities", activity["ref"], body)


async def recall(client: Client, book: "Book", day: dict[str, Any]) -> None:
    """Ask again for the disputes of a day that was fed before: their keys make the answers those of the first time."""
    for dispute in day["disputes"]:
        await _dispute(client, book, dispute)


async def _dispute(client: Client, book: "Book", dispute: dict[str, Any]) -> None:
    body = {
        "account_id": dispute["account_id"],
        "item_id": _items(book, [dispute["source_document_id"]])[0],
        "disputed_minor": dispute["amount_minor"],
        "reason_code": dispute["reason_code"],
        "text": dispute["text"],
    }
    answer = await _act(client, book, dispute["by"], "/disputes", dispute["ref"], body)
    if answer is not None:
        book.disputes[dispute["ref"]] = (answer["dispute_id"], dispute["account_id"])


async def _resolve(client: Client, book: "Book", resolution: dict[str, Any]) -> None:
    if resolution["dispute_ref"] not in book.disputes:
        return
    dispute_id, _ = book.disputes[resolution["dispute_ref"]]
    body: dict[str, Any] = {"outcome": resolution["outcome"]}
    if resolution["credited_minor"]:
        body["credited_minor"] = resolution["credited_minor"]
    path = f"/disputes/{dispute_id}/resolve"
    await _act(client, book, resolution["by"], path, f"resolve {resolution['dispute_ref']}", body)


async def _decide_holds(client: Client, book: "Book", approvals: dict[str, Any], day: str) -> None:
    refuse = {each["account_id"]: each["reason"] for each in approvals["refuse"]}
    path = f"/v1/companies/{book.company}/holds?status=proposed&limit={PROPOSED_MAX}"
    proposed = await client.call("conrad", "GET", "collections", path)
    for hold in proposed["items"]:
        reason = refuse.get(hold["account_id"])
        verb = "approve" if reason is None else "refuse"
        body = {"body_sha256": hold["body_sha256"], "reason": reason or "Warned, cure days are over, nothing came."}
        await _act(
            client, book, approvals["by"], f"/holds/{hold['hold_id']}/{verb}", f"{day} {hold['body_sha256']}", body
        )


async def _act(client: Client, book: "Book", by: str, path: str, ref: str, body: dict[str, Any]) -> Any:
    """A command at collections; None when a rule refused it."""
    url = f"/v1/companies/{book.company}{path}"
    try:
        return await client.call(PERSONS[by], "POST", "collections", url, key=f"{path} {ref}", json=body)
    except StackError as refusal:
        if not any(f"with {code}" in str(refusal) for code in (409, 422)):
            raise
        book.refused += 1
        print(f"  refused: {json.dumps(ref)} {str(refusal)[-220:]}", flush=True)
        return None


def _items(book: "Book", source_document_ids: list[str]) -> list[str]:
    found = []
    for source_id in source_document_ids:
        system, family = book.documents[source_id]
        found.append(str(item_id(document_id(book.company, system, family, source_id))))
    return found
