"""A noun has one file: two files have one basename only where one of them is the command or the picture of the other's noun."""

from collections import defaultdict

from tests.test_floors import ROOMS, ROOT

COMMANDS_AND_PICTURES = ("edgekit/cli/", "edgekit/report/")


def test_a_basename_names_one_noun() -> None:
    files = defaultdict(list)
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        name = path.relative_to(ROOT).as_posix()
        if path.stem != "__init__" and not name.startswith(COMMANDS_AND_PICTURES):
            files[path.stem].append(name)
    assert not (twice := [names for names in files.values() if len(names) > 1]), twice
