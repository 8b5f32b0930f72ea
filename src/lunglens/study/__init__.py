"""Many films: sources, criteria, folds, the study folder and its report. No torch."""
