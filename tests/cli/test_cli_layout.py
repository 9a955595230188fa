"""A .txt file is read as it shows, which is said; an option says otherwise."""

from __future__ import annotations

import json


def test_what_a_text_file_shows_is_noted_and_an_option_says_otherwise(arasuji_, starter, run, tmp_path):
    texts = [" ".join(json.loads(line)["synopsis"].split()) for line in starter.read_text("utf-8").splitlines()[:40]]
    source = tmp_path / "lines.txt"
    source.write_text("\n".join(texts), "utf-8")
    found = arasuji_("prepare", source, "--out", tmp_path / "corpus", "--json").json
    assert sum(found["documents"].values()) == 40
    assert any("a text a line" in note and "--text-layout" in note for note in found["notes"])
    assert "a text a line" in " ".join(arasuji_("inspect", source, "--json").json["notes"])
    assert arasuji_("evaluate", run, "--texts", source, "--text-layout", "blocks", "--json").json["documents"] == 1
    assert "lines" in arasuji_("prepare", source, "--out", tmp_path / "x", "--text-layout", "pages").complaint
