"""Provenance: which parts of a message are verified, and which are the sender's own words; pure.

An AI reads a context as text. So the context marks the reliable parts of each message, and names every field that the
sender could fill with instructions. A field counts as the sender's unless it is known to come from the provider or from
us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.messages.attachments import WHOLE_TEXT
from chalicelib.messages.extras import AUTHENTICATION
from chalicelib.messages.inbound import Address, AddressKind

_VERIFIED_EXTRAS: Final = frozenset(
    {
        # Of e-mail: what SendGrid found out, and what we counted. Not `dkim`: the signer chooses the domains in it.
        AUTHENTICATION,
        "spf",
        "spam_score",
        "attachments_count",
        "notes",
        WHOLE_TEXT,
        # Of Twilio: what it knows of the number and of the message.
        "api_version",
        "from_city",
        "from_country",
        "from_state",
        "from_zip",
        "messaging_service_sid",
        "num_media",
        "num_segments",
        "opt_out_type",
        "sms_message_sid",
        "sms_sid",
        "sms_status",
        "to_city",
        "to_country",
        "to_state",
        "to_zip",
        "wa_id",
        "extras_cut",
    }
)


def provenance_of(sender: str, extras: Mapping[str, Any], *, has_media: bool) -> dict[str, Any]:
    """What a context says of one message's parts.

    Args:
        sender: the address that it came from.
        extras: of the message.
        has_media: whether something came with it.
    """
    is_email = Address.from_text(sender).kind is AddressKind.EMAIL
    is_verified = not is_email or extras.get(AUTHENTICATION) == "pass"
    verified = {name: value for name, value in extras.items() if name in _VERIFIED_EXTRAS}
    written = ["body", *([] if is_verified else ["from"])]
    written += ["media.filename", "media.content_type"] if has_media else []
    written += sorted(f"extras.{name}" for name in extras if name not in _VERIFIED_EXTRAS)
    return {"is_sender_verified": is_verified, "verified": verified, "written_by_sender": written}
