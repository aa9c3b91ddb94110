"""Delivers holds to the access system: signed webhooks, at least once until confirmed, versions in order.

Invariant: one version of a hold is in flight at a time; an order that must pass the gate passed it in the transaction
just before this attempt; the idempotency key and the body of a version never change.
"""

import asyncio
import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import orjson
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from standardwebhooks.webhooks import Webhook

from services.notifications import store
from services.notifications.channels.errands import errand, moment_of, tell
from services.notifications.channels.pace import Pace
from services.notifications.domain.commands import Answered, JudgeHold
from services.notifications.settings import Settings
from shared import tracing
from shared.errors import Stop
from shared.events.codec import Event
from shared.runtime import failpoints, loops
from shared.runtime.effects import Moment

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

ANY_COMPANY = "*"
RECEIVER = "access_system"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FINAL_STATUSES = (400, 409, 410, 413, 422)
SECRET_BYTES_MIN = 24
ANSWER_BYTES_MAX = 65_536
LEASE_MARGIN_S = 20.0
LATE = "LATE"
"""Code of an attempt that was not made: the process slept so long that its lease may end before the answer."""


class _TargetEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    secret_file: Path


@dataclass(frozen=True, slots=True)
class Target:
    """Where the holds of a company go, and the secret that signs them."""

    url: str
    secret: SecretStr


def read_targets(settings: Settings) -> dict[str, Target]:
    """Receivers by company, `*` for all others. Raises Stop with the way out when a file or address is not usable."""
    targets: dict[str, Target] = {}
    if settings.access_system_url and settings.webhook_secrets_file:
        secrets = _json(settings.webhook_secrets_file)
        if RECEIVER not in secrets:
            raise Stop(f"{settings.webhook_secrets_file} has no secret named {RECEIVER!r}; add it")
        targets[ANY_COMPANY] = _target(settings.access_system_url, str(secrets[RECEIVER]))
    if settings.webhook_targets:
        for company, entry in _json(settings.webhook_targets).items():
            try:
                read = _TargetEntry.model_validate(entry)
            except ValidationError as problem:
                raise Stop(f"{settings.webhook_targets}: {company}: {problem.errors()[0]['msg']}; correct it") from None
            targets[company] = _target(read.url, _text(read.secret_file).strip())
    return targets


def _target(url: str, secret: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise Stop(f"webhook address {url!r} is neither https nor on this machine; holds are not sent in the clear")
    if not _is_secret(secret):
        raise Stop(
            f"the webhook secret for {parts.hostname} is not whsec_ and at least {SECRET_BYTES_MIN} bytes in base64"
        )
    return Target(url, SecretStr(secret))


def _is_secret(text: str) -> bool:
    prefix, _, encoded = text.partition("_")
    try:
        return prefix == "whsec" and len(base64.b64decode(encoded, validate=True)) >= SECRET_BYTES_MIN
    except ValueError:
        return False


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_text(path)))
    except ValueError as problem:
        raise Stop(f"{path} is not a JSON object: {problem}; correct it") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise Stop(f"{path} cannot be read: {problem.strerror}; correct the setting or the file") from None


