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


class EngineError(Exception):
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False


class ImageError(EngineError):
    code = "invalid_image"
    retryable = True


class InvalidImage(ImageError):
    code = "invalid_image"


class ImageTooLarge(ImageError):
    code = "image_too_large"


class ImageTooComplex(ImageError):
    code = "image_too_complex"


class UnsupportedFormat(ImageError):
    code = "unsupported_format"


class PoolTimeout(EngineError):
    code = "busy"
    retryable = True


class PoolClosed(EngineError):
    code = "busy"
    retryable = True


class MeshFailed(EngineError):
    retryable = True


class ModelError(EngineError):
    code = "model_unavailable"
