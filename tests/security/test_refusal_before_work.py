"""A request that nobody can verify costs next to nothing, however large it is and whoever it names."""

from __future__ import annotations

import hashlib
import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.channels import provider as provider_module
from chalicelib.channels.credentials import FAILURE_SECONDS
from chalicelib.channels.sendgrid import inbound_parse, unread
from chalicelib.conversations.companies import REMEMBERED_SECONDS
from local.requests.email_signatures import key_pair
from tests.emails import COMPANY_EMAIL, Email, signature
from tests.fakes.faults import Fault
from tests.world import EMAIL_SECRET_REF, World, email_conversation

COMPANIES = 20


def world_of_companies(count: int = COMPANIES) -> tuple[World, tuple[str, ...]]:
    """Companies with an address and a secret of their own each; their secrets are cached and were refreshed lately."""
    names = [f"company-{number}" for number in range(count)]
    rows = [
        email_conversation(
            conversation_id=f"conversation-{name}",
            company_id=name,
            gsi_company_email=f"help@{name}.example",
            channel_config={"email": {"credential_ref": ref_of(name)}},
        )
        for name in names
    ]
    world = World(None, *rows)
    world.secrets.texts |= {ref_of(name): world.secrets.texts[EMAIL_SECRET_REF] for name in names}
    addresses = tuple(f"help@{name}.example" for name in names)
    for _ in range(2):
        for address in addresses:
            forge(world, Email(recipients=(address,)))
        world.clock.advance(2)
    return world, addresses


def ref_of(name: str) -> str:
    return f"ai-multi-comms/email-credentials/{name}/main/sendgrid-local"


def forge(world: World, email: Email) -> Any:
    return world.post_email(email, private_key=key_pair()[0])


def calls_of(world: World, act: Any) -> list[str]:
    before = len(world.plan.calls)
    act()
    return [call.operation for call in world.plan.calls[before:]]


@pytest.mark.parametrize("count", [1, 2, 3, COMPANIES])
def test_a_forged_mail_makes_four_calls_at_most_for_any_number_of_recipients(count: int):
    """Two companies that do not verify it are enough; all secrets are cached."""
    world, addresses = world_of_companies()
    world.clock.advance(REMEMBERED_SECONDS)

    calls = calls_of(world, lambda: forge(world, Email(recipients=addresses[:count])))

    assert calls == ["Query"] * min(2 * count, 4)


@pytest.mark.parametrize("count", [1, 2, COMPANIES])
def test_a_flood_of_forged_mail_makes_one_call_for_each_recipient(count: int):
    """The companies are remembered for a few seconds."""
    world, addresses = world_of_companies()
    world.clock.advance(REMEMBERED_SECONDS)
    forge(world, Email(recipients=addresses[:count]))

    calls = calls_of(world, lambda: forge(world, Email(recipients=addresses[:count])))

    assert calls == ["Query"] * min(count, 2)


def test_a_genuine_mail_reaches_each_recipient_of_a_company_that_verifies_it():
    """The limit is for mail that nobody has verified yet."""
    world, addresses = world_of_companies(3)
    others = tuple(f"nobody-{number}@acme.example" for number in range(6))
    email = Email(recipients=(*addresses, *others))

    statuses = []
    while not statuses or statuses[-1] == 503:
        world.request_id = f"retry-{len(statuses)}"
        statuses.append(world.post_email(email).status_code)

    assert statuses[-1] == 200
    assert len(statuses) < 20
    assert len(world.tables.stage.rows) == 3


def test_where_not_every_recipient_was_looked_up_the_provider_is_asked_to_come_again():
    """That none of the others verifies it is not certain; where all were, it is a forgery."""
    world, addresses = world_of_companies(3)

    assert forge(world, Email(recipients=addresses)).status_code == 503
    assert forge(world, Email(recipients=addresses[:2])).status_code == 403


