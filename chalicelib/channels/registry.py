"""The channels of a deployment: one row of data each."""

from __future__ import annotations

from chalicelib.channels.channel import Channel, Index, NumberKind, Vendor
from chalicelib.messages.inbound import AddressKind, OptOut
from chalicelib.messages.lengths import Counting
from chalicelib.messages.parts import MEDIA_MAX, PartLimits
from chalicelib.settings import Settings

_TWILIO_LENGTH_MAX = 1_600
_EMAIL_LENGTH_MAX = 49_152
"""As long as a reply may be: an e-mail is one part."""

_HELP = frozenset({"HELP", "INFO"})
_TOLL_FREE_KEYWORDS = {
    OptOut.STOP: frozenset({"STOP"}),
    OptOut.START: frozenset({"START", "UNSTOP"}),
    OptOut.HELP: _HELP,
}
"""The network's own, which nobody can change (support.twilio.com, the article on toll-free opt-out keywords)."""
_SHORT_CODE_KEYWORDS = {
    OptOut.STOP: frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"}),
    OptOut.START: frozenset({"START", "YES", "UNSTOP"}),
    OptOut.HELP: _HELP,
}
"""Twilio does not act on these itself: the owner of a short code has to (twilio.com/docs/api/errors/23002)."""


def channels(settings: Settings) -> tuple[Channel, ...]:
    """Every channel of a deployment."""
    return (*_twilio(settings), *_sendgrid(settings))


def _twilio(settings: Settings) -> tuple[Channel, ...]:
    """The channels that Twilio carries. A further one (RCS, Messenger) is one more row."""
    return (
        Channel(
            name="whatsapp",
            address_prefix="whatsapp:",
            address_kind=AddressKind.PHONE,
            index=Index(
                settings.whatsapp_index, settings.whatsapp_index_company_key, settings.whatsapp_index_customer_key
            ),
            queue_name=settings.whatsapp_queue,
            vendor=Vendor.TWILIO,
            part_limits=PartLimits(_TWILIO_LENGTH_MAX, media_max=1),
            free_text_hours=settings.whatsapp_free_text_hours,
            shows_typing=True,
        ),
        Channel(
            name="sms",
            address_prefix="",
            address_kind=AddressKind.PHONE,
            index=Index(settings.sms_index, settings.sms_index_company_key, settings.sms_index_customer_key),
            queue_name=settings.sms_queue,
            vendor=Vendor.TWILIO,
            part_limits=PartLimits(_TWILIO_LENGTH_MAX, Counting.SMS, media_max=MEDIA_MAX, is_numbered=True),
            notifies_numbers_only=True,
            opt_out_keywords={
                NumberKind.LONG_CODE: {
                    OptOut.STOP: frozenset(settings.sms_stop_keywords),
                    OptOut.START: frozenset(settings.sms_start_keywords),
                    OptOut.HELP: frozenset(settings.sms_help_keywords),
                },
                NumberKind.TOLL_FREE: _TOLL_FREE_KEYWORDS,
                NumberKind.SHORT_CODE: _SHORT_CODE_KEYWORDS,
            },
        ),
    )


def _sendgrid(settings: Settings) -> tuple[Channel, ...]:
    """The channel that SendGrid carries."""
    return (
        Channel(
            name="email",
            address_prefix="",
            address_kind=AddressKind.EMAIL,
            index=Index(settings.email_index, settings.email_index_company_key, settings.email_index_customer_key),
            queue_name=settings.email_queue,
            vendor=Vendor.SENDGRID,
            part_limits=PartLimits(_EMAIL_LENGTH_MAX),
        ),
    )
