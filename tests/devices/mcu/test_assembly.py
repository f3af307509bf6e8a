"""The artifact of a program holds its table, the chunks that the table names, and what the host has to know."""

from devices.mcu.assembly import assembled
from devices.mcu.blob import chunks_in
from devices.mcu.table import decode
from edgekit.mcu_artifact import decode as read
from edgekit.mcu_artifact import encode as written
from tests.devices.mcu.plans import plan_apart
from tests.devices.mcu.random_programs import random_program


def test_an_artifact_has_all_that_a_board_needs() -> None:
    for program in (random_program(seed) for seed in range(20)):
        artifact = read(written(assembled(program, plan_apart(program))))
        table = decode(artifact.table)
        assert dict(table.chunks) == {name: len(chunk) for name, chunk in chunks_in(artifact.blob).items()}
        assert [size for _, size in (*table.inputs, *table.outputs)] == [end.nbytes for end in (*artifact.inputs, *artifact.outputs)]
        assert [(each.name, each.kind) for each in artifact.operators] == [
            (operator.name, row.kind) for operator, row in zip(program.operators, table.rows, strict=True)
        ]


def test_one_program_makes_one_artifact() -> None:
    first, second = (written(assembled(random_program(3), plan_apart(random_program(3)))) for _ in range(2))
    assert first == second
