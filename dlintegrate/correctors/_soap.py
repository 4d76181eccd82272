"""Adam in the eigenbasis of Shampoo; import this inside functions only."""

import torch


class Soap(torch.optim.Optimizer):
    """Adam in the basis in which the gradients of a matrix of weights are uncorrelated.

    The correlations of the gradient's rows, and those of its columns, are averaged over
    the steps; Adam's second moments live in their eigenvectors (Vyas et al. 2024,
    arXiv:2409.11321, Algorithm 3). Weights with three axes count as matrices whose rows are
    the first axis, biases go by plain Adam. The first step only measures.

    Weights of one shape are stacked and go together, since small networks would spend more
    time on dozens of small operations than on their gradients. The first of them keeps the
    state of all.

    Parameters
    ----------
    params : iterable of torch.nn.Parameter
    lr : float, default 3e-3
    betas : tuple of 2 floats, default (0.95, 0.95)
        Memory of the mean gradient, and of all second moments.
    eps : float, default 1e-8
    every : int, default 10
        Steps between turns of the basis.
    """

    def __init__(self, params, lr=3e-3, betas=(0.95, 0.95), eps=1e-8, every=10):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "every": every})

    @torch.no_grad()
    def step(self, closure=None):
        """One step of all weights; one that has no gradient counts as flat."""
        if closure is not None:
            raise TypeError("Soap evaluates no closure; pass none")
        for group in self.param_groups:
            alike = {}
            for weight in group["params"]:
                alike.setdefault((weight.shape, weight.dtype, weight.device), []).append(weight)
            for weights in alike.values():
                if any(weight.grad is not None for weight in weights):
                    self._step(weights, group)

    def _step(self, weights, group):
        """One step of weights of one shape."""
        gradients = torch.stack([
            torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights
        ])  # fmt: skip
        if gradients.ndim > 3:
            gradients = gradients.flatten(2)
        state = self.state[weights[0]]
        if not state:
            _begin(state, gradients)
            return
        changes = _change(state, gradients, group)
        for weight, change in zip(weights, changes, strict=True):
            weight.add_(change.reshape(weight.shape), alpha=-group["lr"])


def _begin(state, gradients):
    """The state of the weights of one shape, from their first gradients."""
    state["step"] = torch.zeros((), device=gradients.device)
    state["mean"], state["square"] = torch.zeros_like(gradients), torch.zeros_like(gradients)
    if gradients.ndim == 3:
        state["rows"], state["columns"] = gradients @ gradients.mT, gradients.mT @ gradients
        state["left"] = torch.linalg.eigh(state["rows"])[1]
        state["right"] = torch.linalg.eigh(state["columns"])[1]


def _change(state, gradients, group):
    """What the step subtracts, in units of the rate; moves the averages on."""
    (keep_mean, keep_square), matrix = group["betas"], gradients.ndim == 3
    state["step"] += 1
    step = float(state["step"])
    state["mean"].lerp_(gradients, 1 - keep_mean)
    mean = state["mean"]
    if matrix:
        left, right = state["left"], state["right"]
        seen, mean = left.mT @ gradients @ right, left.mT @ mean @ right
    else:
        seen = gradients
    state["square"].lerp_(seen.square(), 1 - keep_square)
    size = (state["square"] / (1 - keep_square**step)).sqrt() + group["eps"]
    changes = mean / (1 - keep_mean**step) / size
    if matrix:
        changes = left @ changes @ right.mT
        state["rows"].lerp_(gradients @ gradients.mT, 1 - keep_square)
        state["columns"].lerp_(gradients.mT @ gradients, 1 - keep_square)
        if step % group["every"] == 0:
            _turn(state)
    return changes


def _turn(state):
    """One power iteration of each basis, the largest first; second moments go along."""
    for axis, correlation, basis in ((1, "rows", "left"), (2, "columns", "right")):
        matrices, vectors = state[correlation], state[basis]
        order = (vectors * (matrices @ vectors)).sum(1).argsort(1, descending=True)
        ordered = vectors.take_along_dim(order[:, None], 2)
        state[basis] = torch.linalg.qr(matrices @ ordered)[0]
        along = order[:, :, None] if axis == 1 else order[:, None]
        state["square"] = state["square"].take_along_dim(along, axis)
