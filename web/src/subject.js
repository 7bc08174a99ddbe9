// The page's state is parted into stores, each of one subject; who listens to a store is told when it changes.

export class Subject {
  #listeners = [];

  listen(act) {
    this.#listeners.push(act);
  }

  tell(...what) {
    for (const act of this.#listeners) act(...what);
  }
}
