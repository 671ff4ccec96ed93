"""What can go wrong in the engine.

EngineError
├── ImageError             the picture cannot be used; the caller may send another
│   ├── InvalidImage       not a picture, broken off, or does not decode
│   ├── ImageTooLarge      more bytes or pixels than the limits allow
│   ├── ImageTooComplex    decoding it would take far more work than an ordinary picture of its size
│   └── UnsupportedFormat  a picture, but not a still JPEG, PNG or WebP
├── PoolTimeout            no instance became free in time
├── PoolClosed             the pool no longer lends
├── MeshFailed             a FaceMesh raised; the instance is replaced
└── ModelError             a model file is missing or is not the one that was pinned

Each class carries `code` (stable, part of the public contract) and `retryable`.
"""

from __future__ import annotations

from typing import ClassVar

from vocabulary.errors import ErrorCode, ImageCode


class EngineError(Exception):
    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    retryable: ClassVar[bool] = False


class ImageError(EngineError):
    code: ClassVar[ImageCode] = ErrorCode.INVALID_IMAGE
    retryable = True


class InvalidImage(ImageError):
    code = ErrorCode.INVALID_IMAGE


class ImageTooLarge(ImageError):
    code = ErrorCode.IMAGE_TOO_LARGE


class ImageTooComplex(ImageError):
    code = ErrorCode.IMAGE_TOO_COMPLEX


class UnsupportedFormat(ImageError):
    code = ErrorCode.UNSUPPORTED_FORMAT


class PoolTimeout(EngineError):
    code = ErrorCode.BUSY
    retryable = True


class PoolClosed(EngineError):
    code = ErrorCode.BUSY
    retryable = True


class MeshFailed(EngineError):
    code = ErrorCode.BUSY
    retryable = True


class ModelError(EngineError):
    pass
