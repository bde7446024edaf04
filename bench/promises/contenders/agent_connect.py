"""Twilio Agent Connect, driven by its own webhook entry: a framework of Twilio's for AI agents, one process in memory.

It takes JSON of Twilio's Conversation Orchestrator, not a number's form webhooks, and its server acknowledges before it
works. The adapter makes the one from the other, and answers its calls to the Orchestrator here; an action that sends a
message is sent to the stub of Twilio's API, with the faults of the evening.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Coroutine
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from tac import TAC, TACConfig
from tac.channels.whatsapp import WhatsAppChannel
from tac.context.conversation import ConversationClient
from tac.models.conversation import ParticipantAddress, ParticipantResponse
from twilio.request_validator import RequestValidator

from bench.promises.customers import ACCOUNT_SID, AUTH_TOKEN, BASE_URL, COMPANY, PATH
from bench.promises.provider import send
from bench.promises.world import Contender, Invocation, Killed, World

RESTART_SECONDS = 5.0
_SENDER = f"whatsapp:{COMPANY}"


class AgentConnect(Contender):
    """One process with a channel for WhatsApp; the callback asks the AI and returns its text."""

    name = "Agent Connect 2.5.0"
    notes = (
        "it takes the Orchestrator's JSON: an adapter makes that, with one token for all retries",
        "photos come with a caption, for it passes text alone (media: not offered)",
        "STOP is kept from it, as Twilio's Messaging Service would (opt-out: not offered)",
        "no batching, no queue, no handoff queue, no dead letters (not offered)",
        "it makes no calls to AWS; it dies at one in a hundred requests and answers, and is back after 5 s",
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        os.environ["TAC_ANALYTICS_DISABLED"] = "true"
        self.down_until = 0.0
        self.events = self.life = 0
        self.redeploy()

    def redeploy(self) -> None:
        self.life += 1
        config = TACConfig(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            api_key="SK" + "1" * 32,
            api_secret="secret",  # noqa: S106  # nobody's
            phone_number=COMPANY,
            whatsapp_number=_SENDER,
            conversation_configuration_id="conv_configuration_00000000000000000000000000",
        )
        ConversationClient.get_configuration = _configuration
        self.tac = TAC(config)
        logging.disable(logging.CRITICAL)
        self.channel = WhatsAppChannel(self.tac)
        client = self.channel.conversation_orchestrator_client
        client.list_participants = _participants
        client.create_action = self._act
        self.tac.on_message_ready(self._answer)

    def webhook(self, event: dict[str, Any]) -> int:
        if self.world.now < self.down_until:
            return 502
        form = dict(parse_qsl(event["body"], keep_blank_values=True))
        if not RequestValidator(AUTH_TOKEN).validate(BASE_URL + PATH, form, event["headers"]["x-twilio-signature"]):
            return 403
        self._may_die()
        if "OptOutType" in form:
            return 200
        text = form["Body"] or form["MediaUrl0"].rpartition("/")[2].removesuffix(".jpg")
        told = _event(form["From"], text, form["MessageSid"])
        life = self.life
        work = Invocation("task")  # its server answers first, and works in a task of the same process
        self.world.at(
            self.world.now, lambda: self.world.spawn(work, lambda: self._process(told, form["MessageSid"], life))
        )
        return 200

    def _process(self, told: dict[str, Any], token: str, life: int) -> None:
        if life == self.life:
            try:
                _drive(self.channel.process_webhook(told, token))
            except Killed:
                return

    async def _answer(self, text: str, session: Any, _memory: Any) -> str | None:
        life = self.life
        reply = self.world.think(session.conversation_id, [text])
        self._may_die()
        if life != self.life:
            raise Killed
        return reply

    async def _act(self, conversation: str, _request: Any) -> Any:
        send(self.world, conversation.rpartition("-")[2], _request.payload.content.text)
        return SimpleNamespace(id="action")

    def _may_die(self) -> None:
        self.events += 1
        if self.world.is_dying(f"agent connect {self.events}"):
            self.redeploy()
            self.down_until = self.world.now + RESTART_SECONDS
            raise Killed


def _configuration(_client: Any, _id: str) -> Any:
    return SimpleNamespace(memory_store_id="mem_store_00000000000000000000000000")


async def _participants(conversation: str) -> list[ParticipantResponse]:
    customer = f"whatsapp:{conversation.rpartition('-')[2]}"
    return [
        ParticipantResponse(
            id=f"participant-{kind}",
            conversationId=conversation,
            accountId=ACCOUNT_SID,
            name=kind,
            type=kind,
            addresses=[ParticipantAddress(channel="WHATSAPP", address=address)],
        )
        for kind, address in (("CUSTOMER", customer), ("AI_AGENT", _SENDER))
    ]


def _event(sender: str, text: str, sid: str) -> dict[str, Any]:
    """The Orchestrator's event for a message."""
    return {
        "eventType": "COMMUNICATION_CREATED",
        "data": {
            "id": f"communication-{sha256(json.dumps([sender, text, sid]).encode()).hexdigest()[:26]}",
            "conversationId": f"conversation-{sender.removeprefix('whatsapp:')}",
            "accountId": ACCOUNT_SID,
            "author": {"address": sender, "channel": "WHATSAPP", "participantId": "participant-CUSTOMER"},
            "content": {"type": "TEXT", "text": text},
            "recipients": [],
        },
    }


def _drive(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing but this world, whose waiting is a greenlet's."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("the framework waited for something outside of this world")
