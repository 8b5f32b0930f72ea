"""Soft Dice by the paper's formula (section 4.2, after Milletari et al. 2016)."""

import torch
from torch import Tensor


def soft_dice(probabilities: Tensor, targets: Tensor) -> Tensor:
    """D = 2 sum(p g) / (sum(p^2) + sum(g^2)) for each image.

    Args:
        probabilities: (N, 1, H, W), 0..1.
        targets: same shape, 0 or 1.

    Returns:
        (N,), 0..1; an image empty in both is a perfect 1.

    >>> soft_dice(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[1.0, 1.0]]]]))
    tensor([0.6667])
    """
    p, g = probabilities.flatten(1).float(), targets.flatten(1).float()
    overlap, total = 2 * (p * g).sum(1), (p * p).sum(1) + (g * g).sum(1)
    return torch.where(total > 0, overlap / total.clamp_min(1e-12), torch.ones_like(total))


def soft_dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - D, averaged over the batch; `logits` (N, 1, H, W) go through a sigmoid first.

    >>> soft_dice_loss(torch.full((1, 1, 2, 2), 100.0), torch.ones(1, 1, 2, 2))
    tensor(0.)
    """
    return 1 - soft_dice(logits.float().sigmoid(), targets).mean()
