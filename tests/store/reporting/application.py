"""The application of reporting without its process: settings in, FastAPI out, callers of the sample issuer accepted."""

from dataclasses import replace

from fastapi import FastAPI

from services.reporting.main import build
from services.reporting.settings import Settings
from shared.runtime.lifecycle import create_app, open_runtime
from tests.domain.shared.caller_samples import authenticator


async def open_app(settings: Settings) -> FastAPI:
    service = build(settings)
    service = replace(service, app_options=service.app_options | {"authenticator": authenticator()})
    return create_app(service, await open_runtime(service, settings))
