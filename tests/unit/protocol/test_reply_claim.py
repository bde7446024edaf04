"""The claims of stage 3: a reply's (R1 to R4) and a part's (P1 to P3)."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from chalicelib.clock import iso
from chalicelib.ports.tables import Attr
from chalicelib.protocol import conversation_lock, reply_claim, send_rows, sends
from chalicelib.protocol.claim_changes import Claim, Released
from chalicelib.protocol.lock_changes import Changed, Lost
from chalicelib.protocol.record import ClaimEnd, Record
from chalicelib.protocol.reply_claim import KEPT_START_SECONDS
from chalicelib.protocol.send_rows import Part, State
from tests.fakes.clock import START
from tests.fakes.faults import Fault
from tests.world import KEY, World

ROUTED = Attr("auto_queue_reply_message").stays(None)
"""The company has not switched the conversation to people."""


@pytest.fixture
def world(world: World) -> World:
    """A batch is with the AI."""
    world.burst_with_ai()
    return world


def record(world: World) -> Record:
    return Record.from_item(world.row)


def claim(world: World, seen: Record, *, token: str = "token", reply_id: str = "r-1") -> Claim | Changed:
    table, now = world.tables.conversations, world.clock.now()
    return reply_claim.claim(
        table,
        seen,
        reply_id=reply_id,
        end=ClaimEnd.RELEASE,
        routing_stands=ROUTED,
        token=token,
        shards=2,
        now=now,
    )


def release(world: World, *, batch_id: str | None = None, reply_id: str = "r-1") -> Released | Lost:
    return reply_claim.release(
        world.tables.conversations,
        KEY,
        batch_id=batch_id or world.row["last_batch_id"],
        reply_id=reply_id,
        entries=[{"message_id": "SM-reply", "direction": "OUTBOUND"}],
        error_code=None,
        stall_resets=0,
        now=world.clock.now(),
    )


class TestReplyClaim:
    def test_of_two_replies_that_read_the_same_record_one_claims(self, world: World):
        """R1: the other finds it changed."""
        seen = record(world)

        outcomes = claim(world, seen, token="a", reply_id="r-1"), claim(world, seen, token="b", reply_id="r-2")

        assert isinstance(outcomes[0], Claim)
        assert isinstance(outcomes[1], Changed)
        assert world.row["reply_claim"] == "r-1"

    def test_our_own_claim_whose_answer_was_lost_is_ours(self, world: World):
        """R1: the refusal shows our own token."""
        world.plan.faults = {len(world.plan.calls) + 1: Fault.REFUSED_BY_OWN_WRITE}

        assert isinstance(claim(world, record(world)), Claim)

    def test_a_claim_is_taken_over_from_exactly_the_age_that_was_seen(self, world: World):
        """R2: of two that find it old, one goes on."""
        claim(world, record(world))
        world.clock.advance(100)
        seen, now = record(world), world.clock.now()

        first, second = (
            reply_claim.take_over(world.tables.conversations, seen, routing_stands=ROUTED, token=token, now=now)
            for token in ("a", "b")
        )

        assert isinstance(first, Claim)
        assert isinstance(second, Changed)

    def test_a_claim_of_a_young_lock_writes_no_index(self, world: World):
        """R7: the lock keeps its start, and so its entry in the sweep's index."""
        seen, before = record(world), world.tables.conversations.consumed.index_write_units
        world.clock.advance(KEPT_START_SECONDS - 1)

        claim(world, seen)

        assert world.tables.conversations.consumed.index_write_units == before
        assert record(world).started_at == seen.started_at

    @pytest.mark.parametrize("started_at", [None, "another system's", iso(START - timedelta(hours=1))])
    def test_a_claim_of_any_other_lock_sets_its_start(self, world: World, started_at: str | None):
        """R7: a version that counts from the start alone gives up no reply whose process is alive."""
        world.clock.advance(20)
        row = {**world.row, "processing_started_at": started_at}
        world.tables.conversations.seed({name: value for name, value in row.items() if value is not None})

        claim(world, record(world))

        assert record(world).started_at == iso(world.clock.now())

    def test_only_our_own_claim_is_given_back(self, world: World):
        """R2: another process may have taken it over."""
        claim(world, record(world), token="a")
        batch_id = world.row["last_batch_id"]

        reply_claim.unclaim(world.tables.conversations, KEY, batch_id=batch_id, token="b", now=START)

        assert world.row["reply_claim"] == "r-1"

    @pytest.mark.parametrize("changes", [{"reply_id": "r-2"}, {"batch_id": "another"}])
    def test_an_end_that_names_another_reply_or_batch_is_refused(self, world: World, changes: dict[str, str]):
        """R3: it neither opens nor empties anything."""
        claim(world, record(world))
        before = world.row

        outcome = release(world, **changes)

        assert (outcome, world.row) == (Lost(), before)

    def test_an_ended_reply_is_remembered(self, world: World):
        """R4: so that one that comes again is known."""
        claim(world, record(world))

        outcome = release(world)

        assert outcome == Released()
        assert record(world).last_reply_id == "r-1"
        assert release(world) == Released()

    def test_the_next_lock_takes_off_what_the_reply_left(self, world: World):
        """R1: a claim belongs to one batch."""
        claim(world, record(world))
        release(world)

        conversation_lock.acquire(
            world.tables.conversations,
            record(world),
            batch_id="b-2",
            trigger_id="t-2",
            entries=[],
            for_people=False,
            shards=2,
            now=world.clock.now(),
        )

        assert not {"reply_claim", "reply_claimed_at", "reply_claim_token"} & world.row.keys()


