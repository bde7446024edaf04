"""What must hold of every run, whatever was chosen: the numbered invariants of docs/protocol.md.

I1  Never lost: an acknowledged message ends with the AI and answered, with people, or refused by a named rule.
I2  Never again: a message that was answered, handed off or refused is in no batch that is answered later.
I3  In order: of two messages of which one was acknowledged before the other came in, the record has that one first,
    and each batch has the record's order.
I4  One holder: the lock's batch changes only while the record is open. Watched as it happens, by the deployment.
I5  One reply: the customer gets at most one reply to a batch.
I6  At rest: once faults stop nothing stays staged, locked or unanswered - and where no fault took the trigger away for
    good, without the sweep.
I7  Tenants apart: nothing of one tenant reaches another. Watched as it happens, by the deployment.
"""

from __future__ import annotations

from tests.simulation.deployment import Tenant, Violation
from tests.simulation.simulation import Simulation

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
    if not simulation.course.needs_sweep:
        simulation.undisturbed(REST_SECONDS, sweeps=False)
        _demand(simulation.world.is_at_rest, "I6: at rest without the sweep", simulation)
    simulation.undisturbed(REPAIR_SECONDS)
    check(simulation, is_reply_lossy=is_reply_lossy)


def check(simulation: Simulation, *, is_reply_lossy: bool) -> None:
    """Check the invariants of a world that has come to rest."""
    world = simulation.world
    answered, batches = world.answered, world.answered_ids
    _demand(world.is_at_rest, "I6: at rest", simulation)
    is_patient = simulation.course.needs_sweep  # a lock that the company leaves outlasts a trigger's patience
    _demand(is_patient or not world.dead, "I6: no trigger was given up", simulation)
    _demand(len(world.phone.texts) == len(set(world.phone.texts)), "I5: a reply was delivered twice", simulation)
    _demand(len(answered) == len(set(answered)), "I5: a batch was answered twice", simulation)
    entries = {tenant: [one for some in world.entries_of(tenant) for one in some] for tenant in world.tenants}
    told = {sid for batch in simulation.course.told for sid in world.batches[batch]} if is_reply_lossy else set()
    ended_by_rule = {
        one["message_id"] for kept in entries.values() for one in kept if "refused" in one or "opt_out" in one
    }
    ended = set(batches) | set(world.with_people) | ended_by_rule | told
    _demand(set(simulation.course.acknowledged) <= ended, "I1: an acknowledged message is lost", simulation)
    kept_ids = {one.get("message_id") for kept in entries.values() for one in kept}
    _demand(ended & set(simulation.course.acknowledged) <= kept_ids, "I1: the record has lost a message", simulation)
    partly = [sid for batch_id in world.answered_partly for sid in world.batches[batch_id]]
    _demand(len(batches) == len(set(batches)), "I2: a message was answered twice", simulation)
    _demand(len(partly) == len(set(partly)), "I2: a message was answered by parts of two replies", simulation)
    _demand(not set(partly) & ended_by_rule, "I2: a refused message was answered", simulation)
    _demand(not set(partly) & set(world.with_people), "I2: a message was answered and handed off", simulation)
    _demand(not simulation.course.surprises, f"unexpected: {simulation.course.surprises}", simulation)
    for tenant in world.tenants:
        _in_order(simulation, tenant)


def _in_order(simulation: Simulation, tenant: Tenant) -> None:
    world = simulation.world
    moved, kept = ([one for one in some if one["direction"] == "INBOUND"] for some in world.entries_of(tenant))
    owners = {world.owners[one["message_id"]] for one in (*moved, *kept)}
    _demand(owners <= {tenant}, "I7: a message is in the record of another tenant", simulation)
    ids = [one["message_id"] for one in kept]
    _demand(len(ids) == len(set(ids)), "I2: a message is in the record twice", simulation)
    at = {one: number for number, one in enumerate(ids)} | {one["message_id"]: -1 for one in moved}
    for batch_id, batch in world.batches.items():
        places = [at[one] for one in batch if one in at]
        _demand(places == sorted(places), f"I3: batch {batch_id} is out of order", simulation)
    handed = {one["message_id"] for one in (*moved, *kept) if "handed_off" in one}
    for first, then in simulation.course.one_after_another:
        if {first, then} <= at.keys() - handed:
            is_first = at[first] < at[then] or at[first] == -1
            _demand(is_first, "I3: the record is out of order", simulation)


def _demand(holds: bool, name: str, simulation: Simulation) -> None:
    if not holds:
        world = simulation.world
        rows = [
            {name: row.get(name) for name in ("conversation_status", "unanswered_ids", "last_batch_id", "reply_claim")}
            for row in map(world.row_of, world.tenants)
        ]
        raise Violation(
            f"{name}\nacknowledged {simulation.course.acknowledged}, answered {world.answered_ids}, "
            f"people {world.with_people}, told {simulation.course.told}, staged {world.staged_ids}, records {rows}"
        )
