// Where conversations and preferences are kept: this browser, and nowhere else.
import { newId } from "./tree.js";

const KEY = "sansi.preferences";

export const preferences = {
  ...{ theme: "system", language: null, mode: "auto", budget: null, thoughts: "auto", sidebar: true, model: null, presets: {} },
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

/** Conversations by id, in IndexedDB; `all` holds every one in memory, so that lists and search are at once. */
export class Store {
  constructor() {
    this.all = new Map();
    this.tab = newId();
    this.onproblem = this.onchange = () => {};
  }

  async open() {
    try {
      const opening = indexedDB.open("sansi", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("conversations", { keyPath: "id" });
      this.database = await request(opening);
      this.database.onversionchange = () => this.database.close();
      for (const each of await request(this.#objects("readonly").getAll())) this.all.set(each.id, each);
    } catch {
      this.onproblem("errorStore");
    }
    if (typeof BroadcastChannel === "undefined") return;
    this.channel = new BroadcastChannel("sansi.conversations");
    this.channel.onmessage = ({ data }) => this.#changedElsewhere(data.id);
  }

  #objects(mode) {
    return this.database.transaction("conversations", mode).objectStore("conversations");
  }

  async put(conversation) {
    this.all.set(conversation.id, conversation);
    await this.#write((objects) => objects.put(conversation));
    this.channel?.postMessage({ id: conversation.id });
  }

  async delete(id) {
    this.all.delete(id);
    await this.#write((objects) => objects.delete(id));
    this.channel?.postMessage({ id });
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
    if (found) this.all.set(id, found);
    else this.all.delete(id);
    this.onchange(id);
  }
}
