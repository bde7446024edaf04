"""The opt-out of a channel becomes one of the whole conversation, before a rollback."""

from __future__ import annotations

from ops.repairs import widening
from ops.repairs.dry_run import dry_run_of
from tests.company.company import Company
from tests.world import COMPANY, CUSTOMER, World, conversation

SMS = {"From": CUSTOMER, "To": COMPANY}


def opted_out_of_sms() -> World:
    world = World()
    world.deliver("STOP", OptOutType="STOP", **SMS)
    world.run(60)
    return world


def test_an_opt_out_of_a_channel_stops_every_channel_until_a_start():
    """O2: of any channel, and nothing of the mark is left."""
    world = opted_out_of_sms()

    count = widening.widen(world.engine, widening.find(world.engine))

    assert count == 1
    assert (world.row["opted_out"], world.row["opted_out_channels"]) == (True, [])
    world.deliver("hello")
    world.deliver("START", OptOutType="START", **SMS)
    world.deliver("hello again")
    world.run(60)
    refused = {one["content"]: one.get("refused") for one in world.row["messages"]}
    assert (refused["hello"], refused["hello again"]) == ("OPTED_OUT", None)
    assert world.row["opted_out"] is False


def test_who_is_not_opted_out_is_left_alone():
    """Also who opted out and in again, and who has the older mark already."""
    world = World(
        None,
        conversation(),
        conversation(conversation_id="c-2", opted_out_channels=[], opted_out=False),
        conversation(conversation_id="c-3", opted_out=True),
    )

    assert widening.find(world.engine) == []


def test_a_record_that_changes_meanwhile_is_left_for_another_run():
    """O1: its customer may have said START."""
    world = opted_out_of_sms()
    found = widening.find(world.engine)
    Company(world).set(conversation_status="in_review")

    assert widening.widen(world.engine, found) == 0
    assert world.row["opted_out_channels"] == ["sms"]
    assert widening.widen(world.engine, widening.find(world.engine)) == 1


def test_a_dry_run_writes_nothing():
    """It finds the same."""
    world = opted_out_of_sms()
    before = world.row
    found = widening.find(world.engine)

    assert widening.widen(dry_run_of(world.engine), found) == 1
    assert world.row == before
