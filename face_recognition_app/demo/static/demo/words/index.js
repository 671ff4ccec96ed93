import { kept } from "../storage.js";

// Written out, so that the paths are found when the files are renamed.
const CATALOGUES = { en: () => import("./en.js"), id: () => import("./id.js"), tr: () => import("./tr.js") };

// Endings, and the codes that have their words.
const SAME = {
  busy: "overloaded request_timeout unavailable too_fast 1001 1012 1013 4429",
  connection_lost: "1006",
  idle: "4408",
  internal: "error 1011",
  invalid_image: "image_too_complex image_too_large unsupported_format 1009",
  no_picture: "TimeoutError",
  invalid_message:
    "challenge_unsupported headers_too_large length_required method_not_allowed request_too_large unsupported_media_type 4400",
  refused: "bad_request forbidden 4403",
  replaced: "4409",
  unknown_token: "1000 4401",
  validation_error: "invalid_subject_id",
};

/** Where the chosen language is kept. */
export const LANGUAGE = "face-language";

let catalogue = {};

/** The language chosen before, else the first of the browser's that there is, else English. */
export function preferredLanguage() {
  const asked = [kept("localStorage", LANGUAGE), ...navigator.languages].map((tag) => tag?.toLowerCase().split("-")[0]);
  return asked.find((language) => language in CATALOGUES) ?? "en";
}

/** Makes a language the current one; resolves with its `dir`. */
export async function useLanguage(language) {
  catalogue = await CATALOGUES[language]();
  return catalogue.dir;
}

/** The sentence at a path such as "reasons.no_match", with {name} and the like filled in; undefined without one. */
export function words(path, values = {}) {
  const [part, key] = path.split(".");
  return catalogue[part]?.[key]?.replace(/\{(\w+)\}/g, (_, gap) => values[gap] ?? "");
}

/** [what happened, what to do] for the code of an ending, whatever it is. */
export function ending(code, values) {
  const same = Object.keys(SAME).find((ending) => SAME[ending].split(" ").includes(String(code)));
  const unknown = /Error$/.test(code) ? "camera" : "unknown";
  return (words(`endings.${same ?? code}`, values) ?? words(`endings.${unknown}`)).split("|");
}
