"""Writes the software bill of materials that the wheel carries (PEP 770, CycloneDX): what in it is not ours.

    python locks/sbom.py          (after a change of web/package-lock.json, or of the version)

What it needs besides is installed apart, and stands in its metadata.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import arasuji

LOCKS = Path(__file__).parent
WEB = LOCKS.parent / "web" / "package-lock.json"
BUNDLE = "arasuji/studio/page/vendor.js"


def component(path: str, package: dict[str, Any]) -> dict[str, Any]:
    """A package of npm that is bundled into the page."""
    name, (kind, digest) = path.removeprefix("node_modules/"), package["integrity"].split("-", 1)
    purl = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package["version"],
        "hashes": [{"alg": kind.replace("sha", "SHA-"), "content": base64.b64decode(digest).hex()}],
        "licenses": [{"license": {"id": package["license"]}}],
        "purl": purl,
        "evidence": {"occurrences": [{"location": BUNDLE}]},
    }


def bill() -> dict[str, Any]:
    packages = json.loads(WEB.read_text("utf-8"))["packages"]
    bundled = [component(path, found) for path, found in packages.items() if path and not found.get("dev")]
    own = f"pkg:pypi/arasuji@{arasuji.__version__}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": own,
                "name": "arasuji",
                "version": arasuji.__version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": own,
            }
        },
        "components": bundled,
        "dependencies": [{"ref": own, "dependsOn": [one["bom-ref"] for one in bundled]}],
    }


if __name__ == "__main__":
    (LOCKS / "arasuji.cdx.json").write_text(json.dumps(bill(), indent=1) + "\n", "utf-8")
