"""An e-mail whose sender is not authenticated: people get it or it is refused, and no answer repeats its words."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.channels.email.threading import Heading
from chalicelib.telemetry import Metric
from tests.emails import CUSTOMER_EMAIL, Email
from tests.world import EMAIL_SECRET_REF, KEY, SECRET_REF, World, conversation, email_conversation

GENUINE = Email()
FAILED = {
    "forged, of a server without results": {"spf": "none", "dkim": "none"},
    "forged, softfail": {"spf": "softfail", "dkim": "none"},
    "forged, neutral": {"spf": "neutral", "dkim": "{@customer.example : fail}"},
    "forged, SPF of the forger's own domain": {"return_path": "eve@evil.example", "dkim": "none"},
    "forged, DKIM of the forger's own domain": {"spf": "fail", "dkim": "{@evil.example : pass}"},
    "forged, DKIM of a domain that ends like the customer's": {"spf": "fail", "dkim": "{@evilcustomer.example : pass}"},
    "forged, DKIM of the top-level domain": {"spf": "fail", "dkim": "{@example : pass}"},
    "forged, two senders": {"sender": f"{CUSTOMER_EMAIL}, eve@evil.example", "dkim": "{@evil.example : pass}"},
}
NONE = {"spf": None, "dkim": None}
SUBJECT = "Cheap pills at https://evil.example"


def unauthenticated(results: dict[str, Any], **changes: Any) -> Email:
    return replace(GENUINE, **{"message_id": "<forged@evil.example>", "subject": SUBJECT, **results, **changes})


def world_of(policy: Any = None, **settings: str) -> World:
    config = {"credential_ref": EMAIL_SECRET_REF}
    if policy is not None:
        config["policy"] = {"unauthenticated_email": policy}
    row = email_conversation()
    return World(None, {**row, "channel_config": {**row["channel_config"], "email": config}}, **settings)


def receive(world: World, email: Email) -> tuple[int, str | None]:
    """The answer to an e-mail, once the workers have done what it asks for."""
    response = world.post_email(email)
    work(world)
    return response.status_code, json.loads(response.body).get("code")


def work(world: World) -> None:
    world.clock.advance(world.settings.batch_max_wait_seconds + 1)
    world.work()


def for_people(world: World) -> list[dict[str, Any]]:
    contexts = [json.loads(one.body) for one in world.queues.handoff.messages]
    return [message for context in contexts for message in context["messages"]]


def for_ai(world: World) -> list[dict[str, Any]]:
    contexts = [json.loads(one.body) for one in world.queues.ai.messages]
    return [message for context in contexts for message in context["messages"]]


class TestPolicy:
    @pytest.mark.parametrize("results", FAILED.values(), ids=FAILED.keys())
    def test_by_default_people_get_what_fails_with_the_reason(self, results: dict[str, Any]):
        """The AI does not see it."""
        world = world_of()

        assert receive(world, unauthenticated(results)) == (200, None)

        assert for_ai(world) == []
        (message,) = for_people(world)
        assert (message["handoff_reason"], message["extras"]["authentication"]) == ("sender_not_authenticated", "fail")

    def test_by_default_the_ai_gets_what_has_no_result(self):
        """SendGrid did not look: nobody outside can bring that about."""
        world = world_of()

        assert receive(world, unauthenticated(NONE)) == (200, None)

        assert for_people(world) == []
        (message,) = for_ai(world)
        assert message["extras"]["authentication"] == "none"

    @pytest.mark.parametrize(
        ("policy", "results", "destination"),
        [
            ({"failed": "keep"}, FAILED["forged, softfail"], "ai"),
            ({"failed": "handoff"}, FAILED["forged, softfail"], "people"),
            ({"failed": "refuse"}, FAILED["forged, softfail"], "refused"),
            ({"failed": "refuse"}, NONE, "ai"),
            ({"none": "keep"}, NONE, "ai"),
            ({"none": "handoff"}, NONE, "people"),
            ({"none": "refuse"}, NONE, "refused"),
            ({"none": "refuse"}, FAILED["forged, softfail"], "people"),
            ({"failed": "refuse", "none": "refuse"}, {}, "ai"),
            # What cannot be read leaves the setting's value, which is the safe one.
            ({"failed": "KEEP"}, FAILED["forged, softfail"], "people"),
            ({"failed": True}, FAILED["forged, softfail"], "people"),
            ({"failed": Decimal(0)}, FAILED["forged, softfail"], "people"),
            ({"fail": "keep"}, FAILED["forged, softfail"], "people"),
            ("keep", FAILED["forged, softfail"], "people"),
            ([], FAILED["forged, softfail"], "people"),
        ],
    )
    def test_a_company_says_what_happens_to_each_kind(self, policy: Any, results: dict[str, Any], destination: str):
        """By the policy `unauthenticated_email` of its row."""
        world = world_of(policy)

        status, code = receive(world, unauthenticated(results))

        assert (len(for_ai(world)), len(for_people(world))) == {"ai": (1, 0), "people": (0, 1)}.get(destination, (0, 0))
        assert (status, code) == ((403, "SENDER_NOT_AUTHENTICATED") if destination == "refused" else (200, None))
        assert world.telemetry.total(Metric.UNAUTHENTICATED_EMAIL) == (destination == "refused")

    def test_the_setting_is_the_default_of_the_policy(self):
        """Key by key."""
        world = world_of({"none": "handoff"}, unauthenticated_email="failed=keep,none=refuse")

        receive(world, unauthenticated(NONE, message_id="<two@evil.example>"))
        receive(world, unauthenticated(FAILED["forged, softfail"]))

        assert (len(for_ai(world)), len(for_people(world))) == (1, 1)

    def test_a_forger_does_not_take_the_conversation_from_the_ai(self):
        """What the customer writes next is the AI's."""
        world = world_of()
        receive(world, unauthenticated(FAILED["forged, softfail"]))

        receive(world, replace(GENUINE, message_id="<genuine@customer.example>"))

        assert len(for_people(world)) == 1
        assert [one["extras"]["authentication"] for one in for_ai(world)] == ["pass"]

    def test_a_forged_mail_that_comes_first_does_not_hide_the_customer_s_own(self):
        """It knows the customer's Message-ID."""
        world = world_of({"failed": "keep"})
        receive(world, unauthenticated(FAILED["forged, softfail"], message_id=GENUINE.message_id))

        assert receive(world, GENUINE) == (200, None)

        assert GENUINE.message_sid in [entry["message_id"] for entry in world.row["messages"]] + world.staged_ids

    def test_what_is_staged_already_follows_a_policy_that_changes(self):
        """It is refused by stage 2, and the record has it."""
        world = world_of({"failed": "keep"})
        world.post_email(unauthenticated(FAILED["forged, softfail"]))
        config = {
            "email": {"credential_ref": EMAIL_SECRET_REF, "policy": {"unauthenticated_email": {"failed": "refuse"}}}
        }
        world.tables.conversations.seed({**world.row, "channel_config": config})

        work(world)

        assert (for_ai(world), for_people(world), world.staged_ids) == ([], [], [])
        assert [entry["refused"] for entry in world.row["messages"]] == ["SENDER_NOT_AUTHENTICATED"]

    def test_a_number_is_vouched_for_by_the_provider(self):
        """A parameter of the name `authentication` changes nothing for a phone's message."""
        world = world_of({"failed": "refuse", "none": "refuse"})

        response = world.post(world.form(Authentication="fail"))
        work(world)

        assert response.status_code == 200
        assert len(for_ai(world)) == 1


