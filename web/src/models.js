// The models that the server offers: which one a conversation asks, and what each says of itself.
import { listModels } from "./api.js";
import { preferences } from "./store.js";
import { Subject } from "./subject.js";

const CONTEXT = 32768; // where a server does not say
const ENOUGH = 0.99; // of the best accuracy, for a budget to be recommended

export class Models extends Subject {
  list = [];
  agent = false; // whether the server runs tools for agents

  async load() {
    try {
      const { data, agent } = await listModels();
      Object.assign(this, { list: data, agent });
    } catch (error) {
      this.list = [];
      throw error;
    } finally {
      this.tell();
    }
  }

  find(id) {
    return this.list.find((each) => each.id === id);
  }

  /** The model that a conversation asks: its own, else the one chosen last, else the first. */
  of(conversation) {
    const model = this.find(conversation.model) ?? this.find(preferences.model) ?? this.list[0];
    if (model) conversation.model = model.id;
    return model;
  }
}

export const contextOf = (model) => model?.context_length ?? model?.max_model_len ?? CONTEXT;

/** Whether a model has a thinking mode; so it is thought where a server does not say. */
export const thinks = (model) => model?.sansi?.thinking !== false;

/** A text that may be there in several languages, in the reader's. */
export function inLanguage(value, language) {
  if (value === null || typeof value !== "object") return value ?? "";
  return value[language] ?? value.en ?? Object.values(value)[0] ?? "";
}

export const descriptionOf = (model, language) => inLanguage(model?.description, language);

/** Questions to try: [{title, text}], the title where the model names the kind. */
export function examplesOf(model, language) {
  const found = inLanguage(Array.isArray(model?.examples) ? { en: model.examples } : model?.examples, language) || [];
  return found.map((each) => (typeof each === "string" ? { title: "", text: each } : each)).filter((each) => each?.text);
}

/** Right answers over budgets, as the model ships them: [{budget, accuracy}], the unlimited one (null) last. */
export function curveOf(model) {
  const points = model?.sansi?.budget_curve?.points ?? [];
  return [...points].sort((a, b) => (a.budget ?? Infinity) - (b.budget ?? Infinity));
}

/** The smallest budget that is nearly as good as the best; undefined where there is no curve, or only no bound is. */
export function recommendedOf(model) {
  const curve = curveOf(model);
  const best = Math.max(...curve.map((point) => point.accuracy));
  return curve.find((point) => point.budget !== null && point.accuracy >= ENOUGH * best)?.budget;
}

/** {share, exact}: the accuracy at a budget; between two measured ones on the line between them, over doublings. */
export function accuracyAt(model, budget) {
  const curve = curveOf(model);
  const same = curve.find((point) => point.budget === budget);
  if (same) return { share: same.accuracy, exact: true };
  const above = curve.find((point) => (point.budget ?? Infinity) > (budget ?? Infinity));
  const below = curve.findLast((point) => point.budget !== null && point.budget < (budget ?? Infinity));
  if (!below || !above || budget === null) return null;
  if (above.budget === null) return { share: above.accuracy, exact: false };
  const at = Math.log2((budget + 1) / (below.budget + 1)) / Math.log2((above.budget + 1) / (below.budget + 1));
  return { share: below.accuracy + at * (above.accuracy - below.accuracy), exact: false };
}