class WebhookSender:
    """The webhook loop of one process. Several processes share the work through claims with a lease."""

    def __init__(self, runtime: "Runtime", client: httpx.AsyncClient | None = None) -> None:
        settings: Settings = runtime.settings
        self._runtime, self._settings = runtime, settings
        self._targets = read_targets(settings)
        self._owner = f"notifications-{settings.instance}"
        stream, wanted = settings.clock == "stream", runtime.timers_wanted.followed()
        self._pace = Pace(runtime.clock, stream=stream, wanted=wanted)
        self._client = client or httpx.AsyncClient(
            timeout=httpx.Timeout(settings.webhook_timeout_s),
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=settings.webhook_concurrency, keepalive_expiry=10.0),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is in flight is brought to its end."""
        try:
            await loops.forever(self._runtime, "webhook", lambda: self._look(stop), until=stop)
        finally:
            await self._client.aclose()

    async def _look(self, stop: asyncio.Event) -> int:
        done = 0
        if self._pace.due((await moment_of(self._runtime)).number):
            done = await self.step()
        if done:
            self._pace.at_once()
        else:
            await self._pace.rest(stop)
        return done

    async def step(self) -> int:
        """One round. Returns the number of deliveries taken."""
        moment = await moment_of(self._runtime)
        if moment.now is None or moment.number <= self._runtime.unit.start.acts_after:
            return 0
        until_s = self._runtime.clock.monotonic() + LEASE_MARGIN_S
        now = self._runtime.clock.now()
        async with self._runtime.pool.acquire() as db:
            claimed = await store.claim_effects(
                db,
                business_now=moment.now if self._settings.clock == "stream" else now,
                number=moment.number,
                wall_now=now,
                lease_until_at=now + timedelta(seconds=2 * self._settings.webhook_timeout_s + LEASE_MARGIN_S),
                owner=self._owner,
                limit=self._settings.webhook_concurrency,
            )
        if claimed:
            await self._send(claimed, moment, until_s)
        return len(claimed)

    async def _send(self, claimed: list[asyncpg.Record], moment: Moment, until_s: float) -> None:
        effects = await tell(self._runtime, [self._judge(c, moment) for c in claimed])
        rows = effects.rows.effects
        passed = [
            c
            for c in claimed
            if (row := rows.get((c["company"], c["effect_id"])))
            and row.status == "due"
            and row.lease_until_at is not None
        ]
        answers = await asyncio.gather(*(self._post(c, until_s) for c in passed))
        self._show(answers)
        if answers:
            await tell(self._runtime, [errand(c, answer, moment) for c, answer in zip(passed, answers, strict=True)])

    def _show(self, answers: list[Answered]) -> None:
        """Readiness names a receiver that does not answer, until one answer of it comes."""
        for answer in answers:
            if answer.code == LATE:
                continue
            if answer.confirmed or answer.final:
                self._runtime.failing.pop(RECEIVER, None)
            else:
                self._runtime.failing[RECEIVER] = f"{answer.company}: {answer.code}"

    def _judge(self, claimed: asyncpg.Record, moment: Moment) -> Event:
        data = JudgeHold(
            company=claimed["company"],
            effect_id=claimed["effect_id"],
            account_id=claimed["account_id"],
            claim=claimed["claims"],
            at=self._runtime.clock.now(),
        )
        return errand(claimed, data, moment)

    async def _post(self, claimed: asyncpg.Record, until_s: float) -> Answered:
        """One attempt, begun before `until_s` or not at all: behind the lease a newer version may have been sent.

        Every outcome is an answer: what is not a clear yes or a final no is tried again.
        """
        target = self._targets.get(claimed["company"]) or self._targets.get(ANY_COMPANY)
        if target is None:
            return self._answered(claimed, confirmed=False, final=False, code="NO_TARGET")
        body = orjson.dumps(claimed["body"], option=orjson.OPT_SORT_KEYS)
        await failpoints.hit("webhook.before_post")
        if self._runtime.clock.monotonic() >= until_s:
            return self._answered(claimed, confirmed=False, final=False, code=LATE)
        try:
            async with asyncio.timeout(self._settings.webhook_timeout_s):
                status, answer = await self._exchange(target, claimed, body)
        except (httpx.HTTPError, OSError, TimeoutError) as problem:
            return self._answered(claimed, confirmed=False, final=False, code=type(problem).__name__)
        await failpoints.hit("webhook.after_post")
        if 200 <= status < 300:
            stale = _says_not_applied(answer)
            return self._answered(claimed, confirmed=not stale, final=stale, code="NOT_APPLIED" if stale else "")
        return self._answered(claimed, confirmed=False, final=status in FINAL_STATUSES, code=f"HTTP_{status}")

    async def _exchange(self, target: Target, claimed: asyncpg.Record, body: bytes) -> tuple[int, bytes]:
        """Status and the first bytes of the answer."""
        headers = self._headers(target, str(claimed["effect_id"]), body)
        headers[tracing.HEADER] = tracing.of_row(claimed["envelope"])
        answer = bytearray()
        async with self._client.stream("POST", target.url, content=body, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > ANSWER_BYTES_MAX:
                    break
        return response.status_code, bytes(answer)

    def _headers(self, target: Target, effect_id: str, body: bytes) -> dict[str, str]:
        at = self._runtime.clock.now()
        signature = Webhook(target.secret.get_secret_value()).sign(effect_id, at, body.decode())
        return {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "webhook-id": effect_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
            "idempotency-key": effect_id,
            "user-agent": "recoup-notifications",
        }

    def _answered(self, claimed: asyncpg.Record, *, confirmed: bool, final: bool, code: str) -> Answered:
        return Answered(
            company=claimed["company"],
            effect_id=claimed["effect_id"],
            account_id=claimed["account_id"],
            claim=claimed["claims"],
            confirmed=confirmed,
            final=final,
            code=code,
            at=self._runtime.clock.now(),
        )


def _says_not_applied(content: bytes) -> bool:
    """Whether a receiver that took the call says that a newer version of the hold counts."""
    try:
        answer = orjson.loads(content)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("applied") is False
