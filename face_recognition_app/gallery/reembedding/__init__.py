"""Moving a gallery to another embedder, from kept pictures, while the service serves it with the one before.

`beside.py` embeds the picture of each template with the other embedder, page by page, into a table that nobody else
reads: what is there is done, so a move that was interrupted goes on. `switching.py` then puts all of it into the
templates' rows, in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gallery.matching import Gallery
from gallery.reembedding.beside import Embed, embed_beside, forget_other_moves
from gallery.reembedding.switching import Keep, Moved, switch
from tenants.models import Tenant

ROUND_PAUSE_S = 0.01


def move(
    tenant: Tenant,
    target: Gallery,
    embed: Embed,
    on_page: Callable[[int, int], None],
    *,
    erase_unmovable: bool,
    unrecognised: set[int] | None = None,
    keep: Keep = lambda moved: None,
) -> Moved:
    """Move the tenant's gallery to the target's embedder, or go on with that.

    `on_page` is told the templates done and their number; what it raises ends the call between two pages. Raises
    NotMovable, UnreadablePicture and KeysUnavailable. After any of these nothing of the gallery has changed, and
    another call goes on: with the `unrecognised` of the one before, which grows by templates whose pictures show
    nobody, it embeds no picture twice. `keep` is told what was done within the transaction that did it.
    """
    forget_other_moves(tenant, target.model_id)
    unrecognised = set() if unrecognised is None else unrecognised
    while True:
        embed_beside(tenant, target, embed, unrecognised, on_page)
        moved = switch(tenant, target, unrecognised, erase_unmovable=erase_unmovable, keep=keep)
        if moved is not None:
            return moved
        time.sleep(ROUND_PAUSE_S)  # Enrolled meanwhile, or held by others.
