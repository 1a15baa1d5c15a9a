"""Distributed training: communication between processes.

An exchange is an object with ``rank``, ``size``, ``all_gather`` and ``all_to_all`` as in :class:`Exchange`, for ``infomark.train(...,
exchange=...)``. Here are those of MPI (mpi4py) and of ``torch.distributed``, which ``torchrun`` and Ray Train set up.
"""

from __future__ import annotations

import datetime
from typing import Any, Protocol

import numpy as np

__all__ = ["Exchange", "MpiExchange", "TorchExchange"]


class Exchange(Protocol):
    """Collective communication: all ranks make the same calls in the same order, from one thread at a time, not always the main one."""

    @property
    def rank(self) -> int:
        """Rank of this process, 0 to ``size - 1``."""
        ...

    @property
    def size(self) -> int:
        """World size: number of processes."""
        ...

    def all_gather(self, data: bytes) -> list[bytes]:
        """Gathers the bytes of all ranks, in rank order."""
        ...

    def all_to_all(self, parts: list[bytes]) -> list[bytes]:
        """Sends ``parts[i]`` to rank ``i``; returns the bytes of each rank for this one, in rank order."""
        ...


class MpiExchange:
    """By MPI: the processes of ``mpiexec`` or ``srun``, or those of an mpi4py communicator.

    Start Python with ``-m mpi4py``: an uncaught exception then ends all processes.
    """

    def __init__(self, communicator: Any = None) -> None:
        from mpi4py import MPI

        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise RuntimeError("this MPI can't be called from other threads: set mpi4py.rc.thread_level to 'serialized' or 'multiple'")
        # A copy, whose messages are not mixed up with those of the caller.
        self._communicator = (MPI.COMM_WORLD if communicator is None else communicator).Dup()
        self.rank: int = self._communicator.Get_rank()
        self.size: int = self._communicator.Get_size()

    def all_gather(self, data: bytes) -> list[bytes]:
        return list(self._communicator.allgather(data))

    def all_to_all(self, parts: list[bytes]) -> list[bytes]:
        return list(self._communicator.alltoall(parts))


class TorchExchange:
    """By ``torch.distributed``, after ``init_process_group``: all its processes, or those of a group of the backend gloo.

    Without a ``group``, all processes make one with the backend gloo, which uses main memory, whatever the default backend. A rank is
    given up after ``timeout`` without a message.
    """

    def __init__(self, group: Any = None, timeout: datetime.timedelta = datetime.timedelta(hours=2)) -> None:
        import torch
        import torch.distributed

        self._torch, self._distributed = torch, torch.distributed
        self._group = torch.distributed.new_group(backend="gloo", timeout=timeout) if group is None else group
        self.rank: int = torch.distributed.get_rank(self._group)
        self.size: int = torch.distributed.get_world_size(self._group)

    def all_gather(self, data: bytes) -> list[bytes]:
        parts: list[Any] = [None] * self.size
        self._distributed.all_gather_object(parts, data, group=self._group)
        return parts

    def all_to_all(self, parts: list[bytes]) -> list[bytes]:
        sent = [len(part) for part in parts]
        lengths = self._torch.zeros(self.size, dtype=self._torch.int64)
        self._distributed.all_to_all_single(lengths, self._torch.tensor(sent, dtype=self._torch.int64), group=self._group)
        received: list[int] = lengths.tolist()
        out = self._torch.zeros(sum(received), dtype=self._torch.uint8)
        joined = self._torch.from_numpy(np.frombuffer(b"".join(parts), np.uint8).copy())
        self._distributed.all_to_all_single(out, joined, received, sent, group=self._group)
        content = out.numpy()
        ends = np.cumsum(received)
        return [content[end - length : end].tobytes() for end, length in zip(ends, received)]
