"""The example of docs/testing.md: how you test an app of your own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import replies_testing
from chalicelib import wiring
from replies_testing import (
    CUSTOMER_EMAIL,
    Fault,
    FaultPlan,
    World,
    client_of,
    conversation,
    email_conversation,
    post,
    reply_to,
    signed_email,
    signed_message,
)


def test_a_burst_becomes_one_batch_and_one_reply():
    """Over HTTP, through the routes of app.py."""
    world = World()
    with client_of(world) as client:
        for text in ("Hello", "is my bike ready?"):
            assert post(client, signed_message(text)).status_code == 200
            world.clock.advance(1)

    world.clock.advance(10)  # the window of BATCH_WINDOW_SECONDS is over
    world.work()
    (context,) = world.take(world.queues.ai)
    assert [one["body"] for one in context["messages"]] == ["Hello", "is my bike ready?"]

    world.queues.replies.send(json.dumps(reply_to(context)), group="acme")
    world.send_replies()
    assert len(world.phone.texts) == 1
    assert world.row["conversation_status"] == "ai_response_sent"


def test_a_paused_project_reaches_nobody():
    """A row as your own systems write it."""
    world = World(None, conversation(project_status="paused"))

    with client_of(world) as client:
        post(client, signed_message("Hello"))

    world.run(60)
    assert (world.batches, world.phone.texts) == ({}, [])


def test_a_forged_message_has_no_effect():
    """Whoever signs with another token."""
    world = World()

    with client_of(world) as client:
        post(client, signed_message("Hello", token="another"))

    assert world.staged_ids == []


def test_an_email_is_staged():
    """Signed with the key whose public half is in the secret."""
    world = World(None, email_conversation())

    with client_of(world) as client:
        assert post(client, signed_email("Is it ready?", sender=CUSTOMER_EMAIL)).status_code == 200

    assert len(world.staged_ids) == 1


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_ANSWER])
def test_a_fault_of_aws_loses_nothing(fault: Fault):
    """The third call fails; the provider comes again, and the customer has one answer."""
    world = World(FaultPlan({3: fault}))

    world.deliver("Hello")
    world.run(120)

    assert len(world.phone.texts) == 1


class TestPage:
    """docs/testing.md and the package say the same."""

    ROOT = Path(__file__).parents[2]
    PAGE = (ROOT / "docs" / "testing.md").read_text()

    def test_the_page_shows_tests_that_run(self):
        """Each block of Python is a test of this file, word by word."""
        blocks = re.findall(r"^```python\n(.*?)^```$", self.PAGE, re.MULTILINE | re.DOTALL)

        assert len(blocks) == 2
        assert all(block in Path(__file__).read_text() for block in blocks)

    def test_the_page_names_everything_that_the_package_exports(self):
        """In the first column of a table, and nothing else of it."""
        tables = re.findall(r"^\| name \| .*?\n\n", self.PAGE + "\n", re.MULTILINE | re.DOTALL)
        named = {
            name
            for table in tables
            for row in table.strip().splitlines()[2:]
            for name in re.findall(r"`(\w+)`", row.split("|")[1])
        }

        assert named == set(replies_testing.__all__)

    def test_the_app_works_on_aws_again_after_a_test(self):
        """What `client_of` puts in place of the engine lasts as long as its block."""
        shipped = wiring.engine

        with client_of(World()):
            assert wiring.engine is not shipped

        assert wiring.engine is shipped
