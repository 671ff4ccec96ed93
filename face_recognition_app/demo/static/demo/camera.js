const MAX_WIDTH = 640;
const JPEG_QUALITY = 0.8;

const REFUSALS = {
  NotAllowedError: "The camera is not allowed: permit it in the browser’s address bar, then press Start camera again.",
  NotFoundError: "No camera was found: connect one, then press Start camera again.",
  NotReadableError: "The camera cannot be read: close other programs that use it, then press Start camera again.",
};
const INSECURE = "Browsers give the camera to secure pages only: open this page over https, or as localhost.";
const UNKNOWN = "The camera did not start: check it in another program, then press Start camera again.";

/** The camera behind a <video>. Frames are grabbed unmirrored; only the preview is mirrored. */
export class Camera {
  #video;
  #canvas = document.createElement("canvas");

  constructor(video) {
    this.#video = video;
  }

  get on() {
    return this.#video.srcObject !== null;
  }

  /** Throws an Error whose message says what the person can do. */
  async start(onEnded) {
    if (!window.isSecureContext || !navigator.mediaDevices) throw new Error(INSECURE);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } },
      });
      this.#video.srcObject = stream;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new Error(REFUSALS[error.name] ?? UNKNOWN, { cause: error });
    }
    // Fires when the camera is unplugged or its permission taken back, not on stop().
    stream.getVideoTracks()[0].addEventListener("ended", onEnded);
  }

  stop() {
    this.#video.srcObject?.getTracks().forEach((track) => track.stop());
    this.#video.srcObject = null;
  }

  /** The picture of now as a JPEG Blob; null while there is none. */
  grab() {
    const { videoWidth, videoHeight } = this.#video;
    if (!this.on || !videoWidth) return Promise.resolve(null);
    const scale = Math.min(1, MAX_WIDTH / videoWidth);
    // Setting a canvas's size clears and reallocates it, so only when the camera turned.
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, width, height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
  }
}
