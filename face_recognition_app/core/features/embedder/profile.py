"""What was measured of an embedding network: without it, similarities mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from core.errors import ModelError


@dataclass(frozen=True, slots=True)
class EmbedderProfile:
    """`sha256`: of the network's file. `fmr`: false match rates of one picture against one, from the largest down, and
    `similarity`: the raw cosine at which each is reached. `tail_shape` and `tail_scale`: of the generalised Pareto
    distribution of what exceeds the last of them. `another_person`: a cosine below which a face that is turned
    away is taken for another's. `covered_rise`: how much more a face with a covered mouth or nose needs.
    `least_length`: of a vector before it is normalised, below which the crop shows nobody."""

    sha256: str
    fmr: tuple[float, ...]
    similarity: tuple[float, ...]
    tail_shape: float
    tail_scale: float
    another_person: float
    covered_rise: float
    least_length: float

    def __post_init__(self) -> None:
        falling = all(one > other > 0 for one, other in zip(self.fmr, self.fmr[1:], strict=False))
        rising = all(one < other for one, other in zip(self.similarity, self.similarity[1:], strict=False))
        if len(self.fmr) != len(self.similarity) or len(self.fmr) < 2 or not falling or not rising:
            raise ValueError("fmr must fall, similarity rise with it, and both have the same number of values")
        if not self.tail_scale > 0:
            raise ValueError("tail_scale must be positive")


PINNED = EmbedderProfile(
    sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
    fmr=(1e-2, 1e-3, 1e-4, 1e-5),
    similarity=(0.244, 0.335, 0.412, 0.479),
    tail_shape=-0.086,
    tail_scale=0.025,
    another_person=0.1,
    covered_rise=0.05,
    least_length=2.0,
)
"""Of fr_feature, on all pairs of 7,698 pictures of Labeled Faces in the Wild: 29.6 million impostor and 8,097 genuine
pairs. The tail is that of folds 1 to 4, without three people who have two names there (docs/accuracy.md). Crops that
show no upright face all come close together and would match; of noise, backgrounds and quarter turns nine tenths have
a shorter vector, of 1,200 good pictures the shortest has 2.28."""

_ADAPTER: TypeAdapter[EmbedderProfile] = TypeAdapter(EmbedderProfile)


def profile_path(network: Path) -> Path:
    """The file with a network's profile, beside it."""
    return network.with_name(network.name + ".profile.json")


def read_profile(network: Path) -> EmbedderProfile:
    """Raises ModelError."""
    path = profile_path(network)
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{network} can only be used with what was measured of it, and {path.name} beside it cannot be read "
            f"({error}): make it with python -m bench.embedder {network} --write"
        ) from error


def write_profile(network: Path, profile: EmbedderProfile) -> None:
    profile_path(network).write_bytes(_ADAPTER.dump_json(profile, indent=1) + b"\n")
