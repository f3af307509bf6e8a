"""Chains of operators: their placement against the search that knows nothing of chains, and what tables of memory take from it."""

from dataclasses import replace

import numpy as np
import pytest

from devices.mcu import program as p
from devices.mcu.dataflow import Dataflow, dataflow
from devices.mcu.lifetimes import lifetimes, overlap_bytes
from devices.mcu.memory_peak import arena_need, memory_peak
from devices.mcu.operator_chain import chain_needs, chain_of, place_chain
from devices.mcu.placement import Item, Placement, place
from devices.mcu.planner import plan_memory
from devices.mcu.verifier import verify_plan
from tests.devices.mcu.planned_programs import chain, conv, planned


def drawn(seed: int) -> p.Program:
    """Some convolutions of unlike shapes in a row, with scratch or without."""
    draw = np.random.default_rng(seed)
    shapes: list[p.Shape] = [(int(draw.integers(2, 9)), int(draw.integers(2, 9)), int(draw.integers(1, 7)))]
    operators: list[p.Operator] = []
    for index in range(int(draw.integers(1, 8))):
        height, width, channels = shapes[-1]
        depthwise = bool(draw.random() < 0.4)
        made = channels if depthwise else int(draw.integers(1, 9))
        kernel, stride = int(draw.choice([1, 3])), int(draw.choice([1, 1, 2]))
        shapes.append((-(-height // stride), -(-width // stride), made))
        operators.append(conv(index, shapes[-2], shapes[-1], kernel=kernel, stride=stride, before=kernel // 2, depthwise=depthwise))
    return chain(shapes, operators)


def without_chains(flow: Dataflow) -> Placement:
    """The same by the search for any program."""
    order = tuple(range(len(flow.output)))
    items = [Item(size, *life) for size, life in zip(flow.sizes, lifetimes(flow, order), strict=True)]
    items += [Item(nbytes, at, at) for at, nbytes in enumerate(flow.scratch) if nbytes]
    overlaps = {(at, at + 1): apart for at, distances in enumerate(flow.distances) if (apart := distances[at]) is not None}
    return place(items, overlaps, max(overlap_bytes(flow, order)))


def test_a_chain_is_placed_as_low_as_a_search_proves() -> None:
    for seed in range(80):
        program = drawn(seed)
        flow = dataflow(program)
        found, searched = chain_of(flow), without_chains(flow)
        assert found is not None and searched.least == searched.nbytes, seed
        assert place_chain(found).nbytes == searched.nbytes, seed
        assert chain_needs(found) == overlap_bytes(flow, tuple(range(len(found))))
        plan = plan_memory(program)
        verify_plan(program, plan)
        assert plan.exact and plan.arena_bytes == searched.nbytes


@pytest.mark.parametrize("draw", [drawn, lambda seed: planned(seed)[0]])
def test_a_table_of_memory_tells_what_plan_and_peak_tell(draw: object) -> None:
    assert callable(draw)
    for seed in range(60):
        program = draw(seed)
        plan = plan_memory(program)
        assert arena_need(program) == (plan.arena_bytes, memory_peak(program, plan).operator or ""), seed


def test_what_branches_or_is_kept_is_no_chain() -> None:
    program = drawn(3)
    assert chain_of(dataflow(program)) is not None
    kept = replace(program, outputs=(program.inputs[0], *program.outputs))
    assert chain_of(dataflow(kept)) is None
