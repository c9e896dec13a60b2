"""The pretrained models that measure: detectors, recognisers, and what else judges an image."""

import os

# From 1.29 on, ONNX Runtime reports to its maker which models it opens, unless it is told not to
# before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
