"""A command that a rule of the business refuses. Domain code raises it, the handler answers with it."""


class Refusal(Exception):
    """`code` is stable and snake_case, the text says what was wrong, `what_to_do` the way out where the text does not,
    `status` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 409, what_to_do: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.what_to_do = code, message, status, what_to_do