@pytest.mark.parametrize(
    "missing", ["x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"]
)
def test_an_e_mail_without_signature_and_url_token_is_refused_before_its_body_is_touched(missing: str, monkeypatch):
    """Its base64 is not even decoded."""
    world = World(None, email_conversation())
    email = Email()
    headers = {name.lower(): value for name, value in signature(email.body).items()}
    del headers[missing]
    monkeypatch.setattr(inbound_parse, "read_form", lambda *_, **__: pytest.fail("the form was read"))

    response = world.post_bytes(email.body, {"content-type": email.content_type, **headers})

    assert (response.status_code, json.loads(response.body)["code"]) == (403, "INVALID_SIGNATURE")
    assert world.plan.calls == []


@pytest.mark.parametrize("url_token", ["x", "x" * 31, "x" * 31 + " ", "x" * 32 + "\u00e9"])
def test_a_url_token_that_could_be_no_company_s_is_refused_before_the_body_is_touched(url_token: str, monkeypatch):
    """A token has at least 32 visible characters."""
    world = World(None, email_conversation())
    email = Email()
    monkeypatch.setattr(inbound_parse, "read_form", lambda *_, **__: pytest.fail("the form was read"))

    response = world.post_bytes(email.body, {"content-type": email.content_type}, url_token=url_token)

    assert (response.status_code, json.loads(response.body)["code"]) == (403, "INVALID_SIGNATURE")
    assert world.plan.calls == []


@pytest.mark.parametrize("path", ["/webhooks/whatsapp", "/webhooks/sms"])
@pytest.mark.parametrize(
    "signature", ["", "x", "x" * 28, "x" * 27 + "=\n", "\u00e9" * 27 + "=", "x" * 27 + "=" * 9_000]
)
def test_a_twilio_request_without_a_signature_in_twilio_s_form_is_refused_before_any_call(path: str, signature: str):
    """Whatever else it says."""
    world = World()

    response = world.post(world.form(), path=path, **{"X-Twilio-Signature": signature})

    assert response.status_code == 200
    assert world.plan.calls == []
    assert world.telemetry.total(SimpleNamespace(value="InvalidSignature")) == 1


def test_a_delivery_report_without_signature_is_refused_before_any_call():
    """Else it would be a free look-up of send ids."""
    world = World()
    from chalicelib.channels.channel import Vendor  # noqa: PLC0415
    from chalicelib.handlers import webhooks  # noqa: PLC0415

    form = {"MessageSid": "SM" + "9" * 32, "AccountSid": "AC" + "0" * 32, "MessageStatus": "delivered"}
    request = world._request(form, "token", "/webhooks/twilio/status/x", **{"X-Twilio-Signature": ""})

    webhooks.receive_delivery_report(request, Vendor.TWILIO, "0" * 64, world.engine)

    assert world.plan.calls == []


def test_the_bytes_of_a_mail_are_hashed_once(monkeypatch):
    """Whatever the number of keys, secrets and recipients that are tried."""
    world, addresses = world_of_companies(4)
    two_keys = json.dumps({"public_key": key_pair()[1], "next_public_key": key_pair()[1]})
    world.secrets.texts |= dict.fromkeys(map(ref_of, (f"company-{number}" for number in range(4))), two_keys)
    world.clock.advance(world.settings.secret_ttl_seconds)
    hashed = []

    class Counting:
        def __init__(self, content: bytes = b"") -> None:
            self._digest = hashlib.sha256(content)

        def update(self, content: bytes) -> None:
            hashed.append(len(content))
            self._digest.update(content)

        def digest(self) -> bytes:
            return self._digest.digest()

    monkeypatch.setattr(provider_module, "sha256", Counting)
    email = Email(text="x" * 100_000, recipients=addresses)

    forge(world, email)

    assert sum(hashed) == len(email.body)


def test_nothing_of_a_forged_mail_is_parsed(monkeypatch):
    """Neither its texts and attachments, nor the digest that is the id of a mail without one."""
    world = World(None, email_conversation())
    monkeypatch.setattr(unread, "read_content", lambda *_: pytest.fail("the content was read"))
    monkeypatch.setattr(unread, "digest_of", lambda *_: pytest.fail("the content was hashed"))
    monkeypatch.setattr(unread, "extras_of", lambda *_, **__: pytest.fail("the headers were told"))

    assert forge(world, Email(message_id="")).status_code == 403


