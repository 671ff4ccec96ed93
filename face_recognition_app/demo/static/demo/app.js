import { attempt } from "./attempt.js";
import { Camera } from "./camera.js";
import { forgetFace } from "./doors.js";
import { Guide } from "./guide.js";
import { keep, kept } from "./storage.js";
import { View } from "./view.js";
import { Ended } from "./waits.js";
import { ending, LANGUAGE, preferredLanguage, useLanguage, words } from "./words/index.js";

const CAMERA_LINGERS_MS = 30_000;
const HIDDEN_CAMERA_MS = 60_000;
const PROOF_LASTS_MS = 240_000;
const CONSENT = "face-consent";
// These would end the same again.
const FINAL = /not_found|validation|invalid_subject|too_weak|impossible|unsupported/;

const view = new View(document);
const part = (id) => view.part(id);
const camera = new Camera(part("video"));
const guide = new Guide((shown) => view.guide(shown));
const on = {
  message(message) {
    guide.message(message);
    if (message.type === "frame_processed") view.frame(message);
  },
  notice(...codes) {
    view.light();
    guide.notice(...codes);
  },
  slow: (isSlow) => guide.slow(isSlow),
};

/** kind, name, liveness, avoid, and whether it `forgets` the face. */
let request = null;
let running = null;
/** Of the newest success: token, at. */
let proof = null;
let usual = "enrollment";
let cameraOff;
let countdown;

function want(wanted) {
  clearInterval(countdown);
  request = wanted;
  if (kept("sessionStorage", CONSENT)) capture();
  else view.show("consent", part("agree"));
}

function capture() {
  return run(async (signal) => {
    const decision = await attempt(request, { camera, signal, on });
    if (decision.success) proof = { token: decision.decision_token, at: performance.now() };
    if (decision.success && request.forgets) await forget(signal);
    else showDecision(decision);
  });
}

/** Shows the capture step while `work` goes on, and how it failed if it did. */
async function run(work) {
  clearTimeout(cameraOff);
  running = new AbortController();
  view.show("capture", part("cancel"));
  view.beginCapture();
  guide.begin();
  try {
    await work(running.signal);
  } catch (error) {
    showEnding(error);
    if (!(error instanceof Ended)) throw error;
  } finally {
    running = null;
    guide.end();
    view.cameraIsOn(camera.on);
    cameraOff = setTimeout(switchCameraOff, CAMERA_LINGERS_MS);
  }
}

function showDecision({ success, subject_id, display_name, liveness, reason, retry_after_ms, attempts_left }) {
  const { kind, forgets } = request;
  const name = display_name || (kind === "identification" ? subject_id : request.name);
  if (success) {
    usual = "authentication";
    const [outcome, then = ""] = words(`success.${kind}`, { name }).split("|");
    const live = words(liveness === "passed" ? "success.live" : "success.unchecked");
    view.result({ good: true, outcome, detail: `${live} ${then}`, next: kind === "enrollment", forget: true });
    return;
  }
  const nobody = reason === "no_match" && kind === "identification";
  const why = words(`reasons.${nobody ? "nobody" : reason}`) ?? ending("unknown")[1];
  const warning = attempts_left === 1 ? words("notices.one_left") : "";
  const outcome = words(`failure.${forgets ? "forget" : kind}`, { name });
  view.result({ outcome, detail: `${why} ${warning}`, retry: true });
  waitFor(retry_after_ms);
}

function showEnding({ code = "unknown", retryAfterMs }) {
  if (code === "cancelled") {
    camera.stop();
    toStart("notices.cancelled");
    return;
  }
  const [outcome, detail] = ending(code, request);
  view.result({ outcome, detail, retry: !FINAL.test(code) });
  waitFor(retryAfterMs);
}

function waitFor(milliseconds) {
  if (!milliseconds) return;
  const until = performance.now() + milliseconds;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    view.wait(seconds);
    if (!seconds) clearInterval(countdown);
  };
  tick();
  part("done").focus();
  countdown = setInterval(tick, 1_000);
}

/** Has the face forgotten that `wanted` will prove, or that was just shown, if the person agrees. */
function askToForget(wanted, justShown = false) {
  const dialog = part("ask-forget");
  dialog.returnValue = "";
  dialog.showModal();
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    request = { ...wanted, forgets: true };
    if (justShown && performance.now() - proof.at < PROOF_LASTS_MS) run(forget);
    else want(request);
  };
}

async function forget(signal) {
  guide.notice("moment");
  await forgetFace(proof.token, signal, () => guide.notice("trying_again"));
  usual = "enrollment";
  const [outcome, detail] = words("success.forgotten").split("|");
  view.result({ good: true, outcome, detail });
}

function toStart(note = null) {
  clearInterval(countdown);
  for (const choice of part("choices").children) choice.classList.toggle("primary", choice.value === usual);
  view.show("start", request && choice(request.kind));
  view.note(note);
}

function choice(kind) {
  return part("choices").querySelector(`[value=${kind}]`);
}

function asked(kind) {
  const fields = new FormData(part("start"));
  const avoid = fields.getAll("avoid").flatMap((actions) => actions.split(" "));
  return { kind, name: part("name").value.trim(), liveness: fields.get("liveness"), avoid };
}

/** Whether there is a name; says that it is missing if not. */
function isNamed() {
  const isMissing = !part("name").value.trim();
  view.note(isMissing ? "page.name_missing" : null, isMissing);
  if (isMissing) part("name").focus();
  return !isMissing;
}

function switchCameraOff() {
  // The button goes away: the keyboard goes on beside it.
  if (part("camera-off").matches(":focus")) part("done").focus();
  running?.abort(new Ended("hidden"));
  camera.stop();
  view.cameraIsOn(false);
}

function leave() {
  if (running) running.abort(new Ended("cancelled"));
  else if (part("start").hidden) toStart();
}

async function speak(language) {
  const dir = await useLanguage(language);
  Object.assign(document.documentElement, { lang: language, dir });
  document.title = words("page.title");
  part("language").value = language;
  view.translate({ days: part("page").dataset.days, host: location.host });
}

function listen() {
  part("start").addEventListener("submit", (event) => {
    event.preventDefault();
    const kind = event.submitter.value;
    if (kind === "identification" || isNamed()) want(asked(kind));
  });
  // Enter means what the person most likely wants, not the form's first button.
  part("name").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    part("start").requestSubmit(choice(usual));
  });
  part("consent").addEventListener("submit", (event) => {
    event.preventDefault();
    keep("sessionStorage", CONSENT, "given");
    capture();
  });
  const confirmed = () => ({ ...request, kind: "authentication" });
  const actions = {
    cancel: leave,
    back: leave,
    done: leave,
    again: () => want(request),
    next: () => want(confirmed()),
    "camera-off": switchCameraOff,
    forget: () => isNamed() && askToForget(asked("authentication")),
    "forget-this": () => askToForget(request.kind === "enrollment" ? confirmed() : request, true),
  };
  for (const [id, action] of Object.entries(actions)) part(id).addEventListener("click", () => action());
  part("language").addEventListener("change", ({ target }) => {
    keep("localStorage", LANGUAGE, target.value);
    speak(target.value).catch(() => (target.value = document.documentElement.lang));
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && !part("ask-forget").open && leave());
  let hidden;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(switchCameraOff, HIDDEN_CAMERA_MS);
  });
}

async function begin() {
  await speak(preferredLanguage()).catch(() => speak("en"));
  listen();
  toStart();
  if (!AbortSignal.any || !HTMLVideoElement.prototype.requestVideoFrameCallback) showEnding(new Ended("unsupported"));
}

begin();
