"""Plays the customer's access system (a data room): takes signed holds, keeps versions and leases, restores access.

`python -m deploy.local.access_system --port 8500 --state .local/access --secrets .local/secrets/webhooks.json`
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.local.errors import StackError
from deploy.local.hold_journal import Journal
from deploy.local.hold_register import Conflict, Full, HoldOrder, HoldRegister, Kept
from deploy.local.ports import HOST
from deploy.local.serve import control_secret, only_loopback_names, require_free, run

SECRET_NAME = "access_system"
BODY_BYTES_MAX = 65_536
LOG_MAX = 10_000
LOG_SHOWN_MAX = 1_000
KEYS_MAX = 100_000
DELAY_S_MAX = 60.0
NEXT_MAX = 10_000


class Control(BaseModel):
    """How to misbehave; counts run down by one per webhook, failing first. `drop_applies`: the work is done, only the
    answer is lost."""

    model_config = ConfigDict(extra="forbid")

    fail_next: Annotated[int, Field(ge=0, le=NEXT_MAX)] = 0
    fail_status: Annotated[int, Field(ge=400, le=599)] = 500
    drop_next: Annotated[int, Field(ge=0, le=NEXT_MAX)] = 0
    drop_applies: bool = False
    delay_s: Annotated[float, Field(ge=0, le=DELAY_S_MAX)] = 0.0


class AccessSystem:
    """The running system: register, journal, log for people, and how it was told to misbehave."""

    def __init__(self, state: Path, webhooks: list[Webhook]) -> None:
        self.webhooks, self.control, self.secret = webhooks, Control(), control_secret(state)
        self.register = HoldRegister()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)
        self.changed = asyncio.Event()
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._journal = Journal(state / "received.jsonl")
        self._journal.read_into(self.register, self._keys)

    def take(self, webhook_id: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer for a verified webhook."""
        body_hash = hashlib.sha256(body).hexdigest()
        if self._keys.get(webhook_id, body_hash) != body_hash:
            return 409, self.refuse(webhook_id, "webhook-id was used with another body; use a new one per message")
        try:
            order = HoldOrder.model_validate_json(body)
            before = self.register.get(order.hold_id)
            answer = self.register.accept(order, body_hash, time.monotonic())
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "body"
            return 422, self.refuse(webhook_id, f"{place}: {first['msg']}")
        except Conflict as conflict:
            return 409, self.refuse(webhook_id, str(conflict))
        except Full as full:
            return 507, self.refuse(webhook_id, str(full))
        kept = self.register.get(order.hold_id)
        if kept is not None and kept is not before:
            self._journal.write(webhook_id, kept)
        self._remember(webhook_id, body_hash)
        self.note("received", webhook_id=webhook_id, **order.model_dump(mode="json"), applied=answer.applied)
        self.changed.set()
        return 200, asdict(answer)

    def _remember(self, webhook_id: str, body_hash: str) -> None:
        self._keys[webhook_id] = body_hash
        if len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)

    def refuse(self, webhook_id: str, why: str) -> dict[str, Any]:
        """Notes a refusal; the answer that says why."""
        self.note("refused", webhook_id=webhook_id, why=why)
        return {"applied": False, "error": why}

    def note(self, what: str, **facts: Any) -> None:
        """Adds to the log that auditors and tests read."""
        self.log.append({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, **facts})

    async def watch_leases(self) -> None:
        """Notes each lease that ends; sleeps until the next one does, or a version comes in."""
        restricting = {kept.order.hold_id for kept in self.register.restricting(time.monotonic())}
        while True:
            now = time.monotonic()
            current = {kept.order.hold_id: kept for kept in self.register.restricting(now)}
            for kept in self.register.all():
                if kept.order.hold_id in restricting - current.keys() and kept.standing(now) == "ended":
                    facts = kept.order.model_dump(include={"hold_id", "version", "account_id"})
                    self.note("restored", **facts, why="the lease ended and nobody renewed it")
            restricting, end = set(current), self.register.next_end(now)
            self.changed.clear()
            try:
                async with asyncio.timeout(None if end is None else max(end - time.monotonic(), 0.0)):
                    await self.changed.wait()
            except TimeoutError:
                continue

    def shown(self, hold_id: str | None, account_id: str | None) -> dict[str, Any]:
        """Body of GET /state, narrowed to one hold or account."""
        now = time.monotonic()

        def wanted(facts: Mapping[str, Any]) -> bool:
            return hold_id in (None, facts.get("hold_id")) and account_id in (None, facts.get("account_id"))

        holds = [_shown(kept, now) for kept in self.register.all() if wanted(kept.order.model_dump())]
        return {
            "restrictions": [hold for hold in holds if hold["restricts"]],
            "holds": holds,
            "log": [entry for entry in self.log if wanted(entry)][-LOG_SHOWN_MAX:],
        }


