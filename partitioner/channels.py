"""What messages take between executors, whoever they are: by every codec, over every link, of both processors."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Cluster, Link
from edgekit.codec import OPSETS, STRAIGHT, Codec, carried, decode_s, encode_s, takes
from edgekit.constraints import Constraints
from edgekit.device import MCU
from edgekit.graph import Tensor
from edgekit.losses import Losses
from edgekit.profile import Profile
from partitioner.cost import meeting
from partitioner.cuts.places import Places
from partitioner.solve.device_kinds import Kinds
from partitioner.tables import Channel, Coding, Floats, Toll

__all__ = ["channels", "links_between", "tolls"]

Crew = Sequence[tuple[int, ...]]
"""The devices of each executor, by the numbers of their kinds."""

Links = Mapping[tuple[int, int], Link]
"""Between kinds by number, the client last."""


def links_between(cluster: Cluster, kinds: Kinds) -> Links:
    """The links between devices of all kinds; two of one kind are different ones."""
    ends = ((a, b) for a in range(len(kinds) + 1) for b in range(len(kinds) + 1))
    return {(a, b): link for a, b in ends if (link := _link(cluster, kinds, a, b)) is not None}


def _link(cluster: Cluster, kinds: Kinds, a: int, b: int) -> Link | None:
    client = len(kinds)
    if a == b:
        return cluster.link(kinds[a][0], kinds[a][1]) if a != client and len(kinds[a]) > 1 else None
    source = cluster.client if a == client else kinds[a][0]
    receiver = cluster.client if b == client else kinds[b][0]
    return cluster.link(source, receiver)


def channels(
    crew: Crew,
    profiles: Sequence[Sequence[Profile]],
    links: Links,
    kinds: Kinds,
    places: Places,
    constraints: Constraints,
    losses: Losses | None,
) -> tuple[Channel, ...]:
    """As everything is, then each codec whose losses are known, and straight; ``profiles`` are those of the devices of each executor."""
    barred = _barred(constraints, kinds, places)
    on_boards = np.array([*(devices[0].variant.engine == MCU for devices in profiles), False])  # which have no codecs

    def channel(codec: Codec) -> Channel:
        nbytes, loss = _written(places, codec, losses)
        message_s, link_load_s = _messages(crew, profiles, links, places, nbytes, barred)
        if codec == "raw":
            return Channel(codec, nbytes, message_s, link_load_s, None, None, loss)
        message_s[~np.isfinite(loss)] = np.inf
        message_s[:, on_boards, :] = message_s[:, :, on_boards] = np.inf
        encode, decode = (_coding(profiles, places, codec, way) for way in (encode_s, decode_s))
        return Channel(codec, nbytes, message_s, link_load_s, encode, decode, loss)

    coded = [channel(codec) for codec in ("raw", *(losses.codecs if losses else ()))]
    return (*coded, *_straight(crew, profiles, links, places, barred))


def _straight(
    crew: Crew, profiles: Sequence[Sequence[Profile]], links: Links, places: Places, barred: NDArray[np.bool_]
) -> Iterator[Channel]:
    """In whole numbers between executors of one twin's precision, which make and read them so anyway."""
    for precision in dict.fromkeys(profile.variant.precision for devices in profiles for profile in devices if profile.twin):
        held = places.held(precision)
        apart = ~np.array([*(devices[0].twin != "" and devices[0].variant.precision == precision for devices in profiles), False])
        for codec in STRAIGHT:
            so = [{name for name, each in found.items() if each.dtype == codec} for found in held]
            if not any(so):
                continue
            at = zip(so, places.crossing, strict=True)
            nbytes = np.array([sum(_straight_bytes(tensor, codec, names) for tensor in tensors) for names, tensors in at], np.float64)
            message_s, link_load_s = _messages(crew, profiles, links, places, nbytes, barred)
            message_s[[not names for names in so]] = np.inf
            message_s[:, apart, :] = message_s[:, :, apart] = np.inf
            yield Channel(codec, nbytes, message_s, link_load_s, None, None, np.zeros(len(so)))


def _straight_bytes(tensor: Tensor, codec: Codec, held: Collection[str]) -> int:
    return sum(each.nbytes for each in carried(tensor, codec if tensor.name in held else "raw"))


