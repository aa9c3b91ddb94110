"""The feeder's way into the services: tokens of the sample persons, their public APIs, and waiting for markers.

Nothing here reaches behind an API; a refusal ends the feed with what the service said.
"""

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.local.errors import StackError
from deploy.local.state import StackInfo

REQUEST_TIMEOUT_S = 60.0
POLL_S = 0.02
WAIT_TIMEOUT_S = 120.0
AWAY_TIMEOUT_S, AWAY_POLL_S = 60.0, 0.2
TOKEN_RENEW_S = 600.0
LIST_LIMIT = 500


@dataclass
class Client:
    """One HTTP connection pool; `waited_s` adds up the time spent waiting for markers."""

    info: StackInfo
    http: httpx.AsyncClient
    waited_s: float = 0.0
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    async def token(self, person: str) -> str:
        """A token of a sample person, renewed every ten minutes."""
        made_at, token = self._tokens.get(person, (float("-inf"), ""))
        if time.monotonic() - made_at > TOKEN_RENEW_S:
            persons = json.loads((self.info.issuer_dir / "persons.json").read_text(encoding="utf-8"))
            known = persons.get("persons", persons)
            if person not in known:
                raise StackError(f"The sample knows no {person}; there are {', '.join(sorted(known))}.")
            form = {"grant_type": "person", "person": person, "secret": known[person]["secret"]}
            answer = await self.http.post(f"{self.info.issuer_url}/token", data=form)
            answer.raise_for_status()
            token = answer.json()["access_token"]
            self._tokens[person] = (time.monotonic(), token)
        return token

    async def call(
        self, person: str, method: str, service: str, path: str, *, key: str | None = None, **options: Any
    ) -> Any:
        """JSON answer of a service. A command's key derives from `key`, so that a repeated feed changes nothing."""
        headers = {"Authorization": f"Bearer {await self.token(person)}", **options.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = hashlib.sha256(key.encode()).hexdigest()[:40]
        url = f"{self.info.services[service]}{path}"
        answer = await self._patiently(method, url, headers=headers, **options)
        if answer.status_code >= 400:
            raise StackError(f"{service} refused {method} {path} of {person} with {answer.status_code} {_why(answer)}")
        return answer.json() if answer.content else None

    async def listed(self, person: str, service: str, path: str) -> list[dict[str, Any]]:
        """All items of a paged list. `path` has no query of its own."""
        items: list[dict[str, Any]] = []
        query: dict[str, Any] | None = {"limit": LIST_LIMIT}
        while query is not None:
            page = await self.call(person, "GET", service, path, params=query)
            items += page["items"]
            query = {"limit": LIST_LIMIT, "cursor": page["next"]} if page["next"] else None
        return items

    async def _patiently(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask again while the service does not answer or says 503. Every command is idempotent by key or content."""
        began = time.monotonic()
        while True:
            try:
                answer = await self.http.request(method, url, **options)
            except httpx.TransportError as problem:
                if time.monotonic() - began > AWAY_TIMEOUT_S:
                    raise StackError(
                        f"{url} does not answer ({problem!r}); look into {self.info.logs_dir}."
                    ) from problem
            else:
                if answer.status_code != 503 or time.monotonic() - began > AWAY_TIMEOUT_S:
                    return answer
            await asyncio.sleep(AWAY_POLL_S)

    async def progress(self, service: str) -> dict[str, Any]:
        return await self.call("feeder", "GET", service, "/v1/runtime/progress")

    async def until_tick(self, service: str, number: int) -> None:
        """Wait until `service` has the tick `number` complete."""
        await self._until(service, lambda p: p["number"] >= number, f"tick {number}")

    async def until_closed(self, service: str, company: str, day: str) -> None:
        """Wait until `service` has done its work of the closed day and written its marker."""
        await self._until(service, lambda p: p["written_on"].get(company, "") >= day, f"the close of {day}")

    async def until_judged(self, company: str, number: int) -> None:
        """Wait until notifications has the tick and has put every notice that is due to its gate."""
        await self.until_tick("notifications", number)
        began = time.monotonic()
        path = f"/v1/companies/{company}/backlog"
        while (backlog := await self.call("feeder", "GET", "notifications", path))["pending"]:
            if time.monotonic() - began > WAIT_TIMEOUT_S:
                raise StackError(f"notifications still has {backlog} to judge after {WAIT_TIMEOUT_S:.0f} s")
            await asyncio.sleep(POLL_S)
        self.waited_s += time.monotonic() - began

    async def until_quiet(self, service: str) -> None:
        """Wait until the service's outbox is empty."""
        await self._until(service, lambda p: p["outbox_rows"] == 0, "an empty outbox")

    async def _until(self, service: str, reached: Any, what: str) -> None:
        began = time.monotonic()
        while not reached(progress := await self.progress(service)):
            if time.monotonic() - began > WAIT_TIMEOUT_S:
                raise StackError(
                    f"{service} did not reach {what} within {WAIT_TIMEOUT_S:.0f} s; it stands at {progress}. Look into "
                    f"{self.info.logs_dir / service}.log."
                )
            await asyncio.sleep(POLL_S)
        self.waited_s += time.monotonic() - began


def _why(answer: httpx.Response) -> str:
    """A problem document in words, beginning with its code; any other answer as it is."""
    try:
        problem = answer.json()
        fields = [f"{e['field']}: {e['reason']} ({e['what_to_do']})" for e in problem.get("errors", [])]
        said = [f"({problem['code']}): {problem['detail']}", *fields, problem.get("what_to_do") or ""]
        return "; ".join(text for text in said if text)[:600]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f": {answer.text[:600]}"


def open_client(info: StackInfo) -> Client:
    return Client(info, httpx.AsyncClient(timeout=REQUEST_TIMEOUT_S, trust_env=False))
