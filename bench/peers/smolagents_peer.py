"""smolagents' local executor, asked over stdin: a line of code in, milliseconds out. "new" makes a fresh executor."""

import sys
import time

from smolagents.local_python_executor import LocalPythonExecutor

executor = None
for line in sys.stdin:
    code = line.rstrip("\n").replace("\\n", "\n")
    begun = time.perf_counter()
    if executor is None or code.startswith("new "):
        executor = LocalPythonExecutor([], max_print_outputs_length=1000)
        executor.send_tools({})
        code = code.removeprefix("new ")
    executor(code)
    print((time.perf_counter() - begun) * 1000, flush=True)
