"""The tenants' secrets: how long they are kept, how often they are fetched, and what Twilio's say."""

from __future__ import annotations

import json

import pytest

from chalicelib.channels import credentials
from chalicelib.channels.credentials import CredentialCache
from chalicelib.channels.twilio.credentials import TwilioCredentials
from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Fault
from tests.fakes.secrets import InMemorySecrets

REF = "ai-multi-comms/twilio-credentials/acme/1/main-dev"


class World:
    """A cache over a secrets store, and a deadline that is far away."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.secrets = InMemorySecrets({REF: "old"})
        self.cache = CredentialCache(self.secrets, self.clock, ttl_seconds=300, refresh_seconds=60)
        self.deadline = Deadline.after(self.clock, 1_000_000)

    def get(self) -> str:
        return self.cache.get(REF, self.deadline)

    def refresh(self) -> str | None:
        return self.cache.refresh(REF, self.deadline)

    @property
    def fetches(self) -> int:
        return len(self.secrets.plan.calls)


@pytest.fixture
def world() -> World:
    return World()


class TestCache:
    def test_a_secret_is_fetched_once_while_it_is_fresh(self, world: World):
        """C1: within its time to live."""
        world.get()
        world.clock.advance(299)

        text = world.get()

        assert (text, world.fetches) == ("old", 1)

    def test_a_secret_is_fetched_anew_after_its_time_to_live(self, world: World):
        """C1: so that a rotated one arrives by itself."""
        world.get()
        world.secrets.texts[REF] = "new"
        world.clock.advance(300)

        text = world.get()

        assert (text, world.fetches) == ("new", 2)

    def test_the_age_of_a_secret_does_not_hang_on_the_wall_clock(self, world: World):
        """A corrected clock neither keeps a secret for ever nor drops it."""
        world.get()
        world.clock.instant = world.clock.instant.replace(year=2030)

        world.get()

        assert world.fetches == 1

    def test_a_refresh_brings_the_secret_as_it_is_now(self, world: World):
        """And keeps it for the next ones."""
        world.get()
        world.clock.advance(10)
        world.secrets.texts[REF] = "new"

        refreshed = world.refresh()

        assert (refreshed, world.get(), world.fetches) == ("new", "new", 2)

    def test_a_refresh_happens_at_most_once_in_its_period(self, world: World):
        """C2: forged requests cannot make us fetch without end."""
        world.get()
        world.clock.advance(10)
        world.refresh()
        world.clock.advance(59)

        second = world.refresh()

        assert (second, world.fetches) == (None, 2)

    def test_a_refresh_happens_again_after_its_period(self, world: World):
        """C2: each secret has its turn again."""
        world.get()
        world.clock.advance(10)
        world.refresh()
        world.clock.advance(60)

        second = world.refresh()

        assert (second, world.fetches) == ("old", 3)

    def test_a_refresh_is_due_again_though_the_secret_expired_between(self, world: World):
        """C2 counts refreshes, and an ordinary fetch between two of them changes nothing of that."""
        world.cache = CredentialCache(world.secrets, world.clock, ttl_seconds=5, refresh_seconds=60)
        world.get()
        world.clock.advance(2)
        world.refresh()
        world.clock.advance(6)
        world.get()
        world.clock.advance(2)

        second = world.refresh()

        assert (second, world.fetches) == (None, 3)

    def test_a_secret_fetched_a_moment_ago_is_not_refreshed(self, world: World):
        """C3: it was fetched in this very request; another fetch would tell nothing new."""
        world.get()
        world.clock.advance(0.5)

        refreshed = world.refresh()

        assert (refreshed, world.fetches) == (None, 1)

    def test_a_secret_that_a_provider_refused_is_fetched_anew_by_the_next_send(self, world: World):
        """C2: a token that was rotated meanwhile does not have to wait for the time to live."""
        world.get()
        world.secrets.texts[REF] = "new"
        world.clock.advance(2)

        world.cache.forget(REF)

        assert (world.get(), world.get(), world.fetches) == ("new", "new", 2)

    def test_a_secret_is_forgotten_as_seldom_as_it_is_refreshed(self, world: World):
        """C2 and C3: an account that stays suspended costs one fetch a minute."""
        world.get()
        world.cache.forget(REF)
        world.get()
        for _ in range(4):
            world.clock.advance(20)
            world.cache.forget(REF)
            world.get()

        assert world.fetches == 3

    def test_a_refresh_of_a_secret_that_is_not_kept_fetches_it(self, world: World):
        """It may have been forgotten for want of room."""
        refreshed = world.refresh()

        assert (refreshed, world.get(), world.fetches) == ("old", "old", 1)

    def test_a_refresh_that_failed_counts(self, world: World):
        """C2: or an outage would multiply its own load; the secret that is kept stays."""
        world.get()
        world.clock.advance(10)
        world.secrets.plan.faults[2] = Fault.THROTTLED
        with pytest.raises(TryAgain):
            world.refresh()

        second = world.refresh()

        assert (second, world.get(), world.fetches) == (None, "old", 2)

    def test_a_fetch_that_failed_is_tried_again_by_the_next_request(self, world: World):
        """Nothing is kept of it."""
        world.secrets.plan.faults[1] = Fault.UNREACHABLE
        with pytest.raises(TryAgain) as told:
            world.get()

        text = world.get()

        assert told.value.code == Code.SECRET_FETCH_TRANSIENT_ERROR
        assert (text, world.fetches) == ("old", 2)

    def test_after_the_deadline_nothing_is_fetched_and_what_is_kept_is_given(self, world: World):
        """A kept secret costs no call."""
        world.get()
        passed = Deadline.after(world.clock, 0)

        text = world.cache.get(REF, passed)

        assert text == "old"
        with pytest.raises(TryAgain):
            world.cache.get("another", passed)
        assert world.fetches == 1

    def test_a_secret_that_does_not_exist_is_our_fault(self, world: World):
        """And named."""
        with pytest.raises(Misconfigured) as told:
            world.cache.get("no-such-secret", world.deadline)

        assert told.value.code == Code.SECRET_FETCH_FAILED
        assert "no-such-secret" in told.value.detail

    def test_the_cache_forgets_the_oldest_secret_when_it_is_full(self, world: World, monkeypatch: pytest.MonkeyPatch):
        """Its size is bounded, and the others stay."""
        monkeypatch.setattr(credentials, "REFS_MAX", 2)
        world.secrets.texts |= {"second": "2", "third": "3"}
        for ref in (REF, "second", "third"):
            world.cache.get(ref, world.deadline)

        world.cache.get("second", world.deadline)
        world.cache.get("third", world.deadline)
        world.cache.get(REF, world.deadline)

        assert [call.resource for call in world.secrets.plan.calls] == [REF, "second", "third", REF]


SECRET = {
    "account_sid": "AC1",
    "auth_token": "current",
    "next_auth_token": "next",
    "api_key": "SK1",
    "api_secret": "hidden",
}


class TestTwilioCredentials:
    def test_a_secret_tells_all_its_fields(self):
        """Fields of other names are left alone."""
        text = json.dumps(SECRET | {"note": "ours"})

        told = TwilioCredentials.from_secret(text)

        assert told == TwilioCredentials("AC1", "current", "next", "SK1", "hidden")

    def test_the_current_token_verifies_before_the_next_one(self):
        """Both may have signed while a token is being promoted."""
        told = TwilioCredentials.from_secret(json.dumps(SECRET))

        tokens = told.tokens

        assert tokens == ("current", "next")

    @pytest.mark.parametrize("absent", [None, ""], ids=["null", "empty"])
    def test_a_field_that_may_be_missing_may_be_empty(self, absent: str | None):
        """A secret with one token has one token."""
        text = json.dumps({"account_sid": "AC1", "auth_token": "current", "next_auth_token": absent})

        told = TwilioCredentials.from_secret(text)

        assert (told.tokens, told.api_key, told.api_secret) == (("current",), None, None)

    @pytest.mark.parametrize("field", ["account_sid", "auth_token"])
    @pytest.mark.parametrize("value", [None, "", 7, ["x"]], ids=["null", "empty", "number", "list"])
    def test_a_field_that_is_missing_or_malformed_is_named(self, field: str, value: object):
        """By its name alone."""
        text = json.dumps(SECRET | {field: value})

        with pytest.raises(Misconfigured) as told:
            TwilioCredentials.from_secret(text)

        assert told.value.code == Code.SECRET_FETCH_FAILED
        assert field in told.value.detail

    @pytest.mark.parametrize("field", ["next_auth_token", "api_key", "api_secret"])
    def test_an_optional_field_of_another_type_is_named(self, field: str):
        """It is not silently ignored."""
        text = json.dumps(SECRET | {field: 7})

        with pytest.raises(Misconfigured) as told:
            TwilioCredentials.from_secret(text)

        assert field in told.value.detail

    @pytest.mark.parametrize("text", ["", "current", '{"auth_token": "current"', '"current"', "[]", "null"])
    def test_a_text_that_is_no_object_is_our_fault_and_is_not_repeated(self, text: str):
        """It may be a token pasted bare: neither the error nor what it was raised from shows it."""
        with pytest.raises(Misconfigured) as told:
            TwilioCredentials.from_secret(text)

        assert "current" not in str(told.value)
        assert told.value.__cause__ is None

    def test_its_repr_shows_no_secret(self):
        """It may end in a log line or a traceback."""
        told = TwilioCredentials.from_secret(json.dumps(SECRET))

        text = repr(told)

        assert text == "TwilioCredentials(account_sid='AC1', region=None, edge=None)"

    def test_what_the_cache_keeps_shows_no_secret(self):
        """Nor does anything in it."""
        world = World()
        world.get()

        text = repr(vars(world.cache))

        assert "old" not in text
