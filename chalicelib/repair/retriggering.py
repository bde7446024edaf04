"""The look after every end of a lock: the messages staged meanwhile are triggered at once.

Otherwise they would wait for the sweep even without a fault. Their own trigger may have found the lock held and given
up, or the batch may have been full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.ports.queues import Queues, fair_group
from chalicelib.ports.tables import Tables
from chalicelib.protocol import staging, trigger_lock
from chalicelib.protocol.record import ConversationKey
from chalicelib.protocol.trigger_lock import Trigger, Triggered
from chalicelib.telemetry import Step, Trail


@dataclass(frozen=True)
class Retriggering:
    """Triggers what is staged, without delay."""

    clock: Clock
    new_id: Callable[[], str]

    def look(self, tables: Tables, queues: Queues, conversation: ConversationKey, trail: Trail) -> bool:
        """Trigger the conversation if messages are staged; whether a trigger was sent.

        Raises:
            TryAgain, Misconfigured: the sweep finds what is staged.
        """
        waiting = staging.read(tables.stage, conversation)
        if not waiting:
            return False
        return self.trigger(tables, queues, conversation, waiting[0].channel, waiting[0].tenant, trail)

    def trigger(
        self, tables: Tables, queues: Queues, conversation: ConversationKey, channel: str, tenant: str, trail: Trail
    ) -> bool:
        """Trigger a conversation at once; whether a trigger was sent.

        Raises:
            TryAgain, Misconfigured: the sweep finds the conversation again.
        """
        outcome = trigger_lock.ensure(
            tables.trigger_lock,
            queues.trigger(channel),
            Trigger(conversation, self.new_id()),
            delay_seconds=0,
            now=self.clock.now(),
            tenant=fair_group(tenant),
        )
        if not isinstance(outcome, Triggered):
            return False
        trail.log(Step.TRIGGERED, trigger_id=outcome.trigger.trigger_id)
        return True
