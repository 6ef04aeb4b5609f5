"""Small programs that speak the line protocol of a supervised process."""

# Ready at once; ends when its stdin closes, as every worker does.
STEADY = """
import json, sys
print(json.dumps({"ready": True, "role": sys.argv[1], "address": "here"}), flush=True)
if sys.argv[1] == "coordinator":
    print(json.dumps({"healthy": True}), flush=True)
sys.stdin.read()
"""


# Crashes in its first life, after it was ready; in the second it ends the test.
CRASHES_ONCE = """
import json, os, signal, sys
from pathlib import Path
mark = Path(sys.argv[2])
print(json.dumps({"ready": True}), flush=True)
if not mark.exists():
    mark.touch()
    os._exit(7)
os.kill(os.getppid(), signal.SIGTERM)
sys.stdin.read()
"""


# Cannot start in its first two lives; in the third it ends the test.
STARTS_AT_LAST = """
import json, os, signal, sys
from pathlib import Path
lives = Path(sys.argv[2])
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
if len(lives.read_text()) < 3:
    print(json.dumps({"ready": False, "error": "another writes", "exit_code": 4}), flush=True)
    sys.exit(4)
print(json.dumps({"ready": True}), flush=True)
os.kill(os.getppid(), signal.SIGTERM)
sys.stdin.read()
"""


# Ready at once, then ends as one that was told to; in the fifth life it ends the test.
ENDS_WELL = """
import json, os, signal, sys
from pathlib import Path
lives = Path(sys.argv[2])
print(json.dumps({"ready": True}), flush=True)
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
if len(lives.read_text()) == 5:
    os.kill(os.getppid(), signal.SIGTERM)
    sys.stdin.read()
"""


# A coordinator that leaves: its first life ends with its stdin, and notes whether the second one served.
LEAVES = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[2])
def say(**line):
    print(json.dumps(line), flush=True)
say(ready=True)
if not (folder / "first").exists():
    (folder / "first").touch()
    say(healthy=True)
    say(leaving=True)
    sys.stdin.read()
    (folder / "left").write_text("after" if (folder / "second").exists() else "before")
else:
    (folder / "second").touch()
    say(healthy=True)
    while not (folder / "left").exists():
        time.sleep(0.01)
    os.kill(os.getppid(), signal.SIGTERM)
    sys.stdin.read()
"""


# A coordinator that never hears of the worker at h:1.
COMPLAINS = """
import json, time
while True:
    print(json.dumps({"ready": True}), flush=True)
    print(json.dumps({"beat": True, "silent": {"h:1": 99.0}}), flush=True)
    time.sleep(0.02)
"""


# A coordinator that hears from every worker, and uses the topology file as it is now.
CONTENT = COMPLAINS.replace('{"h:1": 99.0}', '{}, "topology": "now"')
CONTENT = CONTENT.replace("while True:", 'print(json.dumps({"healthy": True}), flush=True)\nwhile True:')


# Ready; notes when it is told to stop.
NOTES = """
import json, signal, sys
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"ready": True}), flush=True)
sys.stdin.read()
Path(sys.argv[2]).touch()
"""


# Cannot start in its first life; in the second it ends the test when another was told to stop.
ARRIVES = """
import json, os, signal, sys, time
from pathlib import Path
mark = Path(sys.argv[2] + ".second")
if not mark.exists():
    mark.touch()
    sys.exit(9)
print(json.dumps({"ready": True}), flush=True)
while not Path(sys.argv[2]).exists():
    time.sleep(0.01)
os.kill(os.getppid(), signal.SIGTERM)
sys.stdin.read()
"""


# Ready, then as if it had hung; in the second life it ends the test.
HANGS_ONCE = """
import json, os, signal, sys
from pathlib import Path
mark = Path(sys.argv[2])
print(json.dumps({"ready": True}), flush=True)
print(json.dumps({"beat": True, "silent": {}}), flush=True)
if mark.exists():
    os.kill(os.getppid(), signal.SIGTERM)
    sys.stdin.read()
mark.touch()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    signal.pause()
"""


NOISY = """
import json, os, signal, sys
print("E1128 add_port.cc:83 noise", file=sys.stderr)
print('{"level": "info", "message": "a line of log"}', file=sys.stderr, flush=True)
print(json.dumps({"ready": True}), flush=True)
os.kill(os.getppid(), signal.SIGTERM)
sys.stdin.read()
"""


# Says what it read from stdin first, as if that had kept it from starting.
READS = """
import json, sys
print(json.dumps({"error": sys.stdin.readline()}), flush=True)
sys.exit(5)
"""


# Settles a setting, then ends; the second life ends the test with the topology it was given.
SETTLES = """
import json, sys
from pathlib import Path
given, mark = sys.stdin.readline(), Path(sys.argv[2])
if mark.exists():
    mark.write_text(given)
    import os, signal
    os.kill(os.getppid(), signal.SIGTERM)
    sys.stdin.read()
mark.touch()
print(json.dumps({"ready": True, "settled": {"text_precision": "int8"}}), flush=True)
"""


REFUSES = """
import json, sys
print(json.dumps({"ready": False, "error": "the file is bad; fetch another", "exit_code": 3}), flush=True)
sys.exit(3)
"""


# Drains when its stdin closes, during which the supervisor gets a second Ctrl-C.
DRAINS = """
import json, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"ready": True, "role": sys.argv[1]}), flush=True)
if sys.argv[1] == "coordinator":
    print(json.dumps({"healthy": True}), flush=True)
sys.stdin.read()
os.kill(os.getppid(), signal.SIGINT)
"""
