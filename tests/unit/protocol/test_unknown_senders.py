"""The rows of unknown senders: U1 to U5."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from chalicelib.errors import Code, EngineError, Misconfigured, Rejected, TryAgain
from chalicelib.protocol import fallbacks, unknown_senders
from chalicelib.protocol.fallbacks import Fallback, FallbackRequest, Notice, Pair, State
from chalicelib.protocol.unknown_senders import AlreadyNotified, Capped, MayNotify
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import World

PAIR = Pair("help@acme.example", "stranger@customer.example")
LETTER = Fallback(
    tenant="acme",
    channel="email",
    credential_ref="the company's secret",
    text="Nobody reads this.",
    answers={"subject": "Hello", "email_message_id": "<1@customer.example>"},
)
REMINDER = FallbackRequest(PAIR, "SM1")
DAY = 24 * 3_600
MESSAGES_MAX = 3
PUT_CALL, COUNT_CALL, SEND_CALL, DROP_CALL = range(1, 5)


def note(world: World, sid: str = "SM1", pair: Pair = PAIR) -> MayNotify | AlreadyNotified:
    return unknown_senders.note_sender(
        world.tables.unknown_senders, pair, message_sid=sid, now=world.clock.now(), hours=24, messages_max=MESSAGES_MAX
    )


def ask(world: World, sid: str = "SM1", fallback: Fallback = LETTER) -> MayNotify | AlreadyNotified:
    return unknown_senders.request_fallback(
        world.tables.unknown_senders,
        world.queues.replies,
        PAIR,
        fallback,
        message_sid=sid,
        now=world.clock.now(),
        hours=24,
        messages_max=MESSAGES_MAX,
        group="acme",
    )


def find_due(world: World, fallback_request: FallbackRequest = REMINDER) -> Notice | None:
    return fallbacks.find_due(world.tables.unknown_senders, fallback_request, now=world.clock.now())


def claim(world: World, notice: Notice, token: str = "ours") -> bool:
    return fallbacks.claim(world.tables.unknown_senders, notice, token=token, now=world.clock.now())


def asked(world: World) -> Notice:
    """A fallback message waits to be sent."""
    ask(world)
    notice = find_due(world)
    assert notice is not None
    return notice


def state(world: World) -> str | None:
    rows = world.stranger_rows
    return rows[0]["notice_state"] if rows else None


class TestTelling:
    def test_a_sender_is_told_once(self, world: World):
        """U1: what else they write that day is met by silence."""
        outcomes = [note(world, f"SM{number}") for number in range(1, 4)]

        assert outcomes == [MayNotify(), AlreadyNotified(), AlreadyNotified()]

    @pytest.mark.parametrize(("seconds", "outcome"), [(DAY - 1, AlreadyNotified()), (DAY, MayNotify())])
    def test_after_its_hours_a_row_that_lingers_counts_as_none(
        self, world: World, seconds: int, outcome: MayNotify | AlreadyNotified
    ):
        """U1: DynamoDB removes it days late."""
        note(world)
        world.clock.advance(seconds)

        assert note(world, "SM2") == outcome

    def test_each_company_s_address_tells_for_itself(self, world: World):
        """And each sender hears for themselves."""
        note(world)

        assert note(world, "SM2", replace(PAIR, company_address="sales@acme.example")) == MayNotify()
        assert note(world, "SM3", replace(PAIR, sender="other@customer.example")) == MayNotify()

    def test_one_row_whatever_the_channel(self, world: World):
        """U1: a number that writes by two channels hears of it by one."""
        note(world)

        assert ask(world, "SM2") == AlreadyNotified()
        assert world.queues.replies.messages == []

    def test_a_message_that_comes_again_is_told_again(self, world: World):
        """U2: its provider may not have got the answer."""
        note(world)
        world.clock.advance(10)

        assert note(world) == MayNotify()

    def test_a_message_that_comes_again_does_not_prolong_the_silence(self, world: World):
        """U2: the row stands as it was written first."""
        note(world)
        (before,) = world.stranger_rows
        world.clock.advance(10)

        note(world)

        assert world.stranger_rows == [before]

    @pytest.mark.parametrize("tell", [note, ask])
    def test_a_lost_answer_of_our_own_write_is_seen_through(self, world: World, tell):
        """U2: the row that refuses is this message's own."""
        world.plan.faults = {PUT_CALL: Fault.REFUSED_BY_OWN_WRITE}

        assert tell(world) == MayNotify()

    def test_neither_a_pair_nor_its_errors_show_an_address(self):
        """They may come into a log by accident."""
        assert "example" not in repr(PAIR) + repr(REMINDER)


