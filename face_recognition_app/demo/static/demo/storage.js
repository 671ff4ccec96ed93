/** What a Storage has under a key; null if nothing, or if the browser forbids it. */
export function kept(storage, key) {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

export function keep(storage, key, text) {
  try {
    window[storage].setItem(key, text);
  } catch {
    // Forbidden.
  }
}
