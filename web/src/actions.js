// What can be done with the conversation on show: ask, ask again, compare, go on, edit.
import { contextOf } from "./models.js";
import { canRun, isAgents, resultsOf } from "./tools.js";
import { ROOT, add, choose, compared, newId, path, remove, sentOf } from "./tree.js";
import { startAgain } from "./room.js";
import { drawSeed } from "./values.js";

export class Actions {
  /** `parts`: store, models, answers, shown, composer, log, enterKey, openProbabilities. */
  constructor(parts) {
    Object.assign(this, parts);
    this.nextIsFresh = false; // the next question will be sent without what came before it
  }

  get conversation() {
    return this.shown.conversation;
  }

  get path() {
    return path(this.conversation);
  }

  // --- asking ----------------------------------------------------------------------------------------------------------

  /** Whether an answer grows at the end of what is shown, in this tab or in another. */
  busy() {
    return this.answers.busy(this.conversation.id) || this.path.at(-1)?.status === "running";
  }

  /** `message`: {text, attachments, budgets}; several budgets make a comparison. */
  send({ text, attachments = [], budgets = null }, parent = this.path.at(-1)?.id ?? ROOT) {
    if (this.busy()) return;
    const { conversation } = this;
    if (!Object.keys(conversation.nodes).length) conversation.created = Date.now();
    const more = { ...(attachments.length ? { attachments } : {}), ...(this.nextIsFresh ? { fresh: true, freshAt: Date.now() } : {}) };
    this.nextIsFresh = false;
    const question = add(conversation, parent, { role: "user", text, ...more });
    if (budgets) this.compare(question.id, budgets);
    else this.answer(question.id);
  }

  /** Ask for an answer to the node `parent`, and show it as it comes. */
  answer(parent) {
    if (this.busy()) return;
    const { conversation } = this;
    this.#start(conversation, add(conversation, parent, { role: "assistant", model: conversation.model, ask: this.composer.ask }));
  }

