// For a page's start: keeps what the page's live regions say, in order, as a screen reader would.
(() => {
  const LIVE = "[role=status], [role=alert], [role=log], [aria-live]";
  const last = new WeakMap();
  const said = (window.announcements = []);

  new MutationObserver(() => {
    for (const region of document.querySelectorAll(LIVE)) {
      const words = region.checkVisibility() ? region.textContent.replace(/\s+/g, " ").trim() : "";
      if (words && words !== last.get(region)) said.push(words);
      last.set(region, words);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
})();
