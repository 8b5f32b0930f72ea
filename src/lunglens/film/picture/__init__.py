"""What is drawn of one film."""
