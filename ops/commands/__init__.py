"""What each command shows and asks at a terminal, one a file; lines that read as well in a file."""
