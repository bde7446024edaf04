"""Twilio's regions and edges: API calls and media of a company go where its secret says, and nobody else's do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import requests
from requests.exceptions import ConnectionError as RequestsConnectionError
from twilio.http.http_client import TwilioHttpClient

from chalicelib.channels.connections import Connections
from chalicelib.channels.fetcher import NotFetched
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.channels.twilio.media import TwilioMedia
from chalicelib.channels.twilio.sending import TwilioSender
from chalicelib.clock import Deadline, SystemClock
from chalicelib.errors import Code, Misconfigured
from ops.tenants import providers
from tests.unit.channels.twilio.test_sending import part
from tests.world import ACCOUNT_SID, AUTH_TOKEN

PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"


def secret(**place: str) -> str:
    return json.dumps({"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN, **place})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that would have been asked; nobody answers."""
    urls: list[str] = []

    def ask(_client: object, _method: str, url: str, *_args: object, **_options: object) -> None:
        urls.append(url)
        raise RequestsConnectionError

    def get(_session: object, url: str, **_options: object) -> None:
        urls.append(url)
        raise RequestsConnectionError

    monkeypatch.setattr(TwilioHttpClient, "request", ask)
    monkeypatch.setattr(requests.Session, "get", get)
    return urls


@pytest.mark.parametrize(
    ("place", "host"),
    [
        ({}, "api.twilio.com"),
        ({"region": "ie1", "edge": "dublin"}, "api.dublin.ie1.twilio.com"),
        ({"region": "ie1"}, "api.dublin.ie1.twilio.com"),
        ({"region": "au1"}, "api.sydney.au1.twilio.com"),
        ({"region": "jp1"}, "api.tokyo.jp1.twilio.com"),
        ({"region": "us1"}, "api.ashburn.us1.twilio.com"),
        ({"edge": "frankfurt"}, "api.frankfurt.us1.twilio.com"),
        ({"region": "ie1", "edge": "roaming"}, "api.roaming.ie1.twilio.com"),
    ],
)
def test_the_host_is_that_of_the_region_and_its_edge(place: dict[str, str], host: str):
    """`api.REGION.twilio.com` without an edge no longer exists: a region brings its own edge."""
    assert TwilioCredentials.from_secret(secret(**place)).api_base_url == f"https://{host}"


def test_each_company_s_calls_go_to_its_own_region(asked, monkeypatch):
    """One sender serves all of them; what the machine's environment says of regions does not count."""
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    sender = TwilioSender(1, 1, base_url="", connections=Connections(SystemClock()))

    sender.send(part(), secret(region="ie1"))
    sender.send(part(), secret())

    assert [url.split("/")[2] for url in asked] == ["api.dublin.ie1.twilio.com", "api.twilio.com"]


@pytest.mark.parametrize("host", ["api.twilio.com", "api.dublin.ie1.twilio.com"])
def test_media_are_fetched_from_the_region_however_the_webhook_names_them(asked, host):
    """The webhook may name either host."""
    media = TwilioMedia(1, 1, base_url="", connections=Connections(SystemClock()))
    deadline = Deadline.after(SystemClock(), 5)

    media.fetch(f"https://{host}{PATH}", secret(region="ie1"), refuse=lambda *_: None, deadline=deadline)

    assert asked == [f"https://api.dublin.ie1.twilio.com{PATH}"]


def test_another_region_s_host_is_no_medium_of_the_company(asked):
    """Its credentials go to its own region alone."""
    media = TwilioMedia(1, 1, base_url="", connections=Connections(SystemClock()))
    deadline = Deadline.after(SystemClock(), 5)

    fetched = media.fetch(
        f"https://api.sydney.au1.twilio.com{PATH}", secret(region="ie1"), refuse=lambda *_: None, deadline=deadline
    )

    assert fetched == NotFetched("no medium of the account")
    assert asked == []


class TestUnknown:
    @pytest.mark.parametrize(("place", "name"), [({"region": "xx9"}, "region"), ({"edge": "moon"}, "edge")])
    def test_it_is_named_and_nothing_is_sent_blind(self, asked, place: dict[str, str], name: str):
        """Replies wait for whoever mends the secret; nothing goes to the wrong region."""
        sender = TwilioSender(1, 1, base_url="", connections=Connections(SystemClock()))

        for call in (
            lambda: sender.send(part(), secret(**place)),
            lambda: sender.find(part(), secret(**place), since=datetime(2026, 1, 1, tzinfo=UTC)),
        ):
            with pytest.raises(Misconfigured, match=f"{name} of a Twilio secret") as error:
                call()
            assert error.value.code is Code.SECRET_FETCH_FAILED
        assert asked == []

    def test_webhooks_are_proven_without_it(self):
        """No message of a customer is refused for it."""
        assert TwilioCredentials.from_secret(secret(region="xx9")).tokens == (AUTH_TOKEN,)

    def test_the_doctor_finds_it_where_it_is_stored(self):
        """As it checks every secret."""
        with pytest.raises(Misconfigured, match="region of a Twilio secret is none of us1, ie1, au1, jp1"):
            providers.TWILIO.check_secret(secret(region="xx9"))