class TestPartClaim:
    @pytest.fixture
    def part(self) -> Part:
        return Part(
            send_id=send_rows.send_id(KEY, "r-1", "b-1", 1),
            conversation=KEY,
            tenant="acme",
            channel="whatsapp",
            credential_ref="ref",
            reply_id="r-1",
            batch_id="b-1",
            number=1,
            count=1,
            entry={"direction": "OUTBOUND", "content": "an answer"},
        )

    def claimed(self, world: World, part: Part, token: str) -> Part:
        return sends.claim(world.tables.sends, part, token=token, now=START, ttl_hours=720)

    def test_a_part_is_claimed_by_one_process(self, world: World, part: Part):
        """P1: the other sees whose it is."""
        tokens = [self.claimed(world, part, token).token for token in ("a", "b")]

        assert tokens == ["a", "a"]
        assert len(world.tables.sends.rows) == 1

    def test_a_part_s_id_is_always_the_same_and_tells_nothing(self, part: Part):
        """P1: it stands in a URL."""
        again, other = send_rows.send_id(KEY, "r-1", "b-1", 1), send_rows.send_id(KEY, "r-1", "b-1", 2)

        assert part.send_id == again != other
        assert KEY.primary_channel[1:] not in again

    def test_only_our_own_open_part_is_given_back(self, world: World, part: Part):
        """P1: another's, or one that was sent, stays."""
        part = self.claimed(world, part, "a")

        sends.give_back(world.tables.sends, part, token="b")
        sends.conclude(world.tables.sends, part, State.SENT, sid="SM9")
        sends.give_back(world.tables.sends, part, token="a")

        assert len(world.tables.sends.rows) == 1

    @pytest.mark.parametrize("known", [State.SENT, State.REFUSED])
    def test_what_is_known_is_not_unlearned(self, world: World, part: Part, known: State):
        """P2: a concluded part stands."""
        part = self.claimed(world, part, "a")
        sends.conclude(world.tables.sends, part, known)

        sends.conclude(world.tables.sends, part, State.UNKNOWN)

        found = sends.find(world.tables.sends, part.send_id)
        assert found is not None
        assert found.state is known

    def test_a_part_in_doubt_can_be_proven_sent(self, world: World, part: Part):
        """P2: unknown is not known."""
        part = self.claimed(world, part, "a")
        sends.conclude(world.tables.sends, part, State.UNKNOWN)

        sends.conclude(world.tables.sends, part, State.SENT, sid="SM9")

        found = sends.find(world.tables.sends, part.send_id)
        assert found is not None
        assert (found.state, found.provider_sid) == (State.SENT, "SM9")

    def missed(self, world: World, part: Part, times: int = sends.MISSES_NEEDED) -> Part:
        """The part after a 5xx and so many reads of a list that lacks it."""
        part = self.claimed(world, part, "a")
        sends.conclude(world.tables.sends, part, State.UNKNOWN, is_server_error=True)
        for _ in range(times):
            sends.miss(world.tables.sends, self.found(world, part), now=START)
        return self.found(world, part)

    def found(self, world: World, part: Part) -> Part:
        found = sends.find(world.tables.sends, part.send_id)
        assert found is not None
        return found

    def test_one_process_claims_a_part_for_its_second_send(self, world: World, part: Part):
        """P4: both read the same row."""
        part = self.missed(world, part)

        tokens = [sends.claim_again(world.tables.sends, part, token=one, now=START).token for one in ("b", "c")]

        assert tokens == ["b", "b"]
        assert not self.found(world, part).may_be_sent_again

    def test_a_report_beside_the_second_claim_wins(self, world: World, part: Part):
        """P4: the send is proven, so there is no second one."""
        part = self.missed(world, part)
        sends.report(world.tables.sends, part, sid="SM9", status="sent", error_code=None)

        found = sends.claim_again(world.tables.sends, part, token="b", now=START)

        assert (found.state, found.token) == (State.SENT, "a")

    def test_two_reads_at_once_count_as_one(self, world: World, part: Part):
        """P4: neither saw the list later than the other."""
        part = self.missed(world, part, times=0)

        for _ in range(2):
            sends.miss(world.tables.sends, part, now=START)

        assert self.found(world, part).misses == 1

    def test_a_second_claim_that_sent_nothing_leaves_the_first_send_in_doubt(self, world: World, part: Part):
        """P4: neither a give-back nor a fresh claim forgets the first send."""
        part = self.missed(world, part)
        again = sends.claim_again(world.tables.sends, part, token="b", now=START + timedelta(seconds=200))

        fresh = sends.claim(world.tables.sends, part, token="c", now=START, ttl_hours=720, unsent=["b"])
        sends.give_back(world.tables.sends, again, token="b")

        found = self.found(world, part)
        assert fresh.token == "b"
        assert (found.state, found.claimed_at, found.may_be_sent_again) == (State.UNKNOWN, part.claimed_at, True)

    def test_another_process_does_not_conclude_the_second_send(self, world: World, part: Part):
        """P4: it read the row before that was claimed."""
        part = self.missed(world, part)
        again = sends.claim_again(world.tables.sends, part, token="b", now=START)

        sends.conclude(world.tables.sends, part, State.REFUSED, error_code="UNKNOWN_OUTCOME")
        sends.conclude(world.tables.sends, again, State.SENT, sid="SM9")

        assert self.found(world, part).provider_sid == "SM9"

    def test_a_part_whose_row_is_gone_is_not_claimed_again(self, world: World, part: Part):
        """P4: it was erased, or is past its time to live."""
        part = self.missed(world, part)
        world.tables.sends.delete({send_rows.SEND_ID: part.send_id}, when=None)

        found = sends.claim_again(world.tables.sends, part, token="b", now=START)

        assert found.token == "a"
        assert not world.tables.sends.rows

    def test_a_delivery_status_only_rises(self, world: World, part: Part):
        """P3: reports come twice and in any order."""
        self.claimed(world, part, "a")
        told = ["sent", "queued", "read", "delivered", "read", "failed", "read"]

        news = [sends.report(world.tables.sends, part, sid="SM9", status=status, error_code=None) for status in told]

        assert news == [True, False, True, False, False, True, False]

    @pytest.mark.parametrize("state", [State.CLAIMED, State.UNKNOWN, State.SENT])
    @pytest.mark.parametrize("last", ["delivered", "read", "undelivered", "sent"])
    def test_reports_in_any_order_end_in_one_row(self, world: World, part: Part, state: State, last: str):
        """P3: whichever of them proves the send, and whether each was read as the row stood or long before."""
        mine = self.claimed(world, part, "a")
        if state is not State.CLAIMED:
            sends.conclude(world.tables.sends, mine, state, sid="SM9" if state is State.SENT else None)
        (start,) = world.tables.sends.rows
        ended = []

        for order in permutations(("queued", "sent", "sent", last)):
            for is_read_late in (True, False):
                world.tables.sends.seed(start)
                found = self.found(world, part)
                for status in order:
                    as_read = self.found(world, part) if is_read_late else found
                    sends.report(world.tables.sends, as_read, sid="SM9", status=status, error_code=None)
                ended.append(world.tables.sends.rows)

        assert all(rows == ended[0] for rows in ended)
        (row,) = ended[0]
        assert (row["send_state"], row.get("delivery_status")) == ("sent", None if last == "sent" else last)

    def test_a_report_of_an_unknown_status_is_kept_until_a_known_one_comes(self, world: World, part: Part):
        """P3: it may say anything, so it is no proof alone, and lower than each that is known."""
        self.claimed(world, part, "a")

        for status in ("sent", "lost_at_sea", "sent"):
            sends.report(world.tables.sends, self.found(world, part), sid="SM9", status=status, error_code=None)
        first = self.found(world, part)
        sends.report(world.tables.sends, first, sid="SM9", status="delivered", error_code=None)

        assert (first.state, first.delivery) == (State.SENT, "lost_at_sea")
        assert self.found(world, part).delivery == "delivered"

    def test_an_old_part_is_told_by_its_age(self, world: World, part: Part):
        """R2: what was claimed longer ago than a process lives is in doubt."""
        mine = self.claimed(world, part, "a")

        assert mine.age(START + timedelta(seconds=61)) == timedelta(seconds=61)
