"""How models are trained: the paper's values are the defaults."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lunglens.film.parameters import MaskRule, Section, View, fields_first
from lunglens.study.config.study import OwnSource

Range = tuple[float, float]
Option = bool | int | float | str | tuple[int, ...] | tuple[str, ...] | dict[str, str]

_RETIRED = ("positive", "negative", "split", "postprocess")


class Augment(Section):
    """Table 3 of the paper, then what goes beyond it (off by default)."""

    scale: Range = Field((0.8, 1.1), description="least and largest factor of size")
    aspect: float = Field(0.0, ge=0, description="extra stretch of the width, +- this share; 0 in the paper")
    shift: float = Field(0.0, ge=0, description="translation, +- this share of the side; 0 in the paper")
    rotate_deg: float = Field(45.0, description="rotation, +- degrees")
    shear: float = Field(0.2, description="shear, +- this share")
    shear_probability: float = Field(0.7, description="share of the films that are sheared")
    flip_probability: float = Field(0.0, description="left-right mirror; 0 in the paper")
    gamma: Range = Field((0.5, 3.0), description="least and largest exponent of the intensity")
    salt_pepper_fraction: float = Field(0.01, description="share of the pixels that become black or white")
    salt_pepper_probability: float = Field(0.3, description="share of the films with such pixels")
    blur_sigma: Range = Field((0.5, 0.5), description="Gaussian blur, standard deviation in px")
    blur_kernel: int = Field(11, description="side of the blur's kernel, px")
    blur_probability: float = Field(0.5, description="share of the films that are blurred")
    noise_gain: float = Field(0.5, description="standard deviation of the noise relative to the image's own")
    noise_probability: float = Field(0.3, description="share of the films with noise")
    contrast: Range = Field((1.0, 1.0), description="factor about the mean; (1, 1) in the paper")
    brightness: float = Field(0.0, ge=0, description="additive shift, +-; 0 in the paper")
    sharpen_probability: float = Field(0.0, description="unsharp mask; 0 in the paper")
    mask_jitter_px: int = Field(0, ge=0, description="grow or shrink the cut by up to this many pixels; 0 in the paper")


class Damage(Section):
    """What films of the sick have, drawn into others' before `augment` (not in the paper, off by default)."""

    opacity_probability: float = Field(
        0.0, ge=0, le=1, description="share of the region's films with opaque lung, up to a whole lung"
    )
    border_probability: float = Field(0.0, ge=0, le=1, description="share of the films with collimated edges")
    line_probability: float = Field(0.0, ge=0, le=1, description="share of the films with tubes and wires")
    marker_probability: float = Field(0.0, ge=0, le=1, description="share of the films with letters on them")


class Optimization(Section):
    """How the weights are learned."""

    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="rule of the steps")
    learning_rate: float = Field(0.01, gt=0, description="size of the steps; onecycle's largest")
    momentum: float = Field(0.8, description="of sgd")
    betas: Range = Field((0.9, 0.999), description="of adamw")
    weight_decay: float = Field(1e-4, description="pull of the weights to 0; adamw with 0 is Adam")
    schedule: Literal["steps", "onecycle", "plateau"] = Field(
        "steps", description="how the learning rate goes over the epochs; plateau lowers it when validation stalls"
    )
    # With 25 epochs the paper's steps at 30, 60 and 90 never happen; they are kept as printed (table 5).
    steps: tuple[int, ...] = Field((30, 60, 90), description="epochs after which schedule steps lowers the rate")
    step_factor: float = Field(0.1, description="by which each of the steps lowers it, and each plateau")
    patience: int = Field(3, ge=1, description="epochs that validation's loss may stall before plateau lowers the rate")
    lowest_rate: float = Field(0.0, ge=0, description="plateau lowers the rate no further")
    warm_up: float = Field(0.3, gt=0, lt=1, description="share of the steps in which onecycle's rate rises")
    batch_size: int = Field(8, ge=1, description="films a step")
    epochs: int = Field(25, ge=1, description="how often every film is seen")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="auto: bf16-mixed where the GPU or the processor has units for it, else 32-true"
    )
    weight_average: float | None = Field(
        None, gt=0, lt=1, description="keep the weights' moving average: this share of it stays every 5 steps"
    )
    keep: Literal["best", "last"] = Field("best", description="weights of the best validation epoch, or of the last")
    seed: int = Field(0, description="of every random draw of the training")


class Split(Section):
    """Shares of the groups (patients) that are held out."""

    validation: float = Field(0.1, gt=0, lt=0.5, description="share that chooses the weights")
    test: float = Field(0.1, ge=0, lt=0.9, description="share that is measured")
    seed: int = Field(0, description="of the draw")


