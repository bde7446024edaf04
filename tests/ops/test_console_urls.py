"""What Twilio's console says of an address is compared with the stage; a finding names the console's step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib.channels.twilio import RETRIES
from local.stubs.console_settings import ConsoleSettings, Hook, ServiceSettings
from local.stubs.twilio import Account, TwilioStub
from ops.doctor.checks import console_urls
from ops.doctor.findings import Finding, Weight
from ops.tenants import rows
from ops.tenants.secrets import Secrets
from tests.ops.conftest import REF, Stage
from tests.world import COMPANY

BASE = "https://hooks.example.com"
SMS, WHATSAPP = f"{BASE}/webhooks/sms{RETRIES}", f"{BASE}/webhooks/whatsapp{RETRIES}"
ELSEWHERE = "https://old.example.com/webhooks/sms"
WHATSAPP_SENDER = f"whatsapp:{COMPANY}"
APP, SERVICE = "AP" + "1" * 32, "MG" + "1" * 32


def right() -> ConsoleSettings:
    """Both channels of the company, as `make deploy` says."""
    return ConsoleSettings({COMPANY: Hook(SMS), WHATSAPP_SENDER: Hook(WHATSAPP)})


def found(stage: Stage, twilio: TwilioStub, console: ConsoleSettings, refused=()) -> list[Finding]:
    twilio.console = console
    deployment = stage.find()
    engine = deployment.engine()
    lines = rows.lines(engine.tables.conversations, engine.channels)
    return list(console_urls.check(deployment, lines, Secrets(deployment.account), refused, [BASE]))


def test_right_urls_are_no_finding(stage: Stage, twilio: TwilioStub):
    """One URL may carry both channels, with or without a service."""
    console = right()
    console.senders[COMPANY] = Hook(WHATSAPP)

    assert found(stage, twilio, console) == []


def of_number(console: ConsoleSettings, hook: Hook) -> None:
    console.senders[COMPANY] = hook


def of_sender(console: ConsoleSettings, hook: Hook) -> None:
    console.senders[WHATSAPP_SENDER] = hook


def of_application(console: ConsoleSettings, hook: Hook) -> None:
    """It goes before the number's own URL."""
    console.application_of[COMPANY] = APP
    console.applications[APP] = hook


def of_service(console: ConsoleSettings, hook: Hook) -> None:
    """It goes before the number's own URL, too."""
    console.services[SERVICE] = ServiceSettings(hook, frozenset({COMPANY}))


@pytest.mark.parametrize(
    ("set_to", "channel", "step"),
    [
        (of_number, "sms", "Phone Numbers, Active numbers"),
        (of_sender, "whatsapp", "Messaging, Senders, WhatsApp senders"),
        (of_application, "sms", f"TwiML app {APP}"),
        (of_service, "sms", f"Messaging, Services, {SERVICE}, Integration"),
    ],
)
def test_a_wrong_url_is_found_where_it_is_set(
    stage: Stage, twilio: TwilioStub, set_to: Callable[[ConsoleSettings, Hook], None], channel: str, step: str
):
    """With the step in the console, and the URL to paste there."""
    console = right()
    set_to(console, Hook(ELSEWHERE))

    (one,) = found(stage, twilio, console)

    assert one.what == f"Twilio sends {channel} of acme at +14…886 to {ELSEWHERE}"
    assert one.fix.startswith(f"Twilio's console, {step}")
    assert one.fix.endswith(f"{BASE}/webhooks/{channel}{RETRIES}, HTTP POST")
    assert one.weight is Weight.FAULT


def test_a_service_that_defers_leaves_it_to_the_number(stage: Stage, twilio: TwilioStub):
    """Whatever URL it has itself."""
    console = right()
    console.services[SERVICE] = ServiceSettings(Hook(ELSEWHERE), frozenset({COMPANY}), defers_to_sender=True)

    assert found(stage, twilio, console) == []


def test_a_whatsapp_sender_in_a_service_goes_where_the_service_says(stage: Stage, twilio: TwilioStub):
    """Nowhere, where the service drops what it gets."""
    console = right()
    console.services[SERVICE] = ServiceSettings(None, frozenset({WHATSAPP_SENDER}))

    (one,) = found(stage, twilio, console)

    assert one.what == "Twilio sends whatsapp of acme at +14…886 to nobody"


def test_a_url_that_is_called_by_get_is_found(stage: Stage, twilio: TwilioStub):
    """The route takes POST alone."""
    console = right()
    console.senders[COMPANY] = Hook(SMS, "GET")

    (one,) = found(stage, twilio, console)

    assert one.what == "Twilio sends sms of acme at +14…886 by GET, and the webhook takes POST"


def test_a_url_without_retries_is_a_warning(stage: Stage, twilio: TwilioStub):
    """By default Twilio tries again only after a connection that failed."""
    console = right()
    console.senders[COMPANY] = Hook(SMS.removesuffix(RETRIES))

    (one,) = found(stage, twilio, console)

    assert one.weight is Weight.WARNING
    assert "again after a 5xx" in one.what


def test_an_address_that_the_account_does_not_list_is_a_note(stage: Stage, twilio: TwilioStub):
    """A short code, or the sandbox of WhatsApp."""
    assert {one.weight for one in found(stage, twilio, ConsoleSettings())} == {Weight.NOTE}


def test_credentials_that_may_not_ask_are_a_note(stage: Stage, twilio: TwilioStub):
    """A restricted API key; a token that is refused is a finding of the accounts."""
    twilio._accounts.clear()
    twilio._accounts["AC9"] = Account("AC9", "another")

    assert {one.weight for one in found(stage, twilio, right())} == {Weight.NOTE}
    assert found(stage, twilio, right(), refused={(REF, "auth_token")}) == []


def test_a_stage_that_answers_nowhere_is_not_compared(stage: Stage, twilio: TwilioStub):
    """Its URL is the fault then, and Twilio's may be right."""
    twilio.console = ConsoleSettings({COMPANY: Hook(ELSEWHERE)})
    deployment = stage.find()

    assert list(console_urls.check(deployment, [], Secrets(deployment.account), (), [])) == []
