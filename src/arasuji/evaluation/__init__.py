"""Measuring: what a text costs a model."""
