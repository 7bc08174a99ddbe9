// Loaded when the first formula is.
import katex from "katex";

export default katex;
