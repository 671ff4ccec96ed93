import { Ended, unlessAborted } from "./waits.js";

const SHORT_SIDE = 480;
const FIRST_PICTURE_MS = 8_000;

/** The camera behind a <video>. Only the preview is mirrored. */
export class Camera {
  /** Called when the camera is unplugged or its permission taken back, not by stop(). */
  onEnded = () => {};
  #video;
  #canvas = document.createElement("canvas");
  #shown = 0;
  #grabbed = 0;
  #shownAt = 0;

  constructor(video) {
    this.#video = video;
    this.#follow();
  }

  get on() {
    return Boolean(this.#video.srcObject?.active);
  }

  /** Milliseconds since the last new picture. */
  get stillFor() {
    return performance.now() - this.#shownAt;
  }

  /** Counts `stillFor` from now: a hidden page shows no pictures. */
  forgetStill() {
    this.#shownAt = performance.now();
  }

  /** Resolves with the first picture. Rejects with Ended, or with the signal's reason. */
  async start(signal) {
    if (this.on) return this.forgetStill();
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Ended("insecure");
    const asked = navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } },
    });
    try {
      const stream = await unlessAborted(asked, signal);
      stream.getVideoTracks()[0].addEventListener("ended", () => this.onEnded());
      this.#video.srcObject = stream;
      const within = AbortSignal.any([signal, AbortSignal.timeout(FIRST_PICTURE_MS)]);
      await unlessAborted(this.#video.play(), within);
      this.forgetStill();
    } catch (error) {
      this.stop();
      // Allowed after the person gave up: switched off again.
      asked.then(switchOff, () => {});
      signal.throwIfAborted();
      throw new Ended(error.name);
    }
  }

  stop() {
    if (this.#video.srcObject) switchOff(this.#video.srcObject);
    this.#video.srcObject = null;
  }

  /** The newest picture as a JPEG Blob; null if there is none, or no newer one. */
  grab(quality) {
    const { videoWidth, videoHeight } = this.#video;
    if (!this.on || !videoWidth || this.#grabbed === this.#shown) return Promise.resolve(null);
    this.#grabbed = this.#shown;
    const scale = Math.min(1, SHORT_SIDE / Math.min(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((side) => Math.round(side * scale));
    Object.assign(this.#canvas, { width, height });
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, width, height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", quality));
  }

  #follow() {
    this.#video.requestVideoFrameCallback?.(() => {
      this.#shown += 1;
      this.forgetStill();
      this.#follow();
    });
  }
}

function switchOff(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
