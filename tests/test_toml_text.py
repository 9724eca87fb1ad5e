from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.toml_text import toml_text

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    texts | st.booleans() | st.integers(-(2**63), 2**63 - 1),
    lambda inner: (
        st.lists(inner.filter(lambda value: not isinstance(value, dict)), max_size=3)
        | st.dictionaries(st.sampled_from(["file", "value"]), inner, max_size=2)
    ),
    max_leaves=5,
)
tables = st.dictionaries(st.sampled_from(["name", "host", "password"]), values)


@given(st.fixed_dictionaries({"state_dir": texts}, optional={"accounts": st.lists(tables, min_size=1, max_size=3)}))
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(document)) == document


def test_it_is_written_as_people_write_it() -> None:
    document = {"state_dir": Path("/s"), "sinks": [{"name": "crm", "secrets": [{"file": "/x"}], "allow_private": True}]}
    assert toml_text(document) == (
        'state_dir = "/s"\n\n[[sinks]]\nname = "crm"\nsecrets = [{ file = "/x" }]\nallow_private = true\n'
    )
