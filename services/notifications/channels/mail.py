"""Sends mail at most once: claim, judge, connect up to RCPT, judge with effect, wait for Kafka, DATA, note the end.

Invariant: DATA begins only for a notice whose `notice.sending` is committed and acknowledged by Kafka, within 5 s of
the judgement; whatever happens after it began, this notice is never sent again by itself.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from services.notifications import store
from services.notifications.channels.content import compose
from services.notifications.channels.errands import errand, moment_of, tell
from services.notifications.channels.pace import Pace
from services.notifications.channels.smtp import Accepted, Down, Lane, Ready, Refused, SmtpOptions, Unanswered
from services.notifications.domain.commands import Delivered, JudgeNotice
from services.notifications.domain.letter import Letter
from services.notifications.domain.rows import Key
from services.notifications.settings import Settings
from shared import tracing
from shared.errors import Transient
from shared.events.codec import Event
from shared.events.notifications import NoticeSending
from shared.failure_text import failure_text
from shared.ids import output_id
from shared.runtime import failpoints, loops
from shared.runtime import statements as sql
from shared.runtime.effects import Moment
from shared.runtime.transaction import TRANSIENT

if TYPE_CHECKING:
    from shared.runtime.lifecycle import Runtime

JUDGED_TO_DATA_MAX_S = 5.0
ACK_WAIT_MAX_S = 4.0
ACK_POLL_S = 0.005
LEASE_MARGIN_S = 30.0
LOST_EVERY_S = 5.0
NOTE_TRIES_MAX = 8
NOT_ACKNOWLEDGED_AGAIN_S = 15
"""Wait of a notice whose `notice.sending` Kafka did not take in time; each try announces it once more."""
CHANNEL = "email"
LOST = "SENDER_LOST"
Result = Accepted | Refused | Unanswered | Down | None


@dataclass(slots=True)
class Parcel:
    """A claimed notice on its way: the lane that is prepared for it and, once it passed, its letter and content."""

    claimed: asyncpg.Record
    letter: Letter | None = None
    lane: Lane | None = None
    content: bytes = b""
    reference: dict | None = None

    @property
    def key(self) -> Key:
        return self.claimed["company"], self.claimed["notice_id"]


class MailDispatcher:
    """The mail loop of one process. Several processes share the work through claims with a lease."""

    def __init__(self, runtime: "Runtime") -> None:
        settings: Settings = runtime.settings
        self._runtime, self._settings = runtime, settings
        options = SmtpOptions(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
            local_name=settings.smtp_local_name,
            connect_timeout_s=settings.smtp_connect_timeout_s,
            command_timeout_s=settings.smtp_command_timeout_s,
            data_timeout_s=settings.smtp_data_timeout_s,
        )
        self._lanes = [Lane(options) for _ in range(settings.smtp_connections)]
        self._owner = f"notifications-{settings.instance}"
        self._pace = Pace(runtime.clock, stream=settings.clock == "stream")
        self._width = len(self._lanes)
        self._down = False
        self._lost_at: float | None = None
        self._restarted = True

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; a group in hand is brought to its end."""
        try:
            await loops.forever(self._runtime, "mail", lambda: self._look(stop), until=stop)
        finally:
            await asyncio.gather(*(lane.quit() for lane in self._lanes))

    async def _look(self, stop: asyncio.Event) -> int:
        done = 0
        if self._down or self._pace.due((await moment_of(self._runtime)).number):
            done = await self.step()
        if done:
            self._pace.at_once()
        else:
            await self._pace.rest(stop)
        return done

    async def step(self) -> int:
        """One round. Returns the number of notices taken. Raises Transient while the mail server is down."""
        await self._note_lost()
        moment = await moment_of(self._runtime)
        if moment.now is None or moment.number <= self._runtime.unit.start.acts_after:
            return 0
        if self._down and (still := await self._lanes[0].connect()):
            raise Transient(still.why)
        self._down = False
        async with self._runtime.pool.acquire() as db:
            now = self._runtime.clock.now()
            claimed = await store.claim_notices(
                db,
                business_now=moment.now if self._settings.clock == "stream" else now,
                number=moment.number,
                wall_now=now,
                lease_until_at=now + timedelta(seconds=self._lease_s()),
                owner=self._owner,
            )
        if claimed:
            await self._send(await self._screened(claimed, moment), moment)
        return len(claimed)

    def _lease_s(self) -> float:
        """Longer than a claim can take: groups begin for LEASE_MARGIN_S, the last one may take all its timeouts."""
        s = self._settings
        prepare_s = s.smtp_connect_timeout_s + 3 * s.smtp_command_timeout_s
        return prepare_s + JUDGED_TO_DATA_MAX_S + s.smtp_data_timeout_s + 2 * LEASE_MARGIN_S

    async def _screened(self, claimed: list[asyncpg.Record], moment: Moment) -> list[Parcel]:
        """Judge without effect: what is withheld or must wait ends here, before any connection."""
        effects = await tell(self._runtime, [self._judge(c, moment, binding=False) for c in claimed])
        letters = effects.rows.letters
        return [Parcel(c, letters[key]) for c in claimed if (key := (c["company"], c["notice_id"])) in letters]

    def _judge(self, claimed: asyncpg.Record, moment: Moment, *, binding: bool) -> Event:
        data = JudgeNotice(
            company=claimed["company"],
            notice_id=claimed["notice_id"],
            account_id=claimed["account_id"],
            claim=claimed["claims"],
            binding=binding,
            at=self._runtime.clock.now(),
        )
        return errand(claimed, data, moment)

    async def _send(self, parcels: list[Parcel], moment: Moment) -> None:
        """Group after group; what cannot be begun in time for the lease goes back."""
        other = [p for p in parcels if p.letter.channel != CHANNEL]
        if other:
            refusal = Refused("CHANNEL_NOT_SUPPORTED", permanent=True)
            await self._note([self._told(p, refusal, moment) for p in other])
        waiting = [p for p in parcels if p.letter.channel == CHANNEL]
        deadline = self._runtime.clock.monotonic() + LEASE_MARGIN_S
        while waiting and self._runtime.clock.monotonic() < deadline:
            group, waiting = waiting[: self._width], waiting[self._width :]
            why = await self._group(group, moment)
            if why:
                await self._give_back(waiting)
                self._down = True
                raise Transient(why)
        await self._give_back(waiting)

    async def _group(self, parcels: Sequence[Parcel], moment: Moment) -> str:
        """Bring a group to its end. Returns why the mail server is down, empty when it is not."""
        for parcel, lane in zip(parcels, self._lanes, strict=False):
            parcel.lane = lane
        answers = await asyncio.gather(*(p.lane.prepare(p.letter.bounce_address, p.letter.recipient) for p in parcels))
        pairs = list(zip(parcels, answers, strict=True))
        ready = [p for p, answer in pairs if isinstance(answer, Ready)]
        refused = [(p, answer) for p, answer in pairs if isinstance(answer, Refused)]
        down = [(p, answer) for p, answer in pairs if isinstance(answer, Down)]
        await self._note([self._told(p, answer, moment) for p, answer in refused])
        await self._give_back([p for p, _ in down])
        not_kept = await self._let_go(ready, moment) if ready else ""
        self._width = max(1, len(parcels) - len(down)) if down else min(len(self._lanes), self._width + 1)
        return not_kept or (down[0][1].why if down and not ready and not refused else "")

    async def _let_go(self, parcels: list[Parcel], moment: Moment) -> str:
        """The judgement with effect, then DATA for those that passed and whose `notice.sending` Kafka has.

        Returns why mails could not be kept, empty when they could: nothing is sent that is not kept.
        """
        judged_at_s = self._runtime.clock.monotonic()
        events = {p.key: self._judge(p.claimed, moment, binding=True) for p in parcels}
        effects = await tell(self._runtime, list(events.values()))
        await failpoints.hit("mail.judged")
        letters = effects.rows.letters
        passed = [p for p in parcels if p.key in letters]
        await asyncio.gather(*(p.lane.abandon() for p in parcels if p.key not in letters))
        sending = [output_id(events[p.key].envelope.id, NoticeSending.TYPE, str(p.key[1]), 0) for p in passed]
        written, acknowledged = await asyncio.gather(
            asyncio.gather(*(self._write(p, letters[p.key]) for p in passed)),
            self._acknowledged(sending, judged_at_s),
        )
        results = await asyncio.gather(
            *(
                self._deliver(p, letters[p.key], judged_at_s)
                if ok and acknowledged
                else self._hold_back(p, ok is not False)
                for p, ok in zip(passed, written, strict=True)
            )
        )
        again_s = 0 if acknowledged else NOT_ACKNOWLEDGED_AGAIN_S
        await self._note([self._told(p, result, moment, again_s) for p, result in zip(passed, results, strict=True)])
        return "mails cannot be kept: the blob store does not take them" if None in written else ""

    async def _write(self, parcel: Parcel, letter: Letter) -> bool | None:
        """Compose the mail and store it; otherwise nothing is sent. False: it can never be composed. None: the store
        did not take it now, so the notice goes back."""
        try:
            parcel.content = compose(letter, tracing.of_row(parcel.claimed["envelope"]))
        except Exception as problem:  # of whatever kind: the notice ends as failed, visibly
            problem_text = failure_text(problem)
            self._runtime.log.exception("notice_not_written", notice_id=str(letter.notice_id), error=problem_text)
            return False
        name = f"notice-{letter.notice_id}.eml"
        try:
            reference = await self._runtime.blobs.put(parcel.content, "message/rfc822", name, letter.account_id)
        except OSError as problem:
            self._runtime.log.error("notice_not_kept", notice_id=str(letter.notice_id), error=failure_text(problem))
            return None
        parcel.reference = reference.model_dump(mode="json")
        return True

    async def _acknowledged(self, event_ids: list[UUID], judged_at_s: float) -> bool:
        """Wait until Kafka has every `notice.sending`, shown by its row having left the outbox."""
        if not event_ids:
            return True
        clock = self._runtime.clock
        async with self._runtime.pool.acquire() as db:
            while await db.fetchval(sql.OUTBOX_HOLDS, event_ids):  # tidy: allow waits for the relay, one poll a round
                if clock.monotonic() - judged_at_s >= ACK_WAIT_MAX_S:
                    return False
                await asyncio.sleep(ACK_POLL_S)
        return True

    async def _deliver(self, parcel: Parcel, letter: Letter, judged_at_s: float) -> Result:
        """DATA, unless the judgement is too old by now or the address has changed since RCPT."""
        too_late = self._runtime.clock.monotonic() - judged_at_s >= JUDGED_TO_DATA_MAX_S
        if too_late or letter.recipient != parcel.letter.recipient:
            return await self._hold_back(parcel, True)
        await failpoints.hit("mail.before_data")
        result = await parcel.lane.data(parcel.content)
        await failpoints.hit("mail.after_data")
        return result

    async def _hold_back(self, parcel: Parcel, possible: bool) -> Result:
        await parcel.lane.abandon()
        return None if possible else Refused("NOT_WRITTEN", permanent=True)

    def _told(self, parcel: Parcel, result: Result, moment: Moment, again_s: int = 0) -> Event:
        """What became of a parcel, as the handler is told it. Down or None: DATA did not begin."""
        facts: dict[str, Any] = {"result": "released", "again_s": again_s}
        match result:
            case Accepted():
                facts = {"result": "sent", "code": result.code}
            case Unanswered():
                facts = {"result": "unknown", "code": result.why}
            case Refused():
                facts = {
                    "result": "refused",
                    "code": result.code,
                    "permanent": result.permanent,
                    "address_is_bad": result.address_is_bad,
                    "after_data": result.after_data,
                }
        return errand(
            parcel.claimed,
            Delivered(
                company=parcel.claimed["company"],
                notice_id=parcel.claimed["notice_id"],
                account_id=parcel.claimed["account_id"],
                claim=parcel.claimed["claims"],
                at=self._runtime.clock.now(),
                content=parcel.reference,
                **facts,
            ),
            moment,
        )

    async def _note(self, events: list[Event]) -> None:
        """Tell the handler how mails ended; while the store is away it is tried again until the lease would end."""
        if not events:
            return
        for attempt in range(1, NOTE_TRIES_MAX + 1):
            try:
                await tell(self._runtime, events)
                return
            except TRANSIENT:
                if attempt == NOTE_TRIES_MAX:
                    raise
                await asyncio.sleep(min(0.1 * 2**attempt, 5.0))

    async def _give_back(self, parcels: Sequence[Parcel]) -> None:
        if not parcels:
            return
        async with self._runtime.pool.acquire() as db:
            await store.release_notices(db, [p.claimed for p in parcels])

    async def _note_lost(self) -> None:
        """Notices whose sender died between its judgement and the answer: nobody knows whether they left."""
        clock = self._runtime.clock
        if self._lost_at is not None and clock.monotonic() - self._lost_at < LOST_EVERY_S:
            return
        now = clock.now()
        async with self._runtime.pool.acquire() as db:
            lost = await store.claim_lost(
                db,
                wall_now=now,
                lease_until_at=now + timedelta(seconds=LEASE_MARGIN_S),
                owner=self._owner if self._restarted else "",
            )
        if lost:
            moment = await moment_of(self._runtime)
            await self._note([self._told(Parcel(c), Unanswered(LOST), moment) for c in lost])
        self._restarted, self._lost_at = False, clock.monotonic()
