"""Errors of the engine.

EngineError
├── ImageError             the picture is unusable; the caller may send another
│   ├── InvalidImage       not a picture, broken off, or does not decode
│   ├── ImageTooLarge      more bytes or pixels than the limits allow
│   ├── ImageTooComplex    decoding it would take far more work than an ordinary picture of its size
│   └── UnsupportedFormat  a picture, but not a still JPEG, PNG or WebP
├── NotAnalysed            the picture was not analysed; a retry may succeed
│   ├── PoolTimeout        no instance became free in time
│   ├── PoolClosed         the pool no longer lends
│   └── MeshFailed         a FaceMesh raised; the instance is replaced
└── ModelError             a model file is missing or is not the pinned one
"""

from __future__ import annotations

from vocabulary.errors import ErrorCode, ImageCode, ServiceError


class EngineError(ServiceError):
    pass


class ImageError(EngineError):
    code: ImageCode = ErrorCode.INVALID_IMAGE


class InvalidImage(ImageError):
    pass


class ImageTooLarge(ImageError):
    code = ErrorCode.IMAGE_TOO_LARGE


class ImageTooComplex(ImageError):
    code = ErrorCode.IMAGE_TOO_COMPLEX


class UnsupportedFormat(ImageError):
    code = ErrorCode.UNSUPPORTED_FORMAT


class NotAnalysed(EngineError):
    """`str()` names what failed, for the log; clients see `message`."""

    code = ErrorCode.BUSY
    retry_after_ms = 500

    def __str__(self) -> str:
        return Exception.__str__(self)

    @property
    def message(self) -> str:
        return "the picture could not be analysed now"


class PoolTimeout(NotAnalysed):
    pass


class PoolClosed(NotAnalysed):
    pass


class MeshFailed(NotAnalysed):
    pass


class ModelError(EngineError):
    pass
