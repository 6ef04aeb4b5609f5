"""One training in several processes, on one machine or several, which torchrun starts.

    torchrun --nproc-per-node 2 -m spr_cli.main train ranker c

Each process encodes its rows of a batch. What they encoded is gathered, so that every process has the losses
of the whole batch, whose negatives are the batch's other rows; DistributedDataParallel averages gradients.
So N processes do the steps of one, up to rounding. What encoders draw (dropout) differs by process; what
losses draw is the same in all. One process leads: it alone validates and writes.
"""

import atexit
import contextlib
import datetime
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import Mismatch, Unavailable

# For a process that waits while another validates.
PATIENCE = datetime.timedelta(hours=2)
Made = TypeVar("Made")

# Groups that are done with, until the process ends. DistributedDataParallel holds its group too, and where it
# is the last to, torch waits for the group's threads without giving them the GIL, for which they may wait.
# What is dropped from here gives it to them.
_ended: list[Any] = []


@atexit.register
def _drop_groups() -> None:
    if _ended:
        # Models are in cycles with what holds their group. A thread that asks for the GIL later aborts the
        # process: one that waits for it now has it while this one sleeps.
        gc.collect()
        _ended.clear()
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training, as each sees them. rank: its own number, of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that validates and writes."""
        return self.rank == 0

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Return whether it is so in any process; all call it."""
        if self.count == 1:
            return flag
        flags = torch.tensor([float(flag)], device=_device())
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def in_turn(self, work: Callable[[], Made]) -> Made:
        """Return what work gives: the leader's comes first, so that the others find what it has stored."""
        if not self.leads:
            self.meet()
        made = work()
        if self.leads:
            self.meet()
        return made

    def agree(self, digest: str) -> None:
        """Raise Mismatch where a process has other data than the leader. digest: of the data, hexadecimal."""
        if self.count == 1:
            return
        mine = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=_device())
        leaders = mine.clone()
        dist.broadcast(leaders, 0)
        if self.any(not torch.equal(mine, leaders)):
            raise Mismatch(
                "The processes of this training read different data; give all of them the same collection."
            )

    def end_unless_leading(self) -> None:
        """End a process that has nothing left to do: the leader keeps the model."""
        if not self.leads:
            raise SystemExit(0)

    def averaged(
        self, model: nn.Module, losses: Callable[..., Made], unused: bool = False
    ) -> Callable[..., Made]:
        """Return `losses`, through which gradients of `model` come to be the mean over all processes.

        unused: whether some parameters have no part in the losses.
        """
        if self.count == 1:
            return losses
        return DistributedDataParallel(_Losses(model, losses), find_unused_parameters=unused)

    def encode(self, encoder: Callable[..., Iterable[Tensor]], columns: Sequence[Tensor]) -> Iterable[Tensor]:
        """Return what an encoder makes of columns (n, ...), each process of its rows, gathered.

        encoder: takes rows of the columns; gives tensors (rows, ...), row by row, as wide in every process.
        The gradient that comes back is multiplied by the number of processes: each has that of the whole
        loss, and gradients are averaged.
        """
        if self.count == 1:
            return encoder(*columns)
        bounds = [len(columns[0]) * rank // self.count for rank in range(self.count + 1)]
        first, last = bounds[self.rank : self.rank + 2]
        # Where there are fewer rows than processes, some encode one that is not gathered.
        rows = slice(first, last) if last > first else slice(0, 1)
        made = encoder(*(column[rows] for column in columns))
        return [_gathered(part[: last - first], bounds, self.rank) for part in made]

    @contextlib.contextmanager
    def drawing(self, seed: Sequence[int]) -> Iterator[None]:
        """Draw by rank and this step's seed, so that no two processes drop the same; alone, as ever."""
        if self.count == 1:
            yield
            return
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            torch.manual_seed(int(np.random.SeedSequence([*seed, self.rank]).generate_state(1)[0]))
            yield


ALONE = Processes()


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started with this one; ALONE where there are none.

    Unavailable where another process ends in the middle.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        yield Processes(dist.get_rank(), count)
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise Unavailable(
            f"Process {os.environ.get('RANK')} of {count} of this training cannot go on, most likely as "
            f"another ended, which says why ({first}); the same command goes on from the last saved state."
        ) from error
    finally:
        if dist.is_initialized():
            _ended.append(dist.group.WORLD)
            dist.destroy_process_group()


def _device() -> torch.device:
    """Return where tensors must be to be sent."""
    of_cards = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if of_cards else torch.device("cpu")


class _Losses(nn.Module):
    """A model and what computes its losses, as the one module that DistributedDataParallel wants."""

    def __init__(self, model: nn.Module, losses: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self._losses = model, losses

    def forward(self, *arguments: Any) -> Any:
        """Return the losses."""
        return self._losses(*arguments)


class _Gathered(torch.autograd.Function):
    """Rows of all processes, one process's after the other's."""

    @staticmethod
    def forward(context: Any, own: Tensor, bounds: Sequence[int], rank: int) -> Tensor:
        """Return (n, ...) of own (rows, ...). bounds: where each process's rows begin, and n."""
        context.bounds, context.rank = bounds, rank
        counts = [end - begin for begin, end in itertools.pairwise(bounds)]
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the own rows, times the number of processes."""
        first, last = context.bounds[context.rank : context.rank + 2]
        return gradients[0][first:last] * (len(context.bounds) - 1), None, None


def _gathered(own: Tensor, bounds: Sequence[int], rank: int) -> Tensor:
    made: Tensor = _Gathered.apply(own, bounds, rank)  # type: ignore[no-untyped-call]
    return made
