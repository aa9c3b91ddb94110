"""Pages over the mailbox of the local stack: a list, one mail, its HTML part in a sandbox. They only read.

Invariant: nothing of a mail reaches the page unescaped, and a mail's own HTML can run, load and send nothing.
"""

from dataclasses import asdict
from email.message import EmailMessage
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.local.mailbox import Mailbox

TEXT_CHARS_MAX = 200_000
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'"
_MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "X-Sink-To", "X-Sink-Received-At")


def mail_routes(mailbox: Mailbox) -> list[Route]:
    """`/` (list), `/mails` (JSON), `/mails/NAME` (one mail), `/mails/NAME/html` (its HTML part)."""

    async def index(request: Request) -> Response:
        return _page("Mails", _list(mailbox))

    async def mails(request: Request) -> Response:
        wanted = request.query_params.get("message_id")
        found = [asdict(mail) for mail in mailbox.latest() if wanted in (None, mail.message_id)]
        return JSONResponse({"count": mailbox.count(), "mails": found})

    async def one(request: Request) -> Response:
        name = request.path_params["name"]
        message = mailbox.read(name)
        return _page("Mail", _mail(name, message)) if message else _page("No such mail", "", 404)

    async def html_part(request: Request) -> Response:
        message = mailbox.read(request.path_params["name"])
        content = _part(message, "html") if message else ""
        return HTMLResponse(content, headers={"Content-Security-Policy": _MAIL_POLICY})

    return [
        Route("/", index),
        Route("/mails", mails),
        Route("/mails/{name}", one),
        Route("/mails/{name}/html", html_part),
    ]


def _list(mailbox: Mailbox) -> str:
    rows = "".join(
        f'<tr><td>{escape(mail.received_at)}<td>{escape(mail.recipients)}<td><a href="/mails/{escape(mail.name)}">'
        f"{escape(mail.subject) or '(no subject)'}</a><td>{'double' if mail.double else ''}</tr>"
        for mail in mailbox.latest()
    )
    table = f"<table><tr><th>received<th>to<th>subject<th></tr>{rows}</table>"
    return f"<p>{mailbox.count()} mails received, newest first.</p>{table}"


def _mail(name: str, message: EmailMessage) -> str:
    head = "".join(f"<tr><th>{h}<td>{escape(_shown(message, h))}</tr>" for h in _HEADERS)
    frame = f'<iframe sandbox="" src="/mails/{escape(name)}/html" title="HTML part"></iframe>'
    html = frame if _part(message, "html") else ""
    return f'<p><a href="/">all mails</a></p><table>{head}</table><pre>{escape(_part(message, "plain"))}</pre>{html}'


def _shown(message: EmailMessage, header: str) -> str:
    try:
        return str(message.get(header, ""))
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):
        return "(cannot be read)"


def _part(message: EmailMessage, subtype: str) -> str:
    """Text of the body part of that kind, empty when there is none, a note when it cannot be decoded."""
    try:
        body = message.get_body(preferencelist=(subtype,))
        return body.get_content()[:TEXT_CHARS_MAX] if body else ""
    except (LookupError, ValueError, AttributeError, TypeError):
        return "(this part cannot be decoded)"


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    headers = {"Content-Security-Policy": _PAGE_POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(_PAGE.format(title=escape(title), content=content), status, headers=headers)


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body{{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2733}}
table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8e0e8}}
pre{{white-space:pre-wrap;background:#f5f7f9;padding:1rem}}iframe{{width:100%;height:40rem;border:1px solid #d8e0e8}}
</style></head><body><h1>{title}</h1>{content}</body></html>
"""
