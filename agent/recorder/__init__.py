"""Notes in MLflow how a run was started and how it ended, in the process of the user's script.

It must cost next to nothing and never be in the way: the standard library only, its own errors are
swallowed, and in the script it goes by another name (see ``debugging_agent_context``).
"""
