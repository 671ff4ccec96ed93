// For a page's start: keeps what the page's live regions say, in order, as a screen reader would, and counts the frames
// that the service has answered.
(() => {
  const LIVE = "[role=status], [role=alert], [role=log], [aria-live]";
  const last = new WeakMap();
  const witness = (window.witness = { said: [], heard: 0, answered: 0 });

  new MutationObserver(() => {
    for (const region of document.querySelectorAll(LIVE)) {
      const words = region.checkVisibility() ? region.textContent.replace(/\s+/g, " ").trim() : "";
      if (words && words !== last.get(region)) witness.said.push(words);
      last.set(region, words);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });

  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", ({ data }) => {
        if (JSON.parse(data).type === "frame_processed") witness.answered += 1;
      });
    }
  };
})();
