const RECONNECTS = 5;
const OVERLOADED = 1013;
const RECONNECT_CODES = new Set([1001, 1006, 1012, OVERLOADED]);

/** A session that ended without a decision. `code` is the close code, or what happened on this side. */
export class Ended extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Streams frames of one session, over as many sockets as it takes, until it is decided.
 *
 * `grab` gives the next frame as a Blob or null. `onMessage` sees every message, `onLost` is told
 * before each new try. Resolves with the `*_complete` message, else rejects with Ended, or with
 * the signal's reason once that is aborted.
 */
export async function runSession(url, grab, { onMessage, onLost, signal }) {
  for (let lost = 0; ; ) {
    signal.throwIfAborted();
    const connection = new Connection(url, grab, onMessage, signal);
    const code = await connection.over;
    if (connection.decision) return connection.decision;
    signal.throwIfAborted();
    if (connection.answered > 0) lost = 0;
    const mustWait = connection.error?.code === "attempts_exceeded"; // Its message says how long.
    if (!RECONNECT_CODES.has(code)) throw new Ended(mustWait ? "attempts_exceeded" : code, connection.error?.message);
    if (lost === RECONNECTS) throw new Ended(code === OVERLOADED ? code : "connection_lost");
    lost += 1;
    onLost();
    await pause(connection.reconnectAfter(500 * 2 ** (lost - 1)), signal);
  }
}

class Connection {
  decision = null;
  error = null;
  answered = 0;
  #sent = 0;
  #pacing = null;
  #quietUntil = 0;
  #drainingAfter = null;
  #wake = () => {};
  #end;

  constructor(url, grab, onMessage, signal) {
    this.grab = grab;
    this.onMessage = onMessage;
    this.socket = new WebSocket(sameHost(url));
    this.socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    const cancel = () => this.#cancel();
    signal.addEventListener("abort", cancel);
    this.over = new Promise((resolve) => (this.#end = resolve));
    this.socket.onclose = (event) => {
      signal.removeEventListener("abort", cancel);
      this.#wake();
      this.#end(event.code);
    };
  }

  /** Milliseconds: a server that restarts says when it is back, and one that cannot take us the least to wait. */
  reconnectAfter(otherwise) {
    return this.#drainingAfter ?? Math.max(otherwise, this.error?.retry_after_ms ?? 0);
  }

  get #open() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  #receive(message) {
    if (message.type === "connection_established") {
      this.#pacing = message.pacing;
      this.#sendFrames();
    } else if (message.type.endsWith("_complete")) {
      this.decision = message;
      this.#end(1000);
    } else if (message.type === "server_draining") {
      // The server says 1012 when it is done; until then this session may still be decided.
      this.#drainingAfter = message.reconnect_after_ms;
    } else if (message.type === "error") {
      // An error with a number is about that one frame, not about the session.
      if (!message.seq) this.error = message;
      if (message.retry_after_ms) this.#quietUntil = performance.now() + message.retry_after_ms;
    }
    if (message.pacing) this.#pacing = { ...this.#pacing, ...message.pacing };
    if (message.seq) {
      // Answers come in order, so this one settles every earlier frame that was replaced.
      this.answered = message.seq;
      this.#wake();
    }
    this.onMessage(message);
  }

  async #sendFrames() {
    let due = 0;
    while (this.#open && !this.decision) {
      const wait = Math.max(due, this.#quietUntil) - performance.now();
      if (this.#sent - this.answered >= this.#pacing.max_in_flight) {
        await new Promise((resolve) => (this.#wake = resolve));
      } else if (wait > 0) {
        await delay(wait);
      } else {
        due = performance.now() + 1000 / this.#pacing.target_fps;
        const frame = await this.grab();
        if (frame) this.#send(frame);
      }
    }
  }

  #send(frame) {
    // A socket that closed while the frame was encoded would only warn.
    if (!this.#open) return;
    this.socket.send(frame);
    this.#sent += 1;
  }

  #cancel() {
    if (this.#open) this.socket.send(JSON.stringify({ type: "cancel" }));
    this.socket.close();
  }
}

/** The page's own host and scheme, whatever name the server knows itself by. */
function sameHost(url) {
  const { pathname, search } = new URL(url, location.href);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${pathname}${search}`;
}

function delay(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Waits with jitter, so that a restarted server does not meet everybody at once; ends early on abort. */
function pause(milliseconds, signal) {
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return Promise.race([delay(milliseconds * (1 + Math.random())), aborted]);
}
