"""A command that a rule of the business refuses. Domain code raises it, the handler answers with it."""


class Refusal(Exception):
    """`code` is stable and snake_case, the text says what was wrong and what to do, `status` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
