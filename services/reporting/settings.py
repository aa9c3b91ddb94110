"""Settings of reporting: where people log in, and under which address the pages are reached."""

from pydantic import Field

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`issuer_url`: the OpenID provider that browsers are sent to. `public_url`: the pages' own address; without one
    the address that the browser used counts. `client_id` is what the provider knows the pages by."""

    issuer_url: str = ""
    public_url: str = ""
    client_id: str = Field(default="recoup-pages", pattern=r"^[a-z0-9-]{1,64}$")
    login_timeout_s: float = Field(default=5.0, gt=0, le=30)
