"""Signed requests, as Twilio and SendGrid send them."""
