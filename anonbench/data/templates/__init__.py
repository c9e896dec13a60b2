"""Alignment templates; `anonbench.data.align.template` gives one by its name."""
