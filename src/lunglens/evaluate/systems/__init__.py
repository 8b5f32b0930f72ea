"""The runs of a sweep as one table: what was printed of each system, and what ours do here and elsewhere."""
