"""What is learned beside a network: the gate of the lungs package, and the orientation."""
