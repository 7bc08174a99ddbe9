"""The mixture per document: weights that depend on what is known about each, and their fit to small proxy runs."""

from sansi.data.mixture.weights import DocumentWeights, load_weights, times_included

__all__ = ["DocumentWeights", "load_weights", "times_included"]
