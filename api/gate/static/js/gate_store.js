// What the phone keeps for the time without a network: the queue of movements, the vehicles that
// it knows, and a few facts. In IndexedDB, which outlasts the page.

const NAME = "phopay-gate";
const STORES = { movements: "seq", stays: "id", facts: null };

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) {
        request.result.createObjectStore(name, keyPath ? { keyPath } : undefined);
      }
    };
    request.onsuccess = () => {
      // A phone that is short of memory closes it behind our back: the next use opens it again.
      request.result.onclose = () => {
        opening = null;
      };
      resolve(request.result);
    };
    request.onerror = () => {
      opening = null;
      reject(request.error);
    };
  });
  return opening;
}

/** Do something in one transaction; resolves with its request's result once that is committed. */
async function run(name, mode, act) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(name, mode);
    const request = act(transaction.objectStore(name));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const all = (name, count) => run(name, "readonly", (store) => store.getAll(null, count));
export const read = (name, key) => run(name, "readonly", (store) => store.get(key));
export const count = (name) => run(name, "readonly", (store) => store.count());
export const put = (name, value, key) => run(name, "readwrite", (store) => store.put(value, key));
export const remove = (name, key) => run(name, "readwrite", (store) => store.delete(key));
export const clear = (name) => run(name, "readwrite", (store) => store.clear());
export const readFact = (key) => run("facts", "readonly", (store) => store.get(key));

/**
 * Change one in one transaction: what `change` makes of it is kept, nothing leaves it as it is.
 * @param {(before: object | undefined) => object | null | undefined} change
 */
export async function changeOne(name, key, change) {
  await run(name, "readwrite", (store) => {
    const reading = store.get(key);
    reading.onsuccess = () => {
      const changed = change(reading.result);
      if (changed) store.put(changed);
    };
  });
}

/**
 * Change many in one transaction.
 * @param {(before: object[]) => {kept: object[], dropped: any[]}} change gets them all by their keys;
 *   what it keeps is written, and the keys that it drops go
 */
export async function changeAll(name, change) {
  await run(name, "readwrite", (store) => {
    const reading = store.getAll();
    reading.onsuccess = () => {
      const { kept, dropped } = change(reading.result);
      for (const one of kept) store.put(one);
      for (const key of dropped) store.delete(key);
    };
  });
}

/** Change a fact in one transaction: two pages of one phone cannot lose each other's change. */
export async function changeFact(key, change) {
  const database = await open();
  return new Promise((resolve, reject) => {
    const transaction = database.transaction("facts", "readwrite");
    const store = transaction.objectStore("facts");
    let changed;
    const reading = store.get(key);
    reading.onsuccess = () => {
      changed = change(reading.result);
      store.put(changed, key);
    };
    transaction.oncomplete = () => resolve(changed);
    transaction.onabort = () => reject(transaction.error);
  });
}