def _shown(kept: Kept, now: float) -> dict[str, Any]:
    restricts = kept.restricts(now)
    remaining_s = round(kept.ends_at - now, 1) if restricts else 0.0
    head = kept.order.model_dump(mode="json", exclude={"state"})
    return head | {"state": kept.standing(now), "restricts": restricts, "remaining_s": remaining_s}


class DroppableProtocol(HttpToolsProtocol):
    """Lets a request see its connection, so that a test can have it cut without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def _holds(request: Request) -> Response:
    system: AccessSystem = request.app.state.system
    try:
        body = await _read(request)
    except ClientDisconnect:
        return Response(status_code=400)
    if body is None:
        return JSONResponse({"applied": False, "error": f"more than {BODY_BYTES_MAX} bytes"}, 413)
    webhook_id = request.headers.get("webhook-id", "")[:200]
    if not _is_signed(system.webhooks, body, request.headers):
        answer = system.refuse(webhook_id, "the signature is missing, wrong, too old or too new")
        return JSONResponse(answer, 401)
    control = system.control
    await asyncio.sleep(control.delay_s)
    if control.fail_next:
        control.fail_next -= 1
        return JSONResponse({"applied": False, "error": "told to fail"}, control.fail_status)
    if control.drop_next:
        control.drop_next -= 1
        if control.drop_applies:
            system.take(webhook_id, body)
        request.scope["state"]["transport"].abort()
        return Response(status_code=500)
    status, answer = system.take(webhook_id, body)
    return JSONResponse(answer, status)


async def _read(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return body


def _is_signed(webhooks: list[Webhook], body: bytes, headers: Mapping[str, str]) -> bool:
    for webhook in webhooks:
        try:
            webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            continue
        return True
    return False


async def _state(request: Request) -> Response:
    system: AccessSystem = request.app.state.system
    return JSONResponse(system.shown(request.query_params.get("hold_id"), request.query_params.get("account_id")))


async def _control(request: Request) -> Response:
    system: AccessSystem = request.app.state.system
    given = request.headers.get("x-control-secret", "")
    if not hmac.compare_digest(given.encode(), system.secret.encode()):
        return JSONResponse({"error": "X-Control-Secret is wrong; it stands in control-secret of the state"}, 401)
    if request.method == "POST":
        try:
            system.control = Control.model_validate_json(await _read(request) or b"")
        except (ValidationError, ClientDisconnect):
            return JSONResponse({"error": f"send JSON with any of {sorted(Control.model_fields)}"}, 422)
    return JSONResponse(system.control.model_dump())


async def _livez(request: Request) -> Response:
    return JSONResponse({"alive": True})


def make_access_app(system: AccessSystem) -> Starlette:
    """The endpoints of `system`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(system.watch_leases())
        yield
        watch.cancel()

    app = Starlette(
        routes=[
            Route("/holds", _holds, methods=["POST"]),
            Route("/state", _state),
            Route("/_control", _control, methods=["GET", "POST"]),
            Route("/livez", _livez),
        ],
        middleware=[only_loopback_names()],
        lifespan=lifespan,
    )
    app.state.system = system
    return app


def load_webhooks(path: Path) -> list[Webhook]:
    """Verifiers for the secret, or list of secrets (while they are changed), under `access_system` in a JSON file."""
    damaged = StackError(f'{path} must be JSON with "{SECRET_NAME}": "whsec_<base64>", or a list of such')
    try:
        found = json.loads(path.read_text(encoding="utf-8"))[SECRET_NAME]
        webhooks = [Webhook(secret) for secret in ([found] if isinstance(found, str) else found)]
    except OSError as error:
        raise StackError(f"{path} cannot be read ({error.strerror}); give --secrets the webhook secrets") from None
    except (ValueError, KeyError, TypeError, RuntimeError, EmptyWebhookSecretError):
        raise damaged from None
    if not webhooks:
        raise damaged
    return webhooks


def main() -> int:
    """Command line: serves until a signal."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.access_system", description=__doc__)
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--state", type=Path, required=True, help="folder of journal and control secret")
    parser.add_argument("--secrets", type=Path, required=True, help=f"JSON file with the key {SECRET_NAME}")
    given = parser.parse_args()
    try:
        require_free(given.port)
        system = AccessSystem(given.state, load_webhooks(given.secrets))
        print(f"access system at http://{HOST}:{given.port}/state", flush=True)
        run(make_access_app(system), given.port, http=DroppableProtocol)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