class TestAsking:
    def test_a_row_holds_the_letter_and_the_queue_its_name(self, world: World):
        """U5: nothing of what is sent, and no secret's name, is in the queue."""
        ask(world)

        (message,) = world.queues.replies.messages
        assert json.loads(message.body) == {
            "version": "1.0",
            "source": "engine",
            "company_address": PAIR.company_address,
            "sender": PAIR.sender,
            "message_sid": "SM1",
            "RetryAttempt": 0,
        }
        assert FallbackRequest.from_body(message.body) == REMINDER
        assert find_due(world) == Notice(PAIR, "SM1", START.isoformat(timespec="microseconds"), LETTER)

    def test_a_message_that_comes_again_reminds_again(self, world: World):
        """U2: whoever received it first may have died before reminding anybody."""
        ask(world)

        assert ask(world) == MayNotify()
        assert len(world.queues.replies.messages) == 2

    @pytest.mark.parametrize("is_concluded", [False, True])
    def test_a_message_that_comes_again_once_its_letter_is_taken_reminds_nobody(self, world: World, is_concluded: bool):
        """U3: and gives nothing back."""
        notice = asked(world)
        claim(world, notice)
        if is_concluded:
            fallbacks.conclude(world.tables.unknown_senders, notice, State.TOLD, token="ours")

        assert ask(world) == AlreadyNotified()
        assert len(world.queues.replies.messages) == 1
        assert state(world) == ("told" if is_concluded else "claimed")

    def test_a_message_that_comes_again_days_later_is_not_told_again(self, world: World):
        """U2: providers of e-mail try for days."""
        notice = asked(world)
        claim(world, notice)
        fallbacks.conclude(world.tables.unknown_senders, notice, State.TOLD, token="ours")
        world.clock.advance(2 * DAY)

        assert ask(world) == AlreadyNotified()

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.MISCONFIGURED])
    def test_a_row_of_which_nobody_is_reminded_is_dropped(self, world: World, fault: Fault):
        """U4: the sender's next message is told."""
        world.plan.faults = {SEND_CALL: fault}

        with pytest.raises(EngineError):
            ask(world)

        assert ask(world, "SM2") == MayNotify()

    def test_a_row_of_which_somebody_may_be_reminded_stays(self, world: World):
        """U4: the reminder may be on its way."""
        world.plan.faults = {SEND_CALL: Fault.LOST_ANSWER}

        with pytest.raises(TryAgain):
            ask(world)

        assert state(world) == "pending"

    def test_where_dropping_fails_too_the_first_fault_is_told(self, world: World):
        """U4: the row expires."""
        world.plan.faults = {SEND_CALL: Fault.MISCONFIGURED, DROP_CALL: Fault.THROTTLED}

        with pytest.raises(Misconfigured):
            ask(world)

        assert state(world) == "pending"

    def test_a_row_that_may_be_there_is_reminded_of(self, world: World):
        """U2: a spare reminder is harmless, a missing one costs the sender the text."""
        world.plan.faults = {PUT_CALL: Fault.LOST_ANSWER}

        assert ask(world) == MayNotify()
        assert len(world.queues.replies.messages) == 1

    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.MISCONFIGURED])
    def test_a_row_that_is_certainly_not_there_is_not(self, world: World, fault: Fault):
        """Nothing is sent for it."""
        world.plan.faults = {PUT_CALL: fault}

        with pytest.raises(EngineError):
            ask(world)

        assert world.queues.replies.messages == []


