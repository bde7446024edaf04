"""SendGrid: Inbound Parse and sending."""
