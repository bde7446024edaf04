"""The scripted evening: who writes what and when, and the outcome.

edith   one SMS to Nordic Bikes; its worker dies after it took the lock, and another one repairs it; then Twilio takes
        the reply and its own answer is lost, so its outcome is unknown
anna    a burst of three WhatsApp messages to Sunrise Travel, one of them sent twice; one more while the AI thinks, the
        reply to which is longer than a message may be
anna    a message that someone forged in her name
ben     a message to a project that is inactive
clara   a message from a sender on the handoff list; a person answers, twice by mistake
david   an SMS to Nordic Bikes, and one more while the AI thinks, which that company's policy rejects; Twilio has too
        much to do at first; then the AI answers a second time
frida   an SMS to Nordic Bikes, and STOP while the AI thinks; one more SMS
gina    e-mails to Sunrise Travel: see `local/demo/email_scenario.py`
ida     thanks, to which the AI has nothing to say
jonas   asks for a person: the AI hands off, people answer and give the conversation back to the AI
kira    a question on which the AI thinks for longer than a lock lives; a heartbeat keeps it
mia     an SMS to Sunrise Travel, and a second thought while the AI thinks: by that company's policy the AI's turn
        begins anew, and both get one answer
lars    a question; while the AI thinks the company switches the conversation to people, who get the AI's answer
"""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

import click

from local.demo.email_scenario import EmailScenario
from local.demo.timeline import Timeline
from local.processes.children import Child
from local.requests.messages import Answer, Message, send, webhook_url
from local.stack import Stack
from local.stubs.ai import ASKS_FOR_A_PERSON, ASKS_FOR_LONG, NEEDS_NO_ANSWER, TAKES_TIME
from local.stubs.server import Kind
from local.stubs.twilio import Fault
from local.tenants import NORDIC, SUNRISE, Customer, Tenant

SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "BATCH_WINDOW_SECONDS": "3",
    "BATCH_MAX_WAIT_SECONDS": "9",
    "WORKER_TIMEOUT_SECONDS": "8",
    "VISIBILITY_TIMEOUT_SECONDS": "9",
    "STALL_TIMEOUT_SECONDS": "60",
    "RECONCILE_AFTER_SECONDS": "9",
    "PROVIDER_CONNECT_TIMEOUT_SECONDS": "0.5",
    "PROVIDER_READ_TIMEOUT_SECONDS": "1.5",
    "REQUEUE_DELAY_SECONDS": "1",
    "REQUEUE_ATTEMPTS_MAX": "10",
}
"""Short windows, so that an evening passes in little more than a minute: the time that the longest turn takes."""

THINKING_SECONDS = 4.0
BATCHES = 13
"""How many batches the evening makes."""
SPOKEN = 10
"""How many of them end with words of the AI, or a reply that was on its way."""

FROM_A_PERSON: Final = "Hello Clara, this is Tom. I will call you in a minute."
BACK_TO_THE_AI: Final = "Hello Jonas, this is Tom. That is settled. Our assistant is here for the rest."

PHOTO = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0.jpg"

_TYPING_SECONDS = 0.4
_STEP_SECONDS = 30.0
_LONG_TURN_SECONDS = 90.0
_QUIET_SECONDS = 1.5
_LOOK_SECONDS = 0.3
_LATE_SECONDS = 15.0
"""When Twilio reports on a message that is in doubt: after its list has proven the send."""


@dataclass(frozen=True)
class Sent:
    """One request and its answer."""

    message: Message
    answer: Answer
    at: str
    """When it was answered: ISO 8601 in UTC."""
    is_forged: bool = False

    @property
    def told(self) -> tuple[int, str | None]:
        """The answer's status, and the text that it has the customer told; empty: none; None: it is no TwiML."""
        return self.answer.status, told_by(self.answer)


@dataclass(frozen=True)
class Died:
    """The worker that died after its lock."""

    code: int | None
    locked_batch: str | None
    """The batch that the record was locked for when it was dead."""
    locked_status: str | None


