#!/usr/bin/env python3
"""How do I write an executor in another language?

    IMPRESARIO_EXECUTOR_KEY=ek_... python3 examples/executor.py http://127.0.0.1:7700 ROOT STATE_DIR

The protocol of docs/reference/executor-protocol.md with nothing but the standard library: a ledger in a file, a small WebSocket
client, and three tools. What it is not: a sandbox. `impresario connect` is one, and ends whole process trees.
"""
import base64, contextlib, ctypes, fcntl, hashlib, json, os, pathlib, random, signal, socket, ssl, struct, subprocess, sys, threading, time, uuid
from urllib.parse import urlsplit

PROTOCOL, SUBPROTOCOL, PATH = 1, "impresario.executor.v1", "/v1/executors/connect"
PING_EVERY, DEAD_AFTER, LONGEST = 20, 45, 50_000
FIRST_WAIT, LONGEST_WAIT = map(float, os.environ.get("WAITS", "1 30").split())
FINAL = (401, 403, 426, 4401, 4403, 4409, 4426)
TOOLS = {"read_file": "pure", "write_file": "ledgered", "shell": "once"}
INTERRUPTED = "the executor stopped while {} ran: whether it took effect is unknown, and it is not run again; look before going on"


class Failed(Exception):
    """Of a connection: why it ended, and the code, if the node gave one. Of a call: the kind, and words for the model."""


class Wire:
    """One WebSocket connection: `say` sends a frame, `hear` waits for one."""
    def __init__(self, url, key):
        at, self.lock, self.buffer, head = urlsplit(url), threading.Lock(), b"", b""
        secure = at.scheme in ("https", "wss")
        self.socket = socket.create_connection((at.hostname, at.port or (443 if secure else 80)), timeout=10)
        if secure: self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=at.hostname)
        nonce = base64.b64encode(os.urandom(16)).decode()
        accept = base64.b64encode(hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        self.socket.sendall((f"GET {at.path.rstrip('/')}{PATH} HTTP/1.1\r\nHost: {at.netloc}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\nAuthorization: Bearer {key}\r\n\r\n").encode())
        while not head.endswith(b"\r\n\r\n"):
            head += self.take(1)
        if (status := int(head.split(b" ", 2)[1])) != 101: raise Failed(f"it answers with {status}", status)
        if accept not in head or SUBPROTOCOL.encode() not in head: raise Failed("it speaks another protocol", 4426)
        self.socket.settimeout(PING_EVERY)

    def take(self, count):
        since = time.monotonic()
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(65536)
                self.buffer, since = self.buffer + data, time.monotonic()
            except TimeoutError:
                data = self.send(9, b"") or time.monotonic() - since < DEAD_AFTER
            if not data: raise Failed("the connection was cut, or nobody is there")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, opcode, data):
        size, mask = len(data), os.urandom(4)
        length = bytes([128 | size]) if size < 126 else struct.pack("!BH", 254, size) if size < 65536 else struct.pack("!BQ", 255, size)
        with self.lock:
            self.socket.sendall(bytes([128 | opcode]) + length + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data)))

    def say(self, kind, **rest):
        self.send(1, json.dumps({"type": kind, **rest}).encode())

    def hear(self, text=b""):
        while True:
            first, size = self.take(2)
            size = int.from_bytes(self.take({126: 2, 127: 8}[size]), "big") if size > 125 else size
            opcode, data = first & 15, self.take(size)
            if opcode == 8: raise Failed(data[2:].decode(), int.from_bytes(data[:2], "big"))
            if opcode == 9: self.send(10, data)
            if opcode in (0, 1): text += data
            if opcode in (0, 1) and first & 128: return json.loads(text)


