"""What must hold of every request, whatever came: each rule is one function that fails by an assertion."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

from chalice.app import Response

from chalicelib.channels.channel import AnswerStyle
from chalicelib.errors import Code
from chalicelib.inbound import responses
from tests.fuzz.forms import Post
from tests.world import KEY, World

TRANSIENT = {Code.DB_TRANSIENT_ERROR, Code.SECRET_FETCH_TRANSIENT_ERROR, Code.STAGE_WRITE_ERROR, Code.RECIPIENTS_LEFT}

TAKEN = {"success", Code.TRIGGER_LOCK_WRITE_ERROR, Code.QUEUE_ERROR}
"""The outcomes that tell the provider, and promise the customer, that the message is kept."""


def nothing_surprised_us(world: World) -> None:
    """The outermost handler caught no bug: every fault has a name of its own."""
    told = [line for line in world.telemetry.lines if line.get("code") == Code.INTERNAL_ERROR]
    assert not told, f"{told[0]['reason']}"


def no_retry_is_asked_for(world: World, response: Response | None = None) -> None:
    """Nothing is wrong with this world, so whatever is wrong, a retry does not mend it."""
    assert response is None or response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    told = [line for line in world.telemetry.lines if line.get("code") in TRANSIENT]
    assert not told, f"{told[0]['code']}: {told[0]['reason']}"


UNKNOWN_SENDER = (Code.CONVERSATION_NOT_FOUND, Code.SENDER_WITHOUT_NUMBER)


def the_answer_is_of_the_table(world: World, response: Response) -> None:
    """Status, type and body are those of the outcome that was told, with the notice or without."""
    (outcome,) = [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"][-1:]
    code = None if outcome == "success" else Code(outcome)
    notices = {
        "",
        world.settings.unknown_sender_text if code in UNKNOWN_SENDER else world.settings.locked_notice,
    }
    answers = [responses.answer(AnswerStyle.TWIML, code, notice=notice) for notice in notices]
    given = (response.status_code, response.headers, response.body)
    assert given in [(one.status, {"Content-Type": one.content_type}, one.body) for one in answers]


def nothing_is_written_without_proof(world: World, post: Post) -> None:
    """No row and no message, unless the tenant that is addressed signed it with its own account."""
    written = [call for call in world.plan.calls if call.kind != "read"]
    assert post.is_proven or not written, f"{written[0].operation} {written[0].resource} for a {post.signing.kind}"


def nothing_personal_is_told(world: World, personal: Iterable[str]) -> None:
    """Neither a text nor an address stands in a line or in a metric."""
    told = json.dumps([world.telemetry.lines, world.telemetry.counts], ensure_ascii=False)
    leaked = [one for one in personal if json.dumps(one, ensure_ascii=False)[1:-1] in told]
    assert not leaked


def kept_ids(world: World) -> set[str]:
    """The sids of all messages that are staged, with people, with the AI, or in a record or its history."""
    records = [row["messages"] for row in world.tables.conversations.rows if isinstance(row.get("messages"), list)]
    entries = [one for entries in records for one in entries if isinstance(one, dict)]
    sent = [json.loads(one.body) for queue in (world.queues.handoff, world.queues.ai) for one in queue.messages]
    return {
        *world.staged_ids,
        *(one["message_id"] for one in entries if isinstance(one.get("message_id"), str)),
        *(row["message_id"] for row in world.tables.history.rows),
        *(one["message_id"] for document in sent for one in document["messages"]),
    }


def what_is_taken_is_kept(world: World, post: Post) -> str:
    """A message that was acknowledged as taken is somewhere; an opt-out is marked, or staged. Returns the outcome."""
    outcome = [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"][-1]
    if outcome in TAKEN:
        assert post.sid in kept_ids(world), "acknowledged and dropped"
    if outcome == Code.OPTED_OUT:
        row = world.tables.conversations.row(KEY.item)
        channel = world.telemetry.lines[-1]["channel"]
        is_marked = row is None or row.get("opted_out") is True or channel in (row.get("opted_out_channels") or ())
        assert is_marked or post.sid in kept_ids(world), "told as opted out, neither marked nor kept"
    return outcome
