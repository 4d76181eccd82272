"""Training on several processes: what the ranks share, and what only the first one does."""

import numpy as np


class Alone:
    """One process: nothing to share."""

    rank, size = 0, 1

    def same(self, function):
        """The result of ``function()``."""
        return function()

    def agree(self, value):
        """Nobody to disagree with."""

    def copy(self, module):
        """The module stays as it is."""

    def share(self, index):
        """All of the samples."""
        return index

    def add(self, tensor):
        """The sum of one."""
        return tensor

    def add_gradients(self, module):
        """The gradients are complete."""


class Ranks(Alone):
    """The default process group of ``torch.distributed``, as torchrun sets it up.

    Every rank holds all samples, draws the same random numbers and takes its share
    of each batch; gradients are added up. So whatever is decided from a loss is
    decided alike on all ranks, and only clocks and files need the first one's word.
    """

    def __init__(self):
        import torch.distributed as dist

        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def same(self, function):
        """What ``function()`` returns on the first rank, or the error that it raises there."""
        import torch.distributed as dist

        answer = [None, None]
        if self.rank == 0:
            try:
                answer[0] = function()
            except Exception as error:  # the others must not wait for ever
                answer[1] = error
        dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def agree(self, value):
        """Raise ValueError on all ranks if ``value`` is not the same everywhere."""
        import torch.distributed as dist

        values = [None] * self.size
        dist.all_gather_object(values, value)
        others = [rank for rank in range(self.size) if values[rank] != values[0]]
        if others:
            raise ValueError(
                f"rank {others[0]} trains on other data or with other parameters than rank 0; "
                "give all processes the same ones (and the same random_state)"
            )

    def copy(self, module):
        """Give all ranks the weights of the first one."""
        import torch.distributed as dist

        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)

    def share(self, index):
        """The part of a batch that is this rank's; may be empty."""
        return index.tensor_split(self.size)[self.rank]

    def add(self, tensor):
        """The sum over ranks, in place."""
        import torch.distributed as dist

        dist.all_reduce(tensor)
        return tensor

    def add_gradients(self, module):
        """Sum over ranks of the gradients, in one message of each type of number."""
        import torch

        gradients = {}
        for parameter in module.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:  # no sample of this batch, or not used by the loss
                    parameter.grad = torch.zeros_like(parameter)
                gradients.setdefault(parameter.dtype, []).append(parameter.grad)
        for parts in gradients.values():
            flat = self.add(torch.cat([part.reshape(-1) for part in parts]))
            ends = np.cumsum([part.numel() for part in parts])
            for part, end in zip(parts, ends, strict=True):
                part.copy_(flat[end - part.numel() : end].view_as(part))


def process_group():
    """The ranks of this training.

    Returns
    -------
    Ranks or Alone
        Ranks if ``torch.distributed`` is initialised and has more than one.
    """
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return Ranks()
    return Alone()
