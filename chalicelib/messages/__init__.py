"""Frozen values: inbound messages, replies, attachments."""
