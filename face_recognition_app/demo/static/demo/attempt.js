import { openSession } from "./doors.js";
import { Stream } from "./stream.js";
import { Uplink } from "./uplink.js";
import { Ended } from "./waits.js";

const ASK_AFTER_MS = 700;
const EXPLAIN_AFTER_MS = 8_000;
const STILL_MS = 3_000;
const TOO_STILL_MS = 8_000;
const LOOK_EVERY_MS = 250;

/**
 * Starts the camera and opens a session together, then streams. Resolves with the `*_complete` message; rejects with
 * Ended, or the signal's reason. `on.message` takes the server's messages, `on.notice` codes of the catalogue's
 * notices, `on.slow` whether the network is.
 */
export async function attempt(request, { camera, signal, on }) {
  const own = new AbortController();
  const ends = AbortSignal.any([signal, own.signal]);
  camera.onEnded = () => own.abort(new Ended("ended"));
  keepAwake(ends);
  try {
    const [session] = await Promise.all([
      openSession(request, ends, () => on.notice("trying_again")),
      startCamera(camera, ends, on.notice),
    ]);
    const stream = new Stream(socketUrl(session.websocket_url), {
      grab: (quality) => camera.grab(quality),
      uplink: new Uplink(),
      ...on,
    });
    watchPage(stream, camera, ends, on.notice);
    watchCamera(camera, own, on.notice);
    return await stream.run(ends);
  } finally {
    own.abort();
  }
}

/** The told path below the page's own address: the service may know itself by another. */
function socketUrl(told) {
  const { pathname, search } = new URL(told, document.baseURI);
  const url = new URL(pathname.slice(pathname.lastIndexOf("/ws/") + 1) + search, document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

async function startCamera(camera, signal, notice) {
  const timers = [setTimeout(notice, ASK_AFTER_MS, "allow"), setTimeout(notice, EXPLAIN_AFTER_MS, "allow", "allow_where")];
  try {
    await camera.start(signal);
    notice("look");
  } finally {
    timers.forEach(clearTimeout);
  }
}

function watchPage(stream, camera, signal, notice) {
  const onVisibility = () => {
    if (document.hidden) {
      stream.pause();
      notice("paused");
    } else {
      camera.forgetStill();
      stream.resume();
      notice("back");
    }
  };
  const onOffline = () => {
    stream.wentOffline();
    notice("offline");
  };
  document.addEventListener("visibilitychange", onVisibility, { signal });
  addEventListener("offline", onOffline, { signal });
  addEventListener("online", () => stream.wentOnline(), { signal });
  if (document.hidden) onVisibility();
}

/** Names a camera that stands still, and ends the attempt if it goes on. */
function watchCamera(camera, own, notice) {
  let told = false;
  const watch = setInterval(() => {
    const still = !document.hidden && camera.stillFor > STILL_MS;
    if (still !== told) notice(still ? "no_picture" : "look");
    told = still;
    if (still && camera.stillFor > TOO_STILL_MS) own.abort(new Ended("no_picture"));
  }, LOOK_EVERY_MS);
  own.signal.addEventListener("abort", () => clearInterval(watch));
}

/** Keeps the screen on. A hidden page loses its lock. */
function keepAwake(signal) {
  const ask = async () => {
    const lock = await navigator.wakeLock?.request("screen").catch(() => null);
    if (signal.aborted) lock?.release();
    else signal.addEventListener("abort", () => lock?.release());
  };
  document.addEventListener("visibilitychange", () => document.hidden || ask(), { signal });
  ask();
}
