"""Training: aligned crops, shared losses, the loop, checkpoints."""
