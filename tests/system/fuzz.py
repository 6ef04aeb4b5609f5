"""Requests to all methods of a running service: random bytes, random messages, nearly right ones."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from tests.system.fuzz_calls import PATIENCE, Call, Reply, call_of, noise, send
from tests.system.fuzz_right import Port, may_be_mutated
from tests.system.random_messages import fill, mutate, spoil

CONTROL_EVERY = 100
NEVER = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
# Allowed where the call itself was hurried, or cancelled.
HURRIED = ("DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE")
# gRPC says these itself, without a reason of ours.
BARE = ("RESOURCE_EXHAUSTED", "UNIMPLEMENTED")
# Only ever undone: a worker that drains answers no right search.
DRAINS = ("Drain", "DrainWorker")
WITHOUT_FIELD = ("MESSAGE_INVALID",)
TOLD = 50
# Said of a call whose connection had been open for as long as one may be: clients send it again.
OF_AGE = "max_age"


@dataclass
class Outcome:
    """What came back: codes, calls of each method, and every answer that is a defect of ours."""

    codes: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: MethodDescriptor, call: Call, reply: Reply) -> None:
        """Count a reply, and judge it."""
        why = defect(method, call, reply)
        with self.lock:
            self.codes[reply.code] += 1
            self.methods[method.full_name] += 1
            self.slowest = max(self.slowest, reply.seconds)
            if why and len(self.defects) < TOLD:
                about = f"{why}: {call.path} {reply.code} {reply.reason} {reply.told[:200]}"
                self.defects.append(f"{about} of {b''.join(call.data)[:300]!r} {call.about}")


def defect(method: MethodDescriptor, call: Call, reply: Reply) -> str:
    """Return what is wrong with a reply, "" where nothing is."""
    ours = method.full_name.startswith("spr.") and call.path.endswith(f"/{method.name}")
    reshaped = call.streams and not (method.client_streaming or method.server_streaming)
    if reply.seconds > PATIENCE - 1:
        return "hangs"
    if reply.code in NEVER:
        return "our fault"
    if reply.code == "RESOURCE_EXHAUSTED" and "in flight" in reply.told:
        return "places that were not given back"
    if reply.code in HURRIED and not call.hurried and not reshaped and not len(call.data) != 1:
        return "no answer"
    if ours and reply.code not in ("OK", *HURRIED, *BARE):
        if not reply.reason:
            return "no reason"
        if reply.code == "INVALID_ARGUMENT" and reply.reason not in WITHOUT_FIELD and not any(reply.fields):
            return "no field"
    return ""


def fuzz(ports: Sequence[Port], count: int, seed: int, control: Callable[[], None], threads: int) -> Outcome:
    """Send `count` requests from some threads; `control` is called between some of them."""
    outcome = Outcome()
    methods = [(port, method) for port in ports for method in port.methods()]
    ours = [pair for pair in methods if pair[1].full_name.startswith("spr.")]
    others = [pair for pair in methods if pair not in ours]

    def work(thread: int) -> None:
        chance = random.Random(f"{seed} {thread}")
        for number in range(thread, count, threads):
            if number // threads % CONTROL_EVERY == 0:
                control()
            if chance.random() < 0.005:
                noise(chance, chance.choice(ports).address)
            port, method = chance.choice(others if chance.random() < 0.1 else ours)
            call = call_of(chance, method, request(chance, port, method))
            reply = send(port.channel, call)
            outcome.note(method, call, send(port.channel, call) if OF_AGE in reply.told else reply)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, thread) for thread in range(threads)]:
            done.result()
    control()
    return outcome


def request(chance: random.Random, port: Port, method: MethodDescriptor) -> bytes:
    """Return a request's bytes: random ones, a random message's, or those of one that is nearly right."""
    kind = chance.random()
    if method.name in DRAINS:
        drain: Any = GetMessageClass(method.input_type)()
        fill(chance, drain, 3)
        drain.undo = True
        return bytes(drain.SerializeToString())
    if kind < 0.1:
        return chance.randbytes(chance.choice([0, 1, 2, 8, 64, 1000]))
    message = GetMessageClass(method.input_type)()
    if kind < 0.4:
        fill(chance, message, 3)
        return message.SerializeToString()
    if right := port.right.get(method.input_type.full_name):
        message.CopyFrom(chance.choice(right))
    if kind < 0.6 and may_be_mutated(message):
        return mutate(chance, message.SerializeToString())
    for _ in range(chance.choice([0, 1, 1, 2])):
        spoil(chance, message)
    return message.SerializeToString()


def reached(outcome: Outcome, ports: Sequence[Port]) -> Iterator[str]:
    """Yield the methods that were not called."""
    for port in ports:
        for method in port.methods():
            if not outcome.methods[method.full_name]:
                yield method.full_name
