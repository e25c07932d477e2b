"""The process that holds the Ray of all workers, and ends with the server that started it."""

from __future__ import annotations

import json
import os
import sys
import threading

_NICER = 10
_PROCESSES = 4096


def main(arguments: list[str]) -> int:
    """Connect to Ray, say on stdout what is there, and wait for the end of stdin.

    Args:
        arguments: The number of the process that started this one, the cores that a local Ray is
            to have, and the address of another one where there is one.

    Returns:
        The exit code.
    """
    from agent.cluster import connected, resources
    from agent.errors import AgentError
    from agent.inside.isolation import die_with_parent
    from agent.triage.loop import terminated_as_interrupted
    from agent.triage.worker import limit_processes

    parent, cpus, *address = arguments
    die_with_parent()
    if os.getppid() != int(parent):
        return AgentError.exit_code
    os.nice(_NICER)  # Trials must not keep the server from answering.
    limit_processes(_PROCESSES)
    try:
        with connected(address[0] if address else None, int(cpus)), terminated_as_interrupted():
            where, cores, gpus, memory = resources()
            told = {"address": where, "cpus": int(cores), "gpus": gpus, "memory": memory}
            print(json.dumps(told), flush=True)
            threading.Event().wait()
    except AgentError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
