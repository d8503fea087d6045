"""What every room stands on: the record, lines of it, the command contract, and nothing of any room."""
