const READABLE_MS = 700;
const HINT_AFTER_MS = 6_000;
const TOO_SLOW = "connection_too_slow";
const FINE = new Set(["ready", "hold_still"]);

/**
 * Decides what the person reads while the camera runs: a step at once, other guidance long enough to be read.
 *
 * `show` takes {headline, hints, action, good}: the path of a sentence, those of a second line, the action asked for or
 * null, and whether the picture is as it should be.
 */
export class Guide {
  #show;
  #later;
  #shownAt = 0;
  #lastAttempt = false;
  #slow = false;
  #best = -1;
  #step = null;
  #bestAt = 0;
  #said = null;

  constructor(show) {
    this.#show = show;
  }

  begin() {
    this.#lastAttempt = this.#slow = false;
    this.#best = -1;
    this.notice("look");
  }

  end() {
    clearTimeout(this.#later);
  }

  /** Shows a notice, and maybe another below it, until a frame is answered. */
  notice(code, hint) {
    const hints = hint ? [`notices.${hint}`] : this.#standingHints;
    this.#say({ headline: `notices.${code}`, hints, action: null, good: false });
    this.#bestAt = performance.now();
  }

  slow(isSlow) {
    this.#slow = isSlow;
    this.#say({ ...this.#said, hints: this.#standingHints });
  }

  message(message) {
    if (message.type === "connection_established") this.#lastAttempt = message.attempts_left === 1;
    else if (message.type === "frame_processed") this.#frame(message);
    else if (message.code === "busy") this.notice("unavailable");
  }

  #frame({ face, guidance, liveness, samples }) {
    clearTimeout(this.#later);
    const now = performance.now();
    const { code } = guidance;
    const isStep = code === liveness?.step || (code === liveness?.instruction && code !== "hold_still");
    this.#noteProgress(liveness, samples, now);
    const stuck = now - this.#bestAt >= HINT_AFTER_MS && !this.#slow;
    const next = {
      headline: `guidance.${code}`,
      hints: stuck || code === TOO_SLOW ? [`hints.${code}`] : this.#standingHints,
      action: isStep ? code : null,
      good: Boolean(face) && (isStep || FINE.has(code)),
    };
    const readable = this.#shownAt + READABLE_MS - now;
    const same = next.headline === this.#said.headline;
    if (isStep || same || readable <= 0) {
      this.#say(next);
    } else {
      this.#show({ ...this.#said, good: next.good });
      this.#later = setTimeout(() => this.#say(next), readable);
    }
  }

  /** A new step, or a step forward, puts the second hint off. */
  #noteProgress(liveness, samples, now) {
    const step = liveness?.step ?? null;
    const done = (liveness?.progress ?? liveness?.steps_done ?? 0) + (samples?.accepted ?? 0);
    if (done > this.#best || step !== this.#step) this.#bestAt = now;
    this.#best = Math.max(this.#best, done);
    this.#step = step;
  }

  get #standingHints() {
    if (this.#slow) return [`guidance.${TOO_SLOW}`, `hints.${TOO_SLOW}`];
    return this.#lastAttempt ? ["notices.last_attempt"] : [];
  }

  #say(next) {
    clearTimeout(this.#later);
    if (next.headline !== this.#said?.headline) this.#shownAt = performance.now();
    this.#said = next;
    this.#show(next);
  }
}
