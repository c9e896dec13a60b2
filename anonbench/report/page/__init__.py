"""One page about all results of a folder: self-contained HTML for a colleague or a reviewer.

`view` says what is on it, the other modules fill that in from results and cards, `render` writes
it through the templates. The page loads nothing from anywhere and can be read without scripts.
"""
