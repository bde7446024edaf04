"""Schedules by which the simulation found a fault of the protocol, kept by name and in words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.choices import Named, Replay
from tests.simulation.deployment import ACME
from tests.simulation.guard_worlds import stop_start_stop
from tests.simulation.invariants import settle_and_check
from tests.simulation.runs import swarm_run
from tests.simulation.simulation import Simulation
from tests.simulation.worlds import (
    handoff_and_batch,
    late_reply_and_people,
    opt_out_and_in,
    opt_out_beside_another_channel,
    reply_taken_over,
    silent_ai,
)


def test_a_batch_that_a_worker_took_for_the_ai_beside_the_switch_goes_to_people_alone():
    """L7: people were sent the message before the record was written to, and the other worker's batch held."""
    simulation = handoff_and_batch((0, 2), None)

    simulation.run(
        Named(
            "webhook two comes in",
            "webhook two#1: GetItem",
            "webhook two#1: PutItem conversations-stage",
            "a trigger",
            "batch whatsapp#1: DeleteItem",
            "webhook two#1: PutItem conversations-trigger-lock",
            "webhook two#1: SendMessage",
            "batch whatsapp#1: Query",
            "batch whatsapp#1: BatchGetItem",
            "a trigger",
            "batch whatsapp#2: DeleteItem",
            "!the company switches to people",
            "batch whatsapp#2: Query",
            "batch whatsapp#2: BatchGetItem",
            "batch whatsapp#1: UpdateItem",  # it read the record before the switch, and takes the messages for the AI
        )
    )

    settle_and_check(simulation)
    assert len(simulation.world.with_people) == 2
    assert simulation.world.answered_ids == []


def test_a_late_reply_is_refused_once_people_are_to_have_its_batch():
    """People were sent what a reset batch had left unanswered, while its reply could still claim it."""
    simulation = late_reply_and_people((0, 1), None)

    simulation.run(
        Named(
            "a trigger",
            "batch whatsapp#2: DeleteItem",
            "!the company switches to people",
            "batch whatsapp#2: Query",
            "batch whatsapp#2: BatchGetItem",
            "a reply",
            "batch whatsapp#2: UpdateItem",  # claimed for people
            "reply#1: GetItem",
        )
    )

    settle_and_check(simulation)
    assert simulation.world.answered_ids == []
    assert len(simulation.world.with_people) == 2


def test_a_claim_for_people_is_taken_up_by_the_trigger_that_comes_again():
    """A worker died after it had claimed a batch for people: nothing waited for its stall timeout but the sweep."""
    simulation = late_reply_and_people((1, 1), None)
    simulation.run(
        Named(
            "a trigger",
            "batch whatsapp#2: DeleteItem",
            "!the company switches to people",
            "batch whatsapp#2: Query",
            "batch whatsapp#2: BatchGetItem",
            "batch whatsapp#2: UpdateItem",
            "!batch whatsapp#2: crash",
        )
    )

    settle_and_check(simulation)

    assert len(simulation.world.with_people) == 2


def test_a_lock_that_the_company_sets_on_a_watched_record_begins_to_age():
    """L8: nothing was staged, so no trigger stamped the lock, and what was unanswered waited for ever."""
    simulation = silent_ai(0, None)
    with simulation.planting():
        simulation.world.sweep()
    simulation.world.tables.conversations.change(
        ACME.key.item, lambda row: {**row, "conversation_status": "processing_reply"}
    )

    simulation.run(Replay([]))

    settle_and_check(simulation)
    assert len(simulation.world.answered_ids) == 1


def test_a_reply_that_is_recorded_beside_the_sweep_that_gave_it_up_leaves_the_index():
    """L8: the reply recorded what was sent between the sweep's look and its write; the record stayed in the index."""
    simulation = reply_taken_over(4, None)

    simulation.run(Replay([0, 0, 0, 1, 1, 1, 1]))

    settle_and_check(simulation, is_reply_lossy=True)
    assert "lock_shard" not in simulation.world.row_of(ACME)


def test_a_stop_does_not_overtake_an_earlier_message_of_another_channel():
    """I3: the update that set the mark appended the STOP too, and the message by WhatsApp waited for its batch."""
    simulation = opt_out_beside_another_channel(("STOP", {}), None)

    simulation.run(Replay([]))

    settle_and_check(simulation)
    assert [entry["message_id"] for entry in _inbound(simulation)] == list(simulation.course.acknowledged)
    assert simulation.world.row_of(ACME)["opted_out_channels"] == ["sms"]


def test_a_start_behind_a_stop_of_its_channel_is_neither_undone_nor_lost():
    """O3: both wait behind a message of another channel; the customer is opted in once the STOP is in the record."""
    simulation = opt_out_and_in((False, 0), None)

    simulation.run(Replay([]))

    settle_and_check(simulation)
    assert [entry.get("opt_out") for entry in _inbound(simulation)] == [None, "STOP", "START", None]
    assert simulation.world.row_of(ACME)["opted_out_channels"] == []
    assert len(simulation.world.answered_ids) == 2


