"""How much of a device's memory a step takes, where the device says."""

import torch


def begin(device: torch.device) -> None:
    """A step begins."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def used(device: torch.device) -> float | None:
    """The largest share of the memory that was taken since; None on a CPU."""
    if device.type != "cuda":
        return None
    return float(torch.cuda.max_memory_reserved(device) / torch.cuda.get_device_properties(device).total_memory)


def ran_out(error: Exception) -> bool:
    """Whether an error says that there is no memory left; on a CPU it has no class of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def give_back(device: torch.device) -> None:
    """What is free of what was taken goes back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
