"""Options are passed by keyword: a public function of more than three parameters takes none of them by position."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("edgekit", "devices", "profilers", "partitioner")
MOST = 3


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Public functions, and the public methods and constructors of public classes."""
    for node in tree.body:
        body = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]
        for each in body:
            if isinstance(each, ast.FunctionDef) and (not each.name.startswith("_") or each.name == "__init__"):
                yield each


def test_functions_of_many_parameters_take_options_by_keyword():
    wrong = []
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for function in functions(ast.parse(path.read_text())):
            arguments = function.args
            names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            if len([name for name in names if name != "self"]) > MOST and arguments.defaults:
                wrong.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: write * before its first option")
    assert not wrong, "\n".join(wrong)
