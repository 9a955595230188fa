"""Fully sharded data parallelism (FSDP; Zhao et al. 2023, arXiv 2304.11277), by torch's `fully_shard`: each of several
processes keeps a part of every weight, with the gradient and the optimizer's moments of that part.

The weights of a block are gathered when it is used, forwards and backwards, and let go afterwards. So all processes
must use the model at the same time and equally often. What is gathered is gathered in all of them, and what is written
is gathered tensor by tensor into the memory of the first one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from arasuji import processes
from arasuji.device import here
from arasuji.errors import OptionError
from arasuji.models import LanguageModel


def shard(model: LanguageModel) -> LanguageModel:
    """Cut the weights of a model, which is the same in all processes, and move each part to its device. Returns a
    hollow copy for `whole_model`: the same modules, whose weights take no memory.

    Raises OptionError for a family without blocks.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    blocks = model.blocks_as_modules()
    if not blocks:
        raise OptionError(
            "shard=true is for transformers, whose blocks are gathered one at a time: leave it out, and each process "
            "has the whole model"
        )
    hollow = {id(p): nn.Parameter(_hollow(p), p.requires_grad) for p in model.parameters()}
    copied = copy.deepcopy(model, {**hollow})  # what deepcopy finds there is copied already
    mesh = init_device_mesh(here().type, (processes.count(),))
    for module in (*blocks, model):
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
    # Memory for gathered weights is made at the first use. Made in inference mode, by `score`, it could not be trained.
    _read_along(model)
    return copied


def is_sharded(model: LanguageModel) -> bool:
    """Whether each process has a part of every weight."""
    return any(_is_part(parameter) for parameter in model.parameters())


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process has a part, gathered in every process; another one as it is."""
    if not _is_part(tensor):
        return tensor
    with processes.together():
        gathered: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return gathered


def whole_in_main(tensor: Tensor) -> Tensor:
    """The same on the CPU of the first process, and nothing in the others."""
    if not _is_part(tensor):
        return tensor
    gathered = whole(tensor.detach())
    return gathered.cpu() if processes.is_main() else torch.empty(0)


def part_of(tensor: Tensor, like: Tensor) -> Tensor:
    """The part of a tensor that this process has of `like`, a weight of the same shape; the tensor itself where each
    process has all of the weight. All processes must have the same tensor."""
    if not _is_part(like) or not tensor.ndim:  # Adam counts its steps in a number
        return tensor
    from torch.distributed.tensor import distribute_tensor

    mesh, places = like.device_mesh, like.placements  # type: ignore[attr-defined]
    return distribute_tensor(tensor.to(mesh.device_type), mesh, places, src_data_rank=None)  # nothing is sent


@contextmanager
def whole_model(model: LanguageModel, hollow: LanguageModel | None) -> Iterator[LanguageModel]:
    """Inside, a model with whole weights on the CPU in the first process, to be saved there, and a hollow one in the
    others; `hollow` is what `shard` returned, and without one the model itself is whole."""
    if hollow is None:
        yield model
        return
    for part, parameter in zip(model.parameters(), hollow.parameters(), strict=True):
        gathered = whole_in_main(part)
        if processes.is_main():
            parameter.data = gathered
    try:
        yield hollow
    finally:
        for parameter in hollow.parameters():
            parameter.data = _hollow(parameter)


@contextmanager
def in_step(model: LanguageModel) -> Iterator[None]:
    """Inside, the processes may use a sharded model for reading unequally often: those that have finished read along,
    and gather weights for the others, until all have finished."""
    if not is_sharded(model):
        yield
        return
    asked = model.register_forward_pre_hook(lambda *_: _still_reading(), prepend=True)
    try:
        with processes.together():  # weights are gathered in each reading
            yield
    finally:
        asked.remove()
    while processes.any_of(False):
        _read_along(model)


def _still_reading() -> None:
    processes.any_of(True)


def _read_along(model: LanguageModel) -> None:
    token = torch.zeros(1, 1, dtype=torch.int64, device=here())
    with torch.no_grad(), processes.together():
        model(token, token)


def _is_part(tensor: Tensor) -> bool:
    if processes.count() == 1:
        return False
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def _hollow(like: Tensor) -> Tensor:
    """A tensor of the same shape and type that takes the memory of one number."""
    return torch.zeros((), dtype=like.dtype).expand(like.shape)
