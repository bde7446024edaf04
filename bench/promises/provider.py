"""Twilio's own library, sending to the stub in place of Twilio."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bench.promises.customers import ACCOUNT_SID, AUTH_TOKEN, COMPANY
from bench.promises.world import World


class _Http(TwilioHttpClient):  # type: ignore[misc]  # the library is untyped
    def __init__(self, base: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        told = urlunsplit(urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc))
        return super().request(method, told, *args, **options)


def send(world: World, to: str, body: str) -> None:
    """Send a WhatsApp message as the library's documentation shows it.

    Raises:
        TwilioRestException: Twilio refuses.
        requests.RequestException: no answer came.
    """
    world.order_fault()
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=_Http(world.twilio()))
    client.messages.create(to=f"whatsapp:{to}", from_=f"whatsapp:{COMPANY}", body=body)
