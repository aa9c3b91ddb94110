"""The mail sink as a process: what it keeps, how it refuses and drops, and what its pages let through."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest
from aiosmtplib import SMTPRecipientsRefused, SMTPResponseException, SMTPServerDisconnected

from deploy.local.mailbox import Mailbox
from tests.stack.programs import running


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    folder = tmp_path_factory.mktemp("mail")
    arguments = ("--port", "{port}", "--http-port", "{port2}", "--dir", str(folder))
    with running("deploy.local.smtp_sink", folder, *arguments, ports=2) as (_, ports):
        yield folder, ports[0], ports[1]


@pytest.fixture(autouse=True)
def well_behaved(sink: tuple[Path, int, int]) -> None:
    (sink[0] / "control.json").unlink(missing_ok=True)


@pytest.fixture
async def pages(sink: tuple[Path, int, int]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sink[2]}", timeout=5, trust_env=False) as opened:
        yield opened


def mail(message_id: str, to: str = "payer@example.com", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = "ar@harbour.example", to, message_id
    message["Subject"] = headers.get("subject", "Reminder")
    message.set_content("Dear payer,\n.\n..two dots\nfrom us: 1.000,00 €\n")
    message.add_alternative(headers.get("html", "<p>Dear payer"), subtype="html")
    return message


async def send(port: int, message: EmailMessage, **options: Any) -> Any:
    return await aiosmtplib.send(message, hostname="127.0.0.1", port=port, timeout=10, start_tls=False, **options)


def control(folder: Path, **how: Any) -> None:
    part = folder / "control.part"
    part.write_text(json.dumps(how))
    part.replace(folder / "control.json")


def kept(folder: Path, message_id: str) -> list[Path]:
    return [p for p in sorted(folder.glob("*.eml")) if message_from_bytes(p.read_bytes())["Message-ID"] == message_id]


async def test_a_mail_lands_whole_with_its_envelope(sink: tuple[Path, int, int]) -> None:
    folder, port, _ = sink
    await send(
        port, mail("<one@x>"), sender="bounce+17@harbour.example", recipients=["Payer@example.com", "b@example.com"]
    )
    (path,) = kept(folder, "<one@x>")
    assert re.fullmatch(r"[0-9a-f]{16}-001\.eml", path.name)
    found = message_from_bytes(path.read_bytes())
    assert found["X-Sink-From"] == "bounce+17@harbour.example"
    assert found["X-Sink-To"] == "Payer@example.com, b@example.com"
    text = found.get_payload(0).get_payload(decode=True)
    assert text.decode().splitlines() == ["Dear payer,", ".", "..two dots", "from us: 1.000,00 €"]


async def test_a_mail_that_comes_twice_stands_there_twice(
    sink: tuple[Path, int, int], pages: httpx.AsyncClient
) -> None:
    folder, port, _ = sink
    for _ in range(2):
        await send(port, mail("<twice@x>"))
    first, second = kept(folder, "<twice@x>")
    assert (first.stem[:-4], first.stem[-3:], second.stem[-3:]) == (second.stem[:-4], "001", "002")
    listed = (await pages.get("/mails", params={"message_id": "<twice@x>"})).json()["mails"]
    assert sorted(entry["double"] for entry in listed) == [False, True]


async def test_forty_senders_at_once_lose_nothing(sink: tuple[Path, int, int]) -> None:
    folder, port, _ = sink
    before = len(list(folder.glob("*.eml")))

    async def session(number: int) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=20, start_tls=False) as client:
            for part in range(5):
                await client.send_message(mail(f"<{number}-{part}@many>"))

    began = time.monotonic()
    await asyncio.gather(*(session(number) for number in range(40)))
    assert len(list(folder.glob("*.eml"))) == before + 200
    assert not list(folder.glob("*.part"))
    print(f"200 mails over 40 connections in {time.monotonic() - began:.2f} s")


@pytest.mark.parametrize("code", [550, 451])
async def test_a_recipient_is_refused_by_pattern(sink: tuple[Path, int, int], code: int) -> None:
    folder, port, _ = sink
    control(folder, refuse_rcpt=["*@BAD.example"], refuse_rcpt_code=code)
    with pytest.raises(SMTPRecipientsRefused) as refused:
        await send(port, mail(f"<refused{code}@x>", "someone@bad.example"))
    assert refused.value.recipients[0].code == code
    await send(port, mail(f"<taken{code}@x>"))
    assert (len(kept(folder, f"<refused{code}@x>")), len(kept(folder, f"<taken{code}@x>"))) == (0, 1)


async def test_data_is_refused_as_often_as_told(sink: tuple[Path, int, int]) -> None:
    folder, port, _ = sink
    control(folder, refuse_data_next=2, refuse_data_code=554)
    for _ in range(2):
        with pytest.raises(SMTPResponseException) as refused:
            await send(port, mail("<data@x>"))
        assert refused.value.code == 554
    await send(port, mail("<data@x>"))
    assert len(kept(folder, "<data@x>")) == 1
    control(folder, refuse_data_next=1)
    with pytest.raises(SMTPResponseException):
        await send(port, mail("<data@x>"))


@pytest.mark.parametrize("stores", [True, False])
async def test_the_answer_after_data_is_lost_with_or_without_the_mail(
    sink: tuple[Path, int, int], stores: bool
) -> None:
    folder, port, _ = sink
    control(folder, drop_after_data_next=1, drop_stores=stores)
    with pytest.raises(SMTPServerDisconnected):
        await send(port, mail(f"<dropped-{stores}@x>"))
    assert len(kept(folder, f"<dropped-{stores}@x>")) == int(stores)
    await send(port, mail(f"<dropped-{stores}@x>"))
    assert len(kept(folder, f"<dropped-{stores}@x>")) == int(stores) + 1


@pytest.mark.parametrize("at", ["rcpt", "data"])
async def test_it_answers_late_without_holding_up_others(sink: tuple[Path, int, int], at: str) -> None:
    folder, port, _ = sink
    control(folder, delay_s=0.4, delay_at=at)
    began = time.monotonic()
    await asyncio.gather(*(send(port, mail(f"<late-{at}-{n}@x>")) for n in range(10)))
    assert 0.4 <= time.monotonic() - began < 3


async def test_a_damaged_control_file_refuses_for_now_and_says_so(sink: tuple[Path, int, int]) -> None:
    folder, port, _ = sink
    for content in ("{", '{"refuse": true}', '{"delay_s": 1e9}'):
        (folder / "control.json").write_text(content)
        with pytest.raises(SMTPRecipientsRefused) as refused:
            await send(port, mail("<damaged@x>"))
        assert refused.value.recipients[0].code == 451
    assert "control.json" in (folder / "program.log").read_text()


async def test_control_over_http_needs_the_secret(sink: tuple[Path, int, int], pages: httpx.AsyncClient) -> None:
    folder, port, _ = sink
    good = {"X-Control-Secret": (folder / "control-secret").read_text()}
    assert (await pages.post("/_control", json={})).status_code == 401
    assert (await pages.post("/_control", json={"refuse": 1}, headers=good)).status_code == 422
    assert (await pages.post("/_control", content=b"{" * 70_000, headers=good)).status_code == 422
    answer = await pages.post("/_control", json={"drop_after_data_next": 1}, headers=good)
    assert answer.json()["drop_after_data_next"] == 1
    with pytest.raises(SMTPServerDisconnected):
        await send(port, mail("<http-control@x>"))


async def test_the_pages_show_mails_and_let_nothing_run(sink: tuple[Path, int, int], pages: httpx.AsyncClient) -> None:
    folder, port, _ = sink
    bad = "<script>alert(1)</script>"
    await send(port, mail("<html@x>", subject=f"R {bad}", html=f"<b>hello</b>{bad}"))
    (path,) = kept(folder, "<html@x>")
    for url in ("/", f"/mails/{path.name}"):
        page = await pages.get(url)
        assert page.status_code == 200 and bad not in page.text and "&lt;script&gt;" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'sandbox=""' in page.text and "1.000,00 €" in page.text
    part = await pages.get(f"/mails/{path.name}/html")
    assert "<b>hello</b>" in part.text
    assert part.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    for name in ("..%2f..%2fetc%2fpasswd", "control.json", "control-secret", "program.log", "0" * 16 + "-001.eml"):
        assert (await pages.get(f"/mails/{name}")).status_code == 404
    assert (await pages.get("/", headers={"Host": "evil.test"})).status_code == 400
    assert (await pages.post("/")).status_code == 405


def test_a_mailbox_goes_on_counting_after_a_restart_and_replaces_nothing(tmp_path: Path) -> None:
    content = b"Message-ID: <a@x>\r\n\r\nhello\r\n"
    names = [Mailbox(tmp_path).store(content, "a@x", ["b@x"], "2026-03-31") for _ in range(3)]
    assert [name[-7:] for name in names] == ["001.eml", "002.eml", "003.eml"]
    slow = Mailbox(tmp_path)
    Mailbox(tmp_path).store(content, "a@x", ["b@x"], "2026-03-31")
    assert slow.store(content, "a@x", ["b@x"], "2026-03-31")[-7:] == "005.eml"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"Message-ID: <\r\n\r\n", b"Subject: =?x?q?=ff?=\r\nFrom: <<>>\r\n\r\n\x80"]
)
async def test_mails_of_any_shape_are_kept_and_listed(tmp_path: Path, content: bytes) -> None:
    mailbox = Mailbox(tmp_path)
    name = mailbox.store(content, "a\r\nBcc: x@y", ["b@x\n"], "2026-03-31")
    assert [found.name for found in mailbox.latest()] == [name]
    assert b"\nBcc:" not in (tmp_path / name).read_bytes()
    assert mailbox.read(name) is not None and mailbox.read("../" + name) is None


async def test_it_ends_within_two_seconds_with_senders_connected(tmp_path: Path) -> None:
    arguments = ("--port", "{port}", "--dir", str(tmp_path / "mail"))
    with running("deploy.local.smtp_sink", tmp_path, *arguments) as (child, ports):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=ports[0], timeout=5, start_tls=False)
        await client.connect()
        began = time.monotonic()
        child.stop(timeout_s=5)
        assert time.monotonic() - began < 2 and child.poll() == 0
        client.close()
