"""`agent mcp`: a debugging session as tools for language models, over the Model Context Protocol.

What a person does with the policy ``interactive``, a model does with these tools: the same engine,
the same trials, the same record. `session` plays the engine for somebody who calls from outside,
`desk` says what may be opened, `tools` is what a model sees, `stdio` and `http` are the ways in.
"""
