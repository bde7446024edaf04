"""Stubs of Twilio, SendGrid and the AI."""
