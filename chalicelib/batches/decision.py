"""Decides what a trigger does after one look: one action, decided without a call; pure.

    report an end - mark a STOP - finish people - settle, resume, restart, contend (locked)
                                                | wait, trim, refuse, acquire (open)

The order matters. A lock that this trigger took is resumed before "nothing is staged" and "still typing" are checked.
Messages end in the order in which they were staged. A batch is the longest run of staged messages with one destination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from math import ceil
from typing import Any

from chalicelib.batches.actions import (
    Acquire,
    Action,
    ClaimForPeople,
    Contend,
    FinishPeople,
    Keep,
    MarkOptOut,
    RefuseCarried,
    ReportEnd,
    ResetLock,
    Restart,
    Resume,
    SettleBatch,
    SettleDuplicates,
    StampLock,
    Stop,
    Trim,
    Wait,
)
from chalicelib.conversations import opt_out, views, window
from chalicelib.conversations.handoff import GRACE_SECONDS
from chalicelib.conversations.policies import PolicyOf
from chalicelib.conversations.routing import Destination, Refusal, Route, Routing
from chalicelib.conversations.second_thoughts import may_restart
from chalicelib.conversations.views import View
from chalicelib.messages.inbound import OptOut
from chalicelib.protocol import history
from chalicelib.protocol.lock_changes import PEOPLE
from chalicelib.protocol.record import Record
from chalicelib.protocol.staging import StagedMessage
from chalicelib.repair.patience import has_stalled, is_answer_overdue, patience_of
from chalicelib.settings import Settings


def decide(
    view: View,
    *,
    trigger_id: str,
    now: datetime,
    settings: Settings,
    policy_of: PolicyOf,
    may_trim: bool,
) -> Action:
    """The one action that a look asks for.

    Args:
        view: what the look found.
        trigger_id: of the trigger that looks.
        now: the current instant.
        settings: the bounds and the stall timeout.
        policy_of: the policy of the conversation's company for a channel.
        may_trim: whether entries may move to the history: not twice without anything in between.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the company's list of senders is no list of texts.
    """
    record = view.record
    routing = Routing(settings.handoff_flag_routes, policy_of, now)
    if record.has_unreported_end:
        return ReportEnd()
    unmarked = opt_out.unmarked_channels(view)
    if unmarked:
        return MarkOptOut(unmarked)  # O3: before anything else is done with the stage.
    if record.claim == PEOPLE:
        is_young = record.claim_age(now) < timedelta(seconds=GRACE_SECONDS) and record.trigger_id != trigger_id
        return Contend(GRACE_SECONDS) if is_young else FinishPeople()
    if record.is_locked:
        return _locked(view, trigger_id, settings, routing, may_trim=may_trim)
    return _open(view, settings, routing, may_trim=may_trim)


def _locked(view: View, trigger_id: str, settings: Settings, routing: Routing, *, may_trim: bool) -> Action:
    record, now = view.record, routing.now
    is_ours = record.trigger_id == trigger_id
    if record.claim is None and _is_for_people(view, routing):
        return ClaimForPeople()
    if is_ours:
        return Resume() if record.claim is None else SettleBatch()
    kept = _kept(view, settings, routing)
    if kept is not None:
        return _trim(view, now, settings, may_trim=may_trim) or kept
    if not view.staged:
        # Another system locked a watched record: the lock must begin to age, or what is unanswered waits for ever.
        return StampLock() if record.watched_since is not None and record.unanswered_ids else Stop()
    wait = _wait(view, settings, routing, _run(view, routing))
    if wait is not None:
        return wait
    if not view.fresh:
        return SettleDuplicates()
    if record.started_at is None:
        return StampLock()
    if has_stalled(record, now, settings):
        return ResetLock()
    if may_restart(view, routing, settings):
        return _trim(view, now, settings, may_trim=may_trim) or Restart(view.new)
    return Contend(_next_look_seconds(record, now, settings))


def _next_look_seconds(record: Record, now: datetime, settings: Settings) -> int:
    """How long a trigger leaves a lock alone: the longer the turn lasts the longer, but no longer than until it stalls.

    A reply that ends the turn looks at the stage itself, so that nothing waits for this.
    """
    stalls_in = patience_of(record, settings) - record.lock_age(now)
    shortest, longest = settings.requeue_delay(1), settings.requeue_delay(settings.requeue_attempts_max)
    wait = min(max(ceil(record.turn_age(now).total_seconds()), shortest), longest)
    return min(wait, ceil(stalls_in.total_seconds()) + 1)


def _is_for_people(view: View, routing: Routing) -> bool:
    """Whether the batch that a lock of ours holds belongs to people by now."""
    record = view.record
    is_of_ours = record.batch_id is not None and record.started_at is not None
    return is_of_ours and views.belongs_to_people(view.conversation, routing)


def _open(view: View, settings: Settings, routing: Routing, *, may_trim: bool) -> Action:
    record, now = view.record, routing.now
    if not view.staged and not is_answer_overdue(record, now, settings):
        return Stop()
    if view.staged and not view.fresh:
        return SettleDuplicates()
    kept, run = _kept(view, settings, routing), _run(view, routing)
    wait = _wait(view, settings, routing, run) if kept is None else None
    if wait is not None:
        return wait
    trim = _trim(view, now, settings, may_trim=may_trim)
    if trim is not None:
        return trim
    if kept is not None:
        return kept
    carried = _carried(view, routing)
    refused = {one: said.code for one, said in carried.items() if isinstance(said, Refusal)}
    if refused:
        return RefuseCarried(refused)
    if not view.fresh and not carried:
        return Stop()  # what an earlier batch left is trimmed; the sweep takes the record off its index
    for_people = run.for_people if not carried else Route.HANDOFF in carried.values()
    is_one = not run.messages or run.for_people == for_people
    taken = views.fitting(record, run.messages, settings.batch_messages_max) if is_one else []
    return Acquire(taken, for_people)


@dataclass(frozen=True, repr=False)
class _Run:
    """The longest run of new messages with one destination, from the first on."""

    messages: Sequence[StagedMessage]
    for_people: bool
    is_all: bool
    """Whether these are all of the new messages."""


def _run(view: View, routing: Routing) -> _Run:
    destinations = {one.message_sid: _destination(view, one, routing) for one in view.new}
    first = next(iter(destinations.values()), Route.CHANNEL)
    messages = list(takewhile(lambda one: destinations[one.message_sid] == first, view.new))
    return _Run(messages, first is Route.HANDOFF, len(messages) == len(view.new))


def _destination(view: View, message: StagedMessage, routing: Routing) -> Destination | OptOut:
    """Who answers a new message; a request that changes nothing is only kept."""
    request = views.opt_out_request(message, is_opted_out=view.conversation.is_opted_out_of(message.channel))
    if request is not None:
        return request
    return views.destination_of(view, message, routing)


def _kept(view: View, settings: Settings, routing: Routing) -> Keep | None:
    """The first new messages, where nobody answers them: a rule refuses them, or they are STOP, START or HELP.

    On a locked record too, as far as it has room: they are appended behind its batch, and change nothing of it. A START
    is the last of them, because it changes what the rules say of the messages behind it.
    """
    marks: dict[str, str] = {}
    messages: list[StagedMessage] = []
    for message in view.new:
        said = _destination(view, message, routing)
        if isinstance(said, Refusal):
            marks[message.message_sid] = said.code.value
        elif not isinstance(said, OptOut):
            break
        messages.append(message)
        if said is OptOut.START:
            break
    fitting = views.fitting(view.record, messages, settings.batch_messages_max)
    return Keep(fitting, marks, _after_start(view, fitting)) if fitting else None


def _after_start(view: View, kept: Sequence[StagedMessage]) -> Mapping[str, Any]:
    """What the update that appends these first new messages writes to the opt-out marks; empty: nothing."""
    last = kept[-1]
    is_start = views.opt_out_request(last, is_opted_out=view.conversation.is_opted_out_of(last.channel)) is OptOut.START
    is_stopped_again = last.channel in opt_out.stopped_channels(view.new[len(kept) :])
    if not is_start or is_stopped_again:  # O3: a later STOP is staged, and its channel stays marked.
        return {}
    return view.conversation.opt_out_marks.after_start(last.channel)


def _wait(view: View, settings: Settings, routing: Routing, run: _Run) -> Wait | None:
    """How long the customer may go on typing; None: the burst is over, old enough, or for people.

    The window is the policy of the newest message's channel, the cap that of the oldest one's: which channel's trigger
    looks makes no difference. An adaptive window learns from the messages of all channels.
    """
    if not view.staged or run.for_people or not run.is_all:
        return None
    oldest, newest = view.staged[0], view.staged[-1]
    policy_of, now = routing.policy_of, routing.now
    cap = policy_of(oldest.channel).batch_max_wait_seconds
    heard = [*window.received(view.record.entries or ()), *(one.received_at for one in view.staged)]
    quiet = window.quiet_seconds(policy_of(newest.channel), settings.adaptive_window_min_seconds, cap, heard)
    remaining = min(
        timedelta(seconds=quiet) - (now - newest.received_at), timedelta(seconds=cap) - (now - oldest.received_at)
    ).total_seconds()
    return Wait(remaining) if remaining > 0 else None


def _carried(view: View, routing: Routing) -> dict[str, Destination]:
    """What the rules and the routing say now of what an earlier batch left unanswered."""
    return {
        one["message_id"]: views.destination_of_entry(view.conversation, one, routing) for one in view.record.unanswered
    }


def _trim(view: View, now: datetime, settings: Settings, *, may_trim: bool) -> Trim | None:
    """Entries to move before any are appended; None: the record has not outgrown its bounds."""
    bounds = history.Bounds(settings.messages_keep, settings.messages_bytes_max, settings.dedupe_hours)
    count = history.movable_count(view.record, bounds, now=now) if may_trim else 0
    return Trim(count) if count else None
