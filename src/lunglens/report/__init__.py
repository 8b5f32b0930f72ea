"""What a person looks at: the panel of one film (needs neither torch nor matplotlib), and the pages of a study."""
