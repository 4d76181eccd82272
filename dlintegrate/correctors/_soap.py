"""Adam in the eigenbasis of Shampoo; import this inside functions only."""

import torch


class Soap(torch.optim.Optimizer):
    """Adam in the basis in which the gradients of a matrix of weights are uncorrelated.

    The correlations of the gradient's rows, and those of its columns, are averaged over
    the steps; Adam's second moments live in their eigenvectors (Vyas et al. 2024,
    arXiv:2409.11321, Algorithm 3). Weights with three axes count as matrices whose rows are
    the first axis, biases go by plain Adam. The first step only measures.

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
        """One step of all weights that have a gradient."""
        if closure is not None:
            raise TypeError("Soap evaluates no closure; pass none")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                gradient = weight.grad.reshape(len(weight), -1) if weight.ndim > 1 else weight.grad
                state = self.state[weight]
                if state:
                    change = _change(state, gradient, group)
                    weight.add_(change.reshape(weight.shape), alpha=-group["lr"])
                else:
                    _begin(state, gradient)


def _begin(state, gradient):
    """The state of a weight, from its first gradient."""
    state["step"] = torch.zeros((), device=gradient.device)
    state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
    if gradient.ndim == 2:
        state["rows"], state["columns"] = gradient @ gradient.T, gradient.T @ gradient
        state["left"] = torch.linalg.eigh(state["rows"])[1]
        state["right"] = torch.linalg.eigh(state["columns"])[1]


def _change(state, gradient, group):
    """What the step subtracts, in units of the rate; moves the averages on."""
    (keep_mean, keep_square), matrix = group["betas"], gradient.ndim == 2
    state["step"] += 1
    step = float(state["step"])
    state["mean"].lerp_(gradient, 1 - keep_mean)
    mean = state["mean"]
    if matrix:
        left, right = state["left"], state["right"]
        seen, mean = left.T @ gradient @ right, left.T @ mean @ right
    else:
        seen = gradient
    state["square"].lerp_(seen.square(), 1 - keep_square)
    size = (state["square"] / (1 - keep_square**step)).sqrt() + group["eps"]
    change = mean / (1 - keep_mean**step) / size
    if matrix:
        change = left @ change @ right.T
        state["rows"].lerp_(gradient @ gradient.T, 1 - keep_square)
        state["columns"].lerp_(gradient.T @ gradient, 1 - keep_square)
        if step % group["every"] == 0:
            _turn(state)
    return change


def _turn(state):
    """One power iteration of each basis, the largest first; second moments go along."""
    for axis, correlation, basis in ((0, "rows", "left"), (1, "columns", "right")):
        matrix, vectors = state[correlation], state[basis]
        order = (vectors * (matrix @ vectors)).sum(0).argsort(descending=True)
        state[basis] = torch.linalg.qr(matrix @ vectors[:, order])[0]
        state["square"] = state["square"].index_select(axis, order)
