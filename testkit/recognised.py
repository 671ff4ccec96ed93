"""Embeddings of faces that surely can be recognised."""

from __future__ import annotations

from core.types import Embedding


def recognised(embedding: Embedding | None) -> Embedding:
    assert embedding is not None, "nobody can be recognised here"
    return embedding