class LungsConfig(Section):
    """`lunglens train lungs`: the UNet of table 4 trained by algorithm 1."""

    masks: Annotated[tuple[MaskRule, ...], AfterValidator(fields_first)] = Field(
        ("fields",),
        description="what the network gives: fields (air-filled lung, no heart), or fields and region (whole lung, "
        "opaque parts and what is behind the heart too); each film teaches the one that its mask is drawn by",
    )
    encoder: str = Field(
        "paper", description="table 4's, or a network of timm with ImageNet weights, such as tf_efficientnet_lite0"
    )
    input_size: int = Field(512, ge=64, multiple_of=16, description="side of the square that the network sees, px")
    base_channels: int = Field(32, ge=4, description="channels of the first level; each level has twice as many")
    batch_norm: bool = Field(False, description="not in the paper")
    sources: tuple[str, ...] = Field(("montgomery", "shenzhen"), description="data sets with lung masks, own ones too")
    own: tuple[OwnSource, ...] = ()
    augment: Augment = Augment()
    damage: Damage = Damage()
    optimization: Optimization = Optimization(optimizer="adamw", learning_rate=0.005, weight_decay=0.0)
    split: Split = Split()

    @property
    def called(self) -> str:
        """What runs and packages call its network."""
        encoder = "unet" if self.encoder == "paper" else f"{self.encoder}-unet"
        return f"{encoder}{self.base_channels}-{self.input_size}{'-two' * (len(self.masks) > 1)}"

    @model_validator(mode="after")
    def _fits_its_encoder(self) -> "LungsConfig":
        if self.encoder != "paper" and self.input_size % 32:
            raise ValueError("input_size must be a multiple of 32 for an encoder of timm")
        return self


class ClassifierConfig(Section):
    """How a classifier is trained on a study (tables 5 and 6 of the paper)."""

    name: str = Field("", description="what runs, tables and packages call it; if nothing, its backbone or network")
    network: str = Field(
        "trunk",
        description="trunk: backbone and head; else a network of its own that `lunglens systems` names; embedding: "
        "numbers of your own",
    )
    options: dict[str, Option] = Field({}, description="what a network of its own is told besides")
    backbone: str = Field("hrnet_w18", description="any network of timm")
    stride: Literal[8, 16, 32] = Field(
        32, description="px of the image that a place of the last maps stands for; less: finer heat, and more time"
    )
    head: tuple[int, ...] = Field((2048, 512), description="widths of the hidden layers after pooling")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of the features left out in training")
    pretrained: str = Field(
        "none",
        min_length=1,
        description="where the trunk begins: none, imagenet, a file of weights, or the folder of a run, of one of its "
        "folds, or of a package",
    )
    freeze: Annotated[int, Field(ge=0)] | tuple[str, ...] = Field(
        0,
        description="what does not learn: so many stages of the trunk, from the film on, or parameters whose "
        "names begin so (* is anything)",
    )
    trunk_rate: float = Field(1.0, gt=0, description="learning rate of the trunk as a factor of the head's")
    class_weights: Literal["none", "balanced"] | tuple[float, ...] = Field(
        "none", description="of the loss, in the order of the classes; balanced: each class counts the same"
    )
    opacity_loss: float = Field(
        0.0,
        ge=0,
        description="weight of a second answer in the loss, beside that of the classes: is there any opacity in the "
        "lungs? It is taught where the study's column opacity tells; 0: it is not asked",
    )
    group_dro: float = Field(
        0.0,
        ge=0,
        description="step by which groups (source x class) of larger loss come to count more; 0: all alike",
    )
    decorrelate: float = Field(
        0.0,
        ge=0,
        description="weight in the loss of how much the features tell the source among films of one class (distance "
        "correlation, which needs batches of 24 or more)",
    )
    source_head: float = Field(
        0.0,
        description="a second head learns to name the source; its gradient, times this, reaches the trunk: 1 teaches "
        "the features the source, -1 against it; 0: there is no such head",
    )
    teacher: tuple[str, ...] = Field(
        (),
        description="folders with a predictions.csv (of `lunglens measure`, or a run): films that train answer their "
        "mean probability instead of their class; of two classes",
    )
    view: View = View()
    augment: Augment = Augment()
    optimization: Optimization = Optimization()
    balance_power: float | None = Field(
        None,
        ge=0,
        le=1,
        description="draw source x class in proportion to its size to this power: 0 equally, 1 as it is",
    )
    images_per_epoch: int | None = Field(None, ge=1, description="with `balance_power`: how many draws make an epoch")
    hard_negatives: float = Field(
        1.0,
        gt=0,
        description="with `balance_power`: how often a film of the second of two classes that has an opacity is drawn, "
        "against one that has none",
    )

    @property
    def called(self) -> str:
        """Its name in runs, tables and packages."""
        return self.name or (self.backbone if self.network == "trunk" else self.network)

    @classmethod
    def of_run(cls, recorded: dict[str, Any]) -> "ClassifierConfig":
        """What a run has recorded; what only `train classifier` of version 0.1.0 used is left out."""
        return cls.model_validate({name: value for name, value in recorded.items() if name not in _RETIRED})
