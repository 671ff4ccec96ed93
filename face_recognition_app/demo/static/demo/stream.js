import { delay, Ended, unlessAborted } from "./waits.js";

const SILENT_MS = 5_000;
const GIVE_UP_MS = 9_400;
const PING_AFTER_MS = 2_000;
const LOOK_EVERY_MS = 200;
const NO_PICTURE_MS = 20;
const TRIES = 5;
const RECONNECT = new Set([1001, 1006, 1011, 1012, 1013, 4408, "silent", "offline"]);

/**
 * Streams one session, over as many sockets as it takes, until it is decided.
 *
 * `parts`: `grab(quality)` gives a picture as a Blob, or null; `uplink` is an Uplink; `message` takes every message,
 * `notice` "lost", "offline" or "unavailable" before a new connection, `slow` whether the network is too slow.
 */
export class Stream {
  #url;
  #parts;
  #state = { paused: false, offline: false, answeredAt: 0 };
  #connection;
  #comeBack = () => {};

  constructor(url, parts) {
    this.#url = url;
    this.#parts = parts;
  }

  /** Resolves with the `*_complete` message. Rejects with Ended, or with the signal's reason. */
  async run(signal) {
    this.#state.answeredAt = performance.now();
    for (let tries = 0; ; tries += 1) {
      const connection = (this.#connection = new Connection(this.#url, this.#parts, this.#state));
      const code = await unlessAborted(connection.over, signal).catch((reason) => {
        connection.cancel();
        throw reason;
      });
      const { decision, error, answered } = connection;
      if (decision) return decision;
      if (answered) tries = 0;
      const ending = this.#ending(code, error);
      if (!RECONNECT.has(code) || tries === TRIES || this.#isHopeless) throw ending;
      this.#parts.notice(this.#state.offline ? "offline" : error ? "unavailable" : "lost");
      await unlessAborted(this.#pause(connection.reconnectAfter ?? 500 * 2 ** tries), signal);
      if (this.#isHopeless) throw ending;
    }
  }

  /** Sends no pictures until resume(); the connection stays. */
  pause() {
    this.#state.paused = true;
  }

  resume() {
    this.#state.paused = false;
    this.#state.answeredAt = performance.now();
    this.#connection?.resume();
  }

  wentOffline() {
    this.#state.offline = true;
    this.#connection?.end("offline");
  }

  wentOnline() {
    this.#state.offline = false;
    this.#comeBack();
  }

  get #isHopeless() {
    return !this.#state.paused && performance.now() - this.#state.answeredAt > GIVE_UP_MS;
  }

  #ending(code, error) {
    if (this.#state.offline) return new Ended("offline");
    if (error) return new Ended(error.code, error.retry_after_ms);
    return new Ended(RECONNECT.has(code) ? "connection_lost" : code);
  }

  /** Waits, with jitter against a rush after a restart; offline, for the network. */
  #pause(milliseconds) {
    const left = Math.max(0, this.#state.answeredAt + GIVE_UP_MS - performance.now()) + 1;
    const wait = this.#state.offline ? left : Math.min(left, milliseconds * (1 + Math.random() / 2));
    return Promise.race([delay(wait), new Promise((resolve) => (this.#comeBack = resolve))]);
  }
}

class Connection {
  decision = null;
  error = null;
  answered = 0;
  reconnectAfter = null;
  #parts;
  #state;
  #socket;
  #end;
  #watch;
  #pacing = null;
  #sentAt = [];
  #heardAt = performance.now();
  #quietUntil = 0;
  #pingAt = null;
  #wake = () => {};

  constructor(url, parts, state) {
    this.#parts = parts;
    this.#state = state;
    this.over = new Promise((resolve) => (this.#end = resolve));
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code }) => this.end(code);
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Ends at once, even if the other side is silent. */
  end(code) {
    clearInterval(this.#watch);
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(this.decision ? 1000 : 4000); // 1000: it was heard.
    this.#end(code);
    this.#wake();
  }

  cancel() {
    this.#tell("cancel");
    this.end("cancelled");
  }

  /** Goes on after a pause, in which messages may have been held back. */
  resume() {
    this.#heardAt = performance.now();
    this.#sentAt.fill(this.#heardAt);
    this.#wake();
  }

  get #isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  #tell(type) {
    if (this.#isOpen) this.#socket.send(JSON.stringify({ type }));
  }

  #receive(message) {
    const { type, seq, pacing } = message;
    this.#heardAt = performance.now();
    if (pacing) this.#pacing = { ...this.#pacing, ...pacing };
    if (type === "connection_established") this.#begin();
    else if (type === "pong") this.#takePong();
    // Until the server closes, this session may still be decided.
    else if (type === "server_draining") this.reconnectAfter = message.reconnect_after_ms;
    else if (type === "error") this.#takeError(message);
    else if (type.endsWith("_complete")) this.decision = message;
    if (seq) this.#settle(seq);
    this.#parts.message(message);
    if (this.decision) this.end(1000);
  }

  #begin() {
    this.#state.answeredAt = Math.max(this.#state.answeredAt, this.#heardAt - GIVE_UP_MS + SILENT_MS);
    this.#ping();
    this.#sendPictures();
  }

  #takeError(error) {
    this.#state.answeredAt = this.#heardAt;
    if (error.retry_after_ms) this.#quietUntil = this.#heardAt + error.retry_after_ms;
    // One with a number is about one picture, not the session.
    if (error.seq) return;
    this.error = error;
    this.reconnectAfter ??= error.retry_after_ms;
  }

  /** Answers come in order: each settles the earlier pictures, which were replaced. */
  #settle(seq) {
    this.#sentAt.splice(0, seq - this.answered);
    this.answered = seq;
    this.#state.answeredAt = this.#heardAt;
    this.#wake();
  }

  #look() {
    const now = performance.now();
    if (this.#pacing && !this.#sentAt.length) this.#state.answeredAt = now;
    const silent = now - Math.min(this.#heardAt, this.#sentAt[0] ?? now);
    const unanswered = now - this.#state.answeredAt;
    if (!this.#state.paused && (silent > SILENT_MS || unanswered > GIVE_UP_MS)) this.end("silent");
    else if (this.#pingAt !== null) this.#parts.uplink.waiting(now - this.#pingAt);
    else if (now - this.#heardAt > PING_AFTER_MS) this.#ping();
  }

  #ping() {
    if (!this.#isOpen || this.#pingAt !== null) return;
    this.#tell("ping");
    this.#pingAt = performance.now();
    this.#parts.uplink.pinged();
  }

  #takePong() {
    const { uplink, slow } = this.#parts;
    const before = uplink.tooSlow;
    uplink.measured(this.#heardAt - this.#pingAt);
    this.#pingAt = null;
    if (uplink.tooSlow !== before) slow(!before);
    this.#wake();
  }

  get #mustWait() {
    const inFlight = this.#sentAt.length;
    const queued = this.#parts.uplink.oneByOne && (inFlight || this.#pingAt !== null);
    return this.#state.paused || queued || inFlight >= this.#pacing.max_in_flight;
  }

  async #sendPictures() {
    let due = 0;
    while (this.#isOpen) {
      const wait = Math.max(due, this.#quietUntil) - performance.now();
      if (this.#mustWait) {
        await new Promise((resolve) => (this.#wake = resolve));
      } else if (wait > 0) {
        await delay(wait);
      } else {
        due = performance.now() + 1000 / this.#pacing.target_fps;
        const picture = await this.#parts.grab(this.#parts.uplink.quality);
        if (picture) this.#send(picture);
        else due = performance.now() + NO_PICTURE_MS;
      }
    }
  }

  #send(picture) {
    // It may have closed while the picture was encoded.
    if (!this.#isOpen) return;
    this.#socket.send(picture);
    this.#sentAt.push(performance.now());
    this.#ping();
  }
}
