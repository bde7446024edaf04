"""Rotation: either token is accepted until the provider itself has dropped the old one."""

from __future__ import annotations

import json

import pytest

from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.errors import Misconfigured
from local.tenants import TENANTS
from ops.stage.target import CommandError
from ops.tenants import rotation
from ops.tenants.providers import SENDGRID, TWILIO
from ops.tenants.rotation import Secret, State, state
from ops.tenants.secrets import SecretName
from tests.world import ACCOUNT_SID

OLD, NEW = "0" * 32, "1" * 32
TEXT = json.dumps({"account_sid": ACCOUNT_SID, "auth_token": OLD, "api_key": "SK1", "note": "theirs"})


def taking(*tokens: str):
    return lambda token: token in tokens


class TestRotation:
    secret = Secret.of("s", TWILIO, TEXT)

    def test_a_rotation_goes_through_its_states(self):
        """At rest, begun, promoted, at rest."""
        begun = self.secret.begun(NEW)

        assert state(self.secret, taking(OLD)) is State.AT_REST
        assert state(begun, taking(OLD, NEW)) is State.BEGUN
        assert state(begun, taking(NEW)) is State.PROMOTED
        assert state(begun.finished(), taking(NEW)) is State.AT_REST

    def test_both_tokens_prove_a_webhook_from_begin_to_finish(self):
        """So no message is refused, whenever the provider promotes."""
        assert TwilioCredentials.from_secret(self.secret.begun(NEW).text).tokens == (OLD, NEW)
        assert TwilioCredentials.from_secret(self.secret.begun(NEW).finished().text).tokens == (NEW,)

    def test_what_else_a_secret_holds_is_left_as_it_is(self):
        """Fields of other names, and the API key."""
        finished = json.loads(self.secret.begun(NEW).finished().text)

        assert finished == {"account_sid": ACCOUNT_SID, "auth_token": NEW, "api_key": "SK1", "note": "theirs"}

    def test_a_new_token_that_the_provider_does_not_take_is_never_finished(self):
        """It would shut every message out."""
        with pytest.raises(CommandError, match="does not accept the next_auth_token"):
            state(self.secret.begun(NEW), taking(OLD))

    def test_a_provider_that_cannot_be_asked_leaves_the_rotation_begun(self):
        """A person has to say that it is promoted."""
        secret = Secret.of("s", SENDGRID, json.dumps({"public_key": "a", "api_key": "b"}))

        assert state(secret.begun("c"), None) is State.BEGUN
        assert json.loads(secret.begun("c").finished().text)["public_key"] == "c"

    def test_a_rotation_can_be_abandoned(self):
        """Nothing but the new token goes."""
        assert json.loads(rotation.abandoned(self.secret.begun(NEW)).text) == json.loads(TEXT)

    def test_a_malformed_secret_is_not_rotated(self):
        """A new one is made in its place."""
        with pytest.raises(Misconfigured):
            Secret.of("s", TWILIO, "{}")

    def test_a_secret_shows_nothing_of_itself(self):
        """It may be logged by accident."""
        assert OLD not in repr(self.secret)


class TestNames:
    def test_the_demo_s_secrets_are_of_the_pattern(self):
        """One spelling of the pattern, seen from both sides."""
        ref = TENANTS[0].credential_ref("whatsapp", "local")

        name = SecretName.of(ref)

        assert name == SecretName("whatsapp", "company-sunrise", "project-sunrise", "twilio", "local")
        assert str(name) == ref

    @pytest.mark.parametrize(
        "text", ["", "twilio/acme", "ai-multi-comms/whatsapp-credentials/acme/twilio-dev", "x/" + "a" * 5]
    )
    def test_other_names_are_not(self, text: str):
        """No right covers them."""
        assert SecretName.of(text) is None

    def test_a_stage_with_hyphens_is_told_from_its_provider(self):
        """The provider's name has none."""
        name = SecretName.of("ai-multi-comms/sms-credentials/a/b/twilio-dev-2")

        assert (name.provider, name.stage) == ("twilio", "dev-2")


@pytest.mark.parametrize("text", ["nothing", "[]", "{}", '{"public_key": 1}', '{"public_key": "", "api_key": "b"}'])
def test_a_malformed_secret_of_sendgrid_is_told_without_its_content(text: str):
    """By the field."""
    with pytest.raises(Misconfigured) as error:
        SENDGRID.check_secret(text)

    assert error.value.__cause__ is None
