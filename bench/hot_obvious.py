"""What the events of `bench.hot_events` take in the obvious build: the same messages, with its own calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from bench.growth import TEXT
from bench.obvious_cost import deployed, request
from bench.promises.contenders.obvious import Build
from bench.promises.customers import STAGE
from bench.tape import Meter, Tape
from chalicelib.ports.tables import Item
from tests.world import KEY

_TRIGGER = json.dumps(KEY.item)
_STAGE, _LOCKS = f"conversations-stage-{STAGE}", f"conversations-trigger-lock-{STAGE}"


def figures_of_the_obvious(
    row: Item, forms: list[dict[str, str]], unknown: Mapping[str, str], meter: Meter, rounds: int
) -> Iterator[tuple[str, float]]:
    """Every kind of event that the build has, in the order in which a conversation has them.

    Args:
        row: the conversation.
        forms: what Twilio posts, 32 messages.
        unknown: the addresses of a sender without a conversation.
        meter: what measures.
        rounds: how often.
    """
    tape = Tape()
    with deployed(row) as (build, rows):
        for client in (build.conversations.meta.client, build.sqs, build.secrets):
            tape.listen(client)

        def told(act: Callable[[], object]) -> float:
            return tape.costs(act, meter, rounds)[0]

        def post(form: Mapping[str, str], **options: str) -> Callable[[], object]:
            return partial(build.webhook, request(dict(form), **options))

        post(forms[0])()
        yield "forged", told(post(forms[1], token="0" * 32))  # a forger's
        yield "unknown sender", told(post({**forms[1], **unknown}))
        yield "next message", told(post(forms[1]))
        yield "duplicate", told(post(forms[1]))
        rows.delete_item(TableName=_LOCKS, Key={"conversation_id": {"S": KEY.conversation_id}})
        yield "first message", told(post(forms[2]))
        for first, count in ((3, 1), (4, 3), (7, 25)):
            _empty_stage(rows)
            for form in forms[first : first + count]:
                post(form)()
            yield f"batch of {count}", told(partial(build.process_batch, _event(_TRIGGER)))
            body = next(one["MessageBody"] for _, name, one in tape.calls if name == "SendMessage")
            if count == 1:
                yield "locked conversation", told(post(forms[31]))
            yield f"reply to {count}", told(partial(_reply, build, json.loads(body)))


def _reply(build: Build, context: Mapping[str, Any]) -> None:
    build.send_reply(_event(json.dumps({**context, "body": TEXT})))


def _event(body: str) -> dict[str, Any]:
    return {"Records": [{"body": body, "messageAttributes": {}}]}


def _empty_stage(rows: Any) -> None:
    for row in rows.scan(TableName=_STAGE)["Items"]:
        rows.delete_item(TableName=_STAGE, Key={name: row[name] for name in ("conversation_id", "message_sid")})
