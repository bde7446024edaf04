"""Twilio: webhooks, sending, media."""
