import { delay, Ended, unlessAborted } from "./waits.js";

const DEADLINES_MS = [5_000, 4_000];
const BETWEEN_MS = 400;

/** Asks the service for a session. `onRetry` is called before a second try. Rejects with Ended or the signal's reason. */
export function openSession({ kind, name, liveness, avoid }, signal, onRetry) {
  const body = { kind, liveness, challenge_version: 3 };
  if (kind !== "identification") body.name = name;
  if (kind === "enrollment") body.consent = { text: "page", version: "1" };
  if (avoid.length) body.avoid = avoid;
  const headers = { "content-type": "application/json" };
  return ask("demo/sessions/", { method: "POST", headers, body: JSON.stringify(body) }, signal, onRetry);
}

export function forgetFace(token, signal, onRetry) {
  return ask("demo/face/", { method: "DELETE", headers: { authorization: `Bearer ${token}` } }, signal, onRetry);
}

async function ask(path, options, signal, onRetry) {
  for (const [tries, deadline] of DEADLINES_MS.entries()) {
    if (tries) {
      onRetry();
      await unlessAborted(delay(BETWEEN_MS), signal);
    }
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(deadline)]);
      const response = await fetch(path, { ...options, signal: within });
      const answer = response.status === 204 ? null : await response.json();
      if (response.ok) return answer;
      const { code, details } = answer.error;
      throw new Ended(code, details?.retry_after_ms ?? (details?.retry_after_s ?? 0) * 1000);
    } catch (error) {
      signal.throwIfAborted();
      // Everything else is no answer, or none of the service.
      if (error instanceof Ended) throw error;
    }
  }
  throw new Ended(navigator.onLine ? "no_service" : "offline");
}
