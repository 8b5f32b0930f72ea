"""What one film is treated with: the parameters of a model package, and sections of a configuration."""

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

# By which a lung mask is drawn. fields: the air-filled lung, without the heart. region: the whole lung, its opaque
# parts and what lies behind the heart too. They are never mixed.
MaskRule = Literal["fields", "region"]
Rules = TypeVar("Rules", bound=Sequence[MaskRule])


def fields_first(masks: Rules) -> Rules:
    """The masks that a lungs network gives, if it is fields, or fields and region.

    Raises:
        ValueError: it is not.
    """
    if list(masks) not in (["fields"], ["fields", "region"]):
        raise ValueError('must be ["fields"] or ["fields", "region"]')
    return masks


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Postprocess(Section):
    """From predicted mask to the region that cuts the image (paper section 3.2); sizes hold at 512x512.

    Dilation and closing are of what `region` names; 0 iterations leave it as it is.
    """

    region: Literal["dilated", "network"] = Field(
        "dilated",
        description="what cuts: the fields, dilated (the paper's), or the network's own mask of the whole lung",
    )
    threshold: float = Field(0.5, gt=0, lt=1)
    region_threshold: float = Field(0.5, gt=0, lt=1, description="of the network's own mask of the whole lung")
    min_island_fraction: float = Field(
        0.1, ge=0, lt=1, description="drop regions smaller than this share of the largest"
    )
    dilation_iterations: int = Field(8, ge=0)
    closing_iterations: int = Field(2, ge=0)
    min_area_px: int = Field(50_000, ge=0, description="the paper's quality threshold on the processed mask")


class View(Section):
    """What of the film the classifier sees."""

    film_size: int = Field(512, ge=64, description="the film is squashed to this square first")
    input_size: int = Field(512, ge=64, description="side of the square that the network sees, px")
    cut: bool = Field(True, description="black outside the processed lung mask")
    blackout: bool = Field(False, description="black inside it instead: what is left tells where a film comes from")
    rectangle: float = Field(
        0, ge=0, lt=1, description="side of a black square over the middle, as a share of the film's; 0.8 leaves a rim"
    )
    crop: bool = Field(False, description="crop to the bounding box of the lung mask")
    crop_margin: float = Field(0.04, ge=0, le=0.5, description="margin as a share of the box's side")
    equalize: Literal["none", "lungs"] = Field("none", description="replace intensity by its rank among lung pixels")
    pool: Literal["all", "region"] = Field(
        "all",
        description="which places of the last maps count; region: each by its share of the lung mask, which then is a "
        "second channel of what the network is given",
    )

    @model_validator(mode="after")
    def _shows_something(self) -> "View":
        if self.cut and self.blackout:
            raise ValueError("cut and blackout leave nothing to see; set one of them to false")
        if self.rectangle and self.crop:
            raise ValueError("rectangle is of the whole film; set crop to false")
        if self.blackout and self.pool == "region":
            raise ValueError("blackout leaves nothing to see in the region; set pool to all")
        return self

    @property
    def channels(self) -> int:
        """Of what the network is given: the image, and where features are pooled in the region its mask."""
        return 2 if self.pool == "region" else 1
