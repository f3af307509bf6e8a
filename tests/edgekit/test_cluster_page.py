"""The page about cluster.toml has every field that a person writes, and its examples are read as they stand."""

import re
from pathlib import Path

import msgspec
import pytest

from edgekit.cluster import Cluster, Link
from edgekit.device import Device, Roofline, Variant
from edgekit.files import read

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
MEASURED = {"badge", "points", "described", "computing", "version"}
"""Fields that surveys and files have, and people do not write."""


def part(title: str) -> str:
    """What stands under a title of the second level."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def examples(title: str) -> str:
    return "\n".join(re.findall(r"^    (.+)", part(title), re.MULTILINE))


@pytest.mark.parametrize(("title", "kind"), [("The file", Cluster), ("[[devices]]", Device), ("[[links]]", Link)])
def test_every_field_has_its_place_on_the_page(title: str, kind: type[msgspec.Struct]) -> None:
    headings = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^### .*", part(title), re.MULTILINE))))
    assert headings == {field.name for field in msgspec.structs.fields(kind)} - MEASURED


@pytest.mark.parametrize("kind", [Roofline, Variant])
def test_every_field_of_an_inner_table_is_named_and_shown(kind: type[msgspec.Struct]) -> None:
    assert not [field.name for field in msgspec.structs.fields(kind) if not re.search(rf"[`{{ ]{field.name}\b", part("[[devices]]"))]


def test_the_examples_together_are_a_cluster_file(tmp_path: Path) -> None:
    text = f"{examples('The file')}\n[[devices]]\n{examples('[[devices]]')}\n[[links]]\n{examples('[[links]]')}"
    (tmp_path / "cluster.toml").write_text(text.replace("relay = true", ""))
    cluster = read(tmp_path / "cluster.toml", Cluster)
    assert cluster.device("pi").cores == (2, 3)
    assert [link.fixed for link in cluster.links] == [True]


def test_the_example_at_the_top_is_a_cluster_file(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text(PAGE.partition("```toml")[2].partition("```")[0])
    assert [device.name for device in read(tmp_path / "cluster.toml", Cluster).devices] == [
        "pi",
        "here",
    ]
