// Where conversations and preferences are kept: this browser, and nowhere else.
import { mergeInto } from "./merge.js";
import { closeCalls, newId } from "./tree.js";

const KEY = "sansi.preferences";

export const preferences = {
  ...{ theme: "system", language: null, mode: "auto", budget: null, compare: false, budgets: [0, 16, 64, null], thoughts: "auto", sidebar: true, model: null, presets: {} },
  ...read(localStorageOrNull(), KEY),
};

function localStorageOrNull() {
  try {
    return window.localStorage;
  } catch {
    return null; // storage can be forbidden; choices then last as long as the page
  }
}

function read(storage, key) {
  try {
    return JSON.parse(storage?.getItem(key) ?? "{}");
  } catch {
    return {};
  }
}

export function prefer(changes) {
  Object.assign(preferences, changes);
  try {
    localStorageOrNull()?.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // full or forbidden: as above
  }
}

/** The API key: for this tab, or for this browser where that was asked for. */
export const apiKey = {
  get() {
    try {
      return sessionStorage.getItem("sansi.key") ?? localStorage.getItem("sansi.key") ?? "";
    } catch {
      return apiKey.held ?? "";
    }
  },
  set(key, remember) {
    apiKey.held = key;
    try {
      sessionStorage.setItem("sansi.key", key);
      if (remember) localStorage.setItem("sansi.key", key);
      else localStorage.removeItem("sansi.key");
    } catch {
      // held in memory above
    }
  },
};

const request = (wanted) =>
  new Promise((resolve, reject) => {
    wanted.onsuccess = () => resolve(wanted.result);
    wanted.onerror = () => reject(wanted.error);
  });

const LOCK = "sansi.tab.";

/** Conversations by id, in IndexedDB; `all` holds every one in memory, so that lists and search are immediate. */
export class Store {
  constructor() {
    this.all = new Map();
    this.tab = newId();
    this.onproblem = this.onchange = this.onstop = () => {};
    this.grows = () => false; // whether a message grows in this tab
  }

  async open() {
    this.#holdLock();
    try {
      const opening = indexedDB.open("sansi", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("conversations", { keyPath: "id" });
      this.database = await request(opening);
      this.database.onversionchange = () => this.database.close();
      for (const each of await request(this.#objects("readonly").getAll())) this.all.set(each.id, each);
    } catch {
      this.onproblem("errorStore");
    }
    await this.#mend();
    if (typeof BroadcastChannel === "undefined") return;
    this.channel = new BroadcastChannel("sansi.conversations");
    this.channel.onmessage = ({ data: { id, stop } }) => (stop ? this.onstop(id) : this.#changedElsewhere(id));
  }

  /** A lock that lasts as long as this tab tells others that what grows in it still does. */
  #holdLock() {
    navigator.locks?.request(LOCK + this.tab, () => new Promise(() => {}));
  }

  /** An answer that grew in a tab which is gone will not grow any more. */
  async #mend() {
    const running = [...this.all.values()].flatMap((each) => Object.values(each.nodes)).filter((node) => node.status === "running");
    if (!running.length) return;
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    const tabs = new Set(held.map((lock) => lock.name));
    for (const node of running.filter(({ tab }) => !tabs.has(LOCK + tab))) {
      Object.assign(node, { status: "failed", error: { kind: "reload", message: "" } });
      closeCalls(node);
    }
  }

  #objects(mode) {
    return this.database.transaction("conversations", mode).objectStore("conversations");
  }

  /** Keep a conversation. What another tab has kept of it meanwhile is taken in, not overwritten. */
  async put(conversation) {
    const { id } = conversation;
    this.all.set(id, conversation);
    let more = false;
    await this.#write((objects) => {
      const reading = objects.get(id);
      reading.onsuccess = () => {
        more = reading.result ? mergeInto(conversation, reading.result, this.grows) : false;
        objects.put(conversation);
      };
    });
    this.channel?.postMessage({ id });
    if (more) this.onchange(id);
  }

  /** Keep it as it is, in one step: a page that is about to go does not live to read what is kept before it writes. */
  putAtOnce(conversation) {
    try {
      const objects = this.#objects("readwrite");
      objects.put(conversation);
      objects.transaction.commit?.();
    } catch {
      // closed or forbidden: what was kept last stays
    }
  }

  async delete(id) {
    this.all.delete(id);
    await this.#write((objects) => objects.delete(id));
    this.channel?.postMessage({ id });
  }

  /** Stop what grows of a conversation in other tabs. */
  stopElsewhere(id) {
    this.channel?.postMessage({ id, stop: true });
  }

  async #write(act) {
    if (!this.database) return;
    try {
      const objects = this.#objects("readwrite");
      act(objects);
      await new Promise((resolve, reject) => {
        objects.transaction.oncomplete = resolve;
        objects.transaction.onerror = objects.transaction.onabort = () => reject(objects.transaction.error);
      });
    } catch (error) {
      this.onproblem(error?.name === "QuotaExceededError" ? "errorQuota" : "errorStore");
    }
  }

  /** Another tab of this browser wrote or deleted a conversation. */
  async #changedElsewhere(id) {
    if (!this.database) return;
    const found = await request(this.#objects("readonly").get(id));
    const mine = this.all.get(id);
    if (!found) this.all.delete(id);
    else if (mine) mergeInto(mine, found, this.grows);
    else this.all.set(id, found);
    this.onchange(id);
  }
}