@pytest.mark.parametrize("charset", ["utf-7", "iso2022_jp_ext", "utf-8"])
def test_what_sendgrid_tells_beside_a_mail_is_not_decoded_for_a_forger(charset: str, monkeypatch):
    """Some character sets take a hundred times as long as the hash; the two addresses are enough to look it up."""
    world = World(None, email_conversation())
    told = dict.fromkeys(("subject", "cc", "SPF", "dkim", "spam_score"), b"\xff\xfe" * 32_768)
    email = Email(fields={**told, "charsets": json.dumps(dict.fromkeys(told, charset))})
    monkeypatch.setattr(inbound_parse, "_text_of", lambda *_: pytest.fail("a field was decoded"))

    assert forge(world, email).status_code == 403


def test_what_takes_long_to_search_is_left_until_the_mail_is_verified(monkeypatch):
    """A forger chooses the bytes, and could choose those among which a delimiter is hardest to find."""
    world = World(None, email_conversation())
    letters = b"\r\n--xYzZY"
    dense = (
        os.urandom(2 << 20).translate(bytes(letters[one % len(letters)] for one in range(256))).replace(letters, b"")
    )
    monkeypatch.setattr(inbound_parse.Mail, "whole", lambda _: pytest.fail("the form was read whole"))

    assert forge(world, Email(attachments=(("x.pdf", "application/pdf", dense),))).status_code == 403


class TestFailedSecrets:
    def test_a_secret_that_is_not_there_is_asked_for_once_a_minute(self):
        """A row whose secret was deleted would else cost a call for each forged request."""
        world = World(None, email_conversation())
        del world.secrets.texts[EMAIL_SECRET_REF]

        def asked() -> int:
            return calls_of(world, lambda: [world.post_email(Email()) for _ in range(3)]).count("GetSecretValue")

        first = asked()
        world.clock.advance(FAILURE_SECONDS)
        assert (first, asked()) == (1, 1)

    def test_once_the_minute_is_over_a_secret_that_was_made_is_found(self):
        """And what SendGrid posts again is taken."""
        world = World(None, email_conversation())
        text = world.secrets.texts.pop(EMAIL_SECRET_REF)
        assert world.post_email(Email()).status_code == 500
        world.secrets.texts[EMAIL_SECRET_REF] = text

        world.clock.advance(FAILURE_SECONDS)

        assert world.post_email(Email()).status_code == 200


class TestRetryable:
    """Only what is certain is answered like a forgery."""

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER])
    @pytest.mark.parametrize("number", [1, 2])
    def test_what_may_pass_before_verification_is_answered_503(self, fault: Fault, number: int):
        """The look-up and the secret; the secret is asked for again at once."""
        world = World(None, email_conversation())
        world.plan.faults[number] = fault

        statuses = [world.post_email(Email()).status_code for _ in range(2)]

        assert statuses == [503, 200]

    def test_a_missing_credential_is_answered_500_so_that_no_honest_mail_is_lost(self):
        """SendGrid retries a 5xx for days."""
        world = World(None, email_conversation(channel_config={"email": {}}))

        assert world.post_email(Email()).status_code == 500

    def test_recipients_that_were_not_reached_are_asked_for_again(self):
        """Two faults of ours stop a mail that is not verified yet; the retry begins at another recipient."""
        world, addresses = world_of_companies(4)
        for address in (0, 1):
            del world.secrets.texts[ref_of(f"company-{address}")]
        world.clock.advance(world.settings.secret_ttl_seconds)

        statuses = []
        for number in range(40):
            world.request_id = f"retry-{number}"
            statuses.append(world.post_email(Email(recipients=addresses)).status_code)

        assert set(statuses) <= {500, 503}
        assert len(world.tables.stage.rows) == 2


def test_an_address_of_no_company_is_answered_like_a_forgery():
    """Only a proven provider learns that an address is unknown."""
    world = World(None, email_conversation())

    unknown = world.post_email(Email(recipients=("nobody@other.example",)))
    forged = forge(world, Email(recipients=(COMPANY_EMAIL,)))

    assert (unknown.status_code, unknown.body) == (forged.status_code, forged.body)
