"""The engine: a plan becomes artefacts, artefacts become scores, scores become results."""
