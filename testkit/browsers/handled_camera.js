// For a page's start: it gets the camera's pictures by way of a canvas, and tests handle that camera as people do.
(() => {
  const devices = navigator.mediaDevices;
  const ask = devices.getUserMedia.bind(devices);
  const video = document.createElement("video");
  const canvas = document.createElement("canvas");
  let size = [640, 480];
  let frozen = false;
  let track;

  function draw() {
    if (frozen || !video.videoWidth) return;
    const [width, height] = size;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = size;
    const scale = Math.max(width / video.videoWidth, height / video.videoHeight);
    const [shown, high] = [video.videoWidth * scale, video.videoHeight * scale];
    canvas.getContext("2d").drawImage(video, (width - shown) / 2, (height - high) / 2, shown, high);
  }

  devices.getUserMedia = async (wanted) => {
    video.muted = true;
    video.srcObject = await ask(wanted);
    await video.play();
    setInterval(draw, 33);
    draw();
    const stream = canvas.captureStream(30);
    [track] = stream.getVideoTracks();
    return stream;
  };

  window.handledCamera = {
    /** A phone that lies is stood up: width and height change places, what is upright stays upright. */
    turn: () => (size = [size[1], size[0]]),
    unplug() {
      track.stop();
      track.dispatchEvent(new Event("ended")); // stop() alone does not tell the page.
    },
    /** It gives no more pictures, and says nothing about it. */
    freeze: () => (frozen = true),
  };
})();
