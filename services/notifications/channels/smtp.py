"""One connection to the mail server, split where at-most-once needs it: up to RCPT before the gate, DATA after it.

Invariant: `data` reports Unanswered whenever the server may have taken the message without saying so; everything else
is a definite answer. A connection that gave no definite answer is closed.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")
_ADDRESS_CODES = (550, 551, 553)
SHUTTING_DOWN = 421


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """Where and how to connect. Times in seconds."""

    host: str
    port: int
    security: str = "none"
    user: str = ""
    password: str = ""
    local_name: str = "recoup.localdomain"
    connect_timeout_s: float = 10.0
    command_timeout_s: float = 15.0
    data_timeout_s: float = 40.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The server took sender and recipient; DATA may begin."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A definite no, to the recipient or to the content. `code` holds numbers only, never the server's text."""

    code: str
    permanent: bool
    address_is_bad: bool = False
    after_data: bool = False


@dataclass(frozen=True, slots=True)
class Down:
    """The server cannot be spoken to now; DATA of this mail did not begin."""

    why: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has taken the message."""

    code: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """DATA began and no answer came: the message may have been taken."""

    why: str


class Lane:
    """A connection that is opened when it is needed and used for one mail after another."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._client: SMTP | None = None

    async def prepare(self, sender: str, recipient: str) -> Ready | Refused | Down:
        """MAIL and RCPT. After Ready the lane waits for `data` or `abandon`."""
        options = self._options
        try:
            async with asyncio.timeout(options.connect_timeout_s + 2 * options.command_timeout_s):
                client = await self._connected()
                await client.mail(sender, timeout=options.command_timeout_s)
                await client.rcpt(recipient, timeout=options.command_timeout_s)
        except SMTPRecipientRefused as refusal:
            if refusal.code == SHUTTING_DOWN:
                return await self._down(refusal)
            await self.abandon()
            return _refused(refusal)
        except (SMTPSenderRefused, SMTPException, OSError, TimeoutError) as problem:
            return await self._down(problem)
        return Ready()

    async def data(self, content: bytes) -> Accepted | Refused | Unanswered | Down:
        """DATA and the content. Only a complete answer of the server counts as one."""
        client = self._client
        if client is None or not client.is_connected:
            return Down("the connection was lost before DATA")
        try:
            answer = await client.data(content, timeout=self._options.data_timeout_s)
        except SMTPDataError as refusal:
            if 200 <= refusal.code < 300:
                return Accepted(str(refusal.code))
            if 400 <= refusal.code < 600:
                await self._keep_or_close(refusal.code)
                return _refused(refusal, of_recipient=False)
            await self.close()
            return Unanswered(f"the server answered {refusal.code}")
        except (SMTPException, OSError, TimeoutError, ValueError) as problem:
            await self.close()
            return Unanswered(type(problem).__name__)
        except BaseException:
            await self.close()
            raise
        return Accepted(str(answer.code))

    async def abandon(self) -> None:
        """Forget the mail that was prepared; the connection stays if the server agrees."""
        if self._client is None:
            return
        try:
            await self._client.rset(timeout=self._options.command_timeout_s)
        except (SMTPException, OSError, TimeoutError):
            await self.close()

    async def connect(self) -> Down | None:
        """Try the connection alone. None when the server answers."""
        try:
            await self._connected()
        except (SMTPException, OSError, TimeoutError) as problem:
            return await self._down(problem)
        return None

    async def quit(self) -> None:
        """Say goodbye and close."""
        if self._client is None:
            return
        with suppress(SMTPException, OSError, TimeoutError):
            await self._client.quit(timeout=1)
        await self.close()

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        options = self._options
        client = SMTP(
            hostname=options.host,
            port=options.port,
            username=options.user or None,
            password=options.password or None,
            local_hostname=options.local_name,
            timeout=options.connect_timeout_s,
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            validate_certs=True,
        )
        await client.connect()
        self._client = client
        return client

    async def _keep_or_close(self, code: int) -> None:
        if code == SHUTTING_DOWN:
            await self.close()

    async def _down(self, problem: BaseException) -> Down:
        await self.close()
        code = f" {problem.code}" if isinstance(problem, SMTPResponseException) else ""
        return Down(f"mail server {self._options.host}:{self._options.port}: {type(problem).__name__}{code}")


def _refused(refusal: SMTPResponseException, *, of_recipient: bool = True) -> Refused:
    found = _ENHANCED.match(refusal.message or "")
    enhanced = found.group(1) if found else ""
    permanent = 500 <= refusal.code < 600
    bad = enhanced.startswith("5.1.") if enhanced else refusal.code in _ADDRESS_CODES
    code = f"{refusal.code} {enhanced}".strip()
    return Refused(code, permanent, permanent and bad and of_recipient, not of_recipient)
