from __future__ import annotations

from pathlib import Path

import pytest

from demo import modules

APP = """\
import { a } from "./a.js";
import {
  b,
  c,
} from './words/b.js';
import "./styles.js";
export { d } from "./d.js";
export const path = "./not-a-module.js";
const later = () => import("./later.js");
// import { e } from "./commented.js";
"""


def test_what_is_imported_is_found_and_what_is_loaded_later_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo" / "words").mkdir(parents=True)
    (tmp_path / "demo" / "app.js").write_text(APP)
    for name in ("a", "words/b", "styles", "d"):
        (tmp_path / "demo" / f"{name}.js").write_text("")
    (tmp_path / "demo" / "words" / "b.js").write_text('import { a } from "../a.js";\nimport { f } from "./f.js";\n')
    (tmp_path / "demo" / "words" / "f.js").write_text("")
    monkeypatch.setattr(modules, "STATIC", tmp_path)
    found = modules.page_modules.__wrapped__()
    assert found == tuple(f"demo/{name}.js" for name in ("app", "a", "words/b", "styles", "d", "words/f"))
