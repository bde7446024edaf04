"""Twilio: webhooks, sending, media."""

from typing import Final

RETRIES: Final = "#rc=3&rp=all"
"""At the end of a webhook's URL: Twilio repeats a request that was not answered with success, up to three times."""
