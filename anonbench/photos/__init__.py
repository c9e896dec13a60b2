"""Anonymizing whole photos and recovering them: the work behind two commands.

A photo goes through `process`: every face is found, aligned, anonymized, and spliced back at full
resolution. What recovery needs to know (which method, where the crops lie, a salt) stands in a
text chunk of the PNG (`record`), the exact crops optionally in an encrypted `sidecar`, and the
keys come from the user's secret (`keys`). The README beside this file says what can be recovered
when, and what an attacker can do.
"""
