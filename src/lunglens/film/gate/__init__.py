"""Is this a frontal chest radiograph whose lungs were found? Asked before any answer is given."""
