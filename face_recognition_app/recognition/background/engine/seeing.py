"""What an engine makes of a picture that is to be enrolled: by the rules of REST."""

from __future__ import annotations

import logging

from core.errors import ImageError
from core.face_recognition_engine import FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from gallery.people import Sample
from recognition import stills
from recognition.background.engine.messages import Picture, Seen
from vocabulary.errors import ErrorCode

logger = logging.getLogger(__name__)


def see(engine: FaceRecognitionEngine, limits: ImageLimits, picture: Picture) -> Seen:
    """The sample from a picture, or why there is none; also when the engine fails at this one."""
    try:
        found = stills.portrait_by(
            engine, limits, picture.data, picture.model_id, picture.choice, with_picture=picture.keep
        )
    except ImageError as error:
        return Seen(picture.key, None, error.code, error.message)
    except Exception:
        logger.exception("a picture of an import cannot be analysed")
        return Seen(picture.key, None, ErrorCode.INTERNAL, "the picture cannot be analysed")
    if found.embedding is None or found.quality.issues:
        return Seen(picture.key, None, found.quality.issues[0])
    return Seen(picture.key, Sample(found.embedding, found.quality.score, found.picture))
