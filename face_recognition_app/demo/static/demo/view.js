import { words } from "./words/index.js";

const SPOKEN_EVERY_MS = 1_000;
const SIGNS = {
  turn_left: "M30 12L18 24l12 12",
  turn_right: "M18 12l12 12-12 12",
  nod: "M24 8v30M14 28l10 10 10-10",
  move_closer: "M6 18V6h12M42 18V6H30M6 30v12h12M42 30v12H30",
  blink: "M6 20q7 9 14 0M28 20q7 9 14 0",
  smile: "M15 14v4M33 14v4M10 27q14 16 28 0",
  open_mouth: "M15 12v4M33 12v4M24 22a7 9 0 1 0 .1 0",
  light: "M24 5v6M24 37v6M5 24h6M37 24h6M24 16a8 8 0 1 0 .1 0",
};

const POLICIES = ["passive", "active", "strict", "none"];
const AVOIDABLE = ["blink", "turn_left turn_right", "nod", "smile", "open_mouth", "move_closer", "light"];

/** What the person sees and hears. `root` is the document or a shadow root. */
export class View {
  #root;
  #note = [null];
  #spoken = "";
  #spokenAt = -SPOKEN_EVERY_MS;
  #speakLater;
  #longest = 0;

  constructor(root) {
    this.#root = root;
    for (const policy of POLICIES) this.#offer("liveness", "radio", policy);
    for (const actions of AVOIDABLE) this.#offer("avoid", "checkbox", actions);
    this.part("liveness").querySelector("input").checked = true;
  }

  part(id) {
    return this.#root.getElementById(id);
  }

  /** Writes the standing words in the language in use; `values` fill their gaps. */
  translate(values) {
    for (const part of this.#root.querySelectorAll("[data-t]")) write(part, words(`page.${part.dataset.t}`, values));
    this.note(...this.#note);
  }

  /** Shows one step, and gives `focus`, if any, the keyboard. */
  show(step, focus) {
    for (const part of this.#root.querySelectorAll(".step")) part.hidden = part.id !== step;
    this.part("loading").hidden = true;
    this.part(step).scrollTop = 0;
    focus?.focus({ preventScroll: true });
  }

  /** Shows a line on the first step; `path` of words, or null. */
  note(path, isProblem = false) {
    this.#note = [path, isProblem];
    const text = path ? words(path) : "";
    write(this.part("note"), text);
    this.part("note").classList.toggle("problem", isProblem);
    this.part("name").ariaInvalid = String(isProblem);
    if (text) this.#announce(text, isProblem);
  }

  guide({ headline, hints, action, good }) {
    const first = words(headline) ?? words("notices.look");
    const second = hints.map((path) => words(path) ?? "").join(" ");
    write(this.part("headline"), first);
    write(this.part("hint"), second);
    this.part("capture").classList.toggle("good", good);
    this.part("capture").dataset.action = action ?? "";
    this.part("sign").toggleAttribute("hidden", !SIGNS[action]);
    this.part("sign-path").setAttribute("d", SIGNS[action] ?? "");
    this.#announce(`${first} ${second}`.trim());
  }

  beginCapture() {
    this.#longest = 0;
    this.frame({});
  }

  /** Shows what a `frame_processed` says of progress, time and light. */
  frame({ samples, liveness }) {
    this.#count(samples ?? {}, liveness ?? {});
    this.#ring(liveness?.remaining_ms ?? null);
    this.light(liveness?.light);
  }

  light(colour = "") {
    this.part("shade").style.backgroundColor = colour;
  }

  result({ good = false, outcome, detail, retry = false, next = false, forget = false }) {
    this.part("result").classList.toggle("bad", !good);
    write(this.part("outcome"), outcome);
    write(this.part("detail"), detail);
    write(this.part("wait"), "");
    write(this.part("done"), words(good ? "page.done" : "page.back"));
    const first = next ? "next" : retry ? "again" : "done";
    this.part("next").hidden = !next;
    this.part("again").hidden = !retry;
    this.part("forget-this").hidden = !forget;
    this.part("done").classList.toggle("primary", first === "done");
    this.show("result", this.part(first));
    this.#announce(`${outcome} ${detail}`.trim(), !good);
  }

  /** Shows how long to wait in place of the button "Try again"; 0 brings it back. */
  wait(seconds) {
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    write(this.part("wait"), words(seconds ? "notices.wait" : "notices.ready_again", { time }));
    this.part("again").hidden = seconds > 0;
    this.part("done").classList.toggle("primary", seconds > 0);
    if (!seconds) this.#announce(words("notices.ready_again"));
  }

  cameraIsOn(isOn) {
    this.part("camera-on").hidden = !isOn;
  }

  #offer(name, type, value) {
    const [label, input, text] = ["label", "input", "span"].map((tag) => document.createElement(tag));
    Object.assign(input, { name, type, value });
    text.dataset.t = `${name}_${value.split(" ")[0]}`;
    label.append(input, text);
    this.part(name).append(label);
  }

  #count({ accepted = 0, target = 0 }, { steps_done: done = 0, steps_total: total = 0, progress }) {
    const fractions = [];
    if (target) fractions.push(accepted / target);
    if (total) fractions.push(progress ?? done / total);
    this.part("progress").hidden = !fractions.length;
    this.part("bar").value = fractions.reduce((sum, one) => sum + one / fractions.length, 0);
    const counted = [];
    if (target) counted.push(words("count.samples", { done: accepted, total: target }));
    if (total > 1) counted.push(words("count.steps", { done, total }));
    write(this.part("count"), counted.join(" · "));
  }

  #ring(remaining) {
    this.#longest = Math.max(this.#longest, remaining);
    this.part("ring").toggleAttribute("hidden", remaining === null);
    this.part("ring").style.strokeDashoffset = 1 - remaining / (this.#longest || 1);
  }

  /** For screen readers: failures at once, everything else about once a second. */
  #announce(text, isUrgent = false) {
    clearTimeout(this.#speakLater);
    const wait = isUrgent ? 0 : this.#spokenAt + SPOKEN_EVERY_MS - performance.now();
    if (text === this.#spoken && !isUrgent) return;
    if (wait > 0) {
      this.#speakLater = setTimeout(() => this.#announce(text), wait);
      return;
    }
    this.#spoken = text;
    this.#spokenAt = performance.now();
    this.part("urgent").textContent = isUrgent ? text : "";
    this.part("polite").textContent = isUrgent ? "" : text;
  }
}

/** Leaves the same words alone, for screen readers. */
function write(part, text) {
  if (part.textContent !== text) part.textContent = text;
}
