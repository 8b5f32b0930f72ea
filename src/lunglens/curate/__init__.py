"""Manifests -> the study: selection criteria, duplicates, folds."""
