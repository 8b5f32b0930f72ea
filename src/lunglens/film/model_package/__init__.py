"""A model on disk: an ONNX graph and what says how to use it."""
