"""SMTP server of the local stack: takes every mail, delivers none, keeps each as a file; can be told to misbehave.

`python -m deploy.local.smtp_sink --port 8625 --dir .local/mail [--http-port 8626]`. DIR/control.json says how to
misbehave (see Control); its counts run down by one per mail and begin anew when the file is written again.
"""

import argparse
import asyncio
import hmac
import json
import signal
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.errors import StackError
from deploy.local.mail_pages import mail_routes
from deploy.local.mailbox import Mailbox
from deploy.local.ports import HOST
from deploy.local.serve import control_secret, only_loopback_names, require_free, server, write_private

MAIL_BYTES_MAX = 20_000_000
RECIPIENTS_MAX = 100
BACKLOG = 256
IDLE_TIMEOUT_S = 120.0
NEXT_MAX = 10_000
CONTROL_BYTES_MAX = 65_536
_CONTROL_FILE = "control.json"


class Control(BaseModel):
    """How to misbehave. `refuse_rcpt`: patterns like `*@bad.example`. `drop_stores`: the mail is kept, only the answer
    after DATA is lost, so that the sender cannot know."""

    model_config = ConfigDict(extra="forbid")

    refuse_rcpt: list[str] = Field(default=[], max_length=1_000)
    refuse_rcpt_code: Annotated[int, Field(ge=400, le=599)] = 550
    refuse_data_next: Annotated[int, Field(ge=0, le=NEXT_MAX)] = 0
    refuse_data_code: Annotated[int, Field(ge=400, le=599)] = 451
    drop_after_data_next: Annotated[int, Field(ge=0, le=NEXT_MAX)] = 0
    drop_stores: bool = True
    delay_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    delay_at: Literal["rcpt", "data"] = "data"


class ControlFile:
    """DIR/control.json, read again whenever it was written; without it the sink behaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._control = Control()

    def current(self) -> Control:
        """What counts now. Raises ValueError when the file is damaged."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._control = None, Control()
            return self._control
        if (stamp := (stat.st_mtime_ns, stat.st_ino)) != self._stamp:
            self._control, self._stamp = Control.model_validate_json(self.path.read_bytes()), stamp
        return self._control


class Sink:
    """aiosmtpd's hooks: refuse, delay, drop, else store."""

    def __init__(self, mailbox: Mailbox, control: ControlFile) -> None:
        self.mailbox, self._control = mailbox, control

    async def handle_RCPT(self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:  # noqa: N802
        control = self._current()
        if control is None:
            return "451 control.json of the sink is damaged"
        if control.delay_at == "rcpt":
            await asyncio.sleep(control.delay_s)
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 Too many recipients"
        if any(fnmatchcase(address.lower(), pattern.lower()) for pattern in control.refuse_rcpt):
            return f"{control.refuse_rcpt_code} {_enhanced(control.refuse_rcpt_code, '1.1')} No such mailbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        control = self._current()
        if control is None:
            return "451 control.json of the sink is damaged"
        if control.delay_at == "data":
            await asyncio.sleep(control.delay_s)
        if control.refuse_data_next:
            control.refuse_data_next -= 1
            return f"{control.refuse_data_code} {_enhanced(control.refuse_data_code, '3.0')} Told to refuse"
        if control.drop_after_data_next:
            control.drop_after_data_next -= 1
            await self._drop(smtp, envelope, stores=control.drop_stores)
        return f"250 2.0.0 kept as {self._store(envelope)}"

    def _current(self) -> Control | None:
        try:
            return self._control.current()
        except (ValueError, OSError) as error:
            print(f"{self._control.path} cannot be used: {type(error).__name__}; correct or remove it", flush=True)
            return None

    async def _drop(self, smtp: SMTP, envelope: Envelope, *, stores: bool) -> None:
        """Cuts the connection; does not return, since aiosmtpd cancels this task once the connection is lost."""
        if stores:
            self._store(envelope)
        assert smtp.transport is not None
        smtp.transport.abort()
        await asyncio.Event().wait()

    def _store(self, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        received_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        return self.mailbox.store(content, envelope.mail_from or "<>", envelope.rcpt_tos, received_at)


def _enhanced(code: int, detail: str) -> str:
    return f"{code // 100}.{detail}"


async def serve(port: int, folder: Path, http_port: int | None) -> None:
    """Serves until SIGTERM or SIGINT; SMTP connections that are open then are cut."""
    mailbox, control = Mailbox(folder), ControlFile(folder / _CONTROL_FILE)
    sink, loop = Sink(mailbox, control), asyncio.get_running_loop()
    pages = server(make_mail_app(mailbox, control, control_secret(folder)), http_port) if http_port else None
    listening = await loop.create_server(lambda: _protocol(sink, loop), HOST, port, backlog=BACKLOG)
    print(f"mail server at {HOST}:{port}, mails in {folder}", flush=True)
    try:
        if pages:
            print(f"mails can be read at http://{HOST}:{http_port}/", flush=True)
            await pages.serve()
        else:
            await _signalled(loop)
    finally:
        listening.close()


def _protocol(sink: Sink, loop: asyncio.AbstractEventLoop) -> SMTP:
    return SMTP(
        sink,
        data_size_limit=MAIL_BYTES_MAX,
        enable_SMTPUTF8=True,
        decode_data=False,
        hostname="recoup-sink.localhost",
        ident="Recoup sink",
        timeout=IDLE_TIMEOUT_S,
        auth_required=False,
        loop=loop,
    )


async def _signalled(loop: asyncio.AbstractEventLoop) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def make_mail_app(mailbox: Mailbox, control: ControlFile, secret: str) -> Starlette:
    """The pages over the mailbox, and POST /_control, which writes control.json."""

    async def command(request: Request) -> Response:
        given = request.headers.get("x-control-secret", "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return JSONResponse({"error": "X-Control-Secret is wrong; it stands in control-secret of the folder"}, 401)
        try:
            wanted = Control.model_validate_json(await _read(request))
        except (ValidationError, ClientDisconnect):
            return JSONResponse({"error": f"send JSON with any of {sorted(Control.model_fields)}"}, 422)
        write_private(control.path, wanted.model_dump_json())
        return JSONResponse(json.loads(wanted.model_dump_json()))

    async def livez(request: Request) -> Response:
        return JSONResponse({"alive": True})

    routes = [*mail_routes(mailbox), Route("/_control", command, methods=["POST"]), Route("/livez", livez)]
    return Starlette(routes=routes, middleware=[only_loopback_names()])


async def _read(request: Request) -> bytes:
    """Body of at most 64 kB; empty, which is no control, when it is longer."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > CONTROL_BYTES_MAX:
            return b""
    return body


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.smtp_sink", description=__doc__)
    parser.add_argument("--port", type=int, default=8625)
    parser.add_argument("--dir", type=Path, required=True, help="folder of the mails and of control.json")
    parser.add_argument("--http-port", type=int, default=None, help="pages over the mails; none without it")
    given = parser.parse_args()
    try:
        require_free(given.port)
        asyncio.run(serve(given.port, given.dir, given.http_port))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
