"""Plans: what a chain sends where, and which plans do not fit their graph."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from edgekit.errors import PlanError
from edgekit.graph import Graph, Node, Tensor, Unit
from edgekit.plan import CLIENT, Cost, Plan, Stage, Transfer, chain, validate


def network(text: str, **odd: Tensor) -> Graph:
    """A graph with one unit per line ``out, out = in, in``; the first line names the inputs, the last the outputs."""
    lines = [line.strip() for line in text.strip().splitlines()]
    nodes = []
    for line in lines[1:-1]:
        made, read = (tuple(name.strip() for name in side.split(",")) for side in line.split("="))
        nodes.append(Node(made[0], "Relu", read, made))
    inputs, outputs = (tuple(lines[i].split(":")[1].replace(",", " ").split()) for i in (0, -1))
    names = [*inputs, *(name for node in nodes for name in node.outputs)]
    return Graph(
        name="net",
        digest="0123456789abcdef",
        nodes=tuple(nodes),
        units=tuple(Unit(i, i + 1) for i in range(len(nodes))),
        tensors=tuple(odd.get(name, Tensor(name, (1, 8), "float32")) for name in names),
        weights=(),
        inputs=inputs,
        outputs=outputs,
    )


SKIP = network(
    """
    inputs: x
    a = x
    b = a
    c = a, b
    y = c
    outputs: y
    """
)

LONG = network(
    """
    inputs: x, z
    a = x
    b = a
    c = b, z
    y = c, a
    outputs: y, b
    """
)


def stages(*ranges: tuple[int, int]) -> tuple[Stage, ...]:
    return tuple(Stage(start, stop, (f"d{i}",)) for i, (start, stop) in enumerate(ranges))


def sent(plan: Plan) -> list[str]:
    return [f"{transfer.source}→{transfer.receiver} {transfer.tensor}" for transfer in plan.transfers]


def test_a_plan_on_one_device_is_fed_and_read_by_the_client() -> None:
    assert sent(chain(SKIP, stages((0, 4)))) == ["client→0 x", "0→client y"]


def test_a_tensor_that_skips_a_unit_crosses_the_cut_beside_it() -> None:
    assert sent(chain(SKIP, stages((0, 2), (2, 4)))) == ["client→0 x", "0→1 a", "0→1 b", "1→client y"]


def test_a_tensor_that_skips_a_stage_is_relayed_by_it() -> None:
    assert sent(chain(SKIP, stages((0, 1), (1, 2), (2, 4)))) == ["client→0 x", "0→1 a", "1→2 a", "1→2 b", "2→client y"]


def test_inputs_and_outputs_are_relayed_as_well() -> None:
    assert sent(chain(LONG, stages((0, 2), (2, 3), (3, 4)))) == [
        "client→0 x",
        "client→0 z",
        "0→1 z",
        "0→1 a",
        "0→1 b",
        "1→2 a",
        "1→2 b",
        "1→2 c",
        "2→client y",
        "2→client b",
    ]


def test_what_goes_to_one_receiver_is_one_message() -> None:
    sent = chain(SKIP, stages((0, 2), (2, 4))).messages()
    assert {ends: [each.tensor for each in together] for ends, together in sent.items()} == {
        (CLIENT, 0): ["x"],
        (0, 1): ["a", "b"],
        (1, CLIENT): ["y"],
    }


@given(st.sets(st.integers(1, 3)), st.sampled_from([SKIP, LONG]))
def test_every_chain_is_valid(inner: set[int], graph: Graph) -> None:
    bounds = [0, *sorted(inner), 4]
    plan = chain(graph, stages(*pairwise(bounds)))
    assert validate(plan, graph) is plan


def test_a_plan_without_transfers_is_given_those_of_the_chain() -> None:
    cost = Cost(1.0, 1.0, 0, (), (), ())
    plan = Plan(SKIP.digest, stages((0, 2), (2, 4)), predicted=cost, name="by hand")
    full = validate(plan, SKIP)
    assert (full.transfers, full.predicted, full.name) == (chain(SKIP, plan.stages).transfers, cost, "by hand")


def test_a_tensor_may_be_sent_past_a_stage_straight_to_its_reader() -> None:
    direct = Plan(
        SKIP.digest,
        stages((0, 1), (1, 2), (2, 4)),
        (
            Transfer("x", CLIENT, 0),
            Transfer("a", 0, 1),
            Transfer("a", 0, 2),
            Transfer("b", 1, 2),
            Transfer("y", 2, CLIENT),
        ),
    )
    assert validate(direct, SKIP) is direct


def test_the_order_in_which_transfers_are_listed_does_not_matter() -> None:
    plan = chain(SKIP, stages((0, 1), (1, 2), (2, 4)))
    turned = Plan(plan.graph, plan.stages, plan.transfers[::-1])
    assert validate(turned, SKIP) is turned


def test_replicas_share_a_stage_and_its_transfers() -> None:
    plan = validate(Plan(SKIP.digest, (Stage(0, 2, ("pi",)), Stage(2, 4, ("nano", "tx2")))), SKIP)
    assert plan.devices == ("pi", "nano", "tx2")
    assert plan.describe() == "pi[0:2] → nano|tx2[2:4]"
    assert sent(plan) == ["client→0 x", "0→1 a", "0→1 b", "1→client y"]


def test_a_device_may_hold_two_stages() -> None:
    plan = Plan(SKIP.digest, (Stage(0, 1, ("pi",)), Stage(1, 2, ("nano",)), Stage(2, 4, ("pi",))))
    assert validate(plan, SKIP).devices == ("pi", "nano")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan("feedfacefeedface", stages((0, 4))), r"for graph feedfacefeed, this is 0123456789ab \(net\); partition this graph again"),
        (Plan(SKIP.digest, stages((1, 4))), r"stage 0 is units \[1, 4\), expected it to start at 0"),
        (Plan(SKIP.digest, stages((0, 2), (3, 4))), r"stage 1 is units \[3, 4\), expected it to start at 2"),
        (Plan(SKIP.digest, stages((0, 3), (2, 4))), r"stage 1 is units \[2, 4\), expected it to start at 3"),
        (Plan(SKIP.digest, stages((0, 2), (2, 2), (2, 4))), r"stage 1 is units \[2, 2\), .* not be empty"),
        (Plan(SKIP.digest, stages((0, 3), (3, 1))), r"stage 1 is units \[3, 1\)"),
        (Plan(SKIP.digest, stages((0, 3))), r"cover units \[0, 3\), the graph has 4; let the last stage stop there"),
        (Plan(SKIP.digest, stages((0, 9))), r"cover units \[0, 9\), the graph has 4; let the last stage stop there"),
        (Plan(SKIP.digest, stages((0, 9), (9, 12))), "cannot be cut at 9: there is no such unit; choose among 1, 2, 3"),
        (Plan(SKIP.digest, (Stage(0, 4, ("pi", "pi")),)), "stage 0 names a device twice: pi, pi; name each replica once"),
    ],
)
def test_stages_that_do_not_fit_the_graph_are_refused(plan: Plan, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        validate(plan, SKIP)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (Tensor("b", None, "float32"), "cannot be cut at 2: b has a shape that depends on the data; choose among 1, 3"),
        (Tensor("b", (1,), "string"), "cannot be cut at 2: b is of type string, which cannot be sent; choose among 1, 3"),
    ],
)
def test_a_cut_through_a_tensor_that_cannot_travel_is_refused(odd: Tensor, words: str) -> None:
    graph = network("inputs: x\n a = x\n b = a\n c = a, b\n y = c\n outputs: y", b=odd)
    with pytest.raises(PlanError, match=words):
        validate(Plan(graph.digest, stages((0, 2), (2, 4))), graph)


def test_a_graph_that_cannot_be_cut_anywhere_says_so() -> None:
    graph = network("inputs: x\n a = x\n y = a\n outputs: y", a=Tensor("a", None, "float32"))
    with pytest.raises(PlanError, match="choose among no position at all: keep the graph whole"):
        validate(Plan(graph.digest, stages((0, 1), (1, 2))), graph)


def test_a_plan_whose_stages_were_edited_gets_their_transfers() -> None:
    cost = Cost(1.0, 1.0, 0, (), (), ())
    made = structs.replace(chain(SKIP, stages((0, 1), (1, 4))), predicted=cost)
    moved = validate(structs.replace(made, stages=stages((0, 2), (2, 4))), SKIP)
    assert moved.transfers == chain(SKIP, stages((0, 2), (2, 4))).transfers and moved.predicted is None
    joined = validate(structs.replace(made, stages=stages((0, 4))), SKIP)
    assert sent(joined) == ["client→0 x", "0→client y"]
    coded = tuple(structs.replace(each, codec="u8") if each.source == 0 else each for each in made.transfers)
    with pytest.raises(PlanError, match="or delete all transfers of the plan, so that they are made anew"):
        validate(structs.replace(made, stages=stages((0, 2), (2, 4)), transfers=coded), SKIP)


GOOD = [
    Transfer("x", CLIENT, 0),
    Transfer("a", 0, 1),
    Transfer("b", 0, 1),
    Transfer("y", 1, CLIENT),
]


@pytest.mark.parametrize(
    ("transfers", "words"),
    [
        (GOOD[:3], "the client never gets y; add the transfers"),
        (GOOD[:2] + GOOD[3:], "stage 1 never gets b; add the transfers"),
        (GOOD[:1] + GOOD[3:], "stage 1 never gets a, b; add the transfers"),
        (GOOD[1:], "stage 0 never gets x; add the transfers"),
        ([*GOOD, GOOD[1]], "a reaches stage 1 twice; send it once"),
        ([*GOOD, Transfer("x", CLIENT, 1), Transfer("x", 0, 1)], "x reaches stage 1 twice; send it once"),
        ([*GOOD, GOOD[3]], "y reaches the client twice; send it once"),
        ([*GOOD, Transfer("a", 0, 2)], "a goes 0 → 2, but the plan has 2 stages"),
        ([*GOOD, Transfer("a", 7, 1)], "a goes 7 → 1, but the plan has 2 stages"),
        ([*GOOD, Transfer("y", 1, 0)], "y goes backwards, 1 → 0"),
        ([*GOOD, Transfer("a", 0, 0)], "a goes backwards, 0 → 0"),
        ([*GOOD, Transfer("c", 0, 1)], "stage 0 does not have c to send"),
        ([*GOOD, Transfer("nothing", CLIENT, 0)], "the client does not have nothing to send"),
    ],
)
def test_transfers_that_do_not_fit_are_refused(transfers: list[Transfer], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        validate(Plan(SKIP.digest, stages((0, 2), (2, 4)), tuple(transfers)), SKIP)


def test_a_stage_that_needs_what_only_skips_over_it_has_to_get_it_from_someone_who_has_it() -> None:
    through_one = (Transfer("x", CLIENT, 0), Transfer("b", 1, 2), Transfer("a", 1, 2), Transfer("y", 2, CLIENT))
    with pytest.raises(PlanError, match="stage 1 does not have a to send"):
        validate(Plan(SKIP.digest, stages((0, 1), (1, 2), (2, 4)), through_one), SKIP)
