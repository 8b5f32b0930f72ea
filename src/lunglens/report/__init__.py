"""What a person looks at: the panel of one film, and its lung mask as an image. No torch, no matplotlib."""
