"""A trial uses a stand-in, or credentials that Twilio itself calls test credentials: never those that cost money."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace

import pytest
from chalice.app import Response

from local.processes import ports
from local.stubs.sendgrid import SendGridStub
from local.stubs.twilio import Account, TwilioStub
from ops.stage.target import CommandError
from ops.trials import accounts
from tests.ops.serving import answering
from tests.world import settings_of

SETTINGS = replace(settings_of(()), twilio_api_base_url="")
GIVEN = ("AC" + "7" * 32, "test token")


def asked(status: int, code: int | None) -> accounts.Accounts:
    """The accounts, where Twilio answers a read so."""
    (port,) = ports.free(1)
    with answering(port, lambda _: Response(json.dumps({"code": code}), status_code=status)):
        return accounts.of_stage(SETTINGS, GIVEN, twilio=f"http://127.0.0.1:{port}")


def test_test_credentials_are_known_by_twilio_s_own_word():
    """They send from one number, by SMS alone."""
    found = asked(403, 20008)

    assert (found.sid, found.auth_token, found.number) == (*GIVEN, accounts.NUMBER)
    assert found.replying == {"sms"}


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [(200, None, "live credentials"), (401, 20003, "does not accept"), (403, 20005, "does not accept")],
)
def test_other_credentials_are_refused(status: int, code: int | None, why: str):
    """Live ones most of all."""
    with pytest.raises(CommandError, match=why):
        asked(status, code)


@pytest.mark.parametrize("given", [(None, None), ("AC1", None), ("", "token")])
def test_a_stage_with_twilio_s_own_api_needs_credentials(given: tuple[str | None, str | None]):
    """And says which variables have them."""
    with pytest.raises(CommandError, match="TWILIO_TEST_AUTH_TOKEN"):
        accounts.of_stage(SETTINGS, given)


def test_a_stand_in_knows_a_fresh_account_for_each_run():
    """And can then be sent through, on every channel."""
    with TwilioStub([Account("AC1", "one")]) as twilio, SendGridStub([]) as sendgrid:
        settings = replace(SETTINGS, twilio_api_base_url=twilio.url, sendgrid_api_base_url=sendgrid.url)

        first, second = (accounts.of_stage(settings, (None, None)) for _ in range(2))
        first.add_mail("SG.1", "help@acme.example")

        assert first.sid != second.sid
        assert first.replying == {"whatsapp", "sms", "email"}
        twilio.authenticate(first.sid, _basic(first.sid, first.auth_token))
        assert sendgrid.authenticate("Bearer SG.1").senders == {"help@acme.example"}


def test_another_server_is_no_stand_in():
    """A proxy of the company's may be there."""
    (port,) = ports.free(1)
    with (
        answering(port, lambda _: Response("{}", status_code=404)),
        pytest.raises(CommandError, match="no stand-in of this project"),
    ):
        accounts.of_stage(replace(SETTINGS, twilio_api_base_url=f"http://127.0.0.1:{port}"), (None, None))


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
