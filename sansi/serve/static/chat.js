// The chat page. Text from the model or the user reaches the document through textContent only.

const BUDGETS = [0, 8, 16, 32, 64, 128, 256, null]; // null: unlimited
const GENERIC_EXAMPLES = ["What is 17 + 25 - 9?", "Sort these numbers: 31, 7, 22, 15", "Spell the word “think” backwards"];
const END_REASONS = {
  natural: { text: "ended by itself" },
  budget: { text: "cut at the budget", cut: true },
  reserve: { text: "cut to leave room for the answer", cut: true },
  loop: { text: "stopped, it was repeating itself", cut: true },
  stop: { text: "the model stopped inside it", cut: true },
  length: { text: "ran out of tokens", cut: true },
};
const MODE_SOURCES = {
  default: "the model's default",
  request: "this page's switch",
  soft_switch: "a switch in the message",
  model: "the model's own choice",
};

const $ = (id) => document.getElementById(id);
const state = { models: [], messages: [], running: null, thoughtOpen: true };

// --- start ---------------------------------------------------------------------------------------------------------

async function start() {
  bind();
  showBudget();
  try {
    const response = await fetch("/v1/models");
    state.models = (await response.json()).data;
  } catch {
    return showExamples([], "The server does not answer. Is it still running?");
  }
  const select = $("model");
  select.replaceChildren(...state.models.map((model) => new Option(model.id, model.id)));
  select.disabled = state.models.length < 2;
  showModel();
}

function bind() {
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    state.running ? stop() : ask($("question").value.trim());
  });
  $("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!state.running) ask($("question").value.trim());
  });
  $("question").addEventListener("input", showSend);
  $("budget").addEventListener("input", showBudget);
  document.querySelectorAll("[name=mode]").forEach((radio) => radio.addEventListener("change", showBudget));
  $("model").addEventListener("change", newChat);
  $("new-chat").addEventListener("click", newChat);
  $("theme").addEventListener("click", switchTheme);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.running) stop();
    const typing = event.target.closest?.("textarea, input, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      $("question").focus();
    }
  });
  const theme = remembered("theme");
  if (theme) document.documentElement.dataset.theme = theme;
}

function newChat() {
  stop();
  state.running = null; // what was stopped belongs to the old chat: its question does not come back
  state.messages = [];
  setBusy(false);
  $("log").replaceChildren();
  $("welcome").hidden = false;
  showModel();
  $("question").focus();
}

// --- asking ----------------------------------------------------------------------------------------------------------

async function ask(question) {
  if (!question || state.running) return;
  const turn = addTurn(question);
  const messages = [...state.messages, { role: "user", content: question }];
  const controller = new AbortController();
  state.running = controller;
  setBusy(true);
  $("question").value = "";
  try {
    for await (const chunk of stream(requestBody(messages), controller.signal)) turn.take(chunk);
    if (!turn.complete) throw new Error("the connection ended before the answer did");
    turn.finish();
    if (controller === state.running) state.messages = [...messages, { role: "assistant", content: turn.content }];
  } catch (error) {
    if (controller.signal.aborted) turn.stopped();
    else turn.failed(error.message);
    // The turn is not part of the conversation, so its question goes back to where it can be sent again.
    if (controller === state.running && !$("question").value) keepAtBottom(() => ($("question").value = question));
  } finally {
    if (controller === state.running) {
      state.running = null;
      setBusy(false);
    }
  }
}

function stop() {
  state.running?.abort();
}

function requestBody(messages) {
  const body = { model: $("model").value, messages, stream: true, stream_options: { include_usage: true } };
  if (thinking()) {
    const budget = BUDGETS[$("budget").value];
    body.enable_thinking = budget !== 0;
    if (budget !== null) body.thinking_budget = budget;
  } else {
    body.enable_thinking = false;
  }
  return body;
}

async function* stream(body, signal) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  }).catch((error) => {
    throw signal.aborted ? error : new Error("The server does not answer. Is it still running?");
  });
  if (!response.ok) throw new Error(await problemOf(response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (buffer + value).split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield chunk;
    }
  }
}

