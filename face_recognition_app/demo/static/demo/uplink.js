const QUALITIES = [0.8, 0.65, 0.5, 0.4, 0.3];
const WORST = QUALITIES.length - 1;
const SLOW_MS = 300;
const FAST_MS = 120;
const FAST_IN_A_ROW = 4;
const TOO_SLOW_IN_A_ROW = 2;

/**
 * Adapts the quality of pictures, then their rate, to the network; never their size.
 *
 * Pings queue behind pictures on the way up, but not behind their analysis. What a pong takes longer than on an empty
 * line is what the pictures took. Times are milliseconds.
 */
export class Uplink {
  #level = 2;
  #emptyLine = Infinity;
  #pongs = 0;
  #fast = 0;
  #tooSlow = 0;
  #pingLevel = 2;
  #stepped = 0;

  get quality() {
    return QUALITIES[this.#level];
  }

  /** Whether each picture should wait for the pong of the one before. */
  get oneByOne() {
    return this.#tooSlow > 0 || this.#pongs < 2;
  }

  /** Whether fewer than about three pictures a second arrive, at the lowest quality. */
  get tooSlow() {
    return this.#tooSlow >= TOO_SLOW_IN_A_ROW;
  }

  pinged() {
    this.#pingLevel = this.#level;
    this.#stepped = 0;
  }

  /** Takes the age of a ping whose pong has not come yet: a step down for each SLOW_MS. */
  waiting(age) {
    const steps = Math.floor((age - this.#emptyLine) / SLOW_MS);
    for (; this.#stepped < steps; this.#stepped += 1) this.#worse();
  }

  measured(time) {
    this.#pongs += 1;
    this.#emptyLine = Math.min(this.#emptyLine, time);
    const extra = time - this.#emptyLine;
    if (extra > SLOW_MS) {
      this.#fast = 0;
      if (this.#pingLevel === WORST) this.#tooSlow += 1;
      else if (this.#stepped === 0) this.#worse();
    } else {
      this.#tooSlow = 0;
      this.#fast = extra < FAST_MS ? this.#fast + 1 : 0;
      if (this.#fast === FAST_IN_A_ROW) this.#better();
    }
  }

  #worse() {
    this.#level = Math.min(this.#level + 1, WORST);
  }

  #better() {
    this.#level = Math.max(this.#level - 1, 0);
    this.#fast = 0;
  }
}
