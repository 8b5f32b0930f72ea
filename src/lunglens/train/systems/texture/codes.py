"""What the descriptors share: from codes of pixels to a histogram."""

import torch
from torch import Tensor

LEVEL = 0.01  # gray levels: smaller answers of filters are rounding


def histogram(codes: Tensor, bins: int) -> Tensor:
    """(N, ...) whole numbers below `bins` -> (N, bins) shares of each."""
    flat = codes.flatten(1)
    ones = torch.ones_like(flat, dtype=torch.float32)
    return ones.new_zeros(flat.shape[0], bins).scatter_add(1, flat, ones) / flat.shape[1]