def _barred(constraints: Constraints, kinds: Kinds, places: Places) -> NDArray[np.bool_]:
    """[P, K + 1]: what crosses a place holds something that is not to be sent to a kind, or to the client."""
    barred = np.zeros((len(places.names), len(kinds) + 1), bool)
    for rule in constraints.private:
        at = [position for position, tensors in enumerate(places.crossing) if any(tensor.name == rule.tensor for tensor in tensors)]
        others = [receiver for receiver, kind in enumerate((*kinds, ())) if kind != (rule.device,)]
        barred[np.ix_(at, others)] = True
    return barred


def _written(places: Places, codec: Codec, losses: Losses | None) -> tuple[Floats, Floats]:
    """[P] each: bytes of what travels at a place, and what is lost by that; infinite where nothing there can be sent so."""
    if codec == "raw" or losses is None:
        return places.cut_bytes, np.zeros(len(places.names))
    nbytes, loss = places.cut_bytes.copy(), np.full(len(places.names), np.inf)
    for position, tensors in enumerate(places.crossing):
        lost = [losses.of(tensor.name, codec) for tensor in tensors if takes(tensor, codec)]
        known = [each for each in lost if each is not None]
        if known and len(known) == len(lost) and 0 < position < len(places.names) - 1 and not 0 < places.opset < OPSETS[codec]:
            nbytes[position] = sum(each.nbytes for tensor in tensors for each in carried(tensor, codec if takes(tensor, codec) else "raw"))
            loss[position] = sum(known)
    return nbytes, loss


def _coding(profiles: Sequence[Sequence[Profile]], places: Places, codec: Codec, way: Callable[..., float | None]) -> Coding:
    """What a codec takes of each executor; the client takes no part."""
    shape = (len(places.names), len(profiles) + 1)
    found = Coding(np.zeros(shape), np.zeros((*shape, max(map(len, profiles)))), np.zeros(shape))
    for number, crew in enumerate(profiles):
        for device, profile in enumerate(crew):
            for position, tensors in enumerate(places.crossing):
                each = [way(profile.codecs, codec, tensor.nbytes) for tensor in tensors if takes(tensor, codec)]
                known = [seconds for seconds in each if seconds is not None]
                total = sum(known) if len(known) == len(each) else np.inf
                found.seconds[position, number] = max(found.seconds[position, number], total)
                if np.isfinite(total):
                    found.load_s[position, number, device] = total / len(crew)
                    found.active_j[position, number] += (profile.active_w or 0.0) * total / len(crew)
    return found


