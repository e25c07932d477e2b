"""Finds out why a PyTorch training script trains badly, and proves the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from agent.diagnosis import Diagnosis

__all__ = ["diagnose"]
__version__ = "0.1.0"


def diagnose(
    train: Callable[[], Any] | str | os.PathLike[str],
    metric: str | None = None,
    *,
    args: Iterable[str] = (),
    **options: Any,
) -> Diagnosis:
    """Find out why a training goes badly, and prove a fix; works from a notebook, too.

    ::

        from agent import diagnose

        def train():
            ...
            for epoch in range(10):
                ...
                print(f"epoch {epoch} val_acc={accuracy:.3f}")

        diagnose(train, metric="val_acc")

    Each trial calls the function in a process of its own, in a scratch copy of the working
    directory. What it closes over, global names included, is copied as it is now; what it prints or
    logs are its metrics. A number that it returns is the metric ``result``, and those in a returned
    dictionary are metrics by their keys.

    Args:
        train: A function that is called without arguments; or the path of a script.
        metric: ``NAME`` or ``NAME:min`` or ``NAME:max``; inferred where it is None.
        args: Arguments of a script; what a callable sees as ``sys.argv[1:]``.
        options: Those of ``agent diagnose``, by the same names: ``observe=True``, ``seeds=3``,
            ``budget=24``, ``max_steps=500``, ``timeout=600``, ``only=("P101",)``, ``slots=1``,
            ``tracking_uri=...`` and so on. ``progress=True`` shows on stderr what happens.

    Returns:
        The diagnosis; printed or shown by a notebook, it is the report.

    Raises:
        UsageError: It is no callable, cannot be sent to another process, or an option is wrong.
        WorkloadError: The untreated function fails by itself, or trains nothing.
        InfrastructureError: Ray, MLflow or the disk fails.
    """
    from agent.python_call import run

    if metric is not None:
        options["metric"] = metric
    return run(train, args, options)
