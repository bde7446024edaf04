"""What a sender without a conversation receives."""
