"""What an e-mail is, whoever delivered it."""
