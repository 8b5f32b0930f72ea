"""Cross-validation: every fold is a job, every film is predicted once by a model that has not seen its patient."""
