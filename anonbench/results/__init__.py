"""What a run leaves behind: the result record, its store, and the papers' published values."""
