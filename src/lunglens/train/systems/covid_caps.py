"""System 12, COVID-CAPS: four convolutions, then three layers of capsules that agree among themselves who goes where.

P. Afshar, S. Heidarian, F. Naderkhani, A. Oikonomou, K. N. Plataniotis, A. Mohammadi, "COVID-CAPS: a capsule
network-based framework for identification of COVID-19 cases from X-ray images", Pattern Recognit Lett 138 (2020).

Certain, from the published code and weights: every layer and its shape (295,360 parameters), three rounds of routing in
which agreement is replaced and not added up (`adds_routing` adds it, as in Sabour, Frosst, Hinton, NIPS 2017), the
margin loss, and the momentum of normalisation, which needs thousands of steps: after 600 its variances still held more
of the 1 that they begin with than of the films, and the answers were upside down. The loss was weighted by 1 - n_k / n;
of two classes `class_weights = "balanced"` has the same ratio, and Adam does not see the factor between. A reading: the
probability of a class is its capsule's share of all lengths. Ours must differ: gray repeated for three channels; not
pretrained on the 94,323 films of ChestX-ray14.

The capsules' weights are shared by all places, so that the vote of every place for every capsule (11.5 MB a film) need
not be made: the sum of weighted votes is the vote of the weighted sum.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.network import Network

_ROUNDS = 3
_LONG, _SHORT, _ABSENT = 0.9, 0.1, 0.5  # lengths wanted of the right class and of others; weight of the others
_NO_LENGTH = 1e-12


class CovidCaps(Network):
    """A capsule of 16 numbers for every class; its length says whether the class is there."""

    class Options(Network.Options):
        """What `classifier.options` may say."""

        adds_routing: bool = Field(False, description="agreement is added up over the rounds, as Sabour has it")
        momentum: float = Field(0.01, gt=0, le=1, description="of normalisation: the share of the newest batch")

    options: Options

    def __init__(self, config: ClassifierConfig, outputs: int) -> None:
        super().__init__(config, outputs)
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 64, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(64, 1e-3, self.options.momentum)),
            *(nn.Conv2d(64, 64, 3), nn.ReLU(inplace=True), nn.AvgPool2d(2)),
            *(nn.Conv2d(64, 128, 3), nn.ReLU(inplace=True), nn.Conv2d(128, 128, 3), nn.ReLU(inplace=True)),
        )
        adds = self.options.adds_routing
        self.capsules = nn.ModuleList(
            Capsules(before, count, size, adds)
            for before, count, size in ((128, 32, 8), (8, 32, 8), (8, self.classes, 16))
        )
        for module in self.body:
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.constant_(module.bias, 0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Network's: of two classes log(length / length of the other), else log lengths, whose softmax are shares."""
        return self._logits(self._vectors(images)[-1])

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Logits, no heat, and the numbers of the capsules before the last."""
        *_, before, last = self._vectors(images)
        return self._logits(last), None, before.flatten(1)

    def loss(self, images: Tensor, targets: Tensor, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Margin loss of the lengths, times the weight of the film's class."""
        last = self._vectors(images)[-1]
        numbers = (1 - targets if self.outputs == 1 else targets).long()
        each = margin_loss(last.norm(dim=2), one_hot(numbers, self.classes))
        return (each if class_weights is None else each * class_weights[numbers]).mean(), self._logits(last)

    def _logits(self, last: Tensor) -> Tensor:
        scores = last.norm(dim=2).clamp_min(_NO_LENGTH).log()
        found: Tensor = scores[:, 0] - scores[:, 1] if self.outputs == 1 else scores
        return found

    def _vectors(self, images: Tensor) -> list[Tensor]:
        """Capsules of every layer, (N, capsules, size), beginning with those that are places of the last map."""
        found = [self.body(images.expand(-1, 3, -1, -1)).flatten(2).transpose(1, 2).float()]
        # At the start lengths are 1e-5 and gradients 1e-6: half precision has no place for them.
        with torch.autocast(images.device.type, enabled=False):
            for layer in self.capsules:
                found.append(layer(found[-1]))
        return found


class Capsules(nn.Module):
    """`count` capsules of `size` numbers, with one weight for all capsules that they are made of."""

    def __init__(self, before: int, count: int, size: int, adds: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(before, count * size)).view(before, count, size))
        self.adds = adds

    def forward(self, below: Tensor) -> Tensor:
        """(N, I, before) -> (N, count, size), each shorter than 1."""
        return self.route(below)[0]

    def route(self, below: Tensor) -> tuple[Tensor, Tensor]:
        """The capsules, and the share of each of the I capsules below that goes to each: (N, I, count), sums of 1."""
        agreement = torch.zeros(1, 1, self.weight.shape[1], device=below.device).expand(*below.shape[:2], -1)
        for round_ in range(_ROUNDS):
            shares = agreement.softmax(2)
            capsules = squash(torch.einsum("njd,djs->njs", shares.transpose(1, 2) @ below, self.weight))
            if round_ < _ROUNDS - 1:
                found = below @ torch.einsum("njs,djs->ndj", capsules, self.weight)
                agreement = agreement + found if self.adds else found
        return capsules, shares


def squash(vectors: Tensor) -> Tensor:
    """Each vector along the last axis made shorter than 1: s |s| / (1 + |s|^2)."""
    square = (vectors * vectors).sum(-1, keepdim=True) + 1e-7
    return vectors * square.sqrt() / (1 + square)


def margin_loss(lengths: Tensor, present: Tensor) -> Tensor:
    """(N, K) lengths of the classes' capsules, and 1 where the film is of the class -> (N,), 0 and more."""
    missed = (_LONG - lengths).relu().square()
    invented = (lengths - _SHORT).relu().square()
    return (present * missed + _ABSENT * (1 - present) * invented).sum(1)
