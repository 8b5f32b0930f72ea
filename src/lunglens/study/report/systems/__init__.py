"""The page over the runs of a sweep."""