def _messages(
    crew: Crew, profiles: Sequence[Sequence[Profile]], links: Links, places: Places, nbytes: Floats, barred: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """[P, E + 1, E + 1] each: seconds until a message has arrived, and on the link; of several the slowest counts."""
    client = barred.shape[1] - 1
    size = client + 1
    crossed = np.array([bool(tensors) for tensors in places.crossing])
    message = np.tile(np.where(crossed, np.inf, 0.0)[:, None, None], (1, size, size))
    load = np.zeros_like(message)
    for ends, link in links.items():
        load[:, *ends] = nbytes / link.bytes_per_s
        message[:, *ends] = np.where(crossed, [link.transfer_s(int(each)) for each in nbytes], 0.0)
    message[np.broadcast_to(barred[:, None, :], message.shape)] = np.inf
    ends_of = [*crew, (client,)]
    beside = np.where(crossed[:, None, None], _beside(ends_of, profiles, links, nbytes), 0.0)
    if max(map(len, ends_of)) == 1:
        one = np.array([end[0] for end in ends_of])
        return message[:, one[:, None], one[None, :]], np.maximum(load[:, one[:, None], one[None, :]], beside)
    joined, loads = (np.zeros((len(message), len(ends_of), len(ends_of))) for _ in range(2))
    for at, _, hop, share in _hops(ends_of):
        joined[:, *at] = np.maximum(joined[:, *at], message[:, *hop])
        loads[:, *at] = np.maximum(loads[:, *at], load[:, *hop] * share)
    return joined, np.maximum(loads, beside)


def _beside(ends: Crew, profiles: Sequence[Sequence[Profile]], links: Links, nbytes: Floats) -> Floats:
    """[P, E + 1, E + 1]: seconds of the transport for a message, at the end with a core for it that takes longer; 0 where neither has."""
    found = np.zeros((len(nbytes), len(ends), len(ends)))
    spare = [[not profile.crowded for profile in devices] for devices in profiles]
    if not any(map(any, spare)):
        return found
    spare.append([False])
    for (source, receiver), (i, j), hop, share in _hops(ends):
        if (link := links.get(hop)) is None:
            continue
        for has, per_message, per_byte in (
            (spare[source][i], link.send_s_per_message, link.send_s_per_byte),
            (spare[receiver][j], link.receive_s_per_message, link.receive_s_per_byte),
        ):
            if has:
                found[:, source, receiver] = np.maximum(found[:, source, receiver], (per_message + nbytes * per_byte) * share)
    return found


def tolls(crew: Crew, profiles: Sequence[Sequence[Profile]], links: Links, client: int) -> tuple[Toll, Toll]:
    """What each message takes between executors, and each byte of it; nothing of a device that has a core for it."""
    uses = Counter(medium for link in links.values() for medium in dict.fromkeys(link.media))
    media = [medium for medium, count in uses.items() if count > 1]  # a medium of one link is that link
    per_message = _toll(crew, links, client, media, lambda link: (link.send_s_per_message, link.receive_s_per_message, 0.0))
    per_byte = _toll(crew, links, client, media, lambda link: (link.send_s_per_byte, link.receive_s_per_byte, 1 / link.bytes_per_s))
    crowded = np.zeros((len(crew) + 1, max(map(len, profiles), default=1)))
    for executor, devices in enumerate(profiles):
        crowded[executor, : len(devices)] = [profile.crowded for profile in devices]
    per_message, per_byte = (
        toll._replace(send=toll.send * crowded[:, None, :], receive=toll.receive * crowded[None, :, :]) for toll in (per_message, per_byte)
    )
    busy = per_message.shared.any(axis=(1, 2)) | per_byte.shared.any(axis=(1, 2))
    return per_message._replace(shared=per_message.shared[busy]), per_byte._replace(shared=per_byte.shared[busy])


def _toll(crew: Crew, links: Links, client: int, media: Sequence[str], of: Callable[[Link], tuple[float, float, float]]) -> Toll:
    """By what is taken of a link's processors, of its source and its receiver, and of its media."""
    size = client + 1
    send, receive, shared = np.zeros((size, size)), np.zeros((size, size)), np.zeros((len(media) + 1, size, size))
    for ends, link in links.items():
        send[ends], receive[ends], occupied = of(link)
        for i, medium in enumerate(media):
            shared[i][ends] = occupied if medium in link.media else 0.0
    shared[-1, client, :], shared[-1, :, client] = send[client, :], receive[:, client]
    return _between([*crew, (client,)], Toll(send, receive, shared))


def _between(ends: Crew, kinds: Toll) -> Toll:
    """Between executors what is known between the kinds of their devices."""
    size, most = len(ends), max(map(len, ends))
    if most == 1:
        one = np.array([end[0] for end in ends])
        a, b = one[:, None], one[None, :]
        return Toll(kinds.send[a, b][:, :, None], kinds.receive[a, b][:, :, None], kinds.shared[:, a, b])
    send, receive = np.zeros((size, size, most)), np.zeros((size, size, most))
    shared = np.zeros((len(kinds.shared), size, size))
    for at, (i, j), hop, share in _hops(ends):
        shared[:, *at] += kinds.shared[:, *hop] * share
        send[*at, i] += kinds.send[hop] * share
        receive[*at, j] += kinds.receive[hop] * share
    return Toll(send, receive, shared)


def _hops(ends: Crew) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int], float]]:
    """Every two devices of two executors that meet: the executors, which devices of theirs, their kinds, and their share of all frames."""
    for source, sources in enumerate(ends):
        for receiver, receivers in enumerate(ends):
            met, share = meeting(len(sources), len(receivers))
            yield from (((source, receiver), (i, j), (sources[i], receivers[j]), share) for i, j in met)
