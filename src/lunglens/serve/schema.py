"""What the API answers, for its OpenAPI document."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lunglens.film.finding_record import FindingRecord
from lunglens.film.model_package.record import AnswerClass

_State = Literal["queued", "running", "analyzed", "refused", "failed"]
_ID = "mGqQJ1kz0yVbO8sT2nE4xw"


class AnalysisModel(BaseModel):
    """One film's way through the server."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _ID, "label": "film.dcm", "state": "queued"}})

    id: str = Field(description="random; whoever knows it can read the result")
    label: str = Field(description="the last part of the uploaded file's name, as it was sent")
    state: _State
    reason: str | None = Field(None, description="why the film was refused, or has failed")
    sha256: str = Field("", description="of the uploaded file, to tell answers apart")
    result: FindingRecord | None = Field(None, description="the finding, once there is one")
    pictures: list[str] = Field([], description="names for GET /api/analyses/{id}/pictures/{name}")


class NotTaken(BaseModel):
    """A file that was not taken."""

    label: str
    reason: str


class Accepted(BaseModel):
    """What became of an upload: analyses in the order of its films, and what was no film."""

    analyses: list[AnalysisModel]
    problems: list[NotTaken] = []


class ErrorModel(BaseModel):
    """Why a request was turned away."""

    detail: str
    problems: list[NotTaken] = []


class ClassifierModel(BaseModel):
    """What the classifier answers. Of two classes the first is the positive one."""

    name: str
    version: str
    classes: list[AnswerClass]
    threshold: float | None = Field(description="of two classes; of more, the most probable one is decided for")
    holds_at: float | None = Field(description="share of the first of two classes at which probabilities hold")
    reasons: dict[str, str] = Field(description="words of what a result's `withheld` may hold")
    measured: bool = Field(description="whether reports reckon with a prevalence, from how it was measured")
    intended_use: str = Field(description="from the model's card; empty where it does not say")


class AboutModel(BaseModel):
    """What answers here, and what may be sent."""

    version: str
    notice: str
    models: dict[str, str]
    cards: dict[str, str] = Field(description="the models' cards, Markdown")
    classifier: ClassifierModel
    limits: dict[str, float]
    dicom: bool = Field(description="whether results of DICOM films can be had as DICOM")