class Ledger:
    """What was begun and how it ended, on disk before anything else happens, until the node says that it knows."""
    def __init__(self, folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.file, self.calls, self.id = open(os.path.join(folder, "ledger.jsonl"), "a+b"), {}, None
        fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.file.seek(0)
        *lines, torn = self.file.read().split(b"\n")
        self.file.truncate(self.file.tell() - len(torn))  # it was being written when the power went: nobody had been told of it
        for line in lines:
            self.apply(json.loads(line))
        if self.id is None: self.write(ledger=uuid.uuid4().hex)
        for call_id, call in self.calls.items():
            if "outcome" not in call:
                self.write(call_id=call_id, outcome=failure("interrupted", INTERRUPTED.format(call["tool"])))

    def apply(self, record):
        self.id = record.get("ledger", self.id)
        self.calls.pop(record.get("acked"), None)
        if "call_id" in record: self.calls.setdefault(record["call_id"], {}).update(record)

    def write(self, **record):
        self.file.write(json.dumps(record).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.apply(record)


def failure(code, message):
    return {"error": {"code": code, "message": message}}


class Executor:
    def __init__(self, root, state):
        self.root, self.ledger, self.session = pathlib.Path(root).resolve(), Ledger(state), uuid.uuid4().hex
        self.lock, self.running, self.wire = threading.Lock(), {}, None

    def greet(self, wire):
        tool = {"description": "", "parameters": {"type": "object"}, "place": "executor"}
        tools = [{"name": name, "effect": effect, **tool} for name, effect in TOOLS.items()]
        with self.lock:
            wire.say("hello", protocol=PROTOCOL, name=socket.gethostname(), tools=tools, root=str(self.root), session=self.session,
                     ledger=self.ledger.id)
            for call_id, call in self.ledger.calls.items():
                if "outcome" in call: wire.say("result", call_id=call_id, **call["outcome"])
            self.wire = wire  # results that are recorded from now on go there

    def hear(self, wire, kind, call_id, epoch=None, tool=None, args=None, timeout_ms=0, **_):
        known, running = self.ledger.calls.get(call_id), self.running.get(call_id)
        if kind == "ack": return self.ledger.write(acked=call_id) if known and "outcome" in known else None
        if kind == "cancel" and running: return running.set()
        if kind == "call" and known and epoch < known["epoch"]:
            outcome = failure("stale_epoch", f"epoch {known['epoch']} has asked for this call")
        elif running: return self.ledger.write(call_id=call_id, epoch=epoch)  # its result is for whoever asks last
        elif known: outcome = known["outcome"]
        elif kind == "cancel": outcome = failure("cancelled", "it does not run on this executor")
        elif tool not in TOOLS: outcome = failure("unknown_tool", f"there is no tool `{tool}` on this executor")
        elif TOOLS[tool] == "pure": outcome = self.outcome(tool, args, timeout_ms, None)
        else:
            self.ledger.write(call_id=call_id, epoch=epoch, tool=tool)
            self.running[call_id] = threading.Event()
            return threading.Thread(target=self.do, args=(call_id, tool, args, timeout_ms), daemon=True).start()
        wire.say("result", call_id=call_id, **outcome)

    def do(self, call_id, tool, args, timeout_ms):
        outcome = self.outcome(tool, args, timeout_ms, self.running[call_id])
        with self.lock:
            self.ledger.write(call_id=call_id, outcome=outcome)
            del self.running[call_id]
            with contextlib.suppress(OSError):  # the next connection begins with it
                self.wire.say("result", call_id=call_id, **outcome)

    def outcome(self, tool, args, timeout_ms, stop):
        try: return {"ok": getattr(self, tool)(args, timeout_ms / 1000, stop)}
        except Failed as failed: return failure(*failed.args)
        except (KeyError, TypeError) as error: return failure("bad_arguments", f"the arguments do not fit: {error!r}")
        except (OSError, ValueError) as error: return failure("failed", str(error))

    def inside(self, path):
        whole = (self.root / path).resolve()
        if not whole.is_relative_to(self.root): raise Failed("confined", f"{path} lies outside of the root")
        return whole

    def read_file(self, args, *_):
        return self.inside(args["path"]).read_text()[:LONGEST]

    def write_file(self, args, *_):
        path = self.inside(args["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part := f"{path}.part", "w") as file:
            file.write(args["content"])
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        return f"wrote {args['path']}"

    def shell(self, args, seconds, stop):
        dies_with_us = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        command = subprocess.Popen(["/bin/sh", "-c", args["command"]], cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=dies_with_us)
        late, why, output = time.monotonic() + seconds, None, None
        while output is None:
            try:
                output = command.communicate(timeout=0.05)[0][:LONGEST].decode(errors="replace")
            except subprocess.TimeoutExpired:
                why = "cancelled" if stop.is_set() else "timeout" if time.monotonic() > late else None
                os.killpg(command.pid, signal.SIGKILL) if why else None
        if why: raise Failed(why, f"{why}; its processes are gone\n{output}")
        return f"exit code {command.returncode}\n{output or '[no output]'}"


if __name__ == "__main__":
    (url, root, state), failures = sys.argv[1:4], 0
    executor = Executor(root, state)
    while True:
        since = time.monotonic()
        try:
            executor.greet(wire := Wire(url, os.environ["IMPRESARIO_EXECUTOR_KEY"]))
            print("connected", file=sys.stderr)
            while frame := wire.hear():
                with executor.lock: executor.hear(wire, frame.pop("type"), **frame)
        except (OSError, Failed) as why:
            print("the node is lost:", *why.args, file=sys.stderr)
            if why.args[-1] in FINAL: sys.exit(3)
        failures = 0 if time.monotonic() - since > 60 else failures + 1
        time.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 10)) * random.uniform(0.5, 1))