class TestCap:
    """U6: an address sends no more than its cap within an hour of the clock, whoever writes and whatever fails."""

    OTHERS = tuple(replace(PAIR, sender=f"stranger-{number}@customer.example") for number in range(5))

    def test_an_address_sends_so_many_texts_within_an_hour(self, world: World):
        """U6: and again in the next hour, also to a sender that the cap refused."""
        outcomes = [note(world, f"SM{number}", pair) for number, pair in enumerate(self.OTHERS)]
        world.clock.advance(3_600)
        outcomes.append(note(world, "SM9", self.OTHERS[-1]))

        assert outcomes == [MayNotify()] * MESSAGES_MAX + [Capped()] * 2 + [MayNotify()]

    def test_each_address_has_a_count_of_its_own(self, world: World):
        """U6: a flood at one address silences no other."""
        for number, pair in enumerate(self.OTHERS):
            note(world, f"SM{number}", pair)

        assert note(world, "SM9", replace(PAIR, company_address="sales@acme.example")) == MayNotify()

    def test_what_one_sender_goes_on_writing_counts_once(self, world: World):
        """U1 and U6: nothing is sent for it."""
        for number in range(10):
            note(world, f"SM{number}")

        assert note(world, "SM10", self.OTHERS[0]) == MayNotify()

    def test_beyond_the_cap_nothing_is_requested(self, world: World):
        """U6: neither a row nor a message of the queue is left."""
        for number, pair in enumerate(self.OTHERS[:MESSAGES_MAX]):
            note(world, f"SM{number}", pair)

        assert ask(world, "SM9") == Capped()
        assert PAIR.sender not in [row["sender"] for row in world.stranger_rows]
        assert world.queues.replies.messages == []

    def test_a_message_that_comes_again_takes_no_row_away(self, world: World):
        """U1 and U6: its sender was told, and is not told again in the next hour."""
        note(world)
        for number, pair in enumerate(self.OTHERS):
            note(world, f"SM{number}x", pair)

        assert note(world) == Capped()
        world.clock.advance(3_600)
        assert note(world, "SM2") == AlreadyNotified()

    @pytest.mark.parametrize("tell", [note, ask])
    @pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.MISCONFIGURED])
    def test_what_is_not_counted_for_certain_is_not_sent(self, world: World, tell, fault: Fault):
        """U6: and the sender's next message is told."""
        world.plan.faults = {COUNT_CALL: fault}

        with pytest.raises(EngineError):
            tell(world)

        assert world.queues.replies.messages == []
        assert tell(world, "SM2") == MayNotify()

    @pytest.mark.parametrize("tell", [note, ask])
    def test_where_a_refused_row_cannot_be_dropped_nothing_is_sent_either(self, world: World, tell):
        """U6: the row expires."""
        for number, pair in enumerate(self.OTHERS[:MESSAGES_MAX]):
            note(world, f"SM{number}", pair)
        world.plan.faults = {len(world.plan.calls) + 3: Fault.THROTTLED}

        assert tell(world, "SM9") == Capped()
        assert world.queues.replies.messages == []

    def test_the_count_expires(self, world: World):
        """DynamoDB removes it once the hour is over."""
        note(world)

        (count,) = [row for row in world.tables.unknown_senders.rows if row["sender"].startswith("#")]
        assert (count["sent_count"], count["sender"]) == (1, f"#{START:%Y-%m-%dT%H}")
        assert START.timestamp() + 3_600 <= count["expires_at"] <= START.timestamp() + 7_200


