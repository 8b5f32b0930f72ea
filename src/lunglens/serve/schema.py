"""What the API answers, for its OpenAPI document."""

from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lunglens.film.finding_record import FindingRecord
from lunglens.film.model_package.record import AnswerClass

State = Literal["queued", "running", "analyzed", "refused", "failed"]
PROBLEM_TYPE = "application/problem+json"
_ID = "mGqQJ1kz0yVbO8sT2nE4xw"


class AnalysisModel(BaseModel):
    """One film's way through the server."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _ID, "label": "film.dcm", "state": "queued"}})

    id: str = Field(description="random; whoever knows it can read the result")
    label: str = Field(description="the last part of the uploaded file's name, as it was sent")
    state: State
    reason: str | None = Field(None, description="why the film was refused, or has failed")
    sha256: str = Field("", description="of the uploaded file, to tell answers apart")
    result: FindingRecord | None = Field(None, description="the finding, once there is one")
    pictures: list[str] = Field([], description="names for GET /api/analyses/{id}/pictures/{name}")
    place: int | None = Field(None, description="of a film that waits: 1 is the next to be begun")
    kept_s: float | None = Field(None, description="of a film that is done: seconds until it is deleted")


class ListModel(BaseModel):
    """A work list, or a part of it."""

    analyses: list[AnalysisModel] = Field(description="in the order of their coming")
    total: int = Field(description="how many there are of this kind, on all pages")
    states: dict[State, int] = Field(description="how many of the whole list are in each state")


class NotTaken(BaseModel):
    """A file that was not taken."""

    label: str
    reason: str


class Accepted(BaseModel):
    """What became of an upload: analyses in the order of its films, and what was no film."""

    analyses: list[AnalysisModel]
    problems: list[NotTaken] = []


class ErrorModel(BaseModel):
    """Why a request was turned away (RFC 9457)."""

    title: str
    status: int
    detail: str
    problems: list[NotTaken] = []

    @classmethod
    def of(cls, status: int, detail: str, problems: list[NotTaken] | None = None) -> "ErrorModel":
        """title: the status in HTTP's words."""
        return cls(title=HTTPStatus(status).phrase, status=status, detail=detail, problems=problems or [])


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
    languages: dict[str, str] = Field(description="of the report: what each calls itself, by code (ISO 639-1)")