@pytest.mark.parametrize("seed", [953, 1963, 2414, 60219, 60346])
def test_the_random_runs_in_which_a_stop_or_a_help_overtook_another_channel(seed: int):
    """I3: found by `make simulate`."""
    swarm_run(seed)


def test_the_random_run_in_which_people_waited_for_the_sweep_after_a_reply_had_come_again_at_once():
    """I6: the reply ended beside the claim for people that its own earlier delivery had left."""
    swarm_run(300722)


def _inbound(simulation: Simulation) -> list[Any]:
    return [one for one in simulation.world.row_of(ACME)["messages"] if one["direction"] == "INBOUND"]


def test_a_stop_that_comes_in_while_a_start_takes_its_turn_keeps_its_mark():
    """O3: the trigger had read the stage before the STOP and the record after it, and its START took the mark off."""
    simulation = stop_start_stop(False, None)

    simulation.run(
        Named(
            "webhook STOP comes in",
            "webhook STOP#1: GetItem",
            "a trigger",
            "batch whatsapp#1: DeleteItem",
            "batch whatsapp#1: Query",
            *["webhook STOP#1"] * 7,
            "batch whatsapp#1: BatchGetItem",
        )
    )

    settle_and_check(simulation)
    assert simulation.world.row_of(ACME)["opted_out_channels"] == ["whatsapp"]


def test_a_name_that_is_no_option_is_told():
    """A schedule that no longer fits fails, and says where."""
    simulation = late_reply_and_people((0, 1), None)

    with pytest.raises(AssertionError, match="no 'the moon'"):
        simulation.run(Named("the moon"))


@pytest.mark.parametrize(
    ("kind", "seed"), [("swarm", 305938), ("thoughts", 500313), ("thoughts", 501273), ("thoughts", 501568)]
)
def test_the_random_runs_in_which_a_message_waited_for_minutes_beside_a_reply_under_way(kind: str, seed: int):
    """I1: no process of a reply waits for longer than the timeout of its function, so its claim comes again in time."""
    swarm_run(seed, kind)


def test_the_random_run_in_which_the_row_of_a_stop_outlived_its_entry():
    """O3: the STOP had moved to the history while its staged row stood; a later START counts."""
    swarm_run(9495)


def test_the_random_run_in_which_two_conversations_of_one_id_moved_equal_entries():
    """I7: each has its own row in the history."""
    swarm_run(27470)


def test_the_random_run_in_which_a_reply_was_retried_after_the_longest_delay():
    """I6: its record could not be read seven times; the retry comes after 300 s, and ends it without the sweep."""
    swarm_run(25165)


def test_the_random_run_in_which_an_operator_s_command_failed_after_it_had_claimed_for_people():
    """I6: the operator was told, and the sweep finishes the claim."""
    swarm_run(1586, "turns")


def test_the_random_run_in_which_an_entry_had_moved_under_another_id():
    """H1: it stands on the record and in the history after a crash, and so does the one behind it."""
    swarm_run(1883, "policies")


def test_the_random_run_in_which_a_company_s_window_was_longer_than_its_cap():
    """I6: the reply was held for that window."""
    swarm_run(237, "policies")


def test_the_random_run_in_which_a_copy_of_a_reply_met_the_claim_that_the_other_could_not_take_off():
    """I1: the customer had opted out, and only the other copy knew that nothing was sent; so the outcome is unknown."""
    swarm_run(31782)


def test_the_random_run_in_which_a_refusal_of_the_provider_could_not_be_noted():
    """I1: the provider was asked; the retry does not know its answer, and ends with unknown outcome."""
    swarm_run(33470)


def test_the_random_run_in_which_a_rule_refused_what_a_lock_of_another_status_had_left():
    """I6: the record leaves the sweep's index with its last unanswered message."""
    swarm_run(32135)


def test_the_random_run_in_which_a_reply_could_not_look_at_its_own_claim_until_that_stalled():
    """I1: the answer to the claim was lost, and each later try met a fault; so the outcome counts as unknown."""
    swarm_run(202_563)


def test_the_random_run_in_which_equal_entries_of_two_conversations_moved_together():
    """I7: each was looked for before the other was written, by clocks that differ."""
    swarm_run(203_764)


def test_the_random_run_in_which_people_got_a_draft_after_the_customer_s_messages_had_moved():
    """I7: the context names the company's secret for the channel of the last entry."""
    swarm_run(3_857, "thoughts")


def test_the_random_run_in_which_a_given_up_reply_met_the_lock_of_another_system():
    """I2: it waits until that is open."""
    swarm_run(1_088, "turns")
