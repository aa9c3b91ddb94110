"""Templates with escaping always on, the filters they use, and the headers that every page carries.

Invariant: what came from outside reaches a page as text only; the policy lets browsers load our own files only.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.reporting.pages import words
from shared.money import minor_digits, to_decimal
from shared.problems import Problem, correlation_of

FOLDER = Path(__file__).parent
CONTENT_POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
NARROW_SPACE = "\u202f"
NO_BREAK = "\u00a0"


def money(amount_minor: int | None, currency: str) -> str:
    """`1,234.50 EUR`; a dash where there is no figure."""
    if amount_minor is None or not currency:
        return "–"
    return f"{amount(amount_minor, currency)}{NARROW_SPACE}{currency}"


def amount(amount_minor: int | None, currency: str) -> str:
    """`1,234.50` with a real minus sign."""
    if amount_minor is None or not currency:
        return "–"
    text = f"{abs(to_decimal(amount_minor, currency)):,.{minor_digits(currency)}f}"
    return f"−{text}" if amount_minor < 0 else text


def short(amount_minor: int | None, currency: str) -> str:
    """For headlines and charts: `1.23 m`, `45.6 k`, `950`."""
    if amount_minor is None or not currency:
        return "–"
    value = to_decimal(abs(amount_minor), currency)
    sign = "−" if amount_minor < 0 else ""
    for limit, unit, digits in ((Decimal(10) ** 6, "m", 2), (Decimal(10) ** 3, "k", 1)):
        if value >= limit:
            return f"{sign}{value / limit:,.{digits}f}{NARROW_SPACE}{unit}"
    return f"{sign}{value:,.0f}"


def percent(part: int | None, whole: int | None) -> str:
    """`12.3 %`, a dash without a whole."""
    if part is None or not whole:
        return "–"
    return f"{Decimal(100) * part / whole:.1f}{NARROW_SPACE}%"


def day(value: date | datetime | str | None) -> str:
    """`2 Mar 2026`, kept on one line."""
    if not value:
        return "–"
    if isinstance(value, str):
        value = date.fromisoformat(value[:10])
    return f"{value.day} {value:%b %Y}".replace(" ", NO_BREAK)


def instant(value: datetime | str | None) -> str:
    """`2 Mar 2026, 14:05 UTC`."""
    if not value:
        return "–"
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return f"{day(value)}, {value:%H:%M} UTC"


def link(path: str, **query: Any) -> str:
    """Path with its query; empty values are left out."""
    kept = {name: value for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(kept)}" if kept else path


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": amount, "day": day, "instant": instant, "money": money, "percent": percent, "plain": words.plain,
        "reason": words.reason, "waits": words.waits,
        "kind": words.kind, "bucket": words.bucket, "figure": words.figure, "short": short,
    }  # fmt: skip
    environment.globals["link"] = link
    return environment


TEMPLATES = _environment()


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered page with its headers."""
    principal = getattr(request.state, "principal", None)
    standing: Mapping[str, Any] = {"principal": principal, "path": request.url.path, "why": "", "company": ""}
    text = TEMPLATES.get_template(template).render(standing | values)
    headers = {"Content-Security-Policy": CONTENT_POLICY, "Referrer-Policy": "same-origin"}
    return HTMLResponse(text, status, headers=headers)


class PageRoute(APIRoute):
    """A problem that a page raises is answered as a page, in the words of the problem."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        answer = super().get_route_handler()

        async def answer_as_page(request: Request) -> Response:
            try:
                return await answer(request)
            except Problem as problem:
                shown = {"problem": problem, "correlation_id": correlation_of(request)}
                return page(request, "problem.html", problem.status_code, **shown)

        return answer_as_page
