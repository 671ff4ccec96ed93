import { Camera } from "./camera.js";
import { Ended, runSession } from "./stream.js";
import { View } from "./view.js";
import { decided, ended, refused } from "./words.js";

const find = (id) => document.getElementById(id);
const camera = new Camera(find("video"));
const view = new View();
let running = null;

async function openSession(kind, name, liveness, signal) {
  const body = { kind, liveness, challenge_version: 3 };
  if (kind !== "identification") body.subject_id = name;
  let response, answer;
  try {
    response = await fetch("demo/sessions/", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    answer = await response.json();
  } catch {
    signal.throwIfAborted();
    throw new Ended("refused", refused(null));
  }
  if (!response.ok) throw new Ended("refused", refused(answer.error, name));
  return answer;
}

function onMessage(message) {
  if (message.type === "frame_processed") view.frame(message);
  else if (message.code === "busy") view.say("The service is busy, going on in a moment…");
}

async function run(kind, name, liveness) {
  running = new AbortController();
  view.state = "running";
  view.say("Look at the camera.");
  try {
    const { signal } = running;
    const session = await openSession(kind, name, liveness, signal);
    const decision = await runSession(session.websocket_url, () => camera.grab(), {
      onMessage,
      onLost: () => view.say("Connection lost, going on…"),
      signal,
    });
    view.say(...decided(kind, name, decision), decision.success ? "good" : "bad");
  } catch (error) {
    view.say(ended(error));
    if (!(error instanceof Ended)) throw error;
  } finally {
    running = null;
    view.state = camera.on ? "ready" : "off";
  }
}

async function startCamera() {
  view.state = "starting";
  view.say("Allow this page to use the camera.");
  try {
    await camera.start(() => stopCamera("camera_lost"));
  } catch (error) {
    view.state = "off";
    view.say(error.message);
    return;
  }
  view.state = "ready";
  view.say("Place your face in the oval, then choose what to do.");
}

function stopCamera(why) {
  camera.stop();
  if (running) {
    running.abort(new Ended(why));
    return;
  }
  view.state = "off";
  view.say(ended({ code: why }));
}

find("video").addEventListener("resize", () => view.fitTo(find("video")));
find("camera").addEventListener("click", () => {
  if (view.state === "off") startCamera();
  else if (view.state !== "starting") stopCamera("camera_stopped");
});
find("cancel").addEventListener("click", () => running.abort(new Ended("cancelled")));
find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { submitter } = event;
  const fields = new FormData(event.target);
  await run(submitter.value, fields.get("subject_id"), fields.get("liveness"));
  // The keyboard goes on where it was: Cancel, which had it, is gone.
  submitter.focus({ preventScroll: true });
  // On a phone the buttons are below the picture: show them, under the result.
  find("status").scrollIntoView({ block: "start" });
});

if (!("WebSocket" in window)) {
  find("camera").disabled = true;
  view.say("This browser has no WebSocket: open the page in a current browser.");
}
