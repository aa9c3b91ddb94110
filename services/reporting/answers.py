"""JSON or CSV of one list: by `format=csv` or `Accept: text/csv`. In CSV amounts are decimals and text is neutral."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response

from services.reporting.domain.csv_cells import write_csv
from shared.money import to_decimal

CSV_ROWS_MAX = 50_000
MINOR = "_minor"


def wants_csv(
    request: Request,
    format: Annotated[Literal["json", "csv"] | None, Query(description="csv, or ask by Accept: text/csv")] = None,
) -> bool:
    """FastAPI dependency."""
    return format == "csv" or (format is None and "text/csv" in request.headers.get("accept", ""))


AsCsv = Annotated[bool, Depends(wants_csv)]
CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}, "example": "account_id,currency,remaining\r\n"}}}
}


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """A download of at most 50,000 rows; `X-Truncated: true` says that there are more."""
    listed = list(rows)
    shown = [_decimals(row) for row in listed[:CSV_ROWS_MAX]]
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "X-Truncated": "true" if len(listed) > CSV_ROWS_MAX else "false",
    }
    text = write_csv([column.removesuffix(MINOR) for column in columns], shown)
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _decimals(row: Mapping[str, Any]) -> dict[str, Any]:
    currency = row.get("currency")
    return {
        name.removesuffix(MINOR): to_decimal(value, currency)
        if name.endswith(MINOR) and isinstance(value, int) and currency
        else value
        for name, value in row.items()
    }
