"""The pretrained models that measure: detectors, recognisers, and what else judges an image."""
