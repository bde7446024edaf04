"""The settings of what happens to a message: routing, notices, unknown senders, e-mail, attachments, the AI worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chalicelib.settings.parsing import FLAG, Assignments, OneOf, Within, addresses, names, setting, words


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class Messages:
    """What is kept of a message, who gets it, and what its sender is told."""

    context_attributes: tuple[str, ...] = setting(
        "the company's own attributes that contexts carry, separated by commas", names, ""
    )
    handoff_flag_routes: bool = setting(
        "whether the attribute `hand_off_to_human` routes a conversation to people", FLAG, "false"
    )
    on_new_message: Literal["queue", "restart", "reject"] = setting(
        "a message that arrives while the AI works: `queue` stages it for the next batch; `restart` gives the AI one "
        "larger batch in place of the one that it has; `reject` rejects it",
        words("queue", "restart", "reject"),
        "queue",
    )
    restarts_max: int = setting(
        "how often messages that are unanswered are given to the AI anew by `restart`; after that, as `queue`",
        Within(int, 0, 10),
        "2",
    )
    locked_notice: str = setting(
        "text that the customer receives when a message arrives while the AI works; empty: none",
        str,
        "Thank you! We are still answering your last message and will read this one next.",
    )

    unknown_sender_text: str = setting(
        "text that a sender without a conversation receives, unless the company has its own; empty: none",
        str,
        "Thank you for your message. It cannot be assigned to a conversation and is not read. "
        "Please contact us in another way.",
    )
    unknown_sender_hours: int = setting(
        "hours before the same unknown sender receives that text again", Within(int, 1, 8_760), "24"
    )
    unknown_sender_messages_per_hour: int = setting(
        "messages to unknown senders that one address of a company sends within a clock hour; 0: none",
        Within(int, 0, 10_000),
        "100",
    )
    unauthenticated_email: Mapping[str, str] = setting(
        "what happens to an e-mail whose sender is not authenticated. `failed`: SPF and DKIM do not "
        "confirm the sender; `none`: SendGrid sent no result. `handoff`: people get it; `keep`: it is "
        "routed like any other; `refuse`: it is refused. Pairs `name=word`, separated by commas",
        Assignments({"failed": "handoff", "none": "keep"}, words("handoff", "keep", "refuse")),
        "failed=handoff,none=keep",
    )
    list_addresses: tuple[str, ...] = setting(
        "the company's addresses that are mailing lists, such as a Google Group, separated by commas: an "
        "e-mail that one of them forwards counts as its author's",
        addresses,
        "",
    )
    automatic_answers_per_hour: int = setting(
        "AI answers that a conversation may have within an hour; beyond that, people get its next e-mail",
        Within(int, 0, 1_000),
        "20",
    )
    email_text_bytes_max: int = setting(
        "bytes of an e-mail's new text that its context carries; the bucket has the whole text",
        Within(int, 256, 8_192),
        "8192",
    )
    attachments_max: int = setting("attachments that are kept per message", Within(int, 0, 10), "10")
    attachment_bytes_max: int = setting(
        "largest attachment that is kept, in bytes", Within(int, 0, 16_777_216), "16777216"
    )
    attachment_types: tuple[str, ...] = setting(
        "content types that are kept, separated by commas; `*` never matches a type that browsers run "
        "(SVG, HTML, XML): name such a type in full",
        names,
        "image/*,audio/*,video/*,text/plain,text/csv,text/calendar,text/vcard,application/pdf,application/rtf,"
        "application/msword,application/vnd.openxmlformats-officedocument.*,application/vnd.oasis.opendocument.*,"
        "application/vnd.ms-excel,application/vnd.ms-powerpoint,application/vnd.ms-outlook,application/vnd.apple.*,"
        "application/zip,application/x-zip-compressed,application/ics,message/rfc822,application/pkcs7-mime,"
        "application/x-pkcs7-mime",
    )
    ai_worker: str = setting(
        "the AI worker that runs as a function of this stage; `off`: the company's own worker reads the AI queue",
        OneOf({"off": "", "echo": "echo", "bedrock": "bedrock"}),
        "off",
    )
    ai_worker_model: str = setting("for `AI_WORKER` bedrock: the id of the model or of its inference profile", str, "")
    ai_worker_instructions: str = setting(
        "for `AI_WORKER` bedrock: the model's instructions, with `{company}` and `{channel}`; empty: those of the kit",
        str,
        "",
    )
    media_copying: bool = setting(
        "whether media at the provider are copied to the bucket before dispatch", FLAG, "false"
    )
    media_copying_seconds: int = setting(
        "longest time that a batch waits for its media; less if its event holds many others", Within(int, 1, 20), "8"
    )
