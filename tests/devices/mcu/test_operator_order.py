"""The best order against all orders, by what each operator needs with its best overlap."""

from devices.mcu.dataflow import aligned, dataflow
from devices.mcu.lifetimes import lifetimes, liveness_bytes, overlap_bytes
from devices.mcu.operator_order import best_order, orders_below
from tests.devices.mcu.planned_programs import tiny_program
from tests.devices.mcu.random_programs import random_program


def test_no_order_needs_less_than_the_best() -> None:
    compared = 0
    for program in [*map(random_program, range(60)), *map(tiny_program, range(60))]:
        flow = dataflow(program)
        best = best_order(flow)
        orders, complete = orders_below(flow, 10**9, most=300, steps=6000)
        if not complete:
            continue
        compared += 1
        needs = [max(overlap_bytes(flow, order)) for order in orders]
        assert best.least == best.nbytes
        assert best.order in orders
        assert best.nbytes - 3 <= max(overlap_bytes(flow, best.order)) <= best.nbytes
        assert best.nbytes <= min(map(aligned, needs)) + 3
    assert compared >= 100


def test_orders_below_a_limit_are_those_that_need_less() -> None:
    for seed in range(40):
        flow = dataflow(tiny_program(seed))
        orders, _ = orders_below(flow, 10**9, most=200, steps=5000)
        needs = sorted({max(overlap_bytes(flow, order)) for order in orders})
        for limit in needs:
            below, complete = orders_below(flow, limit, most=200, steps=5000)
            assert complete
            assert below == [order for order in orders if max(overlap_bytes(flow, order)) < limit]


def test_a_search_that_gives_up_says_what_is_proven() -> None:
    for seed in range(60):
        flow = dataflow(random_program(seed))
        best, quick = best_order(flow), best_order(flow, states=1)
        assert quick.least <= best.nbytes <= quick.nbytes


def test_an_order_needs_no_more_without_overlaps_and_scratch_than_all_at_once() -> None:
    for seed in range(40):
        program = random_program(seed)
        flow = dataflow(program)
        order = tuple(range(len(program.operators)))
        assert liveness_bytes(flow, lifetimes(flow, order), len(order)) <= sum(map(aligned, flow.sizes))
