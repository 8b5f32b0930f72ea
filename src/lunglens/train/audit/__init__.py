"""The parts of the shortcut audit that need a network, and what conducts it."""
