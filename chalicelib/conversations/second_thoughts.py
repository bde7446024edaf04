"""Second thoughts: what the customer adds while the AI thinks, under the policy `on_new_message: restart`. Pure.

    the burst is over, and the AI still thinks --restart--> it gets one larger batch
    the AI's reply comes before the burst is over --hold--> the reply comes again when the burst must be over

A restart gives the AI everything that is unanswered and staged, or does not take place: so it needs no further batch,
and nothing is taken out of its order.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil

from chalicelib.conversations import views
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.routing import Route, Routing
from chalicelib.conversations.views import View
from chalicelib.protocol.restarts import is_restartable
from chalicelib.protocol.staging import StagedMessage
from chalicelib.settings import Settings


def may_restart(view: View, routing: Routing, settings: Settings) -> bool:
    """Whether the staged messages may restart the batch that is with the AI; whether their burst is over is not asked.

    Args:
        view: what a look found; the record is locked.
        routing: today's rules and policies.
        settings: the bounds.

    Raises:
        Misconfigured: `ROUTING_ERROR`; the company's list of senders is no list of texts.
    """
    new = view.new
    return (
        is_restartable(view.record, restarts_max=settings.restarts_max)
        and bool(new)
        and len(new) == len(view.fresh)  # the batch was dispatched: none of its rows is staged any more
        and len(view.considered) == len(view.staged)
        and restarts_by_policy(view.conversation, routing)
        and all(_is_for_restart(view, one, routing) for one in new)
        and _all_carried_are_for_ai(view, routing)
        and len(views.fitting(view.record, new, settings.batch_messages_max)) == len(new)
    )


def restarts_by_policy(conversation: Conversation, routing: Routing) -> bool:
    """Whether the policy of the channel of each unanswered message is `restart`."""
    channels = {one["channel_type"] for one in conversation.record.unanswered}
    return bool(channels) and all(_restarts(channel, routing) for channel in channels)


def _restarts(channel: str, routing: Routing) -> bool:
    return routing.policy_of(channel).on_new_message == "restart"


def _is_for_restart(view: View, message: StagedMessage, routing: Routing) -> bool:
    """Whether a new message is an ordinary one, for the AI, on a channel whose policy is `restart`."""
    is_opted_out = view.conversation.is_opted_out_of(message.channel)
    return (
        views.opt_out_request(message, is_opted_out=is_opted_out) is None
        and views.destination_of(view, message, routing) is Route.CHANNEL
        and _restarts(message.channel, routing)
    )


def _all_carried_are_for_ai(view: View, routing: Routing) -> bool:
    return all(
        views.destination_of_entry(view.conversation, one, routing) is Route.CHANNEL for one in view.record.unanswered
    )


def hold_seconds(view: View, routing: Routing, settings: Settings) -> int:
    """How long the reply to the running batch waits for the burst that may restart it; 0: it is sent at once.

    Until the burst is over at the latest, so no longer than the cap; and not if the lock would stall meanwhile.

    Args:
        view: what a look found; the record is locked.
        routing: today's rules and policies.
        settings: the bounds.

    Raises:
        Misconfigured: as `may_restart`.
    """
    if not may_restart(view, routing, settings):
        return 0
    oldest, now = view.new[0], routing.now
    cap = routing.policy_of(oldest.channel).batch_max_wait_seconds
    left = oldest.received_at + timedelta(seconds=cap) - now
    seconds = min(ceil(left.total_seconds()), cap)
    stalls_in = timedelta(seconds=settings.stall_timeout_seconds) - view.record.lock_age(now)
    return seconds if timedelta(0) < timedelta(seconds=seconds) < stalls_in else 0