  async #start(conversation, node, goOn = false) {
    this.log.follow();
    // A comparison is of single answers, and what is gone on with was begun by the model alone.
    if (isAgents(conversation.settings) && !goOn && !node.group) return this.answers.startAgent(conversation, node);
    await this.answers.start(conversation, node, goOn);
    const nodes = path(conversation, node.id);
    if (!canRun(conversation.settings, nodes)) return undefined;
    const results = await resultsOf(node.calls);
    if (conversation.chosen[node.id] || !conversation.nodes[node.id]) return undefined; // answered meanwhile, or gone
    const said = add(conversation, node.id, { role: "tool", results, byServer: true });
    return this.#start(conversation, add(conversation, said.id, { role: "assistant", model: node.model, ask: node.ask }));
  }

  answerCall(node, call, choice, reason) {
    return this.answers.answerCall(node, call, choice, reason);
  }

  answerInput(node, id, action, content) {
    return this.answers.answerInput(node, id, action, content);
  }

  stop() {
    this.answers.stop(this.conversation.id);
    if (this.busy()) this.store.stopElsewhere(this.conversation.id);
  }

  regenerate(node) {
    this.answer(node.parent);
  }

  /** A failed answer is not worth a branch: the new one takes its place. */
  retry(node) {
    if (this.busy()) return;
    if (!node.text && !node.thought) remove(this.conversation, node);
    this.answer(node.parent);
  }

  /** Whether an answer that was cut, stopped or lost can be gone on with. */
  canGoOn(node) {
    if (this.busy() || node.calls?.length || node.error?.kind === "context" || !(node.text || node.thought)) return false;
    const whole = node.status === "done" && node.finish !== "length";
    return !whole && !node.edited && !this.conversation.children[node.id]?.length;
  }

  goOn(node) {
    if (this.canGoOn(node)) this.#start(this.conversation, node, true);
  }

  giveResults(node, results) {
    if (!this.busy()) this.answer(add(this.conversation, node.id, { role: "tool", results }).id);
  }

  waitsForResults(node) {
    return !this.busy() && !node.error && Boolean(node.calls?.length) && this.path.at(-1) === node;
  }

  // --- versions --------------------------------------------------------------------------------------------------------

  choose(id, step) {
    choose(this.conversation, id);
    this.shown.changed();
    const arrows = this.log.view(this.conversation.nodes[id]).element.querySelectorAll(".versions button");
    const wanted = arrows[step < 0 ? 0 : 1];
    (wanted.disabled ? arrows[step < 0 ? 1 : 0] : wanted).focus();
  }

  edit(node, text) {
    this.send({ text, attachments: node.attachments }, node.parent);
    this.composer.focus();
  }

  editQuestion(id) {
    this.log.view(this.conversation.nodes[id])?.edit();
  }

  editLast() {
    const last = this.path.findLast((node) => node.role === "user");
    if (last) this.editQuestion(last.id);
  }

  /** An answer in the reader's words is one more version. */
  editAnswer(node, text) {
    if (this.busy() || text === node.text) return;
    const { model, thought, ask } = node;
    add(this.conversation, node.parent, { role: "assistant", text, model, ask, ...(thought ? { thought } : {}), status: "done", finish: "stop", edited: true, ended: Date.now() });
    this.shown.changed();
  }

  // --- budgets beside each other ---------------------------------------------------------------------------------------

  /** The question `parent` once for each budget, with one seed: the shorter thoughts are beginnings of the longest. */
  compare(parent, budgets = this.composer.budgets) {
    if (this.busy()) return;
    const { conversation } = this;
    const ask = { mode: this.composer.ask.mode === "think" ? "think" : "auto", seed: conversation.settings.seed || drawSeed() };
    const more = { role: "assistant", model: conversation.model, group: newId() };
    const nodes = budgets.map((budget) => add(conversation, parent, { ...more, ask: { ...ask, budget } }));
    for (const node of nodes) this.#start(conversation, node);
  }

  addColumn(beside, budget) {
    const { conversation } = this;
    if (this.busy() || compared(conversation, beside).some((node) => node.ask.budget === budget)) return;
    const { parent, model, group, ask } = beside;
    this.#start(conversation, add(conversation, parent, { role: "assistant", model, group, ask: { ...ask, budget } }));
  }

  /** The same column at another budget; one that the conversation went on from stays beside it. */
  redo(node, budget) {
    const { conversation } = this;
    if (this.busy()) return;
    if (!conversation.children[node.id]?.length) remove(conversation, node);
    const same = compared(conversation, { parent: node.parent, group: node.group }).find((each) => each.ask.budget === budget);
    if (!same) return this.addColumn(node, budget);
    choose(conversation, same.id);
    return this.shown.changed();
  }

  dropColumn(node) {
    const { conversation } = this;
    const others = compared(conversation, node).filter((each) => each !== node);
    if (this.busy() || !others.length) return;
    const wasChosen = this.isChosen(node);
    remove(conversation, node);
    if (wasChosen) choose(conversation, others.at(-1).id);
    this.shown.changed();
  }

  /** Which of the compared answers the conversation goes on from. */
  goOnFrom(node) {
    choose(this.conversation, node.id);
    this.shown.changed();
    this.composer.focus();
  }

  isChosen(node) {
    return this.conversation.chosen[node.parent] === node.id;
  }

  onPath(nodes) {
    return nodes.find((node) => this.isChosen(node));
  }

  clock(node) {
    return this.answers.clock(node);
  }

  // --- room ------------------------------------------------------------------------------------------------------------

  /** Whether there is something older to leave out. */
  canForget() {
    return sentOf(this.conversation, this.path).filter((node) => node.role === "user").length > 1;
  }

  /** Leave the oldest messages out of what is sent; with a failed answer, ask for it again. */
  withoutOldest(failed = null) {
    if (this.busy()) return;
    const { conversation } = this;
    const question = startAgain(conversation, this.path, contextOf(this.models.of(conversation)));
    const from = question ?? (failed ? conversation.nodes[failed.parent] : null);
    if (from) Object.assign(from, { fresh: true, freshAt: Date.now() });
    else this.nextIsFresh = true;
    if (failed) this.retry(failed);
    else this.shown.changed();
  }

  sendAll(node) {
    Object.assign(node, { fresh: false, freshAt: Date.now() });
    this.shown.changed();
  }

  /** The question of an answer that found no room, in a conversation of its own. */
  askAnew(node) {
    const { text, attachments } = this.conversation.nodes[node.parent];
    this.shown.begin();
    this.send({ text, attachments });
  }

  // --- models ----------------------------------------------------------------------------------------------------------

  modelOf(node) {
    return this.models.find(node.model ?? this.conversation.model);
  }

  /** Whether it must be said which model wrote an answer: several are served, or it was another one than now. */
  namesModels(node) {
    return Boolean(node.model) && (this.models.list.length > 1 || (this.models.list.length > 0 && node.model !== this.conversation.model));
  }

  showProbabilities(node, place) {
    return this.openProbabilities(this.conversation, node, place);
  }
}
