"""A real child: the problem that it loads, whose trials do all that trials do, and how tests talk with it."""

import time
from multiprocessing.connection import wait
from pathlib import Path

from deephpo.trial import Outcome
from deephpo.worker.messages import Assignment

SOURCE = """
import ctypes, os, signal, stat, subprocess, sys, threading, time
from deephpo import Categorical, Problem, Space, TrialStopped

def run(config, ctx):
    print("trial", ctx.trial_id, flush=True)
    ctx.report(0, pid=os.getpid())
    return globals()[config["what"]](ctx)

def value(ctx):
    return {"loss": 0.5, "pid": os.getpid()}

def slow(ctx):
    for step in range(1, 4):
        time.sleep(0.2)
        ctx.report(step, loss=1 / step)
    return 0.5

def hang(ctx):
    time.sleep(1000)

def error(ctx):
    raise ValueError("wrong shape")

def leave(ctx):
    print("last words")
    os._exit(7)

def kill(ctx):
    os.kill(os.getpid(), signal.SIGKILL)

def told_to_end(ctx):
    os.kill(os.getpid(), signal.SIGTERM)

def crash(ctx):
    print("before the crash")
    ctypes.string_at(0)

def chat(ctx):
    os.write(1, b"last line without an end")
    return 0.5

def parent(ctx):
    child = subprocess.Popen(["sleep", "1000"])
    ctx.report(1, grandchild=child.pid)
    time.sleep(1000)

def orphan(ctx):
    child = subprocess.Popen(["sleep", "1000"])
    ctx.report(1, grandchild=child.pid)
    os._exit(1)

def speak(ctx):
    names = [name for name in os.environ if name.startswith(("OMPI_", "PMIX_"))]
    return {"loss": len(names), "threads": int(os.environ.get("OMP_NUM_THREADS", 0))}

def noise(ctx):
    line = next(int(fd) for fd in os.listdir("/proc/self/fd") if is_socket(int(fd)))
    os.write(line, bytes([0, 0, 0, 9]) + b"no pickle")
    time.sleep(1000)

def is_socket(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False

def fork(ctx):
    if os.fork() == 0:
        ctx.report(1, pid=os.getpid())
        return 9.0
    time.sleep(0.3)
    return 0.5

def forks_that_exit(ctx):
    if os.fork() == 0:
        sys.exit(3)
    time.sleep(0.3)
    return 0.5

def fork_that_stays(ctx):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    return {"loss": 0.5, "pid": os.getpid(), "fork": child}

def leaves_a_thread_that_asks(ctx):
    def ask():
        while not ctx.should_stop():
            time.sleep(0.001)
    threading.Thread(target=ask, daemon=True).start()
    return value(ctx)

def threads(ctx):
    def report(thread):
        for step in range(200):
            ctx.report(step, thread=thread, text=step)
    started = [threading.Thread(target=report, args=(k,)) for k in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return 0.5

def interrupted(ctx):
    handled = []
    def report(number, frame):
        handled.append(number)
        ctx.report(len(handled), handler=1.0)
    signal.signal(signal.SIGALRM, report)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for step in range(5000):
        ctx.report(step, main=1.0)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    return {"loss": 0.5, "handled": len(handled)}

def wide(ctx):
    ctx.report(1, **{f"metric {k}": k / 7 for k in range(10_000)})
    return {"loss": 0.5} | {f"metric {k}": k / 7 for k in range(10_000)}

def flood(ctx):
    for _ in range(50):
        os.write(1, b"x" * (1 << 20))
    return 0.5

def last_will(ctx):
    def write(number, frame):
        os.write(1, b"will " * 100_000)
        for step in range(1, 3000):
            ctx.report(step, will=1.0)
        ctx.directory.joinpath("will").write_text("all to the master")
        os._exit(0)
    signal.signal(signal.SIGTERM, write)
    ctx.report(1, ready=1.0)
    time.sleep(1000)

def meet(ctx):
    where = ctx._rendezvous.agree(lambda: "port 5")
    print("met at", where, flush=True)
    return {"loss": 0.5, "met": float(where.split()[1])} if ctx.rank == 0 else None

def part(ctx):
    print("part", os.getpid(), flush=True)
    return "anything" if ctx.trial_id % 2 else None

def train(ctx):
    for step in range(1, 1000):
        ctx.report(step, loss=1 / step)
        time.sleep(0.01)
    return 0.5

def ignore(ctx):
    signal.signal(signal.SIGTERM, lambda *_: ctx.directory.joinpath("asked").touch())
    try:
        train(ctx)
    except BaseException:
        time.sleep(1000)

def deaf(ctx):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to leave"))
    time.sleep(1000)

def late(ctx):
    while not ctx.stopped:
        time.sleep(0.01)
    time.sleep(0.3)
    return {"loss": 0.5, "pid": os.getpid()}

def dies_of_it(ctx):
    while not ctx.should_stop():
        time.sleep(0.01)
    os._exit(7)

def is_told_to_end(ctx):
    while not ctx.should_stop():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1000)

def threads_that_ask(ctx):
    asked = []
    def ask(thread):
        for step in range(10_000):
            if ctx.should_stop():
                asked.append(thread)
                return
            if step % 8 == thread:
                try:
                    ctx.report(step + 1, thread=thread)
                except TrialStopped:
                    asked.append(thread)
                    return
            time.sleep(0.001)
    started = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return {"loss": 0.5, "asked": len(set(asked))}

def gorge(ctx):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    food = bytearray(2**28)
    print("full", len(food), flush=True)
    if ctx.trial_id == 1:
        time.sleep(1000)
    time.sleep(1)

def shut(ctx):
    os.closerange(3, 100)
    time.sleep(1000)

what = [name for name, thing in list(globals().items()) if callable(thing) and name != "run"]
problem = Problem(Space([Categorical("what", what)]), run, objective="loss", duration=lambda config: 42)
"""


def messages_until(process, *kinds, count=1):
    """Return what the child says up to the message of this kind, the last of so many."""
    messages, deadline = [], time.monotonic() + 30
    while sum(isinstance(message, kinds) for message in messages) < count:
        assert time.monotonic() < deadline, messages
        wait(process.sources, 0.05)
        messages += process.poll()
    return messages


def begin(process, what, trial_id=0, directory="/nowhere", **options):
    process.submit(Assignment(trial_id, {"what": what}, 7, str(directory), **options))


def outcome_of(process, what, trial_id=0):
    begin(process, what, trial_id)
    return messages_until(process, Outcome)[-1]


def pid_of(process):
    """Return the process id of the child, by its own account."""
    return outcome_of(process, "value").metrics["pid"]


def gone(pid):
    """Return whether a process has ended; one that nobody has asked about yet has."""
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
