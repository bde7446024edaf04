"""The checks of the e-mails after the demo."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from local.demo.email_scenario import DOG, NEW_OF_GINA, SUBJECT
from local.demo.outcome import Check, Outcome, sids_of
from local.stubs.ai import reply_to
from local.tenants import MAIL, SUNRISE


def answers(outcome: Outcome) -> Iterator[Check]:
    """How the e-mails of Gina, her machine and a forger were answered to SendGrid."""
    told = {name: sent.told for name, sent in outcome.mails_sent.items()}
    yield Check(
        "Gina's e-mails are answered 200, the repeated one too; the machine's by its name, the forged one 403",
        {
            **dict.fromkeys(("gina-first", "gina-first-again", "gina-second"), (HTTPStatus.OK, None)),
            "gina-away": (HTTPStatus.OK, "AUTOMATIC_MESSAGE"),
            "gina-forged": (HTTPStatus.FORBIDDEN, "INVALID_SIGNATURE"),
        },
        told,
    )
    yield Check(
        "the forged one and the machine's, and no other, were refused by name",
        ["AUTOMATIC_MESSAGE", "INVALID_SIGNATURE"],
        sorted(fields["code"] for fields in outcome.steps["refused"] if fields.get("channel") == MAIL),
    )


def batch(outcome: Outcome) -> Iterator[Check]:
    """What of them the AI got."""
    batches = outcome.batches_of(SUNRISE, "gina")
    yield Check(
        "they are one batch in their order, with the repeated one once, and without the other two",
        [[outcome.sid("gina-first"), outcome.sid("gina-second")]],
        [sids_of(batch) for batch in batches],
    )
    messages = batches[0]["messages"] if batches else []
    yield Check(
        "of the second e-mail the batch has only the new text, without the quotation",
        [outcome.mails_sent["gina-first"].mail.body, NEW_OF_GINA],
        [one["body"] for one in messages],
    )
    media = [medium for one in messages for medium in one["media"]]
    yield Check(
        "its photo is in the bucket, byte for byte",
        [(DOG.filename, DOG.content_type, DOG.content)],
        [(one["filename"], one["content_type"], outcome.kept.get(one["url"])) for one in media],
    )


def mailbox(outcome: Outcome) -> Iterator[Check]:
    """What Gina's mailbox holds: one reply, in the thread of her second e-mail."""
    gina, first, second = SUNRISE.customer("gina"), outcome.sid("gina-first"), outcome.sid("gina-second")
    yield Check(
        "the mailboxes hold one e-mail: the reply to Gina, from the address that she wrote to",
        [
            (gina.address, SUNRISE.addresses[MAIL], f"Re: {SUBJECT}", reply_to(batch)["body"])
            for batch in outcome.batches_of(SUNRISE, "gina")
        ],
        [(one["to"], one["sender"], one["subject"], one["text"]) for one in outcome.mails],
    )
    send_ids = [row["send_id"] for row in outcome.sends.values() if row["channel"] == MAIL]
    yield Check(
        "it is threaded below her second e-mail, marked as automatic, and has an id of ours",
        [
            {
                "Message-ID": f"<{send_id}@sunrise.example>",
                "In-Reply-To": second,
                "References": f"{first} {second}",
                "Auto-Submitted": "auto-replied",
            }
            for send_id in send_ids
        ],
        [one["headers"] for one in outcome.mails],
    )
    yield Check(
        "SendGrid's 429 to it was heeded, and the reply came again",
        [("429", 2)],
        [
            (one["reason"], one["seconds"])
            for one in outcome.told("requeued", SUNRISE, "gina")
            if one["reason"] == "429"
        ],
    )
