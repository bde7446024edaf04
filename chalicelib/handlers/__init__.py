"""What Lambda calls: webhooks, queues and schedules."""
