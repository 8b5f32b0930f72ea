"""The Brixia score from a film: who was scored, two ways to learn it, cross-validation, and the package that ships."""
