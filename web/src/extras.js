// Parts that are seldom wanted, in one file that is loaded when the first of them is.
export { openAbout } from "./about.js";
export { inputForm } from "./inputs.js";
export { showProbabilities } from "./probabilities.js";
export { openPrompts } from "./prompts.js";
export { openSettings } from "./settings.js";
export { MAX_BYTES, fromFile, toFile, toMarkdown } from "./transfer.js";
