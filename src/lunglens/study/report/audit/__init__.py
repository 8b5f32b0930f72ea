"""The page of a shortcut audit."""
