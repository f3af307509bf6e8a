"""No module imports itself by way of others, also not inside functions: a circle has no first module to read."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from tests.test_floors import ROOT, imports, modules


def graph() -> dict[str, set[str]]:
    """What of ours each module imports: ``from a import b`` is of module ``a.b`` where there is one, else of ``a``."""
    known = dict(modules(ROOT))
    found = {module: {_longest(name, known) for name in imports(module, path)} for module, path in known.items()}
    return {module: names - {"", module} for module, names in found.items()}


def _longest(name: str, known: Mapping[str, object]) -> str:
    """The module of ours that a dotted name begins with; empty: none."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def circle(imported: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules of a circle, in its order; none where there is none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = circle(graph())
    assert not found, " imports ".join(reversed(found))


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []
    assert graph()["edgekit.runtime.links.transport"] >= {"edgekit.runtime.links.rpc.dialer"}  # also inside functions
