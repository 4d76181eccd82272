"""Which torch device to use."""


def resolve_device(device="auto"):
    """Return a ``torch.device`` that exists here.

    Parameters
    ----------
    device : str or torch.device, default "auto"
        ``"auto"`` is the GPU where there is one, else the CPU.

    Raises
    ------
    ValueError
        If the device is unknown or absent.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} cannot be used here ({reason}); use 'auto' or 'cpu'"
        ) from None
    return resolved
