"""FIT: faces another person's by a 16-bit password, and back by the same password (Gu 2020)."""
