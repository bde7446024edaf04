"""What must hold of every run, whatever was chosen: the numbered invariants of docs/protocol.md.

I1  Never lost: an acknowledged message ends with the AI and answered, with people, or refused by a named rule.
I2  Never again: a message that was answered, handed off or refused is in no batch that is answered later.
I3  In order: of two messages of which one was acknowledged before the other came in, the record has that one first,
    and each batch has the record's order.
I4  One holder: the lock's batch changes only while the record is open.
I5  One reply: the customer gets at most one reply to a batch.
I6  At rest: once faults stop nothing stays staged, locked or unanswered - and where no fault took the trigger away for
    good, without the sweep.
"""

from __future__ import annotations

from tests.simulation.scheduler import Simulation, Violation

REST_SECONDS = 290
"""Less than the stall timeout: what redelivery, requeues and reconciling have to manage without the sweep."""

REPAIR_SECONDS = 7_200


def settle_and_check(simulation: Simulation, *, is_reply_lossy: bool = False) -> None:
    """Let the world come to rest, and check every invariant.

    Args:
        simulation: a world that has nothing left to choose.
        is_reply_lossy: whether a fault may have left a reply in doubt, which then counts as answered.

    Raises:
        Violation: an invariant does not hold.
    """
    if not simulation.needs_sweep:
        simulation.undisturbed(REST_SECONDS, sweeps=False)
        _demand(simulation.world.is_at_rest, "I6: at rest without the sweep", simulation)
    simulation.undisturbed(REPAIR_SECONDS)
    check(simulation, is_reply_lossy=is_reply_lossy)


def check(simulation: Simulation, *, is_reply_lossy: bool) -> None:
    """Check the invariants of a world that has come to rest."""
    world = simulation.world
    row = world.row
    _demand(world.is_at_rest, "I6: at rest", simulation)
    _demand(not world.dead, "I6: no trigger was given up", simulation)
    _demand(len(world.phone.texts) == len(set(world.phone.texts)), "I5: a reply was delivered twice", simulation)
    _demand(len(world.answered) == len(set(world.answered)), "I5: a batch was answered twice", simulation)
    ended_by_rule = {one["message_id"] for one in row["messages"] if "refused" in one or "opt_out" in one}
    told = set(world.told_ids) if is_reply_lossy else set()
    ended = set(world.answered_ids) | set(world.with_people) | ended_by_rule | told
    _demand(set(simulation.acknowledged) <= ended, "I1: an acknowledged message is lost", simulation)
    answered = world.answered_ids
    _demand(len(answered) == len(set(answered)), "I2: a message was answered twice", simulation)
    _demand(not set(answered) & ended_by_rule, "I2: a refused message was answered", simulation)
    _in_order(simulation)


def _in_order(simulation: Simulation) -> None:
    world = simulation.world
    entries = [one for one in world.row["messages"] if one["direction"] == "INBOUND"]
    ids = [one["message_id"] for one in entries]
    _demand(len(ids) == len(set(ids)), "I2: a message is in the record twice", simulation)
    for batch_id, batch in world.batches.items():
        at = [ids.index(one) for one in batch if one in ids]
        _demand(at == sorted(at), f"I3: batch {batch_id} is out of order", simulation)
    handed = {one["message_id"] for one in entries if "handed_off" in one}
    for first, then in simulation.one_after_another:
        if {first, then} <= set(ids) - handed:
            _demand(ids.index(first) < ids.index(then), "I3: the record is out of order", simulation)


def _demand(holds: bool, name: str, simulation: Simulation) -> None:
    if not holds:
        trace = "\n".join(f"  {number:3} {step}" for number, step in enumerate(simulation.scheduler.trace, start=1))
        world = simulation.world
        raise Violation(
            f"{name}\nschedule {simulation.choices.taken}\n{trace}\n"
            f"acknowledged {simulation.acknowledged}, answered {world.answered_ids}, people {world.with_people}, "
            f"staged {world.staged_ids}, status {world.row['conversation_status']}, "
            f"unanswered {world.row.get('unanswered_ids')}"
        )


def watch_locks(simulation: Simulation) -> None:
    """I4: from here on every write of the record is checked as it happens."""
    table = simulation.world.tables.conversations
    replace = table._replace

    def watched(row_id, new):
        old = table._store.rows.get(row_id)
        is_stolen = (
            old is not None
            and new is not None
            and old.get("conversation_status") == "processing_reply"
            and old.get("last_batch_id") != new.get("last_batch_id")
        )
        _demand(not is_stolen, "I4: a lock was taken from its holder", simulation)
        replace(row_id, new)

    table._replace = watched
