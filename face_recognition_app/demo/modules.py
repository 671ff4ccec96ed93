"""The JavaScript modules of the page, for `modulepreload`: without it a browser finds each only in the one before."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
ENTRY = "demo/app.js"
_IMPORTED = re.compile(r"""^(?:import|export)\b(?:[^;"'=]*\bfrom)?\s*["'](\.{1,2}/[^"']+)["'];""", re.MULTILINE)


@cache
def page_modules() -> tuple[str, ...]:
    """Names, as `{% static %}` takes them, of all modules that the page's script imports, directly or not.

    A module that is loaded later, with `import()`, is none.
    """
    found: list[str] = []
    waiting = [ENTRY]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            directory = (STATIC / name).parent
            imported = _IMPORTED.findall((STATIC / name).read_text())
            waiting += [(directory / path).resolve().relative_to(STATIC.resolve()).as_posix() for path in imported]
    return tuple(found)
