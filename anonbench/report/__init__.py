"""From results to tables: one model of a table, one renderer per format."""