async function problemOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered with status ${response.status}`;
  }
}

// --- one turn --------------------------------------------------------------------------------------------------------

function addTurn(question) {
  $("welcome").hidden = true;
  const asked = $("question-template").content.cloneNode(true).firstElementChild;
  asked.querySelector(".text").textContent = question;
  const answer = $("answer-template").content.cloneNode(true).firstElementChild;
  $("log").append(asked, answer);
  $("scroller").scrollTop = $("scroller").scrollHeight;
  return new Turn(answer, thinking() ? BUDGETS[$("budget").value] : null);
}

class Turn {
  constructor(element, budget) {
    const find = (selector) => element.querySelector(selector);
    Object.assign(this, { element, find, budget, started: performance.now(), reasoning: 0, content: "", complete: false });
    this.thought = find(".thought");
    this.text = find(":scope > .text");
    this.thought.open = state.thoughtOpen;
    // What the reader chooses for one thought holds for the following ones.
    find(".thought > summary").addEventListener("click", () => (state.thoughtOpen = !this.thought.open));
    find(".copy").addEventListener("click", (event) => this.copy(event.target));
    find(".did").addEventListener("toggle", (event) => event.target.scrollIntoView({ block: "nearest" }));
    find(".copy").hidden = !navigator.clipboard;
    element.classList.add("waiting");
  }

  take(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    if (chunk.sansi) Object.assign(this, { report: chunk.sansi, complete: true });
    const delta = chunk.choices[0]?.delta ?? {};
    this.finishReason = chunk.choices[0]?.finish_reason ?? this.finishReason;
    keepAtBottom(() => {
      if (delta.reasoning_content) this.addThought(delta.reasoning_content);
      if (delta.content) this.addContent(delta.content);
      for (const call of delta.tool_calls ?? []) this.addContent(callText(call));
    });
  }

  addThought(text) {
    this.element.classList.remove("waiting");
    this.thought.hidden = false;
    this.thought.classList.add("live");
    this.reasoning += 1; // about a token per piece; the exact count comes with the usage at the end
    const box = this.find(".thought-text");
    box.append(document.createTextNode(text));
    box.scrollTop = box.scrollHeight;
    this.showLive(this.reasoning);
  }

  addContent(text) {
    this.element.classList.remove("waiting");
    this.endThought();
    this.content += text;
    this.text.textContent = this.content;
  }

  endThought() {
    if (!this.thought.classList.contains("live")) return;
    this.thought.classList.remove("live");
    this.find(".thought-title").textContent = "Thought";
  }

  showLive(count) {
    // A cut thought goes on with a closing phrase that is not the model's own, hence the min.
    const shown = this.budget ? `${Math.min(count, this.budget)} of ${this.budget}` : count;
    this.find(".thought-count").textContent = `${shown} tokens`;
    this.find(".meter").hidden = !this.budget;
    if (this.budget) this.find(".meter > span").style.width = `${Math.min(100, (100 * count) / this.budget)}%`;
  }

  finish() {
    keepAtBottom(() => {
      this.close();
      const { usage, report } = this;
      const thought = usage.completion_tokens_details.reasoning_tokens;
      const closing = report.closing_phrase_tokens;
      const parts = [`${usage.completion_tokens - thought} answer and tag`];
      if (closing) parts.unshift(`${closing} closing phrase`);
      if (report.mode === "thinking") parts.unshift(`${thought - closing} thought`);
      if (report.mode === "thinking") this.showEnd(thought - closing, report);
      if (!this.content) this.showProblem(emptyAnswer(this.finishReason));
      const seconds = ((performance.now() - this.started) / 1000).toFixed(1);
      const cut = this.finishReason === "length" ? " · cut at the token limit" : "";
      this.find(".facts").textContent = `${parts.join(" + ")} tokens · ${seconds} s${cut}`;
      this.find(".did dl").replaceChildren(...this.did().flatMap(([name, value]) => [node("dt", name), node("dd", value)]));
      this.find("footer").hidden = false;
      $("status").textContent = `Answer: ${this.content}`;
    });
  }

  showEnd(count, report) {
    const end = END_REASONS[report.thinking_end_reason] ?? { text: report.thinking_end_reason ?? "" };
    this.thought.hidden = false;
    this.find(".thought-count").textContent = `${count} ${count === 1 ? "token" : "tokens"}`;
    this.find(".thought-end").classList.toggle("cut", Boolean(end.cut));
    const budget = report.thinking_end_reason === "budget" ? ` of ${report.thinking_budget_applied}` : "";
    this.find(".thought-end").textContent = end.text + budget;
  }

  did() {
    const { usage, report } = this;
    const limit = (budget) => (budget === null || budget === undefined ? "unlimited" : `${budget} tokens`);
    const rows = [["mode", `${report.mode}, by ${MODE_SOURCES[report.mode_source] ?? report.mode_source}`]];
    if (report.mode === "thinking") {
      rows.push(["budget asked", limit(report.thinking_budget_requested)], ["budget applied", limit(report.thinking_budget_applied)]);
      rows.push(["thought ended", END_REASONS[report.thinking_end_reason]?.text ?? "—"]);
    }
    // The seed is a 63-bit number, which JavaScript would show rounded.
    const used = Object.entries(report.sampling ?? {}).filter(([name]) => name !== "seed");
    rows.push(["preset", report.preset]);
    rows.push(["sampling", used.map(([name, value]) => `${name} ${value}`).join(", ")]);
    rows.push(["at most", `${report.max_tokens} tokens, ${report.answer_reserve} of them kept for the answer`]);
    rows.push(["prompt", `${usage.prompt_tokens} tokens, ${usage.prompt_tokens_details.cached_tokens} of them cached`]);
    return rows;
  }

  stopped() {
    this.close();
    this.find(".problem").classList.add("mild");
    this.showProblem("Stopped. This turn is not part of the conversation.");
  }

  failed(message) {
    this.close();
    this.showProblem(message);
  }

  close() {
    this.element.classList.remove("waiting");
    this.endThought();
  }

  showProblem(text) {
    const problem = this.find(".problem");
    problem.textContent = text;
    keepAtBottom(() => (problem.hidden = false));
  }

  async copy(button) {
    await navigator.clipboard.writeText(this.content);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
}

function emptyAnswer(finishReason) {
  return finishReason === "length" ? "The tokens ran out before the answer." : "The model ended its turn without an answer.";
}

function callText(call) {
  return `${call.function.name ? `\n→ ${call.function.name} ` : ""}${call.function.arguments ?? ""}`;
}

// --- what the page shows -----------------------------------------------------------------------------------------------

function thinking() {
  return document.querySelector("[name=mode]:checked").value === "thinking";
}

function showBudget() {
  const budget = BUDGETS[$("budget").value];
  const text = budget === null ? "unlimited" : budget === 0 ? "0, no thought" : `${budget} tokens`;
  $("budget-value").textContent = text;
  $("budget").setAttribute("aria-valuetext", text);
  $("budget").disabled = !thinking();
  $("budget-field").classList.toggle("off", !thinking());
}

function showModel() {
  const model = state.models.find((each) => each.id === $("model").value);
  $("model").title = model ? `${model.context_length.toLocaleString()} tokens of context` : "";
  showExamples(model?.examples?.length ? model.examples : GENERIC_EXAMPLES);
  showSend();
}

function showExamples(questions, problem) {
  const chips = questions.map((question) => {
    const chip = node("button", question);
    chip.type = "button";
    chip.className = "chip";
    chip.dir = "auto";
    chip.addEventListener("click", () => {
      ask(question);
      $("question").focus();
    });
    return chip;
  });
  $("chips").replaceChildren(...(problem ? [Object.assign(node("p", problem), { className: "problem" })] : chips));
}

function showSend() {
  $("send").disabled = !state.running && (!$("question").value.trim() || !state.models.length);
}

function setBusy(busy) {
  $("composer").classList.toggle("busy", busy);
  $("send").setAttribute("aria-label", busy ? "Stop" : "Send");
  $("status").textContent = busy ? "Answering" : $("status").textContent;
  showSend();
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme;
  const now = dark === "light dark" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : dark;
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Storage can be forbidden; the choice then lasts as long as the page.
  }
}

function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Change the log; if its end was in view before, it is afterwards too. A reader who scrolled up stays there. */
function keepAtBottom(change) {
  const scroller = $("scroller");
  const atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
  change();
  if (atBottom) scroller.scrollTop = scroller.scrollHeight;
}

function node(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

start();
