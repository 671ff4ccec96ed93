import { counted } from "./words.js";

// Guidance may change with every frame; nobody can read that fast.
const READABLE_MS = 700;

const find = (id) => document.getElementById(id);

/** What the person sees beside the camera's picture. */
export class View {
  #page = find("page");
  #status = find("status");
  #shownAt = 0;
  #later;

  set state(state) {
    this.#page.dataset.state = state;
    find("camera").textContent = state === "off" || state === "starting" ? "Start camera" : "Stop camera";
    find("controls").disabled = state === "running";
    find("actions").disabled = state !== "ready";
    if (state === "running") {
      find("cancel").focus({ preventScroll: true });
      this.#page.scrollIntoView({ block: "start" });
    } else {
      find("progress").hidden = true;
      find("face").hidden = true;
      find("light").hidden = true;
    }
  }

  get state() {
    return this.#page.dataset.state;
  }

  /** `tone` is "plain", "good" or "bad". */
  say(headline, detail = "", tone = "plain") {
    clearTimeout(this.#later);
    const [first, second] = this.#status.children;
    this.#shownAt = performance.now();
    this.#page.dataset.tone = tone;
    // Writing the same words again would make a screen reader say them again.
    if (first.textContent !== headline) first.textContent = headline;
    if (second.textContent !== detail) second.textContent = detail;
  }

  frame(message) {
    clearTimeout(this.#later);
    const readable = this.#shownAt + READABLE_MS - performance.now();
    this.#later = setTimeout(() => this.say(message.guidance.message), Math.max(0, readable));
    this.#drawFace(message.face);
    this.#drawProgress(counted(message));
    this.#drawLight(message.liveness?.light);
  }

  fitTo({ videoWidth, videoHeight }) {
    this.#page.style.setProperty("--aspect", videoWidth / videoHeight);
  }

  #drawFace(face) {
    const box = find("face");
    box.hidden = !face;
    if (!face) return;
    const { x, y, width, height } = face;
    const percent = (part) => `${part * 100}%`;
    Object.assign(box.style, { left: percent(x), top: percent(y), width: percent(width), height: percent(height) });
  }

  #drawLight(colour) {
    find("light").hidden = !colour;
    find("light").style.backgroundColor = colour ?? "";
  }

  #drawProgress(count) {
    find("progress").hidden = !count;
    if (!count) return;
    const [done, total, words] = count;
    find("bar").max = total;
    find("bar").value = done;
    find("count").textContent = words;
  }
}
