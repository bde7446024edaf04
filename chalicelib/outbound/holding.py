"""Holding: a final reply that comes while the customer adds something waits once for the restart of its batch.

    look at the stage - would a burst restart the batch? - the reply comes again when that burst must be over

By then the batch was restarted and the reply is stale, or it is sent. Nothing is written to the record, so whatever
happens meanwhile finds the reply in its queue. An interim message, a handoff and a turn without a reply do not wait.

It costs a final reply one query, and only where a restart is possible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.clock import Clock
from chalicelib.conversations.conversation import Conversation
from chalicelib.conversations.policies import Policies
from chalicelib.conversations.routing import Routing
from chalicelib.conversations.second_thoughts import hold_seconds, restarts_by_policy
from chalicelib.conversations.views import View
from chalicelib.errors import Misconfigured
from chalicelib.messages.replies import Action
from chalicelib.outbound.endings import Endings
from chalicelib.outbound.job import Job
from chalicelib.protocol import staging
from chalicelib.protocol.restarts import is_restartable
from chalicelib.settings import Settings

HELD = "HELD"
"""Why a reply comes again that waits for a burst of the customer."""


@dataclass(frozen=True)
class Holding:
    """Holds final replies of the AI."""

    endings: Endings
    policies: Policies
    clock: Clock
    settings: Settings

    def hold(self, job: Job, conversation: Conversation) -> bool:
        """Have the reply come again once, marked and with its attempts unspent; False: it may be sent now.

        The caller holds: the reply may claim its batch.

        Raises:
            TryAgain, Misconfigured: the stage cannot be read, or the reply cannot be queued.
        """
        reply = job.reply
        is_first = not (reply.held or reply.attempt)
        if not (is_first and reply.is_final and reply.action is Action.SEND):
            return False
        routing = Routing(
            self.settings.handoff_flag_routes, self.policies.for_channels(conversation, job.trail), self.clock.now()
        )
        if not is_restartable(conversation.record, restarts_max=self.settings.restarts_max):
            return False
        if not restarts_by_policy(conversation, routing):
            return False
        view = View(conversation, staging.read(job.tables.stage, reply.conversation))
        seconds = self._seconds(view, routing)
        return bool(seconds) and self.endings.wait(replace(job, reply=replace(reply, held=True)), HELD, seconds=seconds)

    def _seconds(self, view: View, routing: Routing) -> int:
        """How long; a list of senders that cannot be read restarts nothing, and holds nothing."""
        try:
            return hold_seconds(view, routing, self.settings)
        except Misconfigured:
            return 0
