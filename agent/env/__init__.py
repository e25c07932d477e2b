"""Debugging a training run as a Gymnasium environment: importing this registers its versions.

::

    import gymnasium

    import agent.env

    env = gymnasium.make("agent/Diagnose-v5", script="train.py", metric="val_acc:max")
"""

import gymnasium

from agent.env.catalogue import VERSIONS

for _version in VERSIONS:
    gymnasium.register(
        id=f"agent/Diagnose-v{_version}",
        entry_point="agent.env.diagnose:DiagnoseEnv",
        kwargs={"version": _version},
    )