class TestAnswers:
    """An answer goes to the address in From: it must not carry a forger's words there."""

    @pytest.mark.parametrize("results", [FAILED["forged, softfail"], NONE], ids=["failed", "none"])
    def test_an_answer_repeats_no_subject_of_a_sender_who_is_not_authenticated(self, results: dict[str, Any]):
        """Nor does the record's entry; the ids that thread it stay."""
        world = world_of({"failed": "keep", "none": "keep"})
        world.post_email(unauthenticated(results))

        world.run(300)

        ((_, part, _),) = world.phone.received
        heading = Heading.of(part)
        assert (heading.subject, heading.in_reply_to) == ("Re:", "<forged@evil.example>")
        assert SUBJECT not in json.dumps([entry.get("extras") for entry in world.row["messages"] if "send_id" in entry])

    def test_an_answer_of_people_repeats_it_neither(self):
        """They answer the customer's last message."""
        world = world_of()
        receive(world, unauthenticated(FAILED["forged, softfail"]))
        reply = {"version": "1.0", **KEY.item, "source": "human", "reply_id": "agent-1", "body": "Who are you?"}

        world.queues.human_replies.inject(json.dumps(reply), group="acme")
        world.send_replies()

        ((_, part, _),) = world.phone.received
        assert (part.body, Heading.of(part).subject) == ("Who are you?", "Re:")

    def test_an_answer_to_an_authenticated_sender_keeps_the_thread_s_subject(self):
        """As a mailbox expects it."""
        world = world_of()
        world.post_email(replace(GENUINE, subject="My order"))

        world.run(300)

        ((_, part, _),) = world.phone.received
        assert Heading.of(part).subject == "Re: My order"

    @pytest.mark.parametrize("results", [*FAILED.values(), NONE])
    def test_a_stranger_who_is_not_authenticated_receives_nothing(self, results: dict[str, Any]):
        """The address may be anybody's."""
        world = world_of()
        victim = "victim@customer.example"
        told = {
            "return_path": victim,
            **results,
            "sender": results.get("sender", "").replace(CUSTOMER_EMAIL, victim) or victim,
        }

        assert receive(world, unauthenticated(told)) == (404, "CONVERSATION_NOT_FOUND")
        world.send_replies()

        assert world.phone.received == []
        assert world.tables.unknown_senders.rows == []


