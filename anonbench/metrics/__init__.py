"""Pure functions on arrays that turn scores into metrics; they know no file, net or protocol."""
