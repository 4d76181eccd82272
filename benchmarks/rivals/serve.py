"""The rival's side of a comparison: it answers on standard output, a line of JSON each time.

The first line of standard input is a job. What ``prepare(job)`` finds is the first answer. Each
further line names a task, which is run once; the answer is the time that it took.
"""

import json
import os
import sys
import time


def serve(prepare):
    """Answer until standard input ends.

    Parameters
    ----------
    prepare : callable
        Takes the job, a dict, and returns three things: a dict of what proves that the rival
        does the same work, a dict of tasks without arguments, and a function without arguments
        that observes the state after a task (or None).
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what engines print must not reach the reader

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    found, tasks, observe = prepare(json.loads(sys.stdin.readline()))
    answer({**found, "tasks": list(tasks)})
    for line in sys.stdin:
        task = tasks[json.loads(line)]
        wall, processor = time.perf_counter(), time.process_time()
        task()
        times = {
            "processor": time.process_time() - processor,
            "wall": time.perf_counter() - wall,
        }
        answer({**times, **(observe() if observe else {})})