class TestStrangers:
    """What strangers can make a company send is bounded."""

    @staticmethod
    def flood(world: World, count: int, first: int = 0) -> list[str]:
        """The texts that so many different numbers receive."""
        answers = [world.post(world.form(From=f"whatsapp:+4930{number:07d}")) for number in range(first, first + count)]
        return [answer.body for answer in answers if world.settings.unknown_sender_text in answer.body]

    def test_an_address_sends_so_many_texts_an_hour(self):
        """Whoever writes; it starts anew with the hour."""
        world = World(unknown_sender_messages_per_hour="5")

        sent = [len(self.flood(world, 20))]
        world.clock.advance(3_600)
        sent.append(len(self.flood(world, 20, first=20)))

        assert sent == [5, 5]
        assert [outcome for name, _, _, outcome in world.telemetry.counts if name == Metric.UNKNOWN_SENDER].count(
            "capped"
        ) == 30

    def test_beyond_the_cap_a_stranger_costs_no_write(self):
        """A process remembers that the hour is used up."""
        world = World(unknown_sender_messages_per_hour="5")
        self.flood(world, 6)
        calls = len(world.plan.calls)

        self.flood(world, 10, first=6)

        assert {call.operation for call in world.plan.calls[calls:]} == {"Query"}

    def test_two_processes_share_the_cap(self):
        """The count is in the table."""
        world = World(unknown_sender_messages_per_hour="5")
        sent = len(self.flood(world, 4))
        world.engine = world._engine()

        sent += len(self.flood(world, 10, first=4))

        assert sent == 5

    @pytest.mark.parametrize(
        ("written", "expected"),
        [(Decimal(2), 2), (Decimal(0), 0), (Decimal(-5), 0), ("2", 5), (True, 5), (Decimal("1.5"), 5)],
    )
    def test_a_company_may_have_a_cap_of_its_own(self, written: Any, expected: int):
        """Clamped, or ignored, as every policy."""
        config = {"whatsapp": {"credential_ref": SECRET_REF, "policy": {"unknown_sender_messages_per_hour": written}}}
        world = World(None, conversation(channel_config=config), unknown_sender_messages_per_hour="5")

        assert len(self.flood(world, 10)) == expected

    def test_an_e_mail_address_has_its_cap_too(self):
        """By messages of its own."""
        world = World(None, email_conversation(), unknown_sender_messages_per_hour="3")
        for number in range(6):
            address = f"stranger-{number}@customer.example"
            world.post_email(replace(GENUINE, sender=address, return_path=address, message_id=f"<{number}@c.example>"))
        world.send_replies()

        assert len(world.phone.received) == 3
