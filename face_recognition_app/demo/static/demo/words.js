const DONE = {
  enrollment: (name) => `Your face is saved as ${name}.`,
  authentication: (name) => `Yes, you are ${name}.`,
  identification: (name) => `You are ${name}.`,
};

const NOT_DONE = {
  enrollment: () => "Your face was not saved.",
  authentication: (name) => `Not confirmed as ${name}.`,
  identification: () => "Not recognised.",
};

const REASONS = {
  no_match: "This is not the face that is enrolled under this name.",
  liveness_timeout: "A live person could not be seen in time: follow what the page asks, with light on your face.",
  spoof_suspected: "This looked like a photo or a screen, not like a person in front of the camera.",
  face_changed: "Another face came into the picture: one person only, please.",
  wrong_action: "Something else was done than what was asked: do one thing after the other, as the page says it.",
  stream_frozen: "The picture stood still: start the camera again, then try again.",
  stream_repeated: "The pictures came again and again: show the camera itself, not a recording.",
  camera_changed: "The camera changed in between: keep to one camera, then try again.",
  replay_suspected: "These pictures were sent before: show the camera itself, not a recording.",
  duplicate_face: "This face is enrolled under another name already.",
  subject_exists: "This name is enrolled already, with another face: choose another name.",
  subject_gone: "Nobody is enrolled under this name: press Enrol my face first.",
  timeout: "Time ran out before there were enough good pictures: try again, with light on your face.",
  cancelled: "The session was cancelled.",
  attempts_exceeded: "Too many attempts failed: wait a while, then try again.",
};

const ENDINGS = {
  cancelled: "Cancelled.",
  camera_stopped: "The camera is off.",
  camera_lost: "The camera is gone: connect it again, then press Start camera.",
  connection_lost: "The connection is lost: check the network and that the service runs, then start again.",
  1009: "The pictures were too big for the service: choose a smaller camera resolution, then start again.",
  1011: "Something went wrong on the server: start again, and look into its log if it happens again.",
  1013: "The service cannot take this session now: wait a minute, then start again.",
  4401: "This session is over or was used already: start again.",
  4403: "The service refuses this page: open it under an address that the service allows.",
  4408: "No picture arrived for too long: keep this page in front, then start again.",
  4409: "The session went on in another window, so it ended here.",
  4429: "Too many pictures came too quickly: wait a minute, then start again.",
};

const REFUSALS = {
  unavailable: () => "The service cannot take this session now: wait a minute, then try again.",
  subject_not_found: (name) => `Nobody is enrolled as ${name} yet: press Enrol my face first.`,
};

/** [headline, detail] of a `*_complete` message. */
export function decided(kind, name, { success, subject_id, liveness, reason }) {
  const who = subject_id ?? name;
  if (!success) return [NOT_DONE[kind](who), reasonFor(kind, reason)];
  const live = liveness === "passed" ? "A live person was in front of the camera." : "Whether you are live was not checked.";
  return [DONE[kind](who), kind === "enrollment" ? `${live} Now press Is it me?` : live];
}

/** One sentence for a session that ended undecided. */
export function ended({ code, message }) {
  return ENDINGS[code] || message || "The session broke off: start again.";
}

/** One sentence for a session that the service did not open; `error` as it sent it, if it answered. */
export function refused(error, name) {
  if (!error) return "The service does not answer: check that it runs, then try again.";
  return REFUSALS[error.code]?.(name) ?? error.message;
}

/** What the progress bar counts: [done, of how many, in words], or null when there is nothing to count. */
export function counted({ samples, liveness }) {
  const { accepted = 0, target = 0 } = samples ?? {};
  const { steps_done: seen = 0, steps_total: asked = 0 } = liveness ?? {};
  const words = [];
  if (target) words.push(`${accepted} of ${target} pictures`);
  if (asked === 1) words.push(`live: ${seen ? "yes" : "not yet"}`);
  if (asked > 1) words.push(`${seen} of ${asked} movements`);
  return words.length ? [accepted + seen, target + asked, words.join(" · ")] : null;
}

function reasonFor(kind, reason) {
  if (reason === "no_match" && kind === "identification") return "This face is not enrolled here.";
  return REASONS[reason] ?? "Try again, with light on your face.";
}
