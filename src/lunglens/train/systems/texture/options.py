"""What `classifier.options` says of network "texture"."""

from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.training import ClassifierConfig

Descriptor = Literal["lbp", "lpq", "ldn", "letrist", "bsif", "eqp", "obif", "trunk"]
Fusion = Literal["early", "late-sum", "late-product", "late-vote"]
Kind = Literal["knn", "svm", "mlp", "tree", "forest", "clus"]
Resampling = Literal[
    "none",
    "adasyn",
    "smote",
    "borderline-1",
    "borderline-2",
    "svm-smote",
    "allknn",
    "enn",
    "renn",
    "tomek",
    "smote-enn",
    "smote-tomek",
]


class Options(Section):
    """Which descriptors, how they are joined, and what is fitted on them."""

    descriptors: tuple[Descriptor, ...] = Field(
        ("bsif", "eqp", "lpq"), min_length=1, description="trunk: pooled features of `backbone`, frozen as `pretrained`"
    )
    fusion: Fusion = Field(
        "early", description="one estimator on all descriptors side by side, or the answers of one a descriptor"
    )
    estimator: Kind = Field("mlp", description="clus: one tree over `hierarchy` (a predictive clustering tree)")
    resampling: Resampling = Field("smote-tomek", description="of the training films alone, by imbalanced-learn")
    hierarchy: tuple[Annotated[str, Field(pattern=r"^[^<]*[^< ] < [^< ][^<]*$")], ...] = Field(
        (), description='of clus: "covid < ill" for a class or group in another; what is in none stands at the top'
    )

    @property
    def parents(self) -> dict[str, str]:
        """The hierarchy: name -> what it is in."""
        return {line.split(" < ")[0]: line.split(" < ")[1] for line in self.hierarchy}

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        if len(set(self.descriptors)) != len(self.descriptors):
            raise ValueError("descriptors names one twice")
        if (self.estimator == "clus") != bool(self.hierarchy):
            raise ValueError("estimator clus needs a hierarchy, the others have none")
        return self


def options_of(config: ClassifierConfig) -> Options:
    """The options of a configuration.

    Raises:
        ConfigurationError: they are none of these.
    """
    try:
        return Options.model_validate(config.options)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"classifier.options of network {config.network}: {problems}") from error