class TestSending:
    def test_one_process_claims(self, world: World):
        """U3: whoever comes second sends nothing."""
        notice = asked(world)

        assert [claim(world, notice, "ours"), claim(world, notice, "another's")] == [True, False]

    def test_a_claim_whose_answer_was_lost_is_ours(self, world: World):
        """U3: the row that refuses bears our own token."""
        notice = asked(world)
        world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

        assert claim(world, notice)

    def test_a_claim_of_which_nobody_knows_is_given_back(self, world: World):
        """U3: nothing was sent under it, so the reminder's next coming may claim."""
        notice = asked(world)
        world.plan.faults = {len(world.plan.calls) + 1: Fault.LOST_ANSWER}

        with pytest.raises(TryAgain):
            claim(world, notice)

        assert claim(world, notice, "a later one's")

    def test_where_giving_back_fails_too_nothing_is_sent_any_more(self, world: World):
        """U3: at most once."""
        notice = asked(world)
        calls = len(world.plan.calls)
        world.plan.faults = {calls + 1: Fault.LOST_ANSWER, calls + 2: Fault.THROTTLED}

        with pytest.raises(TryAgain):
            claim(world, notice)

        assert not claim(world, notice, "a later one's")

    def test_only_the_claim_s_own_process_gives_it_back_or_ends_it(self, world: World):
        """U3: one that wakes late changes nothing."""
        notice = asked(world)
        claim(world, notice, "ours")

        fallbacks.give_back(world.tables.unknown_senders, notice, token="another's")
        fallbacks.conclude(world.tables.unknown_senders, notice, State.TOLD, token="another's")

        assert state(world) == "claimed"

    def test_what_was_given_back_may_be_claimed(self, world: World):
        """U3: certainly nothing was sent."""
        notice = asked(world)
        claim(world, notice, "ours")

        fallbacks.give_back(world.tables.unknown_senders, notice, token="ours")

        assert claim(world, notice, "another's")

    @pytest.mark.parametrize("end", [State.TOLD, State.REFUSED, State.UNKNOWN])
    def test_a_row_that_is_concluded_keeps_no_letter(self, world: World, end: State):
        """What is left says who was told and when, and is not claimed again."""
        notice = asked(world)
        claim(world, notice)

        fallbacks.conclude(world.tables.unknown_senders, notice, end, token="ours")

        (row,) = world.stranger_rows
        assert row.keys() == {"company_address", "sender", "message_sid", "notice_state", "noted_at", "expires_at"}
        assert row["notice_state"] == end
        assert not claim(world, notice, "another's")

    def test_an_expired_row_is_not_sent_from(self, world: World):
        """A reminder that an operator puts back days later tells nobody anything."""
        notice = asked(world)
        world.clock.advance(DAY)

        assert find_due(world) is None
        assert not claim(world, notice)

    def test_the_row_of_a_later_message_is_left_to_its_own_reminder(self, world: World):
        """U3: what was read of the earlier one is not sent under the later one's claim."""
        notice = asked(world)
        world.clock.advance(DAY)
        ask(world, "SM2")

        fallbacks.drop(world.tables.unknown_senders, REMINDER)

        assert find_due(world) is None
        assert not claim(world, notice)
        assert find_due(world, FallbackRequest(PAIR, "SM2")) is not None

    def test_a_row_that_was_answered_is_nothing_to_send(self, world: World):
        """U5: nobody can have it sent by a message to the queue."""
        note(world)

        assert find_due(world) is None

    def test_only_a_row_that_waits_is_dropped(self, world: World):
        """U4: from a claimed one something may have been sent."""
        notice = asked(world)
        claim(world, notice)

        fallbacks.drop(world.tables.unknown_senders, REMINDER)

        assert state(world) == "claimed"

    def test_the_text_s_id_is_stable_and_tells_nothing(self, world: World):
        """The same for each try; another for the next day's."""
        notice = asked(world)
        world.clock.advance(DAY)
        ask(world, "SM2")

        later = find_due(world, FallbackRequest(PAIR, "SM2"))

        assert later is not None
        assert notice.send_id == replace(notice, fallback=replace(LETTER, text="other")).send_id != later.send_id
        assert len(notice.send_id) == 40


class TestReminder:
    @pytest.mark.parametrize("source", [{}, {"source": "ai"}, {"source": "human"}, {"source": ["engine"]}])
    def test_what_is_not_ours_is_left_to_the_parser_of_replies(self, source: dict):
        """By its source alone."""
        assert FallbackRequest.from_body(json.dumps({**json.loads(REMINDER.body), "source": None, **source})) is None

    @pytest.mark.parametrize(
        ("change", "detail"),
        [
            ({"company_address": ""}, "company_address"),
            ({"sender": None}, "sender"),
            ({"message_sid": 7}, "message_sid"),
            ({"RetryAttempt": -1}, "RetryAttempt"),
            ({"RetryAttempt": True}, "RetryAttempt"),
            ({"RetryAttempt": "1"}, "RetryAttempt"),
        ],
    )
    def test_a_malformed_one_is_refused_by_what_it_lacks(self, change: dict, detail: str):
        """And not by what it says."""
        with pytest.raises(Rejected, match=detail) as refusal:
            FallbackRequest.from_body(json.dumps({**json.loads(REMINDER.body), **change}))

        assert refusal.value.code is Code.PARSING_ERROR
        assert "example" not in str(refusal.value)

    @pytest.mark.parametrize("body", ["", "{", "[]", "7", "[" * 100_000])
    def test_what_is_no_object_is_refused(self, body: str):
        """As a reply would be."""
        with pytest.raises(Rejected, match=r"a reply is (a )?JSON"):
            FallbackRequest.from_body(body)

    def test_one_that_comes_again_names_the_same_row(self):
        """And counts."""
        again = FallbackRequest.from_body(REMINDER.again().again().body)

        assert again == replace(REMINDER, attempt=2)