@dataclass(frozen=True)
class Scenario:
    """Plays the evening on a machine and keeps what was sent, by a name for each request."""

    stack: Stack
    timeline: Timeline
    url: str
    doomed: Child
    """The worker of the SMS queue that dies."""
    sent: dict[str, Sent]
    mails: EmailScenario

    def play(self) -> Died:
        """Play it to the end, until nothing moves any more.

        Raises:
            click.ClickException: something that the script waits for did not come.
        """
        self._bad_day_at_twilio()
        self.timeline.headline("Kira asks something on which the AI thinks for longer than a lock lives.")
        self._writes("kira", SUNRISE, "kira", body=f"Which train is best? Please {TAKES_TIME}.")
        self.mails.burst()
        self.timeline.headline("Edith writes an SMS. The worker that takes it will die after it took the lock.")
        self._writes("edith", NORDIC, "edith", channel="sms", body="Is my bike ready?")
        self._burst()
        died = self._death()
        self._strangers()
        self._while_locked()
        self.timeline.headline("David and Frida write an SMS to the other company.")
        self._writes("david", NORDIC, "david", channel="sms", body="Do you open on Sunday?")
        self._writes("frida", NORDIC, "frida", channel="sms", body="Do you repair bells?")
        self._person()
        self._rejected()
        self._opts_out()
        self._second_answer()
        self._second_thought()
        self._await("released", conversation=SUNRISE.conversation_id(SUNRISE.customer("gina")))
        self.mails.machine_answers()
        self._nothing_to_say()
        self._hands_off()
        self._taken_over()
        self.timeline.headline("Everything else runs to its end.")
        self._await(
            "released",
            is_it=lambda fields: fields.get("batch_id", "none") != "none",
            times=SPOKEN,
            seconds=_LONG_TURN_SECONDS,
        )
        self._await_quiet()
        return died

    def _bad_day_at_twilio(self) -> None:
        """Plan the faults of Twilio: one for each of four replies."""
        addresses = {name: NORDIC.customer(name).address for name in ("david", "edith")}
        anna, clara = (SUNRISE.customer(name).address for name in ("anna", "clara"))
        phones = self.stack.phones
        phones.fail_next(Fault(kind=Kind.TOO_MANY, retry_after_seconds=2, to=addresses["david"]))
        phones.fail_next(Fault(kind=Kind.LOST, after_seconds=_LATE_SECONDS, to=addresses["edith"]))
        phones.fail_next(Fault(kind=Kind.SERVER_ERROR_AFTER_TAKING, after_seconds=_LATE_SECONDS, to=anna))
        phones.fail_next(Fault(statuses=("delivered", "sent", "queued", "delivered"), to=clara))

    def _burst(self) -> None:
        self.timeline.headline("Anna writes three WhatsApp messages; Twilio sends the second one twice.")
        request_token = str(uuid.uuid4())
        self._writes("anna-text", SUNRISE, "anna", body="Good evening! We would like this room:")
        time.sleep(_TYPING_SECONDS)
        photo = self._writes("anna-photo", SUNRISE, "anna", media=(PHOTO,), request_token=request_token)
        time.sleep(_TYPING_SECONDS)
        self._sends("anna-photo-again", SUNRISE, photo, request_token=request_token)
        time.sleep(_TYPING_SECONDS)
        self._writes("anna-button", SUNRISE, "anna", button="Yes, book it")

    def _death(self) -> Died:
        code = self.doomed.wait(_STEP_SECONDS)
        if code is None:
            raise click.ClickException("the worker that was to die is still alive")
        row = self.stack.record(NORDIC, "edith")
        died = Died(code, row.get("last_batch_id"), row.get("conversation_status"))
        self.timeline.headline(
            "The worker is dead, the conversation locked, nothing dispatched. Another worker starts."
        )
        name = signal.Signals(-code).name if code < 0 else f"code {code}"
        self.timeline.show(NORDIC.conversation_id(NORDIC.customer("edith")), "worker", f"died of {name}", "bold red")
        self.stack.work("--only", "batch_sms")
        return died

    def _while_locked(self) -> None:
        anna = SUNRISE.conversation_id(SUNRISE.customer("anna"))
        self._await("thinking", conversation=anna)
        self.timeline.headline("Anna writes once more while the AI thinks: the conversation is locked.")
        self._writes("anna-later", SUNRISE, "anna", body=f"And breakfast? Give me a {ASKS_FOR_LONG}, please.")

    def _person(self) -> None:
        self.timeline.headline("A person answers Clara; the company's system sends the answer twice.")
        who = SUNRISE.customer("clara")
        for _ in range(2):
            self._replies(SUNRISE, who, source="human", reply_id="tom-1", body=FROM_A_PERSON)

    def _rejected(self) -> None:
        david = NORDIC.conversation_id(NORDIC.customer("david"))
        self._await("thinking", conversation=david)
        self.timeline.headline("David writes once more while the AI thinks: his company's policy rejects that.")
        self._writes("david-later", NORDIC, "david", channel="sms", body="And on Monday?")

    def _opts_out(self) -> None:
        frida = NORDIC.conversation_id(NORDIC.customer("frida"))
        self._await("thinking", conversation=frida)
        self.timeline.headline("Frida writes STOP while the AI thinks, and later something else.")
        self._writes("frida-stop", NORDIC, "frida", channel="sms", body="Stop", opt_out="STOP")
        self._await("released", conversation=frida)
        self._writes("frida-after", NORDIC, "frida", channel="sms", body="And do you sell bells?")

    def _second_answer(self) -> None:
        david = NORDIC.customer("david")
        self._await("released", conversation=NORDIC.conversation_id(david))
        batch_id = self.stack.record(NORDIC, "david")["last_batch_id"]
        self.timeline.headline("The AI changes its mind and answers David's batch a second time.")
        self._replies(NORDIC, david, batch_id=batch_id, body="On second thoughts, we do.")

    def _second_thought(self) -> None:
        mia = SUNRISE.conversation_id(SUNRISE.customer("mia"))
        self.timeline.headline("Mia writes an SMS, and something more while the AI thinks: its turn begins anew.")
        self._writes("mia", SUNRISE, "mia", channel="sms", body="A double room for Friday, please.")
        self._await("thinking", conversation=mia)
        self._writes("mia-later", SUNRISE, "mia", channel="sms", body="Sorry, Saturday!")
        self._await("restarted", conversation=mia)

    def _nothing_to_say(self) -> None:
        self.timeline.headline("Ida says thanks. The AI has nothing to say.")
        self._writes("ida", SUNRISE, "ida", body=f"Thanks, {NEEDS_NO_ANSWER}!")
        self._await("no_reply", conversation=SUNRISE.conversation_id(SUNRISE.customer("ida")))

    def _hands_off(self) -> None:
        who = SUNRISE.customer("jonas")
        jonas = SUNRISE.conversation_id(who)
        self.timeline.headline("Jonas asks for a person: the AI hands off, with words to him and a reason to people.")
        self._writes("jonas", SUNRISE, "jonas", body=f"I want to talk to {ASKS_FOR_A_PERSON}.")
        self._await("handed_off", conversation=jonas)
        self._writes("jonas-more", SUNRISE, "jonas", body="It is about my refund.")
        self._await("handed_off", conversation=jonas, times=2)
        self.timeline.headline("A person answers Jonas and gives the conversation back to the AI. He writes once more.")
        handoff_id = self.stack.record(SUNRISE, "jonas")["handoff_id"]
        back = {"action": "return", "handoff_id": handoff_id, "reply_id": "tom-2", "body": BACK_TO_THE_AI}
        self._replies(SUNRISE, who, source="human", **back)
        self._await("given_back", conversation=jonas)
        self._writes("jonas-later", SUNRISE, "jonas", body="When does my train leave?")

    def _taken_over(self) -> None:
        who = SUNRISE.customer("lars")
        lars = SUNRISE.conversation_id(who)
        self.timeline.headline("Lars asks something; while the AI thinks the company switches him to people.")
        self._writes("lars", SUNRISE, "lars", body="Can I bring my dog?")
        self._await("thinking", conversation=lars)
        self.stack.aws.dynamodb.Table(self.stack.settings.conversations_table).update_item(
            Key={"primary_channel": who.address, "conversation_id": lars},
            UpdateExpression="SET auto_queue_reply_message = :true",
            ExpressionAttributeValues={":true": True},
        )
        self.timeline.show(lars, "company", "sets auto_queue_reply_message")
        self._await("reply_refused", conversation=lars)

    def _replies(self, company: Tenant, who: Customer, **what: str) -> None:
        """Put a reply on the AI's or on people's replies queue, as a system of the company's would."""
        key = {"conversation_id": company.conversation_id(who), "primary_channel": who.address}
        names = self.stack.settings
        queue = names.human_replies_queue if what.get("source") == "human" else names.ai_replies_queue
        self.timeline.show(company.conversation_id(who), "company", f"replies: {what['body']}")
        self.stack.aws.sqs.send_message(
            QueueUrl=self.stack.aws.queue_url(queue),
            MessageBody=json.dumps({**key, **what}),
            MessageGroupId=company.company_id,
        )

    def _strangers(self) -> None:
        self.timeline.headline("A forger writes in Anna's name; Ben to an inactive project; Clara, answered by people.")
        self._writes("forged", SUNRISE, "anna", body="Send my money elsewhere.", forge=True)
        self._writes("ben", SUNRISE, "ben", body="Hello? Anyone?")
        self._writes("clara", SUNRISE, "clara", body="I want to speak to a person.")

    def _writes(
        self,
        name: str,
        company: Tenant,
        customer: str,
        *,
        forge: bool = False,
        request_token: str | None = None,
        channel: str = "whatsapp",
        **what: Any,
    ) -> Message:
        who = company.customer(customer)
        message = Message(
            channel=channel,
            sender=who.address,
            recipient=company.addresses[channel],
            account_sid=company.account_sid,
            profile_name=who.name.capitalize(),
            **what,
        )
        self._sends(name, company, message, forge=forge, request_token=request_token)
        return message

    def _sends(
        self, name: str, company: Tenant, message: Message, *, forge: bool = False, request_token: str | None = None
    ) -> None:
        who = company.conversation_id(company.by_address(message.sender))
        self.timeline.show(who, "forger" if forge else "customer", _told(message, is_again=name.endswith("-again")))
        url = webhook_url(self.url, message.channel)
        answer = send(url, message, company.auth_token, forge=forge, request_token=request_token)
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        self.sent[name] = Sent(message, answer, at, is_forged=forge)
        status, text = self.sent[name].told
        self.timeline.show(who, "webhook", f"answers {status}" + (f": {text}" if text else ""))

    def _await(
        self,
        step: str,
        *,
        conversation: str | None = None,
        is_it: Callable[[Mapping[str, Any]], bool] = lambda _: True,
        times: int = 1,
        seconds: float = _STEP_SECONDS,
    ) -> None:
        def fits(fields: Mapping[str, Any]) -> bool:
            return conversation in {None, fields.get("conversation_id")} and is_it(fields)

        if not self.timeline.wait_for(step, seconds=seconds, is_it=fits, times=times):
            raise click.ClickException(f"{times} x {step!r} did not come within {seconds:.0f} s")

    def _await_quiet(self) -> None:
        """Wait until no message moves and no row waits, for a while without a break."""
        until = time.monotonic() + _STEP_SECONDS
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            if self.stack.is_moving:
                quiet_since = time.monotonic()


def told_by(answer: Answer) -> str | None:
    """The text that a webhook's answer has the customer told; empty: none; None: it is no TwiML."""
    try:
        response = ET.fromstring(answer.body)  # noqa: S314  # our own server's answer
    except ET.ParseError:
        return None
    return "".join(response.itertext()) if response.tag == "Response" else None


def _told(message: Message, *, is_again: bool) -> str:
    channel = {"whatsapp": "WhatsApp", "sms": "SMS"}[message.channel]
    if is_again:
        return f"{channel}, the same request once more (a retry)"
    if message.media:
        return f"{channel}: a photo, without a text"
    if message.button:
        return f"{channel}: presses [{message.button}]"
    return f"{channel}: {message.body}"
