"""The suite's own networks behind the parity runner: one module per model, each with `run`."""
