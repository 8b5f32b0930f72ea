"""Predictions -> measures with intervals."""
